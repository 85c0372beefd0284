//! Model files as checked views: GGUF, safetensors, config.

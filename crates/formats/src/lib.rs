//! Model files as checked views: GGUF, safetensors, config.

#![forbid(unsafe_code)]

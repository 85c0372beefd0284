//! Runs a model: sessions, KV cache, batching, sampling.

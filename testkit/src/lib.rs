//! Development only: tiny models, golden files, seeded randomness.

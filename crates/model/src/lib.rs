//! Architectures as data, the tensor schema, checked and mapped weights.

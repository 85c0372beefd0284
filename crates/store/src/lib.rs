//! Models by digest in an OCI image layout.

#![forbid(unsafe_code)]

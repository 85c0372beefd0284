//! Damaged machines: whatever is in the files, nothing panics or runs on.

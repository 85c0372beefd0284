//! What this machine is and how it feels: cores, memory, maps, pinned worker threads.

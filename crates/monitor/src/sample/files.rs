//! Files of a tree, read into one buffer again and again.

use std::borrow::Cow;
use std::io;

use rushlight_host::probe::Tree;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// Bytes of a file, at most.
const MOST_BYTES: usize = 4 << 20;
/// Bytes that one call reads; a file of a process is shorter.
const AT_ONCE: usize = 16 << 10;

/// Files of a tree.
#[derive(Debug)]
pub(super) struct Files {
    tree: Tree,
    buffer: Vec<u8>,
}

impl Files {
    pub(super) fn new(tree: Tree) -> Self {
        Self { tree, buffer: vec![0; AT_ONCE] }
    }

    pub(super) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The bytes of a file.
    ///
    /// Of this machine they are read without a look at what kind of file it is, which takes as long
    /// as reading; a made-up tree is read with all care.
    pub(super) fn bytes(&mut self, path: &str) -> io::Result<&[u8]> {
        if !self.tree.is_this_machine() {
            self.buffer = self.tree.bytes(path)?;
            return Ok(&self.buffer);
        }
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = rustix::fs::open(self.tree.path(path), flags, Mode::empty())?;
        let of_process = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
        let is_one_record = path.strip_prefix("proc/").is_none_or(of_process);
        let mut length = 0;
        loop {
            if self.buffer.len() < length + AT_ONCE {
                self.buffer.resize(length + AT_ONCE, 0);
            }
            let room = self.buffer.get_mut(length..).unwrap_or_default();
            let asked = room.len();
            let read = match rustix::io::read(&file, room) {
                Ok(read) => read,
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            length += read;
            // A file of a process or a device that leaves room has no more. One with a record for each of
            // many things is given in pieces of whole records, so that a short one says nothing.
            let is_short = is_one_record && length < 4096 && read < asked;
            if read == 0 || is_short || length >= MOST_BYTES {
                return Ok(self.buffer.get(..length).unwrap_or_default());
            }
        }
    }

    /// The text of a file; what is no UTF-8 is replaced.
    pub(super) fn text(&mut self, path: &str) -> io::Result<Cow<'_, str>> {
        self.bytes(path).map(String::from_utf8_lossy)
    }
}

//! Which build of the program this is: settings measured with other kernels say nothing of these.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

/// Program headers of an ELF file that are looked at.
const MOST_HEADERS: u16 = 64;
/// Bytes of notes that are looked at.
const MOST_NOTES: u64 = 4096;
/// A segment of notes, elf(5).
const PT_NOTE: u32 = 4;
/// The note with the linker's digest of what it made.
const NT_GNU_BUILD_ID: u32 = 3;

/// The version and the linker's build id; without that the size and age of the file.
pub(super) fn identity(executable: &Path) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let Ok(file) = File::open(executable) else { return version.to_owned() };
    if let Some(id) = build_id(&file) {
        let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        return format!("{version} {hex}");
    }
    match file.metadata() {
        Ok(meta) => format!("{version} {} bytes of {}", meta.len(), meta.mtime()),
        Err(_) => version.to_owned(),
    }
}

/// The build id in an ELF file of this machine's byte order and 64 bits; `None` of anything else.
fn build_id(file: &File) -> Option<Vec<u8>> {
    let header = read(file, 0, 64)?;
    // 64 bits; the byte order that the notes are read in.
    let order = if cfg!(target_endian = "little") { 1 } else { 2 };
    if !header.starts_with(b"\x7fELF\x02") || header.get(5) != Some(&order) {
        return None;
    }
    let start = u64::from_ne_bytes(array(&header, 32)?);
    let (size, count) =
        (u16::from_ne_bytes(array(&header, 54)?), u16::from_ne_bytes(array(&header, 56)?));
    for i in 0..count.min(MOST_HEADERS) {
        let at = start.checked_add(u64::from(i) * u64::from(size))?;
        let segment = read(file, at, 56)?;
        if u32::from_ne_bytes(array(&segment, 0)?) != PT_NOTE {
            continue;
        }
        let (offset, length) =
            (u64::from_ne_bytes(array(&segment, 8)?), u64::from_ne_bytes(array(&segment, 32)?));
        let notes = read(file, offset, length.min(MOST_NOTES));
        if let Some(id) = notes.and_then(|notes| in_notes(&notes)) {
            return Some(id);
        }
    }
    None
}

/// Each note is three numbers, a name and a content, both padded to four bytes.
fn in_notes(mut notes: &[u8]) -> Option<Vec<u8>> {
    loop {
        let number = |at| array(notes, at).map(u32::from_ne_bytes);
        let (name, content, kind) = (number(0)? as usize, number(4)? as usize, number(8)?);
        let begin = 12usize.checked_add(name.checked_next_multiple_of(4)?)?;
        let found = notes.get(begin..begin.checked_add(content)?)?;
        if kind == NT_GNU_BUILD_ID && notes.get(12..16) == Some(b"GNU\0") && !found.is_empty() {
            return Some(found.to_vec());
        }
        notes = notes.get(begin.checked_add(content.checked_next_multiple_of(4)?)?..)?;
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn read(file: &File, at: u64, length: u64) -> Option<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).ok()?];
    file.read_exact_at(&mut bytes, at).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(name: &[u8], kind: u32, content: &[u8]) -> Vec<u8> {
        let mut note = Vec::new();
        for number in [name.len() as u32, content.len() as u32, kind] {
            note.extend(number.to_ne_bytes());
        }
        for part in [name, content] {
            note.extend(part);
            note.resize(note.len().next_multiple_of(4), 0);
        }
        note
    }

    #[test]
    fn the_build_id_is_found_and_nonsense_is_none() {
        let id = [1, 2, 3, 4, 5];
        let notes = [note(b"GNU\0", 1, &[9; 6]), note(b"Go\0\0", 3, &[7]), note(b"GNU\0", 3, &id)];
        let notes = notes.concat();
        assert_eq!(in_notes(&notes), Some(id.to_vec()));
        for length in 0..notes.len() - 4 {
            assert_eq!(in_notes(&notes[..length]), None, "cut at {length}");
        }
        assert_eq!(in_notes(&[0xff; 64]), None);
        let mut elf = vec![0; 120];
        elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
        elf[32..40].copy_from_slice(&64u64.to_ne_bytes());
        elf[54..56].copy_from_slice(&56u16.to_ne_bytes());
        elf[56..58].copy_from_slice(&1u16.to_ne_bytes());
        elf[64..68].copy_from_slice(&PT_NOTE.to_ne_bytes());
        elf[72..80].copy_from_slice(&120u64.to_ne_bytes());
        elf[96..104].copy_from_slice(&(notes.len() as u64).to_ne_bytes());
        elf.extend(&notes);
        let path = tempfile::NamedTempFile::new().unwrap();
        let identity = |bytes: &[u8]| {
            std::fs::write(path.path(), bytes).unwrap();
            identity(path.path())
        };
        assert!(identity(&elf).ends_with(" 0102030405"), "{}", identity(&elf));
        for bad in [&elf[..70], &elf[..119], b"\x7fELF", b"", &[0xff; 200]] {
            assert!(identity(bad).contains("bytes of"), "{}", identity(bad));
        }
        elf[32..40].copy_from_slice(&u64::MAX.to_ne_bytes());
        assert!(identity(&elf).contains("bytes of"));
    }
}

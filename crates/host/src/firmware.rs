//! Questions to the firmware of a Raspberry Pi, as `vcgencmd` asks them: by a property of its mailbox,
//! through the kernel's device.
//!
//! Numbers and layout: `drivers/char/broadcom/vcio.c` and `include/soc/bcm2835/raspberrypi-firmware.h` of
//! github.com/raspberrypi/linux, `vcgencmd/vcgencmd.c` of github.com/raspberrypi/utils.

#![expect(unsafe_code, reason = "the kernel takes the mailbox's messages by an ioctl alone")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;

/// The nodes that take such a message; the first takes nothing else, and newer kernels have it.
const NODES: [&str; 2] = ["/dev/vcio_gencmd", "/dev/vcio"];
/// `_IOWR(100, 0, char *)`.
const PROPERTY: u64 = 3 << 30 | (size_of::<*mut u8>() as u64) << 16 | 100 << 8;
/// The property that runs a command and has what it prints.
const GENCMD: u32 = 0x0003_0080;
/// What the firmware sets where it has answered.
const ANSWERED: u32 = 1 << 31;
/// Bytes of a command, and of what it prints.
const TEXT_BYTES: usize = 1024;
/// Words before the text: size of all, status, property, room, length, error.
const HEAD: usize = 6;
/// With the word of zeros that ends a message.
const WORDS: usize = HEAD + TEXT_BYTES / 4 + 1;

/// What the firmware prints for a command, such as `pmic_read_adc`, on this machine.
///
/// # Errors
/// What the operating system says; [`io::ErrorKind::Unsupported`] if the firmware does not know the
/// command.
pub(crate) fn ask(command: &str) -> io::Result<String> {
    let file = File::open(NODES[0]).or_else(|first| {
        // That one is refused says more than that the other is not there.
        File::open(NODES[1]).map_err(|second| match second.kind() {
            io::ErrorKind::NotFound => first,
            _ => second,
        })
    })?;
    let mut words = message(command);
    // SAFETY: the first word says how many bytes the kernel reads and writes from the pointer on, and
    // that is the size of the array, which lives during the call and is lent to nobody else.
    let returned = unsafe { libc::ioctl(file.as_raw_fd(), PROPERTY as _, words.as_mut_ptr()) };
    match returned {
        -1 => Err(io::Error::last_os_error()),
        _ => answer(&words),
    }
}

/// A message with a command, which is cut off where there is no room for it.
fn message(command: &str) -> [u32; WORDS] {
    let mut words = [0; WORDS];
    words[0] = (WORDS * 4) as u32;
    words[2] = GENCMD;
    words[3] = TEXT_BYTES as u32;
    let room = words[HEAD..].iter_mut().take(TEXT_BYTES / 4 - 1);
    for (word, bytes) in room.zip(command.as_bytes().chunks(4)) {
        let mut whole = [0; 4];
        whole[..bytes.len()].copy_from_slice(bytes);
        *word = u32::from_ne_bytes(whole);
    }
    words
}

/// What a message says when the firmware has answered.
fn answer(words: &[u32; WORDS]) -> io::Result<String> {
    if words[1] != ANSWERED || words[4] & ANSWERED == 0 || words[5] != 0 {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let text = words[HEAD..WORDS - 1].iter().flat_map(|word| word.to_ne_bytes());
    let text: Vec<u8> = text.take_while(|byte| *byte != 0).collect();
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_as_the_kernel_takes_them() {
        if size_of::<usize>() == 8 {
            assert_eq!(PROPERTY, 0xc008_6400);
        }
        let mut words = message("pmic_read_adc");
        assert_eq!(words[..6], [1052, 0, 0x0003_0080, 1024, 0, 0]);
        assert_eq!(words[6].to_ne_bytes(), *b"pmic");
        assert_eq!((words[9].to_ne_bytes(), words[10]), (*b"c\0\0\0", 0));
        assert_eq!(answer(&words).unwrap_err().kind(), io::ErrorKind::Unsupported, "no answer");
        words[1] = ANSWERED;
        words[4] = ANSWERED | 14;
        assert_eq!(answer(&words).unwrap(), "pmic_read_adc");
        words[6..WORDS - 1].fill(u32::from_ne_bytes(*b"xxxx"));
        assert_eq!(answer(&words).unwrap().len(), TEXT_BYTES);
        words[5] = 1;
        assert!(answer(&words).is_err(), "an unknown command");
        let long = message(&"x".repeat(3000));
        assert_eq!((long[WORDS - 2], long[WORDS - 1]), (0, 0), "it ends with zeros");
    }
}

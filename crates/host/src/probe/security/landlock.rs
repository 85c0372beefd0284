//! The version of Landlock, which only the kernel itself tells (landlock_create_ruleset(2)).
#![expect(unsafe_code, reason = "a call of the kernel that no safe wrapper has")]

use std::io;

use crate::probe::{Reading, Reason, Tree, Unit};

const SOURCE: &str = "landlock_create_ruleset(2)";
/// `LANDLOCK_CREATE_RULESET_VERSION` of include/uapi/linux/landlock.h.
const ASK_FOR_VERSION: libc::c_uint = 1;

/// The version that the kernel speaks; only of this machine.
pub(super) fn abi(tree: &Tree) -> Reading<u32> {
    let absent = |reason, detail: &str| Reading::absent(reason, detail, Unit::None, SOURCE);
    if !tree.is_this_machine() {
        return absent(Reason::Unsupported, "only the machine's own kernel tells it");
    }
    let nothing = std::ptr::null::<libc::c_void>();
    // SAFETY: with this flag the kernel takes no memory: the pointer must be null and the size zero, and
    // it answers with a number.
    let answer = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, nothing, 0usize, ASK_FOR_VERSION)
    };
    if let Ok(version @ 1..) = u32::try_from(answer) {
        return Reading::new(version, Unit::None, SOURCE);
    }
    match io::Error::last_os_error().raw_os_error() {
        Some(libc::ENOSYS) => absent(Reason::NotFound, "the kernel does not have it"),
        Some(libc::EOPNOTSUPP) => {
            absent(Reason::NotFound, "it is off; `lsm=` on the kernel's command line turns it on")
        }
        Some(libc::EPERM) => absent(Reason::Permission, "a filter forbids to ask"),
        _ => absent(Reason::Unsupported, "the kernel gives no version"),
    }
}

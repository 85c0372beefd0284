//! What NVML answers, as a reason.

use crate::probe::{Absent, Reason};

/// An `nvmlReturn_t` that is not `NVML_SUCCESS`. Numbers: NVML API Reference, "Device Enums".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code(pub(super) i32);

impl Code {
    /// The buffer is too small; the count says how much is needed.
    pub(super) const INSUFFICIENT_SIZE: Self = Self(7);
    /// The library has no such function: a driver that is too old, or too new.
    pub(super) const FUNCTION_NOT_FOUND: Self = Self(13);
    /// An answer that makes no sense.
    pub(super) const UNKNOWN: Self = Self(999);

    /// `Ok` for `NVML_SUCCESS`.
    pub(super) fn check(returned: i32) -> Result<(), Self> {
        if returned == 0 { Ok(()) } else { Err(Self(returned)) }
    }

    /// The reason, in words.
    pub(super) fn absent(self) -> Absent {
        let (reason, detail) = match self.0 {
            1 => (Reason::Driver, "NVML has not been started"),
            2 => (Reason::Unsupported, "NVML does not take this question"),
            3 => (Reason::Unsupported, "this GPU does not tell"),
            4 => (Reason::Permission, "only root may ask NVML for it"),
            5 => (Reason::Driver, "NVML has been started already"),
            6 => (Reason::NotFound, "NVML finds nothing of the kind"),
            7 => (Reason::Damaged, "NVML has more to say than it says"),
            8 => (Reason::Driver, "a power cable of the GPU is not plugged in"),
            9 => (Reason::Driver, "NVIDIA's kernel driver is not loaded"),
            10 => (Reason::Driver, "NVML gave up waiting for the driver"),
            11 => (Reason::Driver, "the driver gets no interrupts from the GPU"),
            12 => (Reason::Driver, "NVML does not find a library that it needs"),
            13 => (Reason::Unsupported, "this version of NVML has no such function"),
            14 => (Reason::Damaged, "the GPU's own data (infoROM) is damaged"),
            15 => (Reason::Driver, "the GPU does not answer on the bus any more"),
            16 => (Reason::Driver, "the GPU must be reset first"),
            17 => (Reason::Permission, "a control group or the system keeps NVML from the GPU"),
            18 => (
                Reason::Driver,
                "NVML and the kernel driver are of different versions: a restart is due",
            ),
            19 => (Reason::Driver, "another program holds the GPU"),
            20 | 23 => (Reason::Driver, "the driver is out of memory"),
            21 => (Reason::NotFound, "the GPU has no data yet"),
            22 => {
                (Reason::Unsupported, "a virtual GPU does not tell while memory is checked (ECC)")
            }
            24 => (Reason::Unsupported, "this GPU has no such clock"),
            25 => (Reason::Unsupported, "this version of NVML knows another form of the question"),
            26 => (Reason::Unsupported, "this version of NVML has given the function up"),
            27 => (Reason::Driver, "the GPU is not ready yet"),
            28 => (Reason::NotFound, "no GPU was found"),
            29 => (Reason::Driver, "the GPU is in no state to tell"),
            30 => (Reason::Unsupported, "this GPU cannot be reset so"),
            _ => {
                return Absent {
                    reason: Reason::Damaged,
                    detail: format!("NVML failed with code {}, which says nothing more", self.0),
                };
            }
        };
        Absent { reason, detail: detail.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All of `nvmlReturn_t` in `nvml.h` of NVML 12.9 but success, as NVIDIA's API reference lists them,
    /// with the reason that follows from what it says there and a word of ours that tells it from
    /// the others.
    const HEADER: [(&str, i32, Reason, &str); 31] = [
        ("UNINITIALIZED", 1, Reason::Driver, "not been started"),
        ("INVALID_ARGUMENT", 2, Reason::Unsupported, "this question"),
        ("NOT_SUPPORTED", 3, Reason::Unsupported, "does not tell"),
        ("NO_PERMISSION", 4, Reason::Permission, "root"),
        ("ALREADY_INITIALIZED", 5, Reason::Driver, "already"),
        ("NOT_FOUND", 6, Reason::NotFound, "finds nothing"),
        ("INSUFFICIENT_SIZE", 7, Reason::Damaged, "more to say"),
        ("INSUFFICIENT_POWER", 8, Reason::Driver, "power cable"),
        ("DRIVER_NOT_LOADED", 9, Reason::Driver, "not loaded"),
        ("TIMEOUT", 10, Reason::Driver, "gave up waiting"),
        ("IRQ_ISSUE", 11, Reason::Driver, "interrupts"),
        ("LIBRARY_NOT_FOUND", 12, Reason::Driver, "library"),
        ("FUNCTION_NOT_FOUND", 13, Reason::Unsupported, "no such function"),
        ("CORRUPTED_INFOROM", 14, Reason::Damaged, "infoROM"),
        ("GPU_IS_LOST", 15, Reason::Driver, "on the bus"),
        ("RESET_REQUIRED", 16, Reason::Driver, "must be reset"),
        ("OPERATING_SYSTEM", 17, Reason::Permission, "control group"),
        ("LIB_RM_VERSION_MISMATCH", 18, Reason::Driver, "versions"),
        ("IN_USE", 19, Reason::Driver, "another program"),
        ("MEMORY", 20, Reason::Driver, "memory"),
        ("NO_DATA", 21, Reason::NotFound, "no data yet"),
        ("VGPU_ECC_NOT_SUPPORTED", 22, Reason::Unsupported, "ECC"),
        ("INSUFFICIENT_RESOURCES", 23, Reason::Driver, "memory"),
        ("FREQ_NOT_SUPPORTED", 24, Reason::Unsupported, "clock"),
        ("ARGUMENT_VERSION_MISMATCH", 25, Reason::Unsupported, "another form"),
        ("DEPRECATED", 26, Reason::Unsupported, "given the function up"),
        ("NOT_READY", 27, Reason::Driver, "not ready"),
        ("GPU_NOT_FOUND", 28, Reason::NotFound, "no GPU"),
        ("INVALID_STATE", 29, Reason::Driver, "no state"),
        ("RESET_TYPE_NOT_SUPPORTED", 30, Reason::Unsupported, "cannot be reset"),
        ("UNKNOWN", 999, Reason::Damaged, "code 999"),
    ];

    #[test]
    fn codes_are_those_of_the_header() {
        assert_eq!(Code::check(0), Ok(()));
        let mut wrong = Vec::new();
        for (name, code, reason, word) in HEADER {
            let absent = Code(code).absent();
            if absent.reason != reason || !absent.detail.contains(word) {
                wrong.push(format!("NVML_ERROR_{name}: {absent:?}"));
            }
        }
        assert_eq!(wrong, Vec::<String>::new());
        let code = |wanted| HEADER.iter().find(|(name, ..)| *name == wanted).unwrap().1;
        assert_eq!(Code::INSUFFICIENT_SIZE.0, code("INSUFFICIENT_SIZE"));
        assert_eq!(Code::FUNCTION_NOT_FOUND.0, code("FUNCTION_NOT_FOUND"));
        assert_eq!(Code::UNKNOWN.0, code("UNKNOWN"));
    }

    #[test]
    fn a_code_that_the_header_does_not_have_is_told_by_its_number() {
        for code in (-3..1100).filter(|code| HEADER.iter().all(|(_, known, ..)| known != code)) {
            if code != 0 {
                let absent = Code(code).absent();
                assert_eq!(absent.reason, Reason::Damaged, "code {code}");
                assert!(absent.detail.contains(&format!("code {code},")), "{absent}");
            }
        }
    }
}

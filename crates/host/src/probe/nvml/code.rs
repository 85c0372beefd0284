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
            25 => (Reason::Unsupported, "this version of NVML knows another form of the question"),
            26 => (Reason::Unsupported, "this version of NVML has given the function up"),
            27 => (Reason::Driver, "the GPU is not ready yet"),
            28 => (Reason::NotFound, "no GPU was found"),
            29 => (Reason::Driver, "the GPU is in no state to tell"),
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

    #[test]
    fn every_code_has_a_reason() {
        assert_eq!(Code::check(0), Ok(()));
        let reason = |code| Code(code).absent().reason;
        for (code, expected) in [
            (3, Reason::Unsupported),
            (4, Reason::Permission),
            (9, Reason::Driver),
            (12, Reason::Driver),
            (13, Reason::Unsupported),
            (17, Reason::Permission),
            (18, Reason::Driver),
            (999, Reason::Damaged),
            (-5, Reason::Damaged),
        ] {
            assert_eq!(reason(code), expected, "code {code}");
        }
        for code in -3..1100 {
            assert!(!Code(code).absent().detail.is_empty(), "code {code}");
        }
    }
}

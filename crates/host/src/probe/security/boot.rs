//! How the machine started: UEFI Secure Boot and the TPM.

use serde::Serialize;

use crate::probe::{Reading, Reason, Tree, Unit};

/// The variables of the UEFI Specification, section 3.3, with `EFI_GLOBAL_VARIABLE`.
const VARIABLES: &str = "sys/firmware/efi/efivars";
const GUID: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";

/// How the machine started.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Boot {
    /// Whether the firmware starts signed programs only.
    pub secure_boot: Reading<bool>,
    /// Whether the firmware takes new keys without a signature.
    pub setup_mode: Reading<bool>,
    /// The version of the TPM: 1 or 2.
    pub tpm: Reading<u32>,
}

impl Boot {
    pub(super) fn read(tree: &Tree) -> Self {
        let tpm = tree.number("sys/class/tpm/tpm0/tpm_version_major", Unit::None);
        let tpm = match &tpm.value {
            Err(absent) if absent.reason == Reason::NotFound => {
                let detail = match tree.exists("sys/class/tpm/tpm0") {
                    // The file is there since Linux 5.6.
                    true => "there is one, but the kernel does not tell its version",
                    false => "there is none, or its driver is missing",
                };
                Reading::absent(Reason::NotFound, detail, Unit::None, "sys/class/tpm/tpm0")
            }
            _ => tpm,
        };
        Self {
            secure_boot: variable(tree, "SecureBoot"),
            setup_mode: variable(tree, "SetupMode"),
            tpm,
        }
    }
}

/// Four bytes of attributes, then the value (Documentation/filesystems/efivarfs.rst).
fn variable(tree: &Tree, name: &str) -> Reading<bool> {
    let path = format!("{VARIABLES}/{name}-{GUID}");
    let absent = |reason, detail: &str| Reading::absent(reason, detail, Unit::None, path.as_str());
    match tree.bytes(&path) {
        Ok(bytes) => match bytes.get(4) {
            Some(0) => Reading::new(false, Unit::None, path.as_str()),
            Some(1) => Reading::new(true, Unit::None, path.as_str()),
            _ => absent(Reason::Damaged, "the variable has no value of 0 or 1"),
        },
        Err(_) if !tree.exists("sys/firmware/efi") => {
            absent(Reason::NotFound, "the machine was not started by UEFI")
        }
        Err(error) => {
            let why = crate::probe::Absent::from_io(&error);
            absent(why.reason, &why.detail)
        }
    }
}

//! Names of ARM cores.
//!
//! The numbers are fields of `MIDR_EL1`, as the technical reference manual of each core gives them
//! and `arch/arm64/include/asm/cputype.h` of Linux lists them.

/// The name of a core, or its numbers if it is not in the table.
pub(super) fn name(implementer: u32, part: u32) -> String {
    let known = PARTS.iter().find(|row| (row.0, row.1) == (implementer, part));
    match known {
        Some(row) => row.2.to_owned(),
        None => format!("core {part:#05x} of maker {implementer:#04x}"),
    }
}

const ARM: u32 = 0x41;
const FUJITSU: u32 = 0x46;
const HISILICON: u32 = 0x48;
const NVIDIA: u32 = 0x4e;
const QUALCOMM: u32 = 0x51;
const APPLE: u32 = 0x61;
const AMPERE: u32 = 0xc0;

const PARTS: [(u32, u32, &str); 48] = [
    (ARM, 0xc07, "Cortex-A7"),
    (ARM, 0xc0f, "Cortex-A15"),
    (ARM, 0xd03, "Cortex-A53"),
    (ARM, 0xd04, "Cortex-A35"),
    (ARM, 0xd05, "Cortex-A55"),
    (ARM, 0xd06, "Cortex-A65"),
    (ARM, 0xd07, "Cortex-A57"),
    (ARM, 0xd08, "Cortex-A72"),
    (ARM, 0xd09, "Cortex-A73"),
    (ARM, 0xd0a, "Cortex-A75"),
    (ARM, 0xd0b, "Cortex-A76"),
    (ARM, 0xd0c, "Neoverse-N1"),
    (ARM, 0xd0d, "Cortex-A77"),
    (ARM, 0xd0e, "Cortex-A76AE"),
    (ARM, 0xd40, "Neoverse-V1"),
    (ARM, 0xd41, "Cortex-A78"),
    (ARM, 0xd42, "Cortex-A78AE"),
    (ARM, 0xd43, "Cortex-A65AE"),
    (ARM, 0xd44, "Cortex-X1"),
    (ARM, 0xd46, "Cortex-A510"),
    (ARM, 0xd47, "Cortex-A710"),
    (ARM, 0xd48, "Cortex-X2"),
    (ARM, 0xd49, "Neoverse-N2"),
    (ARM, 0xd4a, "Neoverse-E1"),
    (ARM, 0xd4b, "Cortex-A78C"),
    (ARM, 0xd4c, "Cortex-X1C"),
    (ARM, 0xd4d, "Cortex-A715"),
    (ARM, 0xd4e, "Cortex-X3"),
    (ARM, 0xd4f, "Neoverse-V2"),
    (ARM, 0xd80, "Cortex-A520"),
    (ARM, 0xd81, "Cortex-A720"),
    (ARM, 0xd82, "Cortex-X4"),
    (ARM, 0xd83, "Neoverse-V3AE"),
    (ARM, 0xd84, "Neoverse-V3"),
    (ARM, 0xd85, "Cortex-X925"),
    (ARM, 0xd87, "Cortex-A725"),
    (ARM, 0xd89, "Cortex-A720AE"),
    (ARM, 0xd8e, "Neoverse-N3"),
    (FUJITSU, 0x001, "A64FX"),
    (HISILICON, 0xd01, "TSV110"),
    (NVIDIA, 0x003, "Denver 2"),
    (NVIDIA, 0x004, "Carmel"),
    (NVIDIA, 0x010, "Olympus"),
    (QUALCOMM, 0x001, "Oryon"),
    (APPLE, 0x022, "Icestorm"),
    (APPLE, 0x023, "Firestorm"),
    (AMPERE, 0xac3, "AmpereOne"),
    (AMPERE, 0xac4, "AmpereOne A"),
];

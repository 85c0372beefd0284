//! The version of the program that runs in a device, where its driver tells it.

use super::name::clean;
use crate::probe::{Reading, Reason, Tree, Unit};

/// Drivers, and the file of their devices that tells it: `drivers/accel/amdxdna/amdxdna_sysfs.c`,
/// `drivers/gpu/drm/amd/amdgpu/amdgpu_atombios.c`.
const FILES: [(&str, &str); 2] = [("amdxdna", "fw_version"), ("amdgpu", "vbios_version")];

/// What the driver of the device in a folder says.
pub(super) fn read(tree: &Tree, driver: Option<&str>, device: Option<&str>) -> Reading<String> {
    let Some(driver) = driver else {
        let detail = "no driver is bound to it";
        return Reading::absent(Reason::Driver, detail, Unit::None, "sys");
    };
    let file = FILES.iter().find(|(name, _)| *name == driver).map(|(_, file)| file);
    match (file, device) {
        (Some(file), Some(device)) => {
            tree.text(format!("{device}/{file}")).check(Unit::None, |text| {
                Some(clean(&text)).filter(|text| !text.is_empty()).ok_or("it is empty".to_owned())
            })
        }
        _ => untold(driver),
    }
}

/// Why it is not told by devices of a driver that shows it in no file.
pub(super) fn untold(driver: &str) -> Reading<String> {
    let detail = match driver {
        "hailo" | "hailo1x" => super::meters::BY_HAILORT,
        _ => "the driver does not show it in files",
    };
    Reading::absent(Reason::Unsupported, detail, Unit::None, "sys")
}

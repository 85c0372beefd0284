//! NVIDIA's management library, loaded at run time: the functions that are called, and safe calls of
//! them.
//!
//! Types and numbers are those of the NVML API Reference. The library is native code of the driver:
//! it is trusted to follow its own reference, as the kernel driver is, but no count, text or number
//! that it answers is. Functions that a version lacks are like functions that answer
//! `NVML_ERROR_FUNCTION_NOT_FOUND`.
#![expect(unsafe_code, reason = "a library of the driver is loaded and its C functions are called")]

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_ulonglong, c_void};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::ptr::NonNull;

use super::code::Code;
use crate::probe::{Absent, Reason};

/// Bytes of a text, at most: `NVML_DEVICE_NAME_V2_BUFFER_SIZE` and `NVML_DEVICE_UUID_V2_BUFFER_SIZE`
/// are 96, `NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE` is 80.
const TEXT_BYTES: usize = 96;
/// Processes of a GPU, at most.
const MOST_PROCESSES: usize = 4096;

/// `nvmlMemory_t`, bytes.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(super) struct Memory {
    pub(super) total: c_ulonglong,
    pub(super) free: c_ulonglong,
    pub(super) used: c_ulonglong,
}

/// `nvmlUtilization_t`, per cent of the last sampling period.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(super) struct Utilization {
    pub(super) gpu: c_uint,
    pub(super) memory: c_uint,
}

/// `nvmlPciInfo_t` of `nvmlDeviceGetPciInfo_v3`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(super) struct PciInfo {
    bus_id_legacy: [u8; 16],
    pub(super) domain: c_uint,
    pub(super) bus: c_uint,
    pub(super) device: c_uint,
    pci_device_id: c_uint,
    pci_subsystem_id: c_uint,
    bus_id: [u8; 32],
}

/// `nvmlProcessInfo_t` of `nvmlDeviceGetComputeRunningProcesses_v2` and `_v3`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(super) struct Process {
    pub(super) pid: c_uint,
    /// Bytes; all ones if the driver cannot tell.
    pub(super) used_bytes: c_ulonglong,
    gpu_instance: c_uint,
    compute_instance: c_uint,
}

/// `nvmlTemperatureSensors_t`: the GPU's die.
const TEMPERATURE_GPU: c_uint = 0;
/// `nvmlClockType_t`: the streaming multiprocessors.
const CLOCK_SM: c_uint = 1;

/// `nvmlDevice_t`, which NVML hands out and takes.
#[derive(Clone, Copy)]
pub(super) struct Device(NonNull<c_void>);

type Handle = *mut c_void;

macro_rules! functions {
    ($($field:ident: $name:literal ($($argument:ty),*);)*) => {
        /// The functions, where the library has them.
        struct Functions {
            $($field: Option<unsafe extern "C" fn($($argument),*) -> c_int>,)*
        }

        impl Functions {
            fn find(library: NonNull<c_void>) -> Self {
                Self {
                    $($field: {
                        let found = symbol(library, $name);
                        // SAFETY: it is a function of the type that the NVML API Reference gives for
                        // the name, and `Option` of a function has the null pointer as `None`. The
                        // library is never unloaded.
                        unsafe { std::mem::transmute::<Handle, Option<unsafe extern "C" fn($($argument),*) -> c_int>>(found) }
                    },)*
                }
            }
        }
    };
}

functions! {
    init: c"nvmlInit_v2" ();
    shutdown: c"nvmlShutdown" ();
    driver_version: c"nvmlSystemGetDriverVersion" (*mut c_char, c_uint);
    count: c"nvmlDeviceGetCount_v2" (*mut c_uint);
    device: c"nvmlDeviceGetHandleByIndex_v2" (c_uint, *mut Handle);
    name: c"nvmlDeviceGetName" (Handle, *mut c_char, c_uint);
    uuid: c"nvmlDeviceGetUUID" (Handle, *mut c_char, c_uint);
    pci: c"nvmlDeviceGetPciInfo_v3" (Handle, *mut PciInfo);
    memory: c"nvmlDeviceGetMemoryInfo" (Handle, *mut Memory);
    utilization: c"nvmlDeviceGetUtilizationRates" (Handle, *mut Utilization);
    temperature: c"nvmlDeviceGetTemperature" (Handle, c_uint, *mut c_uint);
    power: c"nvmlDeviceGetPowerUsage" (Handle, *mut c_uint);
    energy: c"nvmlDeviceGetTotalEnergyConsumption" (Handle, *mut c_ulonglong);
    clock: c"nvmlDeviceGetClockInfo" (Handle, c_uint, *mut c_uint);
    clock_max: c"nvmlDeviceGetMaxClockInfo" (Handle, c_uint, *mut c_uint);
    processes: c"nvmlDeviceGetComputeRunningProcesses_v3" (Handle, *mut c_uint, *mut Process);
    processes_v2: c"nvmlDeviceGetComputeRunningProcesses_v2" (Handle, *mut c_uint, *mut Process);
}

/// NVML, loaded and started; stopped when dropped, but never unloaded.
pub(super) struct Library {
    functions: Functions,
}

impl Library {
    /// Loads the library at `path`, or found by its name, and starts it.
    pub(super) fn start(path: &Path) -> Result<Self, Absent> {
        if cfg!(target_feature = "crt-static") {
            return Err(Absent {
                reason: Reason::Unsupported,
                detail: "a static binary cannot load libraries: the build for glibc can".to_owned(),
            });
        }
        let library = load(path)?;
        let functions = Functions::find(library);
        let Some(init) = functions.init else {
            return Err(Absent {
                reason: Reason::Driver,
                detail: format!("`{}` has no `nvmlInit_v2`: it is no NVML", path.display()),
            });
        };
        // SAFETY: it takes nothing and may be called at any time.
        let returned = unsafe { init() };
        Code::check(returned).map_err(Code::absent)?;
        Ok(Self { functions })
    }

    /// The version of the kernel driver.
    pub(super) fn driver_version(&self) -> Result<String, Code> {
        let call = self.functions.driver_version.ok_or(Code::FUNCTION_NOT_FOUND)?;
        text(|buffer, length| {
            // SAFETY: `buffer` has `length` bytes.
            unsafe { call(buffer, length) }
        })
    }

    /// How many GPUs there are.
    pub(super) fn count(&self) -> Result<u32, Code> {
        let call = self.functions.count.ok_or(Code::FUNCTION_NOT_FOUND)?;
        // SAFETY: `to` is a number to write to.
        value(|to| unsafe { call(to) })
    }

    /// The GPU `index`, counted from 0.
    pub(super) fn device(&self, index: u32) -> Result<Device, Code> {
        let call = self.functions.device.ok_or(Code::FUNCTION_NOT_FOUND)?;
        let mut handle: Handle = std::ptr::null_mut();
        // SAFETY: `handle` is a place to write to.
        let returned = unsafe { call(index, &raw mut handle) };
        Code::check(returned)?;
        NonNull::new(handle).map(Device).ok_or(Code::UNKNOWN)
    }

    /// The product's name.
    pub(super) fn name(&self, device: Device) -> Result<String, Code> {
        let call = self.functions.name.ok_or(Code::FUNCTION_NOT_FOUND)?;
        text(|buffer, length| {
            // SAFETY: the handle is NVML's, and `buffer` has `length` bytes.
            unsafe { call(device.0.as_ptr(), buffer, length) }
        })
    }

    /// The number that this one GPU has in the world.
    pub(super) fn uuid(&self, device: Device) -> Result<String, Code> {
        let call = self.functions.uuid.ok_or(Code::FUNCTION_NOT_FOUND)?;
        text(|buffer, length| {
            // SAFETY: the handle is NVML's, and `buffer` has `length` bytes.
            unsafe { call(device.0.as_ptr(), buffer, length) }
        })
    }

    /// Where it is on the bus.
    pub(super) fn pci(&self, device: Device) -> Result<PciInfo, Code> {
        let call = self.functions.pci.ok_or(Code::FUNCTION_NOT_FOUND)?;
        // SAFETY: the handle is NVML's, and `to` is an `nvmlPciInfo_t`.
        value(|to| unsafe { call(device.0.as_ptr(), to) })
    }

    /// Its memory.
    pub(super) fn memory(&self, device: Device) -> Result<Memory, Code> {
        let call = self.functions.memory.ok_or(Code::FUNCTION_NOT_FOUND)?;
        // SAFETY: the handle is NVML's, and `to` is an `nvmlMemory_t`.
        value(|to| unsafe { call(device.0.as_ptr(), to) })
    }

    /// How busy it is.
    pub(super) fn utilization(&self, device: Device) -> Result<Utilization, Code> {
        let call = self.functions.utilization.ok_or(Code::FUNCTION_NOT_FOUND)?;
        // SAFETY: the handle is NVML's, and `to` is an `nvmlUtilization_t`.
        value(|to| unsafe { call(device.0.as_ptr(), to) })
    }

    /// Degrees Celsius of the die.
    pub(super) fn temperature(&self, device: Device) -> Result<u32, Code> {
        let call = self.functions.temperature.ok_or(Code::FUNCTION_NOT_FOUND)?;
        // SAFETY: the handle is NVML's, and `to` is a number to write to.
        value(|to| unsafe { call(device.0.as_ptr(), TEMPERATURE_GPU, to) })
    }

    /// Milliwatts of the board.
    pub(super) fn power(&self, device: Device) -> Result<u32, Code> {
        let call = self.functions.power.ok_or(Code::FUNCTION_NOT_FOUND)?;
        // SAFETY: the handle is NVML's, and `to` is a number to write to.
        value(|to| unsafe { call(device.0.as_ptr(), to) })
    }

    /// Millijoules since the driver was loaded.
    pub(super) fn energy(&self, device: Device) -> Result<u64, Code> {
        let call = self.functions.energy.ok_or(Code::FUNCTION_NOT_FOUND)?;
        // SAFETY: the handle is NVML's, and `to` is a number to write to.
        value(|to| unsafe { call(device.0.as_ptr(), to) })
    }

    /// Megahertz of the multiprocessors, now.
    pub(super) fn clock(&self, device: Device) -> Result<u32, Code> {
        let call = self.functions.clock.ok_or(Code::FUNCTION_NOT_FOUND)?;
        // SAFETY: the handle is NVML's, and `to` is a number to write to.
        value(|to| unsafe { call(device.0.as_ptr(), CLOCK_SM, to) })
    }

    /// Megahertz of the multiprocessors, at most.
    pub(super) fn clock_max(&self, device: Device) -> Result<u32, Code> {
        let call = self.functions.clock_max.ok_or(Code::FUNCTION_NOT_FOUND)?;
        // SAFETY: the handle is NVML's, and `to` is a number to write to.
        value(|to| unsafe { call(device.0.as_ptr(), CLOCK_SM, to) })
    }

    /// The processes that compute on it.
    pub(super) fn processes(&self, device: Device) -> Result<Vec<Process>, Code> {
        let call = self.functions.processes.or(self.functions.processes_v2);
        let call = call.ok_or(Code::FUNCTION_NOT_FOUND)?;
        let mut room = 64;
        loop {
            let mut found = vec![Process::default(); room];
            let mut count = c_uint::try_from(room).map_err(|_| Code::UNKNOWN)?;
            // SAFETY: the handle is NVML's, and `found` has as many entries as `count` says.
            let returned = unsafe { call(device.0.as_ptr(), &raw mut count, found.as_mut_ptr()) };
            match Code::check(returned) {
                Err(Code::INSUFFICIENT_SIZE) if room < MOST_PROCESSES => {
                    room = (count as usize).clamp(room * 2, MOST_PROCESSES);
                }
                Err(code) => return Err(code),
                Ok(()) => {
                    found.truncate(count as usize);
                    // A count beyond what was written leaves entries as they were made.
                    found.retain(|process| process.pid != 0);
                    return Ok(found);
                }
            }
        }
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        if let Some(shutdown) = self.functions.shutdown {
            // SAFETY: it takes nothing; it undoes the `nvmlInit_v2` of `start`.
            let _ = unsafe { shutdown() };
        }
    }
}

/// What a function writes to its last argument.
fn value<T: Default>(call: impl FnOnce(*mut T) -> c_int) -> Result<T, Code> {
    let mut value = T::default();
    Code::check(call(&raw mut value))?;
    Ok(value)
}

/// The text that a function writes to a buffer, up to the first zero or the buffer's end.
fn text(call: impl FnOnce(*mut c_char, c_uint) -> c_int) -> Result<String, Code> {
    let mut buffer = [0_u8; TEXT_BYTES];
    Code::check(call(buffer.as_mut_ptr().cast(), TEXT_BYTES as c_uint))?;
    let end = buffer.iter().position(|byte| *byte == 0).unwrap_or(TEXT_BYTES);
    let text = String::from_utf8_lossy(&buffer[..end]);
    Ok(text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect())
}

/// Loads the library, for good.
fn load(path: &Path) -> Result<NonNull<c_void>, Absent> {
    let name = CString::new(path.as_os_str().as_bytes()).map_err(|_| Absent {
        reason: Reason::Damaged,
        detail: format!("`{}` is no path", path.display()),
    })?;
    // SAFETY: `name` ends with a zero. Its initialisers run, as those of the driver's other libraries.
    let library = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    NonNull::new(library).ok_or_else(|| {
        let words = dl_error();
        let detail = if words.contains("No such file") {
            format!("`{}` is not on this machine: it comes with NVIDIA's driver", path.display())
        } else {
            format!("`{}` cannot be loaded: {words}", path.display())
        };
        Absent { reason: Reason::Driver, detail }
    })
}

/// Where the library has `name`, or null.
fn symbol(library: NonNull<c_void>, name: &CStr) -> Handle {
    // SAFETY: the library is loaded, and `name` ends with a zero.
    unsafe { libc::dlsym(library.as_ptr(), name.as_ptr()) }
}

/// What the loader says about its last failure.
fn dl_error() -> String {
    // SAFETY: it may be called at any time.
    let words = unsafe { libc::dlerror() };
    if words.is_null() {
        return "the loader does not say why".to_owned();
    }
    // SAFETY: it is a text that stays until the next call of the loader on this thread.
    let words = unsafe { CStr::from_ptr(words) };
    words.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layouts_are_those_of_the_reference() {
        assert_eq!(size_of::<Memory>(), 24);
        assert_eq!(size_of::<Utilization>(), 8);
        assert_eq!(size_of::<PciInfo>(), 68);
        assert_eq!(size_of::<Process>(), 24);
        assert_eq!(std::mem::offset_of!(Process, used_bytes), 8);
        assert_eq!(std::mem::offset_of!(PciInfo, domain), 16);
    }
}

//! GPUs, NPUs and TPUs: what is there, whether this process could use it, and what is missing.
//!
//! That a device is there is what the kernel says in `/sys`. That it could be used is another thing:
//! a driver is bound, its device node opens, and a library that speaks to it is installed. Nothing is
//! opened or tried to find that out.

mod class;
mod driver;
mod fdinfo;
mod find;
mod firmware;
mod library;
mod meters;
mod name;
mod node;
mod pci;
mod sampler;
mod soc;
mod uses;
mod verdict;

use serde::Serialize;

pub use library::Library;
pub use node::{Node, NodeState};
pub use sampler::{AcceleratorSample, AcceleratorSampler, ProcessUse};

use super::nvml::NvmlReport;
use super::{Reading, Tree};

/// What this machine has beside its CPU, and what programs reach it with.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Accelerators {
    /// The devices, GPUs first, those with a driver before those without.
    pub devices: Vec<Accelerator>,
    /// OpenCL drivers that are registered (`/etc/OpenCL/vendors`).
    pub opencl: Vec<String>,
    /// Vulkan drivers that are registered (`icd.d`).
    pub vulkan: Vec<String>,
}

/// A device that computes beside the CPU.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Accelerator {
    /// What it is.
    pub kind: AcceleratorKind,
    /// Who makes it.
    pub vendor: String,
    /// What it is called, as far as the machine says.
    pub name: String,
    /// Where it is: a PCI slot, a USB port, or the name of a part of the chip.
    pub address: Option<String>,
    /// The kernel driver that is bound to it.
    pub driver: Option<String>,
    /// The version of the program that runs in it.
    pub firmware: Reading<String>,
    /// Its device nodes.
    pub nodes: Vec<Node>,
    /// The libraries that speak to it, found or not.
    pub libraries: Vec<Library>,
    /// How far it is from being used.
    pub state: AcceleratorState,
    /// What is missing, in one sentence without a full stop; `None` if nothing is known to be.
    pub missing: Option<String>,
    /// The backend of rushlight that could use it today.
    pub backend: Option<&'static str>,
    /// About the backend, in a few words.
    pub backend_note: String,
    /// Whether it computes in the memory of the CPU; `None` if the driver does not show it.
    pub shares_memory: Option<bool>,
    #[serde(skip)]
    place: Place,
}

/// What a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AcceleratorKind {
    /// Graphics and general computing.
    Gpu,
    /// Neural networks only.
    Npu,
    /// Google's.
    Tpu,
}

/// How far a device is from being used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AcceleratorState {
    /// Its driver, nodes and a library are there. It has not been tried.
    Ready,
    /// No library that speaks to it was found.
    NoLibrary,
    /// This user may not open its node.
    NoPermission,
    /// It has a driver, but no node below `/dev`.
    NoNode,
    /// No driver is bound to it that would let programs use it.
    NoDriver,
}

/// Where its readings are, below the root.
#[derive(Clone, Debug, Default, PartialEq)]
struct Place {
    /// The folder of the device, such as `sys/class/drm/card0/device`.
    device: Option<String>,
    /// The folder of its DRM card, such as `sys/class/drm/card0`.
    card: Option<String>,
    /// Its folder in `sys/class/devfreq`.
    devfreq: Option<String>,
    /// Its folder in another class, such as `sys/class/apex/apex_0`.
    class: Option<String>,
}

impl Accelerators {
    /// What the files say.
    pub fn read(tree: &Tree) -> Self {
        Self {
            devices: find::find(tree),
            opencl: library::opencl_drivers(tree),
            vulkan: library::vulkan_drivers(tree),
        }
    }

    /// Adds what NVML says: names of GPUs that the files do not tell, and GPUs that they do not show.
    pub fn add_nvml(&mut self, report: &NvmlReport) {
        for gpu in &report.gpus {
            let Some(name) = gpu.name.get() else { continue };
            let address = gpu.address.get();
            let of_nvidia = |device: &&mut Accelerator| device.vendor == driver::NVIDIA;
            // A Jetson has one GPU and does not tell where.
            let is_it =
                |device: &&mut Accelerator| address.is_none() || device.address.as_ref() == address;
            let mut devices = self.devices.iter_mut().filter(of_nvidia);
            match devices.find(is_it) {
                Some(device) => device.name.clone_from(name),
                None => self.devices.push(Accelerator::of_nvml(name, address)),
            }
        }
    }
}

impl Accelerator {
    /// A GPU that NVML sees and the files do not show, as in some virtual machines.
    fn of_nvml(name: &str, address: Option<&String>) -> Self {
        let row = driver::driver("nvidia");
        Self {
            kind: AcceleratorKind::Gpu,
            vendor: driver::NVIDIA.to_owned(),
            name: name::clean(name),
            address: address.cloned(),
            driver: Some("nvidia".to_owned()),
            firmware: firmware::untold("nvidia"),
            nodes: Vec::new(),
            libraries: Vec::new(),
            state: AcceleratorState::Ready,
            missing: None,
            backend: None,
            backend_note: driver::note(row),
            shares_memory: Some(false),
            place: Place::default(),
        }
    }
}

impl AcceleratorKind {
    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            AcceleratorKind::Gpu => "GPU",
            AcceleratorKind::Npu => "NPU",
            AcceleratorKind::Tpu => "TPU",
        }
    }
}

#[cfg(test)]
mod tests;

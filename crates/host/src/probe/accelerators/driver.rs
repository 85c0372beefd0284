//! What is known of each kernel driver: what its devices are and what speaks to them.
//!
//! Names of drivers: `drivers/gpu/drm`, `drivers/accel` and `drivers/misc` of Linux 6.18; out of its
//! tree those of NVIDIA (`nvidia`, `nvgpu`), Arm and Rockchip (`mali`, `RKNPU`), Hailo and Google.

use super::AcceleratorKind::{self, Gpu, Npu, Tpu};

pub(super) const NVIDIA: &str = "NVIDIA";

/// A kernel driver.
pub(super) struct Driver {
    /// Its names: of the module, or what `/sys` calls it.
    pub(super) names: &'static [&'static str],
    pub(super) kind: AcceleratorKind,
    pub(super) vendor: &'static str,
    /// What its devices are called where nothing else says.
    pub(super) what: &'static str,
    /// The libraries that programs reach it with.
    pub(super) needs: &'static [Need],
    /// The group that owns the node where udev has its usual rules.
    pub(super) group: &'static str,
    pub(super) shares_memory: Option<bool>,
    /// How rushlight is to use it one day.
    pub(super) planned: &'static str,
    /// What is to be said of it even if all is there.
    pub(super) remark: Option<&'static str>,
}

/// A library, by the beginnings of the names that it may have.
pub(super) struct Need {
    pub(super) names: &'static [&'static str],
    pub(super) what: &'static str,
    /// Whether programs can compute with it alone.
    pub(super) suffices: bool,
}

const CUDA: Need = Need { names: &["libcuda.so.1"], what: "CUDA", suffices: true };
const NVML: Need = Need { names: &["libnvidia-ml.so.1"], what: "NVML", suffices: false };
const OPENCL: Need = Need { names: &["libOpenCL.so.1"], what: "OpenCL", suffices: true };
const LEVEL_ZERO: Need = Need { names: &["libze_loader.so.1"], what: "Level Zero", suffices: true };
const HIP: Need = Need { names: &["libamdhip64.so."], what: "ROCm", suffices: true };
const XRT: Need =
    Need { names: &["libxrt_driver_xdna.so.", "libxrt_coreutil.so."], what: "XRT", suffices: true };
const TEFLON: Need = Need { names: &["libteflon.so"], what: "Teflon", suffices: true };
const RKNN: Need = Need { names: &["librknnrt.so"], what: "RKNN", suffices: true };
const HAILORT: Need = Need { names: &["libhailort.so."], what: "HailoRT", suffices: true };
const FASTRPC: Need = Need { names: &["libcdsprpc.so"], what: "FastRPC", suffices: true };
const EDGETPU: Need = Need { names: &["libedgetpu.so.1"], what: "libedgetpu", suffices: true };
const QAIC: Need = Need { names: &["libQAic.so"], what: "Cloud AI", suffices: true };
const SYNAPSE: Need = Need { names: &["libSynapse.so"], what: "SynapseAI", suffices: true };

const BY_CUDA: &str = "CUDA is planned";
const BY_OPENCL: &str = "OpenCL is planned";
const BY_ONNX: &str = "ONNX Runtime in a process of its own is planned";
const BY_OPENVINO: &str = "OpenVINO in a process of its own is planned";
const BY_LITERT: &str = "LiteRT in a process of its own is planned";
const NOT_PLANNED: &str = "no backend is planned";

/// A GPU of a system on a chip, reached by OpenCL.
const fn soc(names: &'static [&'static str], vendor: &'static str, what: &'static str) -> Driver {
    Driver {
        names,
        kind: Gpu,
        vendor,
        what,
        needs: &[OPENCL],
        group: "render",
        shares_memory: Some(true),
        planned: BY_OPENCL,
        remark: None,
    }
}

/// An NPU.
const fn npu(
    names: &'static [&'static str],
    vendor: &'static str,
    what: &'static str,
    needs: &'static [Need],
    planned: &'static str,
) -> Driver {
    Driver {
        names,
        kind: Npu,
        vendor,
        what,
        needs,
        group: "render",
        shares_memory: Some(true),
        planned,
        remark: None,
    }
}

/// All that are known.
static DRIVERS: &[Driver] = &[
    Driver {
        names: &["nvidia"],
        kind: Gpu,
        vendor: NVIDIA,
        what: "NVIDIA GPU",
        needs: &[CUDA, NVML],
        group: "video",
        shares_memory: Some(false),
        planned: BY_CUDA,
        remark: None,
    },
    Driver {
        needs: &[CUDA, NVML],
        group: "video",
        planned: BY_CUDA,
        ..soc(&["nvgpu", "gk20a", "gp10b", "gv11b", "ga10b"], NVIDIA, "Jetson GPU")
    },
    Driver {
        shares_memory: Some(false),
        remark: Some("the driver `nouveau` is bound, and CUDA needs NVIDIA's own"),
        ..soc(&["nouveau", "nova"], NVIDIA, "NVIDIA GPU")
    },
    Driver {
        needs: &[OPENCL, HIP],
        shares_memory: None,
        ..soc(&["amdgpu", "radeon"], "AMD", "AMD GPU")
    },
    Driver {
        needs: &[OPENCL, LEVEL_ZERO],
        shares_memory: None,
        ..soc(&["i915", "xe"], "Intel", "Intel GPU")
    },
    soc(&["panthor", "panfrost", "lima"], "Arm", "Mali GPU"),
    Driver { group: "video", ..soc(&["mali"], "Arm", "Mali GPU") },
    soc(&["msm", "msm_dpu", "msm_mdp", "msm-mdss", "adreno"], "Qualcomm", "Adreno GPU"),
    Driver { group: "video", ..soc(&["kgsl", "kgsl-3d"], "Qualcomm", "Adreno GPU") },
    soc(&["v3d", "vc4-drm"], "Broadcom", "VideoCore GPU"),
    soc(&["etnaviv"], "VeriSilicon", "Vivante GPU"),
    soc(&["powervr"], "Imagination", "PowerVR GPU"),
    soc(&["asahi"], "Apple", "Apple GPU"),
    npu(&["intel_vpu"], "Intel", "Intel NPU", &[LEVEL_ZERO], BY_OPENVINO),
    npu(&["amdxdna"], "AMD", "AMD XDNA NPU", &[XRT], BY_ONNX),
    npu(&["rocket"], "Rockchip", "Rockchip NPU", &[TEFLON], BY_LITERT),
    npu(&["RKNPU", "rknpu"], "Rockchip", "Rockchip NPU", &[RKNN], NOT_PLANNED),
    npu(&["ethosu"], "Arm", "Ethos-U NPU", &[TEFLON], BY_LITERT),
    npu(&["fastrpc", "qcom,fastrpc"], "Qualcomm", "Hexagon NPU", &[FASTRPC], BY_ONNX),
    Driver {
        shares_memory: Some(false),
        ..npu(&["qaic"], "Qualcomm", "Cloud AI 100", &[QAIC], NOT_PLANNED)
    },
    Driver {
        shares_memory: Some(false),
        ..npu(&["habanalabs"], "Intel", "Gaudi", &[SYNAPSE], NOT_PLANNED)
    },
    Driver {
        shares_memory: Some(false),
        group: "root",
        ..npu(&["hailo", "hailo1x"], "Hailo", "Hailo NPU", &[HAILORT], NOT_PLANNED)
    },
    Driver {
        kind: Tpu,
        group: "apex",
        shares_memory: Some(false),
        ..npu(&["apex"], "Google", "Coral Edge TPU", &[EDGETPU], BY_LITERT)
    },
    Driver {
        kind: Tpu,
        group: "plugdev",
        shares_memory: Some(false),
        ..npu(&["usbfs"], "Google", "Coral USB Accelerator", &[EDGETPU], BY_LITERT)
    },
];

/// Drivers of displays, which have render nodes on some chips but compute nothing.
static DISPLAYS: &[&str] =
    &["nv_platform", "tegra-host1x", "host1x_drm", "tegra-drm", "drm", "vgem"];

/// What is known of the driver `name`.
pub(super) fn driver(name: &str) -> Option<&'static Driver> {
    DRIVERS.iter().find(|driver| driver.names.contains(&name))
}

/// What is said of the backend of a driver's devices.
pub(super) fn note(driver: Option<&Driver>) -> String {
    format!("none yet: {}", driver.map_or(NOT_PLANNED, |driver| driver.planned))
}

/// Whether the driver's devices are no more than displays.
pub(super) fn is_display(name: &str) -> bool {
    DISPLAYS.contains(&name)
}

/// The beginnings of the names of all libraries.
pub(super) fn library_names() -> impl Iterator<Item = &'static str> {
    DRIVERS.iter().flat_map(|driver| driver.needs).flat_map(|need| need.names).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_given_twice_and_each_has_a_library_that_suffices() {
        let mut names: Vec<&str> = DRIVERS.iter().flat_map(|d| d.names).copied().collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        for driver in DRIVERS {
            assert!(driver.needs.iter().any(|need| need.suffices), "{}", driver.what);
        }
    }
}

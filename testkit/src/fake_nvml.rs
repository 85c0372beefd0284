//! A stand-in for NVIDIA's management library, compiled when a test asks for it with the C compiler
//! that Rust links with.

use std::path::{Path, PathBuf};
use std::process::Command;

/// How the library behaves. The numbers are those of `testkit/nvml/fake.c`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FakeNvml {
    /// It knows two GPUs, the second of which does not tell how busy it is.
    Healthy = 0,
    /// The kernel driver is not loaded.
    NoDriver = 1,
    /// One GPU, which does not tell, as on a Jetson with an Orin.
    Jetson = 2,
    /// It has only the functions that list GPUs.
    FewSymbols = 3,
    /// It counts four billion GPUs.
    FourBillion = 4,
    /// Its texts fill their buffers, without a zero at the end.
    NoTerminator = 5,
    /// Its numbers make no sense.
    Absurd = 6,
    /// It does not come back from being started.
    HangsAtStart = 7,
    /// It does not come back from the second question.
    HangsLater = 8,
    /// 3,000 processes compute on its GPU.
    ManyProcesses = 9,
    /// It has none of the functions.
    NotNvml = 10,
}

/// Compiles the library into `folder` and returns its path.
///
/// # Panics
///
/// If there is no C compiler `cc`, or it fails.
pub fn fake_nvml(mode: FakeNvml, folder: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("nvml/fake.c");
    let library = folder.join("libnvidia-ml.so.1");
    let output = Command::new("cc")
        .args(["-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-O1"])
        .arg(format!("-DMODE={}", mode as u8))
        .arg("-o")
        .args([&library, &source])
        .output()
        .expect("the C compiler `cc`, which Rust links with");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    library
}

//! Which C library a machine has.

use super::packages::Packages;
use crate::probe::{Reading, Reason, Tree, Unit};

/// What `libc.so.6` prints of itself when it is run.
const GLIBC_SAYS: &[u8] = b"GNU C Library";
const VERSION: &[u8] = b"release version ";

/// Name and version.
pub(super) fn read(tree: &Tree, packages: &Packages) -> Reading<String> {
    let arches = ["x86_64", "aarch64", "arm", "riscv64"];
    for arch in arches {
        let loader = format!("lib/ld-musl-{arch}.so.1");
        if tree.exists(&loader) {
            let version = packages.version(&["musl"]);
            let version = version.and_then(|version| version.value.ok()).unwrap_or_default();
            return Reading::new(format!("musl {version}").trim().to_owned(), Unit::None, loader);
        }
    }
    let plain = ["lib64", "usr/lib64", "lib", "usr/lib"].map(str::to_owned);
    let multiarch = arches
        .iter()
        .flat_map(|arch| [format!("lib/{arch}-linux-gnu"), format!("usr/lib/{arch}-linux-gnu")]);
    for folder in plain.into_iter().chain(multiarch) {
        let path = format!("{folder}/libc.so.6");
        if let Some(version) = tree.bytes(&path).ok().and_then(|bytes| version_in(&bytes)) {
            return Reading::new(format!("glibc {version}"), Unit::None, path);
        }
    }
    if let Some(version) = packages.version(&["libc6", "glibc"]) {
        return version.map(|version| format!("glibc {version}"));
    }
    let detail = "neither glibc nor musl is where it usually is";
    Reading::absent(Reason::NotFound, detail, Unit::None, "lib")
}

/// `GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.`
fn version_in(library: &[u8]) -> Option<String> {
    let after = |bytes: &[u8], wanted: &[u8]| {
        let at = bytes.windows(wanted.len()).position(|window| window == wanted)?;
        bytes.get(at + wanted.len()..).map(<[u8]>::to_vec)
    };
    let rest = after(library, GLIBC_SAYS)?;
    // The sentence is short.
    let version = after(rest.get(..200).unwrap_or(&rest), VERSION)?;
    let digits = version.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.');
    let text = String::from_utf8(digits.copied().collect()).ok()?;
    Some(text.trim_end_matches('.').to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glibc_tells_its_version() {
        let library = b"\x7fELF\0\0GNU C Library (Debian GLIBC 2.36-9+deb12u10) stable release \
                        version 2.36.\nCopyright";
        assert_eq!(version_in(library).as_deref(), Some("2.36"));
        assert_eq!(version_in(b"GNU C Library of a kind"), None);
        assert_eq!(version_in(b""), None);
    }
}

//! Which row of kernels a processor gets, by the names that `/proc/cpuinfo` gives its features.

/// A row of `rushlight-kernels`, what it needs, and on which architecture.
struct Needs {
    row: &'static str,
    architecture: &'static str,
    features: &'static [&'static str],
}

/// Slowest first, as the kernels list them.
const ROWS: [Needs; 6] = [
    Needs { row: "avx2", architecture: "x86_64", features: &["avx2", "fma", "f16c"] },
    Needs {
        row: "avxvnni",
        architecture: "x86_64",
        features: &["avx2", "fma", "f16c", "avx_vnni"],
    },
    Needs {
        row: "avx512",
        architecture: "x86_64",
        features: &["avx512f", "avx512bw", "avx512vl", "avx512_vnni"],
    },
    Needs { row: "neon", architecture: "aarch64", features: &["asimd"] },
    Needs { row: "dotprod", architecture: "aarch64", features: &["asimd", "asimddp"] },
    Needs { row: "i8mm", architecture: "aarch64", features: &["asimd", "asimddp", "i8mm"] },
];

/// The fastest row; `scalar` where there is no other.
pub(crate) fn row_for(architecture: &str, features: &[String]) -> &'static str {
    let has = |name: &&str| features.iter().any(|feature| feature == name);
    let fit =
        |row: &&Needs| row.architecture == architecture && row.features.iter().all(|f| has(&f));
    ROWS.iter().rev().find(fit).map_or("scalar", |row| row.row)
}

/// The features that decide between rows.
pub(crate) fn used(architecture: &str) -> Vec<&'static str> {
    let rows = ROWS.iter().filter(|row| row.architecture == architecture);
    let mut all: Vec<&str> = Vec::new();
    for feature in rows.flat_map(|row| row.features) {
        if !all.contains(feature) {
            all.push(feature);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use rushlight_host::probe::{Tree, cpu::Cpu};

    use super::*;

    #[test]
    fn the_table_says_what_the_kernels_say_of_this_processor() {
        let cpu = Cpu::read(&Tree::this_machine());
        let features = cpu.features.value.unwrap_or_default();
        assert_eq!(row_for(std::env::consts::ARCH, &features), rushlight_kernels::best().name());
    }

    #[test]
    fn rows_by_features() {
        let row = |architecture: &str, features: &str| {
            let features: Vec<String> = features.split(' ').map(str::to_owned).collect();
            row_for(architecture, &features)
        };
        assert_eq!(row("x86_64", "avx2 f16c fma sse"), "avx2");
        assert_eq!(row("x86_64", "avx2 f16c sse"), "scalar");
        assert_eq!(row("x86_64", "avx2 f16c fma avx512f avx512bw avx512vl avx512_vnni"), "avx512");
        assert_eq!(row("aarch64", "asimd asimddp"), "dotprod");
        assert_eq!(row("aarch64", "avx2 f16c fma"), "scalar");
        assert_eq!(row("arm", "asimd"), "scalar");
        assert_eq!(used("aarch64"), ["asimd", "asimddp", "i8mm"]);
    }
}

//! Numbers and names that nobody can guess.

use tokio_rustls::rustls::crypto::ring;

/// A number from the kernel: for seeds, and for names by which something can be asked for.
pub(crate) fn random() -> u64 {
    let mut bytes = [0; 8];
    let filled = ring::default_provider().secure_random.fill(&mut bytes);
    filled.expect("a kernel that has started gives random bytes");
    u64::from_le_bytes(bytes)
}

/// A name that begins with `prefix`; the rest has 128 random bits.
pub(crate) fn id(prefix: &str) -> String {
    format!("{prefix}{:016x}{:016x}", random(), random())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_in_all_their_letters() {
        let names: Vec<String> = (0..64).map(|_| id("x-")).collect();
        for name in &names {
            let rest = name.strip_prefix("x-").unwrap();
            assert!(rest.len() == 32 && rest.bytes().all(|b| b.is_ascii_hexdigit()), "{name}");
        }
        // That all 64 agree in a letter has a probability of 16^-63.
        for at in 2..34 {
            assert!(
                names.iter().any(|name| name.as_bytes()[at] != names[0].as_bytes()[at]),
                "{at}"
            );
        }
    }
}

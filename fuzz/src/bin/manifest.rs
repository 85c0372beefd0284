//! What the store reads from its folder and from users: a manifest, a name, a source, a digest. What
//! is accepted is written as it is read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rushlight_store::{Digest, Manifest, Name, Source};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(manifest) = Manifest::parse(bytes) {
        for (path, _) in manifest.files() {
            // A layer's name never leads out of the model's folder.
            let parts: Vec<&str> = path.as_str().split('/').collect();
            let plain = |part: &&str| !part.is_empty() && *part != "." && *part != "..";
            assert!(parts.iter().all(plain), "{path}");
        }
    }
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(name) = text.parse::<Name>() {
        assert_eq!(name.to_string().parse::<Name>().ok(), Some(name));
    }
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string().parse::<Digest>().ok(), Some(digest));
    }
    if let Ok(source) = Source::parse(text) {
        assert_eq!(Source::parse(&source.to_string()).ok(), Some(source));
    }
});

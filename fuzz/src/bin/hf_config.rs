//! `config.json` and its like: every key by every getter.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rushlight_formats::HfConfig;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(config) = HfConfig::parse(bytes) {
        read(&config, 0);
    }
});

fn read(config: &HfConfig, depth: usize) {
    let _ = config.chat_templates();
    for key in config.keys() {
        let _ = (config.u32(key), config.u64(key), config.f32(key), config.bool(key));
        let _ = config.str(key);
        if let Ok(Some(inner)) = config.object(key)
            && depth < 4
        {
            read(&inner, depth + 1);
        }
    }
}

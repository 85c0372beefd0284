//! The JSON files of a checkpoint: every getter of every key at every depth.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rushlight_formats::HfConfig;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(config) = HfConfig::parse(bytes) {
        read(&config);
    }
    HfConfig::parse_list(bytes).into_iter().flatten().for_each(|config| read(&config));
});

fn read(config: &HfConfig) {
    config.chat_templates().ok();
    for key in config.keys() {
        config.u32(key).ok();
        config.u64(key).ok();
        config.i32(key).ok();
        assert!(config.f32(key).is_err() || config.f32s(key).is_err() || config.get(key).is_none());
        config.bool(key).ok();
        config.str(key).ok();
        config.strings(key).ok();
        config.u32s(key).ok();
        config.i32s(key).ok();
        config.bools(key).ok();
        config.ids(key).ok();
        config.token(key).ok();
        if let Ok(Some(inner)) = config.object(key) {
            read(&inner);
        }
    }
}

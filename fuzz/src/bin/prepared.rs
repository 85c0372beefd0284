//! Prepared weights: whatever the header says, it is refused or every range lies in the file, none
//! in another.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rushlight_model::PreparedHeader;

fuzz_target!(|bytes: &[u8]| {
    let Ok(header) = PreparedHeader::parse(bytes) else { return };
    let mut end = 0;
    for range in header.ranges() {
        assert!(range.start >= end && range.start.is_multiple_of(64));
        assert!(bytes.get(range.clone()).is_some());
        end = range.end;
    }
});

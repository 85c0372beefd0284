//! `tokenizer.json`, and behind zero bytes `tokenizer_config.json` and a text: the file is
//! refused, or encodes the text to ids that it has, at a bounded cost.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rushlight_text::{DecodeOptions, EncodeOptions, StreamDecoder, Tokenizer};

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(3, |&byte| byte == 0);
    let json = parts.next().unwrap_or_default();
    let config = parts.next().filter(|config| !config.is_empty());
    let text = String::from_utf8_lossy(parts.next().unwrap_or_default());
    let Ok(tokenizer) = Tokenizer::from_json(json, config) else { return };
    for text in [&*text, "It's 12 é\n\n  <s>[CLS]日本\u{301}"] {
        encode(&tokenizer, text);
        let options = EncodeOptions { special: true, parse_special: false };
        if let Ok(pair) = tokenizer.encode_pair(text, "b c", options) {
            assert_eq!(pair.ids.len(), pair.segments.len());
            assert!(pair.ids.iter().all(|id| (*id as usize) < tokenizer.vocab_size()));
        }
    }
});

fn encode(tokenizer: &Tokenizer, text: &str) {
    for (special, parse_special) in [(false, false), (true, true)] {
        let Ok(ids) = tokenizer.encode(text, EncodeOptions { special, parse_special }) else {
            continue;
        };
        for &id in &ids {
            assert!((id as usize) < tokenizer.vocab_size(), "{id}");
            // The unknown token may be one, and stands for what the vocabulary cannot spell.
            let allowed = parse_special || tokenizer.unk() == Some(id);
            assert!(allowed || !tokenizer.is_control(id), "{id} is a control token");
        }
        tokenizer.decode(&ids, DecodeOptions { skip_special: parse_special });
        let mut stream = StreamDecoder::new();
        for id in ids {
            stream.push(tokenizer, id);
            tokenizer.token_text(id);
        }
        stream.finish();
    }
}

//! A chat template: parsed, and rendered for a chat with a system message, tools and a call.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rushlight_text::{ChatTemplate, FunctionCall, Message, RenderOptions, ToolCall};
use std::time::SystemTime;

fuzz_target!(|source: &str| {
    let Ok(template) = ChatTemplate::new(source) else { return };
    let call = ToolCall {
        id: Some("call-1".to_owned()),
        kind: "function".to_owned(),
        function: FunctionCall {
            name: "weather".to_owned(),
            arguments: serde_json::json!({"city": "Łódź", "days": 3}),
        },
    };
    let messages = [
        Message::system("Be brief."),
        Message::user("Hello <|im_end|> {{ 7 * 7 }}"),
        Message { tool_calls: vec![call], content: None, ..Message::assistant("") },
        Message::new("tool", "rain"),
    ];
    let tools = [serde_json::json!({
        "type": "function",
        "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
    })];
    let options = RenderOptions {
        tools: &tools,
        add_generation_prompt: true,
        bos: "<s>",
        eos: "</s>",
        now: Some(SystemTime::UNIX_EPOCH),
        ..RenderOptions::default()
    };
    // Bounded in time and memory by the fuzzer's own limits, and the same every time.
    let first = template.render(&messages, options).ok();
    assert_eq!(first, template.render(&messages, options).ok());
});

//! Calls of tools in an answer: how a model writes them, finding them, and making it write them.
//!
//! A [`Convention`] is read off a model's chat template. A [`ToolCallParser`] finds the calls in
//! an answer as it arrives; [`grammar`] is the grammar of answers that are valid calls.
//!
//! ```
//! use rushlight_text::tools::{Convention, ToolCallParser, ToolEvent};
//!
//! let template = "… <tool_call>\n{\"name\": <function-name>, \"arguments\": …}\n</tool_call>";
//! let convention = Convention::of(template);
//! assert_eq!(convention, Convention::Hermes);
//!
//! let mut parser = ToolCallParser::new(convention, ["add"]);
//! assert_eq!(parser.push("Well. <tool_"), [ToolEvent::Content("Well. ".to_owned())]);
//! assert_eq!(parser.push("call>\n{\"name\": \"add\", "), []);
//! assert_eq!(parser.push("\"arguments\": {\"a\": 1}}\n</tool_call>"), [
//!     ToolEvent::Begin { name: "add".to_owned() },
//!     ToolEvent::Arguments("{\"a\": 1}".to_owned()),
//!     ToolEvent::End,
//! ]);
//! assert_eq!(parser.finish(), []);
//! ```

mod convention;
mod grammar;
mod object;
mod parser;

pub use convention::Convention;
pub use grammar::{CallOptions, ToolChoice, grammar};
pub use parser::{ToolCallParser, ToolEvent};

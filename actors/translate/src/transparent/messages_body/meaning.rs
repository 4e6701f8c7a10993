//! What an answer is another without: strict mode does not leave it out.
//!
//! The hub reads the same fields and refuses them in strict mode, or always: `anthropic_messages::request`.

use crate::transparent::json::{Kind, Value, elements_of, said};

/// Members of the body.
const FIELDS: [&str; 6] = ["compaction", "container", "context_management", "fallbacks", "output_format", "thread"];

/// Does a member of the body change the answer? It says something, and not only what would be without it.
pub(super) fn is_in(text: &[u8], name: &str, value: Value) -> bool {
    match name {
        "speed" => said(text, value).is_none_or(|speed| speed != "standard"),
        "mcp_servers" => value.kind != Kind::Array || !elements_of(text, value.span).is_empty(),
        name => FIELDS.contains(&name),
    }
}

/// Does a member of a tool? Tools that the model may not call itself are other tools.
pub(super) fn is_in_tool(text: &[u8], name: &str, value: Value) -> bool {
    let direct = |caller: Value| said(text, caller).is_some_and(|caller| caller == "direct");
    name == "allowed_callers" && value.kind == Kind::Array && !elements_of(text, value.span).into_iter().any(direct)
}

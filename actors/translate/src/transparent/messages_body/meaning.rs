//! What an answer is another without: strict mode does not leave it out.
//!
//! The hub refuses the same fields in strict mode, or always (`anthropic_messages::request`), but for `output_format`, which it
//! honours. A `speed` that nobody knows it refuses always.

use outcrop_protocol::anthropic::messages::ContextEdit;

use crate::transparent::json::{Kind, Value, elements_of, members_of, said};

/// Members of the body.
const FIELDS: [&str; 5] = ["compaction", "container", "fallbacks", "output_format", "thread"];

/// Does a member of the body change the answer? It says something, and not only what would be without it.
pub(super) fn is_in(text: &[u8], name: &str, value: Value) -> bool {
    match name {
        "speed" => said(text, value).is_none_or(|speed| speed != "standard"),
        "mcp_servers" => value.kind != Kind::Array || !elements_of(text, value.span).is_empty(),
        "context_management" => {
            let list = members_of(text, value.span).into_iter().find(|(key, _)| key.is(text, "edits"));
            let edits = list.map(|(_, list)| elements_of(text, list.span)).unwrap_or_default();
            let kinds = edits.into_iter().flat_map(|edit| members_of(text, edit.span)).filter(|(key, _)| key.is(text, "type"));
            kinds.filter_map(|(_, kind)| said(text, kind)).any(|kind| ContextEdit::rewrites(&kind))
        }
        name => FIELDS.contains(&name),
    }
}

/// Does a member of a tool? Tools that the model may not call itself are other tools.
pub(super) fn is_in_tool(text: &[u8], name: &str, value: Value) -> bool {
    let direct = |caller: Value| said(text, caller).is_some_and(|caller| caller == "direct");
    name == "allowed_callers" && value.kind == Kind::Array && !elements_of(text, value.span).into_iter().any(direct)
}

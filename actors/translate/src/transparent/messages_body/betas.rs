//! `anthropic_beta`: sorted into what the model takes, with the fields that go with the flags.

use outcrop_domain::{
    adjust::word,
    model::{BetaChoice, BetaRules},
};

use super::{Draft, effort};
use crate::transparent::json::{Kind, Value, elements_of, said};

/// The field in which InvokeModel reads flags.
pub(super) const FLAGS: &str = "anthropic_beta";

/// Its name in Anthropic's SDKs.
pub(super) const SHORT_FLAGS: &str = "betas";

/// Fields in which clients put flags, beside the header.
const FIELDS: [&str; 2] = [FLAGS, SHORT_FLAGS];

/// Puts the flags that the model takes into the body, with the one that its effort needs, and takes the fields of the others out.
/// `refused` are flags that upstream has refused before.
pub(super) fn settle(draft: &mut Draft<'_>, headers: &[String], rules: &BetaRules, refused: &[String]) -> BetaChoice {
    let written: Vec<String> =
        FIELDS.into_iter().filter_map(|field| draft.value(field)).flat_map(|value| flags(draft.text, value)).collect();
    let needed = effort::flag(draft, rules).filter(|flag| !refused.iter().any(|known| known == flag));
    let choice = rules.choose(headers.iter().chain(&written).map(String::as_str).chain(needed), refused);
    for flag in &choice.dropped {
        draft.notes.note("anthropic_beta", format!("dropped:{}", word(flag)));
    }
    for (flag, _) in &choice.renamed {
        draft.notes.note("anthropic_beta", format!("renamed:{}", word(flag)));
    }
    draft.remove("betas");
    let unchanged = draft.value("anthropic_beta").is_some_and(|value| value.kind == Kind::Array && flags(draft.text, value) == choice.sent);
    match draft.member("anthropic_beta") {
        _ if choice.sent.is_empty() => drop(draft.remove("anthropic_beta")),
        Some(_) if unchanged => {}
        Some((_, value)) => draft.edits.replace(value.span, json_list(&choice.sent)),
        None => draft.put_first(format!("\"anthropic_beta\":{}", json_list(&choice.sent))),
    }
    draft.leave_out(&choice.dropped_fields);
    choice
}

/// The flags of a field: a list of them, or one text.
pub(in crate::transparent) fn flags(text: &[u8], value: Value) -> Vec<String> {
    let values = if value.kind == Kind::Array { elements_of(text, value.span) } else { vec![value] };
    values.into_iter().filter_map(|value| said(text, value)).map(Into::into).collect()
}

/// A list of texts as JSON.
pub(in crate::transparent) fn json_list(texts: &[String]) -> String {
    serde_json::to_string(texts).unwrap_or_else(|_| "[]".to_owned())
}

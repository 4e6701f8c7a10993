//! Members that are to stand in the body itself: they are brought there before any rule speaks, so that every rule sees them.

use std::collections::BTreeSet;

use outcrop_domain::{adjust::Adjustments, error::GatewayError};

use super::{
    Draft, Index,
    betas::{self, FLAGS},
    flags, json_list, wishes,
};
use crate::transparent::json::{Kind, members_of, whole};

/// Further model parameters, under both names.
pub(super) const PARAMETERS: [&str; 2] = ["additional_model_request_fields", "additionalModelRequestFields"];

/// Fields that are settled by the request itself.
const ITS_OWN: [&str; 2] = ["model", "stream"];

/// The body with its further parameters, and with what is added for the model where the body has none of the name: `extra` are
/// names and JSON texts. `None` when there is nothing to bring. A name may come twice in what is written: reading it tells.
///
/// # Errors
/// As [`Draft::finish`].
pub(super) fn hoisted(text: &[u8], index: &Index, extra: &[(&str, String)]) -> Result<Option<(Vec<u8>, Adjustments)>, GatewayError> {
    let has = |name: &str| index.member(text, name).is_some();
    if !PARAMETERS.iter().any(|name| has(name)) && extra.iter().all(|(name, _)| has(name)) {
        return Ok(None);
    }
    let mut draft = Draft::new(text, index);
    let brought = parameters(&mut draft);
    for (name, json) in extra.iter().filter(|(name, _)| !brought.contains(*name)) {
        if draft.member(name).is_none() {
            let name = serde_json::to_string(name).unwrap_or_default();
            draft.put_first(format!("{name}:{json}"));
        }
    }
    draft.finish().map(Some)
}

/// Members of Converse's field for them stand in the body itself here. They win over what else the body says; flags are added to
/// those of the body. Gives the names of those that came.
fn parameters(draft: &mut Draft<'_>) -> BTreeSet<String> {
    let (mut brought, mut asked) = (BTreeSet::new(), Vec::new());
    for field in PARAMETERS {
        let value = draft.value(field);
        draft.remove(field);
        let Some(value) = value else { continue };
        if value.kind != Kind::Object {
            draft.notes.note(field, "dropped");
        }
        for member in members_of(draft.text, value.span) {
            let name = member.0.decode(draft.text).unwrap_or_default().into_owned();
            if wishes::is_settled_elsewhere(&name) || ITS_OWN.contains(&name.as_str()) || PARAMETERS.contains(&name.as_str()) {
                draft.notes.note(field, "dropped");
                continue;
            }
            if name == FLAGS || name == betas::SHORT_FLAGS {
                asked.extend(flags(draft.text, member.1));
                continue;
            }
            draft.remove(&name);
            let text = String::from_utf8_lossy(whole(&member).of(draft.text)).into_owned();
            draft.put_first(text);
            brought.insert(name);
        }
    }
    if !asked.is_empty() {
        let written = draft.value(FLAGS).map(|value| flags(draft.text, value)).unwrap_or_default();
        draft.remove(FLAGS);
        let all: Vec<String> = written.into_iter().chain(asked).collect();
        draft.put_first(format!("\"{}\":{}", FLAGS, json_list(&all)));
        brought.insert(FLAGS.to_owned());
    }
    brought
}

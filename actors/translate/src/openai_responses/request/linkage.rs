//! How a request hangs on what is stored: to be known before its items can be read.

use std::{collections::HashSet, sync::LazyLock};

use memchr::memmem::Finder;
use outcrop_domain::{error::GatewayError, json::JsonText};
use outcrop_protocol::openai::{
    body::decode_text,
    loose::{TextOr, TextOrList},
    responses::{InputItem, ResponsesRequest},
};
use serde::Deserialize;

use super::{fault, items::is_reference, place::Place};
use crate::openai_responses::ids;

/// What a request needs from the store, and what it shall leave there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linkage {
    /// The response to go on from.
    pub previous_response_id: Option<String>,
    /// The conversation to go on with, and to add input and output to.
    pub conversation: Option<String>,
    /// Items that the input names by id.
    pub references: Vec<ItemReference>,
    /// Reasoning in the input that came back without what was sealed in it: the store may have it.
    pub unsealed: Vec<ItemReference>,
    /// Keep the response.
    pub store: bool,
    /// Answer at once with a response that waits.
    pub background: bool,
}

/// An item that the input names by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemReference {
    /// Path of the member that holds the id, for errors.
    pub param: String,
    /// The id.
    pub id: String,
    /// Its place in the input.
    pub position: usize,
}

/// Reads off a request what it needs from the store.
///
/// # Errors
/// `InvalidRequest` for wishes that contradict each other.
pub fn linkage(wire: &ResponsesRequest) -> Result<Linkage, GatewayError> {
    check(wire)?;
    Ok(Linkage {
        previous_response_id: wire.previous_response_id.clone(),
        conversation: conversation_id(wire).map(str::to_owned),
        references: references(wire)?,
        unsealed: unsealed(wire),
        store: wire.store.unwrap_or(true),
        background: wire.background.unwrap_or(false),
    })
}

/// The conversation's id, bare or in an object.
#[must_use]
pub fn conversation_id(wire: &ResponsesRequest) -> Option<&str> {
    match wire.conversation.as_ref()? {
        TextOr::Text(id) => Some(id),
        TextOr::Object(reference) => reference.id.as_deref(),
    }
}

/// Where the items stand that a request goes on from.
pub(super) fn place_of_earlier(wire: &ResponsesRequest) -> Place {
    Place::Stored(if wire.conversation.is_some() { "conversation" } else { "previous_response_id" })
}

/// Where the items stand that the input names by id.
pub(super) const REFERENCED: Place = Place::Stored("input");

/// Refuses what contradicts itself.
pub(super) fn check(wire: &ResponsesRequest) -> Result<(), GatewayError> {
    if wire.conversation.is_some() && wire.previous_response_id.is_some() {
        let message =
            "Mutually exclusive parameters: 'conversation' and 'previous_response_id'. Ensure you are only providing one of them.";
        return Err(GatewayError::invalid_with_code("previous_response_id", message, "mutually_exclusive_parameters"));
    }
    if wire.conversation.is_some() && conversation_id(wire).is_none_or(str::is_empty) {
        return Err(fault::missing("conversation.id"));
    }
    if wire.previous_response_id.as_deref() == Some("") {
        return Err(fault::invalid("previous_response_id", "it must not be empty."));
    }
    if wire.background == Some(true) && wire.store == Some(false) {
        return Err(fault::invalid("background", "a response in the background must be stored: 'store' must not be false."));
    }
    Ok(())
}

/// Most items that an input names by id. Each is looked up by itself; an agent that names its whole history goes on from a response.
const MOST_REFERENCES: usize = 1_000;

/// Items are parsed whole only where they may be references: those are small.
fn references(wire: &ResponsesRequest) -> Result<Vec<ItemReference>, GatewayError> {
    const LONGEST_REFERENCE: usize = 1024;
    let Some(TextOrList::List(items)) = &wire.input else { return Ok(Vec::new()) };
    let (mut references, mut seen) = (Vec::new(), HashSet::new());
    for (position, raw) in items.iter().enumerate().filter(|(_, raw)| raw.get().len() <= LONGEST_REFERENCE) {
        // What cannot be read is reported when the items are.
        let Ok(item) = decode_text::<InputItem>(raw.get()) else { continue };
        if is_reference(item.kind.as_deref(), item.role.as_deref(), item.id.as_deref()) {
            let param = format!("input[{position}].id");
            let id = item.id.filter(|id| !id.is_empty()).ok_or_else(|| fault::missing(&param))?;
            if !seen.insert(id.clone()) {
                return Err(fault::invalid(&param, &format!("the item '{id}' is referenced twice.")));
            }
            if references.len() == MOST_REFERENCES {
                let message = format!("Invalid 'input': it references more than {MOST_REFERENCES} items.");
                return Err(GatewayError::invalid_with_code("input", message, "array_above_max_length"));
            }
            references.push(ItemReference { param, id, position });
        }
    }
    Ok(references)
}

/// What an item of reasoning has to be found by.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Thought {
    #[serde(rename = "type")]
    kind: Option<String>,
    id: Option<String>,
    encrypted_content: Option<String>,
}

impl Thought {
    fn is_reasoning(&self) -> bool {
        self.kind.as_deref() == Some("reasoning")
    }

    fn is_sealed(&self) -> bool {
        self.encrypted_content.as_deref().is_some_and(|sealed| !sealed.is_empty())
    }
}

/// Is this stored item reasoning, with what is sealed in it?
#[must_use]
pub fn is_sealed(item: &JsonText) -> bool {
    serde_json::from_str(item.get()).is_ok_and(|thought: Thought| thought.is_reasoning() && thought.is_sealed())
}

/// Items are many and large: only what may be reasoning is looked into.
static REASONING: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"reasoning\""));

/// Reasoning that may be in the store, the newest of it: by ids of this gateway, or in the conversation.
fn unsealed(wire: &ResponsesRequest) -> Vec<ItemReference> {
    let Some(TextOrList::List(items)) = &wire.input else { return Vec::new() };
    let may_be = items.iter().enumerate().filter(|(_, raw)| REASONING.find(raw.get().as_bytes()).is_some());
    let found = may_be.filter_map(|(position, raw)| {
        let thought: Thought =
            serde_json::from_str(raw.get()).ok().filter(|thought: &Thought| thought.is_reasoning() && !thought.is_sealed())?;
        let id = thought.id.filter(|id| !id.is_empty() && (ids::response_of(id).is_some() || wire.conversation.is_some()))?;
        Some(ItemReference { param: format!("input[{position}].id"), id, position })
    });
    let mut found: Vec<_> = found.collect();
    found.drain(..found.len().saturating_sub(MOST_REFERENCES));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: &str) -> Result<Linkage, GatewayError> {
        linkage(&serde_json::from_str(body).unwrap())
    }

    #[test]
    fn pain_32_everything_that_is_needed_from_the_store_is_named() {
        let linkage = of(r#"{"conversation":{"id":"conv_1"},"store":true,"input":[
            {"role":"user","content":"q"},{"type":"item_reference","id":"rs_1"},{"id":"msg_2"},{"type":null,"id":"fc_3"},
            {"type":"function_call_output","call_id":"c","output":"x"}]}"#)
        .unwrap();
        assert_eq!((linkage.conversation.as_deref(), linkage.previous_response_id), (Some("conv_1"), None));
        let references: Vec<_> = linkage.references.iter().map(|reference| (reference.param.as_str(), reference.id.as_str())).collect();
        assert_eq!(references, [("input[1].id", "rs_1"), ("input[2].id", "msg_2"), ("input[3].id", "fc_3")]);
        assert!(linkage.store && !linkage.background);
        assert_eq!(of(r#"{"conversation":"conv_2","input":"x"}"#).unwrap().conversation.as_deref(), Some("conv_2"));
        assert_eq!(of(r#"{"previous_response_id":"resp_1","background":true}"#).unwrap().previous_response_id.as_deref(), Some("resp_1"));
    }

    #[test]
    fn reasoning_that_came_back_unsealed_is_looked_for() {
        let linkage = of(r#"{"input":[{"role":"user","content":"\"reasoning\""},{"type":"reasoning","id":"rs_1_0","summary":[]},
            {"type":"reasoning","id":"rs_1_1","summary":[],"encrypted_content":"E"},{"type":"reasoning","id":"ours","summary":[]},
            {"type":"reasoning","id":"rs_1_2","summary":[],"encrypted_content":null},{"type":"reasoning","summary":[]},
            {"type":"reasoning","id":"rs_1_3","summary":[],"encrypted_content":""},{"type":"reasoning","id":"rs_68a1f0","summary":[]}]}"#)
        .unwrap();
        let unsealed: Vec<_> = linkage.unsealed.iter().map(|thought| (thought.id.as_str(), thought.position)).collect();
        assert_eq!(unsealed, [("rs_1_0", 1), ("rs_1_2", 4), ("rs_1_3", 6)]);
        assert!(linkage.references.is_empty());
        let in_conversation = of(r#"{"conversation":"conv_1","input":[{"type":"reasoning","id":"ours","summary":[]}]}"#).unwrap();
        assert_eq!(in_conversation.unsealed.len(), 1, "the conversation may have it by any id");
    }

    #[test]
    fn of_a_thousand_and_one_thoughts_the_oldest_is_not_looked_for() {
        let items: Vec<_> = (0..1001).map(|number| format!(r#"{{"type":"reasoning","id":"rs_1_{number}","summary":[]}}"#)).collect();
        let linkage = of(&format!(r#"{{"input":[{}]}}"#, items.join(","))).unwrap();
        let ends = (linkage.unsealed.first(), linkage.unsealed.last());
        assert_eq!(ends.0.zip(ends.1).map(|(first, last)| (first.position, last.position)), Some((1, 1000)));
    }

    #[test]
    fn only_reasoning_with_something_in_it_completes_other_reasoning() {
        let is = |item: &str| is_sealed(&JsonText::parse(item.to_owned()).unwrap());
        assert!(is(r#"{"type":"reasoning","id":"rs_1_0","summary":[],"encrypted_content":"E"}"#));
        assert!(!is(r#"{"type":"reasoning","id":"rs_1_0","summary":[],"encrypted_content":""}"#));
        assert!(!is(r#"{"type":"message","id":"rs_1_0","encrypted_content":"E"}"#));
    }

    #[test]
    fn the_number_of_references_is_bounded() {
        let named = |count: usize| {
            let items: Vec<String> = (0..count).map(|number| format!(r#"{{"type":"item_reference","id":"msg_{number}"}}"#)).collect();
            of(&format!(r#"{{"input":[{}]}}"#, items.join(",")))
        };
        assert_eq!(named(MOST_REFERENCES).unwrap().references.len(), MOST_REFERENCES);
        assert!(named(MOST_REFERENCES + 1).is_err());
    }

    #[test]
    fn contradictions_are_refused_by_name() {
        for (body, param) in [
            (r#"{"conversation":"c","previous_response_id":"r"}"#, "previous_response_id"),
            (r#"{"conversation":{}}"#, "conversation.id"),
            (r#"{"previous_response_id":""}"#, "previous_response_id"),
            (r#"{"background":true,"store":false}"#, "background"),
            (r#"{"input":[{"type":"item_reference"}]}"#, "input[0].id"),
            (r#"{"input":[{"type":"item_reference","id":"a"},{"id":"b"},{"id":"a"}]}"#, "input[2].id"),
        ] {
            let error = of(body).unwrap_err();
            assert!(matches!(&error, GatewayError::InvalidRequest { param: Some(named), .. } if named == param), "{body}: {error}");
        }
    }
}

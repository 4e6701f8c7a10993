//! Input items as they are stored and listed: each with an id and a status, messages with their content in parts.
//!
//! Beyond that an item is the client's own text: members that nobody knows stay, and what is large is not looked into.

use std::collections::BTreeMap;

use outcrop_domain::{error::GatewayError, json::JsonText};
use outcrop_protocol::openai::{
    body::decode,
    loose::TextOrList,
    responses::{InputItem, InputMessage, InputParam, InputTextPart},
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::{RawValue, to_raw_value};

use super::{
    fault,
    items::{TRIGGER, is_reference},
    place::Place,
};
use crate::openai_responses::ids;

/// The items of a request's input, ready to be stored with the response `response_id`. Left out are references to items
/// that are stored already, which are where they were, and the wish for a summary: it is granted once.
///
/// # Errors
/// `InvalidRequest` for an item that cannot be read.
pub fn input_resources(input: Option<&InputParam>, response_id: &str) -> Result<Vec<JsonText>, GatewayError> {
    match input {
        None => Ok(Vec::new()),
        Some(TextOrList::Text(text)) => {
            let id = ids::of_input(response_id, "msg", 0);
            let content = [InputTextPart { kind: "input_text", text }];
            let message = InputMessage { id: &id, kind: "message", status: "completed", role: "user", content };
            Ok(vec![JsonText::of(&message).map_err(unwritable)?])
        }
        Some(TextOrList::List(items)) => resources(items, response_id, Place::Input),
    }
}

/// As [`input_resources`], for the `items` of a conversation: `owner` is whatever their ids shall be made of.
///
/// # Errors
/// `InvalidRequest` for an item that cannot be read.
pub fn item_resources(items: &[Box<RawValue>], owner: &str) -> Result<Vec<JsonText>, GatewayError> {
    resources(items, owner, Place::Added)
}

fn resources(items: &[Box<RawValue>], owner: &str, place: impl Fn(usize) -> Place) -> Result<Vec<JsonText>, GatewayError> {
    let mut resources = Vec::with_capacity(items.len());
    for (position, raw) in items.iter().enumerate() {
        let outline: Outline<'_> = serde_json::from_str(raw.get()).map_err(|error| misshapen(raw, place(position), &error))?;
        let (kind, role, id) = (outline.kind.as_deref(), outline.role.as_deref(), outline.id.as_deref());
        if !is_reference(kind, role, id) && kind != Some(TRIGGER) {
            let id = ids::of_input(owner, prefix(kind), position);
            let resource = resource(raw, &outline, &id).map_err(|error| misshapen(raw, place(position), &error))?;
            resources.push(resource);
        }
    }
    Ok(resources)
}

/// As much of an item as its completion needs.
#[derive(Deserialize)]
struct Outline<'a> {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    role: Option<String>,
    #[serde(default)]
    status: Option<String>,
    #[serde(default, borrow)]
    content: Option<&'a RawValue>,
}

/// Members by name, in whatever order; their text untouched.
type Members<'a> = BTreeMap<String, &'a RawValue>;

fn resource(raw: &RawValue, outline: &Outline<'_>, id: &str) -> Result<JsonText, serde_json::Error> {
    let kind = outline.kind.as_deref().unwrap_or("message");
    let has_status = !matches!(kind, "reasoning" | "compaction" | "mcp_list_tools" | "mcp_approval_request" | "mcp_approval_response");
    let added = [
        ("id", outline.id.is_none().then(|| to_raw_value(id))),
        ("type", outline.kind.is_none().then(|| to_raw_value(kind))),
        ("status", (has_status && outline.status.is_none()).then(|| to_raw_value("completed"))),
        ("content", (kind == "message").then(|| content(outline))),
    ];
    completed(serde_json::from_str(raw.get())?, added)
}

/// Content as parts, each with the members that listings insist on.
fn content(outline: &Outline<'_>) -> Result<Box<RawValue>, serde_json::Error> {
    let by_assistant = outline.role.as_deref() == Some("assistant");
    let Some(raw) = outline.content else { return to_raw_value(&[(); 0]) };
    let parts: Vec<JsonText> = if raw.get().starts_with('"') {
        let mut members = Members::new();
        members.insert("text".to_owned(), raw);
        vec![part(members, by_assistant)?]
    } else {
        let parts: Vec<Members<'_>> = serde_json::from_str(raw.get())?;
        parts.into_iter().map(|members| part(members, by_assistant)).collect::<Result<_, _>>()?
    };
    to_raw_value(&parts)
}

fn part(members: Members<'_>, by_assistant: bool) -> Result<JsonText, serde_json::Error> {
    let text = if by_assistant { "output_text" } else { "input_text" };
    let written = members.get("type").map(|raw| raw.get().trim_matches('"'));
    // Chat's name of it, or none.
    let renamed = matches!(written, None | Some("text" | "null"));
    let kind = if renamed { text } else { written.unwrap_or(text) };
    let absent = |name: &str| members.get(name).is_none_or(|raw| raw.get() == "null");
    let added = [
        ("type", renamed.then(|| to_raw_value(text))),
        ("annotations", (kind == "output_text" && absent("annotations")).then(|| to_raw_value(&[(); 0]))),
        ("logprobs", (kind == "output_text" && absent("logprobs")).then(|| to_raw_value(&[(); 0]))),
        ("detail", (kind == "input_image" && absent("detail")).then(|| to_raw_value("auto"))),
    ];
    completed(members, added)
}

/// A member that may be missing: its name, and its value if it is.
type Added = (&'static str, Option<Result<Box<RawValue>, serde_json::Error>>);

/// The members with those that were missing.
fn completed(written: Members<'_>, added: [Added; 4]) -> Result<JsonText, serde_json::Error> {
    let mut values = Vec::with_capacity(added.len());
    for (name, value) in added {
        if let Some(value) = value {
            values.push((name, value?));
        }
    }
    let mut members: Members<'_> = written;
    for (name, value) in &values {
        members.insert((*name).to_owned(), value);
    }
    JsonText::of(&members)
}

/// Says where an item is wrong; that costs a second reading, and a third where an array stands for an object, which
/// [`InputItem`] lets pass.
fn misshapen(raw: &RawValue, place: Place, error: &serde_json::Error) -> GatewayError {
    let text = raw.get().as_bytes();
    match decode::<InputItem>(text).map(|_| ()).and_then(|()| decode::<Objects>(text).map(|_| ())) {
        Err(fault) => fault::inside(&place.path(), &fault),
        Ok(()) => fault::invalid(place.path(), &format!("the item cannot be read: {error}.")),
    }
}

/// An item by the rule that parts are objects.
#[derive(Deserialize)]
struct Objects {
    #[serde(default, rename = "content")]
    _content: Option<TextOrList<BTreeMap<String, IgnoredAny>>>,
}

/// What stands before an item's id, by its type.
fn prefix(kind: Option<&str>) -> &'static str {
    match kind {
        None | Some("message") => "msg",
        Some("reasoning") => "rs",
        Some("compaction") => "cmp",
        Some("function_call") => "fc",
        Some("function_call_output") => "fco",
        Some("custom_tool_call") => "ctc",
        Some("custom_tool_call_output") => "ctco",
        Some(_) => "item",
    }
}

fn unwritable(error: serde_json::Error) -> GatewayError {
    GatewayError::Internal { message: format!("an input item could not be written: {error}") }
}

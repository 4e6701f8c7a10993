//! What the assistant did earlier: its calls, its reasoning, and what the provider's tools gave it.

use outcrop_domain::{
    chat::{Content, Reasoning, ToolOrigin, ToolResultPart, ToolResultStatus},
    error::GatewayError,
    json::JsonText,
};
use outcrop_protocol::openai::{
    loose::{TextOrList, TextOrRaw},
    responses::{InputItem, SearchResult},
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    conversation::{ItemReader, Naming},
    fault,
    items::{Answered, CallIn},
    place::Place,
};
use crate::{
    dialect::{
        arguments,
        media::{Expected, Wanted},
        notes::Notes,
    },
    openai_chat::request::history::custom_arguments,
    openai_responses::sealed::open_reasoning,
};

/// The field that reports of repaired arguments name.
const ARGUMENTS: &str = "input.arguments";

/// A call of the client's tool.
pub(super) fn call<N: Naming>(
    item: InputItem,
    form: CallIn,
    place: Place,
    reader: &mut ItemReader<'_, N>,
) -> Result<Content, GatewayError> {
    // A local shell's call may come with its own id alone.
    let id = call_id(&item, place)?;
    let named = |name: Option<String>| name.filter(|name| !name.is_empty()).ok_or_else(|| fault::missing(place.of("name")));
    let (name, input) = match form {
        CallIn::Arguments => {
            let input = arguments::object(item.arguments.map(|text| text.0).unwrap_or_default(), ARGUMENTS, reader.notes)?;
            let search = item.kind.as_deref() == Some("tool_search_call");
            (if search { TOOL_SEARCH.to_owned() } else { named(item.name)? }, input)
        }
        CallIn::Text => (named(item.name)?, custom_arguments(item.input.as_ref().map_or("", |text| &text.0))?),
        CallIn::Action(name) => (name.to_owned(), object(item.action.or(item.actions), "action", place)?),
        CallIn::Operation => ("apply_patch".to_owned(), object(item.operation, "operation", place)?),
        CallIn::Code => ("program".to_owned(), code(item.code)?),
    };
    let name = reader.naming.model_name(item.namespace.as_deref(), &name);
    Ok(Content::ToolUse { id, name, input, origin: ToolOrigin::Client })
}

/// Name of the tool that searches for tools.
const TOOL_SEARCH: &str = "tool_search";

/// The call that an item is, or answers. Only `local_shell_call_output` may name it by `id`.
pub(super) fn call_id(item: &InputItem, place: Place) -> Result<String, GatewayError> {
    let by_id =
        matches!(item.kind.as_deref(), Some("local_shell_call" | "local_shell_call_output" | "tool_search_call" | "tool_search_output"));
    let fallback = item.id.as_ref().filter(|_| by_id);
    let id = item.call_id.as_ref().or(fallback).filter(|id| !id.is_empty());
    id.cloned().ok_or_else(|| fault::missing(place.of("call_id")))
}

/// A call that the provider ran, as a call and its answer: the model may need what it learned.
pub(super) fn answered<N: Naming>(item: InputItem, form: Answered, reader: &mut ItemReader<'_, N>) -> Result<(), GatewayError> {
    let id = item.id.clone().filter(|id| !id.is_empty()).unwrap_or_else(|| reader.new_call_id());
    let mut status = ToolResultStatus::Unstated;
    let (name, input, parts) = match form {
        Answered::Mcp => {
            let name = reader.naming.model_name(item.server_label.as_deref(), item.name.as_deref().unwrap_or("mcp"));
            let input = arguments::object(item.arguments.map(|text| text.0).unwrap_or_default(), ARGUMENTS, reader.notes)?;
            if item.error.is_some() {
                status = ToolResultStatus::Error;
            }
            (name, input, vec![text_of(item.output.or(item.error))])
        }
        Answered::Program => ("code_interpreter".to_owned(), code(item.code)?, vec![text_of(item.outputs)]),
        Answered::FileSearch => ("file_search".to_owned(), queries(&item.queries.unwrap_or_default())?, found(item.results)),
        Answered::Image => {
            let Some(image) = image(item.result, reader) else {
                reader.notes.harmless("input.image_generation_call", "dropped");
                return Ok(());
            };
            ("image_generation".to_owned(), JsonText::empty_object(), vec![image])
        }
    };
    let call = Content::ToolUse { id: id.clone(), name, input, origin: ToolOrigin::Client };
    reader.push_answered(call, id, parts, status);
    Ok(())
}

/// Reasoning. What this gateway sealed comes back byte for byte; what another provider encrypted cannot be read, and
/// only what it left readable remains: without a signature, so that only models that want none will see it.
pub(super) fn reasoning(item: InputItem, place: Place, notes: &mut Notes) -> Result<Vec<Reasoning>, GatewayError> {
    let mut foreign = false;
    if let Some(sealed) = item.encrypted_content.as_deref().filter(|sealed| !sealed.is_empty()) {
        if let Some(blocks) = open_reasoning(sealed) {
            return Ok(blocks);
        }
        notes.harmless("input.reasoning.encrypted_content", "foreign_dropped");
        foreign = true;
    }
    let raw = match item.content {
        Some(TextOrList::Text(text)) => text,
        Some(TextOrList::List(parts)) => parts.into_iter().filter_map(|part| part.text).collect::<Vec<_>>().join("\n\n"),
        None => String::new(),
    };
    let text = if raw.is_empty() {
        let Some(summary) = item.summary else { return Err(fault::missing(place.of("summary"))) };
        summary.into_iter().filter_map(|part| part.text).collect::<Vec<_>>().join("\n\n")
    } else {
        raw
    };
    if !text.is_empty() {
        return Ok(vec![Reasoning::Text { text, signature: None }]);
    }
    if !foreign {
        notes.harmless("input.reasoning", "dropped");
    }
    Ok(Vec::new())
}

fn object(raw: Option<Box<RawValue>>, member: &str, place: Place) -> Result<JsonText, GatewayError> {
    #[derive(Serialize)]
    struct Several<'a> {
        actions: &'a RawValue,
    }
    let raw = raw.ok_or_else(|| fault::missing(place.of(member)))?;
    let text = JsonText::from(raw);
    if text.is_object() { Ok(text) } else { JsonText::of(&Several { actions: text.raw() }).map_err(unwritable) }
}

fn code(code: Option<String>) -> Result<JsonText, GatewayError> {
    #[derive(Serialize)]
    struct Program<'a> {
        code: &'a str,
    }
    JsonText::of(&Program { code: code.as_deref().unwrap_or_default() }).map_err(unwritable)
}

fn queries(queries: &[String]) -> Result<JsonText, GatewayError> {
    #[derive(Serialize)]
    struct Queries<'a> {
        queries: &'a [String],
    }
    JsonText::of(&Queries { queries }).map_err(unwritable)
}

fn found(results: Option<Vec<SearchResult>>) -> Vec<ToolResultPart> {
    let results = results.into_iter().flatten();
    results
        .map(|result| {
            let (name, text) = (result.filename.unwrap_or_default(), result.text.unwrap_or_default());
            ToolResultPart::Text(format!("{name}\n{text}"))
        })
        .collect()
}

/// The generated image, where the history still has it and a model can take it.
fn image<N>(result: Option<String>, reader: &ItemReader<'_, N>) -> Option<ToolResultPart> {
    let wanted = Wanted { expected: Expected::Any, content_type: None, name: None, bucket_owner: None };
    let found = reader.media.read(result.filter(|data| !data.is_empty())?, wanted, "input").ok()?;
    match found {
        Content::Media(media) => Some(ToolResultPart::Media(media)),
        _ => None,
    }
}

/// Whatever stands there, as text: a string, or anything else as JSON.
pub(super) fn text_of(output: Option<TextOrRaw>) -> ToolResultPart {
    ToolResultPart::Text(match output {
        None => String::new(),
        Some(TextOrRaw::Text(text)) => text,
        Some(TextOrRaw::List(elements)) => as_array(&elements),
        Some(TextOrRaw::Raw(raw)) => raw.get().to_owned(),
    })
}

fn as_array(elements: &[Box<RawValue>]) -> String {
    let texts: Vec<&str> = elements.iter().map(|element| element.get()).collect();
    format!("[{}]", texts.join(","))
}

fn unwritable(error: serde_json::Error) -> GatewayError {
    GatewayError::Internal { message: format!("a call of the history could not be written: {error}") }
}

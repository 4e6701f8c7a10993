//! What the client's tools answered.

use outcrop_domain::{
    chat::{CacheMark, Content, ToolResultPart, ToolResultStatus},
    error::GatewayError,
};
use outcrop_protocol::openai::{
    body::decode_text,
    loose::{TextOrList, TextOrRaw},
    responses::{InputItem, ShellOutput},
};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::{
    conversation::{ItemReader, Naming},
    fault, history,
    place::Place,
};

/// A tool's answer.
pub(super) struct Output {
    pub(super) parts: Vec<ToolResultPart>,
    pub(super) status: ToolResultStatus,
    /// Nothing can be marked inside an answer, so any mark in it stands after it.
    pub(super) mark: Option<CacheMark>,
    /// Tools that were found and join the offer.
    pub(super) tools: Option<Vec<Box<RawValue>>>,
}

impl Output {
    fn of(parts: Vec<ToolResultPart>) -> Self {
        Self { parts, status: ToolResultStatus::Unstated, mark: None, tools: None }
    }
}

/// Reads an output by the kind of its item.
pub(super) fn read<N: Naming>(item: InputItem, place: Place, reader: &mut ItemReader<'_, N>) -> Result<Output, GatewayError> {
    match item.kind.as_deref() {
        Some("apply_patch_call_output") => {
            let failed = item.status.as_deref() == Some("failed");
            let status = if failed { ToolResultStatus::Error } else { ToolResultStatus::Unstated };
            Ok(Output { status, ..Output::of(vec![history::text_of(item.output)]) })
        }
        Some("program_output") => Ok(Output::of(vec![ToolResultPart::Text(item.result.unwrap_or_default())])),
        Some("tool_search_output") => found_tools(item, place),
        kind => {
            let shell = kind == Some("shell_call_output");
            match item.output.ok_or_else(|| fault::missing(place.of("output")))? {
                TextOrRaw::Text(text) => Ok(Output::of(vec![ToolResultPart::Text(text)])),
                TextOrRaw::List(commands) if shell => printed(&commands, place),
                TextOrRaw::List(parts) => of_parts(&parts, place, reader),
                TextOrRaw::Raw(object) if kind == Some("computer_call_output") => of_parts(&[object], place, reader),
                // With some clients any JSON.
                TextOrRaw::Raw(raw) => Ok(Output::of(vec![ToolResultPart::Text(raw.get().to_owned())])),
            }
        }
    }
}

fn of_parts<N: Naming>(raw: &[Box<RawValue>], place: Place, reader: &mut ItemReader<'_, N>) -> Result<Output, GatewayError> {
    let parts = raw.iter().enumerate().map(|(number, part)| element(part, number, place)).collect::<Result<_, _>>()?;
    let blocks = reader.parts().read(TextOrList::List(parts), place, "output")?;
    let mut output = Output::of(Vec::with_capacity(blocks.len()));
    for block in blocks {
        match block.content {
            Some(Content::Text(text) | Content::Guarded { text, .. }) => output.parts.push(ToolResultPart::Text(text)),
            Some(Content::Media(media)) => output.parts.push(ToolResultPart::Media(media)),
            // A part of an output is never anything else.
            Some(_) | None => {}
        }
        output.mark = block.mark.or(output.mark);
    }
    Ok(output)
}

/// One text for each command: what it printed, and how it ended.
fn printed(commands: &[Box<RawValue>], place: Place) -> Result<Output, GatewayError> {
    let mut texts = Vec::with_capacity(commands.len());
    for (number, command) in commands.iter().enumerate() {
        let command: ShellOutput = element(command, number, place)?;
        let outcome = command.outcome.as_ref().map(|outcome| format!("[{}]", outcome.get()));
        let pieces = [command.stdout, command.stderr, outcome].into_iter().flatten().filter(|text| !text.is_empty());
        texts.push(ToolResultPart::Text(pieces.collect::<Vec<_>>().join("\n")));
    }
    Ok(Output::of(texts))
}

fn element<T: DeserializeOwned>(raw: &RawValue, number: usize, place: Place) -> Result<T, GatewayError> {
    decode_text(raw.get()).map_err(|error| fault::inside(&place.of(&format!("output[{number}]")), &error))
}

fn found_tools(item: InputItem, place: Place) -> Result<Output, GatewayError> {
    let tools = item.tools.ok_or_else(|| fault::missing(place.of("tools")))?;
    let names: Vec<&str> = tools.iter().map(|tool| tool.get()).collect();
    let text = ToolResultPart::Text(format!("[{}]", names.join(",")));
    Ok(Output { tools: Some(tools), ..Output::of(vec![text]) })
}

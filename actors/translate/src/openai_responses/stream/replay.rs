//! A response once more as a stream, from some event on.

use outcrop_domain::{error::GatewayError, json::JsonText};
use outcrop_protocol::openai::responses::{
    ItemEvent, MessagePart, OutputItem, ResponseEvent, ResponseObject, Status, StreamEvent, SummaryText,
};

use super::{
    Thought,
    slot::{Open, Slot},
    terminal,
    wire::Wire,
};
use crate::openai_responses::{CallKind, Include, items::Call, response};

/// The part of a recorded stream that comes after its event `starting_after`; all of it without. `recorded` is what an
/// [`super::EventWriter`] wrote, comments included, as far as it has come.
#[must_use]
pub fn after(recorded: &[u8], starting_after: Option<u64>) -> &[u8] {
    let Some(last_seen) = starting_after else { return recorded };
    let mut rest = recorded;
    let mut number = 0;
    while number <= last_seen {
        let Some(end) = rest.windows(2).position(|pair| pair == b"\n\n") else { return &[] };
        number += u64::from(rest.starts_with(b"event: "));
        rest = rest.get(end + 2..).unwrap_or_default();
    }
    rest
}

/// Writes a stored response as a stream: each text in one delta, in the order of the items. Events up to
/// `starting_after` are left out.
///
/// The numbers are those of this telling, not of the first one, whose deltas nobody has kept. A client that has seen
/// more of that than there is here gets the event that it misses most: the end, with the whole response.
///
/// A response that is still under way has no end yet: `Status` tells.
///
/// # Errors
/// `Internal` when what is stored is no response.
pub fn replay(stored: &JsonText, include: Include, starting_after: Option<u64>, out: &mut Vec<u8>) -> Result<Status, GatewayError> {
    let response = response::read(stored, include)?;
    let mut wire = Wire::default();
    let mut told = Vec::new();
    tell_beginning(&response, &mut wire, &mut told);
    for (item, output_index) in response.output.iter().zip(0..) {
        tell_item(item, output_index, &response.id, &mut wire, &mut told);
    }
    out.extend_from_slice(after(&told, starting_after));
    if response.status.is_final() {
        let mut wire = Wire::from(starting_after.map_or(0, |seen| seen.saturating_add(1)).max(wire.next()));
        wire.event(out, |sequence_number| terminal(response.status, ResponseEvent { sequence_number, response: &response }));
    }
    Ok(response.status)
}

fn tell_beginning(response: &ResponseObject<'_>, wire: &mut Wire, out: &mut Vec<u8>) {
    let mut begun = response.clone();
    begun.status = if response.background { Status::Queued } else { Status::InProgress };
    begun.output.clear();
    (begun.completed_at, begun.error, begun.incomplete_details, begun.usage, begun.trace) = (None, None, None, None, None);
    wire.event(out, |sequence_number| StreamEvent::Created(ResponseEvent { sequence_number, response: &begun }));
    if response.background {
        wire.event(out, |sequence_number| StreamEvent::Queued(ResponseEvent { sequence_number, response: &begun }));
    }
    if response.status != Status::Queued {
        begun.status = Status::InProgress;
        wire.event(out, |sequence_number| StreamEvent::InProgress(ResponseEvent { sequence_number, response: &begun }));
    }
}

fn tell_item(item: &OutputItem, output_index: u32, response_id: &str, wire: &mut Wire, out: &mut Vec<u8>) {
    let Some(open) = open_of(item) else {
        wire.event(out, |sequence_number| StreamEvent::ItemAdded(ItemEvent { sequence_number, output_index, item }));
        wire.event(out, |sequence_number| StreamEvent::ItemDone(ItemEvent { sequence_number, output_index, item }));
        return;
    };
    let mut slot = Slot::begin(0, output_index, open, response_id, wire, out);
    let mut summary_begun = false;
    match item {
        OutputItem::Message { content, .. } => {
            for MessagePart::OutputText { text, annotations, .. } in content {
                slot.add_text(0, text, wire, out);
                for annotation in annotations {
                    slot.cite(0, |_, _| Some(annotation.clone()), wire, out);
                }
            }
        }
        OutputItem::Reasoning { summary, .. } => {
            for SummaryText::SummaryText { text } in summary {
                slot.think(Thought::Text(text), true, wire, out);
                summary_begun = true;
            }
        }
        OutputItem::FunctionCall { arguments: text, .. } | OutputItem::CustomToolCall { input: text, .. } => {
            slot.write_whole(text, wire, out);
        }
        OutputItem::WebSearchCall { .. } | OutputItem::CodeInterpreterCall { .. } => slot.stopped(wire, out),
        OutputItem::Compaction { .. } => {}
    }
    slot.write_end(item, summary_begun, wire, out);
}

/// How an item began; `None` for one that comes all at once.
fn open_of(item: &OutputItem) -> Option<Open> {
    Some(match item {
        OutputItem::Message { .. } => Open::message(),
        OutputItem::Reasoning { .. } => Open::reasoning(),
        OutputItem::FunctionCall { call_id, name, namespace, .. } => {
            Open::call(Call { kind: CallKind::Function, call_id: call_id.clone(), name: name.clone(), namespace: namespace.clone() })
        }
        OutputItem::CustomToolCall { call_id, name, namespace, .. } => {
            Open::call(Call { kind: CallKind::Custom, call_id: call_id.clone(), name: name.clone(), namespace: namespace.clone() })
        }
        OutputItem::WebSearchCall { .. } => Open::search(),
        OutputItem::CodeInterpreterCall { code, container_id, .. } => {
            Open::Code { input: code.clone().unwrap_or_default(), container_id: container_id.clone(), outputs: None }
        }
        OutputItem::Compaction { .. } => return None,
    })
}

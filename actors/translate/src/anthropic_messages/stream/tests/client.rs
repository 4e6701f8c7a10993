//! A client that takes nothing on trust: it reads a stream as the official clients do and fails where those would go
//! wrong silently.

use outcrop_protocol::anthropic::messages::{BlockDelta, BlockStart, EventUsage, StreamEvent};
use serde_json::{Map, Value, json};

/// What a client has at the end of a stream.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Received {
    /// The blocks, put together.
    pub(super) content: Vec<Value>,
    /// Events that are no pings.
    pub(super) events: Vec<StreamEvent>,
    pub(super) pings: usize,
    pub(super) stop_reason: Option<String>,
    pub(super) stop_sequence: Option<String>,
    pub(super) stop_details: Option<Map<String, Value>>,
    pub(super) usage: Option<EventUsage>,
    pub(super) trace: Option<Map<String, Value>>,
    /// `error` of the event that ended it.
    pub(super) error: Option<Map<String, Value>>,
    /// It ended as a stream must.
    pub(super) ended: bool,
}

/// The block that is open.
struct Open {
    index: usize,
    kind: &'static str,
    json: String,
    signed: bool,
}

/// Reads a whole stream.
///
/// # Errors
/// The rule that it breaks.
pub(super) fn receive(stream: &str) -> Result<Received, String> {
    let mut received = Received::default();
    let mut open: Option<Open> = None;
    let mut begun = false;
    if !stream.is_empty() && !stream.ends_with("\n\n") {
        return Err("it ends within an event".to_owned());
    }
    for frame in stream.split_terminator("\n\n") {
        let event = read_frame(frame)?;
        if received.ended {
            return Err(format!("{event:?} after the end"));
        }
        match &event {
            StreamEvent::Ping {} => {
                received.pings += 1;
                continue;
            }
            StreamEvent::Error { error, .. } => {
                received.error = Some(error.clone());
                received.ended = true;
            }
            _ if !begun && !matches!(event, StreamEvent::MessageStart { .. }) => return Err(format!("{event:?} before the start")),
            StreamEvent::MessageStart { message } => {
                let empty = message.content.is_empty() && message.stop_reason.is_none() && message.stop_sequence.is_none();
                if std::mem::replace(&mut begun, true) || !empty {
                    return Err("a second or a full start".to_owned());
                }
                received.usage = Some(message.usage.clone());
            }
            _ if received.stop_reason.is_some() && !matches!(event, StreamEvent::MessageStop {}) => {
                return Err(format!("{event:?} after message_delta"));
            }
            StreamEvent::ContentBlockStart { index, content_block } => {
                if open.is_some() || *index as usize != received.content.len() {
                    return Err(format!("block {index} begins out of turn"));
                }
                open = Some(begin(*index as usize, content_block, &mut received.content));
            }
            StreamEvent::ContentBlockDelta { index, delta } => {
                let Some(open) = open.as_mut().filter(|open| open.index == *index as usize) else {
                    return Err(format!("a delta of block {index}, which is not open"));
                };
                grow(open, delta, received.content.last_mut().ok_or("no block")?)?;
            }
            StreamEvent::ContentBlockStop { index } => {
                let Some(closed) = open.take().filter(|open| open.index == *index as usize) else {
                    return Err(format!("block {index} ends without being open"));
                };
                end(&closed, received.content.last_mut().ok_or("no block")?)?;
            }
            StreamEvent::MessageDelta { delta, usage, trace } => {
                if open.is_some() {
                    return Err("message_delta within a block".to_owned());
                }
                received.stop_reason = Some(delta.stop_reason.clone().ok_or("no stop_reason")?);
                received.stop_sequence = delta.stop_sequence.clone();
                received.stop_details = delta.stop_details.clone();
                received.usage = Some(usage.clone());
                received.trace = trace.clone();
            }
            StreamEvent::MessageStop {} => {
                if received.stop_reason.is_none() {
                    return Err("message_stop without message_delta".to_owned());
                }
                received.ended = true;
            }
        }
        received.events.push(event);
    }
    Ok(received)
}

fn read_frame(frame: &str) -> Result<StreamEvent, String> {
    let (name, data) = frame.split_once('\n').ok_or_else(|| format!("no data: {frame}"))?;
    let name = name.strip_prefix("event: ").ok_or_else(|| format!("no name: {frame}"))?;
    let json = data.strip_prefix("data: ").ok_or_else(|| format!("no data: {frame}"))?;
    if json.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']) {
        return Err(format!("a line that some client would cut: {json}"));
    }
    let plain: Value = serde_json::from_str(json).map_err(|error| format!("{error}: {json}"))?;
    if plain["type"] != name {
        return Err(format!("the event {name} calls itself {}", plain["type"]));
    }
    serde_json::from_str(json).map_err(|error| format!("{error}: {json}"))
}

fn begin(index: usize, block: &BlockStart, content: &mut Vec<Value>) -> Open {
    let kind = match block {
        BlockStart::Text { .. } => "text",
        BlockStart::Thinking { .. } => "thinking",
        BlockStart::RedactedThinking { .. } => "redacted_thinking",
        BlockStart::ToolUse { .. } => "tool_use",
    };
    content.push(json!(block));
    Open { index, kind, json: String::new(), signed: false }
}

fn grow(open: &mut Open, delta: &BlockDelta, block: &mut Value) -> Result<(), String> {
    let mut append = |member: &str, text: &str| {
        let whole = block[member].as_str().unwrap_or_default().to_owned() + text;
        block[member] = json!(whole);
    };
    match (open.kind, delta) {
        ("text", BlockDelta::TextDelta { text }) if !text.is_empty() => append("text", text),
        ("text", BlockDelta::CitationsDelta { citation }) => match block["citations"].as_array_mut() {
            Some(citations) => citations.push(json!(citation)),
            None => block["citations"] = json!([citation]),
        },
        ("thinking", BlockDelta::ThinkingDelta { thinking }) if !thinking.is_empty() => append("thinking", thinking),
        ("thinking", BlockDelta::SignatureDelta { signature }) => {
            append("signature", signature);
            open.signed = true;
        }
        ("tool_use", BlockDelta::InputJsonDelta { partial_json }) => open.json.push_str(partial_json),
        (kind, delta) => return Err(format!("{delta:?} in a block of {kind}")),
    }
    Ok(())
}

fn end(closed: &Open, block: &mut Value) -> Result<(), String> {
    if closed.kind == "text" && block["text"] == "" && block.get("citations").is_none() {
        return Err("an empty text block".to_owned());
    }
    if closed.kind == "thinking" && block["thinking"] == "" && !closed.signed {
        return Err("an empty thinking block".to_owned());
    }
    if closed.kind == "tool_use" {
        if closed.json.is_empty() {
            return Err("a call without input".to_owned());
        }
        // What was cut is no JSON: agents get to see that.
        block["input"] = serde_json::from_str(&closed.json).unwrap_or_else(|_| json!({"cut": closed.json}));
    }
    Ok(())
}

#[test]
fn the_client_sees_every_broken_rule() {
    let start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"x\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":0,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":0}}}\n\n";
    let frame = |data: Value| format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap());
    let block = |index: u32| frame(json!({"type": "content_block_start", "index": index, "content_block": {"type": "text", "text": ""}}));
    let text = |index: u32| frame(json!({"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": "x"}}));
    let stop = |index: u32| frame(json!({"type": "content_block_stop", "index": index}));
    let usage = json!({"input_tokens": 0, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 0});
    let delta = frame(json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": usage}));
    let last = frame(json!({"type": "message_stop"}));
    let sound = [start.to_owned(), block(0), text(0), stop(0), delta.clone(), last.clone()].concat();
    assert_eq!(receive(&sound).map(|received| (received.ended, received.content)), Ok((true, vec![json!({"type": "text", "text": "x"})])));
    let broken = [
        (vec![block(0)], "before the start"),
        (vec![start.to_owned(), start.to_owned()], "a second"),
        (vec![start.to_owned(), block(1)], "out of turn"),
        (vec![start.to_owned(), block(0), block(1)], "out of turn"),
        (vec![start.to_owned(), text(0)], "not open"),
        (vec![start.to_owned(), block(0), text(1)], "not open"),
        (vec![start.to_owned(), stop(0)], "without being open"),
        (vec![start.to_owned(), block(0), stop(0)], "an empty text block"),
        (vec![start.to_owned(), block(0), delta.clone()], "within a block"),
        (vec![start.to_owned(), last.clone()], "without message_delta"),
        (vec![start.to_owned(), delta.clone(), block(0)], "after message_delta"),
        (vec![sound.clone(), last], "after the end"),
        (vec!["event: ping\ndata: {\"type\":\"message_stop\"}\n\n".to_owned()], "calls itself"),
        (vec!["data: {\"type\":\"ping\"}\n\n".to_owned()], "no"),
        (vec![start.trim_end().to_owned()], "within an event"),
        (vec!["event: ping\ndata: {\"type\":\"ping\",\"x\":\"\u{2028}\"}\n\n".to_owned()], "would cut"),
    ];
    for (frames, complaint) in broken {
        let outcome = receive(&frames.concat());
        assert!(outcome.as_ref().is_err_and(|rule| rule.contains(complaint)), "{complaint}: {outcome:?}");
    }
}

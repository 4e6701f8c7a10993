//! A whole answer as if it had been streamed.

use outcrop_domain::chat::{BlockKind, ChatEvent, ChatResponse, Content, Reasoning, ToolResultPart};

/// The events of `response`, one delta per block, in the order a stream would have. Images have no event and are
/// left out.
#[must_use]
pub fn replay(response: ChatResponse) -> Vec<ChatEvent> {
    let mut replay = Replay { events: vec![ChatEvent::Started], next_index: 0 };
    for content in response.content {
        replay.content(content);
    }
    let mut events = replay.events;
    events.push(ChatEvent::Stopped { reason: response.stop, stop_sequence: response.stop_sequence });
    events.push(ChatEvent::Finished { usage: response.usage, service_tier: response.service_tier, trace: response.trace });
    events
}

struct Replay {
    events: Vec<ChatEvent>,
    next_index: u32,
}

impl Replay {
    fn content(&mut self, content: Content) {
        match content {
            Content::Text(text) => self.block(BlockKind::Text, |index| vec![ChatEvent::Text { index, text }]),
            Content::Cited { text, citations } => self.block(BlockKind::Text, |index| {
                let sources = citations.into_iter().map(|citation| ChatEvent::Cited { index, citation });
                std::iter::once(ChatEvent::Text { index, text }).chain(sources).collect()
            }),
            Content::Reasoning(reasoning) => self.block(BlockKind::Reasoning, |index| deltas(index, reasoning)),
            Content::ToolUse { id, name, input, origin } => self.block(BlockKind::ToolUse { id, name, origin }, |index| {
                vec![ChatEvent::ToolInput { index, fragment: input.get().to_owned() }]
            }),
            Content::ToolResult { id, parts, .. } => self.block(BlockKind::ServerToolResult { id }, |index| {
                parts.into_iter().filter_map(text_of).map(|text| ChatEvent::ServerToolOutput { index, text }).collect()
            }),
            Content::Media(_) | Content::SearchResult(_) | Content::Guarded { .. } | Content::CachePoint(_) => {}
        }
    }

    fn block(&mut self, kind: BlockKind, deltas: impl FnOnce(u32) -> Vec<ChatEvent>) {
        let index = self.next_index;
        self.next_index += 1;
        self.events.push(ChatEvent::BlockStarted { index, kind });
        self.events.extend(deltas(index));
        self.events.push(ChatEvent::BlockStopped { index });
    }
}

fn text_of(part: ToolResultPart) -> Option<String> {
    match part {
        ToolResultPart::Text(text) => Some(text),
        ToolResultPart::Json(json) => Some(json.get().to_owned()),
        ToolResultPart::Media(_) | ToolResultPart::SearchResult(_) => None,
    }
}

fn deltas(index: u32, reasoning: Reasoning) -> Vec<ChatEvent> {
    match reasoning {
        Reasoning::Text { text, signature } => {
            let text = (!text.is_empty()).then_some(ChatEvent::Reasoning { index, text });
            let signature = signature.map(|signature| ChatEvent::ReasoningSignature { index, signature });
            text.into_iter().chain(signature).collect()
        }
        Reasoning::Redacted(data) => vec![ChatEvent::ReasoningRedacted { index, data }],
    }
}

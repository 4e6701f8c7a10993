//! The events of a streamed Message, each in a chunk of its own.

use serde::Serialize;
use serde_json::{Value, json as value};

use super::super::{Answer, Guarded, Last};
use super::shapes::{Block, Citation, Citations, Known, Usage, content};
use super::{Edits, Message, edits, stop_reason};
use crate::{
    brain,
    converse::json,
    events::{Event, Events, Part, chunk},
    validate::Refusal,
};

/// Output tokens that are counted when the message begins, at most.
const COUNTED_EARLY: u64 = 8;

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Told<'a> {
    MessageStart {
        message: Message<'a>,
    },
    Ping {},
    ContentBlockStart {
        index: usize,
        content_block: Block<'a>,
    },
    ContentBlockDelta {
        index: usize,
        delta: Delta<'a>,
    },
    ContentBlockStop {
        index: usize,
    },
    MessageDelta {
        delta: End<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        usage: Option<EndUsage>,
        #[serde(skip_serializing_if = "Option::is_none")]
        context_management: Option<Edits>,
    },
    MessageStop {
        #[serde(flatten)]
        guarded: Guarded<'a>,
    },
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum Delta<'a> {
    #[serde(rename = "text_delta")]
    Text { text: &'a str },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: &'a str },
    #[serde(rename = "signature_delta")]
    Signature { signature: &'a str },
    #[serde(rename = "input_json_delta")]
    InputJson { partial_json: &'a str },
    #[serde(rename = "citations_delta")]
    Citations { citation: &'a Citation<'a> },
    #[serde(rename = "compaction_delta")]
    Compaction { content: &'a str },
}

#[derive(Serialize)]
struct End<'a> {
    stop_reason: &'a str,
    stop_sequence: Option<&'a str>,
}

/// Some models repeat the input at the end, others count the output alone.
#[derive(Serialize)]
#[serde(untagged)]
enum EndUsage {
    Whole(Usage),
    Output { output_tokens: u64 },
}

/// All events of an answer.
pub(crate) fn chunks(answer: &Answer<'_>, events: Events<'_>) -> Result<Vec<Event>, Refusal> {
    let mut teller = Teller { events };
    let turn = answer.turn;
    let early = turn.usage.output.min(1 + teller.events.below(COUNTED_EARLY));
    teller.say(&Told::MessageStart { message: Message::begun(answer, Usage::begun(turn, early)) }, Part::Content)?;
    // Anthropic pings once a block is open, or at once, or not at all.
    let ping = teller.events.below(3);
    if ping == 0 {
        teller.say(&Told::Ping {}, Part::Content)?;
    }
    for (index, block) in turn.blocks.iter().enumerate() {
        teller.block(index, block, ping == 1 && index == 0)?;
        teller.say(&Told::ContentBlockStop { index }, Part::Content)?;
    }
    let whole = teller.events.coin();
    let end = |usage| Told::MessageDelta {
        delta: End { stop_reason: stop_reason(turn.stop_reason), stop_sequence: turn.stop_sequence.as_deref() },
        usage,
        context_management: edits(answer),
    };
    let usage = if whole { EndUsage::Whole(Usage::of(turn)) } else { EndUsage::Output { output_tokens: turn.usage.output } };
    teller.say(&end(Some(usage)), Part::Usage(Some(chunk(&json(&end(None))?))))?;
    let stop = || Told::MessageStop { guarded: answer.guarded() };
    let metrics = answer.metrics(teller.events.waited());
    teller.say(&Last { event: stop(), metrics }, Part::Stop(Some(chunk(&json(&stop())?))))?;
    Ok(teller.events.finish())
}

/// The text of a block that sums up what came before.
fn summary(block: &Value) -> Option<&str> {
    let is_summary = block.get("type").and_then(Value::as_str) == Some("compaction");
    block.get("content").and_then(Value::as_str).filter(|_| is_summary)
}

struct Teller<'a> {
    events: Events<'a>,
}

impl Teller<'_> {
    fn block(&mut self, index: usize, block: &brain::Block, ping: bool) -> Result<(), Refusal> {
        let empty = Value::Object(serde_json::Map::new());
        let known = match block {
            brain::Block::Text(_) => Known::Text { text: "", citations: None },
            brain::Block::Cited { .. } => Known::Text { text: "", citations: Some(&[]) },
            brain::Block::Reasoning { .. } => Known::Thinking { thinking: "", signature: "" },
            brain::Block::ToolUse { id, name, .. } => Known::ToolUse { id, name, input: &empty },
            brain::Block::Native(value) if summary(value).is_some() => {
                let begun = value!({"type": "compaction", "content": null});
                self.say(&Told::ContentBlockStart { index, content_block: Block::Native(&begun) }, Part::Content)?;
                return self.deltas(index, block);
            }
            // These have no deltas: they come whole, and are paid for with their beginning.
            brain::Block::Redacted(_)
            | brain::Block::Native(_)
            | brain::Block::SystemToolUse { .. }
            | brain::Block::SystemToolResult { .. } => {
                let uncited = Citations(Vec::new());
                let content_block = content(block, &uncited);
                let payload = chunk(&json(&Told::ContentBlockStart { index, content_block })?);
                self.events.add_delta("chunk", payload, 0);
                return Ok(());
            }
        };
        self.say(&Told::ContentBlockStart { index, content_block: Block::Known(known) }, Part::Content)?;
        if ping {
            self.say(&Told::Ping {}, Part::Content)?;
        }
        self.deltas(index, block)
    }

    fn deltas(&mut self, index: usize, block: &brain::Block) -> Result<(), Refusal> {
        match block {
            brain::Block::Text(text) | brain::Block::Cited { text, .. } => {
                for (fragment, words) in self.events.text(text) {
                    self.delta(index, Delta::Text { text: &fragment }, words)?;
                }
                for citation in &Citations::of(block).0 {
                    self.delta(index, Delta::Citations { citation }, 0)?;
                }
            }
            // Models that hide their thinking send its signature alone.
            brain::Block::Reasoning { text, signature } => {
                if !text.is_empty() {
                    for (fragment, words) in self.events.text(text) {
                        self.delta(index, Delta::Thinking { thinking: &fragment }, words)?;
                    }
                }
                self.delta(index, Delta::Signature { signature }, 0)?;
            }
            brain::Block::ToolUse { input, .. } => self.arguments(index, input)?,
            // A summary comes whole, in one delta.
            brain::Block::Native(value) => {
                if let Some(content) = summary(value) {
                    self.delta(index, Delta::Compaction { content }, 0)?;
                }
            }
            brain::Block::Redacted(_) | brain::Block::SystemToolUse { .. } | brain::Block::SystemToolResult { .. } => {}
        }
        Ok(())
    }

    /// The first fragment is always empty.
    fn arguments(&mut self, index: usize, input: &Value) -> Result<(), Refusal> {
        self.delta(index, Delta::InputJson { partial_json: "" }, 0)?;
        if self.events.leaves_out(input) {
            return Ok(());
        }
        for (fragment, words) in self.events.arguments(input) {
            self.delta(index, Delta::InputJson { partial_json: &fragment }, words)?;
        }
        Ok(())
    }

    fn delta(&mut self, index: usize, delta: Delta<'_>, words: u32) -> Result<(), Refusal> {
        let payload = chunk(&json(&Told::ContentBlockDelta { index, delta })?);
        self.events.add_delta("chunk", payload, words);
        Ok(())
    }

    fn say(&mut self, told: &impl Serialize, part: Part) -> Result<(), Refusal> {
        self.events.add("chunk", chunk(&json(told)?), part);
        Ok(())
    }
}

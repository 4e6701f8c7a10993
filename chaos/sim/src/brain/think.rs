//! Reasoning blocks, as each family shows them.

use super::Block;
use super::memory::Call;
use super::scene::Scene;
use super::tokens;
use super::words::keywords;
use crate::models::{Replay, ThinkingMode, Traits};
use crate::validate::signature;
use crate::validate::thinking::Thinking;

/// Phrase that makes a signing model answer with a redacted block first.
const REDACTED_TRIGGER: &str = "REDACTED_THINKING";

/// What Nova shows instead of its reasoning.
const NOVA_TEXT: &str = "[REDACTED]";

/// Blocks and the tokens thought, shown or not.
#[derive(Default)]
pub(super) struct Thought {
    pub(super) blocks: Vec<Block>,
    pub(super) tokens: u64,
}

/// Thinks about the scene.
pub(super) fn think(traits: &Traits, thinking: Thinking, scene: &Scene<'_>, call: Call) -> Thought {
    // Without interleaving, the thinking that led to a tool call is not repeated after its result.
    if !thinking.on || (!thinking.interleaved && !scene.outcomes.is_empty()) {
        return Thought::default();
    }
    let text = reasoning(scene);
    let text = thinking.budget.map_or(text.as_str(), |budget| tokens::cut(&text, budget)).to_owned();
    let spent = tokens::text(&text);
    let mut blocks = Vec::new();
    match (traits.thinking, traits.reasoning_replay) {
        (ThinkingMode::Gpt, _) => {}
        (ThinkingMode::Nova, _) => blocks.push(Block::Reasoning { text: NOVA_TEXT.to_owned(), signature: String::new() }),
        (_, Replay::Signed) => {
            if scene.said.contains(REDACTED_TRIGGER) {
                blocks.push(Block::Redacted(signature::redact(&traits.lineage, call.nonce(1))));
            }
            let shown = if thinking.hidden { String::new() } else { text };
            let signature = signature::sign(&traits.lineage, &shown, call.nonce(0));
            blocks.push(Block::Reasoning { text: shown, signature });
        }
        _ => blocks.push(Block::Reasoning { text, signature: String::new() }),
    }
    Thought { blocks, tokens: spent }
}

fn reasoning(scene: &Scene<'_>) -> String {
    let topics = keywords(&scene.said, 6).join(", ");
    let about = if topics.is_empty() { "something short".to_owned() } else { topics };
    match scene.outcomes.as_slice() {
        [] => format!("The user writes about {about}. I should decide whether a tool helps, then answer directly and briefly."),
        outcomes => {
            let tools: Vec<&str> = outcomes.iter().map(|outcome| outcome.tool).collect();
            format!("The user writes about {about}. I have the results of {}, so I can check them and answer now.", tools.join(", "))
        }
    }
}

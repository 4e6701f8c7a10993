//! Where the answer ends: stop sequences, `maxTokens`, the context window, tool use.

use super::{Block, tokens};

/// What bounds an answer.
pub(super) struct Limits<'a> {
    /// `maxTokens`, thinking included.
    pub(super) max_tokens: u64,
    /// Tokens left in the context window.
    pub(super) room: u64,
    /// Stop sequences.
    pub(super) stops: &'a [&'a str],
}

/// A finished answer.
pub(super) struct Done {
    pub(super) blocks: Vec<Block>,
    pub(super) stop_reason: &'static str,
    pub(super) stop_sequence: Option<String>,
    pub(super) output: u64,
}

/// Cuts `blocks` where they must end. `thought` tokens are spent before the first visible block.
pub(super) fn finish(blocks: Vec<Block>, thought: u64, limits: &Limits<'_>) -> Done {
    let most = limits.max_tokens.min(limits.room);
    let exhausted = if limits.room < limits.max_tokens { "model_context_window_exceeded" } else { "max_tokens" };
    let mut kept = Vec::with_capacity(blocks.len());
    let mut left = most.saturating_sub(thought);
    let done =
        |kept: Vec<Block>, stop_reason, stop_sequence, left: u64| Done { blocks: kept, stop_reason, stop_sequence, output: most - left };
    if thought >= most && thought > 0 {
        kept.extend(blocks.into_iter().filter(|block| matches!(block, Block::Reasoning { .. } | Block::Redacted(_))));
        return done(kept, exhausted, None, 0);
    }
    let mut stop_reason = "end_turn";
    for block in blocks {
        match block {
            Block::Text(text) => match ending(&text, left, limits.stops) {
                Ending::Whole(cost) => {
                    left -= cost;
                    kept.push(Block::Text(text));
                }
                Ending::Stop(text, sequence, cost) => {
                    if !text.is_empty() || kept.is_empty() {
                        kept.push(Block::Text(text));
                    }
                    return done(kept, "stop_sequence", Some(sequence), left - cost);
                }
                Ending::Cut(text) => {
                    if !text.is_empty() {
                        kept.push(Block::Text(text));
                    }
                    return done(kept, exhausted, None, 0);
                }
            },
            Block::Cited { text, citations } => {
                let cost = tokens::text(&text);
                if cost > left {
                    kept.push(Block::Text(tokens::cut(&text, left).to_owned()));
                    return done(kept, exhausted, None, 0);
                }
                left -= cost;
                kept.push(Block::Cited { text, citations });
            }
            Block::ToolUse { id, name, input } => {
                let cost = tool_cost(&name, &input);
                if cost > left {
                    return done(kept, exhausted, None, 0);
                }
                left -= cost;
                stop_reason = "tool_use";
                kept.push(Block::ToolUse { id, name, input });
            }
            Block::SystemToolUse { id, name, input } => {
                let cost = tool_cost(name, &input);
                if cost > left {
                    return done(kept, exhausted, None, 0);
                }
                // Nobody has to run it: the turn goes on.
                left -= cost;
                kept.push(Block::SystemToolUse { id, name, input });
            }
            other => kept.push(other),
        }
    }
    done(kept, stop_reason, None, left)
}

enum Ending {
    Whole(u64),
    Stop(String, String, u64),
    Cut(String),
}

/// How a text ends: by the first stop sequence within the allowance, by the allowance, or whole.
fn ending(text: &str, left: u64, stops: &[&str]) -> Ending {
    let within = tokens::cut(text, left);
    let first = stops
        .iter()
        .filter_map(|stop| within.find(stop).map(|at| (at, *stop)))
        .min_by_key(|(at, stop)| (*at, std::cmp::Reverse(stop.len())));
    if let Some((at, stop)) = first {
        let kept = within.get(..at).unwrap_or_default();
        // The sequence itself was generated, hence billed.
        let cost = tokens::text(kept) + tokens::text(stop);
        return Ending::Stop(kept.to_owned(), stop.to_owned(), cost.min(left));
    }
    if within.len() < text.len() { Ending::Cut(within.to_owned()) } else { Ending::Whole(tokens::text(text)) }
}

fn tool_cost(name: &str, input: &serde_json::Value) -> u64 {
    8 + tokens::text(name) + tokens::text(&input.to_string())
}

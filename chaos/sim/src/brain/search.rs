//! Searches among deferred tools: what a Claude model does before it calls a tool that is no part of its prompt.

use serde::Serialize;
use serde_json::Value;

use super::Block;
use super::memory::Call;
use crate::validate::shape::{Block as Given, Request, Tool};

/// Types of the tools that search begin with this.
const SEARCH: &str = "tool_search_tool_";

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Search<'a> {
    ServerToolUse { id: &'a str, name: &'a str, input: Input },
    ToolSearchToolResult { tool_use_id: &'a str, content: Found<'a> },
}

#[derive(Serialize)]
struct Input {
    query: String,
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "tool_search_tool_search_result")]
struct Found<'a> {
    tool_references: Vec<Reference<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "tool_reference")]
struct Reference<'a> {
    tool_name: &'a str,
}

/// The search that finds the deferred tools among `calls`, and its result; nothing where none of them is new to the conversation.
pub(super) fn blocks(request: &Request<'_>, calls: &[(String, Value)], call: Call) -> Vec<Block> {
    let tools = || request.tools.iter().flat_map(|config| config.tools.iter().map(|(_, tool)| tool));
    let searcher = tools().find_map(|tool| match tool {
        Tool::Defined { kind, name } if kind.starts_with(SEARCH) => Some(*name),
        _ => None,
    });
    let Some(searcher) = searcher else { return Vec::new() };
    let deferred = |wanted: &str| tools().any(|tool| matches!(tool, Tool::Spec { name, deferred: true, .. } if *name == wanted));
    let mut names: Vec<&str> =
        calls.iter().map(|(name, _)| name.as_str()).filter(|name| deferred(name) && !called(request, name)).collect();
    names.dedup();
    if names.is_empty() {
        return Vec::new();
    }
    let id = call.search_id();
    let found = Found { tool_references: names.iter().map(|tool_name| Reference { tool_name }).collect() };
    [
        Search::ServerToolUse { id: &id, name: searcher, input: Input { query: names.join("|") } },
        Search::ToolSearchToolResult { tool_use_id: &id, content: found },
    ]
    .iter()
    // Plain data: it always serialises.
    .filter_map(|block| serde_json::to_value(block).ok())
    .map(Block::Native)
    .collect()
}

/// Whether the conversation has called the tool already.
fn called(request: &Request<'_>, wanted: &str) -> bool {
    let mut blocks = request.messages.iter().flat_map(|message| &message.content);
    blocks.any(|placed| matches!(placed.block, Given::ToolUse { name, .. } if name == wanted))
}

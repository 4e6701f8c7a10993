//! Tool calls and their results: every call answered exactly once, in call order, in the one user turn right after.

use std::{
    borrow::Cow,
    collections::{HashMap, VecDeque},
};

use outcrop_domain::{adjust::Adjustments, model::ChatCapabilities};
use outcrop_protocol::bedrock::converse::{ContentBlock, Role, ToolResult, ToolResultContent};

use super::{
    names::ToolIdMap,
    turns::{Mark, Marked, Piece, Turn},
};

/// Answer of a call whose result the client does not have.
const MISSING_RESULT: &str = "[no result was recorded for this tool call]";
/// Heads a result whose call is not in the conversation.
const ORPHAN_RESULT: &str = "[result of a tool call that is not part of this conversation]";

/// A call of the turn before.
struct Call<'a> {
    client_id: Cow<'a, str>,
    wire_id: Cow<'a, str>,
    result: Option<Piece<'a>>,
}

/// Pairs all calls with their results and maps their ids.
pub(super) fn pair<'a>(turns: Vec<Turn<'a>>, model: &ChatCapabilities, notes: &mut Adjustments) -> Vec<Turn<'a>> {
    let mut ids = ToolIdMap::new(model.tool_ids);
    let mut paired = Vec::with_capacity(turns.len() + 1);
    let mut rest = turns.into_iter().peekable();
    while let Some(mut turn) = rest.next() {
        if turn.role != Role::Assistant {
            answer(&mut turn, Vec::new(), model, notes);
            paired.push(turn);
            continue;
        }
        let calls = name_calls(&mut turn, &mut ids, notes);
        let message = turn.message;
        if !turn.pieces.is_empty() {
            paired.push(turn);
        }
        if calls.is_empty() {
            continue;
        }
        let mut answers = match rest.next_if(|next| next.role == Role::User) {
            Some(turn) => turn,
            None => Turn { role: Role::User, pieces: Vec::new(), message },
        };
        answer(&mut answers, calls, model, notes);
        paired.push(answers);
    }
    joined(paired)
}

/// Gives every call of an assistant turn its id on the wire, and lists those that wait for the client's result.
/// Results of tools that Bedrock ran stay in the turn, when their call does.
fn name_calls<'a>(turn: &mut Turn<'a>, ids: &mut ToolIdMap, notes: &mut Adjustments) -> Vec<Call<'a>> {
    let mut calls = Vec::new();
    let mut server: Vec<Call<'a>> = Vec::new();
    turn.pieces.retain_mut(|piece| match &mut piece.value {
        ContentBlock::ToolUse(call) => {
            let client_id = call.tool_use_id.clone();
            call.tool_use_id = ids.assign(client_id.clone(), notes);
            let list = if call.kind.is_some() { &mut server } else { &mut calls };
            list.push(Call { client_id, wire_id: call.tool_use_id.clone(), result: None });
            true
        }
        ContentBlock::ToolResult(result) => {
            if let Some(call) = server.iter().find(|call| call.client_id == result.tool_use_id) {
                result.tool_use_id = call.wire_id.clone();
                return true;
            }
            notes.note("messages.server_tools", "dropped");
            false
        }
        _ => true,
    });
    calls
}

/// Puts the results of `calls` at the head of a user turn.
fn answer<'a>(turn: &mut Turn<'a>, mut calls: Vec<Call<'a>>, model: &ChatCapabilities, notes: &mut Adjustments) {
    let mut others = Vec::new();
    let mut places = Places::of(&calls);
    for piece in std::mem::take(&mut turn.pieces) {
        let Marked { value: ContentBlock::ToolResult(result), mark } = piece else {
            others.push(piece);
            continue;
        };
        match places.next(&result.tool_use_id).and_then(|place| calls.get_mut(place)) {
            Some(call) => {
                let mut mark = mark;
                if let Some(earlier) = call.result.take() {
                    notes.note("messages.tool", "duplicate_result_dropped");
                    if let Some(earlier) = earlier.mark {
                        Mark::attach(&mut mark, earlier);
                    }
                }
                let result = ToolResult { tool_use_id: call.wire_id.clone(), ..result };
                call.result = Some(Marked { value: ContentBlock::ToolResult(result), mark });
            }
            None => {
                notes.note("messages.tool", "orphan_result_as_text");
                others.extend(as_text(ORPHAN_RESULT, result, mark));
            }
        }
    }
    for call in calls {
        turn.pieces.push(call.result.unwrap_or_else(|| {
            notes.note("messages.tool", "missing_result_added");
            missing(call.wire_id, model)
        }));
    }
    turn.pieces.append(&mut others);
}

/// Where the calls of each id stand. A map, since a turn may hold as many calls as a body has room for.
struct Places<'a>(HashMap<Cow<'a, str>, VecDeque<usize>>);

impl<'a> Places<'a> {
    fn of(calls: &[Call<'a>]) -> Self {
        let mut places: HashMap<Cow<'a, str>, VecDeque<usize>> = HashMap::new();
        for (place, call) in calls.iter().enumerate() {
            places.entry(call.client_id.clone()).or_default().push_back(place);
        }
        Self(places)
    }

    /// The call that a result belongs to: the first unanswered one of that id, else the last one of that id.
    fn next(&mut self, id: &str) -> Option<usize> {
        let places = self.0.get_mut(id)?;
        if places.len() > 1 { places.pop_front() } else { places.front().copied() }
    }
}

fn missing<'a>(id: Cow<'a, str>, model: &ChatCapabilities) -> Piece<'a> {
    Marked::plain(ContentBlock::ToolResult(ToolResult {
        tool_use_id: id,
        content: vec![ToolResultContent::Text(Cow::Borrowed(MISSING_RESULT))],
        status: model.tool_result_status.then_some("error"),
    }))
}

/// Tool history as text, for models that know no tools.
pub(super) fn flatten(turns: &mut [Turn<'_>], notes: &mut Adjustments) {
    for turn in turns {
        for piece in std::mem::take(&mut turn.pieces) {
            match piece {
                Marked { value: ContentBlock::ToolUse(call), mark } => {
                    notes.note("messages.tool_calls", "flattened");
                    let text = format!("[tool call {}: `{}` with {}]", call.tool_use_id, call.name, call.input.get());
                    turn.pieces.push(Marked { value: ContentBlock::Text(Cow::Owned(text)), mark });
                }
                Marked { value: ContentBlock::ToolResult(result), mark } => {
                    notes.note("messages.tool_calls", "flattened");
                    let heading = format!("[result of tool call {}]", result.tool_use_id);
                    turn.pieces.extend(as_text(&heading, result, mark));
                }
                other => turn.pieces.push(other),
            }
        }
    }
}

/// A tool result as ordinary content.
fn as_text<'a>(heading: &str, result: ToolResult<'a>, mark: Option<Mark>) -> Vec<Piece<'a>> {
    let mut text = heading.to_owned();
    let mut media = Vec::new();
    for part in result.content {
        match part {
            ToolResultContent::Text(part) => text = format!("{text}\n{part}"),
            ToolResultContent::Json(part) => text = format!("{text}\n{}", part.get()),
            ToolResultContent::Image(image) => media.push(ContentBlock::Image(image)),
            ToolResultContent::Document(document) => media.push(ContentBlock::Document(document)),
            ToolResultContent::Video(video) => media.push(ContentBlock::Video(video)),
            ToolResultContent::SearchResult(result) => media.push(ContentBlock::SearchResult(result)),
        }
    }
    let mut pieces: Vec<Piece<'a>> = std::iter::once(ContentBlock::Text(Cow::Owned(text))).chain(media).map(Marked::plain).collect();
    if let (Some(mark), Some(last)) = (mark, pieces.last_mut()) {
        Mark::attach(&mut last.mark, mark);
    }
    pieces
}

/// Joins turns of one role that stand side by side after an assistant turn lost all its blocks.
fn joined(turns: Vec<Turn<'_>>) -> Vec<Turn<'_>> {
    let mut joined: Vec<Turn<'_>> = Vec::with_capacity(turns.len());
    for mut turn in turns {
        match joined.last_mut() {
            Some(last) if last.role == turn.role => last.pieces.append(&mut turn.pieces),
            _ => joined.push(turn),
        }
    }
    joined
}

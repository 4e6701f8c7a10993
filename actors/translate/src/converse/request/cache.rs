//! Cache marks: where they may stand, how many, with which lifetime.
//!
//! The prefix that is cached runs tools, system, messages; "before" and "after" mean that order.

use outcrop_domain::{
    adjust::Adjustments,
    chat::CacheTtl,
    model::{CacheSupport, ChatCapabilities},
};
use outcrop_protocol::bedrock::converse::{CachePoint, ContentBlock, Document, DocumentSource, Role, SystemBlock, ToolEntry};

use super::{
    Scope,
    turns::{Mark, Marked, Piece, Turn},
};

/// Turns of the user's that get an automatic mark: the newest, and the one before, whose prefix the last call wrote.
const AUTOMATIC_TURNS: usize = 2;

/// Brings all marks into a form that the model takes, and adds the automatic ones where there is room.
pub(super) fn place(
    tools: &mut [Marked<ToolEntry<'_>>],
    system: &mut [Marked<SystemBlock<'_>>],
    turns: &mut [Turn<'_>],
    scope: Scope<'_>,
    notes: &mut Adjustments,
) {
    let none = CacheSupport { min_tokens: 0, max_points: 0, ttls: Vec::new(), system: false, messages: false, tools: false };
    let support = scope.model.cache.as_ref().unwrap_or(&none);
    clear(tools.iter_mut().map(|entry| &mut entry.mark), support.tools, notes);
    clear(system.iter_mut().map(|block| &mut block.mark), support.system, notes);
    clear(message_marks(turns), support.messages, notes);
    if scope.model.cache.is_none() {
        return;
    }
    for turn in turns.iter_mut() {
        relocate(turn, notes);
    }
    let explicit = all_marks(tools, system, turns).filter(|mark| mark.is_some()).count();
    let limit = usize::try_from(support.max_points).unwrap_or(usize::MAX);
    if explicit > limit {
        notes.note("cache_control", "earliest_dropped");
        for mark in all_marks(tools, system, turns).filter(|mark| mark.is_some()).take(explicit - limit) {
            *mark = None;
        }
    } else {
        add_automatic(tools, system, turns, scope, support, limit - explicit);
    }
    settle_lifetimes(tools, system, turns, support, notes);
}

/// The lifetime that holds when none is written.
pub(super) fn default_ttl(model: &ChatCapabilities) -> Option<CacheTtl> {
    model.cache.as_ref().and_then(|support| support.ttls.first().copied())
}

/// Writes marks out as members of their own.
pub(super) fn emit<T>(pieces: Vec<Marked<T>>, default_ttl: Option<CacheTtl>, point: fn(CachePoint) -> T) -> Vec<T> {
    let marks = pieces.iter().filter(|piece| piece.mark.is_some()).count();
    let mut members = Vec::with_capacity(pieces.len() + marks);
    for piece in pieces {
        members.push(piece.value);
        if let Some(mark) = piece.mark {
            let ttl = mark.ttl.filter(|ttl| Some(*ttl) != default_ttl).map(|ttl| match ttl {
                CacheTtl::FiveMinutes => "5m",
                CacheTtl::OneHour => "1h",
            });
            members.push(point(CachePoint { kind: "default", ttl }));
        }
    }
    members
}

/// A mark as a member of `toolConfig.tools`.
pub(super) fn tool_point(point: CachePoint) -> ToolEntry<'static> {
    ToolEntry::CachePoint(point)
}

/// A mark as a member of `system`.
pub(super) fn system_point(point: CachePoint) -> SystemBlock<'static> {
    SystemBlock::CachePoint(point)
}

/// A mark as a block of a message.
pub(super) fn message_point(point: CachePoint) -> ContentBlock<'static> {
    ContentBlock::CachePoint(point)
}

fn message_marks<'t>(turns: &'t mut [Turn<'_>]) -> impl Iterator<Item = &'t mut Option<Mark>> {
    turns.iter_mut().flat_map(|turn| turn.pieces.iter_mut().map(|piece| &mut piece.mark))
}

fn all_marks<'t>(
    tools: &'t mut [Marked<ToolEntry<'_>>],
    system: &'t mut [Marked<SystemBlock<'_>>],
    turns: &'t mut [Turn<'_>],
) -> impl DoubleEndedIterator<Item = &'t mut Option<Mark>> {
    let tools = tools.iter_mut().map(|entry| &mut entry.mark);
    let system = system.iter_mut().map(|block| &mut block.mark);
    let messages = turns.iter_mut().flat_map(|turn| turn.pieces.iter_mut().map(|piece| &mut piece.mark));
    tools.chain(system).chain(messages)
}

fn clear<'m>(marks: impl Iterator<Item = &'m mut Option<Mark>>, supported: bool, notes: &mut Adjustments) {
    if supported {
        return;
    }
    for mark in marks {
        if mark.take().is_some() {
            notes.note("cache_control", "dropped");
        }
    }
}

/// Moves marks off blocks that none may follow: onto the next fit block of the turn, else onto the one before.
fn relocate(turn: &mut Turn<'_>, notes: &mut Adjustments) {
    if !turn.pieces.iter().any(|piece| piece.mark.is_some() && !may_be_marked(piece)) {
        return;
    }
    let mut before = None;
    for (position, after) in fit_from_here(&turn.pieces).into_iter().enumerate() {
        if after == Some(position) {
            before = after;
            continue;
        }
        let Some(mark) = turn.pieces.get_mut(position).and_then(|piece| piece.mark.take()) else { continue };
        match after.or(before).and_then(|target| turn.pieces.get_mut(target)) {
            Some(target) => {
                notes.note("cache_control", "moved");
                Mark::attach(&mut target.mark, mark);
            }
            None => notes.note("cache_control", "dropped"),
        }
    }
}

/// For each piece the first one from it on that may be marked: found in one pass, however many pieces there are.
fn fit_from_here(pieces: &[Piece<'_>]) -> Vec<Option<usize>> {
    let mut next = None;
    let backwards = pieces.iter().enumerate().rev().map(|(position, piece)| {
        if may_be_marked(piece) {
            next = Some(position);
        }
        next
    });
    let mut found: Vec<Option<usize>> = backwards.collect();
    found.reverse();
    found
}

/// No mark stands behind reasoning, nor directly behind a document of plain text.
fn may_be_marked(piece: &Piece<'_>) -> bool {
    match &piece.value {
        ContentBlock::ReasoningContent(_) => false,
        ContentBlock::Document(document) => !is_plain_text(document),
        _ => true,
    }
}

fn is_plain_text(document: &Document<'_>) -> bool {
    matches!(document.source, DocumentSource::Text(_) | DocumentSource::Content(_))
        || matches!(document.format, "txt" | "md" | "csv" | "html")
}

/// Fills up with automatic marks: tools and system first, because they change least.
fn add_automatic(
    tools: &mut [Marked<ToolEntry<'_>>],
    system: &mut [Marked<SystemBlock<'_>>],
    turns: &mut [Turn<'_>],
    scope: Scope<'_>,
    support: &CacheSupport,
    room: usize,
) {
    let policy = scope.request.cache;
    let mark = Mark { ttl: policy.ttl, automatic: true };
    let tool = tools.last_mut().map(|entry| &mut entry.mark).filter(|_| policy.tools && support.tools);
    let instruction = system.last_mut().map(|block| &mut block.mark).filter(|_| policy.system && support.system);
    let messages = turns
        .iter_mut()
        .rev()
        .filter(|turn| policy.messages && support.messages && turn.role == Role::User)
        .filter_map(|turn| turn.pieces.iter_mut().rev().find(|piece| may_be_marked(piece)))
        .map(|piece| &mut piece.mark)
        .take(AUTOMATIC_TURNS);
    for slot in tool.into_iter().chain(instruction).chain(messages).filter(|slot| slot.is_none()).take(room) {
        *slot = Some(mark);
    }
}

/// Drops lifetimes that the model does not take, and sees to it that none is longer than one before it.
fn settle_lifetimes(
    tools: &mut [Marked<ToolEntry<'_>>],
    system: &mut [Marked<SystemBlock<'_>>],
    turns: &mut [Turn<'_>],
    support: &CacheSupport,
    notes: &mut Adjustments,
) {
    let default = support.ttls.first().copied().unwrap_or(CacheTtl::FiveMinutes);
    let mut longest_after = CacheTtl::FiveMinutes;
    for mark in all_marks(tools, system, turns).rev().filter_map(Option::as_mut) {
        if mark.ttl.is_some_and(|ttl| !support.ttls.contains(&ttl)) {
            notes.note("cache_control.ttl", "dropped");
            mark.ttl = None;
        }
        // Our own marks give way to the client's longer ones behind them.
        if mark.automatic && longest_after > mark.ttl.unwrap_or(default) {
            mark.ttl = Some(longest_after);
        }
        longest_after = longest_after.max(mark.ttl.unwrap_or(default));
    }
    let mut shortest_before = CacheTtl::OneHour;
    for mark in all_marks(tools, system, turns).filter_map(Option::as_mut) {
        let ttl = mark.ttl.unwrap_or(default);
        if ttl > shortest_before {
            notes.note("cache_control.ttl", "shortened");
            mark.ttl = Some(shortest_before);
        }
        shortest_before = shortest_before.min(ttl);
    }
}

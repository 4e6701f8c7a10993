//! Leading instructions.

use std::borrow::Cow;

use outcrop_domain::{adjust::Adjustments, chat::SystemBlock as HubBlock};
use outcrop_protocol::bedrock::converse::{ContentBlock, GuardContent, Role, SystemBlock};

use super::{
    Scope,
    turns::{Mark, Marked, Piece, Turn, guard_content},
};

/// The `system` blocks.
pub(super) fn blocks<'a>(scope: Scope<'a>, notes: &mut Adjustments) -> Vec<Marked<SystemBlock<'a>>> {
    let mut blocks: Vec<Marked<SystemBlock<'a>>> = Vec::with_capacity(scope.request.system.len());
    for block in &scope.request.system {
        match block {
            HubBlock::Text(text) | HubBlock::Guarded { text, .. } if text.trim().is_empty() => {
                notes.note("system", "blank_text_removed");
            }
            HubBlock::Guarded { text, qualifiers } if scope.model.guardrails => {
                blocks.push(Marked::plain(SystemBlock::GuardContent(guard_content(text, qualifiers))));
            }
            HubBlock::Text(text) | HubBlock::Guarded { text, .. } => {
                blocks.push(Marked::plain(SystemBlock::Text(Cow::Borrowed(text))));
            }
            HubBlock::CachePoint(mark) => match blocks.last_mut() {
                Some(last) => Mark::attach(&mut last.mark, Mark::explicit(*mark)),
                None => notes.note("cache_control", "dropped"),
            },
        }
    }
    blocks
}

/// Moves the instructions to the head of the first user turn, for models that refuse `system`.
pub(super) fn move_into_first_turn<'a>(system: &mut Vec<Marked<SystemBlock<'a>>>, turns: &mut [Turn<'a>], notes: &mut Adjustments) {
    let Some(turn) = turns.first_mut().filter(|turn| turn.role == Role::User && !system.is_empty()) else { return };
    notes.note("system", "first_user_turn");
    let moved: Vec<Piece<'a>> = system.drain(..).map(|block| Marked { mark: block.mark, value: as_content(block.value) }).collect();
    turn.pieces.splice(0..0, moved);
}

fn as_content(block: SystemBlock<'_>) -> ContentBlock<'_> {
    match block {
        SystemBlock::Text(text) => ContentBlock::Text(text),
        SystemBlock::GuardContent(GuardContent::Text(text)) => ContentBlock::GuardContent(GuardContent::Text(text)),
        SystemBlock::CachePoint(point) => ContentBlock::CachePoint(point),
    }
}

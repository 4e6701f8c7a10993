//! Order of blocks and turns: reasoning, text, calls; the user first; a user turn last where the model continues
//! nothing.

use std::borrow::Cow;

use outcrop_domain::{adjust::Adjustments, error::GatewayError, model::ChatCapabilities};
use outcrop_protocol::bedrock::converse::{ContentBlock, Role, ToolResultContent};

use super::{
    Scope,
    turns::{Marked, Piece, Turn},
};

/// Stands for a user turn that the client left out.
const PLACEHOLDER: &str = "(no message)";
/// Asks for the rest of a begun answer, of models that continue none by themselves.
const CONTINUE: &str = "Continue.";
/// Accompanies documents, which Converse takes only beside text.
const DOCUMENT_TEXT: &str = "See the attached document.";
/// Most images in one turn. Source: Converse `Message.content`.
const MAX_IMAGES: usize = 20;
/// Most documents in one turn. Source: Converse `Message.content`.
const MAX_DOCUMENTS: usize = 5;

/// Puts the blocks of every turn in order.
pub(super) fn arrange(turns: &mut [Turn<'_>], notes: &mut Adjustments) {
    for turn in turns {
        match turn.role {
            Role::Assistant => arrange_assistant(turn, notes),
            Role::User => accompany_documents(turn, notes),
            Role::System => {}
        }
    }
}

fn arrange_assistant(turn: &mut Turn<'_>, notes: &mut Adjustments) {
    fn rank(piece: &Piece<'_>) -> u8 {
        match &piece.value {
            ContentBlock::ReasoningContent(_) => 0,
            ContentBlock::ToolUse(call) if call.kind.is_none() => 2,
            _ => 1,
        }
    }
    if !turn.pieces.is_sorted_by_key(rank) {
        notes.note("messages.content", "reordered");
        turn.pieces.sort_by_key(rank);
    }
}

fn accompany_documents(turn: &mut Turn<'_>, notes: &mut Adjustments) {
    let has = |wanted: fn(&ContentBlock<'_>) -> bool| turn.pieces.iter().any(|piece| wanted(&piece.value));
    if has(|block| matches!(block, ContentBlock::Document(_))) && !has(|block| matches!(block, ContentBlock::Text(_))) {
        notes.note("messages.content", "text_added_to_document");
        turn.pieces.push(Marked::plain(ContentBlock::Text(Cow::Borrowed(DOCUMENT_TEXT))));
    }
}

/// Makes the user speak first.
///
/// # Errors
/// When there is neither a conversation nor an instruction.
pub(super) fn open_with_user(turns: &mut Vec<Turn<'_>>, scope: Scope<'_>, notes: &mut Adjustments) -> Result<(), GatewayError> {
    if turns.is_empty() && scope.request.messages.is_empty() && scope.request.system.is_empty() {
        return Err(GatewayError::invalid("messages", "messages must contain at least one message"));
    }
    if turns.first().is_none_or(|turn| turn.role != Role::User) {
        notes.note("messages", "placeholder_user_turn");
        turns.insert(0, user_turn(PLACEHOLDER));
    }
    Ok(())
}

/// Settles what a final assistant turn means.
pub(super) fn close(turns: &mut Vec<Turn<'_>>, model: &ChatCapabilities, reasoning: bool, notes: &mut Adjustments) {
    let Some(turn) = turns.last_mut().filter(|turn| turn.role == Role::Assistant) else { return };
    let message = turn.message;
    // A begun answer and thinking exclude each other, and only text can be continued.
    if model.prefill
        && !reasoning
        && let Some(Marked { value: ContentBlock::Text(text), .. }) = turn.pieces.last_mut()
    {
        let kept = text.trim_end().len();
        if kept < text.len() {
            notes.note("messages", "prefill_trimmed");
            truncate(text, kept);
        }
        return;
    }
    notes.note("messages", "prefill_continued");
    turns.push(Turn { message, ..user_turn(CONTINUE) });
}

fn truncate(text: &mut Cow<'_, str>, length: usize) {
    match text {
        Cow::Borrowed(borrowed) => *borrowed = borrowed.get(..length).unwrap_or(borrowed),
        Cow::Owned(owned) => owned.truncate(length),
    }
}

fn user_turn(text: &'static str) -> Turn<'static> {
    Turn { role: Role::User, pieces: vec![Marked::plain(ContentBlock::Text(Cow::Borrowed(text)))], message: 0 }
}

/// Refuses turns with more images or documents than Converse takes.
///
/// # Errors
/// Names the turn's first message and the number.
pub(super) fn check_counts(turns: &[Turn<'_>]) -> Result<(), GatewayError> {
    for turn in turns {
        let (images, documents) = turn.pieces.iter().map(count).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        for (count, limit, kind) in [(images, MAX_IMAGES, "images"), (documents, MAX_DOCUMENTS, "documents")] {
            if count > limit {
                let param = format!("messages[{}]", turn.message);
                let message =
                    format!("the user turn that begins with {param} holds {count} {kind}; Bedrock takes at most {limit} in one turn");
                return Err(GatewayError::invalid(param, message));
            }
        }
    }
    Ok(())
}

/// Images and documents of a block.
fn count(piece: &Piece<'_>) -> (usize, usize) {
    match &piece.value {
        ContentBlock::Image(_) => (1, 0),
        ContentBlock::Document(_) => (0, 1),
        ContentBlock::ToolResult(result) => result.content.iter().fold((0, 0), |(images, documents), part| match part {
            ToolResultContent::Image(_) => (images + 1, documents),
            ToolResultContent::Document(_) => (images, documents + 1),
            _ => (images, documents),
        }),
        _ => (0, 0),
    }
}

//! `system` turns in mid-conversation. They stay where they are, so that the cached prefix holds; `system` is never touched.

use std::sync::LazyLock;

use outcrop_domain::model::MidSystem;

use super::{Draft, Message, Role};
use crate::{
    converse::request::MID_SYSTEM_NOTE,
    transparent::json::{Kind, elements_of},
};

/// The note that stands before such a turn in models that know no such role, as the inside of a JSON string.
static NOTE: LazyLock<String> = LazyLock::new(|| {
    let quoted = serde_json::to_string(MID_SYSTEM_NOTE).unwrap_or_default();
    quoted.trim_matches('"').to_owned()
});

/// The same as a block of its own.
static NOTE_BLOCK: LazyLock<String> = LazyLock::new(|| {
    let text = serde_json::to_string(MID_SYSTEM_NOTE.trim_end()).unwrap_or_default();
    format!("{{\"type\":\"text\",\"text\":{text}}}")
});

/// Turns the turns that the model refuses into user turns, in place, and behind the tool results that must come first.
pub(super) fn settle(draft: &mut Draft<'_>, support: MidSystem) {
    let messages = &draft.index.messages;
    let mut before = None;
    let mut position = 0;
    // Turns of the role stand in runs, and a run as a whole is in place or not.
    while let Some(message) = messages.get(position) {
        if message.role != Role::System {
            before = Some(message);
            position += 1;
            continue;
        }
        let run = messages.iter().skip(position).take_while(|message| message.role == Role::System).count();
        // Before the conversation begins no model takes one.
        if support == MidSystem::UserTurn || before.is_none() {
            let after = position + run;
            let apart = before.is_some_and(calls_tools) && messages.get(after).is_some_and(brings_results);
            for (offset, message) in messages.iter().skip(position).take(run).enumerate() {
                as_user(draft, *message);
                if apart {
                    draft.move_message(position + offset, after);
                }
            }
            draft.notes.note("messages.system", "user_turn");
        }
        position += run;
    }
}

fn calls_tools(message: &Message) -> bool {
    message.role == Role::Assistant && message.traits.tool_use
}

fn brings_results(message: &Message) -> bool {
    message.role == Role::User && message.traits.tool_result
}

fn as_user(draft: &mut Draft<'_>, message: Message) {
    draft.edits.replace(message.role_value, "\"user\"");
    let Some(content) = message.content else { return };
    let inside = content.span.start.saturating_add(1);
    match content.kind {
        Kind::String if !message.traits.blank => draft.edits.insert(inside, NOTE.as_str()),
        Kind::Array if !elements_of(draft.text, content.span).is_empty() => draft.edits.insert(inside, format!("{},", *NOTE_BLOCK)),
        // What says nothing has been filled, and needs no note.
        _ => {}
    }
}

/// The same for a body that upstream refused because of such a turn. False when there is none.
pub(in crate::transparent) fn without_system_role(draft: &mut Draft<'_>) -> bool {
    let any = draft.index.messages.iter().any(|message| message.role == Role::System);
    settle(draft, MidSystem::UserTurn);
    any
}

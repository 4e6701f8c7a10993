//! `truncation: auto`: the oldest turns go when the context would not fit.

use outcrop_domain::{
    chat::{ChatRequest, Content, Message, Role},
    estimate,
};

use super::ResponsesOptions;
use crate::{dialect::notes::Notes, openai_responses::Echo};

/// Drops the oldest turns until the rest, by estimate, leaves room for the answer. What stays begins with something the
/// user said, so that no answer of a tool is left without its call; the last such turn always stays.
pub(super) fn fit(request: &mut ChatRequest, echo: &Echo, options: &ResponsesOptions, notes: &mut Notes) {
    let Some(most) = options.context_tokens.filter(|_| echo.truncation == "auto") else { return };
    let room = u64::from(most.saturating_sub(echo.max_output_tokens.unwrap_or(0)));
    let mut messages = std::mem::take(&mut request.messages);
    // What always stays: instructions and tools.
    let fixed = estimate::prompt_tokens(request);
    let sizes: Vec<u64> = messages.iter().map(|message| estimate::answer_tokens(&message.content)).collect();
    let first = first_kept(&messages, &sizes, room.saturating_sub(fixed));
    if first > 0 {
        messages.drain(..first);
        notes.harmless("input", "oldest_dropped");
    }
    request.messages = messages;
}

fn first_kept(messages: &[Message], sizes: &[u64], room: u64) -> usize {
    let mut left: u64 = sizes.iter().copied().fold(0, u64::saturating_add);
    let mut first = 0;
    for (position, (message, size)) in messages.iter().zip(sizes).enumerate() {
        if position == 0 || user_speaks(message) {
            first = position;
            if left <= room {
                return first;
            }
        }
        left = left.saturating_sub(*size);
    }
    first
}

fn user_speaks(message: &Message) -> bool {
    message.role == Role::User && !message.content.iter().any(|block| matches!(block, Content::ToolResult { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(role: Role, tokens: usize) -> Message {
        Message { role, content: vec![Content::Text("four".repeat(tokens))] }
    }

    fn answers(tokens: usize) -> Message {
        let parts = vec![outcrop_domain::chat::ToolResultPart::Text("four".repeat(tokens))];
        let status = outcrop_domain::chat::ToolResultStatus::Unstated;
        Message { role: Role::User, content: vec![Content::ToolResult { id: "c".to_owned(), parts, status }] }
    }

    fn kept(messages: &[Message], room: u64) -> usize {
        let sizes: Vec<u64> = messages.iter().map(|message| estimate::answer_tokens(&message.content)).collect();
        first_kept(messages, &sizes, room)
    }

    #[test]
    fn what_stays_fits_and_begins_with_the_users_words() {
        let talk = [
            says(Role::User, 10),
            says(Role::Assistant, 10),
            answers(10),
            says(Role::User, 10),
            says(Role::Assistant, 10),
            says(Role::User, 10),
        ];
        assert_eq!(kept(&talk, 60), 0);
        assert_eq!(kept(&talk, 59), 3);
        assert_eq!(kept(&talk, 30), 3);
        assert_eq!(kept(&talk, 29), 5);
        assert_eq!(kept(&talk, 0), 5, "the last words stay, fit or not");
    }

    #[test]
    fn a_talk_without_users_words_stays_whole() {
        assert_eq!(kept(&[says(Role::Assistant, 10), answers(10)], 0), 0);
        assert_eq!(kept(&[], 0), 0);
    }
}

//! What the conversation is about: the last thing said, what tools answered, what was shown.

use std::{borrow::Cow, collections::HashMap};

use crate::validate::dimensions;
use crate::validate::shape::{Block, GuardText, Media, Message, Request, ResultPart, Role, Source, SystemBlock};

/// What one tool answered.
pub(super) struct Outcome<'a> {
    pub(super) tool: &'a str,
    pub(super) text: String,
    pub(super) failed: bool,
}

/// The conversation as the mock model understands it.
#[derive(Default)]
pub(super) struct Scene<'a> {
    /// Text of the last user turn that holds text.
    pub(super) said: String,
    /// Texts of the user turns before that.
    pub(super) earlier: Vec<&'a str>,
    /// The system prompt.
    pub(super) system: String,
    /// Results in the last turn.
    pub(super) outcomes: Vec<Outcome<'a>>,
    /// Client tools called since `said`.
    pub(super) called: usize,
    /// Media of the turn of `said`, each described in words.
    pub(super) shown: Vec<String>,
    /// Text of the assistant turn to continue.
    pub(super) prefill: Option<&'a str>,
}

impl<'a> Scene<'a> {
    /// Reads a request.
    pub(super) fn read(request: &Request<'a>) -> Self {
        let mut scene = Self::default();
        for (_, block) in &request.system {
            if let SystemBlock::Text(text) | SystemBlock::Guard(GuardText::Text(text)) = block {
                push_line(&mut scene.system, text);
            }
        }
        let mut names = HashMap::new();
        for message in &request.messages {
            match message.role {
                Role::User => scene.user(message, &names),
                Role::Assistant => {
                    for placed in &message.content {
                        if let Block::ToolUse { id, name, server: false, .. } = placed.block {
                            names.insert(id, name);
                            scene.called += 1;
                        }
                    }
                }
                Role::System => {}
            }
        }
        scene.prefill = request.messages.last().filter(|message| message.role == Role::Assistant).and_then(|message| {
            message.content.iter().rev().find_map(|placed| match placed.block {
                Block::Text(text) => Some(text),
                _ => None,
            })
        });
        scene
    }

    /// What was said and what tools answered, as one text to take values from.
    pub(super) fn everything(&self) -> String {
        let mut text = self.said.clone();
        for outcome in &self.outcomes {
            push_line(&mut text, &outcome.text);
        }
        text
    }

    fn user(&mut self, message: &Message<'a>, names: &HashMap<&'a str, &'a str>) {
        self.outcomes.clear();
        let mut said = String::new();
        let mut first = None;
        let mut shown = Vec::new();
        for placed in &message.content {
            match &placed.block {
                Block::Text(text) | Block::Guard(GuardText::Text(text)) => {
                    let spoken = spoken(text);
                    if !spoken.is_empty() {
                        first.get_or_insert(*text);
                        push_line(&mut said, &spoken);
                    }
                }
                Block::ToolResult { id, content, failed } => {
                    let tool = names.get(id).copied().unwrap_or("tool");
                    self.outcomes.push(Outcome { tool, text: result_text(content), failed: *failed });
                }
                other => shown.extend(describe(other)),
            }
        }
        if said.is_empty() && shown.is_empty() {
            return;
        }
        self.earlier.extend(first);
        self.said = said;
        self.shown = shown;
        self.called = 0;
    }
}

/// A text without what an agent adds for the model alone, between `<system-reminder>` tags: nobody said it.
fn spoken(text: &str) -> Cow<'_, str> {
    const BEGIN: &str = "<system-reminder>";
    const END: &str = "</system-reminder>";
    if !text.contains(BEGIN) {
        return Cow::Borrowed(text);
    }
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(BEGIN) {
        kept.push_str(before);
        rest = after.split_once(END).map_or("", |(_, after)| after);
    }
    kept.push_str(rest);
    Cow::Owned(kept.trim().to_owned())
}

fn result_text(content: &[ResultPart<'_>]) -> String {
    let mut text = String::new();
    for part in content {
        match part {
            ResultPart::Text(words) => push_line(&mut text, words),
            ResultPart::Json(value) => push_line(&mut text, &value.to_string()),
            ResultPart::Image(media) => push_line(&mut text, &picture(media)),
            ResultPart::Document(document) => push_line(&mut text, &format!("a document named \"{}\"", document.name)),
            ResultPart::Video(media) => push_line(&mut text, &format!("a video ({})", media.format)),
            ResultPart::SearchResult { title, content } => push_line(&mut text, &format!("{title}: {}", content.join(" "))),
        }
    }
    text
}

fn describe(block: &Block<'_>) -> Option<String> {
    match block {
        Block::Image(media) => Some(picture(media)),
        Block::Document(document) => {
            let format = document.format.map_or_else(String::new, |format| format!(" ({format})"));
            Some(format!("a document named \"{}\"{format}{}", document.name, opening(&document.source)))
        }
        Block::Video(media) => Some(format!("a video ({})", media.format)),
        Block::Audio(media) => Some(format!("an audio recording ({})", media.format)),
        Block::SearchResult { title, .. } => Some(format!("a search result titled \"{title}\"")),
        _ => None,
    }
}

fn picture(media: &Media<'_>) -> String {
    let size = match &media.source {
        Source::Bytes(bytes) => dimensions(bytes).map_or_else(String::new, |(width, height)| format!(", {width}x{height}")),
        _ => String::new(),
    };
    format!("an image ({}{size})", media.format)
}

/// The first words of a text document, to prove it was read.
fn opening(source: &Source<'_>) -> String {
    let text = match source {
        Source::Text(text) => (*text).to_owned(),
        Source::Content(texts) => texts.join(" "),
        Source::Bytes(bytes) => std::str::from_utf8(bytes).unwrap_or_default().to_owned(),
        Source::S3 => String::new(),
    };
    let words: Vec<&str> = text.split_whitespace().take(8).collect();
    if words.is_empty() { String::new() } else { format!(" that begins \"{}\"", words.join(" ")) }
}

fn push_line(text: &mut String, line: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(line);
}

//! Texts that say nothing, and thinking without a signature: both fail the whole request, and both come from agents that
//! were interrupted. Source: `text content blocks must be non-empty`, `thinking.signature: Field required`.

use outcrop_domain::estimate::Size;

use super::{
    Draft, Marks, Message, NO_CONTENT, Part, Role,
    block::{Block, read_block},
};
use crate::transparent::json::{Kind, Scanner, Span, remove_from};

/// Removes them. `marks` are the cache marks of the body; those on removed blocks move to the block before.
pub(super) fn settle(draft: &mut Draft<'_>, marks: &mut Marks) {
    system(draft, marks);
    let last = draft.index.messages.len().saturating_sub(1);
    for (position, message) in draft.index.messages.iter().enumerate() {
        if !message.traits.blank && !message.traits.unsigned {
            continue;
        }
        if position == last && position > 0 && message.role == Role::Assistant && says_nothing(draft, message) {
            // An answer that never began: there is nothing to go on from.
            draft.notes.note("messages.content", "empty_turn_removed");
            draft.remove_message(position);
            marks.retain(|object, _| !message.span.contains(*object));
            continue;
        }
        let Some(content) = message.content else { continue };
        match content.kind {
            Kind::String => {
                draft.notes.note("messages.content", "blank_text_filled");
                draft.edits.replace(content.span, quoted(NO_CONTENT));
            }
            Kind::Array => {
                blocks(draft, content.span, Holder::Message(message.role), marks);
            }
            _ => {}
        }
    }
}

/// What holds a list of blocks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holder {
    System,
    Message(Role),
    /// A tool result; one that tells of a failure must say something.
    Result {
        error: bool,
    },
}

fn system(draft: &mut Draft<'_>, marks: &mut Marks) {
    let Some(system) = draft.value("system").filter(|_| draft.index.system.blank) else { return };
    if system.kind == Kind::Array && !blocks(draft, system.span, Holder::System, marks) {
        return;
    }
    draft.notes.note("system", "blank_text_removed");
    draft.remove("system");
    draft.objects.forget_within(system.span);
    marks.retain(|_, mark| mark.part != Part::System);
}

/// The whole message is blank text and thinking that must go.
fn says_nothing(draft: &Draft<'_>, message: &Message) -> bool {
    match message.content {
        Some(content) if content.kind == Kind::Array => {
            read_blocks(draft.text, content.span).iter().all(|block| block.is_blank_text() || block.is_unsigned())
        }
        Some(content) => content.kind == Kind::String && message.traits.blank,
        None => false,
    }
}

/// The blocks of a list that was read before.
pub(in crate::transparent) fn read_blocks(text: &[u8], array: Span) -> Vec<Block> {
    let mut scanner = Scanner::within(text, array);
    let mut blocks = Vec::new();
    let Ok(mut members) = scanner.enter() else { return blocks };
    while scanner.element(&mut members).unwrap_or(false) {
        let Ok(block) = read_block(&mut scanner, Part::Messages, Size::default(), &mut Vec::new()) else { break };
        blocks.push(block);
    }
    blocks
}

/// Cleans one list. True when nothing would be left of it and its holder can do without.
fn blocks(draft: &mut Draft<'_>, array: Span, holder: Holder, marks: &mut Marks) -> bool {
    let blocks = read_blocks(draft.text, array);
    for block in &blocks {
        if let Some(parts) = block.parts.filter(|_| block.traits.blank) {
            self::blocks(draft, parts, Holder::Result { error: block.error }, marks);
        }
    }
    let mut gone: Vec<bool> = blocks.iter().map(|block| block.is_blank_text() || block.is_unsigned()).collect();
    let substance = blocks.iter().zip(&gone).any(|(block, gone)| !*gone && !block.kind.is_thinking());
    if !substance {
        match holder {
            Holder::System => return true,
            // A result may be empty: the tool had nothing to say.
            Holder::Result { error: false } => {}
            Holder::Message(_) | Holder::Result { error: true } => fill(draft, array, &blocks, &mut gone),
        }
    }
    note(draft, &blocks, &gone, holder);
    move_marks(draft, &blocks, &gone, marks);
    for (block, _) in blocks.iter().zip(&gone).filter(|(_, gone)| **gone) {
        draft.objects.forget_within(block.span);
    }
    let spans: Vec<Span> = blocks.iter().map(|block| block.span).collect();
    remove_from(&spans, |position| gone.get(position) == Some(&true), &mut draft.edits);
    false
}

/// Nothing of substance would be left: one block says so, in the place of the last one that would go.
fn fill(draft: &mut Draft<'_>, array: Span, blocks: &[Block], gone: &mut [bool]) {
    draft.notes.note("messages.content", "blank_text_filled");
    // A text in its place, cache mark and all; else thinking, which has no mark.
    let blank = blocks.iter().rposition(Block::is_blank_text);
    match blank.or_else(|| blocks.iter().rposition(Block::is_unsigned)) {
        Some(position) => {
            if let Some(gone) = gone.get_mut(position) {
                *gone = false;
            }
            let Some(filled) = blocks.get(position) else { return };
            match filled.text {
                Some(text) => draft.edits.replace(text.span, quoted(NO_CONTENT)),
                None => draft.edits.replace(filled.span, no_content_block()),
            }
        }
        // An empty list, or nothing but signed thinking.
        None if blocks.is_empty() => draft.edits.insert(array.start.saturating_add(1), no_content_block()),
        None => {}
    }
}

fn note(draft: &mut Draft<'_>, blocks: &[Block], gone: &[bool], holder: Holder) {
    for (block, _) in blocks.iter().zip(gone).filter(|(_, gone)| **gone) {
        match (holder, block.is_unsigned()) {
            (_, true) => draft.notes.note("messages.thinking", "unsigned_dropped"),
            (Holder::System, false) => draft.notes.note("system", "blank_text_removed"),
            (_, false) => draft.notes.note("messages.content", "blank_text_removed"),
        }
    }
}

/// Marks of blocks that go move to the next one before that may have one, else to the first one behind.
fn move_marks(draft: &mut Draft<'_>, blocks: &[Block], gone: &[bool], marks: &mut Marks) {
    let fit = |(block, gone): (&Block, &bool)| (!gone && !block.kind.is_thinking()).then_some(block.span);
    let first = blocks.iter().zip(gone).find_map(fit);
    let mut before = None;
    for pair in blocks.iter().zip(gone) {
        before = fit(pair).or(before);
        let (block, gone) = pair;
        let Some(mark) = marks.get(&block.span).copied().filter(|_| *gone) else { continue };
        marks.remove(&block.span);
        match before.or(first) {
            // Where the block before is marked already, nothing is lost.
            Some(target) if marks.contains_key(&target) => {}
            Some(target) => {
                draft.notes.note("cache_control", "moved");
                marks.insert(target, mark);
            }
            None => draft.notes.note("cache_control", "dropped"),
        }
    }
}

/// A block that says that there is nothing to say.
pub(in crate::transparent) fn no_content_block() -> String {
    format!("{{\"type\":\"text\",\"text\":{}}}", quoted(NO_CONTENT))
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

//! Lifts reasoning out of text in which a model writes it between tags.
//!
//! Only at the beginning of a text block, and again right behind a closing tag: there the models write it, and an
//! answer *about* such tags stays whole. The result does not depend on how the text was cut into deltas.

/// A piece of a text block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Answer.
    Text(String),
    /// Reasoning.
    Reasoning(String),
}

/// Follows one text block.
#[derive(Debug)]
pub(super) struct TagLifter<'t> {
    tags: &'t [String],
    state: TagState,
}

/// Where in the block we are; kept by the stream reader between deltas.
#[derive(Debug, Clone, Default)]
pub(super) enum TagState {
    /// No answer text yet. Holds white space and what may become an opening tag.
    #[default]
    Before,
    /// As `Before`, with text held back.
    Pending {
        /// The text.
        held: String,
        /// A tag was lifted before: white space around it belongs to nobody.
        lifted: bool,
    },
    /// Inside the tag of that position. Holds what may become the closing tag.
    Inside {
        /// Position among the tag names.
        tag: usize,
        /// The text held back.
        held: String,
        /// No reasoning was passed on yet: leading line breaks are layout.
        fresh: bool,
    },
    /// In the answer: everything passes.
    Answer,
}

impl<'t> TagLifter<'t> {
    pub(super) fn new(tags: &'t [String], state: TagState) -> Self {
        Self { tags, state }
    }

    pub(super) fn into_state(self) -> TagState {
        self.state
    }

    /// Adds text.
    pub(super) fn push(&mut self, text: String, mut out: impl FnMut(Piece)) {
        if matches!(self.state, TagState::Answer) || self.tags.is_empty() {
            self.state = TagState::Answer;
            emit(Piece::Text(text), &mut out);
            return;
        }
        let mut rest = text;
        while let Some(more) = self.step(rest, &mut out) {
            rest = more;
        }
    }

    /// Ends the block: what was held back is what it looks like.
    pub(super) fn finish(&mut self, mut out: impl FnMut(Piece)) {
        match std::mem::replace(&mut self.state, TagState::Answer) {
            TagState::Pending { held, lifted } => {
                let text = if lifted { held.trim_start().to_owned() } else { held };
                emit(Piece::Text(text), &mut out);
            }
            TagState::Inside { held, fresh, .. } => emit(Piece::Reasoning(trimmed(&held, fresh, true).to_owned()), &mut out),
            TagState::Before | TagState::Answer => {}
        }
    }

    /// Handles text in the current state; returns what is left for the next.
    fn step(&mut self, text: String, out: &mut impl FnMut(Piece)) -> Option<String> {
        match std::mem::take(&mut self.state) {
            TagState::Before => self.before(text, false, out),
            TagState::Pending { mut held, lifted } => {
                held.push_str(&text);
                self.before(held, lifted, out)
            }
            TagState::Inside { tag, mut held, fresh } => {
                held.push_str(&text);
                self.inside(tag, held, fresh, out)
            }
            TagState::Answer => {
                self.state = TagState::Answer;
                emit(Piece::Text(text), out);
                None
            }
        }
    }

    fn before(&mut self, text: String, lifted: bool, out: &mut impl FnMut(Piece)) -> Option<String> {
        let start = text.trim_start();
        for (position, tag) in self.tags.iter().enumerate() {
            if let Some(inner) = strip_tag(start, "<", tag) {
                let inner = inner.to_owned();
                self.state = TagState::Inside { tag: position, held: String::new(), fresh: true };
                return Some(inner);
            }
        }
        if start.is_empty() || self.tags.iter().any(|tag| is_tag_beginning(start, "<", tag)) {
            self.state = TagState::Pending { held: text, lifted };
            return None;
        }
        self.state = TagState::Answer;
        emit(Piece::Text(if lifted { start.to_owned() } else { text }), out);
        None
    }

    fn inside(&mut self, tag: usize, text: String, fresh: bool, out: &mut impl FnMut(Piece)) -> Option<String> {
        let name = self.tags.get(tag).map_or("", String::as_str);
        for (position, _) in text.match_indices("</") {
            let (reasoning, tail) = text.split_at(position);
            if let Some(rest) = strip_tag(tail, "</", name) {
                emit(Piece::Reasoning(trimmed(reasoning, fresh, true).to_owned()), out);
                let rest = rest.to_owned();
                self.state = TagState::Pending { held: String::new(), lifted: true };
                return Some(rest);
            }
        }
        // Held back: white space at the end (layout, if the tag closes next) and a closing tag begun.
        let begun = text.rfind('<').filter(|position| text.get(*position..).is_some_and(|tail| is_tag_beginning(tail, "</", name)));
        let passed = text.get(..begun.unwrap_or(text.len())).unwrap_or(&text).trim_end().len();
        let (reasoning, held) = text.split_at(passed);
        let reasoning = trimmed(reasoning, fresh, false);
        self.state = TagState::Inside {
            tag,
            held: if fresh && reasoning.is_empty() { held.trim_start().to_owned() } else { held.to_owned() },
            fresh: fresh && reasoning.is_empty(),
        };
        emit(Piece::Reasoning(reasoning.to_owned()), out);
        None
    }
}

fn emit(piece: Piece, out: &mut impl FnMut(Piece)) {
    match &piece {
        Piece::Text(text) | Piece::Reasoning(text) if text.is_empty() => {}
        _ => out(piece),
    }
}

fn trimmed(text: &str, start: bool, end: bool) -> &str {
    let text = if start { text.trim_start() } else { text };
    if end { text.trim_end() } else { text }
}

/// What follows `<tag>` or `</tag>` at the beginning of `text`.
fn strip_tag<'x>(text: &'x str, opening: &str, tag: &str) -> Option<&'x str> {
    text.strip_prefix(opening)?.strip_prefix(tag)?.strip_prefix('>')
}

/// True when more text could make `text` a tag.
fn is_tag_beginning(text: &str, opening: &str, tag: &str) -> bool {
    let whole = opening.chars().chain(tag.chars()).chain(std::iter::once('>'));
    let mut whole = whole.into_iter();
    text.chars().all(|character| whole.next() == Some(character)) && whole.next().is_some()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tags() -> Vec<String> {
        ["think", "thinking", "reasoning"].map(str::to_owned).to_vec()
    }

    /// Text and reasoning of a block that arrives in these pieces.
    fn lift(pieces: &[&str]) -> (String, String) {
        let tags = tags();
        let (mut text, mut reasoning) = (String::new(), String::new());
        let mut collect = |piece: Piece| match piece {
            Piece::Text(more) => text.push_str(&more),
            Piece::Reasoning(more) => reasoning.push_str(&more),
        };
        let mut lifter = TagLifter::new(&tags, TagState::default());
        for piece in pieces {
            lifter.push((*piece).to_owned(), &mut collect);
        }
        lifter.finish(&mut collect);
        (text, reasoning)
    }

    #[test]
    fn reasoning_between_tags_is_lifted() {
        assert_eq!(lift(&["<think>\nwhy\n</think>\n\nHello"]), ("Hello".to_owned(), "why".to_owned()));
        assert_eq!(lift(&["\n<thinking>a</thinking> <reasoning>b</reasoning>c"]), ("c".to_owned(), "ab".to_owned()));
        assert_eq!(lift(&["<think>never closed </thi"]), (String::new(), "never closed </thi".to_owned()));
    }

    #[test]
    fn text_about_tags_stays_whole() {
        let text = "Use <think>like this</think>.";
        assert_eq!(lift(&[text]), (text.to_owned(), String::new()));
        assert_eq!(lift(&["<thinker>x"]), ("<thinker>x".to_owned(), String::new()));
        assert_eq!(lift(&["  <thi"]), ("  <thi".to_owned(), String::new()));
        assert_eq!(lift(&["  \n"]), ("  \n".to_owned(), String::new()));
    }

    proptest! {
        #[test]
        fn cutting_the_text_anywhere_changes_nothing(
            parts in prop::collection::vec(prop_oneof!["<think>", "</think>", "<thinking>", "</thinking>", "<reasoning>", "</reasoning>", "</", "<", "[ \n]{1,2}", "[a-zé<>/]{1,4}"], 0..10),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let text = parts.concat();
            let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).filter(|place| text.is_char_boundary(*place)).collect();
            places.push(0);
            places.push(text.len());
            places.sort_unstable();
            let pieces: Vec<&str> = places.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            prop_assert_eq!(lift(&pieces), lift(&[&text]));
        }
    }
}

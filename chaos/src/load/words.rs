//! Watermarks out of text: words `<call>.<index>`, however they fall into pieces.

use super::is_sampled;
use crate::history::{Micros, Said, WordTime};

/// Reads words as they come.
#[derive(Debug, Default)]
pub struct WordReader {
    said: Said,
    times: Vec<WordTime>,
    word: String,
    began: Micros,
    /// Inside a text of a tool's arguments.
    quoted: bool,
    escaped: bool,
}

impl WordReader {
    /// A piece of the answer's text that came at a moment.
    pub fn text(&mut self, piece: &str, at: Micros) {
        for letter in piece.chars() {
            if letter.is_whitespace() {
                self.end_of_text_word();
            } else {
                self.letter(letter, at);
            }
        }
    }

    /// A piece of a tool's arguments: only its texts hold words, and they may hold others as well.
    pub fn arguments(&mut self, piece: &str, at: Micros) {
        for letter in piece.chars() {
            match letter {
                _ if std::mem::take(&mut self.escaped) => {}
                '\\' if self.quoted => self.escaped = true,
                '"' => {
                    self.end_of_argument_word();
                    self.quoted = !self.quoted;
                }
                _ if !self.quoted => {}
                _ if letter.is_whitespace() => self.end_of_argument_word(),
                _ => self.letter(letter, at),
            }
        }
    }

    /// The text is over and something else begins.
    pub fn end_of_part(&mut self) {
        self.end_of_text_word();
        (self.quoted, self.escaped) = (false, false);
    }

    /// The answer is over, or broken: a last word may be cut in two.
    pub fn finish(mut self, whole: bool) -> (Said, Vec<WordTime>) {
        if whole {
            if self.quoted { self.end_of_argument_word() } else { self.end_of_text_word() }
        }
        (self.said, self.times)
    }

    /// Something was said.
    #[must_use]
    pub fn has_words(&self) -> bool {
        !self.said.is_empty() || !self.word.is_empty()
    }

    fn letter(&mut self, letter: char, at: Micros) {
        if self.word.is_empty() {
            self.began = at;
        }
        self.word.push(letter);
    }

    fn end_of_text_word(&mut self) {
        let word = std::mem::take(&mut self.word);
        match watermark(&word) {
            Some((call, index)) => self.heard(call, index),
            None if word.is_empty() => {}
            None => self.said.stray(&word),
        }
    }

    fn end_of_argument_word(&mut self) {
        if let Some((call, index)) = watermark(&std::mem::take(&mut self.word)) {
            self.heard(call, index);
        }
    }

    fn heard(&mut self, call: u64, index: u64) {
        self.said.hear(call, index);
        if is_sampled(index) {
            self.times.push(WordTime { call, index, at: self.began });
        }
    }
}

/// `7.12` is word 12 of call 7.
fn watermark(word: &str) -> Option<(u64, u64)> {
    let (call, index) = word.split_once('.')?;
    let number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten();
    Some((number(call)?, number(index)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Run;

    fn read(pieces: &[&str]) -> Said {
        let mut reader = WordReader::default();
        pieces.iter().for_each(|piece| reader.text(piece, Micros::ZERO));
        reader.finish(true).0
    }

    #[test]
    fn words_are_the_same_however_they_are_cut() {
        let whole = read(&["7.0 7.1 7.2 7.10"]);
        assert_eq!(whole, read(&["7.", "0 7.1", " ", "7.2 7", ".10"]));
        assert_eq!(whole.runs, [Run { call: 7, first: 0, last: 2 }, Run { call: 7, first: 10, last: 10 }]);
    }

    proptest::proptest! {
        #[test]
        fn every_way_to_cut_a_text_gives_the_same_words(words in 1_u64..40, cuts in proptest::collection::vec(0_usize..400, 0..12)) {
            let text: String = (0..words).map(|index| format!("12.{index} ")).collect();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).chain([0, text.len()]).collect();
            cuts.sort_unstable();
            let pieces: Vec<&str> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            proptest::prop_assert_eq!(read(&pieces).runs, [Run { call: 12, first: 0, last: words - 1 }]);
        }
    }

    #[test]
    fn other_text_is_stray() {
        assert_eq!(read(&["7.0 hello 7.1"]).stray, ["hello"]);
        assert_eq!(read(&["7.0x"]).stray, ["7.0x"]);
    }

    #[test]
    fn arguments_hold_words_in_their_texts_only() {
        let mut reader = WordReader::default();
        reader.text("3.0 3.1", Micros::ZERO);
        reader.end_of_part();
        for piece in ["{\"path\": \"3.", "2 3.3\", \"size\": 4.5, \"note\": \"a \\\"b\\\" 3.4\"}"] {
            reader.arguments(piece, Micros::ZERO);
        }
        let (said, _) = reader.finish(true);
        assert_eq!((said.runs, said.stray.len()), (vec![Run { call: 3, first: 0, last: 4 }], 0));
    }

    #[test]
    fn a_word_that_was_cut_in_two_is_not_heard() {
        let mut reader = WordReader::default();
        reader.text("7.0 7.1 7.1", Micros::ZERO);
        assert_eq!(reader.finish(false).0.runs, [Run { call: 7, first: 0, last: 1 }]);
    }

    #[test]
    fn a_word_came_when_its_first_letter_did() {
        let mut reader = WordReader::default();
        reader.text("7.", Micros::seconds(1));
        reader.text("0 ", Micros::seconds(9));
        assert_eq!(reader.finish(true).1, [WordTime { call: 7, index: 0, at: Micros::seconds(1) }]);
    }
}

//! The free text of a custom tool's call, out of the object that the model writes around it, as far as it has come.
//!
//! The model is offered a function of one text (`{"input": "..."}`), so the text is the value of that member. It is
//! unescaped while it is being written: a client that shows a patch need not wait for its end, and a call that is cut
//! off keeps what was written of it.

use crate::openai_chat::shape::custom_input;

/// What stands before the text, but for white space between the tokens.
const HEAD: [&str; 4] = ["{", "\"input\"", ":", "\""];

/// The text in the arguments of a whole call.
pub(super) fn input_of(arguments: &str) -> String {
    let mut text = String::new();
    let mut decoder = InputDecoder::default();
    decoder.push(arguments, &mut text);
    decoder.finish(&mut text);
    text
}

/// Reads arguments piece by piece.
#[derive(Debug, Default)]
pub(super) struct InputDecoder {
    state: State,
    /// The first half of a character that JSON writes as two escapes.
    high: Option<u32>,
}

#[derive(Debug)]
enum State {
    /// Before the text: what has come so far.
    Head(String),
    /// In the text.
    Text,
    /// After a backslash.
    Escape,
    /// In `\uXXXX`: the value and the number of its digits so far.
    Unicode(u32, u8),
    /// After the text.
    Done,
    /// Something else than the object that was asked for: all of it.
    Foreign(String),
}

impl Default for State {
    fn default() -> Self {
        Self::Head(String::new())
    }
}

impl InputDecoder {
    /// Takes the next piece of the arguments and appends what it holds of the text.
    pub(super) fn push(&mut self, fragment: &str, text: &mut String) {
        if let State::Foreign(collected) = &mut self.state {
            collected.push_str(fragment);
            return;
        }
        if let State::Head(head) = &mut self.state {
            head.push_str(fragment);
            match after_head(head) {
                Begin::NotYet => {}
                Begin::Never => self.state = State::Foreign(std::mem::take(head)),
                Begin::At(place) => {
                    let rest = head.split_off(place);
                    self.state = State::Text;
                    self.text(&rest, text);
                }
            }
            return;
        }
        self.text(fragment, text);
    }

    /// Takes the end of the arguments. What was no such object is the text itself, unless a reader can make out the
    /// member in it after all.
    pub(super) fn finish(self, text: &mut String) {
        if let State::Foreign(collected) = self.state {
            text.push_str(&custom_input(&collected));
        } else if self.high.is_some() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }

    fn text(&mut self, fragment: &str, text: &mut String) {
        let mut rest = fragment;
        while !rest.is_empty() {
            if matches!(self.state, State::Text) {
                let end = rest.find(['"', '\\']).unwrap_or(rest.len());
                let (plain, after) = rest.split_at(end);
                if !plain.is_empty() {
                    self.settle(text);
                    text.push_str(plain);
                }
                rest = after;
            }
            let mut characters = rest.chars();
            if let Some(character) = characters.next() {
                self.character(character, text);
            }
            rest = characters.as_str();
        }
    }

    fn character(&mut self, character: char, text: &mut String) {
        self.state = match std::mem::take(&mut self.state) {
            State::Text if character == '"' => {
                self.settle(text);
                State::Done
            }
            State::Text => State::Escape,
            State::Escape if character == 'u' => State::Unicode(0, 0),
            State::Escape => {
                self.settle(text);
                text.push(unescaped(character));
                State::Text
            }
            State::Unicode(value, count) => match character.to_digit(16) {
                Some(digit) if count == 3 => {
                    self.unit(value << 4 | digit, text);
                    State::Text
                }
                Some(digit) => State::Unicode(value << 4 | digit, count + 1),
                None => {
                    text.push(char::REPLACEMENT_CHARACTER);
                    State::Text
                }
            },
            other => other,
        };
    }

    /// One `\uXXXX`: a character, or half of one.
    fn unit(&mut self, unit: u32, text: &mut String) {
        match (self.high.take(), unit) {
            (Some(high), 0xdc00..=0xdfff) => {
                let whole = 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00);
                text.push(char::from_u32(whole).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            (before, 0xd800..=0xdbff) => {
                if before.is_some() {
                    text.push(char::REPLACEMENT_CHARACTER);
                }
                self.high = Some(unit);
            }
            (before, _) => {
                if before.is_some() {
                    text.push(char::REPLACEMENT_CHARACTER);
                }
                text.push(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
        }
    }

    /// Half a character that nothing completes.
    fn settle(&mut self, text: &mut String) {
        if self.high.take().is_some() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

/// Where the text begins.
enum Begin {
    /// Here.
    At(usize),
    /// More must come.
    NotYet,
    /// It is another object, or none.
    Never,
}

fn after_head(head: &str) -> Begin {
    let mut rest = head;
    for token in HEAD {
        rest = rest.trim_start_matches([' ', '\t', '\n', '\r']);
        match rest.strip_prefix(token) {
            Some(after) => rest = after,
            None if token.starts_with(rest) => return Begin::NotYet,
            None => return Begin::Never,
        }
    }
    Begin::At(head.len() - rest.len())
}

fn unescaped(character: char) -> char {
    match character {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'b' => '\u{8}',
        'f' => '\u{c}',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    proptest! {
        #[test]
        fn pain_33_the_text_is_the_same_however_the_arguments_are_cut(
            whole in any::<String>(),
            cuts in proptest::collection::vec(any::<usize>(), 0..8),
            ascii in any::<bool>(),
        ) {
            let mut arguments = json!({"input": whole}).to_string();
            if ascii {
                let units: Vec<u16> = whole.encode_utf16().collect();
                arguments = format!("{{ \"input\" :\n\"{}\"}}", units.iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>());
            }
            let mut places: Vec<usize> = cuts.iter().map(|cut| arguments.floor_char_boundary(cut % (arguments.len() + 1))).collect();
            places.extend([0, arguments.len()]);
            places.sort_unstable();
            let (mut decoder, mut text) = (InputDecoder::default(), String::new());
            for pair in places.windows(2) {
                decoder.push(&arguments[pair[0]..pair[1]], &mut text);
            }
            decoder.finish(&mut text);
            prop_assert_eq!(text, whole);
        }

        #[test]
        fn whatever_a_model_writes_breaks_nothing(arguments in any::<String>()) {
            let _ = input_of(&arguments);
            let _ = input_of(&format!("{{\"input\":\"{arguments}"));
        }
    }

    #[test]
    fn a_call_that_is_cut_off_keeps_what_was_written() {
        for (arguments, text) in [
            ("", ""),
            ("{\"inp", ""),
            ("{\"input\": \"*** Begin\\n+a", "*** Begin\n+a"),
            ("{\"input\": \"a\\", "a"),
            ("{\"input\": \"a\\ud83d", "a\u{fffd}"),
            ("{\"input\": \"a\\u00", "a"),
        ] {
            assert_eq!(input_of(arguments), text, "{arguments}");
        }
    }

    #[test]
    fn another_object_is_the_text_itself_unless_it_holds_the_member() {
        assert_eq!(input_of("{}"), "{}");
        assert_eq!(input_of("no object"), "no object");
        assert_eq!(input_of(r#"{"a":1,"input":"x"}"#), "x");
        assert_eq!(input_of(r#"{"input":5}"#), r#"{"input":5}"#);
        assert_eq!(input_of(r#"{"input":"x","more":1}"#), "x");
    }

    #[test]
    fn halves_of_characters_without_the_other_are_replaced() {
        assert_eq!(
            input_of(r#"{"input":"\ud83d\ude00 \ude00 \ud83d\ud83d\ude00 \ud83dx \ud83d\n"}"#),
            "\u{1f600} \u{fffd} \u{fffd}\u{1f600} \u{fffd}x \u{fffd}\n"
        );
        assert_eq!(input_of(r#"{"input":"\u12g4"}"#), "\u{fffd}4");
    }
}

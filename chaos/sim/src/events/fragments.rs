//! Cuts text and JSON into the fragments of a stream.

use crate::draw::Stream;

/// Words without a space for longer than this are cut (Chinese, base64), in characters.
const LONGEST_RUN: usize = 24;
/// Characters of one JSON fragment at most.
const LONGEST_JSON: usize = 24;

/// Fragments of one to four words; together they are exactly `text`. At least one, so that an empty text is sent too.
pub(super) fn words(text: &str, rng: &mut Stream) -> Vec<String> {
    let mut fragments = Vec::new();
    let mut fragment = String::new();
    let (mut words, mut limit, mut run) = (0, rng.within(1..=4), 0);
    let mut after_space = true;
    for character in text.chars() {
        let space = character.is_whitespace();
        run = if space { 0 } else { run + 1 };
        // A fragment ends before the space that follows its last word.
        if (space && !after_space && words >= limit) || run > LONGEST_RUN {
            fragments.push(std::mem::take(&mut fragment));
            (words, limit, run) = (0, rng.within(1..=4), 1);
        }
        words += usize::from(!space && after_space);
        after_space = space;
        fragment.push(character);
    }
    if !fragment.is_empty() || fragments.is_empty() {
        fragments.push(fragment);
    }
    fragments
}

/// Fragments of one word each, with the space before it. At least one.
pub(super) fn single_words(text: &str) -> Vec<String> {
    let mut fragments: Vec<String> = text.split_inclusive(' ').map(str::to_owned).collect();
    // A fragment ends before the space that follows its word: the space goes to the next one.
    for at in 1..fragments.len() {
        let (before, after) = fragments.split_at_mut(at);
        if let (Some(before), Some(after)) = (before.last_mut(), after.first_mut())
            && before.ends_with(' ')
        {
            before.pop();
            after.insert(0, ' ');
        }
    }
    if fragments.is_empty() {
        fragments.push(String::new());
    }
    fragments
}

/// Each fragment with the number of marks (`mark` and digits) that end in it, wherever the cuts fall.
pub(super) fn with_marks(fragments: Vec<String>, mark: Option<&str>) -> Vec<(String, u32)> {
    let ends = mark.map(|mark| mark_ends(&fragments.concat(), mark)).unwrap_or_default();
    let (mut length, mut counted) = (0, 0);
    let count = |fragment: String| {
        length += fragment.len();
        let until = ends.partition_point(|end| *end <= length);
        let words = u32::try_from(until - counted).unwrap_or(u32::MAX);
        counted = until;
        (fragment, words)
    };
    fragments.into_iter().map(count).collect()
}

/// Where the marks of a text end.
fn mark_ends(text: &str, mark: &str) -> Vec<usize> {
    let starts_word = |at: usize| !text.get(..at).unwrap_or_default().ends_with(|c: char| c.is_ascii_digit() || c == '.');
    let places = text.match_indices(mark).filter(|(at, _)| starts_word(*at));
    let ends = places.map(|(at, _)| {
        let rest = text.get(at + mark.len()..).unwrap_or_default();
        (at + mark.len(), rest.bytes().take_while(u8::is_ascii_digit).count())
    });
    ends.filter(|(_, digits)| *digits > 0).map(|(at, digits)| at + digits).collect()
}

/// Fragments of JSON text. Some answers escape what is not ASCII, and cuts fall into escapes as well.
pub(super) fn json(text: &str, rng: &mut Stream) -> Vec<String> {
    let escaped = if rng.bool() { escape_non_ascii(text) } else { text.to_owned() };
    let mut fragments = Vec::new();
    let mut fragment = String::new();
    let mut left = rng.within(1..=LONGEST_JSON);
    for character in escaped.chars() {
        fragment.push(character);
        left -= 1;
        if left == 0 || (character == '\\' && rng.bool()) {
            fragments.push(std::mem::take(&mut fragment));
            left = rng.within(1..=LONGEST_JSON);
        }
    }
    if !fragment.is_empty() {
        fragments.push(fragment);
    }
    fragments
}

/// Writes every character beyond ASCII as `\uXXXX`, which only strings of a JSON text can contain.
fn escape_non_ascii(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    let mut units = [0_u16; 2];
    for character in json.chars() {
        if character.is_ascii() {
            escaped.push(character);
        } else {
            for unit in character.encode_utf16(&mut units) {
                escaped.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::draw;

    proptest! {
        #[test]
        fn fragments_of_text_are_the_text(text in "(\\PC{0,9}[ \\n]{0,2}){0,40}", seed in 0_u64..1_000) {
            let fragments = words(&text, &mut draw::stream(seed, "words", 0));
            prop_assert_eq!(fragments.concat(), text.clone());
            prop_assert!(fragments.iter().all(|fragment| text.is_empty() || !fragment.is_empty()));
        }

        #[test]
        fn fragments_of_json_parse_to_the_same_value(text in "\\PC{0,200}", seed in 0_u64..1_000) {
            let json_text = serde_json::to_string(&text).unwrap();
            let joined = json(&json_text, &mut draw::stream(seed, "json", 0)).concat();
            prop_assert_eq!(serde_json::from_str::<String>(&joined).unwrap(), text);
        }
    }

    #[test]
    fn a_long_text_comes_in_fragments_of_few_words() {
        let text = "lorem ipsum dolor sit amet ".repeat(100);
        let fragments = words(text.trim_end(), &mut draw::stream(1, "words", 0));
        assert!(fragments.iter().all(|fragment| (1..=4).contains(&fragment.split_whitespace().count())));
        assert!((125..=500).contains(&fragments.len()), "{}", fragments.len());
    }

    #[test]
    fn text_without_spaces_is_cut_all_the_same() {
        let fragments = words(&"漢".repeat(100), &mut draw::stream(1, "words", 0));
        assert!(fragments.len() >= 4 && fragments.iter().all(|fragment| fragment.chars().count() <= LONGEST_RUN));
    }

    #[test]
    fn some_cuts_fall_into_escapes() {
        let text = serde_json::to_string(&"a\nb\"c\\d\u{e9}".repeat(20)).unwrap();
        let broken = (0..20).any(|seed| json(&text, &mut draw::stream(seed, "json", 0)).iter().any(|fragment| fragment.ends_with('\\')));
        assert!(broken);
    }

    #[test]
    fn single_words_keep_the_space_before_them() {
        assert_eq!(single_words("7.0 7.1 7.2"), ["7.0", " 7.1", " 7.2"]);
        assert_eq!(single_words("a  b").concat(), "a  b");
        assert_eq!(single_words(""), [""]);
    }

    #[test]
    fn marks_count_where_they_end() {
        let fragments = |list: &[&str]| list.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
        let counts = |list: &[&str]| with_marks(fragments(list), Some("7.")).iter().map(|(_, words)| *words).collect::<Vec<_>>();
        assert_eq!(counts(&["7.0", " 7.1", " 17.2", " 7."]), [1, 1, 0, 0]);
        assert_eq!(counts(&["{\"a\":\"7.", "10\",\"b\":\"7", ".11\"}"]), [0, 1, 1]);
        assert_eq!(with_marks(fragments(&["7.0"]), None), [("7.0".to_owned(), 0)]);
    }

    #[test]
    fn an_empty_text_is_one_empty_fragment() {
        assert_eq!(words("", &mut draw::stream(1, "words", 0)), [""]);
    }
}

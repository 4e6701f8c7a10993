//! How names are compared: words, version and date taken apart, so that every usual spelling of a model meets its id.
//!
//! `claude-haiku-4-5@20251001`, `Claude-Haiku-4.5` and `anthropic.claude-haiku-4-5-20251001-v1:0` differ in case,
//! separators, date and version. A [`Spelling`] keeps the words as a key and the date and version beside it; two
//! spellings mean the same model when their keys agree and what they *say* of date and version does not contradict.

/// A name taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spelling {
    /// All words, the version's and the date's among them.
    pub(super) whole: String,
    /// The words without version and date.
    pub(super) stem: String,
    /// The date: eight digits, or four for a year and month.
    pub(super) date: Option<u32>,
    /// The version: `v1:0` = (1, 0), `v2` = (2, none).
    pub(super) version: Option<(u32, Option<u32>)>,
    /// The numbers among the stem's words, in order: `4-6` = [4, 6]. Newer models have greater ones.
    pub(super) numbers: Vec<u32>,
}

impl Spelling {
    /// Takes apart a name without provider and profile prefix.
    pub(super) fn of(name: &str) -> Self {
        let name = name.to_lowercase();
        let name = ["-latest", "@latest", "@default", ":latest"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
        let whole = key(&words(name));
        let (head, version) = split_version(name);
        let mut stem_words = words(head);
        let date = take_date(&mut stem_words);
        let numbers = stem_words.iter().filter(|word| is_number(word)).filter_map(|word| word.parse().ok()).collect();
        Self { whole, stem: key(&stem_words), date, version, numbers }
    }

    /// Nothing that `asked` says of date and version contradicts this spelling.
    pub(super) fn agrees_with(&self, asked: &Self) -> bool {
        let dates = asked.date.zip(self.date).is_none_or(|(asked, own)| asked == own);
        let versions = asked.version.zip(self.version).is_none_or(|((asked, asked_minor), (own, own_minor))| {
            asked == own && asked_minor.zip(own_minor).is_none_or(|(asked, own)| asked == own)
        });
        dates && versions
    }
}

/// Joins a provider's word and a key: `deepseek` and `v 3` = the key of `deepseek-v3`.
pub(super) fn prefixed(provider: &str, key_of_rest: &str) -> String {
    let mut all = words(provider);
    all.extend(key_of_rest.split(' ').map(str::to_owned));
    key(&all)
}

/// The words of a name in the order they stand.
pub(super) fn words_in_order(name: &str) -> Vec<String> {
    words(&name.to_lowercase())
}

/// A name without its version, and without its version and date, as one would write it.
pub(super) fn shortened(name: &str) -> [String; 2] {
    let (unversioned, _) = split_version(name);
    let is_dated = |part: &&str| !(is_number(part) && (part.len() == 8 || is_year_and_month(part)));
    let undated: Vec<&str> = unversioned.split('-').filter(is_dated).collect();
    [unversioned.to_owned(), undated.join("-")]
}

/// The words in comparing order: those with letters first, numbers after them, each in their own order. So
/// `claude-4-5-sonnet` and `claude-sonnet-4-5` have the same key.
fn key(words: &[String]) -> String {
    let (numbers, letters): (Vec<&str>, Vec<&str>) = words.iter().map(String::as_str).partition(|word| is_number(word));
    [letters, numbers].concat().join(" ")
}

/// Splits at everything that is no letter or digit, and where a letter is followed by a digit (`llama3` = `llama 3`).
fn words(name: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut word = String::new();
    for character in name.chars() {
        let splits = character.is_ascii_digit() && word.chars().last().is_some_and(char::is_alphabetic);
        if (splits || !character.is_alphanumeric()) && !word.is_empty() {
            all.push(std::mem::take(&mut word));
        }
        if character.is_alphanumeric() {
            word.push(character);
        }
    }
    if !word.is_empty() {
        all.push(word);
    }
    all
}

fn is_number(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_digit())
}

/// Splits `name-v1:0`, `name-1:0`, `name-v2` and `name:0`.
fn split_version(name: &str) -> (&str, Option<(u32, Option<u32>)>) {
    let (head, minor) = match name.rsplit_once(':') {
        Some((head, minor)) if !minor.is_empty() && is_number(minor) => (head, minor.parse::<u32>().ok()),
        _ => (name, None),
    };
    if let Some((stem, last)) = head.rsplit_once('-') {
        let digits = last.strip_prefix('v').or(minor.is_some().then_some(last));
        if let Some(major) = digits.filter(|digits| !digits.is_empty() && is_number(digits)).and_then(|digits| digits.parse().ok()) {
            return (stem, Some((major, minor)));
        }
    }
    (head, None)
}

/// Takes the date out of the words: `20251001`, `2026 03 05`, or year and month as `2407`.
fn take_date(words: &mut Vec<String>) -> Option<u32> {
    for position in 0..words.len() {
        let (date, length) = match words.get(position..).unwrap_or_default() {
            [day, ..] if day.len() == 8 && is_number(day) && day.starts_with("20") => (day.clone(), 1),
            [year, month, day, ..] if is_date(year, month, day) => (format!("{year}{month}{day}"), 3),
            [month, ..] if is_year_and_month(month) => (month.clone(), 1),
            _ => continue,
        };
        words.drain(position..position + length);
        return date.parse().ok();
    }
    None
}

fn is_date(year: &str, month: &str, day: &str) -> bool {
    year.len() == 4 && year.starts_with("20") && month.len() == 2 && day.len() == 2 && [year, month, day].into_iter().all(is_number)
}

fn is_year_and_month(word: &str) -> bool {
    let month = word.get(2..).unwrap_or_default();
    word.len() == 4 && is_number(word) && word.starts_with('2') && ("01"..="12").contains(&month)
}

/// `pattern` with `*` for any characters, both in lower case.
pub(super) fn matches_pattern(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut last = None;
    for part in parts {
        if let Some(middle) = last.replace(part) {
            match rest.split_once(middle) {
                Some((_, after)) => rest = after,
                None => return false,
            }
        }
    }
    match last {
        None => rest.is_empty(),
        Some(end) => rest.ends_with(end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_are_taken_apart() {
        let spelling = Spelling::of("Claude-Haiku-4-5-20251001-v1:0");
        assert_eq!(spelling.stem, "claude haiku 4 5");
        assert_eq!((spelling.date, spelling.version), (Some(20_251_001), Some((1, Some(0)))));
        assert_eq!(spelling.numbers, [4, 5]);
        assert_eq!(Spelling::of("claude-4.5-haiku@20251001").stem, "claude haiku 4 5");
        assert_eq!(Spelling::of("gpt-oss-120b-1:0").stem, "gpt oss 120b");
        assert_eq!(Spelling::of("gpt-5.4-2026-03-05").date, Some(20_260_305));
        assert_eq!(Spelling::of("mistral-large-2407-v1:0").date, Some(2407));
        assert_eq!(Spelling::of("llama3-3-70b-instruct-v1:0").stem, Spelling::of("Llama-3.3-70B-Instruct").stem);
        assert_eq!(Spelling::of("mistral-7b-instruct-v0:2").whole, Spelling::of("mistral-7b-instruct-v0.2").whole);
        assert_eq!(Spelling::of("claude-3-7-sonnet-latest").stem, "claude sonnet 3 7");
    }

    #[test]
    fn what_a_name_says_of_date_and_version_must_not_contradict() {
        let own = Spelling::of("nova-pro-v1:0");
        assert!(own.agrees_with(&Spelling::of("nova-pro")));
        assert!(own.agrees_with(&Spelling::of("nova-pro-v1")));
        assert!(!own.agrees_with(&Spelling::of("nova-pro-v2")));
        assert!(!own.agrees_with(&Spelling::of("nova-pro-v1:1")));
        assert!(!Spelling::of("claude-sonnet-4-5-20250929").agrees_with(&Spelling::of("claude-sonnet-4-5-20250514")));
    }

    #[test]
    fn patterns_match_from_end_to_end() {
        for (pattern, text, expected) in [
            ("claude-*", "claude-opus-5", true),
            ("*sonnet*", "claude-sonnet-5", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*c", "ac", true),
            ("a*a", "a", false),
            ("ab*ba", "aba", false),
            ("claude-5", "claude-5-5", false),
            ("*", "", true),
            ("", "", true),
            ("", "x", false),
            ("x**y", "x1y", true),
        ] {
            assert_eq!(matches_pattern(pattern, text), expected, "{pattern} on {text}");
        }
    }
}

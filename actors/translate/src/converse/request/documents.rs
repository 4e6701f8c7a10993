//! Document names that Converse takes: letters, digits, single spaces, `-()[]`, 1..200 characters, each once in a
//! request.

use std::{borrow::Cow, collections::HashMap};

/// Longest name. Source: Converse `DocumentBlock.name`.
const MAX_LENGTH: usize = 200;
/// Room for the number that keeps two names apart.
const NUMBER_ROOM: usize = 12;
/// Longest piece after a dot that counts as a file extension.
const MAX_EXTENSION: usize = 5;

/// The names of one request, in order of appearance.
#[derive(Default)]
pub(super) struct DocumentNames {
    /// Each with the last number tried behind it: a thousand files of one name must not each count from the start.
    used: HashMap<String, u32>,
    seen: usize,
}

impl DocumentNames {
    /// A name for the next document.
    pub(super) fn assign(&mut self, given: Option<&str>) -> Cow<'static, str> {
        self.seen += 1;
        let clean = given.map(clean).filter(|name| !name.is_empty()).unwrap_or_else(|| format!("document-{}", self.seen));
        let mut name = clean.clone();
        let mut number = self.used.get(&clean).copied().unwrap_or(1);
        while self.used.contains_key(&name) {
            number += 1;
            name = format!("{clean} ({number})");
        }
        self.used.insert(clean, number);
        self.used.entry(name.clone()).or_insert(1);
        Cow::Owned(name)
    }
}

fn clean(name: &str) -> String {
    let mut cleaned = String::with_capacity(name.len().min(MAX_LENGTH));
    for character in without_extension(name).chars() {
        let character = match character {
            _ if character.is_ascii_alphanumeric() => character,
            '-' | '(' | ')' | '[' | ']' => character,
            _ => ' ',
        };
        if cleaned.len() >= MAX_LENGTH - NUMBER_ROOM {
            break;
        }
        if character != ' ' || !cleaned.is_empty() && !cleaned.ends_with(' ') {
            cleaned.push(character);
        }
    }
    cleaned.truncate(cleaned.trim_end().len());
    cleaned
}

fn without_extension(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && is_extension(extension) => stem,
        _ => name,
    }
}

fn is_extension(text: &str) -> bool {
    (1..=MAX_EXTENSION).contains(&text.len()) && text.chars().all(|character| character.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn pain_36_document_names_lose_extension_and_bad_characters() {
        let mut names = DocumentNames::default();
        assert_eq!(names.assign(Some("Q3  report_v2 (final).pdf")), "Q3 report v2 (final)");
        assert_eq!(names.assign(Some("Zürich.2024.xlsx")), "Z rich 2024");
        assert_eq!(names.assign(Some(".pdf")), "pdf");
        assert_eq!(names.assign(Some("???")), "document-4");
        assert_eq!(names.assign(None), "document-5");
    }

    #[test]
    fn pain_36_document_names_are_unique_and_short() {
        let mut names = DocumentNames::default();
        let long = "a".repeat(300);
        let all: Vec<_> = (0..12).map(|_| names.assign(Some(&long))).collect();
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), 12);
        assert!(all.iter().all(|name| name.len() <= MAX_LENGTH));
    }

    #[test]
    fn pain_36_a_name_that_looks_like_a_number_of_ours_still_stays_unique() {
        let mut names = DocumentNames::default();
        let all = [names.assign(Some("a")), names.assign(Some("a (2)")), names.assign(Some("a")), names.assign(Some("a"))];
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), 4);
    }
}

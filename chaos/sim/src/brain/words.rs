//! Small facts about words, shared by tool choice, argument filling and prose.

/// Words that carry no topic.
const COMMON: &[&str] = &[
    "a",
    "about",
    "after",
    "all",
    "also",
    "an",
    "and",
    "any",
    "are",
    "as",
    "at",
    "be",
    "by",
    "can",
    "could",
    "did",
    "do",
    "does",
    "each",
    "for",
    "from",
    "get",
    "give",
    "given",
    "has",
    "have",
    "her",
    "him",
    "his",
    "how",
    "i",
    "if",
    "in",
    "into",
    "is",
    "it",
    "its",
    "just",
    "let",
    "like",
    "make",
    "me",
    "my",
    "need",
    "no",
    "not",
    "now",
    "of",
    "on",
    "one",
    "or",
    "our",
    "out",
    "please",
    "say",
    "she",
    "should",
    "so",
    "some",
    "tell",
    "that",
    "the",
    "their",
    "them",
    "then",
    "there",
    "they",
    "this",
    "to",
    "up",
    "us",
    "use",
    "using",
    "want",
    "was",
    "we",
    "were",
    "what",
    "when",
    "where",
    "which",
    "who",
    "why",
    "will",
    "with",
    "would",
    "you",
    "your",
    "tool",
    "tools",
    "call",
    "return",
    "returns",
    "current",
    "specified",
    "string",
    "value",
];

/// Lower-case words of a text, in order.
pub(super) fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

/// Words of an identifier: `get_weather`, `getWeather` and `get-weather` alike.
pub(super) fn name_words(name: &str) -> Vec<String> {
    let mut spaced = String::with_capacity(name.len() + 4);
    let mut lower = false;
    for c in name.chars() {
        if c.is_uppercase() && lower {
            spaced.push(' ');
        }
        lower = c.is_lowercase() || c.is_ascii_digit();
        spaced.push(c);
    }
    words(&spaced)
}

/// The word without plural or verb ending.
pub(super) fn stem(word: &str) -> &str {
    let long_enough = |rest: &&str| rest.len() >= 3;
    word.strip_suffix("ing").filter(long_enough).or_else(|| word.strip_suffix('s').filter(long_enough)).unwrap_or(word)
}

/// Whether the word carries a topic.
pub(super) fn meaningful(word: &str) -> bool {
    word.chars().count() > 2 && !COMMON.contains(&word)
}

/// Up to `most` topic words, in order and without repetition.
pub(super) fn keywords(text: &str, most: usize) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for word in words(text) {
        if found.len() == most {
            break;
        }
        if meaningful(&word) && !found.contains(&word) {
            found.push(word);
        }
    }
    found
}

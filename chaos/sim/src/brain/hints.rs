//! Values found in what the user said: material for tool arguments and JSON answers.

use serde_json::Number;

use super::words::{meaningful, name_words, words};

/// Prepositions after which a place or object is named.
const BEFORE_OBJECT: &[&str] = &["in", "for", "at", "about", "of", "near", "from", "to", "on"];

/// Longest text copied into an argument, in characters.
const LONGEST: usize = 400;

/// What an argument name suggests, and what to write when nothing in the text fits.
const BY_NAME: &[(&[&str], Source, &str)] = &[
    (&["email", "mail", "recipient"], Source::Email, "user@example.com"),
    (&["url", "uri", "link", "website", "href"], Source::Url, "https://example.com/"),
    (&["path", "file", "filename", "filepath", "directory", "folder"], Source::Path, "notes.txt"),
    (&["date", "day", "deadline"], Source::Date, "2026-01-15"),
    (&["time", "hour"], Source::Time, "12:00"),
    (&["expression", "formula", "equation", "calculation", "expr"], Source::Expression, "1 + 1"),
    (&["city", "location", "place", "town", "country", "region", "destination", "origin", "address"], Source::Entity, "Paris"),
    (&["name", "user", "username", "person", "author", "customer"], Source::Entity, "Ada"),
    (
        &[
            "query",
            "q",
            "search",
            "question",
            "text",
            "prompt",
            "input",
            "message",
            "content",
            "task",
            "body",
            "description",
            "answer",
            "summary",
            "sentence",
        ],
        Source::Text,
        "hello",
    ),
    (&["command", "cmd", "script", "code"], Source::Quoted, "ls"),
    (&["language", "lang", "locale"], Source::Nothing, "en"),
    (&["currency"], Source::Nothing, "USD"),
    (&["unit", "units"], Source::Nothing, "celsius"),
    (&["timezone", "tz"], Source::Nothing, "UTC"),
    (&["color", "colour"], Source::Nothing, "blue"),
    (&["id", "identifier", "key", "symbol", "ticker"], Source::Quoted, "id-1"),
];

#[derive(Clone, Copy)]
enum Source {
    Email,
    Url,
    Path,
    Date,
    Time,
    Expression,
    Entity,
    Text,
    Quoted,
    Nothing,
}

/// Values taken from a text.
#[derive(Debug, Clone, Default)]
pub(super) struct Hints {
    text: String,
    lower: Vec<String>,
    pub(super) numbers: Vec<Number>,
    pub(super) entities: Vec<String>,
    quoted: Vec<String>,
    tokens: Vec<String>,
    expression: Option<String>,
    /// Which entity a single string argument takes: parallel calls differ by it.
    turn: usize,
}

impl Hints {
    /// Reads a text.
    pub(super) fn of(text: &str) -> Self {
        let tokens: Vec<String> = text
            .split_whitespace()
            .map(|word| word.trim_matches(|c: char| ",;!?()\"'`".contains(c)).trim_end_matches('.').to_owned())
            .collect();
        let quoted = quoted(text);
        let mut entities = entities(text);
        if entities.is_empty() {
            entities.extend(objects(text));
        }
        Self {
            text: text.trim().chars().take(LONGEST).collect(),
            lower: words(text),
            numbers: tokens.iter().filter_map(|token| number(token)).collect(),
            entities,
            quoted,
            expression: expression(text),
            tokens,
            turn: 0,
        }
    }

    /// The same values, seen from the call number `turn` of several parallel ones.
    pub(super) fn at_turn(&self, turn: usize) -> Self {
        Self { turn, ..self.clone() }
    }

    /// Whether the text names this argument or says its value in so many words.
    pub(super) fn mention(&self, name: &str) -> bool {
        let parts = name_words(name);
        !parts.is_empty() && parts.iter().all(|part| self.lower.iter().any(|word| word == part))
    }

    /// Whether the text holds this word or phrase.
    pub(super) fn holds(&self, phrase: &str) -> bool {
        let wanted = words(phrase);
        !wanted.is_empty() && self.lower.windows(wanted.len()).any(|window| window == wanted.as_slice())
    }

    /// A string for the argument `name`; `variant` > 0 asks for another one.
    pub(super) fn string(&self, name: &str, variant: usize) -> String {
        let parts = name_words(name);
        let known = BY_NAME.iter().find(|(names, _, _)| parts.iter().rev().any(|part| names.contains(&part.as_str())));
        let found = match known {
            Some((_, source, fallback)) => self.find(*source, variant).unwrap_or_else(|| (*fallback).to_owned()),
            None => self.any(variant).unwrap_or_else(|| if name.is_empty() { "value".to_owned() } else { name.to_owned() }),
        };
        let taken = self.at(&self.entities, variant).is_some_and(|entity| entity == found);
        if variant == 0 || taken { found } else { format!("{found} {}", variant + 1) }
    }

    /// The first email address, web address or date of the text, if it is one beyond doubt.
    pub(super) fn formatted(&self, format: &str) -> Option<String> {
        let plain = |text: &str, extra: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || extra.contains(c));
        let (source, sound): (Source, &dyn Fn(&str) -> bool) = match format {
            "email" | "idn-email" => (Source::Email, &|text| {
                text.split_once('@').is_some_and(|(user, host)| {
                    plain(user, "_+-")
                        && plain(host, ".-")
                        && host.split('.').all(|label| label.starts_with(|c: char| c.is_ascii_alphanumeric()))
                })
            }),
            "uri" | "iri" | "url" => {
                (Source::Url, &|text| plain(text, "-._~:/?&=+,") && text.matches("://").count() == 1 && !text.ends_with('/'))
            }
            "date" => (Source::Date, &|text| {
                let part = |range: std::ops::Range<usize>| text.get(range).and_then(|part| part.parse::<u8>().ok()).unwrap_or(0);
                (1..=12).contains(&part(5..7)) && (1..=28).contains(&part(8..10))
            }),
            _ => return None,
        };
        self.find(source, 0).filter(|text| sound(text))
    }

    fn find(&self, source: Source, variant: usize) -> Option<String> {
        let token = |fits: fn(&str) -> bool| self.tokens.iter().find(|token| fits(token)).cloned();
        match source {
            Source::Email => token(|token| token.split_once('@').is_some_and(|(user, host)| !user.is_empty() && host.contains('.'))),
            Source::Url => token(|token| token.starts_with("http://") || token.starts_with("https://")),
            Source::Path => token(|token| !token.contains("://") && !token.contains('@') && (token.contains('/') || file_name(token))),
            Source::Date => token(is_date),
            Source::Time => {
                token(|token| token.split_once(':').is_some_and(|(h, m)| h.len() <= 2 && m.len() == 2 && digits(h) && digits(m)))
            }
            Source::Expression => self.expression.clone(),
            Source::Entity => self.at(&self.entities, variant),
            Source::Text => self.quoted.first().cloned().or_else(|| (!self.text.is_empty()).then(|| self.text.clone())),
            Source::Quoted => self.quoted.first().cloned(),
            Source::Nothing => None,
        }
    }

    fn any(&self, variant: usize) -> Option<String> {
        self.quoted.get(variant).cloned().or_else(|| self.at(&self.entities, variant))
    }

    fn at(&self, list: &[String], variant: usize) -> Option<String> {
        let place = (self.turn + variant).checked_rem(list.len())?;
        // Past the end of the list there is nothing new to say.
        (self.turn + variant < list.len() || variant == 0).then(|| list.get(place).cloned())?
    }
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_date(token: &str) -> bool {
    let parts: Vec<&str> = token.split('-').collect();
    matches!(parts.as_slice(), [year, month, day] if year.len() == 4 && month.len() == 2 && day.len() == 2 && parts.iter().all(|part| digits(part)))
}

fn file_name(token: &str) -> bool {
    token.rsplit_once('.').is_some_and(|(stem, ending)| {
        !stem.is_empty() && (1..=5).contains(&ending.len()) && ending.chars().all(char::is_alphanumeric) && !digits(ending)
    })
}

fn number(token: &str) -> Option<Number> {
    let plain = token.trim_start_matches('$').trim_end_matches('%');
    if let Ok(whole) = plain.parse::<i64>() {
        return Some(Number::from(whole));
    }
    plain.starts_with(|c: char| c.is_ascii_digit() || c == '-').then(|| plain.parse::<f64>().ok()).flatten().and_then(Number::from_f64)
}

/// Texts between double quotes or backticks.
fn quoted(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for mark in ['"', '`'] {
        for (index, part) in text.split(mark).enumerate() {
            if index % 2 == 1 && !part.trim().is_empty() {
                found.push(part.to_owned());
            }
        }
    }
    found
}

/// Runs of capitalised words that do not merely start a sentence: `Paris`, `New York`.
fn entities(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut run: Vec<&str> = Vec::new();
    let mut starts = true;
    let flush = |run: &mut Vec<&str>, found: &mut Vec<String>| {
        if !run.is_empty() {
            let entity = run.join(" ");
            if !found.contains(&entity) {
                found.push(entity);
            }
            run.clear();
        }
    };
    for token in text.split_whitespace() {
        let word = token.trim_matches(|c: char| !c.is_alphanumeric());
        let capital = word.chars().next().is_some_and(char::is_uppercase) && word != "I" && !word.starts_with("I'") && !word.contains('_');
        if capital && !starts {
            run.push(word);
        } else {
            flush(&mut run, &mut found);
        }
        starts = token.ends_with(['.', '!', '?', ':']);
        if starts || token.ends_with([',', ';', ')', '"']) {
            flush(&mut run, &mut found);
        }
    }
    flush(&mut run, &mut found);
    found
}

/// Lower-case objects after a preposition: the place in `weather in paris`.
fn objects(text: &str) -> Vec<String> {
    let tokens: Vec<String> =
        text.split_whitespace().map(|token| token.trim_end_matches(|c: char| ".,;!?".contains(c)).to_lowercase()).collect();
    let after = tokens.windows(2).rev().find_map(|pair| match pair {
        [before, object] if BEFORE_OBJECT.contains(&before.as_str()) && object.chars().all(char::is_alphanumeric) && meaningful(object) => {
            Some(object.clone())
        }
        _ => None,
    });
    after.into_iter().collect()
}

/// The longest run that reads as arithmetic: digits with operators between them.
fn expression(text: &str) -> Option<String> {
    let allowed = |c: char| c.is_ascii_digit() || "+-*/^%(). ".contains(c);
    let candidates = text.split(|c: char| !allowed(c)).map(|part| part.trim().trim_end_matches('.').trim());
    let real = |part: &&str| {
        !is_date(part) && part.contains(|c: char| "+-*/^%".contains(c)) && part.chars().filter(char::is_ascii_digit).count() >= 2
    };
    candidates.filter(real).max_by_key(|part| part.len()).map(str::to_owned)
}

//! Prose: answers that relate to what was said.

use serde_json::{Map, Value};

use super::hints::Hints;
use super::scene::{Outcome, Scene};
use super::words::{keywords, words};

/// Phrases after which the rest is to be repeated word for word.
const EXACTLY: &[&str] = &[
    "say exactly",
    "repeat exactly",
    "reply exactly",
    "respond exactly",
    "reply with exactly",
    "respond with exactly",
    "answer exactly",
    "repeat after me",
];
/// Words that greet.
const GREETINGS: &[&str] = &["hello", "hi", "hey", "greetings", "hallo", "bonjour"];
/// Words that ask for length, with the words of answer they get.
const LONG: &[(&str, usize)] = &[
    ("essay", 400),
    ("story", 300),
    ("poem", 120),
    ("article", 400),
    ("long", 300),
    ("detailed", 250),
    ("explain", 90),
    ("paragraphs", 240),
    ("paragraph", 90),
];
/// Longest answer, in words.
const MOST_WORDS: usize = 20_000;
/// Farthest count.
const MOST_COUNT: u64 = 10_000;

/// Sentences that long answers are made of; `{}` is a topic word.
const SENTENCES: &[&str] = &[
    "There is a lot to say about {}, so let us take it step by step.",
    "First of all, {} depends on its surroundings more than one might expect.",
    "People who work with {} every day tend to keep things simple.",
    "A good example shows how {} behaves when conditions change.",
    "On the other hand, {} can surprise even those who know it well.",
    "Small details matter here, because {} rewards patience.",
    "Over time, the view on {} has changed considerably.",
    "It helps to compare {} with something familiar.",
    "In practice, {} is easier than it looks at first.",
    "Taken together, this is why {} deserves attention.",
];

/// The sentence before tool calls.
pub(super) fn before_tools(calls: &[(String, Value)]) -> String {
    match calls {
        [(name, _)] => format!("I'll use {name} for that."),
        _ => format!("I'll make {} calls for that.", calls.len()),
    }
}

/// The answer in prose. One that was begun is gone on with: only what comes after the beginning is said.
pub(super) fn prose(model: &str, scene: &Scene<'_>) -> String {
    let whole = whole_prose(model, scene);
    match scene.prefill.and_then(|begun| whole.strip_prefix(begun)) {
        Some(rest) => rest.to_owned(),
        None => whole,
    }
}

fn whole_prose(model: &str, scene: &Scene<'_>) -> String {
    if !scene.outcomes.is_empty() {
        return from_results(&scene.outcomes);
    }
    let said = scene.said.as_str();
    if let Some(text) = exact(said) {
        return text;
    }
    if let Some(text) = count(said) {
        return text;
    }
    if scene.prefill.is_none() && wants_json(scene) {
        return json_answer(said);
    }
    if let Some(text) = recall(scene).or_else(|| arithmetic(said)) {
        return text;
    }
    let shown = shown(scene);
    if let Some(length) = length(said) {
        return format!("{shown}{}", long(said, length));
    }
    let topics = keywords(said, 5);
    let greets = words(said).first().is_some_and(|word| GREETINGS.contains(&word.as_str()));
    let greeting = if greets { format!("Hello! I am {model}. ") } else { String::new() };
    match topics.as_slice() {
        _ if greets && topics.len() <= 1 => format!("{greeting}{shown}How can I help you today?"),
        [] => format!("{shown}Could you tell me a little more about what you need?"),
        [topic] => format!(
            "{greeting}{shown}You asked about {topic}. In short, {topic} works as you would expect, and I can go into more detail if you like."
        ),
        [first, .., last] => {
            format!(
                "{greeting}{shown}You asked about {}. In short, {first} and {last} go together here. Let me know if you want more detail.",
                topics.join(", ")
            )
        }
    }
}

fn from_results(outcomes: &[Outcome<'_>]) -> String {
    let lines: Vec<String> = outcomes
        .iter()
        .map(|outcome| {
            let text = if outcome.text.is_empty() { "nothing" } else { outcome.text.as_str() };
            if outcome.failed { format!("{} failed: {text}", outcome.tool) } else { format!("{} answered: {text}", outcome.tool) }
        })
        .collect();
    format!("Here is what I found. {}", lines.join("\n"))
}

/// `say exactly: X` and its kin.
fn exact(said: &str) -> Option<String> {
    let lower = said.to_ascii_lowercase();
    let (at, phrase) = EXACTLY
        .iter()
        .filter_map(|phrase| lower.find(phrase).map(|at| (at, *phrase)))
        .min_by_key(|(at, phrase)| (*at, std::cmp::Reverse(phrase.len())))?;
    let rest = said.get(at + phrase.len()..)?.trim_start();
    let rest = rest.strip_prefix(':').unwrap_or(rest).trim();
    let quoted = rest.strip_prefix('"').and_then(|inner| inner.split_once('"')).map(|(inner, _)| inner);
    let text = quoted.unwrap_or(rest);
    (!text.is_empty()).then(|| text.to_owned())
}

/// `count to 10`, `count from 3 to 7`.
fn count(said: &str) -> Option<String> {
    let words = words(said);
    let start = words.iter().position(|word| word == "count")?;
    let rest = words.get(start + 1..)?;
    let number = |before: &str| {
        rest.windows(2).find_map(|pair| match pair {
            [word, number] if word == before => number.parse::<u64>().ok(),
            _ => None,
        })
    };
    let to = number("to")?.min(MOST_COUNT);
    let from = number("from").unwrap_or(1).min(to);
    let list: Vec<String> = (from..=to).map(|number| number.to_string()).collect();
    Some(list.join(", "))
}

/// `my name is X` earlier, `what is my name` now.
fn recall(scene: &Scene<'_>) -> Option<String> {
    let lower = scene.said.to_lowercase();
    if !(lower.contains("my name") && (lower.contains("what") || lower.contains("remember"))) {
        return None;
    }
    let name = scene.earlier.iter().rev().find_map(|text| {
        let at = text.to_ascii_lowercase().find("my name is ")?;
        let rest = text.get(at + "my name is ".len()..)?;
        rest.split(|c: char| !c.is_alphanumeric() && c != '-').next().filter(|name| !name.is_empty())
    });
    Some(name.map_or_else(|| "You have not told me your name yet.".to_owned(), |name| format!("Your name is {name}.")))
}

/// `what is 17 * 3`: one operation on two numbers.
fn arithmetic(said: &str) -> Option<String> {
    let tokens: Vec<&str> = said.split_whitespace().map(|token| token.trim_matches(|c: char| "?=.,".contains(c))).collect();
    tokens.windows(3).find_map(|window| {
        let [left, operator, right] = window else { return None };
        let (a, b) = (left.parse::<i64>().ok()?, right.parse::<i64>().ok()?);
        let result = match *operator {
            "+" | "plus" => a.checked_add(b)?,
            "-" | "minus" => a.checked_sub(b)?,
            "*" | "x" | "times" => a.checked_mul(b)?,
            "/" => a.checked_div(b)?,
            _ => return None,
        };
        Some(format!("{left} {operator} {right} = {result}."))
    })
}

fn wants_json(scene: &Scene<'_>) -> bool {
    let asks = |text: &str| {
        let words = words(text);
        words.iter().any(|word| word == "json")
            && ["respond", "reply", "return", "output", "answer", "only", "object", "format"]
                .iter()
                .any(|verb| words.iter().any(|word| word == verb))
    };
    asks(&scene.said) || asks(&scene.system)
}

/// An object with a member for each name the text quotes, or just an answer.
fn json_answer(said: &str) -> String {
    let hints = Hints::of(said);
    let mut object = Map::new();
    for name in
        said.split(['"', '`']).skip(1).step_by(2).filter(|name| !name.is_empty() && name.len() < 40 && !name.contains(char::is_whitespace))
    {
        object.insert(name.to_owned(), Value::String(keywords(said, 3).join(" ")));
    }
    if object.is_empty() {
        object.insert("answer".to_owned(), Value::String(hints.string("answer", 0)));
    }
    Value::Object(object).to_string()
}

fn shown(scene: &Scene<'_>) -> String {
    if scene.shown.is_empty() { String::new() } else { format!("I see {}. ", scene.shown.join(" and ")) }
}

/// Words of answer the text asks for, if it asks for length.
fn length(said: &str) -> Option<usize> {
    let words = words(said);
    let counted = words.windows(2).find_map(|pair| match pair {
        [number, unit] => number.parse::<usize>().ok().and_then(|number| match unit.as_str() {
            "words" | "word" => Some(number),
            "sentences" => Some(number * 12),
            "paragraphs" => Some(number * 80),
            "pages" => Some(number * 400),
            _ => None,
        }),
        _ => None,
    });
    counted
        .or_else(|| LONG.iter().find(|(word, _)| words.iter().any(|said| said == word)).map(|(_, length)| *length))
        .map(|length| length.clamp(1, MOST_WORDS))
}

/// Exactly `length` words in sentences and paragraphs about the topics.
fn long(said: &str, length: usize) -> String {
    let mut topics = keywords(said, 8);
    topics.retain(|topic| {
        !LONG.iter().any(|(word, _)| word == topic) && topic.parse::<u64>().is_err() && topic != "words" && topic != "write"
    });
    if topics.is_empty() {
        topics.push("this".to_owned());
    }
    let mut text = String::new();
    let mut written = 0;
    for (index, (sentence, topic)) in SENTENCES.iter().cycle().zip(topics.iter().cycle()).enumerate() {
        for word in sentence.replace("{}", topic).split(' ') {
            if written == length {
                break;
            }
            if written > 0 && !text.ends_with('\n') {
                text.push(' ');
            }
            text.push_str(word);
            written += 1;
        }
        if written == length {
            break;
        }
        if index % 5 == 4 {
            text.push_str("\n\n");
        }
    }
    if !text.ends_with('.') {
        let kept = text.trim_end_matches([',', ' ', '\n']).len();
        text.truncate(kept);
        text.push('.');
    }
    text
}

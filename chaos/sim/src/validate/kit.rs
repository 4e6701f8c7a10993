//! The schema-check kit: reads JSON objects member by member, remembers where it is, and refuses what the service model refuses.
//!
//! Wrong types end the reading at once (`SerializationException`), unknown members and bad unions too; constraint violations
//! (null, length, pattern, range, enum) are collected in [`Faults`] and reported together, as AWS's front end does.

use std::cell::RefCell;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::Refusal;

/// Where the reader stands, as a chain of borrowed steps.
#[derive(Clone, Copy)]
pub(crate) enum Path<'p> {
    /// The body.
    Root,
    /// A member of an object.
    Key(&'p Path<'p>, &'p str),
    /// An item of a list, counted from 0.
    Item(&'p Path<'p>, usize),
}

impl<'p> Path<'p> {
    /// The path of a member.
    pub(crate) fn key(&'p self, key: &'p str) -> Self {
        Self::Key(self, key)
    }

    /// The path of an item.
    pub(crate) fn item(&'p self, index: usize) -> Self {
        Self::Item(self, index)
    }

    /// `messages.0.content.1`: how Converse names places.
    pub(crate) fn dotted(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, ".", |text, index| {
            let _infallible = write!(text, "{index}");
        });
        text
    }

    /// `messages.1.member.content.2.member`: how constraint violations name places.
    pub(crate) fn constraint(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, ".", |text, index| {
            let _infallible = write!(text, "{}.member", index + 1);
        });
        text
    }

    /// `#/messages/0`: how unknown members are located.
    pub(crate) fn pointer(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, "/", |text, index| {
            let _infallible = write!(text, "{index}");
        });
        if text.is_empty() { "#".to_owned() } else { format!("#/{text}") }
    }

    fn write(&self, text: &mut String, separator: &str, item: fn(&mut String, usize)) {
        let (before, step) = match self {
            Self::Root => return,
            Self::Key(before, key) => (before, Some(*key)),
            Self::Item(before, _) => (before, None),
        };
        before.write(text, separator, item);
        if !text.is_empty() {
            text.push_str(separator);
        }
        match (step, self) {
            (Some(key), _) => text.push_str(key),
            (None, Self::Item(_, index)) => item(text, *index),
            (None, _) => {}
        }
    }
}

/// Constraint violations found so far.
#[derive(Default)]
pub(crate) struct Faults(RefCell<Vec<String>>);

impl Faults {
    /// Adds one violation; `shown` is the value as AWS prints it, `None` where it prints none.
    pub(crate) fn add(&self, path: Path<'_>, shown: Option<&str>, constraint: &str) {
        let value = shown.map_or_else(String::new, |shown| format!("'{shown}' "));
        self.0.borrow_mut().push(format!("Value {value}at '{}' failed to satisfy constraint: {constraint}", path.constraint()));
    }

    /// Everything that was found, as one refusal.
    pub(crate) fn verdict(self) -> Result<(), Refusal> {
        let list = self.0.into_inner();
        if list.is_empty() {
            return Ok(());
        }
        let noun = if list.len() == 1 { "error" } else { "errors" };
        Err(Refusal::validation(format!("{} validation {noun} detected: {}", list.len(), list.join("; "))))
    }
}

/// Constraint on a string member.
pub(crate) struct TextRule {
    pub(crate) min: usize,
    pub(crate) max: usize,
    pub(crate) pattern: Option<Pattern>,
    pub(crate) words: &'static [&'static str],
}

/// A named pattern with its hand-written recogniser.
pub(crate) struct Pattern {
    pub(crate) source: &'static str,
    pub(crate) accepts: fn(&str) -> bool,
}

/// Any string.
pub(crate) const ANY: TextRule = length(0, usize::MAX);

/// A string of bounded length, in characters.
pub(crate) const fn length(min: usize, max: usize) -> TextRule {
    TextRule { min, max, pattern: None, words: &[] }
}

/// A string of bounded length that follows a pattern.
pub(crate) const fn shaped(min: usize, max: usize, source: &'static str, accepts: fn(&str) -> bool) -> TextRule {
    TextRule { min, max, pattern: Some(Pattern { source, accepts }), words: &[] }
}

/// One of some words.
pub(crate) const fn one_of(words: &'static [&'static str]) -> TextRule {
    TextRule { min: 0, max: usize::MAX, pattern: None, words }
}

impl TextRule {
    /// Checks `text`, adding violations to `faults`.
    pub(crate) fn check(&self, text: &str, path: Path<'_>, faults: &Faults) {
        let count = text.chars().count();
        if count < self.min {
            faults.add(path, Some(text), &format!("Member must have length greater than or equal to {}", self.min));
        }
        if count > self.max {
            faults.add(path, Some(text), &format!("Member must have length less than or equal to {}", self.max));
        }
        if let Some(pattern) = &self.pattern
            && !(pattern.accepts)(text)
        {
            faults.add(path, Some(text), &format!("Member must satisfy regular expression pattern: {}", pattern.source));
        }
        if !self.words.is_empty() && !self.words.contains(&text) {
            faults.add(path, Some(text), &format!("Member must satisfy enum value set: [{}]", self.words.join(", ")));
        }
    }
}

/// A JSON object being read.
#[derive(Clone, Copy)]
pub(crate) struct Object<'v, 'p> {
    map: &'v Map<String, Value>,
    pub(crate) path: Path<'p>,
    pub(crate) faults: &'p Faults,
}

impl<'v, 'p> Object<'v, 'p> {
    /// Opens `value`, which must be an object with no member outside `known`.
    pub(crate) fn open(value: &'v Value, path: Path<'p>, faults: &'p Faults, known: &[&str]) -> Result<Self, Refusal> {
        let Value::Object(map) = value else { return Err(wrong_type(value, "structure", path)) };
        if let Some(key) = map.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(extraneous(path, key));
        }
        Ok(Self { map, path, faults })
    }

    /// Opens a union: exactly one member of `known` is set. Answers the member's name and value.
    pub(crate) fn union(
        value: &'v Value,
        path: Path<'p>,
        faults: &'p Faults,
        (name, known): (&str, &[&str]),
    ) -> Result<(&'v str, &'v Value), Refusal> {
        let object = Self::open(value, path, faults, known)?;
        let mut set = object.map.iter().filter(|(_, value)| !value.is_null());
        match (set.next(), set.next()) {
            (Some((key, value)), None) => Ok((key.as_str(), value)),
            (None, _) => Err(Refusal::validation(format!(
                "{name} object at {} must set one of the following keys: {}.",
                path.dotted(),
                known.join(", ")
            ))),
            (Some(_), Some(_)) => Err(Refusal::validation(format!(
                "{name} object at {} must set only one of the following keys: {}.",
                path.dotted(),
                known.join(", ")
            ))),
        }
    }

    /// A member's raw value; null counts as absent.
    pub(crate) fn raw(&self, key: &str) -> Option<&'v Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// An optional string.
    pub(crate) fn text(&self, key: &str, rule: &TextRule) -> Result<Option<&'v str>, Refusal> {
        match self.raw(key) {
            None => Ok(None),
            Some(Value::String(text)) => {
                rule.check(text, self.path.key(key), self.faults);
                Ok(Some(text))
            }
            Some(other) => Err(wrong_type(other, "String", self.path.key(key))),
        }
    }

    /// A required string; its absence is noted and read as empty.
    pub(crate) fn need_text(&self, key: &str, rule: &TextRule) -> Result<&'v str, Refusal> {
        let text = self.text(key, rule)?;
        Ok(text.unwrap_or_else(|| {
            self.missing(key);
            ""
        }))
    }

    /// An optional whole number of at least `min`.
    pub(crate) fn integer(&self, key: &str, min: i64) -> Result<Option<i64>, Refusal> {
        let Some(value) = self.raw(key) else { return Ok(None) };
        let path = self.path.key(key);
        let Some(number) = value.as_i64() else { return Err(wrong_type(value, "Integer", path)) };
        if number > i64::from(i32::MAX) || number < i64::from(i32::MIN) {
            return Err(wrong_type(value, "Integer", path));
        }
        if number < min {
            self.faults.add(path, Some(&number.to_string()), &format!("Member must have value greater than or equal to {min}"));
        }
        Ok(Some(number))
    }

    /// An optional number from 0 to 1.
    pub(crate) fn fraction(&self, key: &str) -> Result<Option<f64>, Refusal> {
        let Some(value) = self.raw(key) else { return Ok(None) };
        let path = self.path.key(key);
        let Some(number) = value.as_f64() else { return Err(wrong_type(value, "Float", path)) };
        if number > 1.0 {
            self.faults.add(path, Some(&number.to_string()), "Member must have value less than or equal to 1");
        }
        if number < 0.0 {
            self.faults.add(path, Some(&number.to_string()), "Member must have value greater than or equal to 0");
        }
        Ok(Some(number))
    }

    /// An optional boolean.
    pub(crate) fn boolean(&self, key: &str) -> Result<Option<bool>, Refusal> {
        match self.raw(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(wrong_type(other, "Boolean", self.path.key(key))),
        }
    }

    /// An optional list with at least `min` and at most `max` items.
    pub(crate) fn list(&self, key: &str, (min, max): (usize, usize)) -> Result<Option<&'v [Value]>, Refusal> {
        let Some(value) = self.raw(key) else { return Ok(None) };
        let path = self.path.key(key);
        let Value::Array(items) = value else { return Err(wrong_type(value, "List", path)) };
        if items.len() < min {
            self.faults.add(path, Some("[]"), &format!("Member must have length greater than or equal to {min}"));
        }
        if items.len() > max {
            self.faults.add(path, None, &format!("Member must have length less than or equal to {max}"));
        }
        Ok(Some(items))
    }

    /// A required list; its absence is noted and read as empty.
    pub(crate) fn need_list(&self, key: &str, bounds: (usize, usize)) -> Result<&'v [Value], Refusal> {
        let items = self.list(key, bounds)?;
        Ok(items.unwrap_or_else(|| {
            self.missing(key);
            &[]
        }))
    }

    /// An optional map of anything.
    pub(crate) fn map(&self, key: &str) -> Result<Option<&'v Map<String, Value>>, Refusal> {
        match self.raw(key) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map)),
            Some(other) => Err(wrong_type(other, "Map", self.path.key(key))),
        }
    }

    /// Notes that a required member is absent.
    pub(crate) fn missing(&self, key: &str) {
        self.faults.add(self.path.key(key), None, "Member must not be null");
    }
}

/// The refusal of a member nobody knows.
pub(crate) fn extraneous(path: Path<'_>, key: &str) -> Refusal {
    Refusal::validation(format!(
        "Malformed input request: {}: extraneous key [{key}] is not permitted, please reformat your input and try again.",
        path.pointer()
    ))
}

/// The refusal of a value of the wrong JSON type.
pub(crate) fn wrong_type(value: &Value, wanted: &str, path: Path<'_>) -> Refusal {
    let token = match value {
        Value::Null => "NULL_VALUE",
        Value::Bool(true) => "TRUE_VALUE",
        Value::Bool(false) => "FALSE_VALUE",
        Value::Number(number) if number.is_f64() => "DECIMAL_VALUE",
        Value::Number(_) => "NUMBER_VALUE",
        Value::String(_) => "STRING_VALUE",
        Value::Array(_) => "START_ARRAY",
        Value::Object(_) => "START_OBJECT",
    };
    Refusal::serialization(format!("{token} can not be converted to a {wanted} (at '{}')", path.dotted()))
}

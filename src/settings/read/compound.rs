//! Kinds of values made of values.

use std::{borrow::Cow, collections::BTreeMap};

use outcrop_domain::json::JsonObject;

use super::{
    At, Echo, Kind, Node, Reader, Section, Table, Value, join,
    node::{parse_value, quote},
};

/// A list. Text of environment variables and flags is split at commas, or read as a TOML array when it begins with `[`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct List<K> {
    item: K,
    unique: bool,
}

impl<K> List<K> {
    /// A list of such items.
    pub(crate) const fn of(item: K) -> Self {
        Self { item, unique: false }
    }

    /// A list in which nothing may stand twice.
    pub(crate) const fn unique(item: K) -> Self {
        Self { item, unique: true }
    }
}

impl<K: Kind> Kind for List<K> {
    type Value = Vec<K::Value>;

    fn read(&self, at: &At<'_>) -> Option<Vec<K::Value>> {
        let elements = elements(at)?;
        let mut values = Vec::with_capacity(elements.len());
        let mut shown: Vec<toml::Value> = Vec::with_capacity(elements.len());
        let mut sound = true;
        for (position, node) in elements.iter().enumerate() {
            let path = format!("{}[{position}]", at.path);
            let at = At { path: &path, node, ..*at };
            let Some(value) = self.item.read(&at) else {
                sound = false;
                continue;
            };
            let text = self.item.show(&value);
            if self.unique && shown.contains(&text) {
                at.problem(format!("{text} is listed twice"));
                sound = false;
            }
            shown.push(text);
            values.push(value);
        }
        sound.then_some(values)
    }

    fn show(&self, value: &Vec<K::Value>) -> toml::Value {
        toml::Value::Array(value.iter().map(|item| self.item.show(item)).collect())
    }

    fn reveal(&self, value: &Vec<K::Value>, into: &mut String) {
        for item in value {
            self.item.reveal(item, into);
        }
    }

    fn announce(&self, path: &str, reader: &Reader) {
        self.item.announce(&format!("{path}[]"), reader);
    }
}

fn elements<'a>(at: &At<'a>) -> Option<Cow<'a, [Node]>> {
    match &at.node.value {
        Value::Array(elements) => Some(Cow::Borrowed(elements)),
        Value::Word(word) if word.trim_start().starts_with('[') => match parse_value(word.trim(), &at.node.origin) {
            Ok(Node { value: Value::Array(elements), .. }) => Some(Cow::Owned(elements)),
            Ok(_) => None,
            Err(message) => {
                at.problem(format!("expected a list in TOML syntax: {message}"));
                None
            }
        },
        Value::Word(word) => {
            let parts = word.split(',').map(str::trim).filter(|part| !part.is_empty());
            Some(parts.map(|part| Node::new(at.node.origin.clone(), Value::Word(part.to_owned()))).collect())
        }
        _ => {
            at.expected("a list");
            None
        }
    }
}

/// A table with names of the user's own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Map<K> {
    /// What is wrong with a name, if anything.
    pub(crate) check_name: fn(&str) -> Result<(), &'static str>,
    /// Its values.
    pub(crate) item: K,
}

impl<K: Kind> Kind for Map<K> {
    type Value = BTreeMap<String, K::Value>;

    fn read(&self, at: &At<'_>) -> Option<BTreeMap<String, K::Value>> {
        let table = at.table()?;
        let mut values = BTreeMap::new();
        let mut sound = true;
        for (name, node) in table {
            let path = join(at.path, name);
            if let Err(reason) = (self.check_name)(name) {
                at.reader.problem(node.named.clone(), at.path, format!("{} {reason}", quote(name)));
                sound = false;
            }
            match self.item.read(&At { path: &path, node, ..*at }) {
                Some(value) => drop(values.insert(name.clone(), value)),
                None => sound = false,
            }
        }
        sound.then_some(values)
    }

    fn show(&self, value: &BTreeMap<String, K::Value>) -> toml::Value {
        toml::Value::Table(value.iter().map(|(name, item)| (name.clone(), self.item.show(item))).collect())
    }

    fn reveal(&self, value: &BTreeMap<String, K::Value>, into: &mut String) {
        for item in value.values() {
            self.item.reveal(item, into);
        }
    }

    fn announce(&self, path: &str, reader: &Reader) {
        self.item.announce(&join(path, "*"), reader);
        reader.know(join(path, "*"));
    }
}

/// A table that is one value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<T> {
    /// Reads it. `None` when a problem was reported.
    pub(crate) read: fn(&mut Section<'_>) -> Option<T>,
    /// Shows it, secrets redacted.
    pub(crate) show: fn(&T) -> toml::Value,
    /// Appends the secrets in it.
    pub(crate) reveal: fn(&T, &mut String),
}

impl<T> Record<T> {
    /// A record without secrets.
    pub(crate) const fn open(read: fn(&mut Section<'_>) -> Option<T>, show: fn(&T) -> toml::Value) -> Self {
        Self { read, show, reveal: |_, _| () }
    }
}

impl<T> Kind for Record<T> {
    type Value = T;

    fn read(&self, at: &At<'_>) -> Option<T> {
        let values = at.table()?.clone();
        (self.read)(&mut Section::parts(at, at.path, values))
    }

    fn show(&self, value: &T) -> toml::Value {
        (self.show)(value)
    }

    fn reveal(&self, value: &T, into: &mut String) {
        (self.reveal)(value, into);
    }

    fn announce(&self, path: &str, reader: &Reader) {
        let rehearsed = Reader::default();
        (self.read)(&mut Section::rehearsal(&rehearsed, path));
        reader.known.borrow_mut().append(&mut rehearsed.known.take());
    }
}

/// A table whose content is nobody's business but the model's, as JSON.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Json;

impl Kind for Json {
    type Value = JsonObject;

    fn read(&self, at: &At<'_>) -> Option<JsonObject> {
        object(at, at.table()?)
    }

    fn show(&self, value: &JsonObject) -> toml::Value {
        shown(value)
    }
}

fn json(at: &At<'_>) -> Option<serde_json::Value> {
    match &at.node.value {
        Value::Text(text) | Value::Word(text) => Some(serde_json::Value::String(text.clone())),
        Value::Integer(number) => Some(serde_json::Value::from(*number)),
        Value::Float(number) => {
            let number = serde_json::Number::from_f64(*number);
            if number.is_none() {
                at.expected("a finite number");
            }
            number.map(serde_json::Value::Number)
        }
        Value::Boolean(value) => Some(serde_json::Value::Bool(*value)),
        Value::Array(elements) => array(at, elements).map(serde_json::Value::Array),
        Value::Table(values) => object(at, values).map(serde_json::Value::Object),
        Value::Other(_) => {
            At { echo: Echo::TypeOnly, ..*at }.expected("a value that JSON has");
            None
        }
    }
}

/// All elements are read even when one is bad, so that every problem is told.
fn array(at: &At<'_>, elements: &[Node]) -> Option<Vec<serde_json::Value>> {
    let read = |(position, node)| json(&At { path: &format!("{}[{position}]", at.path), node, ..*at });
    let values: Vec<Option<serde_json::Value>> = elements.iter().enumerate().map(read).collect();
    values.into_iter().collect()
}

fn object(at: &At<'_>, values: &Table) -> Option<JsonObject> {
    let read = |(name, node): (&String, &Node)| Some((name.clone(), json(&At { path: &join(at.path, name), node, ..*at })?));
    let members: Vec<Option<(String, serde_json::Value)>> = values.iter().map(read).collect();
    members.into_iter().collect()
}

/// A serialisable value for `config show`.
pub(crate) fn shown<T: serde::Serialize + ?Sized>(value: &T) -> toml::Value {
    toml::Value::try_from(value).unwrap_or_else(|error| toml::Value::String(format!("(has no TOML form: {error})")))
}

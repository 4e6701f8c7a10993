//! Values as they were written, each with its origin.

use std::{collections::BTreeMap, ops::Range};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::Origin;

/// One value.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// Where the value stands.
    pub(crate) origin: Origin,
    /// Where its name stands (list elements: as `origin`).
    pub(crate) named: Origin,
    /// The value.
    pub(crate) value: Value,
}

/// What was written.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// A TOML string.
    Text(String),
    /// Text of an environment variable or a flag, whose type only the reader knows.
    Word(String),
    /// A TOML integer that fits 64 bits.
    Integer(i64),
    /// A TOML float.
    Float(f64),
    /// A TOML boolean.
    Boolean(bool),
    /// A TOML array.
    Array(Vec<Node>),
    /// A TOML table.
    Table(Table),
    /// Something no setting takes, in words.
    Other(&'static str),
}

/// Values by name.
pub(crate) type Table = BTreeMap<String, Node>;

/// Found values are quoted in problems up to this many characters, so that one problem stays one readable line.
const QUOTED_CHARACTERS: usize = 60;

impl Node {
    /// A value whose name and text stand at the same place.
    pub(crate) fn new(origin: Origin, value: Value) -> Self {
        Self { named: origin.clone(), origin, value }
    }

    /// What was found, for a problem.
    pub(crate) fn describe(&self) -> String {
        match &self.value {
            Value::Text(text) | Value::Word(text) => quote(text),
            Value::Integer(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            Value::Boolean(value) => value.to_string(),
            Value::Array(_) | Value::Table(_) | Value::Other(_) => self.describe_type().to_owned(),
        }
    }

    /// Its type, for a problem that must not show the value.
    pub(crate) fn describe_type(&self) -> &'static str {
        match &self.value {
            Value::Text(_) | Value::Word(_) => "text",
            Value::Integer(_) => "an integer",
            Value::Float(_) => "a number",
            Value::Boolean(_) => "a boolean",
            Value::Array(_) => "a list",
            Value::Table(_) => "a table",
            Value::Other(words) => words,
        }
    }

    /// The table this is. Environment text that holds one was read as a table already, so text is none; `Err` gives the
    /// parser's words for it.
    pub(crate) fn to_table(&self) -> Result<&Table, Option<String>> {
        match &self.value {
            Value::Table(table) => Ok(table),
            Value::Word(text) => Err(parse_value(text, &self.origin).err()),
            _ => Err(None),
        }
    }
}

/// Quotes `text`, shortened, on one line.
pub(crate) fn quote(text: &str) -> String {
    let shortened: String = text.chars().take(QUOTED_CHARACTERS).collect();
    let ellipsis = if shortened.len() < text.len() { "..." } else { "" };
    format!("\"{}{ellipsis}\"", shortened.escape_debug())
}

/// Reads one value in TOML syntax out of an environment variable or a flag.
pub(crate) fn parse_value(text: &str, origin: &Origin) -> Result<Node, String> {
    DeValue::parse(text).map(|value| convert(value, &|_| origin.clone())).map_err(|error| error.message().to_owned())
}

/// The text of a variable or a flag: a table if it is one in TOML syntax, else a word that its reader will understand.
pub(crate) fn untyped(origin: Origin, text: &str) -> Node {
    match parse_value(text.trim(), &origin) {
        Ok(node @ Node { value: Value::Table(_), .. }) => node,
        _ => Node::new(origin, Value::Word(text.to_owned())),
    }
}

/// Turns a parsed value into a node; `place` tells the origin of a span.
pub(crate) fn convert(value: Spanned<DeValue<'_>>, place: &dyn Fn(Range<usize>) -> Origin) -> Node {
    let origin = place(value.span());
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Integer(number),
            Err(_) => Value::Other("an integer of more than 64 bits"),
        },
        DeValue::Float(number) => number.as_str().parse().map_or(Value::Other("a number out of range"), Value::Float),
        DeValue::Boolean(value) => Value::Boolean(value),
        DeValue::Datetime(_) => Value::Other("a date"),
        DeValue::Array(elements) => Value::Array(elements.into_iter().map(|element| convert(element, place)).collect()),
        DeValue::Table(table) => Value::Table(convert_table(table, place)),
    };
    Node::new(origin, value)
}

/// Turns a parsed table into nodes.
pub(crate) fn convert_table(table: DeTable<'_>, place: &dyn Fn(Range<usize>) -> Origin) -> Table {
    table
        .into_iter()
        .map(|(key, value)| {
            let named = place(key.span());
            let node = Node { named, ..convert(value, place) };
            (key.into_inner().into_owned(), node)
        })
        .collect()
}

//! TOML as a tree whose every value knows its file and line, so that problems can be told with their place, and
//! scenarios can inherit from others without losing it.

use std::{collections::BTreeMap, fmt, path::Path, sync::Arc};

use toml::de::{DeTable, DeValue};

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Something wrong with a scenario.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What.
    pub words: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.words)
    }
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(String),
    Whole(i64),
    Fraction(f64),
    Truth(bool),
    List(Vec<Node>),
    Table(BTreeMap<String, Node>),
}

impl Value {
    /// What it is, for problems.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Whole(_) => "a whole number",
            Self::Fraction(_) => "a fraction",
            Self::Truth(_) => "true or false",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// Reads a file's text into a tree; problems of syntax are all told.
pub(super) fn parse(file: &Path, text: &str, problems: &mut Vec<Problem>) -> Node {
    let source = Source { file: file.display().to_string().into(), text };
    let (table, errors) = DeTable::parse_recoverable(text);
    problems.extend(
        errors
            .iter()
            .map(|error| Problem { place: source.place(error.span().map_or(0, |span| span.start)), words: error.message().to_owned() }),
    );
    let mut node = source.table(table.get_ref(), 0, problems);
    node.place.line = 1;
    node
}

struct Source<'t> {
    file: Arc<str>,
    text: &'t str,
}

impl Source<'_> {
    fn place(&self, offset: usize) -> Place {
        let before = self.text.get(..offset.min(self.text.len())).unwrap_or(self.text);
        Place { file: Arc::clone(&self.file), line: before.matches('\n').count() + 1 }
    }

    fn table(&self, table: &DeTable<'_>, offset: usize, problems: &mut Vec<Problem>) -> Node {
        let entries = table.iter().map(|(key, value)| {
            // The key's line is where people look, also for tables that go over several lines.
            let mut node = self.node(value.get_ref(), key.span().start, problems);
            node.place = self.place(key.span().start);
            (key.get_ref().to_string(), node)
        });
        Node { place: self.place(offset), value: Value::Table(entries.collect()) }
    }

    fn node(&self, value: &DeValue<'_>, offset: usize, problems: &mut Vec<Problem>) -> Node {
        let place = self.place(offset);
        let value = match value {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Value::Whole(number),
                Err(error) => return self.wrong(place, format!("`{number}`: {error}"), problems),
            },
            DeValue::Float(number) => match number.as_str().parse() {
                Ok(number) => Value::Fraction(number),
                Err(error) => return self.wrong(place, format!("`{number}`: {error}"), problems),
            },
            DeValue::Boolean(truth) => Value::Truth(*truth),
            DeValue::Datetime(date) => return self.wrong(place, format!("`{date}`: scenarios have no dates"), problems),
            DeValue::Array(items) => Value::List(items.iter().map(|item| self.node(item.get_ref(), item.span().start, problems)).collect()),
            DeValue::Table(table) => return self.table(table, offset, problems),
        };
        Node { place, value }
    }

    fn wrong(&self, place: Place, words: String, problems: &mut Vec<Problem>) -> Node {
        problems.push(Problem { place: place.clone(), words });
        Node { place, value: Value::Text(String::new()) }
    }
}

/// `own` over `base`: tables merge, everything else is replaced.
pub(super) fn inherit(base: Node, own: Node) -> Node {
    match (base.value, own.value) {
        (Value::Table(mut below), Value::Table(above)) => {
            for (key, node) in above {
                let merged = match below.remove(&key) {
                    Some(old) => inherit(old, node),
                    None => node,
                };
                below.insert(key, merged);
            }
            Node { place: own.place, value: Value::Table(below) }
        }
        (_, value) => Node { place: own.place, value },
    }
}

/// The tree without places, for types that serde reads.
pub(super) fn plain(node: &Node) -> toml::Value {
    match &node.value {
        Value::Text(text) => toml::Value::String(text.clone()),
        Value::Whole(number) => toml::Value::Integer(*number),
        Value::Fraction(number) => toml::Value::Float(*number),
        Value::Truth(truth) => toml::Value::Boolean(*truth),
        Value::List(items) => toml::Value::Array(items.iter().map(plain).collect()),
        Value::Table(table) => toml::Value::Table(table.iter().map(|(key, node)| (key.clone(), plain(node))).collect()),
    }
}

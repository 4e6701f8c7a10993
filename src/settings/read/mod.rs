//! The reading kit: values with their origins, typed readers, and every problem collected instead of the first.
//!
//! A [`Reader`] collects. A [`Section`] is one table: it hands out values by name through [`Kind`]s, remembers which
//! names it was asked for, and when it is dropped whatever nobody asked for is an unknown setting. So the code that
//! reads a setting is also the list of settings: for `config show`, for suggestions and for the documentation test.

mod compound;
mod document;
mod node;
mod origin;
mod overlay;
mod problem;
mod scalar;
mod section;
mod suggest;
mod units;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

pub(crate) use compound::{Json, List, Map, Record, shown};
pub(crate) use document::Document;
pub(crate) use node::{Node, Table, Value, untyped};
pub(crate) use overlay::{insert, parse_path};
pub(crate) use scalar::{ADDRESS, ExistingFile, Integer, NAME, Parsed, ROUTE_PREFIX, SWITCH, Secret, Size, Span, Words, is_header_value};
pub(crate) use section::Section;
pub(crate) use units::{parse_duration, show_duration, show_size};

pub use origin::Origin;
pub use problem::{Problem, SettingsError};

use super::{Environment, environment::variable_of};
use outcrop_domain::secret::SecretString;

/// One setting with its value in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Dotted path, e.g. `server.port`.
    pub path: String,
    /// The value, secrets redacted; `None` when it is not set and has no default.
    pub value: Option<toml::Value>,
    /// Who set it.
    pub origin: Origin,
    /// Secrets behind a redacted value, so that a change of them is noticed.
    pub(crate) hidden: Option<SecretString>,
}

/// Whether problems may quote the value they found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Echo {
    /// They may.
    Quoted,
    /// It may be a secret, so only its type is told.
    TypeOnly,
}

/// How values of one type are read and shown.
pub(crate) trait Kind {
    /// The type.
    type Value;

    /// Reads the value. `None` when a problem was reported.
    fn read(&self, at: &At<'_>) -> Option<Self::Value>;

    /// Shows it, secrets redacted.
    fn show(&self, value: &Self::Value) -> toml::Value;

    /// Appends the secrets in it.
    fn reveal(&self, _value: &Self::Value, _into: &mut String) {}

    /// Tells the reader which settings lie below `path`.
    fn announce(&self, _path: &str, _reader: &Reader) {}
}

/// A value to read, with all that a problem needs to name it.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    /// Collects problems.
    pub(crate) reader: &'a Reader,
    /// Dotted path.
    pub(crate) path: &'a str,
    /// The value.
    pub(crate) node: &'a Node,
    /// May problems quote it?
    pub(crate) echo: Echo,
}

impl At<'_> {
    /// Reports that something else was expected.
    pub(crate) fn expected(&self, what: &str) {
        let found = match self.echo {
            Echo::Quoted => self.node.describe(),
            Echo::TypeOnly => self.node.describe_type().to_owned(),
        };
        self.problem(format!("expected {what}, found {found}"));
    }

    /// Reports a problem of this value.
    pub(crate) fn problem(&self, message: String) {
        self.reader.problem(self.node.origin.clone(), self.path, message);
    }

    /// The table; else reports that one was expected.
    pub(crate) fn table(&self) -> Option<&Table> {
        match self.node.to_table() {
            Ok(table) => return Some(table),
            Err(Some(syntax)) => self.problem(format!("expected a table in TOML syntax: {syntax}")),
            Err(None) => self.expected("a table"),
        }
        None
    }

    /// The text, if it is text.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.node.value {
            Value::Text(text) | Value::Word(text) => Some(text),
            _ => None,
        }
    }
}

/// A setting nobody asked for.
struct Unknown {
    origin: Origin,
    path: String,
    key: String,
    parent: String,
    siblings: Vec<&'static str>,
}

/// Collects what was read and what was wrong.
#[derive(Default)]
pub(crate) struct Reader {
    environment: Environment,
    problems: RefCell<Vec<Problem>>,
    unknown: RefCell<Vec<Unknown>>,
    entries: RefCell<Vec<Entry>>,
    known: RefCell<BTreeSet<String>>,
    origins: RefCell<BTreeMap<String, Origin>>,
}

/// What a [`Reader`] collected.
pub(crate) struct Collected {
    /// Problems, sorted and each once.
    pub(crate) problems: Vec<Problem>,
    /// Settings in the order they were read.
    pub(crate) entries: Vec<Entry>,
    /// Every path that can be set; `*` stands for a name of the user's, `[]` for elements of a list.
    #[cfg_attr(not(test), allow(dead_code, reason = "the documentation test reads it"))]
    pub(crate) known: BTreeSet<String>,
}

impl Reader {
    /// A reader that resolves named variables in `environment`.
    pub(crate) fn new(environment: Environment) -> Self {
        Self { environment, ..Self::default() }
    }

    /// The environment, for settings that name a variable.
    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Reports a problem.
    pub(crate) fn problem(&self, origin: Origin, path: &str, message: String) {
        self.problems.borrow_mut().push(Problem { origin, path: path.to_owned(), message });
    }

    /// Reports a problem of a setting that was read, at the place where it was set.
    pub(crate) fn problem_at(&self, path: &str, message: String) {
        let origin = self.origins.borrow().get(path).cloned().unwrap_or(Origin::Default);
        self.problem(origin, path, message);
    }

    /// True when no problem was reported at or below any of `paths`.
    pub(crate) fn sound(&self, paths: &[&str]) -> bool {
        let problems = self.problems.borrow();
        !problems.iter().any(|problem| problem.breaks_its_file() || paths.iter().any(|path| lies_within(&problem.path, path)))
    }

    fn know(&self, path: String) {
        self.known.borrow_mut().insert(path);
    }

    fn record(&self, entry: Entry) {
        self.origins.borrow_mut().insert(entry.path.clone(), entry.origin.clone());
        self.entries.borrow_mut().push(entry);
    }

    /// Ends reading: unknown settings become problems with suggestions.
    pub(crate) fn finish(self) -> Collected {
        let known = self.known.into_inner();
        let mut problems = self.problems.into_inner();
        let first_broken_line = problems.iter().filter(|problem| problem.path.is_empty()).filter_map(|problem| problem.origin.line()).min();
        let broken: Vec<usize> =
            problems.iter().filter(|problem| problem.path.is_empty()).filter_map(|problem| problem.origin.line()).collect();
        // A value on a line that is no TOML was read as something nobody wrote.
        problems.retain(|problem| problem.path.is_empty() || !problem.origin.line().is_some_and(|line| broken.contains(&line)));
        if problems.iter().any(Problem::breaks_its_file) {
            // What seems to be missing may stand in the part that could not be read.
            problems.retain(|problem| problem.origin != Origin::Default);
        }
        let unknown = self.unknown.into_inner();
        // Below a broken line a setting may have landed in the wrong table: the syntax is to be mended first.
        let trusted = |unknown: &&Unknown| match (unknown.origin.line(), first_broken_line) {
            (Some(line), Some(first_broken)) => line < first_broken,
            _ => true,
        };
        problems.extend(unknown.iter().filter(trusted).map(|unknown| unknown.problem(&known)));
        problems.sort();
        problems.dedup();
        Collected { problems, entries: self.entries.into_inner(), known }
    }
}

impl Unknown {
    fn problem(&self, known: &BTreeSet<String>) -> Problem {
        let suggestion = match &self.origin {
            Origin::Environment(name) => {
                let variables: Vec<String> = known.iter().filter_map(|path| variable_of(path)).collect();
                suggest::nearest(name, variables.iter().map(String::as_str)).map(str::to_owned)
            }
            _ => None,
        };
        let suggestion = suggestion.or_else(|| self.nearby(known));
        let hint = suggestion.map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
        Problem { origin: self.origin.clone(), path: self.path.clone(), message: format!("unknown setting{hint}") }
    }

    /// A sibling of nearly the same name, else the only setting of exactly this name elsewhere, else a nearly equal path.
    fn nearby(&self, known: &BTreeSet<String>) -> Option<String> {
        if let Some(sibling) = suggest::nearest(&self.key, self.siblings.iter().copied()) {
            return Some(join(&self.parent, sibling));
        }
        let suffix = format!(".{}", self.key);
        let mut elsewhere = known.iter().filter(|path| path.ends_with(&suffix) && !path.contains(['*', '[']));
        if let (Some(only), None) = (elsewhere.next(), elsewhere.next()) {
            return Some(only.clone());
        }
        suggest::nearest(&self.path, known.iter().map(String::as_str)).map(str::to_owned)
    }
}

/// Appends a name to a dotted path, quoted where TOML asks for it.
pub(crate) fn join(path: &str, key: &str) -> String {
    let bare =
        !key.is_empty() && key.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_' || letter == '*');
    let key = if bare { key.to_owned() } else { toml::Value::from(key).to_string() };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

/// True when `path` is `ancestor` or lies below it.
pub(crate) fn lies_within(path: &str, ancestor: &str) -> bool {
    path.strip_prefix(ancestor).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

//! Reads one data file and tells every problem in it, with its line.

use serde::de::DeserializeOwned;
use toml::{
    Spanned,
    de::{DeTable, DeValue, ValueDeserializer},
};

use super::DataProblem;

/// A place in a data file, for problems that show only later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: String,
    pub(super) line: u32,
}

impl Place {
    pub(super) fn problem(&self, message: impl Into<String>) -> DataProblem {
        DataProblem { file: self.file.clone(), line: Some(self.line), message: message.into() }
    }
}

/// One data file and what is wrong with it so far.
pub(super) struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    pub(super) problems: Vec<DataProblem>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, text, problems: Vec::new() }
    }

    /// The file's top-level table; syntax errors are noted, and what could be read is given.
    pub(super) fn top(&mut self) -> DeTable<'a> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            self.note(error.span().map(|span| span.start), error.message());
        }
        table.into_inner()
    }

    pub(super) fn place(&self, value: &Spanned<DeValue<'_>>) -> Place {
        Place { file: self.file.to_owned(), line: self.line(value.span().start) }
    }

    pub(super) fn note(&mut self, at: Option<usize>, message: impl Into<String>) {
        let line = at.map(|at| self.line(at));
        self.problems.push(DataProblem { file: self.file.to_owned(), line, message: message.into() });
    }

    /// Reads a table as `T`. Each wrong field is noted and left out, so that all of them are told at once;
    /// `None` when anything was wrong.
    pub(super) fn row<T: DeserializeOwned>(&mut self, value: &Spanned<DeValue<'_>>) -> Option<T> {
        let span = value.span();
        let Some(mut table) = value.get_ref().as_table().cloned() else {
            self.note(Some(span.start), "expected a table");
            return None;
        };
        let mut clean = true;
        loop {
            let whole = Spanned::new(span.clone(), DeValue::Table(table.clone()));
            let error = match T::deserialize(ValueDeserializer::from(whole)) {
                Ok(row) => return clean.then_some(row),
                Err(error) => error,
            };
            clean = false;
            let at = error.span().map(|span| span.start);
            self.note(at.or(Some(span.start)), error.message());
            if !at.is_some_and(|at| remove_at(&mut table, at)) {
                return None;
            }
        }
    }

    fn line(&self, offset: usize) -> u32 {
        let before = self.text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count();
        u32::try_from(before).unwrap_or(u32::MAX - 1) + 1
    }
}

/// Removes the innermost entry that stands at `at`; false when there is none.
fn remove_at(table: &mut DeTable<'_>, at: usize) -> bool {
    for (_, value) in table.iter_mut() {
        if let DeValue::Table(inner) = value.get_mut()
            && remove_at(inner, at)
        {
            return true;
        }
    }
    let wrong = table.iter().find(|(key, value)| key.span().contains(&at) || value.span().contains(&at));
    let wrong = wrong.map(|(key, _)| key.get_ref().to_string());
    wrong.is_some_and(|key| table.remove(key.as_str()).is_some())
}

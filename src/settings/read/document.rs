//! A TOML file as a tree of nodes with line numbers.

use std::{ops::Range, path::Path, sync::Arc};

use toml::de::DeTable;

use super::{
    Origin, Problem,
    node::{Table, convert_table},
};

/// A parsed file: what could be read, and what is no TOML.
pub(crate) struct Document {
    /// The values.
    pub(crate) table: Table,
    /// Syntax errors, all of them.
    pub(crate) problems: Vec<Problem>,
}

impl Document {
    /// Parses `text`, which was read from `path`.
    pub(crate) fn parse(path: &Path, text: &str) -> Self {
        let lines = Lines::new(path, text);
        let (table, errors) = DeTable::parse_recoverable(text);
        let problems = errors
            .iter()
            .map(|error| Problem {
                origin: lines.place(error.span().unwrap_or_default()),
                path: String::new(),
                // The message alone: the parser's full text quotes the line, which may hold a secret.
                message: format!("not valid TOML: {}", error.message()),
            })
            .collect();
        let table = convert_table(table.into_inner(), &|span| lines.place(span));
        Self { table, problems }
    }
}

/// Finds line and column of byte offsets.
struct Lines<'t> {
    path: Arc<Path>,
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn new(path: &Path, text: &'t str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(offset, _)| offset + 1)).collect();
        Self { path: Arc::from(path), text, starts }
    }

    fn place(&self, span: Range<usize>) -> Origin {
        let line = self.starts.partition_point(|start| *start <= span.start).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or_default();
        let column = self.text.get(start..span.start).map_or(0, |before| before.chars().count()) + 1;
        Origin::File { path: Arc::clone(&self.path), line, column }
    }
}

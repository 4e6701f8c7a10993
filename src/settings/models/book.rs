//! The data built in, with the operator's files over it.

use std::path::PathBuf;

use outcrop_domain::model::{BUILTIN, ModelBook};

use crate::settings::read::{Origin, Section};

/// Loads the book; problems of the files are told with their lines, and the data built in stands alone then.
pub(super) fn load(section: &Section<'_>, data_files: &[PathBuf]) -> ModelBook {
    let mut texts: Vec<(String, String)> = Vec::with_capacity(data_files.len());
    for path in data_files {
        match std::fs::read_to_string(path) {
            Ok(text) => texts.push((path.display().to_string(), text)),
            Err(error) => section.problem("data_files", format!("cannot read file `{}`: {error}", path.display())),
        }
    }
    let own = texts.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    let files: Vec<(&str, &str)> = BUILTIN.iter().copied().chain(own).collect();
    ModelBook::load(&files).unwrap_or_else(|problems| {
        for problem in problems {
            let path = std::path::Path::new(&problem.file).into();
            let origin = match problem.line {
                Some(line) => Origin::File { path, line: usize::try_from(line).unwrap_or_default(), column: 1 },
                None => Origin::WholeFile(path),
            };
            section.reader().problem(origin, "model data", problem.message);
        }
        ModelBook::load(BUILTIN).unwrap_or_default()
    })
}

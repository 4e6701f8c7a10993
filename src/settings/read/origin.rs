//! Where a value came from.

use std::{fmt, path::Path, sync::Arc};

/// Where a setting's value was found. Ordered as problems are listed: file, environment, flags, then the rest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A settings file as a whole: it could not be read.
    WholeFile(Arc<Path>),
    /// A place in a settings file.
    File {
        /// The file, as it was named.
        path: Arc<Path>,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
    },
    /// An environment variable.
    Environment(Arc<str>),
    /// A command-line flag, with its dashes.
    Flag(Arc<str>),
    /// Nobody set it.
    Default,
}

impl Origin {
    /// The directory that relative paths of this value start from: that of the settings file, else the working directory.
    pub(crate) fn directory(&self) -> &Path {
        match self {
            Self::File { path, .. } | Self::WholeFile(path) => path.parent().unwrap_or(Path::new("")),
            Self::Environment(_) | Self::Flag(_) | Self::Default => Path::new(""),
        }
    }

    /// The line within a file.
    pub(crate) fn line(&self) -> Option<usize> {
        match self {
            Self::File { line, .. } => Some(*line),
            _ => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WholeFile(path) => write!(f, "{}", path.display()),
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Environment(name) | Self::Flag(name) => f.write_str(name),
            Self::Default => f.write_str("default"),
        }
    }
}

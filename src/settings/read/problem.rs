//! What is wrong with the settings.

use std::fmt;

use super::Origin;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where it was written; [`Origin::Default`] when something is missing.
    pub origin: Origin,
    /// Dotted path of the setting; empty for a file that is no TOML.
    pub path: String,
    /// What was expected and what was found. Never holds a secret.
    pub message: String,
}

impl Problem {
    /// True when a file, or a line of it, could not be read at all.
    pub(crate) fn breaks_its_file(&self) -> bool {
        self.path.is_empty() && matches!(self.origin, Origin::File { .. } | Origin::WholeFile(_))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.origin != Origin::Default {
            write!(f, "{}: ", self.origin)?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// Everything that is wrong with the settings, at once: file problems by line, then environment, flags, and what is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError(pub Vec<Problem>);

impl fmt::Display for SettingsError {
    /// One line for each problem.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, problem) in self.0.iter().enumerate() {
            let separator = if position == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for SettingsError {}

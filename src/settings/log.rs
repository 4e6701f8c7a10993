//! `[log]`: what is logged, and in which form.

use std::{collections::BTreeMap, fmt::Write};

use super::read::{Map, Section, Words};

const LEVELS: Words<Level> = Words(&[
    ("off", Level::Off),
    ("error", Level::Error),
    ("warn", Level::Warn),
    ("info", Level::Info),
    ("debug", Level::Debug),
    ("trace", Level::Trace),
]);

const FORMATS: Words<LogFormat> = Words(&[("json", LogFormat::Json), ("text", LogFormat::Text)]);

/// Form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object per line, for collectors.
    Json,
    /// For people.
    Text,
}

/// Least important lines that are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing.
    Off,
    /// What needs somebody.
    Error,
    /// What may soon.
    Warn,
    /// One line per request, and what changed.
    Info,
    /// Decisions.
    Debug,
    /// Everything.
    Trace,
}

impl Level {
    /// The word, as settings and filters spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// What is logged. Prompts, answers and credentials never are, at any level.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// Form of the lines.
    pub format: LogFormat,
    /// Level of everything not named in `modules`.
    pub level: Level,
    /// Levels of single modules, e.g. `outcrop_upstream`.
    pub modules: BTreeMap<String, Level>,
}

impl Log {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        Self {
            // Collectors are the usual readers; people get text from `outcrop local`.
            format: section.get("format", FORMATS, LogFormat::Json),
            level: section.get("level", LEVELS, Level::Info),
            modules: section.get("modules", Map { check_name: check_module, item: LEVELS }, BTreeMap::new()),
        }
    }

    /// The filter in the form that tracing reads, e.g. `info,outcrop_upstream=debug`.
    #[must_use]
    pub fn filter(&self) -> String {
        let mut filter = self.level.as_str().to_owned();
        for (module, level) in &self.modules {
            // Writing to a string cannot fail.
            let _ = write!(filter, ",{module}={}", level.as_str());
        }
        filter
    }
}

fn check_module(name: &str) -> Result<(), &'static str> {
    let good = !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == ':');
    if good { Ok(()) } else { Err("is not the name of a module, such as `outcrop_upstream`") }
}

//! Kinds of single values.

use std::{fmt::Display, marker::PhantomData, net::IpAddr, path::PathBuf, time::Duration};

use outcrop_domain::secret::SecretString;

use super::{
    At, Echo, Kind, Value,
    suggest::nearest,
    units::{parse_duration, parse_size, show_duration, show_size},
};

/// Text that is parsed into a type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parsed<T> {
    /// What is expected, e.g. `an IP address`.
    pub(crate) expected: &'static str,
    /// Parses it.
    pub(crate) parse: fn(&str) -> Option<T>,
    /// Writes it back.
    pub(crate) show: fn(&T) -> String,
}

impl<T> Kind for Parsed<T> {
    type Value = T;

    fn read(&self, at: &At<'_>) -> Option<T> {
        let value = at.text().and_then(self.parse);
        if value.is_none() {
            at.expected(self.expected);
        }
        value
    }

    fn show(&self, value: &T) -> toml::Value {
        toml::Value::String((self.show)(value))
    }
}

/// A name without spaces.
pub(crate) const NAME: Parsed<String> = Parsed {
    expected: "a name without spaces",
    parse: |text| (!text.is_empty() && text.chars().all(|letter| letter.is_ascii_graphic())).then(|| text.to_owned()),
    show: Clone::clone,
};

/// An IP address to listen on.
pub(crate) const ADDRESS: Parsed<IpAddr> =
    Parsed { expected: "an IP address such as \"127.0.0.1\" or \"::\"", parse: |text| text.parse().ok(), show: ToString::to_string };

/// The beginning of a URL path: empty, or with a leading and without a trailing slash.
pub(crate) const ROUTE_PREFIX: Parsed<String> = Parsed {
    expected: "an empty text or a path such as \"/v1\", with a leading and without a trailing slash",
    parse: |text| {
        let segment = |segment: &str| {
            !segment.is_empty()
                && !matches!(segment, "." | "..")
                && segment.chars().all(|letter| letter.is_ascii_alphanumeric() || "-._~".contains(letter))
        };
        let good = text.is_empty() || text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(segment));
        good.then(|| text.to_owned())
    },
    show: Clone::clone,
};

/// True for text that an HTTP header may carry.
pub(crate) fn is_header_value(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|letter| letter.is_ascii_graphic())
}

/// `true` or `false`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Switch;

/// `true` or `false`.
pub(crate) const SWITCH: Switch = Switch;

impl Kind for Switch {
    type Value = bool;

    fn read(&self, at: &At<'_>) -> Option<bool> {
        let value = match &at.node.value {
            Value::Boolean(value) => Some(*value),
            Value::Word(word) if word.eq_ignore_ascii_case("true") || word == "1" => Some(true),
            Value::Word(word) if word.eq_ignore_ascii_case("false") || word == "0" => Some(false),
            _ => None,
        };
        if value.is_none() {
            at.expected("true or false");
        }
        value
    }

    fn show(&self, value: &bool) -> toml::Value {
        toml::Value::Boolean(*value)
    }
}

/// An integer within bounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Integer<T> {
    least: i64,
    most: i64,
    target: PhantomData<T>,
}

impl<T> Integer<T> {
    /// Bounds, both included.
    pub(crate) const fn between(least: i64, most: i64) -> Self {
        Self { least, most, target: PhantomData }
    }
}

impl<T: TryFrom<i64> + Into<i64> + Copy> Kind for Integer<T> {
    type Value = T;

    fn read(&self, at: &At<'_>) -> Option<T> {
        let number = match &at.node.value {
            Value::Integer(number) => Some(*number),
            Value::Word(word) => word.trim().parse().ok(),
            _ => None,
        };
        let value = number.filter(|number| (self.least..=self.most).contains(number)).and_then(|number| T::try_from(number).ok());
        if value.is_none() {
            at.expected(&format!("an integer between {} and {}", self.least, self.most));
        }
        value
    }

    fn show(&self, value: &T) -> toml::Value {
        toml::Value::Integer((*value).into())
    }
}

/// A duration with its unit, within bounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    least: Duration,
    most: Duration,
}

impl Span {
    /// Bounds, both included.
    pub(crate) const fn between(least: Duration, most: Duration) -> Self {
        Self { least, most }
    }
}

impl Kind for Span {
    type Value = Duration;

    fn read(&self, at: &At<'_>) -> Option<Duration> {
        let value = at.text().and_then(parse_duration).filter(|duration| (self.least..=self.most).contains(duration));
        if value.is_none() {
            at.expected(&format!(
                "a duration with its unit, such as \"500ms\", \"30s\" or \"2m\", between {} and {}",
                show_duration(self.least),
                show_duration(self.most)
            ));
        }
        value
    }

    fn show(&self, value: &Duration) -> toml::Value {
        toml::Value::String(show_duration(*value))
    }
}

/// A size with its unit, within bounds, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    least: u64,
    most: u64,
}

impl Size {
    /// Bounds, both included.
    pub(crate) const fn between(least: u64, most: u64) -> Self {
        Self { least, most }
    }
}

impl Kind for Size {
    type Value = u64;

    fn read(&self, at: &At<'_>) -> Option<u64> {
        let value = at.text().and_then(parse_size).filter(|bytes| (self.least..=self.most).contains(bytes));
        if value.is_none() {
            at.expected(&format!(
                "a size with its unit, such as \"64 MiB\", between {} and {}",
                show_size(self.least),
                show_size(self.most)
            ));
        }
        value
    }

    fn show(&self, value: &u64) -> toml::Value {
        toml::Value::String(show_size(*value))
    }
}

/// One of a few words.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Words<T: 'static>(pub(crate) &'static [(&'static str, T)]);

impl<T: Copy + PartialEq> Kind for Words<T> {
    type Value = T;

    fn read(&self, at: &At<'_>) -> Option<T> {
        let text = at.text();
        let value = text.and_then(|text| self.0.iter().find(|(word, _)| *word == text)).map(|(_, value)| *value);
        if value.is_none() {
            let words: Vec<String> = self.0.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            let meant = text.filter(|_| at.echo == Echo::Quoted).and_then(|text| nearest(text, self.0.iter().map(|(word, _)| *word)));
            let found = at.node.describe();
            match meant {
                Some(word) => at.problem(format!("expected one of {}, found {found}; did you mean \"{word}\"?", words.join(", "))),
                None => at.expected(&format!("one of {}", words.join(", "))),
            }
        }
        value
    }

    fn show(&self, value: &T) -> toml::Value {
        let word = self.0.iter().find(|(_, known)| known == value).map_or("", |(word, _)| word);
        toml::Value::from(word)
    }
}

/// A credential that goes into HTTP headers. Never quoted, shown as `[redacted]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Secret;

impl Kind for Secret {
    type Value = SecretString;

    fn read(&self, at: &At<'_>) -> Option<SecretString> {
        // A trailing newline is what `echo` leaves in a secret store.
        let text = at.text().map(str::trim_end).filter(|text| is_header_value(text));
        if text.is_none() {
            at.problem("expected a secret of visible ASCII characters without spaces".to_owned());
        }
        text.map(|text| SecretString::new(text.to_owned()))
    }

    fn show(&self, value: &SecretString) -> toml::Value {
        toml::Value::String(value.to_string())
    }

    fn reveal(&self, value: &SecretString, into: &mut String) {
        into.push_str(value.expose());
        into.push('\0');
    }
}

/// A file that can be read. A relative path starts from the directory of the settings file that names it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExistingFile;

impl Kind for ExistingFile {
    type Value = PathBuf;

    fn read(&self, at: &At<'_>) -> Option<PathBuf> {
        let Some(text) = at.text().filter(|text| !text.is_empty()) else {
            at.expected("the path of a file");
            return None;
        };
        let path = at.node.origin.directory().join(text);
        match std::fs::File::open(&path).and_then(|file| file.metadata()) {
            Ok(metadata) if metadata.is_file() => Some(path),
            Ok(_) => problem(at, &path.display(), &"it is not a file"),
            Err(error) => problem(at, &path.display(), &error),
        }
    }

    fn show(&self, value: &PathBuf) -> toml::Value {
        toml::Value::String(value.display().to_string())
    }
}

fn problem<T>(at: &At<'_>, path: &dyn Display, reason: &dyn Display) -> Option<T> {
    at.problem(format!("cannot read file `{path}`: {reason}"));
    None
}

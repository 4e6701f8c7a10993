//! Reads members of a Messages body, with Anthropic's complaints about them.

use serde_json::{Map, Value};

use super::super::super::kit::Path;
use super::Refusal;

/// A JSON object and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Fields<'v, 'p> {
    map: &'v Map<String, Value>,
    pub(super) path: Path<'p>,
}

impl<'v, 'p> Fields<'v, 'p> {
    /// Opens `value`, which must be an object.
    pub(super) fn open(value: &'v Value, path: Path<'p>) -> Result<Self, Refusal> {
        match value {
            Value::Object(map) => Ok(Self { map, path }),
            _ => Err(complaint(path, "Input should be a valid dictionary")),
        }
    }

    /// Refuses members outside `known`.
    pub(super) fn only(self, known: &[&str]) -> Result<Self, Refusal> {
        match self.map.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(extra(self.path.key(key))),
            None => Ok(self),
        }
    }

    /// A member's raw value; null counts as absent.
    pub(super) fn raw(&self, key: &str) -> Option<&'v Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// A required member.
    pub(super) fn need(&self, key: &str) -> Result<&'v Value, Refusal> {
        self.raw(key).ok_or_else(|| complaint(self.path.key(key), "Field required"))
    }

    /// An optional string.
    pub(super) fn text(&self, key: &str) -> Result<Option<&'v str>, Refusal> {
        self.raw(key).map(|value| value.as_str().ok_or_else(|| complaint(self.path.key(key), "Input should be a valid string"))).transpose()
    }

    /// A required string.
    pub(super) fn need_text(&self, key: &str) -> Result<&'v str, Refusal> {
        self.need(key)?;
        Ok(self.text(key)?.unwrap_or_default())
    }

    /// An optional boolean.
    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, Refusal> {
        self.raw(key)
            .map(|value| value.as_bool().ok_or_else(|| complaint(self.path.key(key), "Input should be a valid boolean")))
            .transpose()
    }

    /// An optional list.
    pub(super) fn list(&self, key: &str) -> Result<Option<&'v [Value]>, Refusal> {
        let read = |value: &'v Value| match value {
            Value::Array(items) => Ok(items.as_slice()),
            _ => Err(complaint(self.path.key(key), "Input should be a valid list")),
        };
        self.raw(key).map(read).transpose()
    }

    /// A required object.
    pub(super) fn need_object(&self, key: &str) -> Result<&'v Map<String, Value>, Refusal> {
        self.need(key)?.as_object().ok_or_else(|| complaint(self.path.key(key), "Input should be a valid dictionary"))
    }

    /// A required word of `words`.
    pub(super) fn need_word(&self, key: &str, words: &[&str]) -> Result<&'v str, Refusal> {
        let word = self.need_text(key)?;
        if words.contains(&word) { Ok(word) } else { Err(complaint(self.path.key(key), &format!("Input should be {}", quoted(words)))) }
    }
}

/// `at: what`.
pub(super) fn complaint(path: Path<'_>, what: &str) -> Refusal {
    Refusal::validation(format!("{}: {what}", path.dotted()))
}

/// The refusal of a member nobody knows.
pub(super) fn extra(path: Path<'_>) -> Refusal {
    complaint(path, "Extra inputs are not permitted")
}

/// The refusal of a union's type.
pub(super) fn unknown_tag(path: Path<'_>, tag: &str, known: &[&str]) -> Refusal {
    let known: Vec<String> = known.iter().map(|word| format!("'{word}'")).collect();
    complaint(path, &format!("Input tag '{tag}' found using 'type' does not match any of the expected tags: {}", known.join(", ")))
}

/// `'5m' or '1h'`.
fn quoted(words: &[&str]) -> String {
    let owned: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    super::super::super::output::quoted(&owned)
}

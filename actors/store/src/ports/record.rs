//! The parts that responses and conversations are made of.

use std::{collections::HashSet, fmt, time::SystemTime};

use crate::{Kind, StoreError};

/// Whose something is: the public id of a gateway key. Every call is scoped by it; what belongs to another owner does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner<'a>(pub &'a str);

/// Wall-clock time in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(pub i64);

impl From<SystemTime> for UnixMillis {
    fn from(time: SystemTime) -> Self {
        // A time that no i64 of milliseconds can hold is the end of time.
        let millis = |duration: std::time::Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => millis(since),
            Err(before) => -millis(before.duration()),
        })
    }
}

/// JSON as its author wrote it. A store keeps the text and does not look into it.
#[derive(Clone, PartialEq, Eq)]
pub struct Json(pub String);

impl Json {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its length in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.len() as u64
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// Prompts and answers do not get into logs by accident.
impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Json({} bytes)", self.0.len())
    }
}

/// One item: a message, a tool call, its output, reasoning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its id, which is also a cursor: unique within its list.
    pub id: String,
    /// The item itself.
    pub json: Json,
}

/// Length of the texts of `items`, in bytes.
pub(crate) fn bytes_of(items: &[Item]) -> u64 {
    items.iter().map(|item| item.json.bytes()).sum()
}

/// Refuses a list in which an id occurs twice: cursors would be ambiguous.
pub(crate) fn check_unique(items: &[Item]) -> Result<(), StoreError> {
    let mut seen = HashSet::with_capacity(items.len());
    match items.iter().find(|item| !seen.insert(item.id.as_str())) {
        Some(twice) => Err(StoreError::exists(Kind::Item, &twice.id)),
        None => Ok(()),
    }
}

/// Refuses what is larger than `max`.
pub(crate) fn check_bytes(kind: Kind, id: &str, bytes: u64, max: u64) -> Result<(), StoreError> {
    if bytes > max {
        return Err(StoreError::TooLarge { kind, id: id.to_owned(), bytes, max });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_before_1970_and_after_all_have_a_number() {
        assert_eq!(UnixMillis::from(SystemTime::UNIX_EPOCH + Duration::from_millis(1_234)), UnixMillis(1_234));
        assert_eq!(UnixMillis::from(SystemTime::UNIX_EPOCH - Duration::from_millis(1_234)), UnixMillis(-1_234));
    }

    #[test]
    fn what_callers_wrote_is_not_shown_in_debug_output() {
        let item = Item { id: "msg_1".to_owned(), json: Json::from("\"a secret\"") };
        assert_eq!(format!("{item:?}"), "Item { id: \"msg_1\", json: Json(10 bytes) }");
    }
}

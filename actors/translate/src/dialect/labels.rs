//! Labels of a request, for invocation logs.

use std::collections::BTreeMap;

use outcrop_domain::json::JsonObject;
use serde_json::Value;

use super::notes::Notes;

/// Labels as texts, the later of two winning. What is no text becomes its JSON and is reported.
pub(crate) fn of(given: impl IntoIterator<Item = JsonObject>, notes: &mut Notes) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for (key, value) in given.into_iter().flatten() {
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text,
            other => {
                notes.harmless("metadata", "stringified");
                other.to_string()
            }
        };
        labels.insert(key, text);
    }
    labels
}

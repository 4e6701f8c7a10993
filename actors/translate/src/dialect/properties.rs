//! The tables of published properties: each endpoint's `request_properties.json` lists every property with a typical value and what
//! becomes of it.

use std::{fs, path::PathBuf};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

/// One row.
#[derive(Deserialize)]
pub(crate) struct Property<T> {
    pub(crate) property: String,
    pub(crate) value: Value,
    /// Properties without which the one under test is nothing.
    #[serde(default)]
    pub(crate) with: Map<String, Value>,
    #[serde(flatten)]
    pub(crate) treatment: T,
}

/// What becomes of a property of OpenAI's.
#[derive(Deserialize)]
#[serde(tag = "treatment", rename_all = "snake_case")]
pub(crate) enum Treatment {
    /// The hub request, or the way it is answered, is another one with it; nothing is reported.
    Mapped,
    /// It is reported.
    Adjusted { report: String },
    /// It is a 400 that names it.
    Refused { param: String, code: String },
}

/// The table of an endpoint, by the name of its folder of fixtures.
pub(crate) fn table<T: DeserializeOwned>(endpoint: &str) -> Vec<Property<T>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(endpoint).join("request_properties.json");
    let rows: Vec<Value> = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    rows.into_iter().map(|row| serde_json::from_value(row).unwrap()).collect()
}

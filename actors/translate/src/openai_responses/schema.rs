//! Holds what is written against the published schema (`fixtures/openai_schema.json`). For tests.

use std::{
    collections::HashMap,
    sync::{Mutex, OnceLock},
};

use jsonschema::Validator;
use serde_json::{Value, json};

static SCHEMA: &str = include_str!("../../fixtures/openai_schema.json");

fn definitions() -> &'static Value {
    static PARSED: OnceLock<Value> = OnceLock::new();
    PARSED.get_or_init(|| serde_json::from_str::<Value>(SCHEMA).unwrap()["$defs"].clone())
}

/// Fails unless `value` keeps to the definition `name`.
pub(crate) fn check(name: &str, value: &Value) {
    static COMPILED: OnceLock<Mutex<HashMap<String, &'static Validator>>> = OnceLock::new();
    let validator = *COMPILED.get_or_init(Mutex::default).lock().unwrap().entry(name.to_owned()).or_insert_with(|| {
        assert!(definitions().get(name).is_some(), "no definition of {name}");
        let schema = json!({"$ref": format!("#/$defs/{name}"), "$defs": definitions()});
        Box::leak(Box::new(jsonschema::validator_for(&schema).unwrap()))
    });
    let faults: Vec<String> = validator.iter_errors(value).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
    assert!(faults.is_empty(), "{name}: {}\n{value:#}", faults.join("\n"));
}

/// Fails unless `event` keeps to the definition of the event of its type.
pub(crate) fn check_event(event: &Value) {
    static BY_TYPE: OnceLock<HashMap<String, String>> = OnceLock::new();
    let by_type = BY_TYPE.get_or_init(|| {
        let events = definitions().as_object().unwrap().iter().filter(|(name, _)| name.ends_with("Event"));
        events.map(|(name, schema)| (schema["properties"]["type"]["enum"][0].as_str().unwrap().to_owned(), name.clone())).collect()
    });
    let kind = event["type"].as_str().unwrap();
    let name = by_type.get(kind).unwrap_or_else(|| panic!("the schema has no event {kind}"));
    check(name, event);
}

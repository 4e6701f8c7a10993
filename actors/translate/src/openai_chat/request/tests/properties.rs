//! The promise of the endpoint: every published property is mapped, or adjusted and reported, or refused by name.
//!
//! `request_properties.json` lists them all (`CreateChatCompletionRequest`) with a typical value and the
//! treatment; each is sent alone and must get just that.

use serde_json::{Map, Value, json};

use super::*;
use crate::dialect::properties::{self, Property, Treatment};

fn table() -> Vec<Property<Treatment>> {
    properties::table("openai_chat")
}

fn body(with: &Map<String, Value>, property: Option<(&str, &Value)>) -> String {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}]});
    let members = body.as_object_mut().unwrap();
    members.extend(with.clone());
    members.extend(property.map(|(name, value)| (name.to_owned(), value.clone())));
    body.to_string()
}

#[test]
fn every_published_property_gets_its_treatment() {
    for row in table() {
        let name = row.property.as_str();
        let without = read_plain(&body(&row.with, None)).unwrap();
        let outcome = read_plain(&body(&row.with, Some((name, &row.value))));
        match row.treatment {
            Treatment::Mapped => {
                let chat = outcome.unwrap();
                assert_eq!(chat.adjustments.to_string(), "", "{name} is reported");
                assert!(chat != without, "{name} changes nothing");
                assert!(chat.request.extra.is_empty(), "{name} is not known");
            }
            Treatment::Adjusted { report } => {
                let chat = outcome.unwrap();
                assert_eq!(chat.adjustments.to_string(), report, "{name}");
                assert!(chat.request.extra.is_empty(), "{name} is not known");
            }
            Treatment::Refused { param, code } => {
                let error = outcome.unwrap_err();
                let reply = errors::openai::reply(&error);
                let object = reply.body.error;
                assert_eq!(
                    (reply.status, object.param.as_deref(), object.code),
                    (400, Some(param.as_str()), Some(code.as_str())),
                    "{name}"
                );
                assert!(object.message.contains(name), "{name} is not named: {}", object.message);
            }
        }
    }
}

#[test]
fn every_published_property_is_in_the_table_once() {
    let names: Vec<String> = table().into_iter().map(|row| row.property).collect();
    assert!(names.is_sorted(), "sorted, so that a duplicate would show");
    // The number of properties of the published schema of November 2026.
    assert_eq!((names.len(), names.iter().collect::<std::collections::BTreeSet<_>>().len()), (37, 37));
}

#[test]
fn a_null_is_as_good_as_absent_for_every_property() {
    let plain = read_plain(&body(&Map::new(), None)).unwrap();
    for row in table().iter().filter(|row| !matches!(row.property.as_str(), "model" | "messages")) {
        let chat = read_plain(&body(&Map::new(), Some((&row.property, &Value::Null)))).unwrap();
        assert_eq!(chat, plain, "{}", row.property);
    }
}

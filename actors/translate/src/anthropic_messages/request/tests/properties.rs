//! The promise of the endpoint: every published property is mapped, or adjusted and reported, or refused by name.
//!
//! `request_properties.json` lists those of the official client 2.11 (`MessageCreateParams`, the beta form of it, and the
//! three sampling parameters of older clients) with a typical value and the treatment; each is sent alone and must get
//! just that.

use serde_json::{Map, Value, json};

use super::*;
use crate::dialect::properties::{self, Property};

#[derive(Deserialize)]
#[serde(tag = "treatment", rename_all = "snake_case")]
enum Treatment {
    /// The hub request, or the way it is answered, is another one with it; nothing is reported.
    Mapped,
    /// It is reported.
    Adjusted { report: String },
    /// It is a 400 whose words begin with it.
    Refused,
}

fn table() -> Vec<Property<Treatment>> {
    properties::table("anthropic_messages")
}

fn body(with: &Map<String, Value>, property: Option<(&str, &Value)>) -> String {
    let mut body = json!({"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]});
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
                let read = outcome.unwrap();
                assert_eq!(read.adjustments.to_string(), "", "{name} is reported");
                assert!(read != without, "{name} changes nothing");
                assert!(read.request.extra.is_empty(), "{name} is not known");
            }
            Treatment::Adjusted { report } => {
                let read = outcome.unwrap();
                assert_eq!(read.adjustments.to_string(), report, "{name}");
                assert!(read.request.extra.is_empty(), "{name} is not known");
            }
            Treatment::Refused => {
                let error = outcome.unwrap_err();
                let reply = errors::anthropic::reply(&error, None);
                assert_eq!((reply.status, reply.body.error.kind.as_ref()), (400, "invalid_request_error"), "{name}");
                assert!(reply.body.error.message.starts_with(&format!("{name}: ")), "{name}: {}", reply.body.error.message);
            }
        }
    }
}

#[test]
fn every_published_property_is_in_the_table_once() {
    let names: Vec<String> = table().into_iter().map(|row| row.property).collect();
    assert!(names.is_sorted(), "sorted, so that a duplicate would show");
    // 19 of `MessageCreateParams`, 8 more of its beta form, 3 of older clients, and the older place of the format.
    assert_eq!((names.len(), names.iter().collect::<std::collections::BTreeSet<_>>().len()), (31, 31));
}

#[test]
fn a_null_is_as_good_as_absent_for_every_property() {
    let plain = read_plain(&body(&Map::new(), None)).unwrap();
    for row in table().iter().filter(|row| !matches!(row.property.as_str(), "model" | "messages" | "max_tokens")) {
        let read = read_plain(&body(&Map::new(), Some((&row.property, &Value::Null)))).unwrap();
        assert_eq!(read, plain, "{}", row.property);
    }
}

#[test]
fn what_the_api_requires_is_missed_by_name() {
    for name in ["model", "messages", "max_tokens"] {
        let mut without: Map<String, Value> = serde_json::from_str(&body(&Map::new(), None)).unwrap();
        without.remove(name);
        let error = read_plain(&Value::Object(without).to_string()).unwrap_err();
        assert_eq!(error.to_string(), format!("{name}: Field required"));
    }
}

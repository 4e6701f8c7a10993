//! JSON schemas of callers: looked into only as far as a rule must, the order of their members kept.

use std::{borrow::Cow, fmt::Write as _};

use outcrop_domain::{error::GatewayError, json::JsonText};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// Deepest schema that is rewritten; each level is parsed once more per level above it.
const MAX_DEPTH: usize = 64;
/// Keywords whose value is a schema.
const SCHEMA_KEYWORDS: [&str; 9] =
    ["items", "not", "if", "then", "else", "contains", "propertyNames", "unevaluatedItems", "unevaluatedProperties"];
/// Keywords whose value is a list of schemas.
const SCHEMA_LISTS: [&str; 4] = ["anyOf", "oneOf", "allOf", "prefixItems"];
/// Keywords whose value is an object of schemas.
const SCHEMA_MAPS: [&str; 5] = ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];

/// What became of a tool's schema.
pub(super) enum InputSchemaForm {
    /// Nothing.
    Kept,
    /// `"type": "object"` was added, or took the place of a wider type.
    Typed,
    /// It was no object schema: it became the only member of one.
    Wrapped,
}

/// A tool's schema with `object` as its top type, and how it came to be.
pub(super) fn object_schema<'a>(schema: &'a JsonText, member: &str) -> (Cow<'a, RawValue>, InputSchemaForm) {
    let Ok(members) = serde_json::from_str::<Members<'a>>(schema.get()) else {
        return (Cow::Owned(open_object()), InputSchemaForm::Typed);
    };
    let kind = members.0.iter().find(|(name, _)| name == "type").map(|(_, value)| value.get());
    match kind {
        Some("\"object\"") => (Cow::Borrowed(schema.raw()), InputSchemaForm::Kept),
        Some(kind) if !kind.contains("\"object\"") => (Cow::Owned(wrapped(schema.get(), member)), InputSchemaForm::Wrapped),
        _ => {
            let mut text = String::from("{\"type\":\"object\"");
            for (name, value) in members.0.iter().filter(|(name, _)| name != "type") {
                text.push(',');
                write_member(&mut text, name, value.get());
            }
            text.push('}');
            (Cow::Owned(raw(text)), InputSchemaForm::Typed)
        }
    }
}

/// A schema that takes any object.
pub(super) fn open_object() -> Box<RawValue> {
    raw("{\"type\":\"object\"}".to_owned())
}

fn wrapped(schema: &str, member: &str) -> Box<RawValue> {
    raw(format!(
        "{{\"type\":\"object\",\"properties\":{{\"{member}\":{schema}}},\"required\":[\"{member}\"],\"additionalProperties\":false}}"
    ))
}

/// Constraints that grammars cannot hold a model to: Bedrock refuses a schema that has them.
/// Source: structured output, unsupported features, Bedrock user guide.
const CONSTRAINTS: [&str; 13] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "maxContains",
];

/// A schema made fit for structured output.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fitted {
    pub(super) text: String,
    /// `"additionalProperties": false` was added somewhere.
    pub(super) closed: bool,
    /// Constraints were moved into descriptions, where the model reads them.
    pub(super) relaxed: bool,
}

/// The schema with `"additionalProperties": false` on every object and without constraints that are not supported,
/// as structured output wants it; `None` when it is so already.
///
/// # Errors
/// When the schema nests too deep.
pub(super) fn fitted(schema: &JsonText) -> Result<Option<Fitted>, GatewayError> {
    let mut fitted = Fitted { text: String::with_capacity(schema.get().len() + 64), closed: false, relaxed: false };
    fit_schema(schema.get(), 0, &mut fitted)?;
    Ok((fitted.closed || fitted.relaxed).then_some(fitted))
}

fn fit_schema(schema: &str, depth: usize, out: &mut Fitted) -> Result<(), GatewayError> {
    if depth > MAX_DEPTH {
        return Err(GatewayError::invalid("response_format", format!("the schema nests deeper than {MAX_DEPTH} levels")));
    }
    let Ok(members) = serde_json::from_str::<Members<'_>>(schema) else {
        // `true`, `false`, or something that is for the model's own check to refuse.
        out.text.push_str(schema);
        return Ok(());
    };
    let describes_object = members.0.iter().any(|(name, value)| match name.as_str() {
        "type" => value.get().contains("\"object\""),
        "properties" => true,
        _ => false,
    });
    let hint = constraint_hint(&members);
    out.relaxed |= hint.is_some();
    out.text.push('{');
    let mut first = true;
    let mut closed = false;
    for (name, value) in &members.0 {
        if is_constraint(name, value.get()) || (hint.is_some() && name == "description") {
            continue;
        }
        if !std::mem::take(&mut first) {
            out.text.push(',');
        }
        if name == "additionalProperties" && describes_object {
            closed = true;
            out.closed |= value.get() != "false";
            write_member(&mut out.text, name, "false");
            continue;
        }
        write_member(&mut out.text, name, "");
        fit_keyword(name, value.get(), depth, out)?;
    }
    if describes_object && !closed {
        out.closed = true;
        if !std::mem::take(&mut first) {
            out.text.push(',');
        }
        write_member(&mut out.text, "additionalProperties", "false");
    }
    if let Some(hint) = hint {
        if !first {
            out.text.push(',');
        }
        write_member(&mut out.text, "description", &serde_json::Value::from(hint).to_string());
    }
    out.text.push('}');
    Ok(())
}

/// `minItems` of 0 and 1 are supported. A property that happens to have such a name has a schema for a value.
fn is_constraint(name: &str, value: &str) -> bool {
    CONSTRAINTS.contains(&name) && !value.starts_with('{') && !(name == "minItems" && matches!(value, "0" | "1"))
}

/// The description with the constraints in words; `None` when there are none.
fn constraint_hint(members: &Members<'_>) -> Option<String> {
    let constraints: Vec<String> = members
        .0
        .iter()
        .filter(|(name, value)| is_constraint(name, value.get()))
        .map(|(name, value)| format!("{name}: {}", value.get()))
        .collect();
    if constraints.is_empty() {
        return None;
    }
    let known =
        members.0.iter().find(|(name, _)| name == "description").and_then(|(_, value)| serde_json::from_str::<String>(value.get()).ok());
    let words = constraints.join(", ");
    Some(known.map_or_else(|| words.clone(), |description| format!("{description} ({words})")))
}

fn fit_keyword(name: &str, value: &str, depth: usize, out: &mut Fitted) -> Result<(), GatewayError> {
    if SCHEMA_KEYWORDS.contains(&name) {
        return fit_schema(value, depth + 1, out);
    }
    if SCHEMA_LISTS.contains(&name)
        && let Ok(list) = serde_json::from_str::<Vec<&RawValue>>(value)
    {
        out.text.push('[');
        for (position, item) in list.iter().enumerate() {
            if position > 0 {
                out.text.push(',');
            }
            fit_schema(item.get(), depth + 1, out)?;
        }
        out.text.push(']');
    } else if SCHEMA_MAPS.contains(&name)
        && let Ok(map) = serde_json::from_str::<Members<'_>>(value)
    {
        out.text.push('{');
        for (position, (name, value)) in map.0.iter().enumerate() {
            if position > 0 {
                out.text.push(',');
            }
            write_member(&mut out.text, name, "");
            fit_schema(value.get(), depth + 1, out)?;
        }
        out.text.push('}');
    } else {
        out.text.push_str(value);
    }
    Ok(())
}

fn write_member(text: &mut String, name: &str, value: &str) {
    // Writing into a String cannot fail.
    let _infallible = write!(text, "{}:{value}", serde_json::Value::from(name));
}

fn raw(text: String) -> Box<RawValue> {
    RawValue::from_string(text).unwrap_or_else(|_| JsonText::empty_object().raw().to_owned())
}

/// Members of a JSON object in their order, values untouched.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> JsonText {
        JsonText::parse(text.to_owned()).unwrap()
    }

    #[test]
    fn an_object_schema_keeps_its_bytes() {
        let schema = json(r#"{ "type" : "object", "properties": {"b":{}, "a":{}} }"#);
        let (kept, form) = object_schema(&schema, "value");
        assert!(matches!(form, InputSchemaForm::Kept));
        assert_eq!(kept.get(), schema.get());
    }

    #[test]
    fn a_schema_without_type_gets_one_and_keeps_its_order() {
        let schema = json(r#"{"properties":{"b":{},"a":{}},"$ref":"x"}"#);
        assert_eq!(object_schema(&schema, "value").0.get(), r#"{"type":"object","properties":{"b":{},"a":{}},"$ref":"x"}"#);
        assert_eq!(object_schema(&json("{}"), "value").0.get(), r#"{"type":"object"}"#);
        assert_eq!(object_schema(&json(r#"{"type":["object","null"]}"#), "value").0.get(), r#"{"type":"object"}"#);
        assert_eq!(object_schema(&json("true"), "value").0.get(), r#"{"type":"object"}"#);
    }

    #[test]
    fn a_schema_of_another_type_is_wrapped() {
        let schema = json(r#"{"type":"string"}"#);
        let (wrapped, form) = object_schema(&schema, "value");
        assert!(matches!(form, InputSchemaForm::Wrapped));
        assert_eq!(
            wrapped.get(),
            r#"{"type":"object","properties":{"value":{"type":"string"}},"required":["value"],"additionalProperties":false}"#
        );
    }

    #[test]
    fn closing_reaches_every_schema_and_no_data() {
        let schema = json(
            r#"{"type":"object","properties":{"z":{"type":"array","items":{"type":"object"}},"a":{"anyOf":[{"properties":{}},{"type":"null"}]},"c":{"enum":[{"type":"object"}]}},"$defs":{"t":{"type":"object","additionalProperties":true}}}"#,
        );
        assert_eq!(
            fitted(&schema).unwrap().unwrap().text,
            r#"{"type":"object","properties":{"z":{"type":"array","items":{"type":"object","additionalProperties":false}},"a":{"anyOf":[{"properties":{},"additionalProperties":false},{"type":"null"}]},"c":{"enum":[{"type":"object"}]}},"$defs":{"t":{"type":"object","additionalProperties":false}},"additionalProperties":false}"#
        );
    }

    #[test]
    fn unsupported_constraints_become_words_the_model_reads() {
        let schema = json(
            r#"{"type":"object","properties":{"age":{"type":"integer","minimum":0,"description":"Years"},"minimum":{"type":"number","multipleOf":2},"tags":{"type":"array","minItems":1}},"additionalProperties":false}"#,
        );
        let fitted = fitted(&schema).unwrap().unwrap();
        assert_eq!(
            fitted.text,
            r#"{"type":"object","properties":{"age":{"type":"integer","description":"Years (minimum: 0)"},"minimum":{"type":"number","description":"multipleOf: 2"},"tags":{"type":"array","minItems":1}},"additionalProperties":false}"#
        );
        assert!(fitted.relaxed && !fitted.closed);
    }

    #[test]
    fn a_closed_schema_stays_as_it_is() {
        assert_eq!(fitted(&json(r#"{"type":"object","additionalProperties":false}"#)).unwrap(), None);
    }

    #[test]
    fn a_schema_nested_too_deep_is_refused() {
        let deep = format!("{}{{}}{}", r#"{"items":"#.repeat(100), "}".repeat(100));
        assert!(fitted(&json(&deep)).is_err());
    }
}

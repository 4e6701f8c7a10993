//! A small schema checker for generate-and-check: structure, bounds and combinators; formats are not checked.

use serde_json::{Map, Value};

use super::{numbers, pattern, schema};

/// Deepest value or reference chain followed; beyond it everything conforms.
const MAX_DEPTH: usize = 48;

/// Whether `value` satisfies the schema object.
pub(super) fn conforms(schema: &Map<String, Value>, value: &Value, root: &Value) -> bool {
    Checker { root }.object_schema(schema, value, 0)
}

/// Equality as JSON Schema means it: `1` equals `1.0`.
pub(super) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b))),
        _ => left == right,
    }
}

struct Checker<'a> {
    root: &'a Value,
}

impl Checker<'_> {
    fn any(&self, schema: &Value, value: &Value, depth: usize) -> bool {
        match schema {
            Value::Bool(accepts) => *accepts,
            Value::Object(map) => depth > MAX_DEPTH || self.object_schema(map, value, depth + 1),
            _ => true,
        }
    }

    fn object_schema(&self, schema: &Map<String, Value>, value: &Value, depth: usize) -> bool {
        schema.iter().all(|(key, rule)| self.keyword(schema, (key.as_str(), rule), value, depth))
            && match value {
                Value::Number(number) => number.as_f64().is_none_or(|number| numbers::within(schema, number)),
                _ => true,
            }
    }

    fn keyword(&self, schema: &Map<String, Value>, (key, rule): (&str, &Value), value: &Value, depth: usize) -> bool {
        let list = || rule.as_array().into_iter().flatten();
        match key {
            "type" => kind(rule, value),
            "const" => equal(rule, value),
            "enum" => list().any(|member| equal(member, value)),
            "$ref" => rule
                .as_str()
                .and_then(|reference| schema::resolve(self.root, reference))
                .is_none_or(|target| self.any(target, value, depth)),
            "allOf" => list().all(|part| self.any(part, value, depth)),
            "anyOf" => list().any(|part| self.any(part, value, depth)),
            "oneOf" => list().filter(|part| self.any(part, value, depth)).count() == 1,
            "not" => !self.any(rule, value, depth),
            "if" => {
                let branch = if self.any(rule, value, depth) { "then" } else { "else" };
                schema.get(branch).is_none_or(|branch| self.any(branch, value, depth))
            }
            _ => match value {
                Value::String(text) => string(key, rule, text),
                Value::Array(items) => self.array(schema, (key, rule), items, depth),
                Value::Object(map) => self.object(schema, (key, rule), map, depth),
                _ => true,
            },
        }
    }

    fn array(&self, schema: &Map<String, Value>, (key, rule): (&str, &Value), items: &[Value], depth: usize) -> bool {
        let prefix = schema.get("prefixItems").and_then(Value::as_array).map_or(0, Vec::len);
        match key {
            "minItems" => at_least(items.len(), rule),
            "maxItems" => at_most(items.len(), rule),
            "items" => items.iter().skip(prefix).all(|item| self.any(rule, item, depth)),
            "prefixItems" => rule.as_array().into_iter().flatten().zip(items).all(|(rule, item)| self.any(rule, item, depth)),
            "uniqueItems" if rule == &Value::Bool(true) => {
                items.iter().enumerate().all(|(index, item)| items.iter().skip(index + 1).all(|other| !equal(item, other)))
            }
            "contains" => {
                let found = items.iter().filter(|item| self.any(rule, item, depth)).count();
                schema.get("minContains").map_or(found >= 1, |least| at_least(found, least))
                    && schema.get("maxContains").is_none_or(|most| at_most(found, most))
            }
            _ => true,
        }
    }

    fn object(&self, schema: &Map<String, Value>, (key, rule): (&str, &Value), map: &Map<String, Value>, depth: usize) -> bool {
        match key {
            "required" => rule.as_array().into_iter().flatten().filter_map(Value::as_str).all(|name| map.contains_key(name)),
            "minProperties" => at_least(map.len(), rule),
            "maxProperties" => at_most(map.len(), rule),
            "properties" => {
                names(Some(rule)).into_iter().flatten().all(|(name, rule)| map.get(name).is_none_or(|value| self.any(rule, value, depth)))
            }
            "patternProperties" => names(Some(rule)).into_iter().flatten().all(|(source, rule)| {
                map.iter().filter(|(name, _)| pattern::matches(source, name) == Some(true)).all(|(_, value)| self.any(rule, value, depth))
            }),
            "additionalProperties" => map
                .iter()
                .filter(|(name, _)| !names(schema.get("properties")).is_some_and(|known| known.contains_key(*name)))
                .filter(|(name, _)| {
                    !names(schema.get("patternProperties"))
                        .is_some_and(|known| known.keys().any(|source| pattern::matches(source, name) == Some(true)))
                })
                .all(|(_, value)| self.any(rule, value, depth)),
            "propertyNames" => map.keys().all(|name| self.any(rule, &Value::String(name.clone()), depth)),
            "dependentRequired" => names(Some(rule))
                .into_iter()
                .flatten()
                .filter(|(name, _)| map.contains_key(*name))
                .all(|(_, needs)| needs.as_array().into_iter().flatten().filter_map(Value::as_str).all(|need| map.contains_key(need))),
            _ => true,
        }
    }
}

fn names(value: Option<&Value>) -> Option<&Map<String, Value>> {
    value.and_then(Value::as_object)
}

fn kind(rule: &Value, value: &Value) -> bool {
    let fits = |name: &str| match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        _ => false,
    };
    match rule {
        Value::String(name) => fits(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(fits),
        _ => true,
    }
}

fn string(key: &str, rule: &Value, text: &str) -> bool {
    match key {
        "minLength" => at_least(text.chars().count(), rule),
        "maxLength" => at_most(text.chars().count(), rule),
        "pattern" => rule.as_str().and_then(|source| pattern::matches(source, text)).unwrap_or(true),
        _ => true,
    }
}

fn at_least(count: usize, rule: &Value) -> bool {
    rule.as_f64().is_none_or(|least| count as f64 >= least)
}

fn at_most(count: usize, rule: &Value) -> bool {
    rule.as_f64().is_none_or(|most| count as f64 <= most)
}

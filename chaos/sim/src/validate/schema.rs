//! The subset of JSON Schema that grammar-constrained output accepts.

use serde_json::{Map, Value};

use super::Refusal;

/// Keywords refused for each type; the sentence names the ones found.
const REFUSED: [(&str, &[&str]); 4] = [
    ("integer", &["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]),
    ("number", &["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]),
    ("string", &["minLength", "maxLength"]),
    ("array", &["maxItems", "uniqueItems", "contains", "prefixItems"]),
];

/// Keywords refused wherever they stand.
const NEVER: [&str; 10] = [
    "not",
    "if",
    "then",
    "else",
    "patternProperties",
    "propertyNames",
    "dependentRequired",
    "dependentSchemas",
    "unevaluatedProperties",
    "$dynamicRef",
];

/// Deepest nesting accepted before "too complex".
const MAX_DEPTH: usize = 64;

/// Refuses what a compiled grammar cannot express. `prefix` is where the schema stands in the native body.
pub(super) fn subset(schema: &Value, prefix: &str) -> Result<(), Refusal> {
    walk(schema, schema, prefix, 0)?;
    let definitions = ["$defs", "definitions"].iter().filter_map(|key| schema.get(key)?.as_object()).flatten();
    for (name, definition) in definitions {
        if reaches(definition, name, schema, &mut Vec::new()) {
            return Err(Refusal::model(format!("{prefix}.schema: Circular reference detected in schema definitions: {name}")));
        }
    }
    Ok(())
}

/// Whether following references from `from` leads to the definition `name`.
fn reaches<'a>(from: &'a Value, name: &str, root: &'a Value, seen: &mut Vec<&'a str>) -> bool {
    match from {
        Value::Array(items) => items.iter().any(|item| reaches(item, name, root, seen)),
        Value::Object(map) => map.iter().any(|(key, value)| match value.as_str().and_then(|text| text.rsplit_once('/')) {
            Some((_, target)) if key == "$ref" => {
                if target == name {
                    return true;
                }
                if seen.contains(&target) {
                    return false;
                }
                seen.push(target);
                value
                    .as_str()
                    .and_then(|text| root.pointer(text.trim_start_matches('#')))
                    .is_some_and(|next| reaches(next, name, root, seen))
            }
            _ => reaches(value, name, root, seen),
        }),
        _ => false,
    }
}

fn walk(schema: &Value, root: &Value, prefix: &str, depth: usize) -> Result<(), Refusal> {
    let fail = |text: String| Err(Refusal::model(format!("{prefix}.schema: {text}")));
    if depth > MAX_DEPTH {
        return Err(Refusal::model("compilation exceeded limits: Schema is too complex"));
    }
    let Value::Object(map) = schema else {
        return match schema {
            Value::Bool(_) => Ok(()),
            _ => fail("Schema must be an object".to_owned()),
        };
    };
    if let Some(keyword) = NEVER.iter().find(|keyword| map.contains_key(**keyword)) {
        return fail(format!("'{keyword}' is not supported"));
    }
    for kind in kinds(map) {
        let found: Vec<&str> = REFUSED
            .iter()
            .filter(|(name, _)| *name == kind)
            .flat_map(|(_, keywords)| keywords.iter().copied())
            .filter(|keyword| map.contains_key(*keyword))
            .collect();
        if !found.is_empty() {
            let verb = if found.len() == 1 { "property" } else { "properties" };
            return fail(format!("For '{kind}' type, {verb} {} not supported", joined(&found)));
        }
        if kind == "array" && map.get("minItems").and_then(Value::as_u64).is_some_and(|least| least > 1) {
            return fail("For 'array' type, 'minItems' values other than 0 or 1 are not supported".to_owned());
        }
        if kind == "object" && map.get("additionalProperties") != Some(&Value::Bool(false)) {
            return fail("For 'object' type, 'additionalProperties' must be explicitly set to false".to_owned());
        }
    }
    if let Some(reference) = map.get("$ref") {
        let Some(reference) = reference.as_str() else { return fail("'$ref' must be a string".to_owned()) };
        let known = reference.strip_prefix('#').is_some_and(|pointer| !pointer.is_empty() && root.pointer(pointer).is_some());
        if !known {
            return fail(format!("'$ref' '{reference}' cannot be resolved; external and recursive references are not supported"));
        }
    }
    for child in children(map) {
        walk(child, root, prefix, depth + 1)?;
    }
    Ok(())
}

fn kinds(map: &Map<String, Value>) -> Vec<&str> {
    match map.get("type") {
        Some(Value::String(kind)) => vec![kind.as_str()],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ if map.contains_key("properties") => vec!["object"],
        _ => Vec::new(),
    }
}

fn children(map: &Map<String, Value>) -> Vec<&Value> {
    let mut children = Vec::new();
    for key in ["properties", "$defs", "definitions"] {
        children.extend(map.get(key).and_then(Value::as_object).into_iter().flat_map(Map::values));
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        children.extend(map.get(key).and_then(Value::as_array).into_iter().flatten());
    }
    children.extend(map.get("items"));
    children
}

fn joined(found: &[&str]) -> String {
    match found {
        [one] => format!("'{one}' is"),
        _ => format!("{} are", found.join(", ")),
    }
}

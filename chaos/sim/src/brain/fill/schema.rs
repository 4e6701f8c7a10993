//! Flattening: `$ref` resolved, `allOf` merged, the type named.

use serde_json::{Map, Number, Value};

/// References followed before giving up on a circle of them.
const MAX_REFERENCES: usize = 16;

/// The schema with the `$ref` and `allOf` of its top level folded in; an `allOf` that is left holds what cannot be merged. `true` becomes the empty schema, `false` one nothing fits.
pub(super) fn flatten(schema: &Value, root: &Value) -> Map<String, Value> {
    fold(schema, root, MAX_REFERENCES)
}

fn fold(schema: &Value, root: &Value, left: usize) -> Map<String, Value> {
    let Value::Object(map) = schema else {
        let mut empty = Map::new();
        if schema == &Value::Bool(false) {
            empty.insert("not".to_owned(), Value::Object(Map::new()));
        }
        return empty;
    };
    let mut flat = map.clone();
    flat.remove("$defs");
    flat.remove("definitions");
    let reference = flat.remove("$ref");
    let parts = flat.remove("allOf");
    if left == 0 {
        return flat;
    }
    if let Some(target) = reference.as_ref().and_then(Value::as_str).and_then(|reference| resolve(root, reference)) {
        flat = merge(flat, fold(target, root, left - 1));
    }
    for part in parts.as_ref().and_then(Value::as_array).into_iter().flatten() {
        flat = merge(flat, fold(part, root, left - 1));
    }
    flat
}

/// The target of a local reference.
pub(super) fn resolve<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    let pointer = reference.strip_prefix('#')?;
    if pointer.is_empty() {
        return Some(root);
    }
    let decoded = pointer.replace("%24", "$").replace("%25", "%");
    root.pointer(&decoded)
}

/// Both schemas at once: properties and required united, bounds tightened, the rest side by side.
pub(super) fn merge(mut left: Map<String, Value>, right: Map<String, Value>) -> Map<String, Value> {
    for (key, theirs) in right {
        let Some(ours) = left.remove(&key) else {
            left.insert(key, theirs);
            continue;
        };
        if ours == theirs {
            left.insert(key, ours);
            continue;
        }
        let both = match key.as_str() {
            "properties" | "patternProperties" | "dependentRequired" => properties(ours, theirs),
            "required" | "allOf" => union(ours, theirs),
            "enum" => intersection(&ours, theirs),
            "minimum" | "exclusiveMinimum" | "minLength" | "minItems" | "minProperties" | "minContains" => {
                if number(&ours) >= number(&theirs) { ours } else { theirs }
            }
            "maximum" | "exclusiveMaximum" | "maxLength" | "maxItems" | "maxProperties" => {
                if number(&ours) <= number(&theirs) {
                    ours
                } else {
                    theirs
                }
            }
            "multipleOf" => multiple(ours, theirs),
            "type" => kinds(&ours, theirs),
            "uniqueItems" => Value::Bool(true),
            "additionalProperties" if ours == Value::Bool(false) || theirs == Value::Bool(false) => Value::Bool(false),
            "items" | "additionalProperties" | "contains" | "propertyNames" => all_of(ours, theirs),
            "anyOf" | "oneOf" => distribute(&key, ours, theirs),
            "not" => either(ours, theirs),
            "if" | "pattern" => {
                // Two of them cannot share one keyword: the second is kept aside and met by trying.
                let second = single(&key, theirs);
                left.insert(key, ours);
                if let Value::Array(rest) = left.entry("allOf").or_insert_with(|| Value::Array(Vec::new())) {
                    rest.push(second);
                }
                continue;
            }
            _ => ours,
        };
        left.insert(key, both);
    }
    left
}

/// Both lists of alternatives: each of ours must also satisfy theirs.
fn distribute(key: &str, ours: Value, theirs: Value) -> Value {
    let Value::Array(branches) = ours else { return theirs };
    Value::Array(branches.into_iter().map(|branch| all_of(branch, single(key, theirs.clone()))).collect())
}

/// Neither of two things: not any of them.
fn either(ours: Value, theirs: Value) -> Value {
    single("anyOf", Value::Array(vec![ours, theirs]))
}

fn single(key: &str, value: Value) -> Value {
    let mut map = Map::new();
    map.insert(key.to_owned(), value);
    Value::Object(map)
}

fn all_of(left: Value, right: Value) -> Value {
    single("allOf", Value::Array(vec![left, right]))
}

fn properties(left: Value, right: Value) -> Value {
    let (Value::Object(mut ours), Value::Object(theirs)) = (left, right) else { return Value::Object(Map::new()) };
    for (name, theirs) in theirs {
        let merged = match ours.remove(&name) {
            Some(ours) if ours != theirs => all_of(ours, theirs),
            _ => theirs,
        };
        ours.insert(name, merged);
    }
    Value::Object(ours)
}

fn union(left: Value, right: Value) -> Value {
    let (Value::Array(mut ours), Value::Array(theirs)) = (left, right) else { return Value::Array(Vec::new()) };
    for item in theirs {
        if !ours.contains(&item) {
            ours.push(item);
        }
    }
    Value::Array(ours)
}

fn intersection(left: &Value, right: Value) -> Value {
    let theirs = match right {
        Value::Array(theirs) => theirs,
        other => vec![other],
    };
    Value::Array(theirs.into_iter().filter(|item| left.as_array().is_some_and(|ours| ours.contains(item))).collect())
}

fn kinds(left: &Value, right: Value) -> Value {
    let list = |value: &Value| match value {
        Value::Array(items) => items.clone(),
        other => vec![other.clone()],
    };
    let (ours, theirs) = (list(left), list(&right));
    let name = |value: &Value, word: &str| value.as_str() == Some(word);
    let mut both: Vec<Value> = ours.iter().filter(|kind| theirs.contains(kind)).cloned().collect();
    let mixed = (ours.iter().any(|kind| name(kind, "integer")) && theirs.iter().any(|kind| name(kind, "number")))
        || (ours.iter().any(|kind| name(kind, "number")) && theirs.iter().any(|kind| name(kind, "integer")));
    if mixed && !both.iter().any(|kind| name(kind, "integer") || name(kind, "number")) {
        both.push(Value::String("integer".to_owned()));
    }
    Value::Array(both)
}

/// The least common multiple of whole factors; otherwise the larger, which is right when one divides the other.
fn multiple(left: Value, right: Value) -> Value {
    let (Some(a), Some(b)) = (left.as_u64().filter(|a| *a > 0), right.as_u64().filter(|b| *b > 0)) else {
        return if number(&left) >= number(&right) { left } else { right };
    };
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    Value::Number(Number::from(a / x * b))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(0.0)
}

/// The type a value should have; with several, the first that is not null, others by variant.
pub(super) fn kind(schema: &Map<String, Value>, variant: usize) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => {
            let mut names: Vec<&str> = kinds.iter().filter_map(Value::as_str).collect();
            names.sort_by_key(|name| *name == "null");
            variant.checked_rem(names.len()).and_then(|index| names.get(index)).copied().unwrap_or("null")
        }
        _ => guess(schema),
    }
}

fn guess(schema: &Map<String, Value>) -> &'static str {
    let has = |keys: &[&str]| keys.iter().any(|key| schema.contains_key(*key));
    if has(&["properties", "required", "additionalProperties", "minProperties", "patternProperties", "propertyNames"]) {
        "object"
    } else if has(&["items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains"]) {
        "array"
    } else if has(&["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]) {
        "number"
    } else {
        "string"
    }
}

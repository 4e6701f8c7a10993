//! Makes a value that is valid for a JSON Schema, with values from the user's text where they fit.
//!
//! Generate and check: keywords that constrain by structure are generated directly; those that constrain by exclusion (`not`,
//! `oneOf`, `if`) are met by trying variants until [`check::conforms`] agrees.

use serde_json::{Map, Value};

use super::hints::Hints;

mod check;
mod containers;
mod numbers;
mod pattern;
mod schema;
mod strings;

/// Beyond this depth optional parts are left out and the plainest branch is taken.
const PLAIN_DEPTH: usize = 6;
/// Beyond this depth the schema asks for an infinite value.
const MAX_DEPTH: usize = 24;
/// Variants tried to satisfy an exclusion.
const VARIANTS: usize = 12;

/// A value for `schema`. Unsatisfiable schemas get a best effort.
pub(super) fn value(schema: &Value, hints: &Hints) -> Value {
    Filler { root: schema, hints }.make(schema, Place { name: "", depth: 0, variant: 0 })
}

/// Whether `value` satisfies the schema object, formats apart.
pub(super) fn conforms(schema: &Map<String, Value>, value: &Value, root: &Value) -> bool {
    check::conforms(schema, value, root)
}

/// Where a value stands: the name it goes by, how deep, and which of several different values is wanted.
#[derive(Clone, Copy)]
struct Place<'n> {
    name: &'n str,
    depth: usize,
    variant: usize,
}

impl<'n> Place<'n> {
    fn inside(self, name: &'n str) -> Self {
        Self { name, depth: self.depth + 1, variant: 0 }
    }

    fn variant(self, variant: usize) -> Self {
        Self { variant, ..self }
    }

    /// Variants to try: the one that is wanted and those after it, then from the beginning.
    fn around(self) -> impl Iterator<Item = usize> {
        (self.variant..self.variant + VARIANTS).chain(0..self.variant.min(VARIANTS))
    }
}

struct Filler<'a> {
    root: &'a Value,
    hints: &'a Hints,
}

impl Filler<'_> {
    fn make(&self, schema: &Value, place: Place<'_>) -> Value {
        if place.depth > MAX_DEPTH {
            return Value::Null;
        }
        self.make_flat(&schema::flatten(schema, self.root), place)
    }

    /// A value for a schema without `$ref` and `allOf` at its top.
    fn make_flat(&self, schema: &Map<String, Value>, place: Place<'_>) -> Value {
        if let Some(value) = schema.get("const") {
            return value.clone();
        }
        if let Some(Value::Array(values)) = schema.get("enum") {
            return self.choose(schema, values, place);
        }
        if let Some(Value::Array(rest)) = schema.get("allOf") {
            return self.leftover(schema, rest, place);
        }
        for key in ["anyOf", "oneOf"] {
            if let Some(Value::Array(branches)) = schema.get(key) {
                return self.branch(schema, key, branches, place);
            }
        }
        if schema.contains_key("if") {
            return self.conditional(schema, place);
        }
        if schema.contains_key("not") {
            let tries = place.around().map(|variant| self.typed(schema, place.variant(variant)));
            return self.first_valid(schema, tries, place);
        }
        self.typed(schema, place)
    }

    /// An enum member: one the text mentions if there is one, otherwise by variant.
    fn choose(&self, schema: &Map<String, Value>, values: &[Value], place: Place<'_>) -> Value {
        let valid: Vec<&Value> = values.iter().filter(|value| check::conforms(schema, value, self.root)).collect();
        let said = valid.iter().find(|value| value.as_str().is_some_and(|word| self.hints.holds(word)));
        let by_variant = place.variant.checked_rem(valid.len()).and_then(|index| valid.get(index));
        let chosen = if place.variant == 0 { said.or(by_variant) } else { by_variant };
        chosen.copied().or(values.first()).cloned().unwrap_or(Value::Null)
    }

    fn branch(&self, schema: &Map<String, Value>, key: &str, branches: &[Value], place: Place<'_>) -> Value {
        let mut base = schema.clone();
        base.remove(key);
        let mut order: Vec<&Value> = branches.iter().collect();
        if place.depth >= PLAIN_DEPTH {
            order.sort_by_key(|branch| branch.to_string().contains("$ref"));
        } else {
            // A null branch is what "may be absent" looks like: the other one says more.
            order.sort_by_key(|branch| branch.get("type").and_then(Value::as_str) == Some("null"));
        }
        let tries = order.iter().flat_map(|branch| {
            let merged = schema::merge(base.clone(), schema::flatten(branch, self.root));
            place.around().map(move |variant| (merged.clone(), variant))
        });
        let made = tries.map(|(merged, variant)| self.make_flat(&merged, place.variant(variant)));
        self.first_valid(schema, made, place)
    }

    /// What could not be merged is met by trying: variants of the rest, then of each part in place of its rival.
    fn leftover(&self, schema: &Map<String, Value>, rest: &[Value], place: Place<'_>) -> Value {
        let mut base = schema.clone();
        base.remove("allOf");
        let rivals = rest.iter().filter_map(Value::as_object).map(|part| {
            let mut other = base.clone();
            other.extend(part.clone());
            other
        });
        // Two patterns often bind different ends of a string: one after the other may satisfy both.
        let pattern = |part: &Value| Some((base.get("pattern")?.as_str()?.to_owned(), part.get("pattern")?.as_str()?.to_owned()));
        let joined =
            rest.iter().filter_map(pattern).flat_map(|(ours, theirs)| [format!("{ours}.*{theirs}"), format!("{theirs}.*{ours}")]).map(
                |pattern| {
                    let mut other = base.clone();
                    other.insert("pattern".to_owned(), Value::String(pattern));
                    other
                },
            );
        let bases: Vec<Map<String, Value>> = std::iter::once(base.clone()).chain(joined).chain(rivals).collect();
        let tries = place.around().flat_map(|variant| bases.iter().map(move |base| (base, variant)));
        let made = tries.map(|(base, variant)| self.make_flat(base, place.variant(variant)));
        self.first_valid(schema, made, place)
    }

    fn conditional(&self, schema: &Map<String, Value>, place: Place<'_>) -> Value {
        let mut base = schema.clone();
        let parts = [base.remove("if"), base.remove("then"), base.remove("else")];
        let [condition, then, otherwise] = parts.map(|part| part.unwrap_or(Value::Bool(true)));
        let both = schema::merge(base.clone(), schema::merge(schema::flatten(&condition, self.root), schema::flatten(&then, self.root)));
        let other = schema::merge(base.clone(), schema::flatten(&otherwise, self.root));
        let tries = [both, other, base].into_iter().flat_map(|merged| place.around().map(move |variant| (merged.clone(), variant)));
        let made = tries.map(|(merged, variant)| self.make_flat(&merged, place.variant(variant)));
        self.first_valid(schema, made, place)
    }

    /// The first of some lazily made values that satisfies the whole schema; failing that, the first.
    fn first_valid(&self, schema: &Map<String, Value>, values: impl Iterator<Item = Value>, place: Place<'_>) -> Value {
        let mut fallback = None;
        let most = if place.depth >= PLAIN_DEPTH { VARIANTS } else { VARIANTS * 8 };
        for value in values.take(most) {
            if check::conforms(schema, &value, self.root) {
                return value;
            }
            fallback.get_or_insert(value);
        }
        fallback.unwrap_or(Value::Null)
    }

    fn typed(&self, schema: &Map<String, Value>, place: Place<'_>) -> Value {
        match schema::kind(schema, place.variant) {
            "object" => self.object(schema, place),
            "array" => self.array(schema, place),
            "integer" => numbers::integer(schema, self.hints, place.variant),
            "number" => numbers::number(schema, self.hints, place.variant),
            "boolean" => Value::Bool(place.variant.is_multiple_of(2)),
            "null" => Value::Null,
            _ => Value::String(strings::string(schema, self.hints, place)),
        }
    }
}

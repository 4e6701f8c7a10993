//! Objects and arrays.

use serde_json::{Map, Value};

use super::{Filler, PLAIN_DEPTH, Place, check, pattern, schema};

/// Optional members are only considered down to this depth.
const OPTIONAL_DEPTH: usize = 3;
/// Items tried to find a different one.
const UNIQUE_TRIES: usize = 24;
/// Longest array made for one member.
const MOST_ITEMS: usize = 64;

static ANYTHING: Value = Value::Bool(true);

impl Filler<'_> {
    pub(super) fn object(&self, schema: &Map<String, Value>, place: Place<'_>) -> Value {
        let empty = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
        let mut wanted: Vec<String> = strings(schema.get("required"));
        let most = size(schema, "maxProperties").unwrap_or(usize::MAX);
        if place.depth < OPTIONAL_DEPTH {
            let mentioned = properties.iter().filter(|(name, member)| member != &&Value::Bool(false) && self.worth(name, member));
            for (name, _) in mentioned {
                if !wanted.contains(name) && wanted.len() < most {
                    wanted.push(name.clone());
                }
            }
        }
        self.dependents(schema, &mut wanted);
        let least = size(schema, "minProperties").unwrap_or(0);
        self.fill_up(schema, properties, &mut wanted, least);
        let mut object = Map::new();
        for name in &wanted {
            let member = self.member(schema, properties, name);
            // A variant of an object is one whose members differ, as far as they can.
            object.insert(name.clone(), self.make(member, place.inside(name).variant(place.variant)));
        }
        Value::Object(object)
    }

    /// Whether the text gives reason to fill an optional member.
    fn worth(&self, name: &str, member: &Value) -> bool {
        let said = |values: &Vec<Value>| values.iter().any(|value| value.as_str().is_some_and(|word| self.hints.holds(word)));
        self.hints.mention(name) || member.get("enum").and_then(Value::as_array).is_some_and(said)
    }

    fn dependents(&self, schema: &Map<String, Value>, wanted: &mut Vec<String>) {
        let Some(Value::Object(rules)) = schema.get("dependentRequired") else { return };
        let mut index = 0;
        while let Some(name) = wanted.get(index) {
            for dependent in strings(rules.get(name)) {
                if !wanted.contains(&dependent) {
                    wanted.push(dependent);
                }
            }
            index += 1;
        }
    }

    /// Adds members until there are `least`: declared ones first, then whatever else is allowed.
    fn fill_up(&self, schema: &Map<String, Value>, properties: &Map<String, Value>, wanted: &mut Vec<String>, least: usize) {
        for (name, member) in properties {
            if wanted.len() >= least {
                return;
            }
            if member != &Value::Bool(false) && !wanted.contains(name) {
                wanted.push(name.clone());
            }
        }
        let patterns = schema.get("patternProperties").and_then(Value::as_object);
        for extra in 0..least.min(MOST_ITEMS) {
            if wanted.len() >= least {
                return;
            }
            let from_pattern = || patterns?.keys().find_map(|source| pattern::generate(source, (1, 64), extra));
            let named =
                schema.get("propertyNames").map(|names| self.make(names, Place { name: "name", depth: PLAIN_DEPTH, variant: extra }));
            let name = match (named, schema.get("additionalProperties")) {
                (Some(Value::String(name)), _) => name,
                (_, Some(Value::Bool(false))) => from_pattern().unwrap_or_default(),
                _ => format!("extra{}", extra + 1),
            };
            if !wanted.contains(&name) {
                wanted.push(name);
            }
        }
    }

    fn member<'s>(&self, schema: &'s Map<String, Value>, properties: &'s Map<String, Value>, name: &str) -> &'s Value {
        let by_pattern = || {
            let patterns = schema.get("patternProperties").and_then(Value::as_object)?;
            patterns.iter().find(|(source, _)| pattern::matches(source, name) == Some(true)).map(|(_, member)| member)
        };
        properties.get(name).or_else(by_pattern).or_else(|| schema.get("additionalProperties")).unwrap_or(&ANYTHING)
    }

    pub(super) fn array(&self, schema: &Map<String, Value>, place: Place<'_>) -> Value {
        let least = size(schema, "minItems").unwrap_or(0);
        let most = size(schema, "maxItems").unwrap_or(usize::MAX);
        let unique = schema.get("uniqueItems") == Some(&Value::Bool(true));
        let prefix = schema.get("prefixItems").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let rest = schema.get("items").unwrap_or(&ANYTHING);
        let closed = schema.get("items") == Some(&Value::Bool(false));
        let mut count = if place.depth < PLAIN_DEPTH { least.max(1).max(prefix.len()) } else { least };
        if place.depth < PLAIN_DEPTH && schema::kind(&schema::flatten(rest, self.root), 0) == "string" && schema.contains_key("items") {
            count = count.max(self.hints.entities.len());
        }
        // A recursive member would never end: leave it out as soon as the schema allows.
        if place.depth >= 2 && rest.to_string().contains("$ref") {
            count = least;
        }
        count = count.min(most).min(MOST_ITEMS.max(least));
        if closed {
            count = count.min(prefix.len());
        }
        let contained = schema.get("contains").map(|contains| (contains, size(schema, "minContains").unwrap_or(1)));
        if let Some((_, times)) = contained {
            count = count.max(times).min(most);
        }
        let mut items: Vec<Value> = Vec::with_capacity(count);
        for index in 0..count {
            let mut member = prefix.get(index).unwrap_or(rest).clone();
            if let Some((contains, times)) = contained
                && index < times
            {
                let both = schema::merge(schema::flatten(&member, self.root), schema::flatten(contains, self.root));
                member = Value::Object(both);
            }
            // A variant of an array is one whose items differ.
            match self.item(&member, &items, place, (index + place.variant, unique)) {
                Some(item) => items.push(item),
                None => break,
            }
        }
        Value::Array(items)
    }

    /// The next item; different from the others if it must be. `None` when the schema has no further value.
    fn item(&self, member: &Value, items: &[Value], place: Place<'_>, (variant, unique): (usize, bool)) -> Option<Value> {
        let at = place.inside(singular(place.name));
        if !unique {
            return Some(self.make(member, at.variant(variant)));
        }
        let fresh = |value: &Value| items.iter().all(|item| !check::equal(item, value));
        (variant..variant + UNIQUE_TRIES).chain(0..UNIQUE_TRIES).map(|variant| self.make(member, at.variant(variant))).find(fresh)
    }
}

/// The name of one item of a list: `cities` -> `citie`, `tags` -> `tag`; good enough to look a name up.
fn singular(name: &str) -> &str {
    match name {
        "cities" => "city",
        "countries" => "country",
        _ => name.strip_suffix('s').unwrap_or(name),
    }
}

fn strings(value: Option<&Value>) -> Vec<String> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn size(schema: &Map<String, Value>, key: &str) -> Option<usize> {
    // Some generators write `2.0`.
    let value = schema.get(key)?;
    let whole =
        value.as_u64().or_else(|| value.as_f64().filter(|number| number.fract() == 0.0 && *number >= 0.0).map(|number| number as u64))?;
    usize::try_from(whole).ok()
}

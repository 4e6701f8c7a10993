//! Made values are checked against generated schemas by an independent validator.

use proptest::prelude::*;

use super::*;

/// Schemas of leaf values.
fn leaf() -> BoxedStrategy<Value> {
    let text = (0_u64..12, 0_u64..20).prop_map(|(least, extra)| json!({"type": "string", "minLength": least, "maxLength": least + extra}));
    let formats = ["date", "date-time", "time", "email", "uri", "uuid", "ipv4", "ipv6", "hostname", "duration", "json-pointer"];
    let format = prop::sample::select(formats.to_vec()).prop_map(|format| json!({"type": "string", "format": format}));
    let patterns =
        ["^[A-Z]{3}-\\d{4}$", "^(red|green|blue)$", "\\w+@\\w+\\.com", "^[^x]{5,9}$", "^\\+?[0-9 ]{7,12}$", "^a*b+c?$", "[a-f0-9]{8}"];
    let pattern = prop::sample::select(patterns.to_vec()).prop_map(|pattern| json!({"type": "string", "pattern": pattern}));
    let integer = (-500_i64..500, 0_i64..300, 1_i64..9).prop_map(|(low, span, step)| {
        let low = low.div_euclid(step) * step;
        json!({"type": "integer", "minimum": low, "maximum": low + span + step, "multipleOf": step})
    });
    let open = (-50_i64..50).prop_map(|low| json!({"type": "integer", "exclusiveMinimum": low, "exclusiveMaximum": low + 2}));
    let number =
        (-50.0_f64..50.0, 0.5_f64..40.0).prop_map(|(low, span)| json!({"type": "number", "exclusiveMinimum": low, "maximum": low + span}));
    let below = (-50_i64..50).prop_map(|high| json!({"type": "number", "maximum": high}));
    let choice = prop::collection::hash_set("[a-z]{1,5}", 1..4).prop_map(|words| json!({"enum": words.into_iter().collect::<Vec<_>>()}));
    prop_oneof![
        Just(json!({"type": "boolean"})),
        Just(json!({"type": "null"})),
        Just(json!({"const": {"fixed": [1, "two"]}})),
        Just(json!({"type": ["string", "null"]})),
        Just(json!({"type": "string", "not": {"const": "value"}})),
        Just(json!({"type": "integer", "minimum": 0, "not": {"enum": [0, 1, 2]}})),
        Just(json!({"oneOf": [{"type": "number"}, {"type": "integer", "minimum": 5}]})),
        Just(json!({})),
        Just(json!(true)),
        Just(json!({"$ref": "#/$defs/shared"})),
        text,
        format,
        pattern,
        integer,
        open,
        number,
        below,
        choice,
    ]
    .boxed()
}

fn schema() -> BoxedStrategy<Value> {
    leaf()
        .prop_recursive(4, 40, 5, |inner| {
            let members = prop::collection::btree_map("[a-z_]{1,8}", inner.clone(), 0..5);
            let object = (members, any::<bool>(), any::<bool>()).prop_map(|(members, all, open)| {
                let names: Vec<&String> = members.keys().collect();
                let required: Vec<&&String> =
                    names.iter().enumerate().filter(|(index, _)| all || index % 2 == 0).map(|(_, name)| name).collect();
                let least = if open { members.len() + 1 } else { members.len() };
                json!({"type": "object", "properties": members, "required": required, "additionalProperties": open, "minProperties": least})
            });
            let array = (inner.clone(), 0_u64..4, 0_u64..3)
                .prop_map(|(items, least, extra)| json!({"type": "array", "items": items, "minItems": least, "maxItems": least + extra}));
            let unique = (0_u64..5).prop_map(
                |least| json!({"type": "array", "uniqueItems": true, "minItems": least, "items": {"type": ["integer", "string"]}}),
            );
            let tuple = (inner.clone(), inner.clone())
                .prop_map(|(first, second)| json!({"type": "array", "prefixItems": [first, second], "items": false, "minItems": 2}));
            let contains = inner.clone().prop_map(|wanted| json!({"type": "array", "contains": wanted, "minItems": 2}));
            let any_of = prop::collection::vec(inner.clone(), 1..4).prop_map(|branches| json!({"anyOf": branches}));
            let one_of = (inner.clone(), inner.clone()).prop_map(|(a, b)| {
                json!({"oneOf": [
                    {"type": "object", "properties": {"kind": {"const": "a"}, "value": a}, "required": ["kind", "value"]},
                    {"type": "object", "properties": {"kind": {"const": "b"}, "value": b}, "required": ["kind"]}]})
            });
            let all_of = (inner.clone(), inner).prop_map(|(a, b)| {
                json!({"allOf": [
                    {"type": "object", "properties": {"left": a}, "required": ["left"]},
                    {"properties": {"right": b}, "required": ["right"]}]})
            });
            prop_oneof![3 => object, 2 => array, 1 => unique, 1 => tuple, 1 => contains, 1 => any_of, 1 => one_of, 1 => all_of]
        })
        .boxed()
}

/// Wraps a schema as a tool takes it: an object at the top, shared and recursive definitions.
fn top(inner: &Value) -> Value {
    json!({
        "type": "object",
        "properties": {"payload": inner, "tree": {"$ref": "#/$defs/tree"}},
        "required": ["payload", "tree"],
        "additionalProperties": false,
        "$defs": {
            "shared": {"type": "object", "properties": {"id": {"type": "integer", "minimum": 1}}, "required": ["id"]},
            "tree": {"type": "object", "properties": {"name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#/$defs/tree"}},
                "parent": {"anyOf": [{"$ref": "#/$defs/tree"}, {"type": "null"}]}}, "required": ["name", "children", "parent"]}
        }
    })
}

fn checker(schema: &Value) -> jsonschema::Validator {
    jsonschema::options().with_draft(jsonschema::Draft::Draft202012).should_validate_formats(true).build(schema).unwrap()
}

const TEXTS: [&str; 6] = [
    "hello",
    "Weather in Paris, London and New York for 3 days from 2026-05-01, 21.5 degrees",
    "mail ada@example.org about https://example.net/x and src/main.rs at 10:30",
    "compute (3 + 4) * 12 - 7 and \"quoted text\"",
    "",
    "name id query payload tree children parent value kind left right -17 250 0.25",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn made_values_satisfy_their_schema(inner in schema(), text in prop::sample::select(TEXTS.to_vec())) {
        let schema = top(&inner);
        let made = fill::value(&schema, &hints::Hints::of(text));
        let faults: Vec<String> = checker(&schema).iter_errors(&made).map(|fault| format!("{fault} at {}", fault.instance_path())).collect();
        prop_assert!(faults.is_empty(), "{faults:?}\nschema {schema}\nvalue {made}");
    }

    #[test]
    fn forced_tool_calls_carry_valid_arguments(inner in schema(), text in prop::sample::select(TEXTS[..4].to_vec())) {
        let schema = top(&inner);
        let body = with(text, json!({"toolConfig": {"tools": [tool("work", "Does work", schema.clone())], "toolChoice": {"any": {}}}}));
        let turn = ask(CLAUDE, &body);
        prop_assert!(!calls(&turn).is_empty());
        for (_, input) in calls(&turn) {
            prop_assert!(checker(&schema).is_valid(input), "schema {schema}\nvalue {input}");
        }
    }

    #[test]
    fn any_text_is_answered_within_its_limits(text in "\\PC{1,200}", most in 1_u64..60) {
        prop_assume!(!text.trim().is_empty());
        let turn = ask(NOVA, &with(&text, json!({"inferenceConfig": {"maxTokens": most}})));
        prop_assert!(turn.usage.output <= most);
        prop_assert_eq!(turn.usage.output, tokens::text(&said(&turn)));
        prop_assert_eq!(turn.usage.input, count(&model(NOVA), &user(&text)));
    }

    #[test]
    fn any_schema_or_none_never_panics(schema in "\\PC{0,80}", text in "\\PC{0,80}") {
        let value = serde_json::from_str::<Value>(&schema).unwrap_or_else(|_| json!({"pattern": schema}));
        fill::value(&value, &hints::Hints::of(&text));
    }

    #[test]
    fn a_signature_fits_one_text_only(text in "\\PC{0,60}", other in "\\PC{0,60}", nonce in any::<u64>()) {
        let signed = validate::signature::sign("claude", &text, nonce);
        prop_assert!(validate::signature::verify("claude", &text, &signed));
        prop_assert_eq!(validate::signature::verify("claude", &other, &signed), text == other);
        prop_assert!(!validate::signature::verify("nova", &text, &signed));
    }
}

#[test]
fn exclusions_conditions_and_dependencies_are_met() {
    let rows = [
        json!({"type": "object", "properties": {"kind": {"enum": ["card", "cash"]}, "number": {"type": "string"}}, "required": ["kind"],
            "if": {"properties": {"kind": {"const": "card"}}}, "then": {"required": ["number"]}}),
        json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "required": ["a"], "dependentRequired": {"a": ["b"]}}),
        json!({"type": "object", "minProperties": 2, "patternProperties": {"^x_[a-z]+$": {"type": "integer"}}, "additionalProperties": false}),
        json!({"type": "object", "minProperties": 1, "propertyNames": {"pattern": "^[A-Z]+$"}}),
        json!({"type": "object", "properties": {"v": {"oneOf": [{"type": "integer", "multipleOf": 2}, {"type": "integer", "multipleOf": 3}]}}, "required": ["v"]}),
        json!({"type": "array", "items": {"enum": ["a", "b", "c"]}, "uniqueItems": true, "minItems": 3}),
        json!({"type": "array", "items": {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}, "uniqueItems": true, "minItems": 3}),
        json!({"allOf": [{"type": "integer", "minimum": 3}, {"maximum": 3}]}),
        json!({"allOf": [{"anyOf": [{"type": "string"}, {"type": "integer"}]}, {"anyOf": [{"type": "integer"}, {"type": "null"}]}]}),
        json!({"type": "string", "allOf": [{"pattern": "^a"}, {"pattern": "b$"}]}),
    ];
    for schema in rows {
        let made = fill::value(&schema, &hints::Hints::of("hello"));
        assert!(checker(&schema).is_valid(&made), "schema {schema}\nvalue {made}");
    }
}

#[test]
fn values_come_from_the_text() {
    let schema = json!({"type": "object", "properties": {
        "to": {"type": "string"}, "email": {"type": "string", "format": "email"}, "url": {"type": "string"}, "file_path": {"type": "string"}, "date": {"type": "string", "format": "date"},
        "cities": {"type": "array", "items": {"type": "string"}}, "days": {"type": "integer"}, "expression": {"type": "string"}, "mode": {"enum": ["fast", "slow"]}},
        "required": ["email", "url", "file_path", "date", "cities", "days", "expression", "mode"]});
    let text = "Mail ada@example.org the slow plan for Paris and Oslo on 2026-05-01, 3 days, see https://example.net/x and src/main.rs, cost 12 * 7";
    let made = fill::value(&schema, &hints::Hints::of(text));
    assert_eq!(made["email"], "ada@example.org");
    assert_eq!(made["url"], "https://example.net/x");
    assert_eq!(made["file_path"], "src/main.rs");
    assert_eq!(made["date"], "2026-05-01");
    assert_eq!(made["cities"], json!(["Paris", "Oslo"]));
    assert_eq!(made["days"], 3);
    assert_eq!(made["expression"], "12 * 7");
    assert_eq!(made["mode"], "slow");
}

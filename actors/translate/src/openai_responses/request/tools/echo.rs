//! A tool as the response repeats it.

use std::collections::BTreeMap;

use outcrop_domain::json::JsonText;
use outcrop_protocol::openai::responses::ToolParam;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// The client's own text. A function without `strict` or `parameters` gets them as null: the schema of the response
/// insists on both, while that of the request does not.
pub(super) fn of(raw: Box<RawValue>, tool: &ToolParam) -> JsonText {
    if tool.kind.as_deref() != Some("function") || (tool.strict.is_some() && tool.parameters.is_some()) {
        return JsonText::from(raw);
    }
    // Null and absent look alike in the tool that was read.
    let members: BTreeMap<String, IgnoredAny> = serde_json::from_str(raw.get()).unwrap_or_default();
    let missing = ["strict", "parameters"].into_iter().filter(|member| !members.contains_key(*member));
    let missing: String = missing.map(|member| format!(",\"{member}\":null")).collect();
    let whole = raw.get().trim_end().strip_suffix('}').map(|open| format!("{open}{missing}}}"));
    whole.and_then(|text| JsonText::parse(text).ok()).unwrap_or_else(|| JsonText::from(raw))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn echoed(json: &str) -> String {
        let tool = serde_json::from_str(json).unwrap();
        of(serde_json::from_str(json).unwrap(), &tool).get().to_owned()
    }

    #[test]
    fn functions_are_completed_and_everything_else_is_left_as_it_is() {
        let whole: serde_json::Value = serde_json::from_str(&echoed(r#"{"type":"function","name":"f" }"#)).unwrap();
        assert_eq!(whole, json!({"type": "function", "name": "f", "strict": null, "parameters": null}));
        for same in [
            r#"{"type":"function","name":"f","strict":null,"parameters":null}"#,
            r#"{ "type":"function","name":"f","parameters":{"b":1e400,"a":2},"strict":true}"#,
            r#"{"type":"custom","name":"c"}"#,
            r#"{"type":"new_thing"}"#,
        ] {
            assert_eq!(echoed(same), same);
        }
    }
}

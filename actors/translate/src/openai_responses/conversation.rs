//! Bodies of `/v1/conversations`: items as they are stored, and labels.

use std::collections::BTreeMap;

use outcrop_domain::{error::GatewayError, json::JsonText};
use outcrop_protocol::openai::responses::ConversationBody;

use super::request::{check_added, item_resources, labels};
use crate::dialect::Sniff;

/// Labels of a conversation.
pub type Metadata = BTreeMap<String, String>;

/// Most labels. Source: `Metadata`.
const MOST_LABELS: usize = 16;

/// Most characters of a label's name. Source: `Metadata`.
const LONGEST_NAME: usize = 64;

/// Most characters of a label's value. Source: `Metadata`.
const LONGEST_VALUE: usize = 512;

/// The items of a body as they are stored; `batch` is what the ids of those are made of that have none, and new for every call.
///
/// # Errors
/// `InvalidRequest` for an item that no response could go on from, and for one that only refers to another or wishes for a summary.
pub fn items(body: &ConversationBody, batch: &str, sniff: Sniff) -> Result<Vec<JsonText>, GatewayError> {
    let Some(given) = &body.items else { return Ok(Vec::new()) };
    let items = item_resources(given, batch)?;
    if items.len() < given.len() {
        let message = "Invalid 'items': an item of type 'item_reference' or 'compaction_trigger' cannot be added to a conversation. Add what \
                       it stands for.";
        return Err(GatewayError::invalid_with_code("items", message, "invalid_value"));
    }
    check_added(&items, sniff)?;
    Ok(items)
}

/// The labels of a body.
///
/// # Errors
/// `InvalidRequest` beyond the limits of OpenAI's API.
pub fn metadata(body: &ConversationBody) -> Result<Metadata, GatewayError> {
    let labels = labels(body.metadata.as_ref().and_then(Option::as_ref));
    if labels.len() > MOST_LABELS {
        let message = format!(
            "Invalid 'metadata': too many properties. Expected an object with at most {MOST_LABELS} properties, but got an object with {} \
             properties instead.",
            labels.len()
        );
        return Err(GatewayError::invalid_with_code("metadata", message, "object_above_max_properties"));
    }
    for (name, value) in &labels {
        let (what, longest, got) = match (name.chars().count(), value.chars().count()) {
            (name, _) if name > LONGEST_NAME => ("property name", LONGEST_NAME, name),
            (_, value) if value > LONGEST_VALUE => ("string", LONGEST_VALUE, value),
            _ => continue,
        };
        let message = format!(
            "Invalid 'metadata.{name}': {what} too long. Expected one with maximum length {longest}, but got one with length {got} instead."
        );
        return Err(GatewayError::invalid_with_code("metadata", message, "string_above_max_length"));
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::sniffer::sniff;

    fn body(text: &str) -> ConversationBody {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn items_get_ids_and_content_in_parts() {
        let items = items(
            &body(r#"{"items":[{"role":"user","content":"hi"},{"type":"message","role":"user","id":"msg_1","content":[]}]}"#),
            "b1",
            sniff,
        );
        let items: Vec<serde_json::Value> = items.unwrap().iter().map(|item| serde_json::from_str(item.get()).unwrap()).collect();
        assert_eq!(items[0]["id"], "msg_b1_i0");
        assert_eq!(items[0]["content"][0], serde_json::json!({"type": "input_text", "text": "hi"}));
        assert_eq!(items[1]["id"], "msg_1");
        assert!(super::items(&body("{}"), "b1", sniff).unwrap().is_empty());
    }

    #[test]
    fn what_stands_for_something_else_is_no_item() {
        for item in [r#"{"type":"item_reference","id":"msg_1"}"#, r#"{"type":"compaction_trigger"}"#] {
            let error = items(&body(&format!(r#"{{"items":[{item}]}}"#)), "b1", sniff).unwrap_err();
            assert!(matches!(&error, GatewayError::InvalidRequest { param: Some(param), .. } if param == "items"), "{error}");
        }
    }

    #[test]
    fn an_item_that_cannot_be_read_is_named() {
        for (item, place) in
            [("[]", "items[0]"), (r#"{"role":7}"#, "items[0].role"), (r#"{"role":"user","content":[[]]}"#, "items[0].content[0]")]
        {
            let error = items(&body(&format!(r#"{{"items":[{item}]}}"#)), "b1", sniff).unwrap_err();
            assert!(matches!(&error, GatewayError::InvalidRequest { param: Some(param), .. } if param == place), "{item}: {error}");
        }
    }

    #[test]
    fn an_item_that_no_response_could_read_is_refused_by_name() {
        for (item, place) in [
            (r#"{"content":"hi"}"#, "items[1].role"),
            ("{}", "items[1].role"),
            (r#"{"role":"bogus","content":"x"}"#, "items[1].role"),
            (r#"{"role":"user","content":[{"type":"bogus"}]}"#, "items[1].content[0].type"),
            (
                r#"{"role":"user","content":[{"type":"input_image","image_url":"data:image/png;base64,eA=="}]}"#,
                "items[1].content[0].image_url",
            ),
            (r#"{"type":"function_call_output","call_id":"c"}"#, "items[1].output"),
            (r#"{"type":"additional_tools","tools":[{"type":"function"}]}"#, "items[1].tools[0].name"),
        ] {
            let error = items(&body(&format!(r#"{{"items":[{{"role":"user","content":"hi"}},{item}]}}"#)), "b1", sniff).unwrap_err();
            assert!(matches!(&error, GatewayError::InvalidRequest { param: Some(param), .. } if param == place), "{item}: {error}");
        }
    }

    #[test]
    fn an_item_that_a_response_only_reports_is_taken() {
        for item in [
            r#"{"type":"web_search_call","id":"ws_1","status":"completed"}"#,
            r#"{"type":"unheard_of","of":{}}"#,
            r#"{"type":"reasoning","id":"rs_1","summary":[]}"#,
            r#"{"type":"compaction","encrypted_content":"foreign"}"#,
            r#"{"type":"tool_search_call","arguments":{}}"#,
            r#"{"type":"tool_search_output","tools":[],"call_id":null}"#,
            r#"{"role":"assistant","content":null}"#,
            r#"{"type":"additional_tools","tools":[{"type":"web_search"},{"type":"mcp"},{"type":"function","name":"f","parameters":{}}]}"#,
            r#"{"type":"function_call_output","call_id":"c","output":"an answer whose call is there already"}"#,
            r#"{"role":"user","content":[{"type":"input_image","image_url":"https://a.example/b"},{"type":"input_file","file_url":"https://a.example/c.pdf"}]}"#,
        ] {
            let taken = items(&body(&format!(r#"{{"items":[{item}]}}"#)), "b1", sniff);
            assert_eq!(taken.unwrap_or_else(|error| panic!("{item}: {error}")).len(), 1);
        }
    }

    #[test]
    fn labels_may_be_taken_away_by_null_and_not_by_silence() {
        assert!(body(r#"{"metadata":null}"#).metadata.is_some_and(|labels| labels.is_none()));
        assert!(body("{}").metadata.is_none());
        assert!(metadata(&body(r#"{"metadata":null}"#)).unwrap().is_empty());
    }

    #[test]
    fn a_list_is_no_body() {
        for text in ["[]", r#"[{"topic":"tea"}]"#, r#"[null,[]]"#, "null", "5"] {
            assert!(serde_json::from_str::<ConversationBody>(text).is_err(), "{text}");
        }
        assert_eq!(metadata(&body(r#"{"unheard_of":[1],"metadata":{"a":"b"}}"#)).unwrap().len(), 1);
    }

    #[test]
    fn labels_have_their_limits() {
        assert_eq!(
            metadata(&body(r#"{"metadata":{"a":"b","n":1}}"#)).unwrap(),
            Metadata::from([("a".into(), "b".into()), ("n".into(), "1".into())])
        );
        let many: Vec<String> = (0..17).map(|number| format!("\"k{number}\":\"v\"")).collect();
        let long_name = format!("{{\"metadata\":{{\"{}\":\"v\"}}}}", "k".repeat(65));
        let long_value = format!("{{\"metadata\":{{\"k\":\"{}\"}}}}", "v".repeat(513));
        for wrong in [format!("{{\"metadata\":{{{}}}}}", many.join(",")), long_name, long_value] {
            assert!(metadata(&body(&wrong)).is_err());
        }
    }
}

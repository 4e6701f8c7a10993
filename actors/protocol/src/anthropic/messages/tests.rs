use serde_json::{Value, json};

use super::*;
use crate::{
    body::{BodyFault, decode},
    loose::{TextListOr, TextOr, TextOrList},
};

fn request(body: &Value) -> MessagesRequest {
    decode(body.to_string().as_bytes()).unwrap()
}

/// The blocks of a message that holds `content`.
fn blocks(content: Value) -> Vec<ContentBlock> {
    let mut request = request(&json!({"messages": [{"role": "user", "content": content}]}));
    match request.messages.take().unwrap().remove(0).content {
        Some(TextOrList::List(blocks)) => blocks,
        _ => panic!("no blocks"),
    }
}

#[test]
fn a_wrong_type_deep_inside_is_named_by_its_path() {
    for (body, path) in [
        (json!({"messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]}), "messages.0.content.0.text"),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "tool_result", "content": [{"type": "image", "source": {"data": 7}}]}]}]}),
            "messages.0.content.0.content.0.source.data",
        ),
        (json!({"system": [{"type": "text", "text": "a", "cache_control": {"ttl": 1}}]}), "system.0.cache_control.ttl"),
        (json!({"tools": [{"name": "f"}, {"name": []}]}), "tools.1.name"),
        (json!({"thinking": {"type": "enabled", "budget_tokens": 1.5}}), "thinking.budget_tokens"),
        (json!({"max_tokens": "many"}), "max_tokens"),
    ] {
        let fault = decode::<MessagesRequest>(body.to_string().as_bytes()).unwrap_err();
        assert_eq!((fault.fault, fault.path.as_deref()), (BodyFault::Type, Some(path)), "{body}");
    }
}

#[test]
fn content_may_be_text_blocks_or_for_server_tools_one_block() {
    let read = blocks(json!([
        {"type": "tool_result", "tool_use_id": "1", "content": "text"},
        {"type": "tool_result", "tool_use_id": "2", "content": [{"type": "text", "text": "x"}]},
        {"type": "web_fetch_tool_result", "tool_use_id": "3", "content": {"type": "web_fetch_tool_result_error", "error_code": "unavailable"}},
        {"type": "tool_result", "tool_use_id": "4", "content": null},
    ]));
    assert!(matches!(&read[0].content, Some(TextListOr::Text(text)) if text == "text"));
    assert!(matches!(&read[1].content, Some(TextListOr::List(inner)) if inner[0].text.as_deref() == Some("x")));
    assert!(matches!(&read[2].content, Some(TextListOr::Object(inner)) if inner.rest["error_code"] == "unavailable"));
    assert!(read[3].content.is_none());
}

#[test]
fn a_source_is_an_object_and_of_search_results_a_text() {
    let read = blocks(json!([
        {"type": "search_result", "source": "https://a.example", "title": "T", "content": [], "citations": {"enabled": true}},
        {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "x"}]}},
    ]));
    assert!(matches!(&read[0].source, Some(TextOr::Text(source)) if source == "https://a.example"));
    assert!(
        matches!(&read[1].source, Some(TextOr::Object(SourceObject { content: Some(TextOrList::List(inner)), .. })) if inner.len() == 1)
    );
}

#[test]
fn a_block_that_nobody_here_knows_can_be_written_as_it_was_read() {
    let result = json!({
        "type": "code_execution_tool_result", "tool_use_id": "srvtoolu_1", "cache_control": {"type": "ephemeral", "ttl": "1h", "scope": "global"},
        "content": {"type": "code_execution_result", "stdout": "1\n", "stderr": "", "return_code": 0, "content": [{"type": "code_execution_output", "file_id": "file_1"}]},
    });
    let cited = json!({
        "type": "text", "text": "x",
        "citations": [{"type": "char_location", "cited_text": "y", "document_index": 0, "start_char_index": 1, "end_char_index": 2, "other": true}],
    });
    let call =
        json!({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}, "caller": {"type": "direct"}});
    let document = json!({
        "type": "document", "title": "T", "context": "c", "citations": {"enabled": true},
        "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="},
    });
    for block in [result, cited, call, document] {
        assert_eq!(serde_json::to_value(&blocks(json!([block]))[0]).unwrap(), block);
    }
}

#[test]
fn a_calls_input_is_kept_byte_for_byte() {
    let body = r#"{"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"1","name":"f","input":{"b":  2,"a":1.0}}]}]}"#;
    let request: MessagesRequest = decode(body.as_bytes()).unwrap();
    let Some(TextOrList::List(blocks)) = &request.messages.as_ref().unwrap()[0].content else { panic!("no blocks") };
    assert_eq!(blocks[0].input.as_ref().unwrap().get(), r#"{"b":  2,"a":1.0}"#);
}

#[test]
fn what_is_not_known_is_kept_by_name() {
    let request =
        request(&json!({"min_p": 0.5, "messages": [{"role": "user", "content": "a", "id": 7}], "tools": [{"name": "f", "x": [1]}]}));
    assert_eq!(request.rest["min_p"], 0.5);
    assert_eq!(request.messages.as_ref().unwrap()[0].rest["id"], 7);
    assert_eq!(request.tools.as_ref().unwrap()[0].rest["x"], json!([1]));
}

#[test]
fn beta_flags_have_two_names() {
    for name in ["betas", "anthropic_beta"] {
        assert!(matches!(request(&json!({ name: ["a"] })).anthropic_beta, Some(TextOrList::List(flags)) if flags == ["a"]), "{name}");
    }
}

#[test]
fn a_request_does_not_show_its_content_to_logs() {
    let shown = format!("{:?}", request(&json!({"model": "m", "system": "secret", "messages": [{"role": "user", "content": "secret"}]})));
    assert!(shown.contains("Some(1)") && !shown.contains("secret"), "{shown}");
}

#[test]
fn a_prompt_in_the_wrong_place_is_not_quoted() {
    let fault = decode::<MessagesRequest>(br#"{"messages":"my secret, \", expected nonsense"}"#).unwrap_err();
    assert_eq!(fault.reason, "invalid type: a string, expected a sequence");
    let fault = decode::<MessagesRequest>(br#"{"messages":[{"role":"user","content":7}]}"#).unwrap_err();
    assert_eq!(
        (fault.path.as_deref(), fault.reason.as_str()),
        (Some("messages.0.content"), "invalid type: integer `7`, expected a string or an array")
    );
}

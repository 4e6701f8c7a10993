use outcrop_domain::{
    chat::{CitationPlace, ServiceTier, StopReason},
    usage::Usage,
};

use super::*;

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/fixtures/converse/answers/{name}.json", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn read_fixture(name: &str, context: &ReplyContext) -> ChatResponse {
    read(&fixture(name), context).unwrap()
}

fn message(blocks: &str, stop: &str) -> Vec<u8> {
    format!(r#"{{"output":{{"message":{{"role":"assistant","content":{blocks}}}}},"stopReason":"{stop}","usage":{{"inputTokens":1,"outputTokens":2,"totalTokens":3}},"metrics":{{"latencyMs":1}}}}"#)
        .into_bytes()
}

fn contents(blocks: &str, stop: &str, context: &ReplyContext) -> (Vec<Content>, StopReason) {
    let response = read(&message(blocks, stop), context).unwrap();
    (response.content, response.stop)
}

fn text(says: &str) -> Content {
    Content::Text(says.to_owned())
}

fn format_tool(wrapped: bool) -> ReplyContext {
    ReplyContext { format_tool: Some(FormatTool { name: "json_output".to_owned(), wrapped }), ..ReplyContext::default() }
}

#[test]
fn a_thinking_tool_call_is_read_with_everything_beside_it() {
    let mut context = ReplyContext::default();
    context.tool_names.insert("get_weather_ab12".to_owned(), "get.weather".to_owned());
    let response = read_fixture("thinking_tool_call", &context);
    assert_eq!(
        response.content,
        vec![
            Content::Reasoning(Reasoning::Text { text: "Two cities.".to_owned(), signature: Some("c2ln".to_owned()) }),
            Content::Reasoning(Reasoning::Redacted("cmVk".to_owned())),
            text("Let me look."),
            Content::ToolUse {
                id: "tooluse_1".to_owned(),
                name: "get.weather".to_owned(),
                input: JsonText::parse(r#"{"z": 1,  "city":"Oslo"}"#.to_owned()).unwrap(),
                origin: ToolOrigin::Client
            },
        ]
    );
    assert_eq!(response.stop, StopReason::ToolUse);
    assert_eq!(
        response.usage,
        Usage { input: 10, output: 40, cache_read: 100, cache_write_5m: 20, cache_write_1h: 30, reasoning: Some(17) }
    );
    assert_eq!(response.service_tier, Some(ServiceTier::Flex));
    assert!(response.trace.unwrap().contains_key("promptRouter"));
}

#[test]
fn citations_keep_text_source_and_place() {
    let response = read_fixture("grounded", &ReplyContext::default());
    let Content::Cited { text, citations } = &response.content[2] else { panic!("{:?}", response.content) };
    assert_eq!(text, "Oslo has sun.");
    assert_eq!(
        citations[0].place,
        Some(CitationPlace::Web { url: "https://example.com/oslo".to_owned(), domain: Some("example.com".to_owned()) })
    );
    assert_eq!(citations[1].quoted.as_deref(), Some("sun in Oslo"));
    assert_eq!(citations[1].place, Some(CitationPlace::DocumentPages { document: 1, start: 2, end: 3 }));
    assert!(matches!(&response.content[0], Content::ToolUse { origin: ToolOrigin::Server, .. }));
    assert!(matches!(&response.content[1], Content::ToolResult { status: ToolResultStatus::Success, .. }));
    assert_eq!(response.stop, StopReason::EndTurn, "a tool that Bedrock ran is nothing to wait for");
}

#[test]
fn sources_without_a_text_belong_to_the_text_before_them() {
    let web = |url: &str| format!(r#"{{"citationsContent":{{"citations":[{{"location":{{"web":{{"url":"{url}","domain":"d"}}}}}}]}}}}"#);
    let body = format!(
        r#"{{"output":{{"message":{{"content":[{{"text":"Oslo has sun"}},{},{},{{"text":"."}}]}}}},"stopReason":"end_turn"}}"#,
        web("https://a.example"),
        web("https://b.example")
    );
    let response = read(body.as_bytes(), &ReplyContext::default()).unwrap();
    let [Content::Cited { text: cited, citations }, rest] = response.content.as_slice() else { panic!("{:?}", response.content) };
    assert_eq!((cited.as_str(), rest), ("Oslo has sun", &text(".")));
    let urls: Vec<_> = citations.iter().map(|citation| citation.place.clone().unwrap()).collect();
    let place = |url: &str| CitationPlace::Web { url: url.to_owned(), domain: Some("d".to_owned()) };
    assert_eq!(urls, [place("https://a.example"), place("https://b.example")]);
}

#[test]
fn a_stop_sequence_is_named() {
    let response = read_fixture("stop_sequence", &ReplyContext::default());
    assert_eq!((response.stop, response.stop_sequence.as_deref()), (StopReason::StopSequence, Some("END")));
}

#[test]
fn a_stop_sequence_that_the_model_does_not_name_is_the_only_one_there_was() {
    let context = ReplyContext { only_stop_text: Some("STOP".to_owned()), ..ReplyContext::default() };
    let named = |stop: &str, context: &ReplyContext| read(&message(r#"[{"text":"a"}]"#, stop), context).unwrap().stop_sequence;
    assert_eq!(named("stop_sequence", &context).as_deref(), Some("STOP"));
    assert_eq!(named("end_turn", &context), None);
    assert_eq!(named("stop_sequence", &ReplyContext::default()), None);
    assert_eq!(read_fixture("stop_sequence", &context).stop_sequence.as_deref(), Some("END"), "the model knows best");
}

#[test]
fn unknown_members_blocks_and_reasons_are_skipped() {
    let body = br#"{"output":{"message":{"content":[{"hologram":{}},{"text":"a","new":1}]},"more":1},"stopReason":"bored","usage":{"inputTokens":1,"outputTokens":1,"futureTokens":[]},"later":{}}"#;
    let response = read(body, &ReplyContext::default()).unwrap();
    assert_eq!((response.content, response.stop), (vec![text("a")], StopReason::Unknown));
}

#[test]
fn what_is_no_answer_is_malformed_and_its_content_is_not_told() {
    for body in [
        &b"<html>"[..],
        b"{}",
        br#"{"output":{},"stopReason":"end_turn"}"#,
        br#"{"output":{"message":{"content":"secret"}},"stopReason":"x"}"#,
    ] {
        let failure = read(body, &ReplyContext::default()).unwrap_err();
        assert_eq!(failure.cause, Cause::Malformed);
        assert!(!failure.message.contains("secret"));
    }
}

#[test]
fn pain_35_the_format_tools_call_becomes_the_text_and_chatter_goes() {
    let blocks = r#"[{"text":"Here you go:"},{"toolUse":{"toolUseId":"t","name":"json_output","input":{"b": 1, "a": 2}}},{"text":"Bye"}]"#;
    assert_eq!(contents(blocks, "tool_use", &format_tool(false)), (vec![text(r#"{"b": 1, "a": 2}"#)], StopReason::EndTurn));
    let wrapped = r#"[{"toolUse":{"toolUseId":"t","name":"json_output","input":{"answer":[1, 2]}}}]"#;
    assert_eq!(contents(wrapped, "tool_use", &format_tool(true)).0, vec![text("[1, 2]")]);
    let unwrapped = r#"[{"toolUse":{"toolUseId":"t","name":"json_output","input":{"other":1}}}]"#;
    assert_eq!(contents(unwrapped, "tool_use", &format_tool(true)).0, vec![text(r#"{"other":1}"#)]);
    let plain = r#"[{"text":"{\"a\":1}"}]"#;
    assert_eq!(contents(plain, "end_turn", &format_tool(false)), (vec![text(r#"{"a":1}"#)], StopReason::EndTurn));
}

#[test]
fn calls_mean_that_the_client_is_waited_for_whatever_the_model_says() {
    let blocks = r#"[{"toolUse":{"toolUseId":"t","name":"f"}}]"#;
    let (content, stop) = contents(blocks, "end_turn", &ReplyContext::default());
    assert_eq!(stop, StopReason::ToolUse);
    assert!(matches!(&content[0], Content::ToolUse { input, .. } if input.get() == "{}"));
    assert_eq!(contents(blocks, "max_tokens", &ReplyContext::default()).1, StopReason::MaxTokens);
    assert_eq!(contents("[]", "tool_use", &ReplyContext::default()).1, StopReason::EndTurn);
}

#[test]
fn pain_03_a_call_the_client_did_not_allow_does_not_leak() {
    let context = ReplyContext { tool_calls: ToolCalls::Withheld, ..ReplyContext::default() };
    let call = r#"{"toolUse":{"toolUseId":"t","name":"f","input":{}}}"#;
    assert_eq!(contents(&format!(r#"[{{"text":"a"}},{call}]"#), "tool_use", &context), (vec![text("a")], StopReason::EndTurn));
    assert_eq!(contents(&format!("[{call}]"), "tool_use", &context).0, vec![text(&withheld_text("f"))]);
}

#[test]
fn tagged_reasoning_is_lifted_for_models_that_write_it() {
    let context = ReplyContext { reasoning_tags: vec!["thinking".to_owned()], ..ReplyContext::default() };
    let blocks = r#"[{"text":"<thinking>why</thinking>\nHello"}]"#;
    let reasoning = Content::Reasoning(Reasoning::Text { text: "why".to_owned(), signature: None });
    assert_eq!(contents(blocks, "end_turn", &context).0, vec![reasoning, text("Hello")]);
    let hidden = ReplyContext { reasoning: ReasoningVisibility::Hidden, ..context };
    assert_eq!(contents(blocks, "end_turn", &hidden).0, vec![text("Hello")]);
    assert_eq!(contents(blocks, "end_turn", &ReplyContext::default()).0, vec![text("<thinking>why</thinking>\nHello")]);
}

#[test]
fn pain_02_hidden_reasoning_keeps_its_signature() {
    let hidden = ReplyContext { reasoning: ReasoningVisibility::Hidden, ..ReplyContext::default() };
    let blocks =
        r#"[{"reasoningContent":{"reasoningText":{"text":"a","signature":"s"}}},{"reasoningContent":{"reasoningText":{"text":"b"}}}]"#;
    let signature = Content::Reasoning(Reasoning::Text { text: String::new(), signature: Some("s".to_owned()) });
    assert_eq!(contents(blocks, "end_turn", &hidden).0, vec![signature]);
}

#[test]
fn an_image_in_the_answer_is_kept() {
    let blocks = r#"[{"image":{"format":"png","source":{"bytes":"aW1n"}}}]"#;
    assert!(matches!(&contents(blocks, "end_turn", &ReplyContext::default()).0[0], Content::Media(media) if media.format.name == "png"));
}

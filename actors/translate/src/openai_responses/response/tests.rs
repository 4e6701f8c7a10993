use std::{path::PathBuf, sync::Arc};

use outcrop_domain::{
    chat::{Citation, CitationPlace, Content, Message, Reasoning, ReasoningVisibility, ToolOrigin, ToolResultPart, ToolResultStatus},
    error::UpstreamFailure,
};
use serde_json::{Value, json};

use super::*;
use crate::{
    dialect::{ReadOptions, Sniff, media::FetchedMedia},
    openai_responses::{
        CallKind, Echo, Include, ToolForm, ToolForms,
        request::{Earlier, ResponsesOptions, read},
        schema,
    },
};

fn meta() -> ResponseMeta {
    ResponseMeta { id: "resp_1".to_owned(), created_unix: 1_700_000_000, model_shown: "claude".to_owned() }
}

fn answer(content: Vec<Content>, stop: StopReason) -> ChatResponse {
    let usage = Usage { input: 10, output: 7, cache_read: 3, cache_write_5m: 2, cache_write_1h: 1, reasoning: None };
    ChatResponse { content, stop, usage, service_tier: None, trace: None, stop_sequence: None }
}

fn text(text: &str) -> Content {
    Content::Text(text.to_owned())
}

fn tool_use(id: &str, name: &str, input: &str, origin: ToolOrigin) -> Content {
    Content::ToolUse { id: id.to_owned(), name: name.to_owned(), input: JsonText::parse(input.to_owned()).unwrap(), origin }
}

fn signed(text: &str, signature: &str) -> Reasoning {
    Reasoning::Text { text: text.to_owned(), signature: Some(signature.to_owned()) }
}

fn rendered(content: Vec<Content>, stop: StopReason, shape: ResponseShape) -> (FinalResponse, Value) {
    let response = render(answer(content, stop), meta(), shape, 1_700_000_009);
    let shown = response.shown().unwrap().to_value().unwrap();
    schema::check("Response", &shown);
    schema::check("Response", &response.stored().unwrap().to_value().unwrap());
    (response, shown)
}

fn plain(content: Vec<Content>, stop: StopReason) -> Value {
    rendered(content, stop, ResponseShape::default()).1
}

fn snapshot(name: &str, value: &Value) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/openai_responses"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, serde_json::to_string_pretty(value).unwrap()));
}

fn shape_with_tools() -> ResponseShape {
    let form =
        |kind, namespace: Option<&str>, name: &str| ToolForm { kind, namespace: namespace.map(str::to_owned), name: name.to_owned() };
    let forms = [
        ("patch", form(CallKind::Custom, None, "patch")),
        ("crm__find", form(CallKind::Function, Some("crm"), "find")),
        ("crm__note", form(CallKind::Custom, Some("crm"), "note")),
    ];
    let tools = ToolForms(forms.into_iter().map(|(name, form)| (name.to_owned(), form)).collect());
    ResponseShape { tools: Arc::new(tools), ..ResponseShape::default() }
}

#[test]
fn a_plain_answer_has_every_required_member() {
    let shown = plain(vec![text("Hello"), text(" there")], StopReason::EndTurn);
    snapshot("answer_plain", &shown);
    assert_eq!(shown["output"].as_array().unwrap().len(), 1, "neighbouring texts are one message");
    assert_eq!(shown["output"][0]["content"][0]["text"], "Hello there");
}

#[test]
fn pain_15_input_tokens_are_all_input_and_the_details_tell_the_cache() {
    let usage = plain(vec![text("x")], StopReason::EndTurn)["usage"].clone();
    let expected = json!({"input_tokens": 16, "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 3},
        "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 23});
    assert_eq!(usage, expected);
}

#[test]
fn calls_look_as_the_client_knows_its_tools() {
    let calls = vec![
        text("Let me see."),
        tool_use("c1", "f", r#"{"a": [1,  2]}"#, ToolOrigin::Client),
        tool_use("c2", "patch", r#"{"input":"*** Begin\n"}"#, ToolOrigin::Client),
        tool_use("c3", "crm__find", "{}", ToolOrigin::Client),
        tool_use("c4", "crm__note", r#"{"other":1}"#, ToolOrigin::Client),
    ];
    let (_, shown) = rendered(calls, StopReason::ToolUse, shape_with_tools());
    snapshot("answer_tool_calls", &shown);
    let output = &shown["output"];
    assert_eq!(output[1]["arguments"], r#"{"a": [1,  2]}"#);
    assert_eq!((output[2]["type"].as_str(), output[2]["input"].as_str()), (Some("custom_tool_call"), Some("*** Begin\n")));
    assert_eq!((output[3]["name"].as_str(), output[3]["namespace"].as_str()), (Some("find"), Some("crm")));
    assert_eq!((output[4]["input"].as_str(), output[4]["namespace"].as_str()), (Some(r#"{"other":1}"#), Some("crm")));
    assert_eq!(shown["status"], "completed");
}

#[test]
fn ids_are_made_of_the_response_and_the_place() {
    let content = || vec![Content::Reasoning(signed("hm", "S")), text("a"), tool_use("c1", "f", "{}", ToolOrigin::Client)];
    let first = plain(content(), StopReason::ToolUse);
    let ids: Vec<_> = first["output"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["rs_1_0", "msg_1_1", "fc_1_2"]);
    assert_eq!(first, plain(content(), StopReason::ToolUse));
}

#[test]
fn reasoning_is_shown_and_sealed_as_asked_for() {
    let content =
        || vec![Content::Reasoning(signed("thought", "SIG")), Content::Reasoning(Reasoning::Redacted("ENC".to_owned())), text("x")];
    for (visibility, encrypted_reasoning) in [(ReasoningVisibility::Shown, true), (ReasoningVisibility::Hidden, false)] {
        let include = Include { encrypted_reasoning, code_outputs: false };
        let shape = ResponseShape { summary: visibility, include, ..ResponseShape::default() };
        let (response, shown) = rendered(content(), StopReason::EndTurn, shape);
        let is_shown = visibility == ReasoningVisibility::Shown;
        assert_eq!(shown.to_string().contains("thought"), is_shown);
        assert_eq!(shown.to_string().contains("outcrop-reasoning-1."), encrypted_reasoning);
        let items: Vec<String> = response.items().unwrap().iter().map(|item| item.get().to_owned()).collect();
        assert!(items[..2].iter().all(|item| item.contains("outcrop-reasoning-1.")), "what is stored is complete");
    }
    let shape = ResponseShape {
        summary: ReasoningVisibility::Shown,
        include: Include { encrypted_reasoning: true, code_outputs: false },
        ..ResponseShape::default()
    };
    snapshot("answer_reasoning", &rendered(content(), StopReason::EndTurn, shape).1);
}

/// What the hub gets when the items of an answer come back, from the store or from the client.
fn sent_back(items: &[JsonText]) -> Vec<Content> {
    messages_of(items)[0].content.clone()
}

fn messages_of(items: &[JsonText]) -> Vec<Message> {
    let no_media: Sniff = |_, _, _| None;
    let options = ResponsesOptions::new(ReadOptions::new(no_media));
    let earlier = Earlier { items: items.to_vec(), ..Earlier::default() };
    let wire = serde_json::from_str(r#"{"model":"m","input":"r"}"#).unwrap();
    let read = read(wire, &earlier, &FetchedMedia::default(), &options).unwrap();
    assert!(read.adjustments.is_empty(), "{}", read.adjustments);
    read.request.messages
}

#[test]
fn pain_02_and_32_an_answer_that_comes_back_is_the_same_answer() {
    let content = vec![
        Content::Reasoning(signed("first\n\u{1f4ad}", "SIG1==")),
        Content::Reasoning(Reasoning::Redacted("ENC==".to_owned())),
        Content::Reasoning(signed("", "ONLY SIGNED")),
        text("Hello"),
        tool_use("c1", "f", r#"{"a": 1.0}"#, ToolOrigin::Client),
        Content::Reasoning(Reasoning::Text { text: "plain".to_owned(), signature: None }),
        tool_use("c2", "f", "{}", ToolOrigin::Client),
    ];
    let (response, _) = rendered(content.clone(), StopReason::ToolUse, ResponseShape::default());
    assert_eq!(sent_back(&response.items().unwrap()), content, "from the store");
    let include = Include { encrypted_reasoning: true, code_outputs: false };
    let (_, shown) = rendered(content.clone(), StopReason::ToolUse, ResponseShape { include, ..ResponseShape::default() });
    let items: Vec<_> = shown["output"].as_array().unwrap().iter().map(|item| JsonText::of(item).unwrap()).collect();
    assert_eq!(sent_back(&items), content, "from the client");
}

#[test]
fn pain_33_custom_and_namespaced_calls_come_back_as_the_model_wrote_them() {
    let content = vec![
        tool_use("c1", "patch", r#"{"input":"x"}"#, ToolOrigin::Client),
        tool_use("c2", "crm__find", r#"{"q":1}"#, ToolOrigin::Client),
        tool_use("c3", "crm__note", r#"{"input":"y"}"#, ToolOrigin::Client),
    ];
    let (response, _) = rendered(content.clone(), StopReason::ToolUse, shape_with_tools());
    assert_eq!(sent_back(&response.items().unwrap()), content);
}

#[test]
fn web_citations_and_documents_become_annotations_counted_in_code_points() {
    let citation = |title: Option<&str>, source: Option<&str>, place| Citation {
        title: title.map(str::to_owned),
        source: source.map(str::to_owned),
        quoted: None,
        place,
    };
    let web = CitationPlace::Web { url: "https://example.com/a".to_owned(), domain: None };
    let cited = Content::Cited {
        text: "\u{1f30d} is round".to_owned(),
        citations: vec![
            citation(Some("Earth"), None, Some(web)),
            citation(Some("report.pdf"), None, Some(CitationPlace::DocumentCharacters { document: 1, start: 0, end: 9 })),
            citation(None, None, Some(CitationPlace::SearchResult { result: 0, start: 0, end: 1 })),
            citation(Some("nowhere"), None, None),
        ],
    };
    let shown = plain(vec![text("The "), cited, text(".")], StopReason::EndTurn);
    let part = &shown["output"][0]["content"][0];
    assert_eq!(part["text"], "The \u{1f30d} is round.");
    let expected = json!([
        {"type": "url_citation", "start_index": 4, "end_index": 14, "title": "Earth", "url": "https://example.com/a"},
        {"type": "file_citation", "file_id": "", "filename": "report.pdf", "index": 1},
    ]);
    assert_eq!(part["annotations"], expected);
}

#[test]
fn the_providers_own_tools_are_shown_with_what_was_asked_for() {
    let content = || {
        vec![
            tool_use("s1", "nova_grounding", r#"{"query":"rome"}"#, ToolOrigin::Server),
            Content::ToolResult {
                id: "s1".to_owned(),
                parts: vec![ToolResultPart::Text("found".to_owned())],
                status: ToolResultStatus::Success,
            },
            tool_use("s2", "nova_code_interpreter", r#"{"snippet":"print(1)"}"#, ToolOrigin::Server),
            Content::ToolResult {
                id: "s2".to_owned(),
                parts: vec![ToolResultPart::Text(r#"{"stdOut":"1\n","stdErr":"","exitCode":0,"isError":false}"#.to_owned())],
                status: ToolResultStatus::Success,
            },
            text("One."),
        ]
    };
    let shape = ResponseShape { include: Include { encrypted_reasoning: false, code_outputs: true }, ..ResponseShape::default() };
    let (_, shown) = rendered(content(), StopReason::EndTurn, shape);
    snapshot("answer_hosted_tools", &shown);
    assert_eq!(shown["output"][1]["outputs"], json!([{"type": "logs", "logs": "1\n"}]));
    let (response, shown) = rendered(content(), StopReason::EndTurn, ResponseShape::default());
    assert_eq!(shown["output"][1]["outputs"], Value::Null);
    let kept = response.items().unwrap();
    assert!(kept[1].get().contains(r#""outputs":[{"type":"logs","logs":"1\n"}]"#), "{}", kept[1].get());
    let result = &messages_of(&kept[1..2])[1];
    let printed = ToolResultPart::Text(r#"[{"type":"logs","logs":"1\n"}]"#.to_owned());
    assert!(matches!(&result.content[0], Content::ToolResult { parts, .. } if *parts == [printed]), "{result:?}");
}

#[test]
fn an_answer_that_was_cut_off_is_incomplete() {
    let shown = plain(vec![text("a"), tool_use("c1", "f", "{}", ToolOrigin::Client)], StopReason::MaxTokens);
    snapshot("answer_incomplete", &shown);
    assert_eq!((shown["status"].as_str(), shown["completed_at"].is_null()), (Some("incomplete"), true));
}

#[test]
fn a_wish_for_a_summary_is_answered_with_one_sealed_item() {
    let shape = || ResponseShape { answer: AnswerForm::Summary, ..ResponseShape::default() };
    let content = vec![Content::Reasoning(signed("hm", "S")), text("We did "), text("it.")];
    let (_, shown) = rendered(content, StopReason::MaxTokens, shape());
    assert_eq!((shown["status"].as_str(), shown["output"].as_array().unwrap().len()), (Some("completed"), 1));
    let sealed = shown["output"][0]["encrypted_content"].as_str().unwrap();
    assert!(crate::openai_responses::sealed::open_summary(sealed).unwrap().starts_with("We did it."));
    assert_eq!(rendered(Vec::new(), StopReason::EndTurn, shape()).1["status"], "failed");
}

#[test]
fn an_answer_that_nobody_can_use_has_failed() {
    let shown = plain(vec![text("a")], StopReason::MalformedToolUse);
    assert_eq!((shown["status"].as_str(), shown["error"]["code"].as_str()), (Some("failed"), Some("server_error")));
}

#[test]
fn an_answer_without_content_has_no_output() {
    let shown = plain(vec![text(""), Content::Reasoning(Reasoning::Text { text: String::new(), signature: None })], StopReason::EndTurn);
    assert_eq!((&shown["output"], shown["status"].as_str()), (&json!([]), Some("completed")));
}

fn upstream(cause: Cause) -> GatewayError {
    GatewayError::Upstream(UpstreamFailure {
        cause,
        status: 400,
        code: "X".to_owned(),
        message: "upstream's words".to_owned(),
        request_id: None,
        retry_after: None,
        region: None,
        model_error: None,
    })
}

#[test]
fn pain_08_every_failure_has_a_code_that_agents_know_and_upstreams_words() {
    let table = [
        (upstream(Cause::Throttled), "rate_limit_exceeded"),
        (upstream(Cause::QuotaExhausted), "rate_limit_exceeded"),
        (upstream(Cause::BadRequest), "invalid_prompt"),
        (upstream(Cause::Unavailable), "server_error"),
        (upstream(Cause::BrokenStream), "server_error"),
        (GatewayError::invalid("input", "upstream's words"), "invalid_prompt"),
        (
            GatewayError::RateLimited { message: "upstream's words".to_owned(), retry_after: std::time::Duration::ZERO },
            "rate_limit_exceeded",
        ),
        (GatewayError::FetchFailed { message: "upstream's words".to_owned(), param: None }, "failed_to_download_image"),
        (GatewayError::Internal { message: "upstream's words".to_owned() }, "server_error"),
    ];
    for (error, code) in table {
        let response = failed(meta(), ResponseShape::default(), &error);
        let shown = response.shown().unwrap().to_value().unwrap();
        schema::check("Response", &shown);
        assert_eq!(shown["error"], json!({"code": code, "message": "upstream's words"}));
    }
    // Beyond the published list, but what agents look for to shorten their prompt.
    let shown = failed(meta(), ResponseShape::default(), &upstream(Cause::ContextOverflow)).shown().unwrap().to_value().unwrap();
    assert_eq!(shown["error"]["code"], "context_length_exceeded");
}

#[test]
fn a_stored_response_is_shown_as_it_is_asked_for() {
    let include = Include { encrypted_reasoning: true, code_outputs: false };
    let (response, asked) = rendered(
        vec![Content::Reasoning(signed("t", "S")), text("x")],
        StopReason::EndTurn,
        ResponseShape { include, ..ResponseShape::default() },
    );
    let stored = response.stored().unwrap();
    assert_eq!(shown(&stored, include).unwrap().to_value().unwrap(), asked);
    let less = shown(&stored, Include::default()).unwrap().to_value().unwrap();
    schema::check("Response", &less);
    assert!(!less.to_string().contains("encrypted_content"));
    assert_eq!(less["output"][1], asked["output"][1]);
}

#[test]
fn the_echo_keeps_the_clients_own_text_through_the_store() {
    let tool = r#"{"type":"function","name":"f","strict":null,"parameters":{"type":"object","properties":{"z":{"maximum":1e400},"a":{}}}}"#;
    let echo = Echo { tools: vec![JsonText::parse(tool.to_owned()).unwrap()], ..Echo::default() };
    let shape = ResponseShape { echo: Arc::new(echo), ..ResponseShape::default() };
    let stored = render(answer(vec![text("x")], StopReason::EndTurn), meta(), shape, 9).stored().unwrap();
    assert!(shown(&stored, Include::default()).unwrap().get().contains(tool));
}

#[test]
fn only_a_response_under_way_can_be_given_up_or_lost() {
    let begun = under_way(&meta(), &ResponseShape::default(), Status::Queued).unwrap();
    schema::check("Response", &begun.to_value().unwrap());
    let (given_up, changed) = cancelled(&begun).unwrap();
    assert_eq!((given_up.to_value().unwrap()["status"].as_str(), changed), (Some("cancelled"), true));
    let (lost, changed) = failed_later(&begun, &GatewayError::WorkerLost).unwrap();
    let lost = lost.to_value().unwrap();
    schema::check("Response", &lost);
    assert_eq!((lost["status"].as_str(), lost["error"]["code"].as_str(), changed), (Some("failed"), Some("server_error"), true));

    let done = render(answer(vec![text("x")], StopReason::EndTurn), meta(), ResponseShape::default(), 9).stored().unwrap();
    assert_eq!(cancelled(&done).unwrap(), (done.clone(), false));
    assert_eq!(failed_later(&done, &GatewayError::WorkerLost).unwrap(), (done, false));
    assert!(cancelled(&JsonText::empty_object()).is_err());
}

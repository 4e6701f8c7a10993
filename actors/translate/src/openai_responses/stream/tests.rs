mod arbitrary;
mod grammar;
mod replayed;

use std::{path::PathBuf, sync::Arc};

use outcrop_domain::{
    chat::{BlockKind, Citation, CitationPlace, ServiceTier, StopReason, ToolOrigin},
    error::{Cause, UpstreamFailure},
    json::JsonText,
    usage::Usage,
};
use serde_json::{Value, json};

use super::*;
use crate::openai_responses::{CallKind, Echo, Include, ToolForm, ToolForms, schema};

fn meta() -> ResponseMeta {
    ResponseMeta { id: "resp_1".to_owned(), created_unix: 1_700_000_000, model_shown: "claude \"x\"".to_owned() }
}

/// Summaries shown, everything included, a custom tool and a namespace.
fn rich_shape() -> ResponseShape {
    let form =
        |kind, namespace: Option<&str>, name: &str| ToolForm { kind, namespace: namespace.map(str::to_owned), name: name.to_owned() };
    let forms = [
        ("apply_patch", form(CallKind::Custom, None, "apply_patch")),
        ("crm__find", form(CallKind::Function, Some("crm"), "find")),
        ("crm__note", form(CallKind::Custom, Some("crm"), "note")),
    ];
    ResponseShape {
        answer: AnswerForm::Items,
        tools: Arc::new(ToolForms(forms.into_iter().map(|(name, form)| (name.to_owned(), form)).collect())),
        summary: ReasoningVisibility::Shown,
        include: Include::ALL,
        echo: Arc::new(Echo { summary: Some("auto".to_owned()), effort: Some("low".to_owned()), ..Echo::default() }),
    }
}

fn text(index: u32, text: &str) -> ChatEvent {
    ChatEvent::Text { index, text: text.to_owned() }
}

fn tool(index: u32, id: &str, name: &str) -> ChatEvent {
    started_tool(index, id, name, ToolOrigin::Client)
}

fn started_tool(index: u32, id: &str, name: &str, origin: ToolOrigin) -> ChatEvent {
    ChatEvent::BlockStarted { index, kind: BlockKind::ToolUse { id: id.to_owned(), name: name.to_owned(), origin } }
}

fn input(index: u32, fragment: &str) -> ChatEvent {
    ChatEvent::ToolInput { index, fragment: fragment.to_owned() }
}

fn thinks(index: u32, text: &str) -> ChatEvent {
    ChatEvent::Reasoning { index, text: text.to_owned() }
}

fn signed(index: u32, signature: &str) -> ChatEvent {
    ChatEvent::ReasoningSignature { index, signature: signature.to_owned() }
}

fn stopped(index: u32) -> ChatEvent {
    ChatEvent::BlockStopped { index }
}

/// What the provider's tool answers to the call `id`.
fn printed(index: u32, id: &str, pieces: &[&str]) -> Vec<ChatEvent> {
    let begins = ChatEvent::BlockStarted { index, kind: BlockKind::ServerToolResult { id: id.to_owned() } };
    let pieces = pieces.iter().map(|text| ChatEvent::ServerToolOutput { index, text: (*text).to_owned() });
    std::iter::once(begins).chain(pieces).collect()
}

fn stop(reason: StopReason) -> ChatEvent {
    ChatEvent::Stopped { reason, stop_sequence: None }
}

fn finished(input: u64, output: u64) -> ChatEvent {
    let usage = Usage { input, output, cache_read: 3, cache_write_5m: 2, cache_write_1h: 1, reasoning: Some(1) };
    ChatEvent::Finished { usage, service_tier: Some(ServiceTier::Flex), trace: None }
}

fn written(shape: ResponseShape, events: &[ChatEvent]) -> (EventWriter, Vec<u8>) {
    let mut writer = EventWriter::new(meta(), shape);
    let mut out = Vec::new();
    for event in events {
        writer.write(event, &mut out);
    }
    (writer, out)
}

/// Writes the events and ends the answer.
fn stream_of(shape: ResponseShape, events: &[ChatEvent]) -> String {
    let (writer, mut out) = written(shape, events);
    writer.close(1_700_000_009, &mut out).finish(&mut out);
    String::from_utf8(out).unwrap()
}

fn snapshot(name: &str, stream: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/openai_responses"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, stream));
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap().strip_prefix("response.").unwrap()).collect()
}

fn throttled() -> GatewayError {
    GatewayError::Upstream(UpstreamFailure {
        cause: Cause::Throttled,
        status: 429,
        code: "ThrottlingException".to_owned(),
        message: "Too many \"tokens\"".to_owned(),
        request_id: None,
        retry_after: None,
        region: None,
        model_error: None,
    })
}

#[test]
fn text_in_openais_order() {
    let stream = stream_of(
        ResponseShape::default(),
        &[ChatEvent::Started, text(0, "Hel"), text(0, "lo\u{2028}"), stopped(0), stop(StopReason::EndTurn), finished(10, 4)],
    );
    snapshot("stream_text", &stream);
    let events = grammar::check(&stream);
    assert_eq!(
        kinds(&events),
        [
            "created",
            "in_progress",
            "output_item.added",
            "content_part.added",
            "output_text.delta",
            "output_text.delta",
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "completed"
        ]
    );
    let response = &events.last().unwrap()["response"];
    assert_eq!((response["status"].as_str(), response["completed_at"].as_u64()), (Some("completed"), Some(1_700_000_009)));
    assert_eq!(response["usage"]["input_tokens"], 16);
    assert_eq!(response["service_tier"], "flex");
}

#[test]
fn pain_23_parallel_calls_are_items_of_their_own_with_whole_arguments() {
    let stream = stream_of(
        rich_shape(),
        &[
            ChatEvent::Started,
            text(0, "Let me see"),
            stopped(0),
            tool(1, "c1", "get"),
            tool(4, "c2", "crm__find"),
            input(1, "{\"a\""),
            input(4, "{\"b\":"),
            input(1, ":1}"),
            stopped(1),
            input(4, "\"\u{e9}\\n\"}"),
            stopped(4),
            tool(5, "c3", "now"),
            stopped(5),
            stop(StopReason::ToolUse),
            finished(1, 1),
        ],
    );
    snapshot("stream_parallel_tool_calls", &stream);
    let events = grammar::check(&stream);
    let output = events.last().unwrap()["response"]["output"].as_array().unwrap();
    assert_eq!(output[1]["arguments"], "{\"a\":1}");
    assert_eq!((output[2]["namespace"].as_str(), output[2]["name"].as_str()), (Some("crm"), Some("find")));
    assert_eq!(output[2]["arguments"], "{\"b\":\"\u{e9}\\n\"}");
    assert_eq!(output[3]["arguments"], "{}", "a call without arguments is an empty object");
    assert_eq!(events.last().unwrap()["type"], "response.completed");
}

#[test]
fn pain_02_reasoning_streams_as_a_summary_and_ends_sealed() {
    let stream = stream_of(
        rich_shape(),
        &[
            ChatEvent::Started,
            thinks(0, "I \"think\""),
            thinks(0, " so"),
            signed(0, "SIG=="),
            stopped(0),
            ChatEvent::ReasoningRedacted { index: 1, data: "ENC==".to_owned() },
            stopped(1),
            signed(2, "ONLY"),
            text(3, "Yes"),
            stop(StopReason::EndTurn),
            finished(1, 1),
        ],
    );
    snapshot("stream_reasoning", &stream);
    let events = grammar::check(&stream);
    let output = events.last().unwrap()["response"]["output"].as_array().unwrap().clone();
    let sealed: Vec<_> = output[..3].iter().map(|item| item["encrypted_content"].as_str().unwrap()).collect();
    let opened: Vec<_> = sealed.iter().flat_map(|sealed| crate::openai_responses::sealed::open_reasoning(sealed).unwrap()).collect();
    let block = |text: &str, signature: &str| Reasoning::Text { text: text.to_owned(), signature: Some(signature.to_owned()) };
    assert_eq!(opened, [block("I \"think\" so", "SIG=="), Reasoning::Redacted("ENC==".to_owned()), block("", "ONLY")]);
    assert_eq!((output[1]["summary"].clone(), output[2]["summary"].clone()), (json!([]), json!([])));
}

#[test]
fn reasoning_that_was_not_asked_for_is_neither_shown_nor_lost() {
    let events = [thinks(0, "private"), signed(0, "SIG"), stopped(0), text(1, "public"), stop(StopReason::EndTurn)];
    let (writer, mut out) = written(ResponseShape::default(), &events);
    let closed = writer.close(9, &mut out);
    let stored = closed.response().stored().unwrap();
    let items = closed.response().items().unwrap();
    closed.finish(&mut out);
    let stream = String::from_utf8(out).unwrap();
    let kinds_seen = grammar::check(&stream);
    assert!(!stream.contains("encrypted_content") && !stream.contains("summary_text") && !stream.contains("private"), "{stream}");
    assert_eq!(kinds(&kinds_seen)[2..4], ["output_item.added", "output_item.done"]);
    for kept in [stored.get(), items[0].get()] {
        assert!(kept.contains("outcrop-reasoning-1."), "{kept}");
    }
}

#[test]
fn pain_33_custom_tools_stream_their_text_as_it_comes() {
    let stream = stream_of(
        rich_shape(),
        &[
            tool(0, "c1", "apply_patch"),
            input(0, "{\"input\": \"*** Be"),
            input(0, "gin\\n\\\"x\\\""),
            input(0, "\"}"),
            stopped(0),
            tool(1, "c2", "crm__note"),
            input(1, "no object"),
            stopped(1),
            tool(2, "c3", "apply_patch"),
            stopped(2),
            stop(StopReason::ToolUse),
            finished(1, 1),
        ],
    );
    snapshot("stream_custom_tool_calls", &stream);
    let events = grammar::check(&stream);
    let deltas: Vec<_> = events.iter().filter(|event| event["output_index"] == 0).filter_map(|event| event["delta"].as_str()).collect();
    assert_eq!(deltas, ["*** Be", "gin\n\"x\""]);
    let output = &events.last().unwrap()["response"]["output"];
    assert_eq!(
        output[1],
        json!({"type": "custom_tool_call", "id": "ctc_1_1", "status": "completed", "call_id": "c2", "input": "no object", "name": "note", "namespace": "crm"})
    );
    assert_eq!(output[2]["input"], "");
}

#[test]
fn tools_that_the_provider_runs_are_items_of_their_own_kind() {
    let web = CitationPlace::Web { url: "https://example.com/a".to_owned(), domain: None };
    let page = CitationPlace::DocumentPages { document: 2, start: 1, end: 2 };
    let citation = |place| Citation { title: Some("T".to_owned()), source: None, quoted: None, place: Some(place) };
    let stream = stream_of(
        ResponseShape::default(),
        &[
            started_tool(0, "s1", "nova_grounding", ToolOrigin::Server),
            input(0, "{\"query\":\"rome\"}"),
            stopped(0),
            ChatEvent::BlockStarted { index: 1, kind: BlockKind::ServerToolResult { id: "s1".to_owned() } },
            stopped(1),
            started_tool(2, "s2", "nova_code_interpreter", ToolOrigin::Server),
            input(2, "{\"snippet\":\"print(1)\"}"),
            stopped(2),
            text(3, "H\u{e9}llo "),
            text(4, "\u{1f30d}!"),
            ChatEvent::Cited { index: 4, citation: citation(web) },
            ChatEvent::Cited { index: 4, citation: citation(page) },
            stop(StopReason::ToolUse),
            finished(1, 1),
        ],
    );
    snapshot("stream_hosted_tools", &stream);
    let events = grammar::check(&stream);
    let output = &events.last().unwrap()["response"]["output"];
    assert_eq!(output[0]["action"], json!({"type": "search", "query": "rome"}));
    assert_eq!(output[1]["code"], "print(1)");
    let annotations = &output[2]["content"][0]["annotations"];
    assert_eq!(
        annotations[0],
        json!({"type": "url_citation", "start_index": 6, "end_index": 8, "title": "T", "url": "https://example.com/a"})
    );
    assert_eq!(annotations[1], json!({"type": "file_citation", "file_id": "", "filename": "T", "index": 2}));
}

#[test]
fn what_programs_printed_stands_in_their_calls_for_who_asks_for_it_and_in_the_store() {
    let program = |index, id| [started_tool(index, id, "nova_code_interpreter", ToolOrigin::Server), input(index, "{\"code\":\"1\"}")];
    let events: Vec<ChatEvent> = [
        program(0, "s1").to_vec(),
        vec![stopped(0)],
        program(1, "s2").to_vec(),
        vec![stopped(1)],
        // As the sandbox tells it, in pieces and whole, and as it is.
        printed(2, "s1", &["{\"stdOut\":\"one, ", "two\",\"stdErr\":\"oh\",\"exitCode\":1}"]),
        printed(3, "s2", &["three"]),
        vec![text(4, "Done."), stop(StopReason::EndTurn), finished(1, 1)],
        // Nobody is told of this in an event of its own, but it is kept.
        printed(5, "s2", &["four"]),
    ]
    .concat();
    let logs = |texts: &[&str]| json!(texts.iter().map(|text| json!({"type": "logs", "logs": text})).collect::<Vec<_>>());
    for (shape, shown) in [(rich_shape(), true), (ResponseShape::default(), false)] {
        let told = grammar::check(&stream_of(shape.clone(), &events[..events.len() - 2]));
        let output = &told.last().unwrap()["response"]["output"];
        let expected = if shown { (logs(&["one, two\noh"]), logs(&["three"])) } else { (Value::Null, Value::Null) };
        assert_eq!((&output[0]["outputs"], &output[1]["outputs"]), (&expected.0, &expected.1));
        let (writer, mut out) = written(shape, &events);
        let stored = writer.close(9, &mut out).response().stored().unwrap().to_value().unwrap();
        assert_eq!(
            (&stored["output"][0]["outputs"], &stored["output"][1]["outputs"]),
            (&logs(&["one, two\noh"]), &logs(&["three", "four"]))
        );
    }
}

#[test]
fn an_answer_that_was_cut_off_is_incomplete_to_the_last_item() {
    let events =
        [text(0, "a"), stopped(0), tool(1, "c1", "f"), input(1, "{\"a\":"), stopped(1), stop(StopReason::MaxTokens), finished(1, 1)];
    let stream = stream_of(ResponseShape::default(), &events);
    snapshot("stream_incomplete", &stream);
    let told = grammar::check(&stream);
    let response = &told.last().unwrap()["response"];
    assert_eq!(told.last().unwrap()["type"], "response.incomplete");
    assert_eq!(response["incomplete_details"], json!({"reason": "max_output_tokens"}));
    assert_eq!(
        (response["output"][0]["status"].as_str(), response["output"][1]["status"].as_str()),
        (Some("completed"), Some("incomplete"))
    );
    assert_eq!(response["output"][1]["arguments"], "{\"a\":", "what was written stays as it is");
    assert_eq!(response["completed_at"], Value::Null);
}

#[test]
fn every_stop_reason_has_its_end() {
    let table = [
        (StopReason::EndTurn, "completed", Value::Null),
        (StopReason::StopSequence, "completed", Value::Null),
        (StopReason::ToolUse, "completed", Value::Null),
        (StopReason::Unknown, "completed", Value::Null),
        (StopReason::MaxTokens, "incomplete", json!({"reason": "max_output_tokens"})),
        (StopReason::ModelContextWindowExceeded, "incomplete", json!({"reason": "max_output_tokens"})),
        (StopReason::GuardrailIntervened, "incomplete", json!({"reason": "content_filter"})),
        (StopReason::ContentFiltered, "incomplete", json!({"reason": "content_filter"})),
        (StopReason::MalformedModelOutput, "failed", Value::Null),
        (StopReason::MalformedToolUse, "failed", Value::Null),
    ];
    for (reason, status, details) in table {
        let events = grammar::check(&stream_of(ResponseShape::default(), &[text(0, "x"), stop(reason)]));
        let end = events.last().unwrap();
        assert_eq!(end["type"], format!("response.{status}"), "{reason:?}");
        assert_eq!((&end["response"]["status"], &end["response"]["incomplete_details"]), (&json!(status), &details), "{reason:?}");
        assert_eq!(end["response"]["error"].is_object(), status == "failed", "{reason:?}");
    }
}

#[test]
fn pain_21_a_failure_is_one_event_that_holds_what_was_written() {
    let (writer, mut out) = written(ResponseShape::default(), &[text(0, "Hel"), tool(1, "c", "f"), input(1, "{")]);
    let closed = writer.fail(&throttled(), &mut out);
    assert_eq!(closed.response().status(), Status::Failed);
    closed.finish(&mut out);
    let stream = String::from_utf8(out).unwrap();
    snapshot("stream_failed", &stream);
    let events = grammar::check(&stream);
    let response = &events.last().unwrap()["response"];
    assert_eq!(response["error"], json!({"code": "rate_limit_exceeded", "message": "Too many \"tokens\""}));
    assert_eq!(response["output"][1]["status"], "incomplete");
}

#[test]
fn pain_21_an_answer_that_never_stopped_does_not_look_whole() {
    let (writer, mut out) = written(ResponseShape::default(), &[text(0, "all"), finished(1, 1)]);
    writer.close(9, &mut out).finish(&mut out);
    let events = grammar::check(&String::from_utf8(out).unwrap());
    assert_eq!(events.last().unwrap()["type"], "response.failed");
}

#[test]
fn a_failure_before_the_first_event_is_a_whole_stream() {
    let mut out = Vec::new();
    EventWriter::new(meta(), ResponseShape::default()).fail(&throttled(), &mut out).finish(&mut out);
    let events = grammar::check(&String::from_utf8(out).unwrap());
    assert_eq!(kinds(&events), ["created", "in_progress", "failed"]);
}

#[test]
fn pain_32_the_response_is_there_before_the_end_is_told() {
    let (writer, mut out) = written(rich_shape(), &[thinks(0, "hm"), text(1, "a"), stop(StopReason::EndTurn), finished(1, 1)]);
    let closed = writer.close(9, &mut out);
    let told = String::from_utf8(out.clone()).unwrap();
    assert!(!told.contains("response.completed"), "nobody was told of the end");
    let shown = closed.response().shown().unwrap();
    let items = closed.response().items().unwrap();
    assert_eq!((closed.response().id(), items.len(), closed.response().output().len()), ("resp_1", 2, 2));
    closed.finish(&mut out);
    let events = grammar::check(&String::from_utf8(out).unwrap());
    assert_eq!(events.last().unwrap()["response"], shown.to_value().unwrap());
}

#[test]
fn pain_32_a_response_that_could_not_be_kept_does_not_look_complete() {
    let (writer, mut out) = written(ResponseShape::default(), &[text(0, "a"), stop(StopReason::EndTurn)]);
    writer.close(9, &mut out).lost(&GatewayError::Internal { message: "the store is away".to_owned() }, &mut out);
    let events = grammar::events(&String::from_utf8(out).unwrap());
    let last = events.last().unwrap();
    schema::check_event(last);
    assert_eq!((last["type"].as_str(), last["message"].as_str()), (Some("error"), Some("the store is away")));
    assert_eq!(last["sequence_number"].as_u64(), Some(events.len() as u64 - 1));
}

#[test]
fn an_answer_that_its_client_gave_up_keeps_what_was_written() {
    let (writer, _) = written(ResponseShape::default(), &[text(0, "Hel"), text(0, "lo"), tool(1, "c", "f"), input(1, "{\"a\":")]);
    let closed = writer.cancel();
    let stored = closed.response().stored().unwrap().to_value().unwrap();
    schema::check("Response", &stored);
    assert_eq!(stored["status"], "cancelled");
    assert_eq!(stored["output"][0]["content"][0]["text"], "Hello");
    assert_eq!((stored["output"][0]["status"].as_str(), stored["output"][1]["arguments"].as_str()), (Some("completed"), Some("{\"a\":")));
}

#[test]
fn a_background_response_waits_before_it_is_at_work() {
    let shape = ResponseShape { echo: Arc::new(Echo { background: true, ..Echo::default() }), ..ResponseShape::default() };
    let events = grammar::check(&stream_of(shape, &[text(0, "x"), stop(StopReason::EndTurn)]));
    let statuses: Vec<_> = events[..3].iter().map(|event| event["response"]["status"].as_str().unwrap()).collect();
    assert_eq!((&kinds(&events)[..3], statuses), (&["created", "queued", "in_progress"][..], vec!["queued", "queued", "in_progress"]));
}

#[test]
fn pain_22_keep_alives_are_comments() {
    let mut writer = EventWriter::new(meta(), ResponseShape::default());
    let mut out = Vec::new();
    writer.begin(&mut out);
    EventWriter::keep_alive(&mut out);
    writer.write(&text(0, "x"), &mut out);
    EventWriter::keep_alive(&mut out);
    writer.write(&stop(StopReason::EndTurn), &mut out);
    writer.close(9, &mut out).finish(&mut out);
    grammar::check(&String::from_utf8(out).unwrap());
}

#[test]
fn the_trace_of_a_guardrail_is_in_the_response() {
    let trace = serde_json::from_str(r#"{"guardrail":{"action":"NONE"}}"#).unwrap();
    let last = ChatEvent::Finished { usage: Usage::default(), service_tier: Some(ServiceTier::Reserved), trace: Some(trace) };
    let events = grammar::check(&stream_of(ResponseShape::default(), &[text(0, "x"), stop(StopReason::GuardrailIntervened), last]));
    let response = &events.last().unwrap()["response"];
    assert_eq!((&response["trace"]["guardrail"]["action"], &response["service_tier"]), (&json!("NONE"), &json!("scale")));
}

#[test]
fn a_wish_for_a_summary_is_answered_with_one_sealed_item() {
    let shape = || ResponseShape { answer: AnswerForm::Summary, ..ResponseShape::default() };
    let events =
        [thinks(0, "hm"), text(1, "We did "), text(1, "it."), tool(2, "c", "f"), input(2, "{}"), stop(StopReason::EndTurn), finished(1, 1)];
    let told = grammar::check(&stream_of(shape(), &events));
    assert_eq!(kinds(&told), ["created", "in_progress", "output_item.added", "output_item.done", "completed"]);
    let item = &told.last().unwrap()["response"]["output"][0];
    assert_eq!((item["type"].as_str(), item["id"].as_str()), (Some("compaction"), Some("cmp_1_0")));
    let summary = crate::openai_responses::sealed::open_summary(item["encrypted_content"].as_str().unwrap());
    assert_eq!(summary.as_deref(), Some("We did it."));

    let told = grammar::check(&stream_of(shape(), &[thinks(0, "hm"), stop(StopReason::EndTurn)]));
    assert_eq!(told.last().unwrap()["response"]["error"]["message"], "the model wrote no summary of the conversation");
}

#[test]
fn text_between_calls_is_another_message() {
    let events = [text(0, "a"), tool(1, "c1", "f"), input(1, "{}"), stopped(1), text(2, "b"), text(3, "c"), stop(StopReason::EndTurn)];
    let told = grammar::check(&stream_of(ResponseShape::default(), &events));
    let output = &told.last().unwrap()["response"]["output"];
    let ids: Vec<_> = output.as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert_eq!((ids, &output[2]["content"][0]["text"]), (vec!["msg_1_0", "fc_1_1", "msg_1_2"], &json!("bc")));
}

use std::path::PathBuf;

use outcrop_protocol::openai::completions::Completion;
use proptest::prelude::*;

use super::*;

fn writer(shape: CompletionShape, usage: UsageChunk, choices: u32) -> TextWriter {
    let meta = RenderMeta { id: "cmpl-1".to_owned(), created_unix: 1_700_000_000, model_shown: "m \"x\"".to_owned() };
    TextWriter::new(&meta, shape, usage, choices)
}

fn plain() -> CompletionShape {
    CompletionShape { echoed: Vec::new(), choices_per_prompt: 1 }
}

fn text(text: &str) -> ChatEvent {
    ChatEvent::Text { index: 0, text: text.to_owned() }
}

fn stop(reason: StopReason) -> ChatEvent {
    ChatEvent::Stopped { reason, stop_sequence: None }
}

fn finished() -> ChatEvent {
    let usage = Usage { input: 2, output: 3, ..Usage::default() };
    ChatEvent::Finished { usage, service_tier: None, trace: None }
}

fn stream_of(shape: CompletionShape, usage: UsageChunk, choices: u32, events: &[(u32, ChatEvent)]) -> String {
    let mut writer = writer(shape, usage, choices);
    let mut out = Vec::new();
    for (choice, event) in events {
        writer.write(*choice, event, &mut out);
    }
    writer.finish(&mut out);
    String::from_utf8(out).unwrap()
}

/// The chunks of a stream that ends with `[DONE]`.
fn chunks(stream: &str) -> Vec<Completion<'static>> {
    let mut datas: Vec<&str> = stream.split_terminator("\n\n").map(|event| event.strip_prefix("data: ").unwrap()).collect();
    assert_eq!(datas.pop(), Some("[DONE]"));
    let chunk = |data: &str| {
        let value: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!((value["id"].as_str(), value["object"].as_str()), (Some("cmpl-1"), Some("text_completion")));
        serde_json::from_value(value).unwrap()
    };
    datas.into_iter().map(chunk).collect()
}

fn text_of(chunks: &[Completion<'_>], choice: u32) -> String {
    let choices = chunks.iter().flat_map(|chunk| &chunk.choices).filter(|one| one.index == choice);
    choices.map(|choice| choice.text.as_ref()).collect()
}

#[test]
fn pain_24_usage_comes_last_and_prompts_are_repeated_first() {
    let shape = CompletionShape { echoed: vec!["a: ".to_owned(), "b: ".to_owned()], choices_per_prompt: 1 };
    let events = [
        (0, ChatEvent::Started),
        (1, text("two")),
        (0, text("on")),
        (0, text("e")),
        (0, ChatEvent::Reasoning { index: 1, text: "private".to_owned() }),
        (0, stop(StopReason::EndTurn)),
        (0, finished()),
        (1, stop(StopReason::MaxTokens)),
        (1, finished()),
    ];
    let stream = stream_of(shape, UsageChunk::Sent, 2, &events);
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/openai_completions"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("stream_two_prompts", &stream));
    let chunks = chunks(&stream);
    assert_eq!((text_of(&chunks, 0).as_str(), text_of(&chunks, 1).as_str()), ("a: one", "b: two"));
    let reasons: Vec<_> = chunks.iter().flat_map(|chunk| &chunk.choices).filter_map(|choice| choice.finish_reason.as_deref()).collect();
    assert_eq!(reasons, ["stop", "length"]);
    let usage = chunks.last().unwrap().usage.unwrap();
    assert_eq!((usage.total_tokens, chunks.last().unwrap().choices.len()), (10, 0));
    assert!(stream.lines().filter(|line| line.starts_with("data: {")).all(|line| line.contains("\"usage\":")));
}

#[test]
fn pain_24_without_being_asked_for_usage_is_not_told() {
    let stream = stream_of(plain(), UsageChunk::Omitted, 1, &[(0, text("x")), (0, stop(StopReason::EndTurn)), (0, finished())]);
    assert!(!stream.contains("usage"));
    assert_eq!(text_of(&chunks(&stream), 0), "x");
}

#[test]
fn pain_21_a_broken_answer_is_one_error_and_no_done() {
    let mut broken = writer(plain(), UsageChunk::Omitted, 1);
    let mut out = Vec::new();
    broken.write(0, &text("Hel"), &mut out);
    broken.finish(&mut out);
    broken.write(0, &text("lo"), &mut out);
    broken.fail(&GatewayError::WorkerLost, &mut out);
    let stream = String::from_utf8(out).unwrap();
    let last = stream.trim_end().rsplit("\n\n").next().unwrap().strip_prefix("data: ").unwrap();
    let expected = serde_json::to_value(errors::openai::reply(&errors::incomplete_stream()).body).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(last).unwrap(), expected);
    assert!(!stream.contains("[DONE]") && stream.matches("\"error\"").count() == 1);
}

#[test]
fn events_of_a_choice_that_was_not_asked_for_write_nothing() {
    let mut writer = writer(plain(), UsageChunk::Omitted, 1);
    let mut out = Vec::new();
    for event in [text("x"), stop(StopReason::EndTurn)] {
        writer.write(7, &event, &mut out);
    }
    assert!(out.is_empty());
}

proptest! {
    #[test]
    fn the_texts_of_the_chunks_are_the_text(pieces in proptest::collection::vec(any::<String>(), 0..6)) {
        let mut events: Vec<_> = pieces.iter().map(|piece| (0, text(piece))).collect();
        events.push((0, stop(StopReason::EndTurn)));
        let stream = stream_of(plain(), UsageChunk::Omitted, 1, &events);
        prop_assert_eq!(text_of(&chunks(&stream), 0), pieces.concat());
    }
}

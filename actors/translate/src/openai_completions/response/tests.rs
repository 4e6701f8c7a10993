use outcrop_domain::chat::{Reasoning, StopReason, ToolOrigin};
use serde_json::{Value, json};

use super::*;
use crate::openai_responses::schema;

fn answer(content: Vec<Content>, stop: StopReason) -> ChatResponse {
    let usage = Usage { input: 10, output: 7, cache_read: 3, ..Usage::default() };
    ChatResponse { content, stop, usage, service_tier: None, trace: None, stop_sequence: None }
}

fn text(text: &str) -> Content {
    Content::Text(text.to_owned())
}

fn rendered(answers: &[ChatResponse], shape: &CompletionShape) -> Value {
    let meta = RenderMeta { id: "cmpl-1".to_owned(), created_unix: 1_700_000_000, model_shown: "m".to_owned() };
    let value = serde_json::to_value(render(answers, &meta, shape)).unwrap();
    schema::check("CreateCompletionResponse", &value);
    value
}

#[test]
fn each_answer_is_a_choice_in_the_order_of_the_prompts() {
    let answers = [answer(vec![text("one"), text(" more")], StopReason::EndTurn), answer(vec![text("two")], StopReason::MaxTokens)];
    let shape = CompletionShape { echoed: vec!["a: ".to_owned(), "b: ".to_owned()], choices_per_prompt: 1 };
    let value = rendered(&answers, &shape);
    let choices = json!([
        {"text": "a: one more", "index": 0, "logprobs": null, "finish_reason": "stop"},
        {"text": "b: two", "index": 1, "logprobs": null, "finish_reason": "length"},
    ]);
    assert_eq!(value["choices"], choices);
    assert_eq!((value["object"].as_str(), value["usage"]["total_tokens"].as_u64()), (Some("text_completion"), Some(40)));
}

#[test]
fn only_text_has_a_place() {
    let content = vec![
        Content::Reasoning(Reasoning::Text { text: "private".to_owned(), signature: None }),
        text("said"),
        Content::ToolUse {
            id: "c".to_owned(),
            name: "f".to_owned(),
            input: outcrop_domain::json::JsonText::empty_object(),
            origin: ToolOrigin::Client,
        },
    ];
    let value = rendered(&[answer(content, StopReason::ContentFiltered)], &CompletionShape { echoed: Vec::new(), choices_per_prompt: 1 });
    assert_eq!(
        (value["choices"][0]["text"].as_str(), value["choices"][0]["finish_reason"].as_str()),
        (Some("said"), Some("content_filter"))
    );
}

#[test]
fn an_empty_answer_is_an_empty_text() {
    let value = rendered(&[answer(Vec::new(), StopReason::EndTurn)], &CompletionShape { echoed: Vec::new(), choices_per_prompt: 1 });
    assert_eq!(value["choices"][0]["text"], "");
}

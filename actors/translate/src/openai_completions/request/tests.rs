use outcrop_protocol::openai::body;
use serde_json::{Map, Value, json};

use super::*;
use crate::dialect::properties::{self, Property, Treatment};
use crate::{dialect::notes::Strictness, errors};

fn options() -> ReadOptions {
    ReadOptions::new(|_, _, _| None)
}

fn decode(body: &str) -> CompletionRequest {
    body::decode(body.as_bytes()).unwrap()
}

fn read_plain(body: &str) -> Result<ReadCompletion, GatewayError> {
    read(decode(body), &options())
}

fn said(request: &ChatRequest) -> &str {
    match request.messages.as_slice() {
        [Message { role: Role::User, content }] => match content.as_slice() {
            [Content::Text(text)] => text,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_prompt_is_what_the_user_says() {
    let read = read_plain(r#"{"model":"m","prompt":"Once upon","max_tokens":5,"temperature":0.5,"stop":["\n"]}"#).unwrap();
    assert_eq!((read.model.as_str(), read.requests.len(), said(&read.requests[0])), ("m", 1, "Once upon"));
    assert_eq!((read.requests[0].max_tokens, read.requests[0].sampling.stop.as_slice()), (Some(5), &["\n".to_owned()][..]));
    assert_eq!(read.requests[0].reasoning.visibility, ReasoningVisibility::Hidden);
    assert_eq!((read.shape, read.delivery), (CompletionShape { echoed: Vec::new(), choices_per_prompt: 1 }, Delivery::Whole));
}

#[test]
fn several_prompts_are_several_requests_of_the_same_settings() {
    let read = read_plain(r#"{"model":"m","prompt":["a","b"],"n":2,"echo":true,"top_p":0.5}"#).unwrap();
    assert_eq!(read.requests.iter().map(said).collect::<Vec<_>>(), ["a", "b"]);
    assert!(read.requests.iter().all(|request| request.sampling.top_p == Some(0.5)));
    assert_eq!(read.shape, CompletionShape { echoed: vec!["a".to_owned(), "b".to_owned()], choices_per_prompt: 2 });
    let echoes: Vec<_> = (0..5).map(|choice| read.shape.echo(choice)).collect();
    assert_eq!(echoes, [Some("a"), Some("a"), Some("b"), Some("b"), None]);
}

#[test]
fn pain_20_nothing_invents_max_tokens() {
    assert_eq!(read_plain(r#"{"model":"m","prompt":"a"}"#).unwrap().requests[0].max_tokens, None);
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    for (body, param, code) in [
        (r#"{"prompt":"a"}"#, "model", "missing_required_parameter"),
        (r#"{"model":"m"}"#, "prompt", "missing_required_parameter"),
        (r#"{"model":"m","prompt":""}"#, "prompt", "invalid_value"),
        (r#"{"model":"m","prompt":[]}"#, "prompt", "invalid_value"),
        (r#"{"model":"m","prompt":["a"," "]}"#, "prompt", "invalid_value"),
        (r#"{"model":"m","prompt":[1,2,3]}"#, "prompt", "invalid_value"),
        (r#"{"model":"m","prompt":"a","suffix":"z"}"#, "suffix", "unsupported_parameter"),
        (r#"{"model":"m","prompt":"a","messages":[]}"#, "messages", "unsupported_parameter"),
        (r#"{"model":"m","prompt":"a","n":0}"#, "n", "invalid_value"),
        (r#"{"model":"m","prompt":"a","n":129}"#, "n", "invalid_value"),
        (r#"{"model":"m","prompt":["a","b"],"n":65}"#, "prompt", "invalid_value"),
        (r#"{"model":"m","prompt":"a","best_of":21}"#, "best_of", "invalid_value"),
        (r#"{"model":"m","prompt":"a","max_tokens":0}"#, "max_tokens", "invalid_value"),
    ] {
        let error = read_plain(body).unwrap_err();
        let object = errors::openai::reply(&error).body.error;
        assert_eq!((object.param.as_deref(), object.code), (Some(param), Some(code)), "{body}");
    }
}

#[test]
fn strict_mode_refuses_what_it_would_ignore() {
    let strict = ReadOptions { strictness: Strictness::Strict, ..options() };
    for body in [r#"{"model":"m","prompt":"a","logprobs":2}"#, r#"{"model":"m","prompt":"a","best_of":3}"#] {
        assert!(read(decode(body), &strict).is_err() && read_plain(body).is_ok(), "{body}");
    }
}

#[test]
fn debug_of_a_request_body_shows_no_content() {
    let shown = format!("{:?}", decode(r#"{"model":"m","prompt":"secret words","user":"bob"}"#));
    assert!(!shown.contains("secret") && !shown.contains("bob"), "{shown}");
}

/// Every published property, with what becomes of it: see the table of chat's.
fn table() -> Vec<Property<Treatment>> {
    properties::table("openai_completions")
}

fn body_with(with: &Map<String, Value>, property: Option<(&str, &Value)>) -> String {
    let mut body = json!({"model": "m", "prompt": "Hi"});
    let members = body.as_object_mut().unwrap();
    members.extend(with.clone());
    members.extend(property.map(|(name, value)| (name.to_owned(), value.clone())));
    body.to_string()
}

#[test]
fn every_published_property_gets_its_treatment() {
    let names: Vec<String> = table().into_iter().map(|row| row.property).collect();
    // The number of properties of the published schema of November 2026.
    assert_eq!((names.is_sorted(), names.len(), names.iter().collect::<std::collections::BTreeSet<_>>().len()), (true, 18, 18));
    for row in table() {
        let name = row.property.as_str();
        let without = read_plain(&body_with(&row.with, None)).unwrap();
        let outcome = read_plain(&body_with(&row.with, Some((name, &row.value))));
        match row.treatment {
            Treatment::Mapped => {
                let read = outcome.unwrap();
                assert_eq!(read.adjustments.to_string(), "", "{name} is reported");
                assert!(read != without, "{name} changes nothing");
                assert!(read.requests[0].extra.is_empty(), "{name} is not known");
            }
            Treatment::Adjusted { report } => assert_eq!(outcome.unwrap().adjustments.to_string(), report, "{name}"),
            Treatment::Refused { param, code } => {
                let error = outcome.unwrap_err();
                let object = errors::openai::reply(&error).body.error;
                assert_eq!((object.param.as_deref(), object.code), (Some(param.as_str()), Some(code.as_str())), "{name}");
            }
        }
        if !matches!(name, "model" | "prompt") {
            let null = read_plain(&body_with(&row.with, Some((name, &Value::Null)))).unwrap();
            assert_eq!(null, without, "{name}: null is as good as absent");
        }
    }
}

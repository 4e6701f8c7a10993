//! What routing is told.

use outcrop_domain::{
    chat::{ChatRequest, Content, Message as HubMessage, Role as HubRole, SystemBlock, Tool},
    estimate,
    json::JsonText,
};

use super::*;

fn body(text: &str) -> MessagesBody<&str> {
    read(text, Purpose::Answer).unwrap()
}

#[test]
fn model_stream_limit_and_user_are_told() {
    let read = body(
        r#"{"stream":true,"m\u006fdel":"claude-\u0078","max_tokens":12,"metadata":{"user_id":"u\n1"},"messages":[{"role":"user","content":"a"}]}"#,
    );
    assert_eq!((read.model(), read.stream(), read.max_tokens(), read.user_id()), (Some("claude-x"), true, Some(12), Some("u\n1")));
    let read = body(r#"{"max_tokens":0,"messages":[{"role":"user","content":"a"}],"stream":null,"metadata":null}"#);
    assert_eq!((read.model(), read.stream(), read.max_tokens(), read.user_id()), (None, false, Some(0), None));
}

#[test]
fn a_prompt_has_the_size_that_it_has_on_every_path() {
    let text = r#"{"max_tokens":1,"system":[{"type":"text","text":"Be \"brief\".\n"}],
        "tools":[{"name":"find","description":"Finds \u00e9.","input_schema":{"type":"object","properties":{}}}],
        "messages":[{"role":"user","content":"a \u4e2d b"},
        {"role":"assistant","content":[{"type":"text","text":"c"},{"type":"tool_use","id":"t","name":"find","input":{"q":"Rome"}}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"sunny"}]},{"type":"text","text":"and?"}]}]}"#;
    let json = |text: &str| JsonText::parse(text.to_owned()).unwrap();
    let message = |role, content| HubMessage { role, content };
    let say = |text: &str| Content::Text(text.to_owned());
    let hub = ChatRequest {
        system: vec![SystemBlock::Text("Be \"brief\".\n".to_owned())],
        tools: vec![Tool::Function {
            name: "find".to_owned(),
            description: Some("Finds \u{e9}.".to_owned()),
            schema: json(r#"{"type":"object","properties":{}}"#),
            strict: None,
        }],
        messages: vec![
            message(HubRole::User, vec![say("a \u{4e2d} b")]),
            message(
                HubRole::Assistant,
                vec![
                    say("c"),
                    Content::ToolUse {
                        id: "t".to_owned(),
                        name: "find".to_owned(),
                        input: json(r#"{"q":"Rome"}"#),
                        origin: outcrop_domain::chat::ToolOrigin::Client,
                    },
                ],
            ),
            message(HubRole::User, vec![say("sunny"), say("and?")]),
        ],
        ..ChatRequest::default()
    };
    assert_eq!(body(text).prompt_tokens(), estimate::prompt_tokens(&hub));
}

#[test]
fn media_count_by_their_kind_and_not_by_their_base64() {
    let data = "A".repeat(1 << 20);
    let of = |block: &str| {
        let text = format!(r#"{{"max_tokens":1,"messages":[{{"role":"user","content":[{block}]}}]}}"#);
        read(text, Purpose::Answer).unwrap().prompt_tokens() - 4
    };
    assert_eq!(of(&format!(r#"{{"type":"image","source":{{"type":"base64","media_type":"image/png","data":"{data}"}}}}"#)), 1_600);
    assert_eq!(of(&format!(r#"{{"source":{{"data":"{data}","type":"base64"}},"type":"document"}}"#)), 786_432 / 32);
    assert_eq!(of(&format!(r#"{{"type":"document","source":{{"type":"text","data":"{data}"}}}}"#)), 1 << 18);
    assert_eq!(of(r#"{"type":"document","source":{"type":"url","url":"https://example.com/a.pdf"}}"#), 2_000);
    assert_eq!(of(r#"{"type":"document","source":{"type":"content","content":[{"type":"text","text":"12345678"}]}}"#), 2);
    assert_eq!(of(r#"{"type":"thinking","thinking":"12345678","signature":"long long long"}"#), 2);
}

#[test]
fn addresses_are_seen_wherever_they_stand() {
    let of =
        |content: &str| read(format!(r#"{{"max_tokens":1,"messages":[{{"role":"user","content":{content}}}]}}"#), Purpose::Answer).unwrap();
    let link = r#"{"type":"image","source":{"url":"https://example.com/a.png","type":"url"}}"#;
    for content in [
        format!("[{link}]"),
        format!(r#"[{{"type":"tool_result","tool_use_id":"t","content":[{link}]}}]"#),
        format!(r#"[{{"type":"document","source":{{"type":"content","content":[{link}]}}}}]"#),
    ] {
        assert!(of(&content).names_urls(), "{content}");
    }
    let search = r#"[{"type":"search_result","source":"https://example.com","title":"t","content":[{"type":"text","text":"url"}]}]"#;
    for content in [r#""url""#, r#"[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"url"}}]"#, search] {
        assert!(!of(content).names_urls(), "{content}");
    }
}

fn conversation(text: &str) -> u64 {
    body(text).affinity(&["key", "model"], None)
}

#[test]
fn a_conversation_is_the_same_in_every_turn() {
    let first = r#"{"max_tokens":1,"tools":[{"name":"f","input_schema":{}}],"system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":[{"type":"text","text":"hello","cache_control":{"type":"ephemeral"}}]}]}"#;
    let later = r#"{"stream":true,"messages":[{"role":"user","content":[{"type":"text","text":"hello"}]},{"role":"assistant","content":"x"},{"role":"user","content":"more"}],"max_tokens":9,"system":[{"type":"text","text":"s"}],"tools":[{"cache_control":{"type":"ephemeral"},"name":"f","input_schema":{}}]}"#;
    assert_eq!(conversation(first), conversation(later));
    for other in ["hello!", "s", "f"] {
        let changed = first.replace(&format!("\"{other}\""), "\"else\"").replace("hello\"", "hallo\"");
        assert_ne!(conversation(first), conversation(&changed), "{other}");
    }
    let read = body(first);
    assert_ne!(read.affinity(&["key", "model"], None), read.affinity(&["key", "other"], None), "scopes are kept apart");
    assert_ne!(read.affinity(&["key", "model"], None), read.affinity(&["key", "model"], Some("session")));
}

#[test]
fn a_user_id_keeps_apart_what_begins_alike() {
    let named = |id: &str, words: &str| {
        conversation(&format!(r#"{{"max_tokens":1,"metadata":{{"user_id":"{id}"}},"messages":[{{"role":"user","content":"{words}"}}]}}"#))
    };
    assert_eq!(named("u", "a"), named("u", "a"));
    assert_ne!(named("u", "a"), named("v", "a"));
    // An application may send one id for all of its conversations.
    assert_ne!(named("u", "a"), named("u", "b"));
}

/// Cached tokens and lifetime of a body for a model with a small minimum.
fn cached(text: &str) -> Option<CachedPrefix> {
    body(text).invoke(&options(claude("opus-5"))).unwrap().cached
}

#[test]
fn pain_12_a_cache_knows_the_prompt_up_to_its_last_mark_without_the_newest_turn() {
    let long = "x".repeat(4_000);
    let mark = r#","cache_control":{"type":"ephemeral"}"#;
    let text = |system: &str, first: &str, last: &str| {
        format!(
            r#"{{"messages":[{{"role":"user","content":[{{"type":"text","text":"{long}"{first}}}]}},{{"role":"assistant","content":"{long}"}},{{"role":"user","content":[{{"type":"text","text":"{long}"{last}}}]}}],"max_tokens":1,"system":[{{"type":"text","text":"{long}"{system}}}]}}"#
        )
    };
    assert_eq!(cached(&text("", "", "")), None);
    assert_eq!(cached(&text(mark, "", "")).unwrap().tokens, 1_000, "system stands before messages, wherever it is written");
    assert_eq!(cached(&text("", mark, "")).unwrap().tokens, 2_000);
    assert_eq!(cached(&text(mark, mark, mark)).unwrap().tokens, 3_008, "what this turn adds no cache can know yet");
    let hour = r#","cache_control":{"type":"ephemeral","ttl":"1h"}"#;
    assert_eq!(cached(&text(hour, mark, "")).unwrap().life, CacheLife::Long);
    assert_eq!(cached(&text("", mark, "")).unwrap().life, CacheLife::Short);
    let short = r#"{"max_tokens":1,"system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":"a"}]}"#;
    assert_eq!(cached(short), None, "too short to be cached at all");
}

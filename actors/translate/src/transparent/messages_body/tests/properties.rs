//! What holds for every body.

use proptest::{prelude::*, sample::select};
use serde_json::Value as Json;

use super::*;

/// A member of a body that nothing needs to be done with, in any spelling.
fn unknown_member() -> impl Strategy<Value = String> {
    let value = select(vec![
        "1.50E+02",
        "12345678901234567890123",
        "null",
        "[ 1,2 ,{\"b\" : \"\\u00e9\\/\"} ]",
        "{\"z\":1,\"a\" :\t[]}",
        "\"tex\\u0074 \\ud83d\\ude00\"",
        "true",
    ]);
    ("[a-z]{1,3}", value, select(vec!["", " ", "\n  "])).prop_map(|(name, value, space)| format!("\"x_{name}\"{space}:{space}{value}"))
}

/// A body by its members, and which of them go.
fn any_members() -> impl Strategy<Value = Vec<(String, bool)>> {
    let known = [
        ("\"model\":\"claude\"".to_owned(), true),
        ("\"stream\" : true".to_owned(), true),
        ("\"max_tokens\": 10".to_owned(), false),
        ("\"messages\":[ {\"role\":\"user\" ,\"content\":\"a \\u0062\"} ]".to_owned(), false),
        ("\"stop_sequences\":[\"x\"]".to_owned(), false),
    ];
    prop::collection::btree_map("[a-z]{1,3}", unknown_member(), 0..6).prop_flat_map(move |unknown| {
        let named = unknown.into_iter().map(|(name, member)| {
            let value = member.split_once(':').map_or("1", |(_, value)| value).to_owned();
            (format!("\"x_{name}\":{value}"), false)
        });
        Just(known.iter().cloned().chain(named).collect::<Vec<_>>()).prop_shuffle()
    })
}

proptest! {
    #[test]
    fn without_the_known_edits_the_body_is_the_clients_byte_for_byte(members in any_members(), space in select(vec!["", " ", "\n\t"])) {
        let joined = |members: &[&str]| members.join(&format!("{space},{space}"));
        let all: Vec<&str> = members.iter().map(|(member, _)| member.as_str()).collect();
        let kept: Vec<&str> = members.iter().filter(|(_, gone)| !gone).map(|(member, _)| member.as_str()).collect();
        let body = format!("{{{space}{}{space}}}", joined(&all));
        let (text, notes) = written(&body, claude("opus-5"));
        let inserted = "\"anthropic_version\":\"bedrock-2023-05-31\",";
        prop_assert_eq!(text.matches(inserted).count(), 1);
        prop_assert_eq!(text.replace(inserted, ""), format!("{{{space}{}{space}}}", joined(&kept)));
        prop_assert_eq!(notes, "");
    }
}

fn text_block() -> impl Strategy<Value = String> {
    let text = select(vec!["", " ", "\\n", "hello", "a \\\"b\\\"", "\\u00a0"]);
    (text, mark(), any::<bool>()).prop_map(|(text, mark, type_first)| {
        if type_first {
            format!("{{\"type\":\"text\",\"text\":\"{text}\"{mark}}}")
        } else {
            format!("{{\"text\":\"{text}\"{mark},\"type\":\"text\"}}")
        }
    })
}

fn mark() -> impl Strategy<Value = &'static str> {
    select(vec![
        "",
        "",
        "",
        ",\"cache_control\":null",
        ",\"cache_control\":{\"type\":\"ephemeral\"}",
        ",\"cache_control\":{\"ttl\":\"1h\",\"type\":\"ephemeral\",\"scope\":\"global\"}",
        ",\"cache_control\":{\"scope\":\"x\"}",
    ])
}

fn block() -> impl Strategy<Value = String> {
    let thinking = select(vec![
        r#"{"type":"thinking","thinking":"t","signature":"s"}"#,
        r#"{"type":"thinking","thinking":"","signature":"s"}"#,
        r#"{"type":"thinking","thinking":"t"}"#,
        r#"{"signature":"","thinking":"t","type":"thinking"}"#,
        r#"{"type":"redacted_thinking","data":"d"}"#,
    ])
    .prop_map(str::to_owned);
    let call = mark().prop_map(|mark| format!("{{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{{}}{mark}}}"));
    let parts = prop::collection::vec(text_block(), 0..3).prop_map(|parts| format!("[{}]", parts.join(",")));
    let content = prop_oneof![parts, select(vec!["\"r\"", "\"\"", "null"]).prop_map(str::to_owned)];
    let result = (content, mark(), any::<bool>())
        .prop_map(|(content, mark, error)| format!("{{\"type\":\"tool_result\",\"content\":{content}{mark},\"is_error\":{error}}}"));
    prop_oneof![4 => text_block(), 2 => thinking, 2 => call, 2 => result, 1 => Just("{\"type\":\"novel\",\"x\":[]}".to_owned())]
}

fn message() -> impl Strategy<Value = String> {
    let list = |blocks: Vec<String>, space: &str| format!("[{space}{}{space}]", blocks.join(" , "));
    let spaced = select(vec!["", " "]);
    let blocks = (prop::collection::vec(block(), 0..5), spaced.clone()).prop_map(move |(blocks, space)| list(blocks, space));
    // Instructions are text.
    let texts = (prop::collection::vec(text_block(), 0..3), spaced).prop_map(move |(blocks, space)| list(blocks, space));
    let said = || select(vec!["\"\"", "\" \"", "\"hi\""]).prop_map(str::to_owned);
    let spoken = (select(vec!["user", "assistant"]), prop_oneof![4 => blocks, 1 => said()]);
    let instructed = (Just("system"), prop_oneof![texts, said()]);
    (prop_oneof![4 => spoken, 1 => instructed], any::<bool>()).prop_map(|((role, content), role_first)| {
        if role_first {
            format!("{{\"role\":\"{role}\",\"content\":{content}}}")
        } else {
            format!("{{\"content\":{content},\"role\":\"{role}\"}}")
        }
    })
}

pub(super) fn any_body() -> impl Strategy<Value = String> {
    let tool = (mark(), any::<bool>()).prop_map(|(mark, deferred)| {
        let deferred = if deferred { "\"defer_loading\":true,\"eager_input_streaming\":true," } else { "" };
        format!("{{{deferred}\"name\":\"f\",\"input_schema\":{{}}{mark}}}")
    });
    let tools = prop::collection::vec(tool, 0..4).prop_map(|tools| format!("\"tools\":[{}]", tools.join(",")));
    let blocks = prop::collection::vec(text_block(), 0..4).prop_map(|blocks| format!("[{}]", blocks.join(",")));
    let system =
        prop_oneof![blocks, select(vec!["\"\"", "\"s\""]).prop_map(str::to_owned)].prop_map(|system| format!("\"system\":{system}"));
    let messages = prop::collection::vec(message(), 1..7).prop_map(|messages| format!("\"messages\":[{}]", messages.join(",")));
    let extra = prop::sample::subsequence(
        vec![
            "\"model\":\"m\"",
            "\"stream\":true",
            "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2000}",
            "\"cache_control\":{\"type\":\"ephemeral\",\"ttl\":\"1h\"}",
            "\"temperature\":0.5",
            "\"top_p\":0.5",
            "\"top_k\":5",
            "\"anthropic_beta\":[\"oauth-2025-04-20\",\"context-management-2025-06-27\",\"new\"]",
            "\"context_management\":{\"edits\":[{\"type\":\"clear_thinking_1\"},{\"type\":\"other\"}]}",
            "\"output_config\":{\"effort\":\"low\"}",
            "\"diagnostics\":null",
        ],
        0..11,
    );
    (tools, system, messages, extra, any::<prop::sample::Index>()).prop_map(|(tools, system, messages, extra, turn)| {
        let mut members = vec!["\"max_tokens\":1500".to_owned(), tools, system, messages];
        members.extend(extra.into_iter().map(str::to_owned));
        let turn = turn.index(members.len());
        members.rotate_left(turn);
        format!("{{{}}}", members.join(", "))
    })
}

fn blocks_of(message: &Json) -> Vec<&Json> {
    message["content"].as_array().into_iter().flatten().collect()
}

/// Every object in a body that has a cache mark.
fn marked(value: &Json) -> usize {
    match value {
        Json::Object(members) => {
            usize::from(members.get("cache_control").is_some_and(Json::is_object)) + members.values().map(marked).sum::<usize>()
        }
        Json::Array(elements) => elements.iter().map(marked).sum(),
        _ => 0,
    }
}

fn says_nothing(block: &Json) -> bool {
    block["type"] == "text" && block["text"].as_str().is_some_and(|text| text.trim().is_empty())
}

fn check_taken(text: &str, model: &ChatCapabilities) {
    let body: Json = serde_json::from_str(text).unwrap();
    assert!(marked(&body) <= model.cache.as_ref().map_or(0, |cache| cache.max_points as usize), "{text}");
    assert!(body.get("model").is_none() && body.get("stream").is_none() && body.get("cache_control").is_none(), "{text}");
    let messages = body["messages"].as_array().unwrap();
    assert!(!messages.is_empty(), "{text}");
    for message in messages {
        assert!(message["content"] != "" && message["content"] != " " && message["content"] != Json::Array(Vec::new()), "{text}");
        let native = model.invoke_mid_system == outcrop_domain::model::MidSystem::Native;
        assert!(native || message["role"] != "system", "{text}");
        for block in blocks_of(message) {
            assert!(!says_nothing(block), "{text}");
            assert!(block["type"] != "thinking" || block["signature"].as_str().is_some_and(|signature| !signature.is_empty()), "{text}");
            assert!(!blocks_of(block).into_iter().any(says_nothing), "{text}");
        }
    }
    assert!(!body["system"].as_array().into_iter().flatten().any(says_nothing), "{text}");
    assert!(!text.contains("\"scope\"") && !text.contains("oauth"), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(600)))]

    #[test]
    fn every_body_is_written_so_that_the_model_takes_it_and_then_stays_so(
        body in any_body(),
        model in select(vec!["opus-5", "sonnet-4-6", "haiku-4-5-20251001-v1:0", "opus-4-1-20250805-v1:0", "3-haiku-20240307-v1:0", "opus-5-5"]),
        ours in any::<bool>(),
    ) {
        let cache = CachePolicy { system: ours, tools: ours, messages: ours, ttl: None };
        let options = InvokeOptions { cache, ..options(claude(model)) };
        let invoke = read(body.as_str(), Purpose::Answer).unwrap().invoke(&options).unwrap();
        let text = String::from_utf8(invoke.bytes).unwrap();
        check_taken(&text, claude(model));
        let again = read(text.as_str(), Purpose::Answer).unwrap().invoke(&InvokeOptions { cache: CachePolicy::default(), ..options }).unwrap();
        prop_assert_eq!(&String::from_utf8(again.bytes).unwrap(), &text, "{}", body);
        prop_assert_eq!(again.adjustments.to_string(), "", "{}", body);
    }
}

//! `fixtures/transparent/<case>.json` is the client's body, the snapshot beside it the body that reaches the model.

mod bench;
mod facts;
mod ids;
mod links;
mod properties;
mod strict;
mod thinking;

use std::{fs, path::PathBuf};

use outcrop_domain::{chat::CachePolicy, model::ChatCapabilities};

use super::*;
use crate::{converse::EffortBudgets, dialect::notes::Strictness, transparent::tests::claude};

fn options(model: &ChatCapabilities) -> InvokeOptions<'_> {
    InvokeOptions {
        model,
        beta_headers: &[],
        refused_flags: &[],
        max_output_tokens: Some(64_000),
        cache: CachePolicy::default(),
        budgets: EffortBudgets::default(),
        extra: &[],
        dropped_fields: &[],
        strictness: Strictness::Lenient,
    }
}

fn written(body: &str, model: &ChatCapabilities) -> (String, String) {
    let invoke = read(body, Purpose::Answer).unwrap().invoke(&options(model)).unwrap();
    (String::from_utf8(invoke.bytes).unwrap(), invoke.adjustments.to_string())
}

#[test]
fn more_tokens_than_the_model_can_write_are_lowered_and_noted() {
    let body = r#"{"model":"m","max_tokens":128000,"messages":[{"role":"user","content":"Hi"}]}"#;
    let (sent, adjusted) = written(body, claude("sonnet-4-6"));
    assert!(sent.contains(r#""max_tokens":64000"#), "{sent}");
    assert!(adjusted.contains("max_tokens=lowered"), "{adjusted}");
    let (sent, adjusted) = written(&body.replace("128000", "64000"), claude("sonnet-4-6"));
    assert!(sent.contains(r#""max_tokens":64000"#) && !adjusted.contains("max_tokens"), "{sent} {adjusted}");
}

#[test]
fn a_conversation_that_the_server_would_keep_is_refused_so_that_its_client_goes_on_without() {
    let body = r#"{"model":"m","max_tokens":9,"thread":{"type":"new"},"messages":[{"role":"user","content":"Hi"}]}"#;
    let error = read(body, Purpose::Answer).err().unwrap();
    let reply = crate::errors::anthropic::reply(&error, None);
    assert_eq!(reply.status, 400);
    assert_eq!(reply.body.error.details.unwrap().error_code, "thread_unsupported_request");
    assert!(read(body.replace(r#"{"type":"new"}"#, "null").as_str(), Purpose::Answer).is_ok());
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/transparent")
}

/// Compares with the snapshot what reaches a model.
fn check(name: &str, model: &str, headers: &[&str]) {
    let headers: Vec<String> = headers.iter().map(|value| (*value).to_owned()).collect();
    check_with(name, Purpose::Answer, &InvokeOptions { beta_headers: &headers, ..options(claude(model)) });
}

fn check_with(name: &str, purpose: Purpose, options: &InvokeOptions<'_>) {
    let body = fs::read_to_string(folder().join(format!("{name}.json"))).unwrap();
    let invoke = read(body, purpose).unwrap().invoke(options).unwrap();
    let _valid: serde_json::Value = serde_json::from_slice(&invoke.bytes).unwrap();
    let shown = format!(
        "adjusted: {}\nflags: {}\nunproven: {}\ncached: {}\n\n{}",
        invoke.adjustments,
        invoke.betas.join(" "),
        invoke.unproven.join(" "),
        invoke.cached.map_or_else(|| "no".to_owned(), |cached| format!("{} tokens, {:?}", cached.tokens, cached.life)),
        String::from_utf8(invoke.bytes).unwrap(),
    );
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(folder());
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, shown));
}

macro_rules! cases {
    ($($name:ident for $model:literal $(with $header:literal)*,)*) => {
        $(
            #[test]
            fn $name() {
                check(stringify!($name), $model, &[$($header),*]);
            }
        )*

        const CASES: &[&str] = &[$(stringify!($name)),*];
    };
}

cases! {
    pain_01_flags_of_an_agent_are_sorted for "sonnet-4-5-20250929-v1:0"
        with "claude-code-20250219,oauth-2025-04-20, interleaved-thinking-2025-05-14 ,prompt-caching-scope-2026-01-05"
        with "context-management-2025-06-27,advanced-tool-use-2025-11-20"
        with "effort-2025-11-24,interleaved-thinking-2025-05-14,brand-new-2027-01-01",
    pain_01_a_dropped_flag_takes_its_fields for "3-7-sonnet-20250219-v1:0" with "context-management-2025-06-27, skills-2025-10-02",
    pain_01_what_the_body_says_already_is_left_alone for "opus-5" with "compact-2026-01-12",
    pain_02_thinking_goes_back_as_it_came for "opus-5",
    pain_02_thinking_without_signature_is_not_sent for "opus-5",
    pain_04_texts_that_say_nothing for "sonnet-4-6",
    pain_10_server_tools_pass for "opus-5" with "advanced-tool-use-2025-11-20",
    pain_12_of_five_marks_the_last_four_stay for "sonnet-4-6",
    pain_13_system_turns_become_user_turns_in_place for "sonnet-4-6",
    pain_13_system_turns_stay_where_they_are_taken for "opus-5",
    pain_14_lifetimes_that_a_model_refuses_go for "opus-4-1-20250805-v1:0",
    pain_14_lifetimes_that_a_model_takes_stay for "sonnet-4-6",
    marks_are_nothing_to_a_model_without_caching for "3-haiku-20240307-v1:0",
    sampling_that_the_model_refuses_goes for "opus-5",
    sampling_while_thinking_keeps_what_is_allowed for "sonnet-4-5-20250929-v1:0",
    thinking_in_the_words_of_another_model_is_translated for "opus-5",
    adaptive_thinking_gets_a_budget_where_it_must for "haiku-4-5-20251001-v1:0",
    a_budget_above_the_limit_is_lowered for "haiku-4-5-20251001-v1:0",
    thinking_ends_in_a_loop_that_began_without for "haiku-4-5-20251001-v1:0"
        with "context-management-2025-06-27",
    everything_else_is_the_clients_text for "opus-5",
    a_whole_request_is_marked_on_its_last_block for "sonnet-4-6",
}

#[test]
fn marks_of_ours_for_a_client_that_sets_none() {
    let cache = CachePolicy { system: true, tools: true, messages: true, ttl: None };
    check_with("marks_of_ours_for_a_client_that_sets_none", Purpose::Answer, &InvokeOptions { cache, ..options(claude("sonnet-4-6")) });
}

#[test]
fn pain_12_no_mark_of_ours_stands_on_a_tool_that_is_not_loaded() {
    let cache = CachePolicy { system: false, tools: true, messages: false, ttl: None };
    let tool = |name: &str, more: &str| format!(r#"{{"name":"{name}","input_schema":{{"type":"object"}}{more}}}"#);
    let deferred = r#","defer_loading":true"#;
    let mark = r#","cache_control":{"type":"ephemeral"}"#;
    let tools = |list: &[String]| {
        let body = format!(r#"{{"max_tokens":9,"tools":[{}],"messages":[{{"role":"user","content":"a"}}]}}"#, list.join(","));
        let headers = ["tool-search-tool-2025-10-19".to_owned()];
        let options = InvokeOptions { cache, beta_headers: &headers, ..options(claude("sonnet-4-6")) };
        String::from_utf8(read(body, Purpose::Answer).unwrap().invoke(&options).unwrap().bytes).unwrap()
    };
    let text = tools(&[tool("a", ""), tool("b", r#","defer_loading":false"#), tool("c", deferred)]);
    assert!(text.contains(&tool("b", &format!(r#","defer_loading":false{mark}"#))) && text.contains(&tool("c", deferred)), "{text}");
    assert!(!tools(&[tool("c", deferred)]).contains("cache_control"));
}

#[test]
fn a_body_to_count_gets_a_limit() {
    check_with("a_body_to_count_gets_a_limit", Purpose::Count, &options(claude("haiku-4-5-20251001-v1:0")));
}

#[test]
fn every_fixture_has_its_test() {
    let others = ["marks_of_ours_for_a_client_that_sets_none", "a_body_to_count_gets_a_limit"];
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let stem = name.split('.').next().unwrap();
        assert!(CASES.contains(&stem) || others.contains(&stem), "{name}");
    }
}

#[test]
fn pain_01_what_was_refused_before_is_not_sent_again() {
    let refused = ["compact-2026-01-12".to_owned()];
    let headers = ["compact-2026-01-12,context-management-2025-06-27,brand-new".to_owned()];
    let options = InvokeOptions { refused_flags: &refused, beta_headers: &headers, ..options(claude("opus-5")) };
    let body = r#"{"max_tokens":1,"messages":[{"role":"user","content":"a"}],"context_management":{"edits":[]}}"#;
    let invoke = read(body, Purpose::Answer).unwrap().invoke(&options).unwrap();
    assert_eq!(invoke.betas, ["context-management-2025-06-27", "brand-new"]);
    assert_eq!(invoke.unproven, ["brand-new"]);
    assert!(String::from_utf8(invoke.bytes).unwrap().contains("context_management"), "the other flag holds the field");
    assert_eq!(invoke.adjustments.to_string(), "anthropic_beta=dropped:compact-2026-01-12");
}

#[test]
fn pain_13_a_turn_begins_with_the_bytes_of_the_turn_before() {
    let turn = |messages: &str| {
        let body = format!(r#"{{"model":"m","max_tokens":9,"system":"s","messages":[{messages}]}}"#);
        let (text, _) = written(&body, claude("sonnet-4-6"));
        text.strip_suffix("]}").unwrap().to_owned()
    };
    let mut messages = r#"{"role":"user","content":"a"}"#.to_owned();
    let mut before = turn(&messages);
    for next in [
        r#"{"role":"system","content":"Be kind."}"#,
        r#"{"role":"assistant","content":[{"type":"text","text":""},{"type":"tool_use","id":"t","name":"f","input":{}}]}"#,
        r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":" "}]}]}"#,
        r#"{"role":"system","content":[{"type":"text","text":"Be quick."}]}"#,
        r#"{"role":"assistant","content":[{"type":"thinking","thinking":"x"},{"type":"text","text":"b"}]}"#,
        r#"{"role":"user","content":" "}"#,
    ] {
        messages = format!("{messages},{next}");
        let now = turn(&messages);
        assert!(now.starts_with(&before), "{before}\n{now}");
        before = now;
    }
}

#[test]
fn what_cannot_be_read_is_refused_with_its_place() {
    let refused = |body: &str| match read(body, Purpose::Answer).unwrap_err() {
        GatewayError::InvalidRequest { message, param, .. } => (message, param.unwrap_or_default()),
        other => panic!("{other:?}"),
    };
    for (body, message, param) in [
        (r#"{"messages":[{"role":"user","content":"a"}]}"#, "max_tokens: Field required", "max_tokens"),
        (r#"{"messages":[{"role":"user","content":"a"}],"max_tokens":null}"#, "max_tokens: Field required", "max_tokens"),
        (r#"{"max_tokens":"5","messages":[]}"#, "max_tokens: Input should be a valid integer", "max_tokens"),
        (r#"{"max_tokens":5}"#, "messages: Field required", "messages"),
        (r#"{"max_tokens":5,"messages":"a"}"#, "messages: Input should be a valid list", "messages"),
        (r#"{"max_tokens":5,"messages":[]}"#, "messages: at least one message is required", "messages"),
        (r#"{"max_tokens":5,"messages":[{}],"max_t\u006fkens":6}"#, "`max_tokens` is given twice", "max_tokens"),
        ("[1]", "the request body is not a JSON object", ""),
        ("{\"a\":\n tru}", "the request body cannot be read: expected a value (line 2, column 2)", ""),
        (r#"{"max_tokens":5,"messages":[]} x"#, "messages: at least one message is required", "messages"),
        (r#"{"max_tokens":5,"messages":[1]} x"#, "the request body cannot be read: something follows the value (line 1, column 33)", ""),
    ] {
        assert_eq!(refused(body), (message.to_owned(), param.to_owned()), "{body}");
    }
    let many: Vec<String> = (0..257).map(|number| format!("\"f{number}\":0")).collect();
    assert!(refused(&format!("{{{}}}", many.join(","))).0.contains("more than 256 fields"));
    let blocks = format!(r#"{{"max_tokens":1,"messages":[{{"role":"user","content":[{}1]}}]}}"#, "1,".repeat(100_000));
    assert!(refused(&blocks).0.contains("a list holds more than 100000 blocks"));
    let messages = format!(r#"{{"max_tokens":1,"messages":[{}1]}}"#, "1,".repeat(100_000));
    assert_eq!(refused(&messages).0, "messages: at most 100000 messages");
    let error = read(b"{\"max_tokens\":1,\"messages\":[{\"role\":\"\xff\"}]}".as_slice(), Purpose::Answer).unwrap_err();
    assert!(error.to_string().contains("not UTF-8 (line 1, column 38)"), "{error}");
}

#[test]
fn the_version_is_bedrocks_whatever_the_body_says() {
    for (version, noted) in [("\"2023-06-01\"", true), ("\"vertex-2023-10-16\"", true), ("null", true), ("\"bedrock-2023-05-31\"", false)] {
        let body = format!(r#"{{"max_tokens":1,"anthropic_version":{version},"messages":[{{"role":"user","content":"a"}}]}}"#);
        let (text, notes) = written(&body, claude("opus-5"));
        assert_eq!(text, r#"{"max_tokens":1,"anthropic_version":"bedrock-2023-05-31","messages":[{"role":"user","content":"a"}]}"#);
        assert_eq!(notes == "anthropic_version=replaced", noted, "{version}");
    }
}

#[test]
fn a_body_may_be_written_for_one_model_after_another() {
    let body = r#"{"model":"m","max_tokens":9,"temperature":0.2,"messages":[{"role":"user","content":"a"}]}"#;
    let read = read(body.to_owned(), Purpose::Answer).unwrap();
    let with = |model: &str| String::from_utf8(read.invoke(&options(claude(model))).unwrap().bytes).unwrap();
    assert!(with("sonnet-4-6").contains("\"temperature\":0.2") && !with("opus-5").contains("temperature"));
    assert_eq!(read.into_inner(), body);
}

/// What every rule that looks back or ahead must not be tempted into: work that grows with the square of the body.
#[test]
fn a_body_of_nothing_but_repairs_is_written_in_time() {
    let many = |part: &str, count: usize| vec![part; count].join(",");
    let mark = r#","cache_control":{"type":"ephemeral","scope":"x"}"#;
    let blank = format!(r#"{{"type":"text","text":""{mark}}}"#);
    let bodies = [
        format!(r#"{{"max_tokens":1,"messages":[{{"role":"user","content":[{}]}}]}}"#, many(&blank, 30_000)),
        format!(r#"{{"max_tokens":1,"messages":[{}]}}"#, many(r#"{"role":"system","content":"a"}"#, 60_000)),
        format!(
            r#"{{"max_tokens":1,"messages":[{{"role":"assistant","content":[{{"type":"tool_use","id":"t","name":"f","input":{{}}}}]}},{},{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"t","content":"r"}}]}}]}}"#,
            many(r#"{"role":"system","content":"a"}"#, 30_000)
        ),
        format!(
            r#"{{"max_tokens":1,"tools":[{}],"messages":[{{"role":"user","content":"a"}}]}}"#,
            many(&format!(r#"{{"name":"f","input_schema":{{}},"eager_input_streaming":true{mark}}}"#), 30_000)
        ),
        format!(r#"{{"max_tokens":1,"messages":[{}]}}"#, many(&format!(r#"{{"role":"user","content":[{blank}]}}"#), 30_000)),
    ];
    let start = std::time::Instant::now();
    for body in &bodies {
        let (text, _) = written(body, claude("haiku-4-5-20251001-v1:0"));
        let _valid: serde_json::Value = serde_json::from_str(&text).unwrap();
    }
    // Each takes a fraction of a second without optimisation; with the square of its size it would take minutes.
    assert!(start.elapsed().as_secs() < 40, "{:?}", start.elapsed());
}

#[test]
fn odd_messages_are_for_the_model_to_refuse() {
    for body in [
        r#"{"max_tokens":1,"messages":[1,null,"x",[],{}]}"#,
        r#"{"max_tokens":1,"messages":[{"role":5,"content":null}],"system":7,"tools":{"a":1}}"#,
        r#"{"max_tokens":1,"messages":[{"role":"user","content":[1,{"type":"text"},{"type":"tool_result","content":{"a":[]}},{"type":["text"]}]}],"tools":[1,{}]}"#,
        r#"{"max_tokens":1,"messages":[{"role":"critic","content":"a"}],"thinking":[],"metadata":[],"anthropic_beta":{"a":1},"cache_control":"x"}"#,
    ] {
        let (text, _) = written(body, claude("haiku-4-5-20251001-v1:0"));
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let original: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(value["messages"], original["messages"], "{body}");
    }
}

#[test]
fn nothing_of_a_body_is_shown_in_logs() {
    let body = read(r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"secret"}]}"#, Purpose::Answer).unwrap();
    let invoke = body.invoke(&options(claude("opus-5"))).unwrap();
    for shown in [format!("{body:?}"), format!("{invoke:?}")] {
        assert!(!shown.contains("secret"), "{shown}");
    }
}

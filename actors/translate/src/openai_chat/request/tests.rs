//! One test per fixture: `fixtures/openai_chat/<case>.json` holds the request (and options, and what was
//! fetched), the snapshot beside it what the hub makes of it.

mod properties;
mod show;

use std::{fs, path::PathBuf};

use outcrop_domain::chat::{CachePolicy, CacheTtl, Guardrail, Latency, MediaFormat, MediaKind, ServiceTier};
use outcrop_protocol::openai::body;
use serde::Deserialize;

use super::*;
use crate::{dialect::sniffer, errors};

/// A fixture file.
#[derive(Deserialize)]
struct Case {
    request: Box<serde_json::value::RawValue>,
    #[serde(default)]
    options: CaseOptions,
    #[serde(default)]
    fetched: std::collections::BTreeMap<String, CaseMedium>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct CaseOptions {
    strict: bool,
    max_choices: Option<u32>,
    max_tools: Option<usize>,
    guardrail: Option<Guardrail>,
    service_tier: Option<ServiceTier>,
    latency: Option<Latency>,
    beta_flags: Vec<String>,
    cache: Option<CaseCache>,
}

#[derive(Deserialize)]
struct CaseCache {
    system: bool,
    tools: bool,
    messages: bool,
}

#[derive(Deserialize)]
struct CaseMedium {
    base64: String,
    kind: String,
    name: String,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/openai_chat")
}

fn options(case: CaseOptions) -> ReadOptions {
    let plain = ReadOptions::new(sniffer::sniff);
    ReadOptions {
        strictness: if case.strict { Strictness::Strict } else { Strictness::Lenient },
        max_choices: case.max_choices.unwrap_or(plain.max_choices),
        max_tools: case.max_tools.unwrap_or(plain.max_tools),
        guardrail: case.guardrail.map_or(GuardrailRule::Open(None), GuardrailRule::Fixed),
        service_tier: case.service_tier,
        latency: case.latency,
        beta_flags: case.beta_flags,
        cache: case.cache.map_or(plain.cache, |cache| CachePolicy {
            system: cache.system,
            tools: cache.tools,
            messages: cache.messages,
            ttl: Some(CacheTtl::FiveMinutes),
        }),
        ..plain
    }
}

fn fetched(case: std::collections::BTreeMap<String, CaseMedium>) -> FetchedMedia {
    let mut fetched = FetchedMedia::default();
    for (url, medium) in case {
        let kind = if medium.kind == "image" { MediaKind::Image } else { MediaKind::Document };
        let name = if medium.name == "png" { "png" } else { "pdf" };
        fetched.insert(url, Fetched { base64: medium.base64, format: MediaFormat { kind, name } });
    }
    fetched
}

fn decode(body: &str) -> ChatCompletionRequest {
    body::decode(body.as_bytes()).unwrap()
}

/// Reads a body with plain options and nothing fetched.
fn read_plain(body: &str) -> Result<ReadChat, GatewayError> {
    read(decode(body), &FetchedMedia::default(), &ReadOptions::new(sniffer::sniff))
}

fn check(name: &str) {
    let text = fs::read_to_string(folder().join(format!("{name}.json"))).unwrap();
    let case: Case = serde_json::from_str(&text).unwrap();
    let outcome = read(decode(case.request.get()), &fetched(case.fetched), &options(case.options));
    let shown = match &outcome {
        Ok(chat) => show::chat(chat),
        Err(error) => {
            let reply = errors::openai::reply(error);
            serde_json::json!({"status": reply.status, "body": reply.body})
        }
    };
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(folder());
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, serde_json::to_string_pretty(&shown).unwrap()));
}

macro_rules! cases {
    ($($name:ident,)*) => {
        $(
            #[test]
            fn $name() {
                check(stringify!($name));
            }
        )*

        const CASES: &[&str] = &[$(stringify!($name)),*];
    };
}

cases! {
    pain_02_signed_reasoning_comes_back_byte_for_byte,
    pain_02_reasoning_collected_in_pieces_is_one_block,
    pain_02_thinking_blocks_of_litellm_are_taken,
    pain_02_thinking_parts_are_taken,
    pain_02_unsigned_reasoning_stays_unsigned,
    pain_03_tool_history_without_tools_is_read,
    pain_04_empty_texts_leave_no_blocks,
    pain_05_parallel_results_keep_their_order,
    pain_06_long_and_odd_tool_names_reach_the_hub_unchanged,
    pain_07_malformed_old_arguments_are_wrapped,
    pain_07_empty_old_arguments_become_an_object,
    pain_12_marks_in_five_places_survive,
    pain_12_marks_on_whole_messages_survive,
    pain_12_breakpoints_in_openai_form_inherit_the_lifetime,
    pain_13_instructions_in_mid_conversation_stay_in_place,
    pain_14_unknown_lifetimes_are_reported_not_refused,
    pain_19_effort_is_carried,
    pain_19_effort_none_switches_reasoning_off,
    pain_19_unknown_effort_is_refused,
    pain_19_spellings_that_agree_are_one_wish,
    pain_19_spellings_that_contradict_are_refused,
    pain_19_budget_beside_a_switch_that_is_off_is_ignored,
    pain_20_nothing_invents_max_tokens,
    pain_34_a_responses_body_is_read_as_one,
    pain_34_flat_tools_and_input_text_parts_are_taken,
    pain_35_schema_is_carried_as_written,
    pain_36_document_names_are_carried_as_given,
    pain_37_fetched_images_take_their_found_format,
    pain_37_an_image_that_is_no_image_is_named,
    pain_37_an_address_that_was_not_fetched_is_named,
    plain_conversation,
    content_null_and_missing_are_empty,
    instructions_alone_become_the_users_words,
    image_as_data_url,
    pdf_called_an_image_is_refused,
    pdf_in_an_image_part_is_a_document,
    broken_base64_is_refused,
    image_that_is_no_url_is_refused,
    s3_objects_need_no_bytes,
    s3_object_without_extension_is_refused,
    files_as_raw_base64_flat_and_text,
    file_ids_are_refused_clearly,
    audio_and_video_parts,
    video_that_is_an_image_is_refused,
    guarded_text,
    unknown_part_is_refused,
    unknown_role_is_refused,
    image_in_instructions_is_refused,
    image_in_an_assistant_message_is_refused,
    tool_answers_with_images,
    tool_answer_without_id_is_refused,
    tool_call_without_name_is_refused,
    unknown_members_of_messages_are_reported,
    legacy_functions_have_ids_of_their_own,
    tools_and_forced_choice,
    tool_choice_none,
    tool_choice_of_an_unknown_tool_is_refused,
    tool_choice_required_without_tools_is_refused,
    allowed_tools_narrow_the_offer,
    custom_tools_become_functions_of_one_text,
    custom_grammar_is_refused_in_strict_mode,
    provider_tools_by_type,
    unknown_tool_type_is_refused,
    schema_that_is_no_object_is_refused,
    too_many_tools_are_refused,
    tools_beside_functions_are_refused,
    schema_without_schema_is_refused,
    json_object_with_a_schema_is_a_schema,
    sampling_that_only_some_models_take,
    max_completion_tokens_win,
    max_tokens_of_zero_is_refused,
    temperature_out_of_range_is_refused,
    too_many_choices_are_refused,
    stream_with_usage,
    labels,
    caching_switches,
    a_plain_cache_key_changes_nothing,
    unknown_fields_reach_the_model_and_control_fields_do_not,
    headers_win_over_the_body,
    a_fixed_guardrail_cannot_be_replaced,
    guardrail_without_version_is_refused,
    empty_messages_are_refused,
    missing_model_is_refused,
    strict_mode_refuses_what_it_would_ignore,
}

#[test]
fn every_fixture_has_its_test() {
    let mut files: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str().and_then(|name| name.strip_suffix(".json")).map(str::to_owned))
        .filter(|name| name != "request_properties")
        .collect();
    files.sort();
    let mut cases = CASES.to_vec();
    cases.sort_unstable();
    assert_eq!(files, cases);
}

#[test]
fn pain_13_a_later_turn_has_the_earlier_one_as_its_prefix() {
    let first = r#"{"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":"q"},
        {"role":"assistant","content":"a"},{"role":"system","content":"late"},{"role":"user","content":"r"}"#;
    let turn = read_plain(&format!("{first}]}}")).unwrap();
    let next = read_plain(&format!(
        r#"{first},{{"role":"assistant","content":"b"}},{{"role":"system","content":"later"}},{{"role":"user","content":"t"}}]}}"#
    ));
    let next = next.unwrap();
    assert_eq!(turn.request.system, next.request.system);
    assert_eq!(turn.request.messages.as_slice(), &next.request.messages[..turn.request.messages.len()]);
}

#[test]
fn pain_37_addresses_to_fetch_are_listed_once_with_their_place() {
    let body = r#"{"model":"m","messages":[
        {"role":"user","content":[{"type":"text","text":"https://example.com/not-media"},
            {"type":"image_url","image_url":{"url":"HTTPS://example.com/a.png"}},
            {"type":"image_url","image_url":"https://example.com/b.png"},
            {"type":"image_url","image_url":"data:image/png;base64,AAAA"},
            {"type":"file","file":{"file_data":"https://example.com/c.pdf"}},
            {"type":"image_url","image_url":"s3://bucket/d.png"}]},
        {"role":"tool","tool_call_id":"1","content":[{"type":"image_url","image_url":"https://example.com/b.png"},
            {"type":"video_url","video_url":{"url":"http://example.com/e.mp4"}},
            {"type":"input_file","file_url":"https://example.com/f.csv"}]}]}"#;
    let urls: Vec<(String, String)> = media_urls(&decode(body)).into_iter().map(|found| (found.param, found.url)).collect();
    let expected = [
        ("messages.0.content.1.image_url", "HTTPS://example.com/a.png"),
        ("messages.0.content.2.image_url", "https://example.com/b.png"),
        ("messages.0.content.4.file.file_data", "https://example.com/c.pdf"),
        ("messages.1.content.1.video_url", "http://example.com/e.mp4"),
        ("messages.1.content.2.file_url", "https://example.com/f.csv"),
    ];
    assert_eq!(urls, expected.map(|(param, url)| (param.to_owned(), url.to_owned())));
}

#[test]
fn pain_34_a_responses_body_is_told_from_a_chat_body() {
    assert!(is_responses_body(&decode(r#"{"model":"m","input":"Hi"}"#)));
    assert!(!is_responses_body(&decode(r#"{"model":"m","input":"Hi","messages":[]}"#)));
    assert!(!is_responses_body(&decode(r#"{"model":"m"}"#)));
}

#[test]
fn pain_34_a_responses_body_has_its_addresses_fetched_and_its_places_named() {
    let body = r#"{"model":"m","input":[{"role":"user","content":"a"},
        {"role":"user","content":[{"type":"input_image","image_url":"https://example.com/a.png"}]}]}"#;
    let urls: Vec<_> = media_urls(&decode(body)).into_iter().map(|found| (found.param, found.url)).collect();
    assert_eq!(urls, [("input[1].content[0].image_url".to_owned(), "https://example.com/a.png".to_owned())]);
    let error = read_plain(body).unwrap_err();
    assert!(matches!(error, GatewayError::FetchFailed { param: Some(param), .. } if param == "input[1].content[0].image_url"));
}

#[test]
fn pain_34_what_a_responses_body_cannot_have_in_chat_is_refused_by_name() {
    for (body, param) in [
        (r#"{"model":"m","input":"a","previous_response_id":"resp_1"}"#, "previous_response_id"),
        (r#"{"model":"m","input":"a","conversation":{"id":"conv_1"}}"#, "conversation"),
        (r#"{"model":"m","input":[{"role":"user","content":[{"type":"smell"}]}]}"#, "input[0].content[0].type"),
        (r#"{"model":"m","input":[{"role":"user","content":5}]}"#, "input[0].content"),
        (r#"{"model":"m","input":7}"#, "input"),
        (r#"{"model":"m","input":null}"#, "input"),
        (r#"{"model":"m","input":[]}"#, "input"),
        (r#"{"model":"m","input":"a","max_output_tokens":"many"}"#, "max_output_tokens"),
    ] {
        let error = read_plain(body).unwrap_err();
        assert_eq!(errors::openai::reply(&error).body.error.param.as_deref(), Some(param), "{body}");
    }
}

#[test]
fn pain_34_settings_of_a_responses_body_are_read_as_chats() {
    let body = r#"{"model":"m","input":"a","max_output_tokens":9,"background":true,"include":[],"max_tool_calls":null,
        "text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object"}},"verbosity":"high"}}"#;
    let chat = read_plain(body).unwrap();
    assert_eq!(chat.request.max_tokens, Some(9));
    assert!(matches!(chat.request.format, outcrop_domain::chat::ResponseFormat::JsonSchema { ref name, .. } if name == "n"));
    assert_eq!(chat.adjustments.to_string(), "background=ignored,include=ignored,verbosity=ignored");
    assert!(chat.request.extra.is_empty());
}

#[test]
fn every_effort_word_means_its_effort() {
    use outcrop_domain::chat::{Effort, ReasoningMode};
    let table = [
        ("minimal", Effort::Minimal),
        ("low", Effort::Low),
        ("medium", Effort::Medium),
        ("high", Effort::High),
        ("xhigh", Effort::Xhigh),
        ("max", Effort::Max),
    ];
    for (word, effort) in table {
        for field in [format!(r#""reasoning_effort":"{word}""#), format!(r#""reasoning":{{"effort":"{word}"}}"#)] {
            let chat = read_plain(&format!(r#"{{"model":"m","messages":[{{"role":"user","content":"q"}}],{field}}}"#)).unwrap();
            assert_eq!((chat.request.reasoning.mode, chat.request.reasoning.effort), (ReasoningMode::On, Some(effort)), "{field}");
        }
    }
}

#[test]
fn every_tier_word_means_its_tier() {
    let table = [
        ("auto", None, ""),
        ("default", Some(ServiceTier::Default), ""),
        ("flex", Some(ServiceTier::Flex), ""),
        ("priority", Some(ServiceTier::Priority), ""),
        ("fast", Some(ServiceTier::Priority), "service_tier=priority"),
        ("scale", Some(ServiceTier::Default), "service_tier=default"),
    ];
    for (word, tier, report) in table {
        let chat = read_plain(&format!(r#"{{"model":"m","messages":[{{"role":"user","content":"q"}}],"service_tier":"{word}"}}"#)).unwrap();
        assert_eq!((chat.request.service_tier, chat.adjustments.to_string().as_str()), (tier, report), "{word}");
    }
}

#[test]
fn tool_schemas_and_arguments_keep_their_bytes() {
    let schema = r#"{ "type" : "object", "properties":{"z":{"type":"number","maximum":1e400},"a":{}} }"#;
    let arguments = r#"{\"z\":  1.0, \"a\":[ ]}"#;
    let body = format!(
        r#"{{"model":"m","messages":[{{"role":"user","content":"q"}},{{"role":"assistant","tool_calls":[{{"id":"1","type":"function",
        "function":{{"name":"f","arguments":"{arguments}"}}}}]}}],"tools":[{{"type":"function","function":{{"name":"f","parameters":{schema}}}}}]}}"#
    );
    let chat = read_plain(&body).unwrap();
    let outcrop_domain::chat::Tool::Function { schema: kept, .. } = &chat.request.tools[0] else { panic!("no function") };
    assert_eq!(kept.get(), schema);
    let outcrop_domain::chat::Content::ToolUse { input, .. } = &chat.request.messages[1].content[0] else { panic!("no call") };
    assert_eq!(input.get(), r#"{"z":  1.0, "a":[ ]}"#);
}

#[test]
fn debug_of_a_request_body_shows_no_content() {
    let shown = format!("{:?}", decode(r#"{"model":"m","messages":[{"role":"user","content":"secret words"}],"user":"bob"}"#));
    assert!(!shown.contains("secret") && !shown.contains("bob") && shown.contains("Some(1)"), "{shown}");
}

//! One test per fixture: `fixtures/anthropic_messages/<case>.json` holds the request (and options, and what was fetched),
//! the snapshot beside it what the hub makes of it.

mod properties;

use std::{collections::BTreeMap, fs, path::PathBuf};

use outcrop_domain::chat::{CachePolicy, CacheTtl, Guardrail, Latency, MediaFormat, MediaKind, ServiceTier};
use outcrop_protocol::body;
use serde::Deserialize;
use serde_json::{Value, json};

use super::*;
use crate::{
    dialect::{show, sniffer},
    errors,
};

/// A fixture file.
#[derive(Deserialize)]
struct Case {
    request: Box<serde_json::value::RawValue>,
    #[serde(default)]
    options: CaseOptions,
    #[serde(default)]
    fetched: BTreeMap<String, CaseMedium>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct CaseOptions {
    strict: bool,
    max_tools: Option<usize>,
    system_tools: Vec<String>,
    guardrail: Option<Guardrail>,
    service_tier: Option<ServiceTier>,
    latency: Option<Latency>,
    beta_flags: Vec<String>,
    cached_system: bool,
}

#[derive(Deserialize)]
struct CaseMedium {
    base64: String,
    kind: String,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/anthropic_messages")
}

fn options(case: CaseOptions) -> ReadOptions {
    let plain = ReadOptions::new(sniffer::sniff);
    ReadOptions {
        strictness: if case.strict { Strictness::Strict } else { Strictness::Lenient },
        max_tools: case.max_tools.unwrap_or(plain.max_tools),
        system_tools: case.system_tools,
        guardrail: case.guardrail.map_or(GuardrailRule::Open(None), GuardrailRule::Fixed),
        service_tier: case.service_tier,
        latency: case.latency,
        beta_flags: case.beta_flags,
        cache: CachePolicy { system: case.cached_system, ttl: case.cached_system.then_some(CacheTtl::FiveMinutes), ..plain.cache },
        ..plain
    }
}

fn fetched(case: BTreeMap<String, CaseMedium>) -> FetchedMedia {
    let mut fetched = FetchedMedia::default();
    for (url, medium) in case {
        let format = match medium.kind.as_str() {
            "image" => MediaFormat { kind: MediaKind::Image, name: "png" },
            _ => MediaFormat { kind: MediaKind::Document, name: "pdf" },
        };
        fetched.insert(url, Fetched { base64: medium.base64, format });
    }
    fetched
}

fn decode(body: &str) -> MessagesRequest {
    body::decode(body.as_bytes()).unwrap()
}

/// Reads a body with plain options and nothing fetched.
fn read_plain(body: &str) -> Result<ReadMessages, GatewayError> {
    read(decode(body), &FetchedMedia::default(), &ReadOptions::new(sniffer::sniff))
}

fn shown(outcome: &Result<ReadMessages, GatewayError>) -> Value {
    match outcome {
        Ok(read) => {
            let mut shown = show::request(&read.model, &read.request, &read.adjustments);
            if read.delivery != Delivery::Whole {
                shown.insert("delivery".to_owned(), json!(format!("{:?}", read.delivery)));
            }
            Value::Object(shown)
        }
        Err(error) => {
            let reply = errors::anthropic::reply(error, None);
            json!({"status": reply.status, "body": reply.body})
        }
    }
}

fn check(name: &str) {
    let text = fs::read_to_string(folder().join(format!("{name}.json"))).unwrap();
    let case: Case = serde_json::from_str(&text).unwrap();
    let outcome = read(decode(case.request.get()), &fetched(case.fetched), &options(case.options));
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(folder());
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, serde_json::to_string_pretty(&shown(&outcome)).unwrap()));
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
    claude_code_second_turn,
    pain_02_thinking_comes_back_byte_for_byte,
    pain_02_unsigned_thinking_stays_unsigned,
    pain_03_tool_history_without_tools_is_read,
    pain_04_empty_texts_keep_their_place_and_marks,
    pain_05_parallel_results_keep_their_order,
    pain_06_long_and_odd_tool_names_reach_the_hub_unchanged,
    pain_07_malformed_old_input_is_wrapped,
    pain_10_server_tools_that_the_model_has_are_its_own,
    pain_10_a_server_tool_that_the_model_lacks_is_refused_by_name,
    pain_10_forcing_a_server_tool_leaves_it_to_the_model,
    pain_10_restrictions_of_a_server_tool_are_reported,
    pain_10_restrictions_of_a_server_tool_are_kept_in_strict_mode,
    pain_10_deferred_tools_are_loaded,
    pain_10_tool_search_is_refused_in_strict_mode,
    pain_10_web_fetch_is_refused_by_name,
    pain_10_computer_is_refused_by_name,
    pain_10_mcp_toolset_is_refused_by_name,
    pain_10_a_tool_of_an_unknown_type_is_refused_by_name,
    tools_that_anthropic_defined_are_described,
    pain_12_marks_in_five_places_survive,
    pain_12_a_mark_inside_a_result_stands_after_it,
    pain_12_automatic_caching_marks_the_last_turns,
    pain_12_sections_are_switched_as_on_every_route,
    pain_12_a_mark_of_another_type_is_refused,
    pain_13_instructions_in_mid_conversation_stay_in_place,
    pain_13_an_image_in_instructions_is_refused,
    pain_14_lifetimes_are_kept_and_unknown_ones_reported,
    pain_19_a_budget_is_carried,
    pain_19_effort_without_thinking_is_carried,
    pain_19_adaptive_thinking_takes_the_effort,
    pain_19_thinking_that_is_off_takes_no_effort,
    pain_19_thinking_between_tools_is_off,
    pain_19_unknown_effort_is_refused,
    pain_19_unknown_thinking_is_refused,
    pain_19_a_budget_below_the_least_is_refused,
    pain_19_thinking_without_a_budget_is_refused,
    pain_20_nothing_invents_max_tokens,
    max_tokens_of_nothing_is_refused,
    pain_35_schema_is_carried_as_written,
    pain_35_schema_in_its_older_place,
    format_that_is_no_schema_is_refused,
    format_in_two_places_is_refused,
    images_by_bytes_address_and_bucket,
    pain_37_an_address_that_was_not_fetched_is_named,
    pain_37_an_image_that_is_no_image_is_named,
    a_document_that_is_an_image_is_refused,
    documents_with_citations,
    images_of_a_document_of_blocks_follow_it,
    search_results_in_turns_and_results,
    a_search_result_without_a_title_is_refused,
    tool_results_with_images_and_documents,
    sources_of_earlier_answers_are_read,
    server_tool_history_is_carried,
    what_no_model_here_wrote_is_left_out_and_told,
    an_unknown_block_of_the_user_is_refused,
    an_unknown_block_in_a_result_is_refused,
    thinking_of_the_user_is_refused,
    an_image_of_the_assistant_is_refused,
    a_block_without_a_type_is_refused,
    uploaded_files_are_refused_clearly,
    container_uploads_are_refused_clearly,
    a_source_of_an_unknown_type_is_refused,
    a_source_that_is_text_is_refused,
    a_call_without_a_name_is_refused,
    a_result_without_an_id_is_refused,
    an_unknown_role_is_refused,
    a_message_without_content_is_refused,
    empty_messages_are_refused,
    unknown_members_are_reported,
    system_as_text_and_empty_system,
    an_image_in_system_is_refused,
    tool_choice_any_one_at_a_time,
    tool_choice_none_as_a_word,
    tool_choice_of_a_tool_that_is_not_there_is_refused,
    tool_choice_any_without_tools_is_refused,
    tool_choice_of_an_unknown_type_is_refused,
    a_tool_without_a_schema_is_refused,
    a_schema_that_is_no_object_is_refused,
    strict_tools_are_carried,
    too_many_tools_are_refused,
    sampling_and_stop_sequences,
    a_temperature_out_of_range_is_refused,
    tier_and_labels,
    headers_win_over_the_body,
    an_unknown_tier_is_refused,
    unknown_fields_reach_the_model_and_control_fields_do_not,
    a_guardrail_in_the_body,
    a_fixed_guardrail_cannot_be_replaced,
    strict_mode_refuses_what_it_would_ignore,
}

#[test]
fn every_fixture_of_a_request_is_a_test() {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut fixtures: Vec<String> = files.filter_map(|file| file.strip_suffix(".json").map(str::to_owned)).collect();
    fixtures.retain(|name| name != "request_properties");
    fixtures.sort();
    let mut cases: Vec<&str> = CASES.to_vec();
    cases.sort_unstable();
    assert_eq!(fixtures, cases);
}

#[test]
fn pain_37_addresses_are_listed_once_with_the_place_of_the_first() {
    let image = |url: &str| json!({"type": "image", "source": {"type": "url", "url": url}});
    let body = json!({"messages": [
        {"role": "user", "content": [
            {"type": "text", "text": "https://not.an/address"},
            image("https://a.example/1.png"),
            image("data:image/png;base64,iVBORw0KGgo="),
            image("s3://bucket/key.png"),
            {"type": "document", "source": {"type": "url", "url": "http://a.example/2.pdf"}},
            {"type": "document", "source": {"type": "content", "content": [image("https://a.example/3.png")]}},
        ]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "t", "content": [image("https://a.example/1.png"), image("https://a.example/4.png")]},
        ]},
    ]});
    let urls = media_urls(&decode(&body.to_string()));
    let listed: Vec<_> = urls.iter().map(|url| (url.param.as_str(), url.url.as_str())).collect();
    assert_eq!(
        listed,
        [
            ("messages.0.content.1.source.url", "https://a.example/1.png"),
            ("messages.0.content.4.source.url", "http://a.example/2.pdf"),
            ("messages.0.content.5.source.content.0.source.url", "https://a.example/3.png"),
            ("messages.1.content.0.content.1.source.url", "https://a.example/4.png"),
        ]
    );
}

#[test]
fn one_block_of_the_clients_is_one_of_the_hubs() {
    let body = json!({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": [
        {"type": "text", "text": ""},
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
        {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}]},
        {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}]},
    ]}]});
    let read = read_plain(&body.to_string()).unwrap();
    let blocks = read.request.messages[0].content.iter().filter(|block| !matches!(block, outcrop_domain::chat::Content::CachePoint(_)));
    assert_eq!(blocks.count(), 4);
}

#[test]
fn a_deep_body_is_refused_and_does_not_overflow() {
    let nested = |depth: usize| {
        let (open, close) = (r#"{"type":"tool_result","tool_use_id":"1","content":["#.repeat(depth), "]}".repeat(depth));
        format!(r#"{{"model":"m","max_tokens":1,"messages":[{{"role":"user","content":[{open}{close}]}}]}}"#)
    };
    let fault = body::decode::<MessagesRequest>(nested(64).as_bytes()).unwrap_err();
    assert!(fault.reason.contains("recursion limit"), "{}", fault.reason);
    assert!(media_urls(&decode(&nested(60))).is_empty());
    assert!(read_plain(&nested(60)).unwrap_err().to_string().starts_with("messages.0.content.0.content.0: Input tag 'tool_result'"));
}

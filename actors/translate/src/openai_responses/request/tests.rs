//! One test per fixture: `fixtures/openai_responses/<case>.json` holds the request (and options, what was stored earlier,
//! and what was fetched), the snapshot beside it what the hub makes of it.

mod properties;
mod resources;

use std::{collections::BTreeMap, fs, path::PathBuf};

use outcrop_domain::chat::{Content, MediaFormat, MediaKind, Role};
use outcrop_protocol::openai::{body, responses::Status};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::*;
use crate::{
    dialect::{media::Fetched, show, sniffer},
    errors,
    openai_responses::{Include, ResponseMeta, response, schema},
};

/// A fixture file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    request: Box<RawValue>,
    #[serde(default)]
    options: CaseOptions,
    #[serde(default)]
    earlier: Vec<Box<RawValue>>,
    #[serde(default)]
    referenced: BTreeMap<String, Box<RawValue>>,
    #[serde(default)]
    fetched: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct CaseOptions {
    strict: bool,
    max_tools: Option<usize>,
    system_tools: Vec<String>,
    leave_out_missing_tools: bool,
    context_tokens: Option<u32>,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/openai_responses")
}

pub(super) fn plain_options() -> ResponsesOptions {
    ResponsesOptions::new(ReadOptions::new(sniffer::sniff))
}

fn options(case: CaseOptions) -> ResponsesOptions {
    let mut options = plain_options();
    if case.strict {
        options.shared.strictness = Strictness::Strict;
    }
    if case.leave_out_missing_tools {
        options.missing_tools = MissingTools::LeftOut;
    }
    options.shared.max_tools = case.max_tools.unwrap_or(options.shared.max_tools);
    options.shared.system_tools = case.system_tools;
    ResponsesOptions { context_tokens: case.context_tokens, ..options }
}

fn fetched(case: BTreeMap<String, String>) -> FetchedMedia {
    let mut fetched = FetchedMedia::default();
    for (url, base64) in case {
        fetched.insert(url, Fetched { base64, format: MediaFormat { kind: MediaKind::Image, name: "png" } });
    }
    fetched
}

fn decode(body: &str) -> ResponsesRequest {
    body::decode(body.as_bytes()).unwrap()
}

/// Reads a body with plain options, nothing stored and nothing fetched.
fn read_plain(body: &str) -> Result<ReadResponses, GatewayError> {
    read(decode(body), &Earlier::default(), &FetchedMedia::default(), &plain_options())
}

fn refused(error: &GatewayError) -> Value {
    let reply = errors::openai::reply(error);
    json!({"status": reply.status, "body": reply.body})
}

fn shown(read: &ReadResponses) -> Value {
    let mut shown = show::request(&read.model, &read.request, &read.adjustments);
    let mut put = |name: &str, value: Value| {
        shown.insert(name.to_owned(), value);
    };
    if read.delivery != Delivery::Whole {
        put("delivery", json!(format!("{:?}", read.delivery)));
    }
    if read.shape.answer != crate::openai_responses::AnswerForm::Items {
        put("answer", json!(format!("{:?}", read.shape.answer)));
    }
    if !read.shape.tools.0.is_empty() {
        let forms = read.shape.tools.0.iter();
        put("forms", forms.map(|(name, form)| format!("{name} = {:?} {:?} {}", form.kind, form.namespace, form.name)).collect());
    }
    if read.shape.summary == ReasoningVisibility::Shown {
        put("summary", json!("Shown"));
    }
    if read.shape.include != (Include { encrypted_reasoning: true, ..Include::default() }) {
        put("include", json!(format!("{:?}", read.shape.include)));
    }
    Value::Object(shown)
}

/// What a response to the request begins as: its echo must keep to the published schema.
fn check_echo(read: &ReadResponses) {
    let meta = ResponseMeta { id: "resp_1".to_owned(), created_unix: 1, model_shown: "m".to_owned() };
    let begun = response::under_way(&meta, &read.shape, Status::InProgress).unwrap();
    schema::check("Response", &begun.to_value().unwrap());
}

fn check(name: &str) {
    let text = fs::read_to_string(folder().join(format!("{name}.json"))).unwrap();
    let case: Case = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let earlier = Earlier {
        items: case.earlier.into_iter().map(JsonText::from).collect(),
        referenced: case.referenced.into_iter().map(|(id, raw)| (id, JsonText::from(raw))).collect(),
    };
    let wire: Result<ResponsesRequest, _> = body::decode(case.request.get().as_bytes());
    let outcome = wire.map_err(|fault| malformed_body(&fault));
    let outcome = outcome.and_then(|wire| read(wire, &earlier, &fetched(case.fetched), &options(case.options)));
    if let Ok(read) = &outcome {
        check_echo(read);
    }
    let shown = outcome.as_ref().map_or_else(refused, shown);
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
    pain_02_sealed_reasoning_comes_back_byte_for_byte,
    pain_02_foreign_reasoning_is_dropped_and_noted,
    pain_02_unsealed_reasoning_is_that_of_the_store_or_noted,
    pain_07_malformed_and_empty_old_arguments_become_objects,
    pain_12_breakpoints_survive_and_inherit_the_lifetime,
    pain_13_later_instructions_stay_in_place,
    pain_19_effort_and_summary_are_carried,
    pain_32_earlier_items_stand_before_the_input,
    pain_32_a_tool_output_alone_goes_on_from_a_stored_call,
    pain_32_references_are_followed,
    pain_32_a_reference_to_nothing_is_not_found,
    pain_33_custom_tools_become_functions_of_one_text,
    pain_33_namespaces_are_flattened_clear_of_other_names,
    pain_33_unknown_history_items_are_dropped_and_noted,
    pain_33_unknown_history_items_are_refused_in_strict_mode,
    pain_33_a_codex_session,
    pain_35_schema_is_carried_as_written,
    text_alone,
    instructions_alone_become_the_users_words,
    messages_of_every_form,
    media_in_messages_and_outputs,
    calls_of_every_kind_have_their_answers,
    calls_that_the_provider_ran_keep_what_they_learned,
    a_compaction_is_what_was_said_so_far,
    another_providers_compaction_is_dropped_and_noted,
    a_compaction_trigger_asks_for_a_summary,
    nothing_may_come_after_a_compaction_trigger,
    tools_found_later_join_the_offer,
    tool_choice_by_name,
    tool_choice_in_a_namespace,
    allowed_tools_narrow_the_offer,
    a_search_cannot_be_forced,
    tool_choice_of_an_unknown_tool_is_refused,
    tool_choice_required_without_tools_is_refused,
    hosted_tools_where_the_model_has_them,
    a_hosted_tool_that_the_model_lacks_is_refused_by_name,
    image_generation_is_refused_by_name,
    hosted_tools_that_the_model_lacks_can_be_left_out,
    unknown_tool_type_is_refused,
    too_many_tools_are_refused,
    settings_of_every_kind,
    unknown_fields_reach_the_model_and_control_fields_do_not,
    truncation_auto_drops_the_oldest_turns,
    parameters_of_chat_are_named_by_their_new_names,
    max_output_tokens_below_the_least_are_refused,
    unknown_include_is_refused,
    missing_input_is_refused,
    missing_model_is_refused,
    missing_call_id_is_refused,
    unknown_role_is_refused,
    unknown_part_is_refused,
    a_wrong_type_deep_inside_is_named_by_its_path,
    an_item_that_is_no_object_is_refused,
    an_image_of_the_assistants_is_refused,
    file_ids_are_refused_clearly,
    contradicting_links_are_refused,
    schema_without_a_name_is_refused,
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
    let first = r#"{"model":"m","instructions":"i","input":[{"role":"developer","content":"d"},{"role":"user","content":"q"},
        {"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"a"}"#;
    let turn = read_plain(&format!("{first}]}}")).unwrap();
    let next = read_plain(&format!(
        r#"{first},{{"role":"assistant","content":"b"}},{{"role":"system","content":"late"}},{{"role":"user","content":"t"}}]}}"#
    ));
    let next = next.unwrap();
    assert_eq!(turn.request.system, next.request.system);
    assert_eq!(turn.request.messages.as_slice(), &next.request.messages[..turn.request.messages.len()]);
}

#[test]
fn pain_32_stored_items_are_the_same_as_the_ones_sent_again() {
    let items = [
        r#"{"role":"user","content":"q"}"#,
        r#"{"type":"function_call","call_id":"c","name":"f","arguments":"{\"a\": 1}"}"#,
        r#"{"type":"function_call_output","call_id":"c","output":[{"type":"input_text","text":"a"}]}"#,
    ];
    let sent = read_plain(&format!(r#"{{"model":"m","input":[{}]}}"#, items.join(","))).unwrap();
    let (stored, new) = items.split_at(2);
    let earlier = Earlier { items: stored.iter().map(|item| JsonText::parse((*item).to_owned()).unwrap()).collect(), ..Earlier::default() };
    let wire = decode(&format!(r#"{{"model":"m","previous_response_id":"resp_0","input":[{}]}}"#, new.join(",")));
    let again = read(wire, &earlier, &FetchedMedia::default(), &plain_options()).unwrap();
    assert_eq!(again.request, sent.request);
}

#[test]
fn pain_37_addresses_to_fetch_are_listed_once_with_their_place() {
    let wire = decode(
        r#"{"model":"m","input":[
        {"role":"user","content":[{"type":"input_text","text":"https://example.com/not-media image_url"},
            {"type":"input_image","detail":"auto","image_url":"HTTPS://example.com/a.png"},
            {"type":"input_image","image_url":"data:image/png;base64,AAAA"},
            {"type":"input_file","file_url":"https://example.com/b.pdf"}]},
        {"type":"function_call_output","call_id":"1","output":[{"type":"input_image","image_url":"https://example.com/c.png"},
            {"type":"input_file","file_data":"https://example.com/b.pdf"}]},
        {"type":"computer_call_output","call_id":"2","output":{"type":"computer_screenshot","image_url":"https://example.com/d.png"}}]}"#,
    );
    let stored = r#"{"role":"user","content":[{"type":"input_image","image_url":"https://example.com/c.png"}]}"#;
    let earlier = Earlier { items: vec![JsonText::parse(stored.to_owned()).unwrap()], ..Earlier::default() };
    let urls: Vec<(String, String)> = media_urls(&wire, &earlier).into_iter().map(|found| (found.param, found.url)).collect();
    let expected = [
        ("previous_response_id", "https://example.com/c.png"),
        ("input[0].content[1].image_url", "HTTPS://example.com/a.png"),
        ("input[0].content[3].file_url", "https://example.com/b.pdf"),
        ("input[2].output[0].image_url", "https://example.com/d.png"),
    ];
    assert_eq!(urls, expected.map(|(param, url)| (param.to_owned(), url.to_owned())));
}

#[test]
fn tool_schemas_and_arguments_keep_their_bytes() {
    let schema = r#"{ "type" : "object", "properties":{"z":{"type":"number","maximum":1e400},"a":{}} }"#;
    let body = format!(
        r#"{{"model":"m","input":[{{"role":"user","content":"q"}},{{"type":"function_call","call_id":"1","name":"f",
        "arguments":"{{\"z\":  1.0, \"a\":[ ]}}"}}],"tools":[{{"type":"function","name":"f","parameters":{schema}}}]}}"#
    );
    let read = read_plain(&body).unwrap();
    let outcrop_domain::chat::Tool::Function { schema: kept, .. } = &read.request.tools[0] else { panic!("no function") };
    assert_eq!(kept.get(), schema);
    let Content::ToolUse { input, .. } = &read.request.messages[1].content[0] else { panic!("no call") };
    assert_eq!(input.get(), r#"{"z":  1.0, "a":[ ]}"#);
    assert!(read.shape.echo.tools[0].get().contains(schema), "the echo is the client's own text");
}

#[test]
fn reading_for_a_count_needs_no_more_than_for_an_answer() {
    let body = r#"{"model":"m","input":"Hi","personality":"friendly","instructions":"i"}"#;
    let counted = read_for_counting(decode(body), &Earlier::default(), &FetchedMedia::default(), &plain_options()).unwrap();
    assert_eq!(counted.adjustments.to_string(), "personality=ignored");
    assert!(counted.request.extra.is_empty());
    assert_eq!(counted.request.messages[0].role, Role::User);
}

#[test]
fn sealed_reasoning_is_in_a_new_answer_and_in_a_stored_one_for_who_asks() {
    let usual = read_plain(r#"{"model":"m","input":"Hi"}"#).unwrap().shape.include;
    assert!(usual.encrypted_reasoning && !usual.code_outputs);
    assert!(!Include::of_query(&[]).unwrap().encrypted_reasoning);
}

#[test]
fn the_oldest_turns_make_room_for_the_tools_too() {
    let tool = json!({"type": "function", "name": "f", "description": "four".repeat(150), "parameters": {"type": "object"}});
    let turn = |role: &str| json!({"role": role, "content": "four".repeat(50)});
    let mut body = json!({"model": "m", "truncation": "auto", "input": [turn("user"), turn("assistant"), turn("user")]});
    let turns = |body: &Value| {
        let options = ResponsesOptions { context_tokens: Some(300), ..plain_options() };
        let read = read(decode(&body.to_string()), &Earlier::default(), &FetchedMedia::default(), &options).unwrap();
        (read.request.messages.len(), read.adjustments.to_string())
    };
    assert_eq!(turns(&body), (3, String::new()));
    body["tools"] = json!([tool]);
    assert_eq!(turns(&body), (1, "input=oldest_dropped".to_owned()));
    body["tools"] = json!([]);
    body["max_output_tokens"] = json!(200);
    assert_eq!(turns(&body), (1, "input=oldest_dropped".to_owned()));
}

#[test]
fn a_stored_item_that_cannot_be_read_is_laid_to_what_named_it() {
    let unreadable = || JsonText::parse(r#"{"role":"bogus","content":"x"}"#.to_owned()).unwrap();
    for (body, param) in [
        (r#"{"model":"m","input":"Hi","conversation":"conv_1"}"#, "conversation"),
        (r#"{"model":"m","input":"Hi","conversation":{"id":"conv_1"}}"#, "conversation"),
        (r#"{"model":"m","input":"Hi","previous_response_id":"resp_1"}"#, "previous_response_id"),
    ] {
        let earlier = Earlier { items: vec![unreadable()], ..Earlier::default() };
        let error = read(decode(body), &earlier, &FetchedMedia::default(), &plain_options()).unwrap_err();
        assert!(matches!(&error, GatewayError::InvalidRequest { param: Some(named), .. } if named == param), "{body}: {error}");
    }
}

#[test]
fn include_of_a_query_knows_the_same_words() {
    let words =
        |words: &[&str]| crate::openai_responses::Include::of_query(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
    assert!(words(&["reasoning.encrypted_content", "message.output_text.logprobs"]).unwrap().encrypted_reasoning);
    assert!(matches!(words(&["nonsense"]).unwrap_err(), GatewayError::InvalidRequest { param: Some(param), .. } if param == "include[0]"));
}

#[test]
fn debug_of_a_request_body_shows_no_content() {
    let shown = format!("{:?}", decode(r#"{"model":"m","input":"secret words","user":"bob","instructions":"hush"}"#));
    assert!(!shown.contains("secret") && !shown.contains("bob") && !shown.contains("hush") && shown.contains("items: Some(1)"), "{shown}");
}

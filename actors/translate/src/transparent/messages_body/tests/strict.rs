//! What strict mode refuses of a body that passes.

use outcrop_protocol::body::decode;

use super::*;
use crate::{
    anthropic_messages::request,
    dialect::{ReadOptions, media::FetchedMedia},
};

/// Flags of the fields below. Upstream has refused them before.
const FLAGS: [&str; 6] = [
    "advanced-tool-use-2025-11-20",
    "cache-diagnosis-2026-04-07",
    "context-management-2025-06-27",
    "server-side-fallback-2026-06-01",
    "skills-2025-10-02",
    "structured-outputs-2025-11-13",
];

fn with(member: &str) -> String {
    format!(r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"Hi"}}],{member}}}"#)
}

fn passed(body: &str, strictness: Strictness) -> Result<InvokeBody, GatewayError> {
    let flags: Vec<String> =
        ["tool-search-tool-2025-10-19", "tool-examples-2025-10-29"].iter().chain(&FLAGS).map(ToString::to_string).collect();
    let options = InvokeOptions { beta_headers: &flags, refused_flags: &flags, strictness, ..options(claude("sonnet-4-6")) };
    read(body, Purpose::Answer)?.invoke(&options)
}

fn param(error: GatewayError) -> Option<String> {
    match error {
        GatewayError::InvalidRequest { param, .. } => param,
        other => panic!("{other:?}"),
    }
}

fn tool(callers: &str) -> String {
    format!(r#""tools":[{{"name":"f","input_schema":{{"type":"object"}},"defer_loading":true,"allowed_callers":[{callers}]}}]"#)
}

#[test]
fn a_field_that_means_something_is_refused_as_the_hub_refuses_it() {
    let hub = ReadOptions { strictness: Strictness::Strict, ..ReadOptions::new(|_, _, _| None) };
    for (member, refused) in [
        (r#""speed":"fast""#.to_owned(), Some("speed")),
        (r#""speed":"standard""#.to_owned(), None),
        (
            r#""context_management":{"edits":[{"type":"clear_thinking_20251015"},{"type":"compact_20260112"}]}"#.to_owned(),
            Some("context_management"),
        ),
        (r#""context_management":{"edits":[{"type":"clear_thinking_20251015","keep":"all"}]}"#.to_owned(), None),
        (r#""context_management":{"edits":[]}"#.to_owned(), None),
        (r#""context_management":null"#.to_owned(), None),
        (r#""container":"c""#.to_owned(), Some("container")),
        (r#""fallbacks":[]"#.to_owned(), Some("fallbacks")),
        (r#""diagnostics":{}"#.to_owned(), None),
        (tool(r#""code_execution_20250825""#), Some("tools.allowed_callers")),
        (tool(r#""code_execution_20250825","direct""#), None),
    ] {
        let body = with(&member);
        let in_hub = request::read(decode(body.as_bytes()).unwrap(), &FetchedMedia::default(), &hub);
        assert_eq!(in_hub.err().and_then(param).as_deref(), refused, "the hub: {member}");
        assert_eq!(passed(&body, Strictness::Strict).err().and_then(param).as_deref(), refused, "{member}");
        let changed = passed(&body, Strictness::Lenient).unwrap().adjustments.to_string();
        assert!(refused.is_none_or(|field| changed.contains(&format!("{field}=dropped"))), "{member}: {changed}");
    }
}

#[test]
fn the_form_of_an_answer_is_not_left_out() {
    let body = with(r#""output_format":{"type":"json_schema","schema":{"type":"object"}}"#);
    let error = passed(&body, Strictness::Strict).unwrap_err();
    assert_eq!(error.to_string(), "`output_format` cannot be honoured (it would be dropped), and strict mode is on");
    assert!(passed(&body, Strictness::Lenient).is_ok());
}

#[test]
fn what_the_hub_only_reports_is_reported() {
    let body = with(r#""temperature":1,"thinking":{"type":"enabled","budget_tokens":5000}"#).replace(":9,", ":128000,");
    let changed = passed(&body, Strictness::Strict).unwrap().adjustments.to_string();
    assert!(changed.contains("max_tokens=lowered") && changed.contains("anthropic_beta=dropped:"), "{changed}");
}

use proptest::{prelude::*, sample::select};
use serde_json::Value as Json;

use super::*;
use crate::transparent::tests::claude;

const INVALID_FLAG: &str = "invalid beta flag";
const SIGNATURE: &str = "messages.1.content.0: Invalid `signature` in `thinking` block";

/// As [`super::heal`] where nothing is strict.
fn heal(body: &[u8], error: &str, rules: &BetaRules) -> Option<Healed> {
    super::heal(body, error, rules, Strictness::Lenient)
}

fn rules(model: &str) -> &'static BetaRules {
    &claude(model).betas.invoke
}

fn text(healed: &Healed) -> &str {
    std::str::from_utf8(&healed.body).unwrap()
}

fn flagged(flags: &str) -> String {
    format!(
        r#"{{"anthropic_version":"bedrock-2023-05-31","anthropic_beta":{flags},"max_tokens":9,"messages":[{{"role":"user","content":"a"}}],"context_management":{{"edits":[]}},"squeeze":1}}"#
    )
}

#[test]
fn pain_01_of_several_flags_that_nobody_has_proved_all_go_and_none_is_blamed() {
    let body = flagged(r#"["context-management-2025-06-27","brand-new","other-new"]"#);
    let healed = heal(body.as_bytes(), INVALID_FLAG, rules("opus-5")).unwrap();
    assert_eq!(text(&healed), flagged(r#"["context-management-2025-06-27"]"#));
    assert_eq!((healed.remedy, healed.refused_flags.len()), (Remedy::Flags, 0));
    assert_eq!(healed.adjustments.to_string(), "anthropic_beta=refused:brand-new,anthropic_beta=refused:other-new");
    assert_eq!(heal(&healed.body, "invalid beta flag", rules("opus-5")).unwrap().refused_flags, ["context-management-2025-06-27"]);
}

#[test]
fn pain_01_a_flag_that_alone_can_be_meant_is_remembered() {
    let body = flagged(r#"["context-management-2025-06-27","brand-new"]"#);
    assert_eq!(heal(body.as_bytes(), INVALID_FLAG, rules("opus-5")).unwrap().refused_flags, ["brand-new"]);
    let named = flagged(r#"["brand-new","other-new"]"#);
    assert_eq!(heal(named.as_bytes(), "invalid beta flag: other-new.", rules("opus-5")).unwrap().refused_flags, ["other-new"]);
}

#[test]
fn strict_mode_leaves_out_a_flag_and_not_what_it_stands_for() {
    let body = flagged(r#"["compact-2026-01-12","brand-new"]"#).replace(r#""edits":[]"#, r#""edits":[{"type":"compact_20260112"}]"#);
    assert!(body.contains("compact_20260112"));
    let strictly = |error: &str| super::heal(body.as_bytes(), error, rules("opus-5"), Strictness::Strict);
    assert_eq!(strictly("unsupported beta: compact-2026-01-12"), None, "its field says how the context is kept");
    assert!(heal(body.as_bytes(), "unsupported beta: compact-2026-01-12", rules("opus-5")).is_some());
    assert_eq!(strictly("unsupported beta: brand-new").unwrap().refused_flags, ["brand-new"]);
}

#[test]
fn pain_01_a_flag_is_named_by_its_whole_name_alone() {
    let body = flagged(r#"["new","brand-new","brand-new-2"]"#);
    let healed = heal(body.as_bytes(), "invalid beta flag `brand-new-2`", rules("opus-5")).unwrap();
    assert_eq!(healed.refused_flags, ["brand-new-2"]);
    assert!(text(&healed).contains(r#""anthropic_beta":["new","brand-new"]"#), "{}", text(&healed));
}

#[test]
fn pain_01_a_flag_that_upstream_names_is_the_one_that_goes() {
    let body = flagged(r#"["compact-2026-01-12","brand-new"]"#);
    let error = "Unexpected value(s) `compact-2026-01-12` for the `anthropic-beta` header.";
    let healed = heal(body.as_bytes(), error, rules("opus-5")).unwrap();
    assert_eq!(healed.refused_flags, ["compact-2026-01-12"]);
    assert!(text(&healed).contains(r#""anthropic_beta":["brand-new"]"#), "{}", text(&healed));
    assert!(!text(&healed).contains("context_management"), "its field goes with it");
}

#[test]
fn pain_01_when_only_proved_flags_are_left_all_go_and_none_is_blamed() {
    let body = flagged(r#"["compact-2026-01-12","context-management-2025-06-27"]"#);
    let healed = heal(body.as_bytes(), r#"{"message":"invalid beta flag"}"#, rules("opus-5")).unwrap();
    assert_eq!(
        text(&healed),
        r#"{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,"messages":[{"role":"user","content":"a"}],"squeeze":1}"#
    );
    assert!(healed.refused_flags.is_empty());
}

#[test]
fn what_is_no_fault_of_flags_heals_no_flags() {
    let body = flagged(r#"["brand-new"]"#);
    for error in ["max_tokens: 5 > 4", "", "The beta model is invalid", "ThrottlingException: Too many tokens"] {
        assert_eq!(heal(body.as_bytes(), error, rules("opus-5")), None, "{error}");
    }
    let none = r#"{"max_tokens":9,"messages":[{"role":"user","content":"a"}]}"#;
    assert_eq!(heal(none.as_bytes(), INVALID_FLAG, rules("opus-5")), None, "there is none to leave out");
    assert_eq!(heal(flagged("[]").as_bytes(), INVALID_FLAG, rules("opus-5")), None);
    assert_eq!(heal(b"no json", INVALID_FLAG, rules("opus-5")), None);
}

const HISTORY: &str = r#"{"max_tokens":9000,"thinking":{"type":"adaptive"},"messages":[
{"role":"user","content":"a"},
{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"s"},{"type":"text","text":"b \u00e9"},{"type":"redacted_thinking","data":"d"},{"type":"tool_use","id":"t1","name":"f","input":{"n":1.0}}]},
{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":"r"}]},
{"role":"assistant","content":[ {"type":"redacted_thinking","data":"d"} , {"type":"thinking","thinking":"","signature":"s"} ]},
{"role":"user","content":"c"}]}"#;

const STRIPPED: &str = r#"{"max_tokens":9000,"thinking":{"type":"adaptive"},"messages":[
{"role":"user","content":"a"},
{"role":"assistant","content":[{"type":"text","text":"b \u00e9"},{"type":"tool_use","id":"t1","name":"f","input":{"n":1.0}}]},
{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":"r"}]},
{"role":"assistant","content":[ {"type":"text","text":"(no content)"} ]},
{"role":"user","content":"c"}]}"#;

#[test]
fn pain_11_a_refused_signature_strips_thinking_and_keeps_text_and_tools() {
    for error in [
        SIGNATURE,
        "messages.1.content.0.thinking.signature: Field required",
        "messages.5.content.48: Invalid `data` in `redacted_thinking` block",
        "messages.1.content.0: Invalid `signature` in `thinking` block. The block is bound to a different conversation.",
        "messages.1.content.19: `thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified.",
        "messages.31.content.1: When providing `thinking` or `redacted_thinking` blocks, the blocks must match the parameters during the original request.",
        "messages.1.content.0.thinking: each thinking block must contain thinking",
    ] {
        let healed = heal(HISTORY.as_bytes(), error, rules("opus-5")).unwrap_or_else(|| panic!("{error}"));
        assert_eq!((text(&healed), healed.remedy), (STRIPPED, Remedy::Thinking), "{error}");
        assert_eq!(healed.adjustments.to_string(), "messages.thinking=stripped");
    }
    assert_eq!(heal(STRIPPED.as_bytes(), SIGNATURE, rules("opus-5")), None, "nothing is left to strip");
    assert_eq!(heal(HISTORY.as_bytes(), "max_tokens must be greater than thinking.budget_tokens", rules("opus-5")), None);
}

#[test]
fn pain_11_a_hop_to_another_model_takes_no_thinking_along() {
    assert_eq!(text(&without_thinking(HISTORY.as_bytes()).unwrap()), STRIPPED);
    assert_eq!(without_thinking(STRIPPED.as_bytes()), None);
}

const LOOP: &str = r#"{"thinking":{"type":"enabled","budget_tokens":2000},"max_tokens":9000,"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"s"},{"type":"tool_use","id":"t1","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":"r"}]}]}"#;

#[test]
fn pain_11_a_loop_without_its_thinking_goes_on_without_more() {
    let healed = heal(LOOP.as_bytes(), SIGNATURE, rules("sonnet-4-5-20250929-v1:0")).unwrap();
    assert!(text(&healed).starts_with(r#"{"max_tokens":9000,"messages""#), "{}", text(&healed));
    assert_eq!(healed.adjustments.to_string(), "messages.thinking=stripped,thinking=disabled_for_unsigned_history");
}

#[test]
fn pain_02_thinking_that_was_expected_and_is_gone_is_asked_for_no_more() {
    let body = LOOP.replace(r#"{"type":"thinking","thinking":"t","signature":"s"},"#, "");
    let error = "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`. When `thinking` is enabled, a final `assistant` message must start with a thinking block.";
    let healed = heal(body.as_bytes(), error, rules("sonnet-4-5-20250929-v1:0")).unwrap();
    assert!(!text(&healed).contains("thinking"), "{}", text(&healed));
    assert_eq!(healed.adjustments.to_string(), "thinking=disabled_for_unsigned_history");
}

#[test]
fn pain_13_a_model_that_knows_no_system_turns_after_all_gets_user_turns() {
    let body = r#"{"max_tokens":9,"messages":[{"role":"user","content":"a"},{"role":"system","content":"Be kind."}]}"#;
    for error in [
        "role 'system' is not supported on this model",
        "messages: Unexpected role \"system\". The Messages API accepts a top-level `system` parameter",
    ] {
        let healed = heal(body.as_bytes(), error, rules("opus-5")).unwrap();
        assert_eq!(healed.remedy, Remedy::SystemTurns);
        assert!(
            text(&healed).contains(r#"{"role":"user","content":"[Instruction from the system, not from the user]\nBe kind."}"#),
            "{}",
            text(&healed)
        );
    }
    let none = body.replace("\"system\"", "\"assistant\"");
    assert_eq!(heal(none.as_bytes(), "role 'system' is not supported on this model", rules("opus-5")), None);
}

#[test]
fn nothing_of_a_body_is_shown_in_logs() {
    let shown = format!("{:?}", without_thinking(HISTORY.replace("b \\u00e9", "secret").as_bytes()).unwrap());
    assert!(!shown.contains("secret"), "{shown}");
}

fn any_history() -> impl Strategy<Value = String> {
    let block = select(vec![
        r#"{"type":"thinking","thinking":"t","signature":"s"}"#,
        r#"{"signature":"s","type":"redacted_thinking","data":"d"}"#,
        r#"{"type":"text","text":"thinking"}"#,
        r#"{"type":"tool_use","id":"t","name":"thinking","input":{"type":"thinking"}}"#,
        r#"{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"r"}]}"#,
    ]);
    let message = (prop::collection::vec(block, 1..5), select(vec!["user", "assistant"]), select(vec![",", " , "]))
        .prop_map(|(blocks, role, comma)| format!("{{\"role\":\"{role}\",\"content\":[{}]}}", blocks.join(comma)));
    prop::collection::vec(message, 1..6).prop_map(|messages| format!("{{\"max_tokens\":1,\"messages\":[{}]}}", messages.join(",")))
}

proptest! {
    #[test]
    fn text_and_tools_of_any_history_stay_and_no_message_is_empty(body in any_history()) {
        let Some(healed) = without_thinking(body.as_bytes()) else {
            prop_assert!(!body.contains("signature"));
            return Ok(());
        };
        let (before, after): (Json, Json) = (serde_json::from_str(&body).unwrap(), serde_json::from_slice(&healed.body).unwrap());
        let messages = before["messages"].as_array().unwrap().iter().zip(after["messages"].as_array().unwrap());
        for (before, after) in messages {
            let kept: Vec<&Json> = before["content"].as_array().unwrap().iter().filter(|block| block.get("signature").is_none()).collect();
            let left: Vec<&Json> = after["content"].as_array().unwrap().iter().collect();
            let filled = left.len() == 1 && left[0]["text"] == "(no content)";
            prop_assert!(left == kept || (kept.is_empty() && filled), "{}", body);
        }
        prop_assert_eq!(before["messages"].as_array().unwrap().len(), after["messages"].as_array().unwrap().len());
    }

    #[test]
    fn any_body_and_any_words_are_healed_or_left(body in "[\\[\\]{}\",:a-z0-9\\\\ ]{0,80}", error in ".{0,40}") {
        for words in [error.as_str(), INVALID_FLAG, SIGNATURE, "role 'system' is not supported"] {
            let _healed = heal(body.as_bytes(), words, rules("opus-5"));
        }
    }
}

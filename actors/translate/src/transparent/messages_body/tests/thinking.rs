//! Thinking and effort in words that a model lacks.

use super::*;

const OPUS_4_5: &str = "opus-4-5-20251101-v1:0";

/// What reaches a model of a body with these members, and what was changed.
fn sent(members: &str, model: &str, flags: &str) -> (String, String) {
    let body = format!(r#"{{"max_tokens":4000,"messages":[{{"role":"user","content":"Hi"}}],{members}}}"#);
    let headers = [flags.to_owned()];
    let invoke = read(body, Purpose::Answer).unwrap().invoke(&InvokeOptions { beta_headers: &headers, ..options(claude(model)) }).unwrap();
    (String::from_utf8(invoke.bytes).unwrap(), invoke.adjustments.to_string())
}

#[test]
fn pain_19_an_effort_gets_the_flag_that_it_needs_and_no_other() {
    let effort = r#""output_config":{"effort":"low"}"#;
    for (model, members, flag) in [
        (OPUS_4_5, effort, true),
        (OPUS_4_5, r#""output_config":{"effort":null}"#, false),
        (OPUS_4_5, r#""output_config":{"format":{"type":"json_schema","schema":{}}}"#, false),
        ("opus-5", effort, false),
    ] {
        let (text, notes) = sent(members, model, "");
        assert_eq!((text.contains(r#""anthropic_beta":["effort-2025-11-24"]"#), notes.as_str()), (flag, ""), "{model} {members}");
        assert!(text.contains(members), "{text}");
    }
    let (text, _) = sent(effort, OPUS_4_5, "effort-2025-11-24");
    assert_eq!(text.matches("effort-2025-11-24").count(), 1, "{text}");
    let refused = ["effort-2025-11-24".to_owned()];
    let body = format!(r#"{{"max_tokens":9,"messages":[{{"role":"user","content":"Hi"}}],{effort}}}"#);
    let invoke = read(body, Purpose::Answer).unwrap().invoke(&InvokeOptions { refused_flags: &refused, ..options(claude(OPUS_4_5)) });
    assert_eq!(invoke.unwrap().adjustments.to_string(), "", "a flag of ours that was refused is not sent, and was nobody's wish");
}

#[test]
fn pain_19_an_effort_that_the_model_lacks_becomes_the_nearest_and_is_reported() {
    for (model, asked, taken) in [
        (OPUS_4_5, "max", "high"),
        (OPUS_4_5, "medium", "medium"),
        ("opus-4-6-v1", "xhigh", "max"),
        ("opus-5", "minimal", "low"),
        ("opus-5", "xhigh", "xhigh"),
        ("opus-5", "utmost", "utmost"),
    ] {
        let (text, notes) = sent(&format!(r#""output_config":{{ "effort":"{asked}" }}"#), model, "");
        assert!(text.contains(&format!(r#""output_config":{{ "effort":"{taken}" }}"#)), "{model}: {text}");
        assert_eq!(notes, if asked == taken { "" } else { "output_config.effort=clamped" }, "{model} {asked}");
    }
    for model in ["sonnet-4-5-20250929-v1:0", "3-haiku-20240307-v1:0"] {
        let (text, notes) = sent(r#""output_config":{"effort":"max"}"#, model, "");
        assert!(!text.contains("output_config") && notes == "output_config.effort=dropped", "{model}: {notes} {text}");
    }
}

#[test]
fn thinking_between_tools_is_none_for_models_that_do_not_know_it() {
    let clearing = r#""context_management":{"edits":[{"type":"clear_thinking_20251015"}]}"#;
    let asked = format!(r#""thinking":{{"type":"between_tools","display":"omitted"}},{clearing}"#);
    for (model, kept, noted) in [
        ("sonnet-5-5", Some(r#""thinking":{"type":"between_tools","display":"omitted"}"#), ""),
        ("sonnet-5", Some(r#""thinking":{"type":"disabled"}"#), "thinking.type=disabled,context_management.edits=clear_thinking_dropped"),
        (OPUS_4_5, Some(r#""thinking":{"type":"disabled"}"#), "thinking.type=disabled,context_management.edits=clear_thinking_dropped"),
        ("opus-5-5", None, "thinking=cannot_disable,context_management.edits=clear_thinking_dropped"),
        ("3-haiku-20240307-v1:0", None, "thinking=dropped,context_management.edits=clear_thinking_dropped"),
    ] {
        let (text, notes) = sent(&asked, model, "");
        assert_eq!(notes, noted, "{model}");
        assert_eq!(text.contains(clearing), noted.is_empty(), "{text}");
        assert!(kept.map_or(!text.contains("\"thinking\""), |kept| text.contains(kept)), "{model}: {text}");
    }
    let (text, notes) = sent(r#""thinking":{"type":"between_tools"},"output_config":{"effort":"max"}"#, "sonnet-5-5", "");
    assert!(text.contains(r#""effort":"high""#) && notes == "output_config.effort=clamped", "{text}");
}

#[test]
fn a_budget_for_thinking_between_calls_may_be_larger_than_one_answer() {
    const FLAG: &str = "interleaved-thinking-2025-05-14";
    let thinking = r#""thinking":{"type":"enabled","budget_tokens":20000}"#;
    let tools = r#""tools":[{"name":"f","input_schema":{}}]"#;
    let both = format!("{thinking},{tools}");
    let none = format!(r#"{thinking},"tools":[]"#);
    for (model, members, flags, stays) in [
        ("sonnet-4-5-20250929-v1:0", both.as_str(), FLAG, true),
        ("sonnet-4-5-20250929-v1:0", both.as_str(), "", false),
        ("sonnet-4-5-20250929-v1:0", none.as_str(), FLAG, false),
        ("3-7-sonnet-20250219-v1:0", both.as_str(), FLAG, false),
    ] {
        let (text, notes) = sent(members, model, flags);
        assert_eq!((text.contains(thinking), notes.contains("lowered")), (stays, !stays), "{model} {members} {flags}: {text}");
    }
}

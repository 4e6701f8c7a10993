//! Turns: alternation, blank text, instructions in mid-conversation, begun answers.

use outcrop_domain::{
    chat::{CacheMark, ChatRequest, Content, GuardQualifier, SystemBlock},
    model::{ChatCapabilities, MidSystem},
};
use serde_json::json;

use super::{asking, assistant, call, instructed, presets, refused, result, system, text, tool, user, users, with_tools, written};

#[test]
fn consecutive_turns_of_one_role_are_joined() {
    let written =
        written(&asking(vec![user("a"), user("b"), assistant(vec![text("c")]), assistant(vec![text("d")]), user("e")]), &presets::nova());
    assert_eq!(
        written.json["messages"],
        json!([
            {"role": "user", "content": [{"text": "a"}, {"text": "b"}]},
            {"role": "assistant", "content": [{"text": "c"}, {"text": "d"}]},
            {"role": "user", "content": [{"text": "e"}]},
        ])
    );
    assert_eq!(written.adjusted(), "");
}

#[test]
fn a_history_that_begins_with_the_assistant_gets_a_visible_user_turn() {
    let written = written(&asking(vec![assistant(vec![text("Hello!")]), user("Hi")]), &presets::nova());
    assert_eq!(written.messages()[0], json!({"role": "user", "content": [{"text": "(no message)"}]}));
    assert_eq!(written.adjusted(), "messages=placeholder_user_turn");
}

#[test]
fn pain_04_blank_text_is_removed_and_an_emptied_turn_merged_away() {
    let turns = vec![user("a"), assistant(vec![text(" \n"), text("")]), users(vec![text(""), text("b")])];
    let written = written(&asking(turns), &presets::claude_budget());
    assert_eq!(written.json["messages"], json!([{"role": "user", "content": [{"text": "a"}, {"text": "b"}]}]));
    assert_eq!(written.adjusted(), "messages.content=blank_text_removed");
}

#[test]
fn pain_04_the_mark_of_a_removed_text_moves_to_the_block_before() {
    let mark = Content::CachePoint(CacheMark { ttl: None });
    let turns = vec![user("a"), assistant(vec![text("b")]), users(vec![text(" "), mark.clone(), text("c")])];
    let written = written(&asking(turns), &presets::claude_budget());
    assert_eq!(written.messages()[1]["content"], json!([{"text": "b"}, {"cachePoint": {"type": "default"}}]));
}

#[test]
fn a_conversation_of_blanks_gets_a_placeholder_and_none_at_all_is_refused() {
    let blank = written(&asking(vec![user(" ")]), &presets::nova());
    assert_eq!(blank.json["messages"], json!([{"role": "user", "content": [{"text": "(no message)"}]}]));
    let only_system = written(&instructed(asking(vec![]), "Say hi."), &presets::nova());
    assert_eq!(only_system.messages().len(), 1);
    assert_eq!(refused(&asking(vec![]), &presets::nova()).1, "messages");
}

#[test]
fn pain_13_mid_conversation_instructions_stay_in_place() {
    let turns = vec![user("a"), system("Speak French."), assistant(vec![text("b")]), user("c")];
    let rewritten = written(&instructed(asking(turns.clone()), "Be brief."), &presets::nova());
    assert_eq!(rewritten.json["system"], json!([{"text": "Be brief."}]));
    assert_eq!(
        rewritten.messages()[0]["content"],
        json!([{"text": "a"}, {"text": "[Instruction from the system, not from the user]\nSpeak French."}])
    );
    assert_eq!(rewritten.adjusted(), "messages.system=user_turn");
    let native = written(&asking(turns), &presets::claude_adaptive());
    assert_eq!(native.messages()[1], json!({"role": "system", "content": [{"text": "Speak French."}]}));
    assert_eq!(native.adjusted(), "");
}

#[test]
fn pain_13_instructions_between_a_call_and_its_result_come_after_the_result() {
    for mid_system in [MidSystem::Native, MidSystem::UserTurn] {
        let model = ChatCapabilities { mid_system, ..presets::claude_budget() };
        let turns = vec![user("a"), assistant(vec![call("1", "f")]), system("Hurry."), users(vec![result("1", "done")])];
        let written = written(&with_tools(turns, vec![tool("f")]), &model);
        assert_eq!(
            written.messages()[2]["content"],
            json!([
                {"toolResult": {"toolUseId": "1", "content": [{"text": "done"}]}},
                {"text": "[Instruction from the system, not from the user]\nHurry."},
            ])
        );
        assert_eq!(written.messages().len(), 3);
    }
}

#[test]
fn pain_13_a_native_instruction_stays_behind_the_result_it_follows() {
    let turns = vec![
        user("a"),
        assistant(vec![call("1", "f")]),
        users(vec![result("1", "done")]),
        system("Hurry."),
        assistant(vec![text("b")]),
        user("c"),
    ];
    let written = written(&with_tools(turns, vec![tool("f")]), &presets::claude_adaptive());
    let roles: Vec<_> = written.messages().iter().map(|message| message["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "user", "system", "assistant", "user"]);
}

#[test]
fn models_without_system_get_it_at_the_head_of_the_first_user_turn() {
    let written = written(&instructed(asking(vec![user("Hi")]), "Be brief."), &presets::mistral_7b());
    assert_eq!(written.json["messages"], json!([{"role": "user", "content": [{"text": "Be brief."}, {"text": "Hi"}]}]));
    assert!(written.json["system"].is_null());
    assert_eq!(written.adjusted(), "system=first_user_turn");
}

#[test]
fn a_begun_answer_loses_its_trailing_white_space() {
    let written = written(&asking(vec![user("Hi"), assistant(vec![text("Well, \n")])]), &presets::claude_budget());
    assert_eq!(written.messages()[1]["content"], json!([{"text": "Well,"}]));
    assert_eq!(written.adjusted(), "messages=prefill_trimmed");
}

#[test]
fn a_begun_answer_is_continued_by_request_where_the_model_continues_none() {
    let written = written(&asking(vec![user("Hi"), assistant(vec![text("Well,")])]), &presets::claude_adaptive());
    assert_eq!(written.messages()[1]["content"], json!([{"text": "Well,"}]));
    assert_eq!(written.messages()[2], json!({"role": "user", "content": [{"text": "Continue."}]}));
    assert_eq!(written.adjusted(), "messages=prefill_continued");
}

#[test]
fn white_space_inside_the_history_is_left_alone() {
    let written = written(&asking(vec![user("Hi "), assistant(vec![text("Well, ")]), user("?")]), &presets::claude_budget());
    assert_eq!(written.messages()[1]["content"], json!([{"text": "Well, "}]));
}

#[test]
fn guarded_text_reaches_the_guardrail_in_messages_and_system() {
    let guarded = Content::Guarded { text: "q".to_owned(), qualifiers: vec![GuardQualifier::Query] };
    let block = SystemBlock::Guarded { text: "facts".to_owned(), qualifiers: vec![GuardQualifier::GroundingSource] };
    let request = ChatRequest { system: vec![block], ..asking(vec![users(vec![guarded])]) };
    let kept = written(&request, &presets::nova());
    assert_eq!(kept.json["system"], json!([{"guardContent": {"text": {"text": "facts", "qualifiers": ["grounding_source"]}}}]));
    assert_eq!(kept.messages()[0]["content"], json!([{"guardContent": {"text": {"text": "q", "qualifiers": ["query"]}}}]));
    let unguarded = written(&request, &ChatCapabilities { guardrails: false, ..presets::nova() });
    assert_eq!(unguarded.messages()[0]["content"], json!([{"text": "q"}]));
}

#[test]
fn messages_come_last_so_that_one_turn_is_a_byte_prefix_of_the_next() {
    let first = written(&asking(vec![user("a")]), &presets::nova()).body.bytes;
    let next = written(&asking(vec![user("a"), assistant(vec![text("b")]), user("c")]), &presets::nova()).body.bytes;
    assert!(next.starts_with(first.strip_suffix(b"]}").unwrap()));
}

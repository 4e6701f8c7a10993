//! Ids of tool calls that other models wrote.

use serde_json::Value as Json;

use super::*;
use crate::transparent::messages_body::ids::is_taken;

fn body(messages: &str) -> String {
    format!(r#"{{"max_tokens":9,"messages":[{{"role":"user","content":"Hi"}},{messages}]}}"#)
}

/// The ids of all blocks, in order.
fn ids(text: &str) -> Vec<String> {
    let body: Json = serde_json::from_str(text).unwrap();
    let messages = body["messages"].as_array().unwrap().iter();
    let blocks = messages.flat_map(|message| message["content"].as_array().cloned().unwrap_or_default());
    let id = |block: Json| block["id"].as_str().or(block["tool_use_id"].as_str()).map(str::to_owned);
    blocks.filter_map(id).collect()
}

fn turn(id: &str) -> String {
    format!(
        r#"{{"role":"assistant","content":[{{"type":"tool_use","id":"{id}","name":"Bash","input":{{"id":"a.b"}}}}]}},{{"role":"user","content":[{{"tool_use_id":"{id}","type":"tool_result","content":"ok"}}]}}"#
    )
}

#[test]
fn pain_06_calls_of_another_model_get_ids_that_claude_takes_and_keep_their_results() {
    let history = [turn("functions.Bash:0"), turn("toolu_1"), turn("functions.Bash:0"), turn("")].join(",");
    let (text, notes) = written(&body(&history), claude("opus-5"));
    assert_eq!(notes, "messages.tool_call_id=renamed");
    let ids = ids(&text);
    assert!(ids.iter().all(|id| is_taken(id)), "{ids:?}");
    assert!(ids.chunks(2).all(|pair| pair[0] == pair[1]), "{ids:?}");
    assert!(ids[0].starts_with("functionsBash0_") && ids[2] == "toolu_1" && ids[4] != ids[0], "{ids:?}");
    assert!(text.contains(r#""input":{"id":"a.b"}"#), "what a tool is asked is its own business");
    let (shorter, _) = written(&body(&[turn("functions.Bash:0"), turn("toolu_1")].join(",")), claude("opus-5"));
    assert!(text.starts_with(shorter.strip_suffix("]}").unwrap()), "the cached prefix holds");
}

#[test]
fn calls_of_one_turn_that_share_an_id_are_answered_in_their_order() {
    let two = |block: &str| format!("{block},{block}");
    let history = format!(
        r#"{{"role":"assistant","content":[{}]}},{{"role":"user","content":[{}]}}"#,
        two(r#"{"type":"tool_use","id":"a.b","name":"f","input":{}}"#),
        two(r#"{"type":"tool_result","tool_use_id":"a.b"}"#),
    );
    let ids = ids(&written(&body(&history), claude("opus-5")).0);
    assert!(ids[0] != ids[1] && ids[..2] == ids[2..], "{ids:?}");
}

#[test]
fn a_turn_may_be_written_as_several_messages() {
    let calls = ["f.a:0", "f.b:1"]
        .map(|id| format!(r#"{{"role":"assistant","content":[{{"type":"tool_use","id":"{id}","name":"f","input":{{}}}}]}}"#));
    let results = ["f.b:1", "f.a:0"].map(|id| format!(r#"{{"type":"tool_result","tool_use_id":"{id}"}}"#));
    let history = format!(r#"{},{{"role":"user","content":[{}]}}"#, calls.join(","), results.join(","));
    let ids = ids(&written(&body(&history), claude("opus-5")).0);
    assert!(ids[0] == ids[3] && ids[1] == ids[2] && ids[0] != ids[1], "{ids:?}");
}

#[test]
fn ids_that_claude_takes_stay_whoever_ran_the_tool() {
    let server = |id: &str| {
        format!(
            r#"{{"role":"assistant","content":[{{"type":"server_tool_use","id":"{id}","name":"s","input":{{}}}},{{"type":"tool_search_tool_result","tool_use_id":"{id}","content":{{}}}}]}}"#
        )
    };
    let history = body(&[turn("call-1"), server("srvtoolu_1")].join(","));
    let (text, notes) = written(&history, claude("opus-5"));
    assert!(text.ends_with(history.split_once("\"messages\"").unwrap().1) && notes.is_empty(), "{notes}: {text}");
    let ids = ids(&written(&body(&server("srvtoolu_a.b")), claude("opus-5")).0);
    assert!(ids[0].starts_with("srvtoolu_ab_") && ids[0] == ids[1], "{ids:?}");
}

//! Cache marks.

use outcrop_domain::{
    chat::{CacheMark, CachePolicy, CacheTtl, ChatRequest, Content, SystemBlock, Tool},
    model::{CacheSupport, ChatCapabilities},
};
use serde_json::Value;

use super::{asking, assistant, call, presets, result, signed, text, tool, user, users, with_tools, written};

const SHORT: Option<CacheTtl> = Some(CacheTtl::FiveMinutes);
const LONG: Option<CacheTtl> = Some(CacheTtl::OneHour);

fn mark(ttl: Option<CacheTtl>) -> Content {
    Content::CachePoint(CacheMark { ttl })
}

/// Five places: tools, system, user, assistant, tool result.
fn five_marks() -> ChatRequest {
    let turns = vec![
        users(vec![text("a"), mark(None)]),
        assistant(vec![text("b"), mark(None), call("1", "f")]),
        users(vec![result("1", "x"), mark(None), text("c")]),
    ];
    let system = vec![SystemBlock::Text("s".to_owned()), SystemBlock::CachePoint(CacheMark { ttl: None })];
    ChatRequest { system, ..with_tools(turns, vec![tool("f"), Tool::CachePoint(CacheMark { ttl: None })]) }
}

/// Where marks stand: `list:position`, with the lifetime where one is written.
fn places(json: &Value) -> Vec<String> {
    let mut lists = vec![("tools".to_owned(), json["toolConfig"]["tools"].clone()), ("system".to_owned(), json["system"].clone())];
    let messages = json["messages"].as_array().unwrap().iter().enumerate();
    lists.extend(messages.map(|(turn, message)| (format!("{turn}"), message["content"].clone())));
    let mut found = Vec::new();
    for (name, list) in lists {
        for (position, member) in list.as_array().into_iter().flatten().enumerate() {
            if let Some(point) = member["cachePoint"].as_object() {
                let ttl = point.get("ttl").map_or(String::new(), |ttl| format!("={}", ttl.as_str().unwrap()));
                found.push(format!("{name}:{position}{ttl}"));
            }
        }
    }
    found
}

fn outcome(request: &ChatRequest, model: &ChatCapabilities) -> (Vec<String>, String) {
    let written = written(request, model);
    (places(&written.json), written.adjusted())
}

fn roomy() -> ChatCapabilities {
    let cache = presets::claude_budget().cache.map(|cache| CacheSupport { max_points: 8, ..cache });
    ChatCapabilities { cache, ..presets::claude_budget() }
}

#[test]
fn pain_12_marks_survive_in_all_five_places() {
    assert_eq!(outcome(&five_marks(), &roomy()).0, ["tools:1", "system:1", "0:1", "1:1", "2:1"]);
}

#[test]
fn pain_12_of_too_many_marks_the_last_ones_stay() {
    let (places, adjusted) = outcome(&five_marks(), &presets::claude_budget());
    assert_eq!(places, ["system:1", "0:1", "1:1", "2:1"]);
    assert_eq!(adjusted, "cache_control=earliest_dropped");
}

#[test]
fn models_without_caching_or_without_it_in_a_section_get_no_marks_there() {
    let (places, adjusted) = outcome(&five_marks(), &presets::llama());
    assert_eq!((places.len(), adjusted.as_str()), (0, "cache_control=dropped"));
    let (places, adjusted) = outcome(&five_marks(), &presets::nova());
    assert_eq!((places.join(" ").as_str(), adjusted.as_str()), ("system:1 0:1 1:1 2:1", "cache_control=dropped"));
}

#[test]
fn pain_14_a_lifetime_the_model_refuses_is_dropped_and_told() {
    let request = asking(vec![users(vec![text("a"), mark(LONG)])]);
    assert_eq!(outcome(&request, &presets::nova()), (vec!["0:1".to_owned()], "cache_control.ttl=dropped".to_owned()));
    assert_eq!(outcome(&request, &presets::claude_budget()), (vec!["0:1=1h".to_owned()], String::new()));
    let default = asking(vec![users(vec![text("a"), mark(SHORT)])]);
    assert_eq!(outcome(&default, &presets::claude_budget()), (vec!["0:1".to_owned()], String::new()));
}

#[test]
fn a_longer_lifetime_behind_a_shorter_one_is_shortened() {
    let request = asking(vec![users(vec![text("a"), mark(SHORT), text("b"), mark(LONG)])]);
    assert_eq!(
        outcome(&request, &presets::claude_budget()),
        (vec!["0:1".to_owned(), "0:3".to_owned()], "cache_control.ttl=shortened".to_owned())
    );
}

#[test]
fn our_own_marks_take_the_longer_lifetime_of_the_clients_behind_them() {
    let cache = CachePolicy { system: true, ..CachePolicy::default() };
    let system = vec![SystemBlock::Text("s".to_owned())];
    let request = ChatRequest { cache, system, ..asking(vec![users(vec![text("a"), mark(LONG)])]) };
    assert_eq!(outcome(&request, &presets::claude_budget()), (vec!["system:1=1h".to_owned(), "0:1=1h".to_owned()], String::new()));
}

#[test]
fn a_mark_with_nothing_before_it_is_dropped() {
    let request = asking(vec![users(vec![mark(None), text("a")])]);
    assert_eq!(outcome(&request, &presets::claude_budget()), (vec![], "cache_control=dropped".to_owned()));
}

#[test]
fn marks_in_a_row_become_one() {
    let request = asking(vec![users(vec![text("a"), mark(None), mark(LONG), text("b")])]);
    assert_eq!(outcome(&request, &presets::claude_budget()), (vec!["0:1=1h".to_owned()], String::new()));
}

#[test]
fn a_mark_behind_reasoning_moves_on() {
    let request = asking(vec![user("a"), assistant(vec![signed("r"), mark(None), text("b")]), user("c")]);
    assert_eq!(outcome(&request, &presets::claude_budget()), (vec!["1:2".to_owned()], "cache_control=moved".to_owned()));
}

#[test]
fn automatic_marks_fill_up_what_is_free() {
    let all = CachePolicy { system: true, tools: true, messages: true, ttl: None };
    let turns = vec![user("a"), assistant(vec![text("b")]), user("c"), assistant(vec![text("d")]), user("e")];
    let system = vec![SystemBlock::Text("s".to_owned())];
    let request = ChatRequest { cache: all, system, ..with_tools(turns, vec![tool("f")]) };
    assert_eq!(outcome(&request, &presets::claude_budget()).0, ["tools:1", "system:1", "2:1", "4:1"]);
    assert_eq!(outcome(&request, &presets::nova()), (["system:1", "2:1", "4:1"].map(str::to_owned).to_vec(), String::new()));
    assert_eq!(outcome(&request, &presets::llama()), (vec![], String::new()));
    let mut marked = request;
    marked.messages[0].content.push(mark(None));
    marked.messages[4].content.push(mark(None));
    assert_eq!(outcome(&marked, &presets::claude_budget()).0, ["tools:1", "system:1", "0:1", "4:1"]);
}

#[test]
fn automatic_marks_carry_the_wished_lifetime() {
    let cache = CachePolicy { messages: true, ttl: LONG, ..CachePolicy::default() };
    let request = ChatRequest { cache, ..asking(vec![user("a")]) };
    assert_eq!(outcome(&request, &presets::claude_budget()), (vec!["0:1=1h".to_owned()], String::new()));
    assert_eq!(outcome(&request, &presets::nova()), (vec!["0:1".to_owned()], "cache_control.ttl=dropped".to_owned()));
}

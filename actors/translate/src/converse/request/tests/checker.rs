//! An independent reading of Converse's rules for a body, knowing nothing of how it was written.

use std::collections::HashSet;

use serde_json::Value;

/// Every rule that `body` breaks. `nine` asks for ids of nine alphanumerics; `prefill` lets an assistant turn stand last.
pub(super) fn violations(body: &Value, nine: bool, prefill: bool) -> Vec<String> {
    let mut found = Vec::new();
    let messages = body["messages"].as_array().cloned().unwrap_or_default();
    check_roles(&messages, prefill, &mut found);
    check_blocks(&messages, &mut found);
    check_pairs(&messages, nine, &mut found);
    check_tools(body, &messages, &mut found);
    check_cache(body, &messages, &mut found);
    check_rest(body, &mut found);
    found
}

fn blocks(message: &Value) -> &[Value] {
    message["content"].as_array().map_or(&[], Vec::as_slice)
}

fn check_roles(messages: &[Value], prefill: bool, found: &mut Vec<String>) {
    let roles: Vec<&str> = messages.iter().map(|message| message["role"].as_str().unwrap()).collect();
    if roles.first() != Some(&"user") {
        found.push(format!("begins with {:?}", roles.first()));
    }
    if roles.last() == Some(&"assistant") && !prefill {
        found.push("ends with the assistant".to_owned());
    }
    for (position, pair) in roles.windows(2).enumerate() {
        if pair[0] == pair[1] {
            found.push(format!("two {} turns in a row at {position}", pair[0]));
        }
        if pair[1] == "system" && pair[0] != "user" || pair[0] == "system" && pair[1] != "assistant" {
            found.push(format!("a system turn between the wrong ones at {position}"));
        }
    }
}

fn check_blocks(messages: &[Value], found: &mut Vec<String>) {
    let mut names = HashSet::new();
    for message in messages {
        let role = message["role"].as_str().unwrap();
        if blocks(message).is_empty() {
            found.push(format!("an empty {role} turn"));
        }
        for block in blocks(message) {
            check_text(block, found);
            check_search_result(block, found);
            for part in block["toolResult"]["content"].as_array().into_iter().flatten() {
                check_text(part, found);
                check_search_result(part, found);
                check_document(part, &mut names, found);
            }
            check_document(block, &mut names, found);
            if role == "assistant" && ["image", "document", "video", "audio"].iter().any(|kind| !block[*kind].is_null()) {
                found.push("media in an assistant turn".to_owned());
            }
        }
        let has = |kind: &str| blocks(message).iter().any(|block| !block[kind].is_null());
        if has("document") && !has("text") {
            found.push("a document without text".to_owned());
        }
        if role == "assistant" {
            let rank = |block: &Value| match block.as_object().unwrap().keys().next().unwrap().as_str() {
                "reasoningContent" => Some(0),
                "toolUse" => Some(2),
                "cachePoint" => None,
                _ => Some(1),
            };
            if !blocks(message).iter().filter_map(rank).is_sorted() {
                found.push("an assistant turn out of order".to_owned());
            }
        }
    }
}

fn check_text(block: &Value, found: &mut Vec<String>) {
    if block["text"].as_str().is_some_and(|text| text.trim().is_empty()) {
        found.push("blank text".to_owned());
    }
}

fn check_search_result(block: &Value, found: &mut Vec<String>) {
    let result = &block["searchResult"];
    if result.is_null() {
        return;
    }
    let blank = |text: &Value| text.as_str().is_none_or(|text| text.trim().is_empty());
    let content = result["content"].as_array().map_or(&[][..], Vec::as_slice);
    if blank(&result["source"]) || blank(&result["title"]) || content.is_empty() || content.iter().any(|part| blank(&part["text"])) {
        found.push("a search result with a blank".to_owned());
    }
}

fn check_document(block: &Value, names: &mut HashSet<String>, found: &mut Vec<String>) {
    let Some(name) = block["document"]["name"].as_str() else { return };
    for part in block["document"]["source"]["content"].as_array().into_iter().flatten() {
        check_text(part, found);
    }
    let fits = |character: char| character.is_ascii_alphanumeric() || " -()[]".contains(character);
    if name.is_empty() || name.len() > 200 || !name.chars().all(fits) || name.contains("  ") || name.trim() != name {
        found.push(format!("document name {name:?}"));
    }
    if !names.insert(name.to_owned()) {
        found.push(format!("document name {name:?} twice"));
    }
}

fn check_pairs(messages: &[Value], nine: bool, found: &mut Vec<String>) {
    let mut used = HashSet::new();
    for (position, message) in messages.iter().enumerate() {
        let calls: Vec<&str> = blocks(message).iter().filter_map(|block| block["toolUse"]["toolUseId"].as_str()).collect();
        if message["role"] == "user" && !calls.is_empty() {
            found.push("a call in a user turn".to_owned());
        }
        for id in &calls {
            let fits = |character: char| character.is_ascii_alphanumeric() || !nine && "_.:-".contains(character);
            let length = if nine { id.len() == 9 } else { (1..=64).contains(&id.len()) };
            if !length || !id.chars().all(fits) {
                found.push(format!("call id {id:?}"));
            }
            if !used.insert((*id).to_owned()) {
                found.push(format!("call id {id:?} twice"));
            }
        }
        let next = messages.get(position + 1).map_or(&[][..], blocks);
        let answers: Vec<&str> = next.iter().filter_map(|block| block["toolResult"]["toolUseId"].as_str()).collect();
        if message["role"] == "assistant" && calls != answers {
            found.push(format!("calls {calls:?} are answered by {answers:?}"));
        }
        let foreign = message["role"] != "assistant" && !answers.is_empty();
        if foreign || position == 0 && blocks(message).iter().any(|block| !block["toolResult"].is_null()) {
            found.push("results without calls".to_owned());
        }
        let mut kinds = blocks(message).iter().filter(|block| block["cachePoint"].is_null()).map(|block| block["toolResult"].is_null());
        if message["role"] == "user" && !kinds.by_ref().is_sorted() {
            found.push("results behind other content".to_owned());
        }
    }
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|character| character.is_ascii_alphanumeric() || "_-".contains(character))
}

fn check_tools(body: &Value, messages: &[Value], found: &mut Vec<String>) {
    let tools = body["toolConfig"]["tools"].as_array();
    let history: Vec<&str> = messages.iter().flat_map(blocks).filter_map(|block| block["toolUse"]["name"].as_str()).collect();
    if !history.is_empty() && tools.is_none() {
        found.push("tool history without toolConfig".to_owned());
    }
    let Some(tools) = tools else { return };
    if tools.is_empty() {
        found.push("empty tools".to_owned());
    }
    let names: Vec<&str> = tools.iter().filter_map(|tool| tool["toolSpec"]["name"].as_str()).collect();
    for name in names.iter().chain(&history) {
        if !is_name(name) {
            found.push(format!("tool name {name:?}"));
        }
    }
    if names.iter().collect::<HashSet<_>>().len() < names.len() {
        found.push("a tool twice".to_owned());
    }
    for spec in tools.iter().map(|tool| &tool["toolSpec"]).filter(|spec| !spec.is_null()) {
        if spec["inputSchema"]["json"]["type"] != "object" {
            found.push("a schema that is no object schema".to_owned());
        }
        if spec["description"].as_str().is_some_and(|text| text.trim().is_empty()) {
            found.push("a blank description".to_owned());
        }
    }
    if let Some(chosen) = body["toolConfig"]["toolChoice"]["tool"]["name"].as_str()
        && !names.contains(&chosen)
    {
        found.push(format!("choice of {chosen:?}, which is not on offer"));
    }
    for input in messages.iter().flat_map(blocks).map(|block| &block["toolUse"]["input"]).filter(|input| !input.is_null()) {
        if !input.is_object() {
            found.push("arguments that are no object".to_owned());
        }
    }
}

fn check_cache(body: &Value, messages: &[Value], found: &mut Vec<String>) {
    let sections = [body["toolConfig"]["tools"].as_array(), body["system"].as_array()];
    let lists = sections.into_iter().flatten().map(Vec::as_slice).chain(messages.iter().map(blocks));
    let mut ttls = Vec::new();
    for list in lists {
        for (position, member) in list.iter().enumerate().filter(|(_, member)| !member["cachePoint"].is_null()) {
            ttls.push(member["cachePoint"]["ttl"].as_str().unwrap_or("5m").to_owned());
            match position.checked_sub(1).and_then(|before| list.get(before)) {
                None => found.push("a cache point first in its list".to_owned()),
                Some(before) if !before["cachePoint"].is_null() => found.push("two cache points in a row".to_owned()),
                Some(before) if !before["reasoningContent"].is_null() => found.push("a cache point behind reasoning".to_owned()),
                Some(before) if before["document"]["format"] == "txt" => found.push("a cache point behind a text document".to_owned()),
                Some(_) => {}
            }
        }
    }
    if ttls.len() > 4 {
        found.push(format!("{} cache points", ttls.len()));
    }
    // "1h" sorts before "5m": the longer ones must come first.
    if !ttls.is_sorted() {
        found.push(format!("lifetimes in the order {ttls:?}"));
    }
}

fn check_rest(body: &Value, found: &mut Vec<String>) {
    for block in body["system"].as_array().into_iter().flatten() {
        check_text(block, found);
    }
    for parameter in ["temperature", "topP"] {
        if body["inferenceConfig"][parameter].as_f64().is_some_and(|value| !(0.0..=1.0).contains(&value)) {
            found.push(format!("{parameter} out of range"));
        }
    }
    let budget = body["additionalModelRequestFields"]["thinking"]["budget_tokens"].as_u64();
    if let (Some(budget), Some(limit)) = (budget, body["inferenceConfig"]["maxTokens"].as_u64())
        && (budget >= limit || budget < 1024)
    {
        found.push(format!("budget {budget} with limit {limit}"));
    }
}

/// A body that keeps every rule, to be broken in one place.
fn sound() -> Value {
    serde_json::json!({
        "toolConfig": {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}]},
        "system": [{"text": "s"}],
        "messages": [
            {"role": "user", "content": [{"text": "a"}, {"document": {"name": "d", "format": "txt"}}]},
            {"role": "assistant", "content": [{"reasoningContent": {}}, {"text": "b"}, {"toolUse": {"toolUseId": "1", "name": "f", "input": {}}}]},
            {"role": "user", "content": [{"toolResult": {"toolUseId": "1", "content": [{"text": "x"}]}}, {"text": "c"}]},
        ],
    })
}

#[test]
fn the_checker_sees_every_broken_rule() {
    use serde_json::json;
    assert_eq!(violations(&sound(), false, false), Vec::<String>::new());
    let point = || json!({"cachePoint": {"type": "default"}});
    let long = json!({"cachePoint": {"type": "default", "ttl": "1h"}});
    let broken = [
        ("/messages/0/role", json!("assistant"), "begins with"),
        ("/messages/1/role", json!("user"), "turns in a row"),
        ("/messages/1/role", json!("system"), "a system turn between"),
        ("/messages/0/content/0/text", json!(" "), "blank text"),
        ("/messages/2/content/0/toolResult/content/0/text", json!(""), "blank text"),
        ("/system/0/text", json!("\n"), "blank text"),
        ("/messages/0/content/1/document/name", json!("a.b"), "document name"),
        ("/messages/2/content/1", json!({"document": {"name": "d"}}), "twice"),
        ("/messages/0/content/0", json!({"image": {}}), "a document without text"),
        ("/messages/1/content/1", json!({"image": {}}), "media in an assistant turn"),
        ("/messages/0/content/1/document", json!({"name": "d", "source": {"content": [{"text": " "}]}}), "blank text"),
        ("/messages/0/content/1", json!({"searchResult": {"source": "s", "title": "t", "content": []}}), "a search result with a blank"),
        ("/messages/1/content/0", json!({"toolUse": {"toolUseId": "2", "name": "f", "input": {}}}), "out of order"),
        ("/messages/1/content/2/toolUse/toolUseId", json!("2"), "are answered by"),
        ("/messages/1/content/2/toolUse/toolUseId", json!("a b"), "call id"),
        ("/messages/2/content", json!([{"text": "c"}, {"toolResult": {"toolUseId": "1"}}]), "results behind other content"),
        ("/messages/0/content/0", json!({"toolResult": {"toolUseId": "1"}}), "results without calls"),
        ("/messages/1/content/2/toolUse/name", json!("a.b"), "tool name"),
        ("/messages/1/content/2/toolUse/input", json!([]), "arguments that are no object"),
        ("/toolConfig", json!(null), "tool history without toolConfig"),
        ("/toolConfig/tools/0/toolSpec/inputSchema/json/type", json!("string"), "no object schema"),
        ("/toolConfig/tools/0/toolSpec/inputSchema", json!({"json": {}}), "no object schema"),
        ("/system/0", point(), "first in its list"),
        ("/messages/1/content/1", point(), "behind reasoning"),
        ("/messages/0/content", json!([{"text": "a"}, point(), {"text": "b"}, long]), "lifetimes"),
        ("/messages/0/content", json!([{"text": "a"}, point(), point()]), "two cache points in a row"),
        (
            "/system",
            json!([{"text": "a"}, point(), {"text": "b"}, point(), {"text": "c"}, point(), {"text": "d"}, point(), {"text": "e"}, point()]),
            "5 cache points",
        ),
        ("/messages/2/content", json!([]), "an empty user turn"),
    ];
    for (place, value, complaint) in broken {
        let mut body = sound();
        *body.pointer_mut(place).unwrap() = value;
        let found = violations(&body, false, false);
        assert!(found.iter().any(|violation| violation.contains(complaint)), "{place}: {found:?}");
    }
    let mut open = sound();
    open["messages"].as_array_mut().unwrap().truncate(2);
    assert!(violations(&open, false, false).contains(&"ends with the assistant".to_owned()));
    assert!(violations(&sound(), true, false).iter().any(|violation| violation.contains("call id")));
}

use super::*;

/// A text of exactly `tokens` tokens that differs by `mark`.
fn text(tokens: usize, mark: &str) -> String {
    let mut text = mark.repeat(tokens * 4 / mark.len() + 1);
    text.truncate(tokens * 4);
    text
}

fn point(ttl: &str) -> Value {
    json!({"cachePoint": {"type": "default", "ttl": ttl}})
}

fn cached(turn: &Turn) -> (u64, u64, u64, u64) {
    let usage = &turn.usage;
    (usage.input, usage.cache_read, usage.cache_write_5m, usage.cache_write_1h)
}

/// System of 2000 tokens with a cache point, then a short question.
fn with_system(system: &str, ttl: &str, question: &str) -> Value {
    with(question, json!({"system": [{"text": text(2000, system)}, point(ttl)]}))
}

#[test]
fn a_prefix_is_written_once_and_read_until_it_expires() {
    let mut memory = Memory::new(1);
    let ask = |memory: &mut Memory, question: &str, now| cached(&ask_with(memory, CLAUDE, &with_system("s", "5m", question), now));
    // 4 tokens of structure and one of text follow the cached prefix.
    assert_eq!(ask(&mut memory, "hi a", 0), (5, 0, 2000, 0));
    assert_eq!(ask(&mut memory, "hi b", 200), (5, 2000, 0, 0), "another question, same prefix");
    assert_eq!(ask(&mut memory, "hi b", 499), (5, 2000, 0, 0), "reading at 200 restarted the five minutes");
    assert_eq!(ask(&mut memory, "hi b", 800), (5, 0, 2000, 0), "expired at 799");
    assert_eq!(
        cached(&ask_with(&mut Memory::new(1), CLAUDE, &with_system("s", "5m", "hi b"), 800)),
        (5, 0, 2000, 0),
        "another region knows nothing"
    );
}

#[test]
fn an_hour_outlives_five_minutes() {
    let mut memory = Memory::new(1);
    assert_eq!(cached(&ask_with(&mut memory, CLAUDE, &with_system("s", "1h", "hi a"), 0)), (5, 0, 0, 2000));
    assert_eq!(cached(&ask_with(&mut memory, CLAUDE, &with_system("s", "1h", "hi a"), 3599)), (5, 2000, 0, 0));
    assert_eq!(cached(&ask_with(&mut memory, CLAUDE, &with_system("s", "1h", "hi a"), 3599 + 3600)), (5, 0, 0, 2000));
}

#[test]
fn changed_short_or_foreign_prefixes_miss() {
    let mut memory = Memory::new(1);
    ask_with(&mut memory, CLAUDE, &with_system("s", "5m", "hi a"), 0);
    assert_eq!(cached(&ask_with(&mut memory, CLAUDE, &with_system("t", "5m", "hi a"), 1)).1, 0, "other text");
    let other = "anthropic.claude-sonnet-4-6";
    assert_eq!(cached(&ask_with(&mut memory, other, &with_system("s", "5m", "hi a"), 1)).1, 0, "other model");
    let short = with("hi a", json!({"system": [{"text": text(1023, "s")}, point("5m")]}));
    assert_eq!(cached(&ask_with(&mut memory, CLAUDE, &short, 0)), (1028, 0, 0, 0), "below the minimum: silently ignored");
    let enough = with("hi a", json!({"system": [{"text": text(1024, "s")}, point("5m")]}));
    assert_eq!(cached(&ask_with(&mut memory, CLAUDE, &enough, 0)), (5, 0, 1024, 0));
}

#[test]
fn writes_are_split_by_ttl_and_conversations_grow_incrementally() {
    let mut memory = Memory::new(1);
    let first = json!({"system": [{"text": text(2000, "s")}, point("1h")], "messages": [
        {"role": "user", "content": [{"text": text(1500, "u")}, point("5m")]}]});
    assert_eq!(cached(&ask_with(&mut memory, CLAUDE, &first, 0)), (0, 0, 1504, 2000));
    let mut second = first.clone();
    // The marker moves to the newest turn: the older prefix is found among the blocks before it.
    second["messages"][0]["content"].as_array_mut().unwrap().pop();
    second["messages"].as_array_mut().unwrap().extend([
        json!({"role": "assistant", "content": [{"text": text(96, "a")}]}),
        json!({"role": "user", "content": [{"text": text(46, "v")}, point("5m")]}),
    ]);
    assert_eq!(cached(&ask_with(&mut memory, CLAUDE, &second, 10)), (0, 3504, 150, 0));
}

#[test]
fn a_prefix_more_than_twenty_blocks_back_is_not_found() {
    let blocks = |count: usize| (0..count).map(|index| json!({"text": format!("block {index}")})).collect::<Vec<_>>();
    let body = |extra: usize| {
        let mut content = vec![json!({"text": text(2000, "u")})];
        content.extend(blocks(extra));
        content.push(point("5m"));
        json!({"messages": [{"role": "user", "content": content}]})
    };
    for (extra, hit) in [(19, true), (20, false)] {
        let mut memory = Memory::new(1);
        ask_with(&mut memory, CLAUDE, &body(0), 0);
        assert_eq!(ask_with(&mut memory, CLAUDE, &body(extra), 0).usage.cache_read > 0, hit, "{extra}");
    }
}

#[test]
fn gpt_caches_by_itself_and_models_without_cache_do_not() {
    let mut memory = Memory::new(1);
    let body = user(&text(2000, "x"));
    assert_eq!(cached(&ask_with(&mut memory, GPT, &body, 0)), (2004, 0, 0, 0));
    assert_eq!(cached(&ask_with(&mut memory, GPT, &body, 1)), (2004 - 1920, 1920, 0, 0), "whole steps of 128");
    assert_eq!(cached(&ask_with(&mut memory, GPT_OSS, &body, 0)).1, 0);
    assert_eq!(cached(&ask_with(&mut memory, GPT_OSS, &body, 1)).1, 0);
}

#[test]
fn memory_stays_bounded() {
    let mut memory = Memory::new(1);
    for index in 0_u64..45_000 {
        let mut prefix = [0_u8; 32];
        prefix[..8].copy_from_slice(&index.to_be_bytes());
        memory.keep(prefix, Duration::from_secs(300), Duration::from_millis(index));
    }
    assert!(memory.cached_prefixes() <= 20_000, "{}", memory.cached_prefixes());
    let mut latest = [0_u8; 32];
    latest[..8].copy_from_slice(&44_999_u64.to_be_bytes());
    assert!(memory.touch(&latest, Duration::from_secs(46)), "the newest survive");
}

#[test]
fn counting_agrees_with_what_an_answer_is_billed() {
    let bodies = [
        user("hello there"),
        with("weather in Paris", json!({"system": [{"text": "Be brief."}], "toolConfig": {"tools": [weather()]}})),
        with_system("s", "5m", "hi a"),
    ];
    for body in bodies {
        let usage = ask(CLAUDE, &body).usage;
        let billed = usage.input + usage.cache_read + usage.cache_write_5m + usage.cache_write_1h;
        assert_eq!(count(&model(CLAUDE), &body), billed);
        assert_eq!(count(&model(CLAUDE), &json!({"input": {"converse": body}})), billed);
    }
}

#[test]
fn a_native_body_counts_as_the_converse_body_of_the_same_words() {
    let native = |body: Value| json!({"input": {"invokeModel": {"body": STANDARD.encode(body.to_string())}}});
    let schema = weather()["toolSpec"]["inputSchema"]["json"].clone();
    let body = json!({
        "anthropic_version": "bedrock-2023-05-31", "max_tokens": 1, "system": "Be brief.",
        "messages": [{"role": "user", "content": "weather in Paris"}],
        "tools": [{"name": "get_weather", "description": "Current weather of a city", "input_schema": schema}],
    });
    let converse = with("weather in Paris", json!({"system": [{"text": "Be brief."}], "toolConfig": {"tools": [weather()]}}));
    assert_eq!(count(&model(CLAUDE), &native(body.clone())), count(&model(CLAUDE), &converse));
    let mut longer = body;
    longer["system"] = json!([{"type": "text", "text": text(500, "s")}]);
    assert!(count(&model(CLAUDE), &native(longer)) > count(&model(CLAUDE), &converse) + 490);
}

#[test]
fn deferred_tools_cost_nothing_before_they_are_found() {
    let counted = |tools: Value| {
        let body = json!({
            "anthropic_version": "bedrock-2023-05-31", "max_tokens": 1, "anthropic_beta": ["tool-search-tool-2025-10-19"],
            "messages": [{"role": "user", "content": "weather in Paris"}], "tools": tools,
        });
        count(&model(CLAUDE), &json!({"input": {"invokeModel": {"body": STANDARD.encode(body.to_string())}}}))
    };
    let search = json!({"type": "tool_search_tool_bm25_20251119", "name": "tool_search_tool_bm25"});
    let tool = |deferred: bool| json!({"name": "get_weather", "input_schema": {"type": "object"}, "defer_loading": deferred});
    let alone = counted(json!([search]));
    assert_eq!(counted(json!([search, tool(true)])), alone);
    assert!(counted(json!([search, tool(false)])) > alone + 10);
}

#[test]
fn images_cost_by_size_and_other_scripts_more_than_latin() {
    let picture = |width: u32, height: u32| {
        let mut bytes = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR".to_vec();
        bytes.extend_from_slice(&width.to_be_bytes());
        bytes.extend_from_slice(&height.to_be_bytes());
        count(
            &model(CLAUDE),
            &json!({"messages": [{"role": "user", "content": [{"image": {"format": "png", "source": {"bytes": STANDARD.encode(bytes)}}}]}]}),
        )
    };
    assert_eq!((picture(750, 100), picture(4000, 4000)), (104, 1604));
    assert_eq!((tokens::text("abcdefgh"), tokens::text("\u{65e5}\u{672c}\u{8a9e}")), (2, 2));
    assert_eq!(tokens::cut("abcdefgh", 1), "abcd");
}

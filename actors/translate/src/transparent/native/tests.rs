use super::*;

const HOUR: &str = r#"{"cachePoint":{"type":"default","ttl":"1h"}}"#;

fn converse(body: &str) -> NativeRequest {
    converse_request(body.as_bytes()).unwrap()
}

#[test]
fn a_converse_body_tells_limit_size_and_marks() {
    let long = "x".repeat(4_000);
    let body = format!(
        r#"{{"messages":[{{"role":"user","content":[{{"text":"{long}"}},{{"cachePoint":{{"type":"default"}}}}]}},{{"role":"assistant","content":[{{"toolUse":{{"toolUseId":"t","name":"find","input":{{"q":"Rome"}}}}}}]}},{{"role":"user","content":[{{"toolResult":{{"toolUseId":"t","content":[{{"text":"{long}"}}],"status":"success"}}}}]}}],
        "inferenceConfig":{{"temperature":1,"maxTokens":77}},"system":[{{"text":"{long}"}},{HOUR}],"toolConfig":{{"tools":[{{"toolSpec":{{"name":"find","inputSchema":{{"json":{{}}}}}}}}]}}}}"#
    );
    let read = converse(&body);
    assert_eq!(read.max_tokens, Some(77));
    // Three long texts, names, arguments and schema by their text, a frame for each turn.
    assert_eq!(read.prompt_tokens, 3_000 + (4 + 4 + 12 + 11u64).div_ceil(4) + 3 * 4);
    assert_eq!(read.cached, Some(CachedPrefix { tokens: 2_004, life: CacheLife::Long }));
    let unmarked = converse(
        r#"{"messages":[{"role":"user","content":[{"text":"12345678"}]},{"role":"assistant","content":[{"text":"12345678"}]},{"role":"user","content":[{"text":"1234"}]}]}"#,
    );
    assert_eq!(unmarked.cached, None);
    assert!(unmarked.earlier_tokens > 0 && unmarked.earlier_tokens < unmarked.prompt_tokens, "{unmarked:?}");
    assert_eq!(converse(r#"{"serviceTier":{"type":"flex"}}"#).service_tier, Some(ServiceTier::Flex));
    assert_eq!(converse(r#"{"serviceTier":{"type":"gold"}}"#).service_tier, None);
}

#[test]
fn media_of_a_converse_body_count_by_their_kind() {
    let data = "A".repeat(1 << 20);
    let of = |block: String| converse(&format!(r#"{{"messages":[{{"role":"user","content":[{block}]}}]}}"#)).prompt_tokens - 4;
    assert_eq!(of(format!(r#"{{"image":{{"format":"png","source":{{"bytes":"{data}"}}}}}}"#)), 1_600);
    assert!((24_576..24_600).contains(&of(format!(r#"{{"document":{{"format":"pdf","name":"a","source":{{"bytes":"{data}"}}}}}}"#))));
    assert_eq!(of(r#"{"document":{"format":"pdf","name":"a","source":{"s3Location":{"uri":"s3://b/k"}}}}"#.to_owned()), 2_000);
    assert!((2_000..3_000).contains(&of(format!(r#"{{"video":{{"format":"mp4","source":{{"bytes":"{data}"}}}}}}"#))));
}

#[test]
fn a_conversation_is_the_same_in_every_turn_and_apart_from_others() {
    let of = |read: NativeRequest, body: &str| read.affinity(body.as_bytes(), &["key", "model"], None);
    let first = format!(r#"{{"system":[{{"text":"s"}},{HOUR}],"messages":[{{"role":"user","content":[{{"text":"hello"}},{HOUR}]}}]}}"#);
    let later = r#"{"messages":[{"role":"user","content":[{"text":"hello"}]},{"role":"assistant","content":[{"text":"x"}]},{"role":"user","content":[{"text":"more"}]}],"system":[{"text":"s"}]}"#;
    let other = later.replace("hello", "hallo");
    assert_eq!(of(converse(&first), &first), of(converse(later), later));
    assert_ne!(of(converse(&other), &other), of(converse(later), later));
    let claude = r#"{"anthropic_version":"bedrock-2023-05-31","max_tokens":1,"system":"s","messages":[{"role":"user","content":"hello"}]}"#;
    let read = invoke_request(claude.as_bytes()).unwrap();
    let messages = crate::transparent::messages_body::read(claude, Purpose::Answer).unwrap();
    assert_eq!(of(read, claude), messages.affinity(&["key", "model"], None), "one conversation, whichever way it comes");
}

#[test]
fn an_invoke_body_of_claudes_is_read_closely() {
    let body = r#"{"anthropic_version":"bedrock-2023-05-31","max_tokens":55,"system":[{"type":"text","text":"12345678","cache_control":{"type":"ephemeral","ttl":"1h"}}],"messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}]}]}"#;
    let read = invoke_request(body.as_bytes()).unwrap();
    assert_eq!((read.max_tokens, read.prompt_tokens), (Some(55), 2 + 1_600 + 4));
    assert_eq!(read.cached, Some(CachedPrefix { tokens: 2, life: CacheLife::Long }));
    let odd = r#"{"anthropic_version":"bedrock-2023-05-31","max_tokens":55,"prompt":"12345678"}"#;
    assert_eq!(invoke_request(odd.as_bytes()).unwrap().max_tokens, Some(55), "an old body all the same");
}

#[test]
fn an_invoke_body_of_any_family_tells_its_limit_and_its_size() {
    let picture = "iVBORw0KGgo".repeat(1_000);
    for (body, limit, tokens) in [
        (r#"{"prompt":"12345678","max_gen_len":5}"#.to_owned(), Some(5), 2),
        (r#"{"inputText":"12345678","textGenerationConfig":{"maxTokenCount":6}}"#.to_owned(), Some(6), 2),
        (r#"{"inferenceConfig":{"maxTokens":7},"messages":[{"role":"user","content":[{"text":"12345678"}]}]}"#.to_owned(), Some(7), 6),
        (r#"{"messages":[{"role":"user","content":"12345678"}],"max_completion_tokens":8}"#.to_owned(), Some(8), 6),
        (format!(r#"{{"prompt":"1234","image":"{picture}"}}"#), None, 1_601),
        ("{}".to_owned(), None, 0),
    ] {
        let read = invoke_request(body.as_bytes()).unwrap();
        assert_eq!((read.max_tokens, read.prompt_tokens), (limit, tokens), "{body}");
    }
    let nova = r#"{"system":[{"text":"12345678","cachePoint":{"type":"default"}}],"messages":[{"role":"user","content":[{"text":"a"}]}]}"#;
    assert_eq!(invoke_request(nova.as_bytes()).unwrap().cached, Some(CachedPrefix { tokens: 2, life: CacheLife::Short }));
}

#[test]
fn what_is_no_json_object_is_refused() {
    for body in ["", "[]", "{\"a\":}", "\"x\"", "{} {}"] {
        assert!(converse_request(body.as_bytes()).is_err() && invoke_request(body.as_bytes()).is_err(), "{body}");
        assert!(count_request(body.as_bytes()).is_err(), "{body}");
    }
    assert!(count_request(br#"{"input":{}}"#).is_ok());
}

#[test]
fn what_is_no_text_and_what_has_more_members_than_are_looked_at_is_refused() {
    let words = |body: &[u8]| [converse_request(body), invoke_request(body), count_request(body)].map(|read| read.unwrap_err().to_string());
    for words in words(b"{\"messages\":\n\"\xff\"}") {
        assert!(words.contains("not UTF-8 (line 2, column 2)"), "{words}");
    }
    let body = |members: usize| {
        let members: Vec<String> = (0..members).map(|number| format!("\"a{number}\":1")).collect();
        format!("{{{},\"guardrailConfig\":{{}}}}", members.join(","))
    };
    for words in words(body(100_000).as_bytes()) {
        assert!(words.contains("more than 256 fields"), "what names a guardrail behind them is not overlooked: {words}");
    }
    assert!(converse_request(body(255).as_bytes()).is_ok());
}

#[test]
fn pain_15_a_converse_answer_tells_its_tokens() {
    let body = br#"{"output":{"message":{"role":"assistant","content":[{"text":"a","novel":1}]}},"stopReason":"max_tokens","usage":{"inputTokens":3,"outputTokens":4,"cacheReadInputTokens":5,"cacheWriteInputTokens":30,"cacheDetails":[{"ttl":"1h","inputTokens":20}]},"serviceTier":{"type":"flex"}}"#;
    let usage = Usage { input: 3, output: 4, cache_read: 5, cache_write_5m: 10, cache_write_1h: 20, reasoning: None };
    let answer =
        NativeAnswer { usage: Some(usage), stop: Some(StopReason::MaxTokens), service_tier: Some(ServiceTier::Flex), produced_bytes: 1 };
    assert_eq!(converse_answer(body), answer);
    assert_eq!(converse_answer(b"no json"), NativeAnswer::default());
}

#[test]
fn converse_frames_are_followed_to_their_end() {
    let mut frames = ConverseFrames::default();
    frames.frame("messageStart", br#"{"role":"assistant"}"#);
    frames.frame("contentBlockDelta", br#"{"contentBlockIndex":0,"delta":{"reasoningContent":{"text":"hm"}},"p":"abc"}"#);
    frames.frame("contentBlockDelta", br#"{"contentBlockIndex":1,"delta":{"text":"Hello"}}"#);
    frames.frame("contentBlockDelta", br#"{"contentBlockIndex":2,"delta":{"toolUse":{"input":"{}"}}}"#);
    frames.frame("contentBlockDelta", b"no json");
    assert_eq!(frames.produced_bytes(), 9);
    assert_eq!(frames.end().unwrap_err().cause, Cause::BrokenStream);
    frames.frame("messageStop", br#"{"stopReason":"tool_use"}"#);
    assert!(frames.end().is_ok() && !frames.is_complete());
    frames.frame("metadata", br#"{"usage":{"inputTokens":1,"outputTokens":2},"metrics":{"latencyMs":5}}"#);
    assert!(frames.is_complete());
    let answer = frames.answer();
    assert_eq!((answer.usage.unwrap().output, answer.stop), (2, Some(StopReason::ToolUse)));
}

/// Deltas that are a piece in AWS's own writing, and such as are not.
#[test]
fn pieces_are_told_by_how_they_are_written_and_all_others_are_read() {
    for (payload, said) in [
        (r#"{"contentBlockIndex":0,"delta":{"text":"Hello"},"p":"abc"}"#, Some(5)),
        (r#"{"contentBlockIndex":12,"delta":{"text":""}}"#, Some(0)),
        (r#"{"contentBlockIndex":1,"delta":{"text":"a\"b\\\u00e9\ud83d\ude00"},"p":""}"#, Some(10)),
        (r#"{"contentBlockIndex":0,"delta":{"toolUse":{"input":"{\"q\":"}},"p":"a"}"#, Some(5)),
        (r#"{"contentBlockIndex":0,"delta":{"reasoningContent":{"text":"hm"}},"p":"abc"}"#, None),
        (r#"{"contentBlockIndex":0,"delta":{"text":"a"},"p":"abc","more":1}"#, None),
        (r#"{"contentBlockIndex":0,"delta":{"text":"a","more":1}}"#, None),
        (r#"{"contentBlockIndex": 0,"delta":{"text":"a"}}"#, None),
        (r#"{"delta":{"text":"a"},"contentBlockIndex":0}"#, None),
        (r#"{"contentBlockIndex":01,"delta":{"text":"a"}}"#, None),
        (r#"{"contentBlockIndex":0,"delta":{"text":"a"}"#, None),
        (r#"{"contentBlockIndex":0,"delta":{"text":"a"}}}"#, None),
    ] {
        assert_eq!(piece::said(payload.as_bytes()), said, "{payload}");
        if said.is_some() {
            assert_eq!(of_delta(payload.as_bytes()), said, "{payload}");
        }
    }
    assert_eq!(of_delta(br#"{"delta":{"text":"a"},"contentBlockIndex":0}"#), Some(1));
}

#[test]
fn an_invoke_answer_of_any_family_tells_its_tokens() {
    let told = |input, output| Usage { input, output, ..Usage::default() };
    for (body, usage, stop) in [
        (
            r#"{"type":"message","content":[],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":2,"cache_creation_input_tokens":9}}"#,
            Usage { cache_write_5m: 9, ..told(1, 2) },
            Some(StopReason::EndTurn),
        ),
        (
            r#"{"output":{"message":{"content":[{"text":"a"}]}},"stopReason":"max_tokens","usage":{"inputTokens":1,"outputTokens":2,"cacheReadInputTokenCount":3,"cacheWriteInputTokenCount":4}}"#,
            Usage { cache_read: 3, cache_write_5m: 4, ..told(1, 2) },
            Some(StopReason::MaxTokens),
        ),
        (
            r#"{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":1}}}"#,
            Usage { cache_read: 4, reasoning: Some(1), ..told(6, 2) },
            Some(StopReason::EndTurn),
        ),
        (
            r#"{"generation":"a","prompt_token_count":1,"generation_token_count":2,"stop_reason":"length"}"#,
            told(1, 2),
            Some(StopReason::MaxTokens),
        ),
        (
            r#"{"inputTextTokenCount":1,"results":[{"tokenCount":2,"outputText":"a","completionReason":"FINISH"}]}"#,
            told(1, 2),
            Some(StopReason::EndTurn),
        ),
        (r#"{"embedding":[0.1],"inputTextTokenCount":5}"#, told(5, 0), None),
        (
            r#"{"text":"a","finish_reason":"COMPLETE","meta":{"billed_units":{"input_tokens":1.0,"output_tokens":2.0}}}"#,
            told(1, 2),
            Some(StopReason::EndTurn),
        ),
        (r#"{"message":"a","finishReason":"stop"}"#, told(70, 80), Some(StopReason::EndTurn)),
        ("no json", told(70, 80), None),
    ] {
        let answer = invoke_answer(body.as_bytes(), HeaderCounts::read(Some("70"), Some(" 80 ")));
        assert_eq!((answer.usage, answer.stop), (Some(usage), stop), "{body}");
    }
    assert_eq!(invoke_answer(b"{}", HeaderCounts::read(Some("many"), None)).usage, None);
    assert_eq!(invoke_answer(b"{}", HeaderCounts::read(None, Some("3"))).usage, Some(told(0, 3)));
}

proptest::proptest! {
    #[test]
    fn a_piece_says_as_much_either_way(text in "[a-z \n\"\\\\\u{1}\u{e9}\u{1f600}]{0,20}", index in 0u32..300, call in proptest::prelude::any::<bool>(), padding in proptest::option::of("[a-zA-Z]{0,40}")) {
        let quoted = serde_json::to_string(&text).unwrap();
        let delta = if call { format!(r#"{{"toolUse":{{"input":{quoted}}}}}"#) } else { format!(r#"{{"text":{quoted}}}"#) };
        let padding = padding.map(|padding| format!(r#","p":"{padding}""#)).unwrap_or_default();
        let payload = format!(r#"{{"contentBlockIndex":{index},"delta":{delta}{padding}}}"#);
        let said = piece::said(payload.as_bytes());
        proptest::prop_assert_eq!(said, of_delta(payload.as_bytes()));
        proptest::prop_assert_eq!(said, Some(u64::try_from(text.len()).unwrap()));
    }

    #[test]
    fn any_bytes_are_looked_at_without_harm(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..60), text in "[\\[\\]{}\",:a-zP0-9\\\\]{0,60}") {
        for body in [&bytes[..], text.as_bytes()] {
            let _request = converse_request(body);
            let _request = invoke_request(body);
            let _answer = (converse_answer(body), invoke_answer(body, HeaderCounts::default()));
            let mut frames = ConverseFrames::default();
            for kind in ["contentBlockDelta", "messageStop", "metadata"] {
                frames.frame(kind, body);
            }
        }
    }
}

use super::*;

#[test]
fn the_same_calls_get_the_same_answers() {
    let bodies = [
        user("Tell me about tides"),
        with("weather in Paris?", json!({"toolConfig": {"tools": [weather()]}})),
        user("Tell me about tides"),
    ];
    let run = |seed| {
        let mut memory = Memory::new(seed);
        bodies.iter().map(|body| ask_with(&mut memory, CLAUDE, body, 0)).collect::<Vec<_>>()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2), "tool ids depend on the seed");
    let turns = run(1);
    assert_eq!(turns[0], turns[2]);
}

#[test]
fn exact_requests_are_repeated_word_for_word() {
    for (text, answer) in [
        ("Say exactly: Hello, World! 42", "Hello, World! 42"),
        ("please reply with exactly \"pong\" and nothing else", "pong"),
        ("Repeat after me: \u{fc}ber alles Gute", "\u{fc}ber alles Gute"),
    ] {
        assert_eq!(said(&ask(NOVA, &user(text))), answer);
    }
}

#[test]
fn counting_arithmetic_and_memory_work() {
    assert_eq!(said(&ask(NOVA, &user("Count to 5"))), "1, 2, 3, 4, 5");
    assert_eq!(said(&ask(NOVA, &user("count from 3 to 4 please"))), "3, 4");
    assert_eq!(said(&ask(NOVA, &user("What is 17 * 3?"))), "17 * 3 = 51.");
    let recall = json!({"messages": [
        {"role": "user", "content": [{"text": "Hi, my name is Zo\u{eb}-Marie."}]},
        {"role": "assistant", "content": [{"text": "Hello!"}]},
        {"role": "user", "content": [{"text": "What is my name?"}]}]});
    assert_eq!(said(&ask(NOVA, &recall)), "Your name is Zo\u{eb}-Marie.");
}

#[test]
fn prose_relates_to_the_question() {
    let text = said(&ask(CLAUDE, &user("How do volcanoes form on islands?")));
    assert!(text.contains("volcanoes") && text.contains("islands"), "{text}");
    let greeting = said(&ask(CLAUDE, &user("Hello!")));
    assert!(greeting.starts_with("Hello! I am Claude"), "{greeting}");
}

#[test]
fn asked_lengths_are_kept() {
    for words in [1, 7, 50, 1000] {
        let text = said(&ask(CLAUDE, &user(&format!("Write {words} words about rivers"))));
        assert_eq!(text.split_whitespace().count(), words, "{text}");
        assert!(words < 50 || text.contains("rivers"));
    }
    let essay = said(&ask(CLAUDE, &user("Write an essay on glaciers")));
    assert!(essay.split_whitespace().count() >= 300 && essay.contains("\n\n"));
}

#[test]
fn media_are_mentioned() {
    let png = validate::dimensions as fn(&[u8]) -> Option<(u32, u32)>;
    let mut bytes = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR".to_vec();
    bytes.extend_from_slice(&64_u32.to_be_bytes());
    bytes.extend_from_slice(&48_u32.to_be_bytes());
    assert_eq!(png(&bytes), Some((64, 48)));
    let body = json!({"messages": [{"role": "user", "content": [
        {"text": "Describe the picture and the report"},
        {"image": {"format": "png", "source": {"bytes": STANDARD.encode(&bytes)}}},
        {"document": {"name": "report", "format": "txt", "source": {"bytes": STANDARD.encode("Sales rose in spring.")}}},
    ]}]});
    let text = said(&ask(CLAUDE, &body));
    assert!(text.contains("I see an image (png, 64x48)"), "{text}");
    assert!(text.contains("a document named \"report\" (txt) that begins \"Sales rose in spring.\""), "{text}");
}

#[test]
fn json_is_given_where_it_is_asked_for() {
    let loose: Value =
        serde_json::from_str(&said(&ask(NOVA, &with("Which planet is largest?", json!({"system": [{"text": "Respond only in JSON."}]})))))
            .unwrap();
    assert!(loose.is_object());
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}, "temperature": {"type": "integer"}, "tags": {"type": "array", "items": {"type": "string"}}},
        "required": ["city", "temperature", "tags"], "additionalProperties": false});
    let format =
        json!({"outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": schema.to_string()}}}}});
    let turn = ask(CLAUDE, &with("It is 18 degrees in Lisbon.", format));
    let value: Value = serde_json::from_str(&said(&turn)).unwrap();
    assert_eq!((value["city"].as_str(), value["temperature"].as_i64()), (Some("Lisbon"), Some(18)), "{value}");
    assert!(jsonschema::is_valid(&schema, &value));
    let native = json!({"additionalModelRequestFields": {"output_config": {"format": {"type": "json_schema", "schema": schema}}}});
    let value: Value = serde_json::from_str(&said(&ask(CLAUDE, &with("Hot in Rome", native)))).unwrap();
    assert!(jsonschema::is_valid(&schema, &value), "{value}");
}

#[test]
fn max_tokens_cut_the_answer() {
    let turn = ask(NOVA, &with("Write 200 words about rivers", json!({"inferenceConfig": {"maxTokens": 10}})));
    assert_eq!((turn.stop_reason, turn.usage.output), ("max_tokens", 10));
    assert_eq!(said(&turn).len(), 40);
    let whole = ask(NOVA, &with("Say exactly: done", json!({"inferenceConfig": {"maxTokens": 1}})));
    assert_eq!((whole.stop_reason, said(&whole).as_str(), whole.usage.output), ("end_turn", "done", 1));
}

#[test]
fn stop_sequences_end_the_answer_and_are_reported_when_asked() {
    let config = json!({"inferenceConfig": {"stopSequences": ["7", "4, 5"]}, "additionalModelResponseFieldPaths": ["/stop_sequence"]});
    let turn = ask(CLAUDE, &with("Count to 10", config));
    assert_eq!((turn.stop_reason, turn.stop_sequence.as_deref(), said(&turn).as_str()), ("stop_sequence", Some("4, 5"), "1, 2, 3, "));
    assert_eq!(turn.additional_response_fields, Some(json!({"stop_sequence": "4, 5"})));
    let other = ask(CLAUDE, &with("Count to 3", json!({"additionalModelResponseFieldPaths": ["/stop_sequence", "/nothing"]})));
    assert_eq!(other.additional_response_fields, Some(json!({"stop_sequence": null})));
    assert_eq!(
        ask(NOVA, &with("Count to 3", json!({"additionalModelResponseFieldPaths": ["/stop_sequence"]}))).additional_response_fields,
        None
    );
}

#[test]
fn a_full_window_ends_the_answer() {
    // A model that answers until the window is full, with 1 token of room: 4 per message are counted too.
    let text = format!("Say exactly: {}", "abcd".repeat(199_995 - 4));
    let turn = ask(CLAUDE, &user(&text));
    assert_eq!(turn.stop_reason, "model_context_window_exceeded");
    assert_eq!(turn.usage.input + turn.usage.output, 200_000);
}

fn guardrail(trace: &str) -> Value {
    json!({"guardrailConfig": {"guardrailIdentifier": "gr1", "guardrailVersion": "1", "trace": trace}})
}

#[test]
fn guardrails_block_questions_and_explain_when_traced() {
    let turn = ask(NOVA, &with("please BLOCKME now", guardrail("enabled")));
    assert_eq!((turn.stop_reason, turn.usage.output), ("guardrail_intervened", 0));
    let trace = turn.guardrail_trace.unwrap();
    assert_eq!(
        trace["inputAssessment"]["gr1"]["wordPolicy"]["customWords"][0],
        json!({"match": "BLOCKME", "action": "BLOCKED", "detected": true})
    );
    assert_eq!(ask(NOVA, &with("please BLOCKME now", guardrail("disabled"))).guardrail_trace, None);
    let free = ask(NOVA, &with("hello", guardrail("enabled")));
    assert_eq!(free.stop_reason, "end_turn");
    assert!(free.guardrail_trace.unwrap()["outputAssessments"]["gr1"][0]["invocationMetrics"].is_object());
    assert_eq!(ask(NOVA, &user("please BLOCKME now")).stop_reason, "end_turn");
}

#[test]
fn guarded_blocks_alone_are_assessed_and_answers_too() {
    let mut body = with("", guardrail("enabled"));
    body["messages"][0]["content"] = json!([{"guardContent": {"text": {"text": "harmless"}}}, {"text": "say exactly: BLOCKME"}]);
    let turn = ask(NOVA, &body);
    assert_eq!(turn.stop_reason, "guardrail_intervened");
    let trace = turn.guardrail_trace.as_ref().unwrap();
    assert_eq!(trace["modelOutput"], json!(["BLOCKME"]));
    assert!(trace["outputAssessments"]["gr1"][0]["wordPolicy"].is_object());
    assert!(trace["inputAssessment"]["gr1"].get("wordPolicy").is_none());
    assert!(!said(&turn).contains("BLOCKME"));
}

#[test]
fn the_service_tier_is_echoed() {
    assert_eq!(ask(NOVA, &with("hi", json!({"serviceTier": {"type": "flex"}}))).service_tier.as_deref(), Some("flex"));
    assert_eq!(ask(NOVA, &user("hi")).service_tier, None);
}

#[test]
fn every_chat_model_answers_and_every_tool_model_calls() {
    for model in BOOK.all().iter().filter(|model| model.traits.is_some()) {
        let turn = ask(&model.id, &user("How do volcanoes form?"));
        assert_eq!((turn.stop_reason, said(&turn).contains("volcanoes")), ("end_turn", true), "{}: {turn:?}", model.id);
        assert!(turn.usage.input > 0 && turn.usage.output > 0, "{}", model.id);
        if model.traits.as_ref().unwrap().tools != crate::models::ToolSupport::None {
            let turn = ask(&model.id, &with("weather in Paris", json!({"toolConfig": {"tools": [weather()]}})));
            assert_eq!((turn.stop_reason, calls(&turn).len()), ("tool_use", 1), "{}", model.id);
        }
    }
}

#[test]
fn a_document_that_wants_to_be_cited_is_quoted_with_its_place() {
    let ask_about = |enabled: bool| {
        let document = json!({"document": {"name": "Bees", "format": "txt", "source": {"text": "Bees dance. They do so in the dark."}, "citations": {"enabled": enabled}}});
        ask(CLAUDE, &json!({"messages": [{"role": "user", "content": [document, {"text": "Why do bees dance?"}]}]}))
    };
    let quoted = ask_about(true);
    let Some(Block::Cited { text, citations }) = quoted.blocks.last() else { panic!("{quoted:?}") };
    assert_eq!(text, "Bees dance.");
    assert_eq!(citations[0]["location"], json!({"documentChar": {"documentIndex": 0, "start": 0, "end": 11}}));
    assert!(!ask_about(false).blocks.iter().any(|block| matches!(block, Block::Cited { .. })));
}

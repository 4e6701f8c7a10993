//! Watermarked answers: which words they are made of, when each was sent, and what they cost.

use std::{collections::BTreeSet, time::Duration};

use outcrop_sim::{Amount, Behaviour, CachePolicy, CallRecord, Chunking, Delay, End, Quota, Simulator, Span, Watermark};
use serde_json::{Value, json};

use crate::support::{EAST, HELLO, LIMIT, MODEL, Seen, WEST, exchange_on, path, post};

const CLAUDE: &str = "anthropic.claude-sonnet-4-5-20250929-v1%3A0";

fn simulator(watermark: Watermark) -> Simulator {
    let simulator = Simulator::builder().regions([EAST, WEST]).seed(7).chunking(Chunking::Framed).nonce("n0nce-").in_memory().unwrap();
    let behaviour = Behaviour {
        first_token: Some(Delay::fixed(Span::millis(100))),
        inter_token: Some(Delay::fixed(Span::millis(10))),
        watermark: Some(watermark),
        ..Behaviour::default()
    };
    simulator.behave("*", "*", behaviour).unwrap();
    simulator
}

async fn ask(simulator: &Simulator, path: &str, body: &str) -> Seen {
    exchange_on(&mut simulator.connect(EAST).await.unwrap(), &post(path, body)).await.unwrap()
}

async fn record(simulator: &Simulator) -> CallRecord {
    simulator.journal().wait_for(|calls| calls.iter().all(outcrop_sim::Call::ended), LIMIT).await.unwrap();
    simulator.journal().records().pop().unwrap()
}

/// The marks `<call>.<from>` up to and without `<call>.<to>`.
fn marks(call: u64, range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|index| format!("{call}.{index}")).collect()
}

#[tokio::test(start_paused = true)]
async fn each_word_names_its_call_and_place_and_the_journal_knows_when_it_left() {
    let simulator = simulator(Watermark::default());
    ask(&simulator, &path("converse"), HELLO).await;
    let seen = ask(&simulator, &path("converse-stream"), HELLO).await;
    let record = record(&simulator).await;
    assert_eq!((record.id, record.end), (2, End::Complete));
    let words: Vec<String> = seen.text().split(' ').map(str::to_owned).collect();
    assert_eq!(words, marks(2, 0..record.words_total));
    assert_eq!((record.words_sent, record.words.len() as u64), (record.words_total, record.words_total));
    let deltas = seen.events().iter().filter(|(kind, _)| kind == "contentBlockDelta").count() as u64;
    assert_eq!(deltas, record.words_total, "each word is a delta");
    for (index, run) in record.words.iter().enumerate() {
        let after = run.at.duration() - record.head.unwrap().duration();
        assert_eq!((run.first, run.count, after), (index as u64, 1, Duration::from_millis(10) * (u32::try_from(index).unwrap() + 1)));
    }
}

#[tokio::test(start_paused = true)]
async fn an_unstreamed_answer_takes_as_long_as_its_words() {
    let simulator = simulator(Watermark::default());
    let seen = ask(&simulator, &path("converse"), HELLO).await;
    let record = record(&simulator).await;
    let text = seen.json()["output"]["message"]["content"][0]["text"].as_str().unwrap().to_owned();
    assert_eq!(text.split(' ').map(str::to_owned).collect::<Vec<_>>(), marks(1, 0..record.words_total));
    let took = record.head.unwrap().duration() - record.arrived.duration();
    assert_eq!(took, Duration::from_millis(100 + 10 * record.words_total));
    assert_eq!((record.words.len(), record.words[0].count), (1, record.words_total));
}

#[tokio::test(start_paused = true)]
async fn the_bill_is_drawn_without_regard_to_the_words_and_shown_in_the_usage_alone() {
    let simulator = simulator(Watermark { words: Amount { p50: 3, p99: None, cap: None }, ..Watermark::default() });
    let mut bills = BTreeSet::new();
    for _ in 0..40 {
        let seen = ask(&simulator, &path("converse-stream"), HELLO).await;
        let record = record(&simulator).await;
        let (billed, usage) = (record.billed.unwrap(), seen.events().pop().unwrap().1["usage"].clone());
        assert_eq!((usage["inputTokens"].as_u64(), usage["outputTokens"].as_u64()), (Some(billed.input), Some(billed.output)));
        assert_eq!(seen.text().split(' ').count(), 3);
        bills.insert(billed.output);
    }
    let (least, most) = (*bills.first().unwrap(), *bills.last().unwrap());
    assert!(bills.len() > 30 && least < 100 && most > 400, "{bills:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_costs_no_more_than_its_max_tokens() {
    let simulator = simulator(Watermark { output_tokens: Amount { p50: 500, p99: None, cap: None }, ..Watermark::default() });
    let limited = |most: u64| HELLO.replacen('{', &format!("{{\"inferenceConfig\":{{\"maxTokens\":{most}}},"), 1);
    for (most, output, reason) in [(100, 100, "max_tokens"), (501, 500, "end_turn")] {
        let seen = ask(&simulator, &path("converse"), &limited(most)).await.json();
        assert_eq!((seen["usage"]["outputTokens"].as_u64(), seen["stopReason"].as_str()), (Some(output), Some(reason)));
    }
}

#[tokio::test(start_paused = true)]
async fn admission_and_bill_count_the_same_input() {
    let watermark = Watermark { input_factor: 1.25, input_noise: 0.1, ..Watermark::default() };
    let simulator = simulator(watermark);
    simulator.quota(EAST, MODEL, Quota { tokens_per_minute: Some(1_000_000), ..Quota::default() }).unwrap();
    let body = |name: u32| {
        let text = format!("{}{name:02}", "word ".repeat(2_000));
        json!({"inferenceConfig": {"maxTokens": 1_000}, "messages": [{"role": "user", "content": [{"text": text}]}]}).to_string()
    };
    let mut inputs = Vec::new();
    for prompt in 0..30 {
        ask(&simulator, &path("converse"), &body(prompt)).await;
        let record = record(&simulator).await;
        let billed = record.billed.unwrap();
        let input = billed.input + billed.cache_read + billed.cache_write_5m;
        let outcrop_sim::Decision::Admitted { reserved: Some(reserved), bucket: Some(_) } = record.decision else { panic!("{record:?}") };
        assert!(reserved.abs_diff(input + 1_000) <= 1, "{reserved} for {input}");
        inputs.push(input);
    }
    let counted = 2_504_f64 * 1.25;
    let mean = inputs.iter().sum::<u64>() as f64 / 30.0;
    assert!((mean / counted - 1.0).abs() < 0.08, "{mean} instead of about {counted}");
    assert!(inputs.iter().collect::<BTreeSet<_>>().len() > 20);
    ask(&simulator, &path("converse"), &body(3)).await;
    let again = record(&simulator).await.billed.unwrap();
    assert_eq!(again.input + again.cache_read + again.cache_write_5m, inputs[3], "the same text counts the same");
}

#[tokio::test(start_paused = true)]
async fn tool_arguments_thinking_and_errors_carry_the_call() {
    let simulator = simulator(Watermark::default());
    let body = json!({
        "messages": [{"role": "user", "content": [{"text": "use the tool note"}]}],
        "inferenceConfig": {"maxTokens": 4_000},
        "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        "toolConfig": {"tools": [{"toolSpec": {"name": "note", "description": "writes a note", "inputSchema": {"json": {
            "type": "object", "required": ["text", "kind"], "properties": {
                "text": {"type": "string"}, "kind": {"type": "string", "enum": ["a", "b"]},
                "list": {"type": "array", "items": {"type": "string"}, "minItems": 2}
            }}}}}]},
    });
    let seen = ask(&simulator, &format!("/model/us.{CLAUDE}/converse-stream"), &body.to_string()).await;
    let record = record(&simulator).await;
    let events = seen.events();
    let joined = |pick: &dyn Fn(&Value) -> Option<String>| events.iter().filter_map(|(_, payload)| pick(payload)).collect::<String>();
    let text_at = |pointer: &'static str| joined(&move |payload: &Value| payload.pointer(pointer)?.as_str().map(str::to_owned));
    let thinking = text_at("/delta/reasoningContent/text");
    let arguments: Value = serde_json::from_str(&text_at("/delta/toolUse/input")).unwrap();
    let mut words: Vec<String> = thinking.split(' ').map(str::to_owned).collect();
    words.extend(text_at("/delta/text").split(' ').map(str::to_owned));
    assert!(["a", "b"].contains(&arguments["kind"].as_str().unwrap()), "{arguments}");
    let mut marked: Vec<String> = Vec::new();
    for value in [&arguments["text"]].into_iter().chain(arguments["list"].as_array().into_iter().flatten()) {
        marked.push(value.as_str().unwrap().to_owned());
    }
    words.extend(marked);
    words.sort_by_key(|word| word.split_once('.').unwrap().1.parse::<u64>().unwrap());
    assert_eq!(words, marks(1, 0..record.words_total));
    assert_eq!(
        (record.words_sent, events.iter().any(|(_, payload)| payload.pointer("/delta/reasoningContent/signature").is_some())),
        (record.words_total, true)
    );
    let refused = ask(&simulator, &path("converse"), "{}").await.json();
    assert!(refused["message"].as_str().unwrap().ends_with(" (2.error)"), "{refused}");
    simulator.install(toml::from_str("kind = \"exception_frame\"\ntype = \"throttlingException\"\nafter_events = 1").unwrap()).unwrap();
    let broken = ask(&simulator, &path("converse-stream"), HELLO).await.events().pop().unwrap();
    assert_eq!(broken.1["message"], "Too many requests, please wait before trying again. (3.error)");
}

#[tokio::test(start_paused = true)]
async fn reasoning_with_marks_can_be_replayed() {
    let simulator = simulator(Watermark::default());
    let thinking = json!({"thinking": {"type": "enabled", "budget_tokens": 1024}});
    let mut messages = vec![json!({"role": "user", "content": [{"text": "hello"}]})];
    let ask = async |messages: &[Value]| {
        let body =
            json!({"messages": messages, "inferenceConfig": {"maxTokens": 4_000}, "additionalModelRequestFields": thinking}).to_string();
        ask(&simulator, &format!("/model/us.{CLAUDE}/converse"), &body).await
    };
    let first = ask(&messages).await.json();
    messages.push(first["output"]["message"].clone());
    messages.push(json!({"role": "user", "content": [{"text": "and now?"}]}));
    assert_eq!(ask(&messages).await.status, 200, "the signature is of the marked text");
}

#[tokio::test(start_paused = true)]
async fn a_prefilled_continuation_is_recorded_as_one() {
    let simulator = simulator(Watermark::default());
    let body = json!({"messages": [
        {"role": "user", "content": [{"text": "n0nce-1"}]},
        {"role": "assistant", "content": [{"text": "5.0 5.1 5.2"}]},
    ]});
    ask(&simulator, &path("converse-stream"), &body.to_string()).await;
    assert_eq!(record(&simulator).await.prefill.as_deref(), Some("5.2"));
    ask(&simulator, &path("converse-stream"), HELLO).await;
    assert_eq!(record(&simulator).await.prefill, None);
}

#[tokio::test(start_paused = true)]
async fn a_cut_answer_is_a_prefix_and_pays_for_what_was_sent() {
    let simulator = simulator(Watermark::default());
    simulator.install(toml::from_str("kind = \"close\"\nat_byte = 1500").unwrap()).unwrap();
    let seen = ask(&simulator, &path("converse-stream"), HELLO).await;
    let record = record(&simulator).await;
    let words: Vec<String> = seen.text().split(' ').map(str::to_owned).collect();
    assert_eq!(words, marks(1, 0..words.len() as u64));
    assert_eq!((record.end, record.wire_bytes), (End::Cut, 1_500));
    // The word whose bytes were cut had been handed over; none after it was.
    assert!((words.len() as u64..=words.len() as u64 + 1).contains(&record.words_sent), "{} of {}", words.len(), record.words_sent);
    assert!(record.billed.unwrap().output < record.usage.unwrap().output);
}

#[tokio::test(start_paused = true)]
async fn each_region_has_a_cache_of_its_own_and_the_journal_knows_what_one_for_all_would_have_done() {
    let simulator = simulator(Watermark { input_noise: 0.0, ..Watermark::default() });
    let policy = CachePolicy { ttl: Span::secs(60), ..CachePolicy::default() };
    simulator.behave(WEST, "*", Behaviour { cache: Some(policy), ..Behaviour::default() }).unwrap();
    let content = json!([{"text": "word ".repeat(4_000)}, {"cachePoint": {"type": "default"}}, {"text": "and now?"}]);
    let prompt = json!({"messages": [{"role": "user", "content": content}]}).to_string();
    let call = async |region: &str| {
        exchange_on(&mut simulator.connect(region).await.unwrap(), &post(&path("converse"), &prompt)).await.unwrap();
        let record = record(&simulator).await;
        (record.billed.unwrap().cache_read > 0, record.ideal_cache_read.unwrap() > 0)
    };
    assert_eq!(call(EAST).await, (false, false));
    assert_eq!(call(WEST).await, (false, true), "it moved and missed");
    assert_eq!(call(WEST).await, (true, true));
    tokio::time::sleep(Duration::from_secs(90)).await;
    assert_eq!(call(WEST).await, (false, true), "its own life there is a minute");
    assert_eq!(call(EAST).await, (true, true));
    let gauges = simulator.journal().gauges();
    let (read, ideal) = gauges.iter().fold((0, 0), |sum, gauge| (sum.0 + gauge.cache_read, sum.1 + gauge.ideal_cache_read));
    assert_eq!((read * 2, ideal > 0), (ideal, true), "half of what was possible");
}

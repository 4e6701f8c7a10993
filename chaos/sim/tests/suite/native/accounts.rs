//! What native calls cost, what they share with Converse, and what the journal knows of them.

use outcrop_sim::{Amount, Behaviour, Chunking, Delay, Ending, Quota, Simulator, Span, Watermark};

use super::*;
use crate::support::{LIMIT, simulator};

fn watermarked() -> Simulator {
    let simulator = Simulator::builder().region(EAST, 0).seed(7).chunking(Chunking::Framed).nonce("n0nce-").in_memory().unwrap();
    let behaviour =
        Behaviour { inter_token: Some(Delay::fixed(Span::millis(10))), watermark: Some(Watermark::default()), ..Behaviour::default() };
    simulator.behave("*", "*", behaviour).unwrap();
    simulator
}

#[tokio::test]
async fn counting_a_body_gives_the_tokens_its_call_is_billed() {
    use aws_sdk_bedrockruntime::types::{CountTokensInput, InvokeModelTokensRequest};
    let simulator = simulator().await;
    let marked = json!({"type": "text", "text": "word ".repeat(2_000), "cache_control": {"type": "ephemeral", "ttl": "1h"}});
    let bodies = [
        hello(),
        claude(json!([{"role": "user", "content": [marked]}]), json!({"system": "be kind", "tools": [weather()]})),
        claude(json!([{"role": "user", "content": "hm"}]), json!({"thinking": {"type": "enabled", "budget_tokens": 2000}})),
    ];
    for body in bodies {
        let input = CountTokensInput::InvokeModel(InvokeModelTokensRequest::builder().body(blob(&body)).build().unwrap());
        let counted = runtime(&simulator, EAST).count_tokens().model_id(bare()).input(input).send().await.unwrap().input_tokens;
        let [input, _, read, written] = counts_of(&parsed(&invoke(&simulator, CLAUDE, &body).await.unwrap())["usage"]);
        assert_eq!(u64::try_from(counted).unwrap(), input + read + written, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn converse_and_invoke_draw_from_one_quota_with_one_burndown() {
    let simulator = Simulator::builder().region(EAST, 0).seed(7).in_memory().unwrap();
    simulator.quota(EAST, bare(), Quota { requests_per_minute: Some(2), tokens_per_minute: Some(100_000), ..Quota::default() }).unwrap();
    let seen = ask(&simulator, "invoke", &hello()).await;
    let [input, output, ..] = counts_of(&seen.json()["usage"]);
    simulator.journal().wait_for_ended(1, LIMIT).await.unwrap();
    assert_eq!(simulator.quota_room(EAST, bare()).unwrap().tokens, Some(100_000 - i64::try_from(input + 5 * output).unwrap()));
    let reserved = simulator.journal().call(1).unwrap().reserved_tokens;
    assert_eq!(reserved, Some(input + 4_000), "max_tokens is reserved");
    let converse = json!({"messages": [{"role": "user", "content": [{"text": "hello"}]}]});
    assert_eq!(ask(&simulator, "converse", &converse).await.status, 200);
    let seen = ask(&simulator, "invoke-with-response-stream", &hello()).await;
    assert_eq!((seen.status, seen.json()["message"].as_str()), (429, Some("Too many requests, please wait before trying again.")));
}

#[tokio::test(start_paused = true)]
async fn each_word_of_a_stream_names_its_call_and_place() {
    let simulator = watermarked();
    let body = claude(json!([{"role": "user", "content": "say n0nce-4f"}]), json!({}));
    let seen = ask(&simulator, "invoke-with-response-stream", &body).await;
    simulator.journal().wait_for_ended(1, LIMIT).await.unwrap();
    let record = simulator.journal().records().pop().unwrap();
    let message = gathered(&seen.natives());
    let words: Vec<&str> = message["content"][0]["text"].as_str().unwrap().split(' ').collect();
    let expected: Vec<String> = (0..record.words_total).map(|index| format!("1.{index}")).collect();
    assert_eq!(words, expected);
    assert_eq!((record.words_sent, record.words.len() as u64), (record.words_total, record.words_total));
    assert_eq!((record.nonce.as_deref(), record.model.as_deref()), (Some("n0nce-4f"), Some(bare())));
    let billed = simulator.journal().call(1).unwrap().billed.unwrap();
    assert_eq!(counts(&billed), counts_of(&message["usage"]));
    let whole = ask(&simulator, "invoke", &body).await.json();
    assert!(whole["content"][0]["text"].as_str().unwrap().starts_with("2.0 2.1"));
}

#[tokio::test(start_paused = true)]
async fn a_cut_stream_pays_for_what_was_sent() {
    let simulator = watermarked();
    simulator.install(toml::from_str("kind = \"close\"\nat_byte = 2500").unwrap()).unwrap();
    let seen = ask(&simulator, "invoke-with-response-stream", &hello()).await;
    simulator.journal().wait_for_ended(1, LIMIT).await.unwrap();
    let record = simulator.journal().records().pop().unwrap();
    let text: String = seen.natives().iter().filter_map(|event| event["delta"]["text"].as_str().map(str::to_owned)).collect();
    let words = text.split(' ').count() as u64;
    assert!(words > 2 && (words..=words + 1).contains(&record.words_sent), "{words} of {}", record.words_sent);
    assert!(record.billed.unwrap().output < record.usage.unwrap().output);
    assert_eq!(simulator.journal().call(1).unwrap().ending, Ending::Cut);
}

#[tokio::test(start_paused = true)]
async fn a_begun_answer_is_recorded_and_gone_on_with() {
    let simulator = watermarked();
    let words = Watermark { words: Amount { p50: 3, p99: None, cap: None }, ..Watermark::default() };
    simulator.behave("*", "*", Behaviour { watermark: Some(words), ..Behaviour::default() }).unwrap();
    for content in [json!("5.0 5.1"), json!([{"type": "text", "text": "5.0 5.1"}])] {
        let body = claude(json!([{"role": "user", "content": "go"}, {"role": "assistant", "content": content}]), json!({}));
        let seen = ask(&simulator, "invoke", &body).await.json();
        let call = simulator.journal().received();
        assert_eq!(seen["content"][0]["text"], format!(" {call}.0 {call}.1 {call}.2"));
        assert_eq!(simulator.journal().call(call).unwrap().prefill.as_deref(), Some("5.1"));
    }
}

#[tokio::test]
async fn the_prompt_cache_knows_a_prefix_by_its_words() {
    let simulator = simulator().await;
    let long = "word ".repeat(2_000);
    let marker = json!({"type": "ephemeral"});
    let call = async |content: Value, members: Value| {
        let message = parsed(&invoke(&simulator, CLAUDE, &claude(content, members)).await.unwrap());
        let usage = message["usage"].clone();
        let split = &usage["cache_creation"];
        (
            usage["cache_read_input_tokens"].as_u64().unwrap(),
            split["ephemeral_5m_input_tokens"].as_u64().unwrap(),
            split["ephemeral_1h_input_tokens"].as_u64().unwrap(),
        )
    };
    let marked = json!([{"role": "user", "content": [{"type": "text", "text": long, "cache_control": marker}]}]);
    assert_eq!(call(marked.clone(), json!({})).await, (0, 2_504, 0));
    assert_eq!(call(marked, json!({})).await, (2_504, 0, 0));
    // The marker moved to the newest turn, and the old one is a bare text: the words are the same.
    let next = json!([
        {"role": "user", "content": long}, {"role": "assistant", "content": "well"},
        {"role": "user", "content": [{"type": "text", "text": "more", "cache_control": marker}]},
    ]);
    let (read, five, hour) = call(next, json!({})).await;
    assert_eq!((read, hour, five > 0), (2_504, 0, true));
    // A longer life comes first; tools and system stand before the turns.
    let system = json!({
        "system": [{"type": "text", "text": long, "cache_control": {"type": "ephemeral", "ttl": "1h"}}], "tools": [weather()],
    });
    let turn = json!([{"role": "user", "content": [{"type": "text", "text": long, "cache_control": marker}]}]);
    let (read, five, hour) = call(turn, system).await;
    assert_eq!((read, five), (0, 2_504));
    assert!(hour > 2_500);
}

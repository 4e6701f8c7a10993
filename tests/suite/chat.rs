//! Text, whole and streamed; choices, limits, usage, pictures, documents, reasoning, structured output.

use outcrop_sim::Chunking;
use serde_json::{Value, json};

use crate::support::{CLAUDE, EAST, PNG, TestGateway, WebServer, png_data_url};

pub fn says(text: &str) -> Value {
    json!({"model": CLAUDE, "messages": [{"role": "user", "content": text}]})
}

/// Everything that breaks careless cutting and escaping.
const UNICODE: &str = "Grüße, 世界! 👩‍👩‍👧‍👦 e\u{301} \u{2028}\u{2029} \"quoted\" \\back\\slash\\ </script> \u{1}\u{7f} 𝔘𝔫𝔦\n\tnaïve 🇩🇪 ÿ end";

#[tokio::test]
async fn a_text_answer_has_everything_a_client_reads() {
    let gateway = TestGateway::start().await;
    let answer = gateway.chat(&says("say exactly: Good morning")).await;
    let body = answer.ok();
    assert!(body["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert_eq!((body["object"].as_str(), body["model"].as_str()), (Some("chat.completion"), Some("anthropic.claude-sonnet-4-6")));
    assert!(body["created"].as_u64().unwrap() > 1_700_000_000);
    let choice = &body["choices"][0];
    assert_eq!(choice["message"], json!({"role": "assistant", "content": "Good morning", "refusal": null, "annotations": []}));
    assert_eq!((choice["index"].as_u64(), choice["finish_reason"].as_str(), &choice["logprobs"]), (Some(0), Some("stop"), &Value::Null));
    let billed = gateway.calls()[0].billed.clone().unwrap();
    assert_eq!(
        (body["usage"]["prompt_tokens"].as_u64(), body["usage"]["completion_tokens"].as_u64()),
        (Some(billed.input), Some(billed.output))
    );
    assert_eq!(body["usage"]["total_tokens"].as_u64(), Some(billed.input + billed.output));
    assert_eq!(answer.header("x-outcrop-region"), Some(EAST));
    assert_eq!(answer.header("x-outcrop-model"), Some("anthropic.claude-sonnet-4-6"));
    assert_eq!(answer.header("x-outcrop-attempts"), Some("1"));
    assert_eq!((answer.header("x-outcrop-adjusted"), answer.header("x-outcrop-replaced")), (None, None));
    assert!(answer.header("x-request-id").unwrap().starts_with("req_"));
    gateway.end().await;
}

#[tokio::test]
async fn a_stream_has_everything_a_client_reads() {
    let gateway = TestGateway::start().await;
    let stream = gateway.streamed(&says("say exactly: one two three four five six seven")).await;
    assert_eq!(stream.headers["content-type"], "text/event-stream; charset=utf-8");
    assert_eq!(
        (&stream.headers["cache-control"], &stream.headers["x-outcrop-region"]),
        (&"no-cache".parse().unwrap(), &EAST.parse().unwrap())
    );
    let first = &stream.chunks[0]["choices"][0];
    assert_eq!((first["delta"]["role"].as_str(), &first["finish_reason"]), (Some("assistant"), &Value::Null));
    assert_eq!((stream.text().as_str(), stream.finish(0).as_str()), ("one two three four five six seven", "stop"));
    assert!(stream.chunks.len() > 3, "the answer came in one piece: {:?}", stream.chunks);
    let billed = gateway.calls()[0].billed.clone().unwrap();
    assert_eq!(stream.usage()["total_tokens"].as_u64(), Some(billed.input + billed.output));
    gateway.end().await;
}

#[tokio::test]
async fn whole_and_streamed_answers_are_the_same_however_the_bytes_fall() {
    for (seed, chunking) in
        [Chunking::Random, Chunking::Framed, Chunking::Sliced(1), Chunking::Sliced(7), Chunking::Merged].into_iter().enumerate()
    {
        let gateway = TestGateway::builder().regions([EAST]).simulator(move |sim| sim.seed(seed as u64).chunking(chunking)).start().await;
        let request = says(&format!("say exactly: {UNICODE}"));
        let whole = gateway.completion(&request).await;
        let stream = gateway.streamed(&request).await;
        assert_eq!(whole["choices"][0]["message"]["content"], UNICODE, "{chunking:?}");
        assert_eq!(stream.text(), UNICODE, "{chunking:?}");
        assert_eq!(whole["choices"][0]["finish_reason"].as_str(), Some(stream.finish(0).as_str()));
        assert_eq!(whole["usage"], stream.usage(), "{chunking:?}");
        gateway.end().await;
    }
}

#[tokio::test]
async fn several_choices_are_several_upstream_calls() {
    let gateway = TestGateway::start().await;
    let mut request = says("say exactly: the same thing");
    request["n"] = json!(3);
    let body = gateway.completion(&request).await;
    let choices = body["choices"].as_array().unwrap();
    assert_eq!(choices.iter().map(|choice| choice["index"].as_u64().unwrap()).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(choices.iter().all(|choice| choice["message"]["content"] == "the same thing"));
    let billed: u64 = gateway.calls().iter().map(|call| call.billed.clone().unwrap().output).sum();
    assert_eq!((gateway.calls().len(), body["usage"]["completion_tokens"].as_u64()), (3, Some(billed)));

    let stream = gateway.streamed(&request).await;
    for choice in 0..3 {
        assert_eq!((stream.joined(choice, "content").as_str(), stream.finish(choice).as_str()), ("the same thing", "stop"));
    }
    assert_eq!(stream.usage(), body["usage"]);
    assert_eq!(gateway.calls().len(), 6);
    gateway.end().await;
}

#[tokio::test]
async fn limits_and_stop_sequences_end_an_answer_and_say_so() {
    let gateway = TestGateway::start().await;
    let mut limited = says("count to 100");
    limited["max_completion_tokens"] = json!(8);
    let body = gateway.completion(&limited).await;
    assert_eq!((body["choices"][0]["finish_reason"].as_str(), body["usage"]["completion_tokens"].as_u64()), (Some("length"), Some(8)));
    assert_eq!(gateway.streamed(&limited).await.finish(0), "length");

    let mut stopped = says("count to 100");
    stopped["stop"] = json!(["7,"]);
    let body = gateway.completion(&stopped).await;
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert_eq!(body["choices"][0]["message"]["content"].as_str().unwrap().trim(), "1, 2, 3, 4, 5, 6,");
    assert_eq!(gateway.streamed(&stopped).await.text().trim(), "1, 2, 3, 4, 5, 6,");
    let sent = gateway.bodies();
    assert_eq!(sent[0]["inferenceConfig"]["maxTokens"], 8);
    assert_eq!(sent[2]["inferenceConfig"], json!({"stopSequences": ["7,"]}));
    gateway.end().await;
}

#[tokio::test]
async fn fields_that_no_standard_knows_reach_the_model_and_others_are_reported() {
    let gateway = TestGateway::start().await;
    let mut request = says("hello");
    request["top_k"] = json!(40);
    request["frequency_penalty"] = json!(0.5);
    request["logit_bias"] = json!({"50256": -100});
    let answer = gateway.chat(&request).await;
    answer.ok();
    assert_eq!(gateway.body()["additionalModelRequestFields"], json!({"top_k": 40}));
    let adjusted = answer.header("x-outcrop-adjusted").unwrap();
    assert!(adjusted.contains("frequency_penalty=") && adjusted.contains("logit_bias="), "{adjusted}");
    gateway.end().await;

    let silent = TestGateway::builder().set("chat.report_adjustments=false").start().await;
    assert_eq!(silent.chat(&request).await.header("x-outcrop-adjusted"), None);
    silent.end().await;
}

#[tokio::test]
async fn pictures_come_as_data_urls_and_by_address_over_http_and_https() {
    let (plain, secure) = (WebServer::plain().await, WebServer::secure().await);
    let gateway = TestGateway::builder()
        .set(format!("fetch.allowed_hosts=127.0.0.1:{},localhost:{}", plain.address.port(), secure.address.port()))
        .set(format!("aws.ca_bundle={}", WebServer::authority()))
        .start()
        .await;
    let by_address = format!("https://localhost:{}/pixel.png", secure.address.port());
    for url in [png_data_url(), plain.url("/pixel.png"), plain.url("/to-pixel"), by_address] {
        let seen = gateway.calls().len();
        let request = json!({"model": CLAUDE, "messages": [{"role": "user", "content": [
            {"type": "text", "text": "What is in this picture?"},
            {"type": "image_url", "image_url": {"url": url, "detail": "low"}},
        ]}]});
        let body = gateway.completion(&request).await;
        assert!(body["choices"][0]["message"]["content"].as_str().unwrap().contains("I see"), "{url}: {body}");
        let image = gateway.bodies()[seen]["messages"][0]["content"][1]["image"].clone();
        assert_eq!(image["format"], "png", "{url}");
        assert_eq!(decoded(&image["source"]["bytes"]), PNG, "{url}");
    }
    gateway.end().await;
}

fn decoded(text: &Value) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text.as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn documents_come_as_files() {
    let gateway = TestGateway::start().await;
    let request = json!({"model": CLAUDE, "messages": [{"role": "user", "content": [
        {"type": "text", "text": "Summarise the file"},
        {"type": "file", "file": {"filename": "report.pdf", "file_data": format!("data:application/pdf;base64,{}", base64_of(b"%PDF-1.7 hello"))}},
        {"type": "file", "file": {"filename": "notes.txt", "file_data": format!("data:text/plain;base64,{}", base64_of(b"some notes"))}},
    ]}]});
    gateway.completion(&request).await;
    let content = gateway.body()["messages"][0]["content"].clone();
    let documents: Vec<&Value> = content.as_array().unwrap().iter().filter_map(|block| block.get("document")).collect();
    let shown: Vec<_> =
        documents.iter().map(|document| (document["name"].as_str().unwrap(), document["format"].as_str().unwrap())).collect();
    assert_eq!(shown, [("report", "pdf"), ("notes", "txt")]);
    assert_eq!(decoded(&documents[0]["source"]["bytes"]), b"%PDF-1.7 hello");
    gateway.end().await;
}

pub fn base64_of(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// A person as a schema.
fn person() -> Value {
    let schema = json!({
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}, "tags": {"type": "array", "items": {"type": "string"}}},
        "required": ["name", "age", "tags"],
        "additionalProperties": false,
    });
    json!({"type": "json_schema", "json_schema": {"name": "person", "strict": true, "schema": schema}})
}

fn is_person(text: &str) -> bool {
    let value: Value = serde_json::from_str(text).unwrap_or_else(|fault| panic!("{fault}: {text}"));
    value["name"].is_string() && value["age"].is_i64() && value["tags"].is_array() && value.as_object().unwrap().len() == 3
}

#[tokio::test]
async fn structured_output_is_json_text_native_and_emulated_whole_and_streamed() {
    let gateway = TestGateway::start().await;
    for (model, native) in [(CLAUDE, true), ("claude-haiku-4-5", true), ("claude-3-7-sonnet", false), ("amazon.nova-lite-v1:0", false)] {
        let seen = gateway.calls().len();
        let request =
            json!({"model": model, "response_format": person(), "messages": [{"role": "user", "content": "Ada is 36 and likes math"}]});
        let body = gateway.completion(&request).await;
        let choice = &body["choices"][0];
        assert!(is_person(choice["message"]["content"].as_str().unwrap()), "{model}: {body}");
        assert_eq!((choice["finish_reason"].as_str(), choice["message"].get("tool_calls")), (Some("stop"), None), "{model}");
        let stream = gateway.streamed(&request).await;
        assert!(is_person(&stream.text()), "{model}: {}", stream.text());
        assert_eq!((stream.finish(0).as_str(), stream.tool_calls().len()), ("stop", 0), "{model}");
        let sent = &gateway.bodies()[seen];
        assert_eq!((sent.get("outputConfig").is_some(), sent.get("toolConfig").is_some()), (native, !native), "{model}: {sent}");
    }
    gateway.end().await;
}

#[tokio::test]
async fn json_mode_answers_with_json() {
    let gateway = TestGateway::start().await;
    let request = json!({"model": CLAUDE, "response_format": {"type": "json_object"},
        "messages": [{"role": "user", "content": "Describe Paris as a JSON object"}]});
    let body = gateway.completion(&request).await;
    let text = body["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(serde_json::from_str::<Value>(text).unwrap().is_object(), "{text}");
    gateway.end().await;
}

#[tokio::test]
async fn reasoning_is_shown_and_replayed_with_its_signature_whole_and_streamed() {
    let gateway = TestGateway::start().await;
    let tools = json!([{"type": "function", "function": {"name": "get_weather", "description": "Weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}]);
    for streaming in [false, true] {
        let mut request = json!({"model": CLAUDE, "reasoning_effort": "low", "tools": tools,
            "messages": [{"role": "user", "content": "What is the weather in Paris?"}]});
        let message = if streaming {
            let stream = gateway.streamed(&request).await;
            assert!(stream.joined(0, "reasoning_content").contains("weather"));
            assert_eq!(stream.finish(0), "tool_calls");
            stream.message()
        } else {
            let body = gateway.completion(&request).await;
            let message = &body["choices"][0]["message"];
            assert!(message["reasoning_content"].as_str().unwrap().contains("weather"), "{message}");
            assert!(body["usage"]["completion_tokens_details"]["reasoning_tokens"].as_u64().unwrap_or(1) > 0);
            message.clone()
        };
        let call = message["tool_calls"][0]["id"].as_str().unwrap().to_owned();
        let signature: String =
            message["reasoning_details"].as_array().unwrap().iter().filter_map(|detail| detail["signature"].as_str()).collect();
        assert!(!signature.is_empty(), "{message}");
        let turns = request["messages"].as_array_mut().unwrap();
        turns.push(message);
        turns.push(json!({"role": "tool", "tool_call_id": call, "content": "sunny, 21 degrees"}));
        // The simulator refuses a changed or missing signature, as AWS does.
        let body = gateway.completion(&request).await;
        assert!(body["choices"][0]["message"]["content"].as_str().unwrap().contains("sunny, 21 degrees"), "{body}");
        let replayed = gateway.bodies().pop().unwrap()["messages"][1]["content"][0]["reasoningContent"]["reasoningText"].clone();
        assert_eq!(replayed["signature"], signature, "streaming: {streaming}");
    }
    gateway.end().await;
}

#[tokio::test]
async fn usage_tells_what_the_prompt_cache_did() {
    let gateway = TestGateway::start().await;
    let manual = "All work and no play makes the reader skip this manual. ".repeat(300);
    let request = json!({"model": CLAUDE, "messages": [
        {"role": "system", "content": [{"type": "text", "text": manual, "cache_control": {"type": "ephemeral"}}]},
        {"role": "user", "content": "hello"},
    ]});
    let first = gateway.completion(&request).await["usage"].clone();
    let second = gateway.completion(&request).await["usage"].clone();
    let streamed = gateway.streamed(&request).await.usage();
    let (written, read) = (&first["prompt_tokens_details"]["cache_write_tokens"], &second["prompt_tokens_details"]["cached_tokens"]);
    assert!(written.as_u64().unwrap() > 1000, "{first}");
    assert_eq!(written, read);
    assert_eq!(first["prompt_tokens_details"]["cached_tokens"], 0);
    assert_eq!(first["prompt_tokens"], second["prompt_tokens"]);
    assert_eq!(second, streamed);
    gateway.end().await;
}

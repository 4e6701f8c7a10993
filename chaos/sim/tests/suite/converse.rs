//! Converse, ConverseStream and CountTokens as the SDK's typed client sees them.

use aws_sdk_bedrockruntime::{
    error::ProvideErrorMetadata,
    operation::converse::builders::ConverseFluentBuilder,
    types::{
        ContentBlock, ContentBlockDelta, ContentBlockStart, ConversationRole, ConverseStreamOutput, ConverseTokensRequest,
        CountTokensInput, Message, ReasoningContentBlock, ReasoningContentBlockDelta, StopReason,
    },
};
use outcrop_sim::{
    Action, Ending, Operation, Outcome, Rule, ScriptedError, Simulator,
    brain::{Block, Turn, TurnUsage},
};
use serde_json::{Value, json};

use crate::support::{EAST, LIMIT, MODEL, runtime, simulator, turn};

fn hello() -> Message {
    Message::builder().role(ConversationRole::User).content(ContentBlock::Text("hello".to_owned())).build().unwrap()
}

fn call(simulator: &Simulator) -> ConverseFluentBuilder {
    runtime(simulator, EAST).converse().model_id(MODEL).messages(hello())
}

/// A turn with every kind of block.
fn rich() -> Turn {
    Turn {
        blocks: vec![
            Block::Reasoning { text: "let me see what fits".to_owned(), signature: "c2lnbmVk".to_owned() },
            Block::Redacted("cmVkYWN0ZWQ=".to_owned()),
            Block::Text("Grüße aus der Simulation, in mehreren Wörtern".to_owned()),
            Block::Cited {
                text: "as the page says".to_owned(),
                citations: json!([{"title": "Page", "sourceContent": [{"text": "says"}], "location": {"documentChar": {"documentIndex": 0, "start": 1, "end": 2}}}]),
            },
            Block::ToolUse { id: "tooluse_1".to_owned(), name: "lookup".to_owned(), input: json!({"q": "é\n\"x\"", "n": [1, null]}) },
        ],
        stop_reason: "tool_use",
        stop_sequence: None,
        usage: TurnUsage { input: 10, output: 20, cache_read: 3, cache_write_5m: 4, cache_write_1h: 5, thinking: 6 },
        guardrail_trace: None,
        service_tier: Some("priority".to_owned()),
        additional_response_fields: Some(json!({"stop_sequence": null})),
    }
}

#[tokio::test]
async fn the_sdk_reads_the_brains_answer() {
    let simulator = simulator().await;
    let answer = call(&simulator).send().await.unwrap();
    let message = answer.output.unwrap().as_message().unwrap().clone();
    assert_eq!(message.role, ConversationRole::Assistant);
    assert!(!message.content[0].as_text().unwrap().is_empty());
    let usage = answer.usage.unwrap();
    assert!(usage.input_tokens > 0 && usage.output_tokens > 0);
    assert_eq!(usage.total_tokens, usage.input_tokens + usage.output_tokens);
    let recorded = simulator.journal().call(1).unwrap();
    assert_eq!((recorded.operation, recorded.model.as_deref()), (Operation::Converse, Some(MODEL)));
    assert_eq!(recorded.outcome, Outcome::Answered { status: 200 });
    assert_eq!(recorded.billed.unwrap().output, u64::try_from(usage.output_tokens).unwrap());
}

#[tokio::test]
async fn the_sdk_reads_every_kind_of_block_unstreamed() {
    let simulator = simulator().await;
    simulator.script(Rule::once(Action::Answer(rich())));
    let answer = call(&simulator).send().await.unwrap();
    let content = answer.output.unwrap().as_message().unwrap().content.clone();
    match content[0].as_reasoning_content().unwrap() {
        ReasoningContentBlock::ReasoningText(reasoning) => {
            assert_eq!((reasoning.text.as_str(), reasoning.signature.as_deref()), ("let me see what fits", Some("c2lnbmVk")));
        }
        other => panic!("{other:?}"),
    }
    match content[1].as_reasoning_content().unwrap() {
        ReasoningContentBlock::RedactedContent(content) => assert_eq!(content.as_ref(), b"redacted"),
        other => panic!("{other:?}"),
    }
    assert_eq!(content[2].as_text().unwrap(), "Grüße aus der Simulation, in mehreren Wörtern");
    let cited = content[3].as_citations_content().unwrap();
    assert_eq!(cited.citations.as_ref().unwrap()[0].title.as_deref(), Some("Page"));
    let tool = content[4].as_tool_use().unwrap();
    assert_eq!((tool.tool_use_id.as_str(), tool.name.as_str()), ("tooluse_1", "lookup"));
    assert_eq!(tool.input.as_object().unwrap()["q"].as_string(), Some("é\n\"x\""));
    assert_eq!(answer.stop_reason, StopReason::ToolUse);
    let usage = answer.usage.unwrap();
    assert_eq!((usage.total_tokens, usage.cache_read_input_tokens, usage.cache_write_input_tokens), (42, Some(3), Some(9)));
    assert_eq!(answer.service_tier.unwrap().r#type.as_str(), "priority");
    assert!(answer.additional_model_response_fields.is_some());
}

/// What a streaming client puts together.
#[derive(Debug, Default)]
struct Gathered {
    order: Vec<&'static str>,
    text: String,
    cited: String,
    thinking: String,
    signature: String,
    redacted: Vec<u8>,
    arguments: String,
    tool: Option<(String, String)>,
    citations: usize,
    stop: Option<StopReason>,
    total: Option<i32>,
}

impl Gathered {
    fn take(&mut self, event: ConverseStreamOutput) {
        let kind = match event {
            ConverseStreamOutput::MessageStart(start) => {
                assert_eq!(start.role, ConversationRole::Assistant);
                "start"
            }
            ConverseStreamOutput::ContentBlockStart(start) => {
                if let Some(ContentBlockStart::ToolUse(tool)) = start.start {
                    self.tool = Some((tool.tool_use_id, tool.name));
                }
                "open"
            }
            ConverseStreamOutput::ContentBlockDelta(delta) => {
                self.delta(delta.content_block_index, delta.delta.unwrap());
                "delta"
            }
            ConverseStreamOutput::ContentBlockStop(_) => "close",
            ConverseStreamOutput::MessageStop(stop) => {
                self.stop = Some(stop.stop_reason);
                "stop"
            }
            ConverseStreamOutput::Metadata(metadata) => {
                self.total = metadata.usage.map(|usage| usage.total_tokens);
                "usage"
            }
            other => panic!("{other:?}"),
        };
        self.order.push(kind);
    }

    fn delta(&mut self, index: i32, delta: ContentBlockDelta) {
        match delta {
            ContentBlockDelta::Text(text) if index == 3 => self.cited.push_str(&text),
            ContentBlockDelta::Text(text) => self.text.push_str(&text),
            ContentBlockDelta::ToolUse(tool) => self.arguments.push_str(&tool.input),
            ContentBlockDelta::Citation(_) => self.citations += 1,
            ContentBlockDelta::ReasoningContent(reasoning) => match reasoning {
                ReasoningContentBlockDelta::Text(text) => self.thinking.push_str(&text),
                ReasoningContentBlockDelta::Signature(signature) => self.signature.push_str(&signature),
                ReasoningContentBlockDelta::RedactedContent(content) => self.redacted.extend(content.into_inner()),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }
}

async fn stream(simulator: &Simulator) -> Result<Gathered, (Gathered, aws_sdk_bedrockruntime::types::error::ConverseStreamOutputError)> {
    let mut output = runtime(simulator, EAST).converse_stream().model_id(MODEL).messages(hello()).send().await.unwrap();
    let mut gathered = Gathered::default();
    loop {
        match output.stream.recv().await {
            Ok(Some(event)) => gathered.take(event),
            Ok(None) => return Ok(gathered),
            Err(fault) => return Err((gathered, fault.into_service_error())),
        }
    }
}

#[tokio::test]
async fn the_sdk_reads_every_kind_of_event_however_frames_fall_into_writes() {
    let simulator = simulator().await;
    simulator.script(Rule::always(Action::Answer(rich())));
    for _ in 0..20 {
        let gathered = stream(&simulator).await.unwrap();
        assert_eq!(gathered.text, "Grüße aus der Simulation, in mehreren Wörtern");
        assert_eq!((gathered.cited.as_str(), gathered.citations), ("as the page says", 1));
        assert_eq!((gathered.thinking.as_str(), gathered.signature.as_str()), ("let me see what fits", "c2lnbmVk"));
        assert_eq!(gathered.redacted, b"redacted");
        assert_eq!(gathered.tool, Some(("tooluse_1".to_owned(), "lookup".to_owned())));
        assert_eq!(serde_json::from_str::<Value>(&gathered.arguments).unwrap(), json!({"q": "é\n\"x\"", "n": [1, null]}));
        assert_eq!((gathered.stop, gathered.total), (Some(StopReason::ToolUse), Some(42)));
        assert_eq!(gathered.order[0], "start");
        assert_eq!(gathered.order[gathered.order.len() - 3..], ["close", "stop", "usage"]);
        assert_eq!(gathered.order.iter().filter(|kind| **kind == "open").count(), 1);
        assert_eq!(gathered.order.iter().filter(|kind| **kind == "close").count(), 5);
    }
    let calls = simulator.journal().wait_for_ended(20, LIMIT).await.unwrap();
    assert!(calls.iter().all(|call| call.ending == Ending::Complete && call.events_sent > 15));
}

#[tokio::test]
async fn streamed_and_unstreamed_answers_of_the_brain_say_the_same() {
    let (one, other) = (simulator().await, simulator().await);
    let whole = call(&one).send().await.unwrap();
    let streamed = stream(&other).await.unwrap();
    assert_eq!(whole.output.unwrap().as_message().unwrap().content[0].as_text().unwrap(), &streamed.text);
    assert_eq!(whole.usage.unwrap().total_tokens, streamed.total.unwrap());
}

#[tokio::test]
async fn the_sdk_sees_each_modeled_exception() {
    let simulator = simulator().await;
    for (status, name) in [
        (403, "AccessDeniedException"),
        (404, "ResourceNotFoundException"),
        (429, "ThrottlingException"),
        (429, "ModelNotReadyException"),
        (408, "ModelTimeoutException"),
        (424, "ModelErrorException"),
        (400, "ValidationException"),
        (500, "InternalServerException"),
        (503, "ServiceUnavailableException"),
    ] {
        simulator.script(Rule::once(Action::Error(ScriptedError::new(status, name, format!("this is {name}")))));
        let fault = call(&simulator).send().await.unwrap_err();
        assert_eq!(fault.raw_response().unwrap().status().as_u16(), status);
        let fault = fault.into_service_error();
        assert_eq!((fault.code(), fault.message()), (Some(name), Some(format!("this is {name}").as_str())));
        assert!(!format!("{fault:?}").starts_with("Unhandled"), "{name} is modeled: {fault:?}");
    }
}

#[tokio::test]
async fn the_sdk_sees_exceptions_inside_a_stream() {
    let simulator = simulator().await;
    for (kind, code) in [
        ("throttlingException", "ThrottlingException"),
        ("internalServerException", "InternalServerException"),
        ("serviceUnavailableException", "ServiceUnavailableException"),
        ("validationException", "ValidationException"),
        ("modelStreamErrorException", "ModelStreamErrorException"),
    ] {
        simulator.script(
            Rule::once(Action::ExceptionFrame { after_events: 3, kind: kind.to_owned(), message: "not today".to_owned() })
                .and(Action::Answer(turn("one two three four five six seven eight nine ten"))),
        );
        let (gathered, fault) = stream(&simulator).await.unwrap_err();
        assert_eq!(gathered.order, ["start", "delta", "delta"]);
        let shown = format!("{fault:?}");
        assert!(shown.starts_with(code), "{shown}");
        assert!(fault.to_string().contains("not today"), "{fault}");
    }
}

#[tokio::test]
async fn requests_that_aws_refuses_are_refused() {
    let simulator = simulator().await;
    let fault =
        runtime(&simulator, EAST).converse().model_id("no.such-model").messages(hello()).send().await.unwrap_err().into_service_error();
    assert!(fault.is_validation_exception(), "{fault:?}");
    assert_eq!(fault.message(), Some("The provided model identifier is invalid."));
    let assistant = Message::builder().role(ConversationRole::Assistant).content(ContentBlock::Text("hi".to_owned())).build().unwrap();
    let fault = runtime(&simulator, EAST).converse().model_id(MODEL).messages(assistant).send().await.unwrap_err().into_service_error();
    assert!(fault.is_validation_exception(), "{fault:?}");
    let refused = simulator.journal().calls();
    assert!(refused.iter().all(|call| call.error_type() == Some("ValidationException") && call.billed.is_none()));
}

#[tokio::test]
async fn tokens_are_counted_for_models_that_can_by_their_own_id_alone() {
    let simulator = simulator().await;
    let input = || CountTokensInput::Converse(ConverseTokensRequest::builder().messages(hello()).build());
    let count = async |id: String| runtime(&simulator, EAST).count_tokens().model_id(id).input(input()).send().await;
    let claude = "anthropic.claude-haiku-4-5-20251001-v1:0";
    // It has no on-demand throughput here: only its profiles can be called, and only it itself can be counted.
    for id in [claude.to_owned(), format!("arn:aws:bedrock:{EAST}::foundation-model/{claude}")] {
        assert!(count(id).await.unwrap().input_tokens > 0);
    }
    let profile = format!("arn:aws:bedrock:{EAST}:123456789012:application-inference-profile/app1claude");
    for id in [format!("us.{claude}"), profile, "us.anthropic.claude-opus-4-8".to_owned(), "anthropic.claude-opus-4-8".to_owned()] {
        let fault = count(id.clone()).await.unwrap_err().into_service_error();
        assert!(fault.is_validation_exception(), "{id}: {fault:?}");
        assert_eq!(fault.message(), Some("The provided model doesn't support counting tokens."), "{id}");
    }
    assert!(count("amazon.titan-embed-text-v2:0".to_owned()).await.unwrap_err().into_service_error().is_validation_exception());
    assert_eq!(simulator.journal().call(1).unwrap().model.as_deref(), Some(claude));
}

#[tokio::test]
async fn native_streams_and_answers_can_be_scripted() {
    let simulator = simulator().await;
    simulator.script(Rule::once(Action::AnswerChunks(vec![
        "{\"type\":\"message_start\"}".to_owned(),
        "{\"type\":\"message_stop\"}".to_owned(),
    ])));
    let blob = || aws_sdk_bedrockruntime::primitives::Blob::new(b"{}".to_vec());
    let mut output = runtime(&simulator, EAST).invoke_model_with_response_stream().model_id(MODEL).body(blob()).send().await.unwrap();
    let mut chunks = Vec::new();
    while let Some(event) = output.body.recv().await.unwrap() {
        chunks.push(String::from_utf8(event.as_chunk().unwrap().bytes.as_ref().unwrap().as_ref().to_vec()).unwrap());
    }
    assert_eq!(chunks, ["{\"type\":\"message_start\"}", "{\"type\":\"message_stop\"}"]);

    let raw = Action::AnswerRaw {
        status: 200,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: "{\"a\":1}".into(),
    };
    simulator.script(Rule::once(raw).operation(Operation::InvokeModel));
    let answer = runtime(&simulator, EAST).invoke_model().model_id(MODEL).body(blob()).send().await.unwrap();
    assert_eq!(answer.body.as_ref(), b"{\"a\":1}");
    let titan = "amazon.titan-embed-text-v2:0";
    let fault = runtime(&simulator, EAST).invoke_model().model_id(titan).body(blob()).send().await.unwrap_err();
    assert_eq!(fault.into_service_error().code(), Some("UnsupportedOperationException"));
}

#[tokio::test]
async fn answers_can_be_computed_from_the_call() {
    let simulator = simulator().await;
    simulator.answer_with(Some(std::sync::Arc::new(|asked| turn(&format!("{}.0 {}.1", asked.call, asked.call)))));
    let text = |answer: aws_sdk_bedrockruntime::operation::converse::ConverseOutput| {
        answer.output.unwrap().as_message().unwrap().content[0].as_text().unwrap().clone()
    };
    assert_eq!(text(call(&simulator).send().await.unwrap()), "1.0 1.1");
    assert_eq!(stream(&simulator).await.unwrap().text, "2.0 2.1");
    simulator.answer_with(None);
    assert!(!text(call(&simulator).send().await.unwrap()).contains("3.0"));
}

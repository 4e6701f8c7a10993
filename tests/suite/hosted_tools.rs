//! Tools that the provider runs, in every dialect: web search and code interpreter where the model has them, a refusal by name
//! where it has not.

use serde_json::{Value, json};

use crate::{
    messages::{self, MESSAGES},
    responses::{self, RESPONSES, id, said, with},
    support::{CLAUDE, TestGateway},
};

/// It has both tools.
const NOVA_2: &str = "amazon.nova-2-lite-v1:0";
/// It has tools, but none that Bedrock runs.
const NOVA: &str = "amazon.nova-lite-v1:0";

const QUESTION: &str = "Who invented the zipper?";
const FOUND: &str = "According to a recent page, invented zipper is well documented";
const MORE: &str = ". More is not known.";
const PAGE: &str = "https://www.example.com/invented-zipper";

const SUM: &str = "What is the average of 10, 24, 2 and 13?";
const CODE: &str = "numbers = [10, 24, 2, 13]\nprint(sum(numbers) / len(numbers))";

fn asks_responses(model: &str, input: &str, tool: &str) -> Value {
    json!({"model": model, "input": input, "tools": [{"type": tool}]})
}

fn asks_messages(model: &str, text: &str, (kind, name): (&str, &str)) -> Value {
    json!({"model": model, "max_tokens": 300, "messages": [{"role": "user", "content": text}], "tools": [{"type": kind, "name": name}]})
}

fn asks_chat(model: &str, text: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": text}]})
}

const SEARCH_MESSAGES: (&str, &str) = ("web_search_20250305", "web_search");
const CODE_MESSAGES: (&str, &str) = ("code_execution_20250825", "code_execution");

/// The tools that the last call offered to the model.
fn offered(gateway: &TestGateway) -> Value {
    gateway.bodies().last().unwrap()["toolConfig"]["tools"].clone()
}

/// Every annotation of a text, as the text that it is of and the address.
fn cited(part: &Value) -> Vec<(String, &str)> {
    let text: Vec<char> = part["text"].as_str().unwrap().chars().collect();
    let place = |annotation: &Value, member: &str| usize::try_from(annotation[member].as_u64().unwrap()).unwrap();
    let annotations = part["annotations"].as_array().unwrap();
    annotations
        .iter()
        .map(|annotation| {
            assert_eq!(annotation["type"], "url_citation");
            let span = place(annotation, "start_index")..place(annotation, "end_index");
            (text[span].iter().collect(), annotation["url"].as_str().unwrap())
        })
        .collect()
}

async fn streamed_response(gateway: &TestGateway, body: &Value) -> Vec<Value> {
    responses::events(&gateway.post(RESPONSES, &with(body.clone(), "stream", true)).await, 0)
}

fn only<'a>(events: &'a [Value], kind: &str) -> &'a Value {
    let mut found = events.iter().filter(|event| event["type"] == kind);
    let event = found.next().unwrap_or_else(|| panic!("no {kind}: {events:?}"));
    assert!(found.next().is_none(), "more than one {kind}");
    event
}

#[tokio::test]
async fn a_search_of_a_response_is_an_item_and_its_sources_are_cited() {
    let gateway = TestGateway::start().await;
    for kind in ["web_search", "web_search_preview"] {
        let made = gateway.post(RESPONSES, &asks_responses(NOVA_2, QUESTION, kind)).await.ok();
        assert_eq!(offered(&gateway), json!([{"systemTool": {"name": "nova_grounding"}}]));
        let [search, message] = made["output"].as_array().unwrap().as_slice() else { panic!("{made}") };
        assert_eq!((&search["type"], &search["status"]), (&json!("web_search_call"), &json!("completed")));
        assert_eq!(search["action"], json!({"type": "search", "query": "invented zipper"}));
        assert!(search["id"].as_str().unwrap().starts_with("ws_"), "{search}");
        assert_eq!((made["status"].as_str(), said(&made)), (Some("completed"), format!("{FOUND}{MORE}")));
        assert_eq!(cited(&message["content"][0]), [(FOUND.to_owned(), PAGE)]);

        // The next turn reads what was found, and no tool has to be on offer again.
        let next = json!({"model": NOVA_2, "input": "say exactly: thanks", "previous_response_id": id(&made)});
        assert_eq!(said(&gateway.post(RESPONSES, &next).await.ok()), "thanks");
        let history = gateway.bodies().last().unwrap()["messages"][1].clone();
        assert_eq!(history, json!({"role": "assistant", "content": [{"text": format!("{FOUND}{MORE}")}]}));
    }
    gateway.end().await;
}

#[tokio::test]
async fn a_streamed_search_tells_its_life_before_the_text_that_cites_it() {
    let gateway = TestGateway::start().await;
    let asks = asks_responses(NOVA_2, QUESTION, "web_search");
    let events = streamed_response(&gateway, &asks).await;
    assert_eq!(
        responses::types(&events),
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.web_search_call.in_progress",
            "response.web_search_call.searching",
            "response.web_search_call.completed",
            "response.output_item.done",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.annotation.added",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    let last = &events.last().unwrap()["response"];
    let [search, message] = last["output"].as_array().unwrap().as_slice() else { panic!("{last}") };
    for event in events.iter().filter(|event| event["type"].as_str().unwrap().starts_with("response.web_search_call.")) {
        assert_eq!((&event["item_id"], &event["output_index"]), (&search["id"], &json!(0)), "{event}");
    }
    let added = only(&events, "response.output_text.annotation.added");
    assert_eq!((&added["item_id"], &added["output_index"], &added["annotation_index"]), (&message["id"], &json!(1), &json!(0)));
    assert_eq!(added["annotation"], message["content"][0]["annotations"][0]);
    let whole = gateway.post(RESPONSES, &asks).await.ok();
    assert_eq!((&search["action"], &message["content"]), (&whole["output"][0]["action"], &whole["output"][1]["content"]));
    gateway.end().await;
}

#[tokio::test]
async fn a_program_of_a_response_shows_its_code_and_to_who_asks_what_it_printed() {
    let gateway = TestGateway::start().await;
    let plain = json!({"model": NOVA_2, "input": SUM, "tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]});
    let asks = with(plain.clone(), "include", json!(["code_interpreter_call.outputs"]));
    let made = gateway.post(RESPONSES, &asks).await.ok();
    assert_eq!(offered(&gateway), json!([{"systemTool": {"name": "nova_code_interpreter"}}]));
    let events = streamed_response(&gateway, &asks).await;
    assert_eq!(
        responses::types(&events),
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.code_interpreter_call.in_progress",
            "response.code_interpreter_call_code.delta",
            "response.code_interpreter_call_code.done",
            "response.code_interpreter_call.interpreting",
            "response.code_interpreter_call.completed",
            "response.output_item.done",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    assert_eq!(only(&events, "response.code_interpreter_call_code.done")["code"], CODE);
    let logs = json!([{"type": "logs", "logs": "12.25"}]);
    for response in [&made, &events.last().unwrap()["response"]] {
        let [call, _] = response["output"].as_array().unwrap().as_slice() else { panic!("{response}") };
        assert_eq!((&call["type"], &call["status"]), (&json!("code_interpreter_call"), &json!("completed")));
        assert_eq!((&call["code"], &call["outputs"]), (&json!(CODE), &logs));
        assert!(call["container_id"].as_str().unwrap().starts_with("cntr_"), "{call}");
        assert_eq!(said(response), "The program printed 12.25.");
    }
    let unasked = gateway.post(RESPONSES, &plain).await.ok();
    assert_eq!(unasked["output"][0]["outputs"], Value::Null);

    // The next turn knows the program and what came of it.
    let next = json!({"model": NOVA_2, "input": "say exactly: thanks", "previous_response_id": id(&unasked), "tools": plain["tools"]});
    assert_eq!(said(&gateway.post(RESPONSES, &next).await.ok()), "thanks");
    let history = gateway.bodies().last().unwrap()["messages"].to_string();
    assert!(history.contains("sum(numbers)") && history.contains("12.25"), "{history}");
    gateway.end().await;
}

#[tokio::test]
async fn a_program_that_fails_tells_why() {
    let gateway = TestGateway::start().await;
    let asks = asks_responses(NOVA_2, "Divide 1 by 0", "code_interpreter");
    let asks = with(asks, "include", json!(["code_interpreter_call.outputs"]));
    let made = gateway.post(RESPONSES, &asks).await.ok();
    let error = "ZeroDivisionError: division by zero";
    assert_eq!((made["status"].as_str(), &made["output"][0]["code"]), (Some("completed"), &json!("print(1 / 0)")));
    assert_eq!(made["output"][0]["outputs"], json!([{"type": "logs", "logs": error}]));
    assert!(said(&made).contains(error), "{made}");
    gateway.end().await;
}

#[tokio::test]
async fn a_search_by_messages_cites_its_sources_whole_and_streamed() {
    let gateway = TestGateway::start().await;
    let mut asks = asks_messages(NOVA_2, QUESTION, SEARCH_MESSAGES);
    let whole = gateway.post(MESSAGES, &asks).await.ok();
    assert_eq!(offered(&gateway), json!([{"systemTool": {"name": "nova_grounding"}}]));
    let source = json!({"type": "web_search_result_location", "cited_text": "", "url": PAGE, "title": null, "encrypted_index": ""});
    let content = json!([{"type": "text", "text": FOUND, "citations": [source]}, {"type": "text", "text": MORE}]);
    assert_eq!((&whole["content"], &whole["stop_reason"]), (&content, &json!("end_turn")));

    asks["stream"] = true.into();
    let events = messages::events(&gateway.post(MESSAGES, &asks).await);
    let (text, stop) = ("content_block_delta", "content_block_stop");
    let order = ["message_start", "content_block_start", text, stop, "content_block_start", text, stop, "message_delta", "message_stop"];
    assert_eq!(messages::types(&events), order);
    let of = |index: u64, member: &str| -> Vec<&Value> {
        events
            .iter()
            .filter(|event| event["index"] == index)
            .map(|event| &event["delta"][member])
            .filter(|value| !value.is_null())
            .collect()
    };
    let words = |index: u64| of(index, "text").into_iter().map(|text| text.as_str().unwrap()).collect::<String>();
    assert_eq!((words(0), words(1)), (FOUND.to_owned(), MORE.to_owned()));
    assert_eq!((of(0, "citation"), of(1, "citation").len()), (vec![&source], 0));

    // A client sends back what it was given.
    asks["stream"] = false.into();
    let turns = asks["messages"].as_array_mut().unwrap();
    turns.extend([json!({"role": "assistant", "content": whole["content"]}), json!({"role": "user", "content": "Thanks! What is a cat?"})]);
    assert_eq!(gateway.post(MESSAGES, &asks).await.ok()["stop_reason"], "end_turn");
    gateway.end().await;
}

#[tokio::test]
async fn a_program_by_messages_is_answered_from_whole_and_streamed() {
    let gateway = TestGateway::start().await;
    for kind in [CODE_MESSAGES.0, "code_execution_20250522"] {
        let mut asks = asks_messages(NOVA_2, SUM, (kind, CODE_MESSAGES.1));
        let whole = gateway.post(MESSAGES, &asks).await.ok();
        assert_eq!(offered(&gateway), json!([{"systemTool": {"name": "nova_code_interpreter"}}]));
        let content = json!([{"type": "text", "text": "The program printed 12.25."}]);
        assert_eq!((&whole["content"], &whole["stop_reason"]), (&content, &json!("end_turn")));
        asks["stream"] = true.into();
        let events = messages::events(&gateway.post(MESSAGES, &asks).await);
        let text: String = events.iter().filter_map(|event| event["delta"]["text"].as_str()).collect();
        assert_eq!(text, "The program printed 12.25.");
        assert_eq!(only(&events, "message_delta")["delta"]["stop_reason"], "end_turn");
    }
    gateway.end().await;
}

#[tokio::test]
async fn chat_searches_and_computes_too() {
    let gateway = TestGateway::start().await;
    for (member, value) in [("web_search_options", json!({})), ("tools", json!([{"type": "web_search"}]))] {
        let asks = with(asks_chat(NOVA_2, QUESTION), member, value);
        let body = gateway.completion(&asks).await;
        let choice = &body["choices"][0];
        assert_eq!((&choice["finish_reason"], &choice["message"]["content"]), (&json!("stop"), &json!(format!("{FOUND}{MORE}"))));
        let citation = &choice["message"]["annotations"][0]["url_citation"];
        assert_eq!((&citation["url"], citation["start_index"].as_u64()), (&json!(PAGE), Some(0)));
        assert_eq!(citation["end_index"].as_u64(), Some(FOUND.len() as u64));
        let stream = gateway.streamed(&asks).await;
        assert_eq!(stream.message()["content"], format!("{FOUND}{MORE}"));
        let told: Vec<&Value> =
            stream.chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]["annotations"]).filter(|told| !told.is_null()).collect();
        assert_eq!(told, [&choice["message"]["annotations"]]);
    }
    let body = gateway.completion(&with(asks_chat(NOVA_2, SUM), "tools", json!([{"type": "code_interpreter"}]))).await;
    assert_eq!(body["choices"][0]["message"]["content"], "The program printed 12.25.");
    gateway.end().await;
}

#[tokio::test]
async fn a_tool_that_the_model_lacks_is_refused_by_name_in_every_dialect() {
    let gateway = TestGateway::start().await;
    for (model, tool) in [
        (CLAUDE, "web_search"),
        (NOVA, "web_search_preview"),
        (CLAUDE, "code_interpreter"),
        (NOVA, "code_interpreter"),
        (NOVA_2, "image_generation"),
    ] {
        let answer = gateway.post(RESPONSES, &asks_responses(model, "Hello", tool)).await;
        let words = answer.refusal(400, "invalid_request_error", Some("unsupported_value"));
        assert_eq!(words, format!("Hosted tool '{tool}' is not supported with this model."));
        assert_eq!(answer.param().as_deref(), Some("tools[0].type"));
    }
    for (model, kind) in [(NOVA, SEARCH_MESSAGES.0), (NOVA, CODE_MESSAGES.0), (NOVA_2, "image_generation"), (NOVA_2, "web_fetch_20250910")]
    {
        let answer = gateway.post(MESSAGES, &asks_messages(model, "Hello", (kind, "it"))).await;
        let words = messages::refusal(&answer, 400, "invalid_request_error");
        assert!(words.contains(&format!("tools of type '{kind}' are not available with this model")), "{words}");
    }
    for (model, member, value, name) in [
        (CLAUDE, "web_search_options", json!({}), "web search"),
        (NOVA, "tools", json!([{"type": "web_search"}]), "web search"),
        (NOVA, "tools", json!([{"type": "code_interpreter"}]), "code interpreter"),
    ] {
        let answer = gateway.post("/v1/chat/completions", &with(asks_chat(model, "Hello"), member, value)).await;
        let words = answer.refusal(400, "invalid_request_error", None);
        assert!(words.contains("has no built-in tool") && words.contains(name), "{words}");
    }
    let image = with(asks_chat(NOVA_2, "Hello"), "tools", json!([{"type": "image_generation"}]));
    let answer = gateway.post("/v1/chat/completions", &image).await;
    assert_eq!(answer.status, 400);
    assert!(answer.json()["error"]["message"].as_str().unwrap().contains("`image_generation`"), "{}", answer.text());
    gateway.untouched().await;

    // What passes untranslated is refused by AWS, and its words reach the client.
    let answer = gateway.post(MESSAGES, &asks_messages(CLAUDE, "Hello", SEARCH_MESSAGES)).await;
    let words = messages::refusal(&answer, 400, "invalid_request_error");
    assert!(words.contains(SEARCH_MESSAGES.0), "{words}");
    gateway.end().await;
}

//! The benchmark's short cut says what the ordinary server would say.

use outcrop_sim::{AuthMode, FastAnswers, Simulator};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{CLAUDE_HELLO, EAST, HELLO, claude_path, connect, control, exchange_on, path, post, runtime};

async fn fast(auth: AuthMode) -> Simulator {
    Simulator::builder().region(EAST, 0).auth(auth).fast(FastAnswers::new().unwrap()).start().await.unwrap()
}

async fn text(simulator: &Simulator) -> String {
    use aws_sdk_bedrockruntime::types::{ContentBlock, ConversationRole, Message};
    let hello = Message::builder().role(ConversationRole::User).content(ContentBlock::Text("hello".to_owned())).build().unwrap();
    let answer = runtime(simulator, EAST).converse().model_id("any.model").messages(hello).send().await.unwrap();
    answer.output.unwrap().as_message().unwrap().content[0].as_text().unwrap().clone()
}

#[tokio::test]
async fn stored_answers_are_read_by_the_sdk_with_and_without_checks() {
    let unchecked = fast(AuthMode::Off).await;
    let checked = fast(AuthMode::Checked).await;
    let words = text(&unchecked).await;
    assert_eq!(words.split(' ').count(), 100);
    assert_eq!(text(&checked).await, words);
    assert_eq!((unchecked.journal().fast_calls(), unchecked.journal().received()), (1, 0));
    assert_eq!((checked.journal().fast_calls(), checked.journal().received()), (0, 1));
}

#[tokio::test]
async fn one_connection_alternates_between_the_short_cut_and_the_server() {
    let simulator = fast(AuthMode::Off).await;
    let mut stream = connect(&simulator, EAST).await;
    let streamed = exchange_on(&mut stream, &post(&path("converse-stream"), HELLO)).await.unwrap();
    assert_eq!((streamed.status, streamed.events().len()), (200, 104));
    let counted = exchange_on(&mut stream, &post(&path("count-tokens"), "{}")).await.unwrap();
    assert_eq!(counted.status, 400);
    let again = exchange_on(&mut stream, &post(&path("converse-stream"), HELLO)).await.unwrap();
    assert_eq!(again.body, streamed.body);
    assert_eq!(simulator.journal().fast_calls(), 2);
    assert_eq!(simulator.accepted_connections(EAST), 1);
    assert!(control(&simulator, EAST).list_foundation_models().send().await.is_ok());
}

#[tokio::test]
async fn bodies_in_pieces_and_pipelined_requests_are_understood() {
    let simulator = fast(AuthMode::Off).await;
    let mut stream = connect(&simulator, EAST).await;
    stream.set_nodelay(true).unwrap();
    let request = post(&path("converse"), &HELLO.repeat(2_000));
    for piece in request.chunks(40_000) {
        stream.write_all(piece).await.unwrap();
        tokio::task::yield_now().await;
    }
    let first = exchange_on(&mut stream, b"").await.unwrap();
    assert_eq!(first.status, 200);
    let single = post(&path("converse"), HELLO);
    stream.write_all(&[&single[..], &single[..]].concat()).await.unwrap();
    let mut both = vec![0; 2 * (first.head.len() + first.head.lines().count() + 2 + first.body.len())];
    stream.read_exact(&mut both).await.unwrap();
    assert_eq!(both[..both.len() / 2], both[both.len() / 2..]);
    assert_eq!(simulator.journal().fast_calls(), 3);
}

#[tokio::test]
async fn stored_messages_are_the_same_whole_and_streamed() {
    let simulator = fast(AuthMode::Off).await;
    let mut stream = connect(&simulator, EAST).await;
    let whole = exchange_on(&mut stream, &post(&claude_path("invoke"), CLAUDE_HELLO)).await.unwrap().json();
    let streamed = exchange_on(&mut stream, &post(&claude_path("invoke-with-response-stream"), CLAUDE_HELLO)).await.unwrap();
    let events = streamed.natives();
    let text: String = events.iter().filter_map(|event| event["delta"]["text"].as_str()).collect();
    assert_eq!((whole["content"][0]["text"].as_str(), text.split(' ').count()), (Some(text.as_str()), 100));
    assert_eq!((&whole["usage"]["output_tokens"], &whole["id"]), (&100.into(), &events[0]["message"]["id"]));
    assert_eq!(events.last().unwrap()["type"], "message_stop");
    assert_eq!(simulator.journal().fast_calls(), 2);
}

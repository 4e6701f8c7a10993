//! Each scripted fault delivers exactly its bytes, status, delay or cut, as a client that sees every byte tells.

use std::{io::ErrorKind, time::Duration};

use outcrop_sim::{Action, Chunking, CorruptField, CutManner, Ending, Operation, Rule, ScriptedError, Simulator};
use tokio::io::AsyncWriteExt;

use crate::support::{EAST, HELLO, LIMIT, Seen, WEST, connect, exchange, exchange_on, path, post, simulator, turn};

const WORDS: &str = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen";

async fn framed() -> Simulator {
    Simulator::builder().regions([EAST, WEST]).seed(7).chunking(Chunking::Framed).start().await.unwrap()
}

/// A streamed call under `rule`, which also fixes the answer.
async fn streamed(simulator: &Simulator, action: Action) -> Result<Seen, ErrorKind> {
    simulator.script(Rule::once(action).and(Action::Answer(turn(WORDS))).operation(Operation::ConverseStream));
    exchange(simulator, EAST, &post(&path("converse-stream"), HELLO)).await
}

async fn whole(simulator: &Simulator) -> Result<Seen, ErrorKind> {
    exchange(simulator, EAST, &post(&path("converse"), HELLO)).await
}

#[tokio::test]
async fn an_undisturbed_stream_is_complete() {
    let simulator = framed().await;
    let seen = streamed(&simulator, Action::DelayHead(Duration::ZERO)).await.unwrap();
    assert_eq!((seen.status, seen.broken), (200, None));
    assert_eq!(seen.header("content-type").as_deref(), Some("application/vnd.amazon.eventstream"));
    assert_eq!(seen.text(), WORDS);
    let events = seen.events();
    assert_eq!(seen.chunks.len(), events.len());
    assert_eq!(events.last().unwrap().0, "metadata");
    let call = simulator.journal().wait_for_ended(1, LIMIT).await.unwrap().remove(0);
    assert_eq!((call.events_sent, call.bytes_sent), (events.len() as u64, seen.body.len() as u64));
    assert_eq!((call.ending, call.billed.unwrap().output), (Ending::Complete, 100));
}

#[tokio::test]
async fn errors_have_their_status_type_text_and_advice() {
    let simulator = simulator().await;
    let error = ScriptedError::new(503, "ServiceUnavailableException", "no room").retry_after(Duration::from_millis(1500));
    let rule = simulator.script(Rule::once(Action::Error(error)).times(2));
    for _ in 0..2 {
        let seen = whole(&simulator).await.unwrap();
        assert_eq!((seen.status, seen.json()), (503, serde_json::json!({"message": "no room"})));
        assert_eq!(
            seen.header("x-amzn-errortype").as_deref(),
            Some("ServiceUnavailableException:http://internal.amazon.com/coral/com.amazon.bedrock/")
        );
        assert_eq!(seen.header("x-amz-retry-after").as_deref(), Some("1500"));
    }
    assert_eq!(whole(&simulator).await.unwrap().status, 200);
    assert_eq!(simulator.rule_hits(rule), Some(2));
    let calls = simulator.journal().calls();
    assert_eq!(calls.iter().map(|call| call.rule).collect::<Vec<_>>(), [Some(rule), Some(rule), None]);
}

#[tokio::test]
async fn error_texts_can_carry_the_number_of_their_call() {
    let simulator = framed().await;
    simulator.script(Rule::once(Action::Error(ScriptedError::new(500, "InternalServerException", "broken in call {call}"))).times(2));
    assert_eq!(whole(&simulator).await.unwrap().json()["message"], "broken in call 1");
    assert_eq!(whole(&simulator).await.unwrap().json()["message"], "broken in call 2");
    let frame = Action::ExceptionFrame { after_events: 1, kind: "throttlingException".to_owned(), message: "{call}".to_owned() };
    assert_eq!(streamed(&simulator, frame).await.unwrap().events()[1].1["message"], "3");
}

#[tokio::test]
async fn raw_answers_are_sent_as_they_are() {
    let simulator = simulator().await;
    let html = "<html>load balancer</html>";
    simulator.script(Rule::once(Action::AnswerRaw { status: 502, headers: vec![("x-odd".to_owned(), "1".to_owned())], body: html.into() }));
    let seen = whole(&simulator).await.unwrap();
    assert_eq!((seen.status, seen.body.as_slice(), seen.header("x-odd").as_deref()), (502, html.as_bytes(), Some("1")));
    assert_eq!(seen.header("content-type"), None);
}

#[tokio::test]
async fn a_cut_after_events_sends_these_events_and_no_end() {
    let simulator = framed().await;
    let seen = streamed(&simulator, Action::CutAfterEvents { events: 3, manner: CutManner::Close }).await.unwrap();
    assert_eq!((seen.events().len(), seen.broken), (3, Some(ErrorKind::UnexpectedEof)));
    assert_eq!(seen.chunks.iter().sum::<usize>(), seen.body.len());
    let call = simulator.journal().wait_for_ended(1, LIMIT).await.unwrap().remove(0);
    assert_eq!((call.ending, call.events_sent, call.client_closed_at), (Ending::Cut, 3, None));
    let billed = call.billed.unwrap();
    assert_eq!(billed.input, 10);
    assert!((1..100).contains(&billed.output), "two of the deltas are billed: {billed:?}");
}

#[tokio::test]
async fn a_cut_before_the_first_event_still_sends_the_head() {
    let simulator = framed().await;
    let seen = streamed(&simulator, Action::CutAfterEvents { events: 0, manner: CutManner::Close }).await.unwrap();
    assert_eq!((seen.status, seen.body.len(), seen.broken), (200, 0, Some(ErrorKind::UnexpectedEof)));
}

#[tokio::test]
async fn a_cut_after_bytes_sends_exactly_these_bytes() {
    let simulator = simulator().await;
    for bytes in [0, 1, 11, 12, 100, 777] {
        let seen = streamed(&simulator, Action::CutAfterBytes { bytes, manner: CutManner::Close }).await.unwrap();
        assert_eq!((seen.body.len(), seen.broken), (bytes, Some(ErrorKind::UnexpectedEof)));
    }
    simulator.script(Rule::once(Action::CutAfterBytes { bytes: 20, manner: CutManner::Close }));
    let seen = whole(&simulator).await.unwrap();
    assert_eq!((seen.body.len(), seen.broken), (20, Some(ErrorKind::UnexpectedEof)));
}

#[tokio::test]
async fn a_reset_is_a_reset() {
    let simulator = framed().await;
    let seen = streamed(&simulator, Action::CutAfterEvents { events: 2, manner: CutManner::Reset }).await;
    match seen {
        Ok(seen) => assert_eq!(seen.broken, Some(ErrorKind::ConnectionReset)),
        Err(kind) => assert_eq!(kind, ErrorKind::ConnectionReset),
    }
    simulator.script(Rule::once(Action::CutBeforeHead(CutManner::Reset)));
    assert_eq!(whole(&simulator).await.unwrap_err(), ErrorKind::ConnectionReset);
    simulator.script(Rule::once(Action::CutBeforeHead(CutManner::Close)));
    assert_eq!(whole(&simulator).await.unwrap_err(), ErrorKind::UnexpectedEof);
    let calls = simulator.journal().wait_for_ended(3, LIMIT).await.unwrap();
    assert!(calls.iter().all(|call| call.ending == Ending::Cut));
    assert_eq!(whole(&simulator).await.unwrap().status, 200);
}

#[tokio::test]
async fn frames_are_corrupted_truncated_doubled_and_left_out() {
    let simulator = framed().await;
    let good = streamed(&simulator, Action::DelayHead(Duration::ZERO)).await.unwrap();
    let kinds = |seen: &Seen| seen.events().into_iter().map(|(kind, _)| kind).collect::<Vec<_>>();
    let seen = streamed(&simulator, Action::NoStop).await.unwrap();
    assert!(!kinds(&seen).contains(&"messageStop".to_owned()) && kinds(&seen).last().unwrap() == "metadata");
    let seen = streamed(&simulator, Action::NoUsage).await.unwrap();
    assert_eq!(kinds(&seen).last().unwrap(), "messageStop");
    assert_eq!(seen.broken, None);
    let seen = streamed(&simulator, Action::DuplicateEvent { after_events: 1 }).await.unwrap();
    assert_eq!(seen.events()[1], seen.events()[2]);
    let seen = streamed(&simulator, Action::TruncateFrame { after_events: 2, keep_bytes: 9 }).await.unwrap();
    assert_eq!((seen.events().len(), seen.chunks.last(), seen.broken), (2, Some(&9), Some(ErrorKind::UnexpectedEof)));
    for (field, at) in [(CorruptField::Length, 3), (CorruptField::PreludeCrc, 8)] {
        let seen = streamed(&simulator, Action::CorruptFrame { after_events: 0, field }).await.unwrap();
        assert_eq!(seen.broken, None);
        assert_ne!(seen.body[at], good.body[at], "{field:?}");
    }
}

#[tokio::test]
async fn exceptions_and_unmodeled_errors_end_a_stream_in_good_order() {
    let simulator = framed().await;
    let seen =
        streamed(&simulator, Action::ExceptionFrame { after_events: 2, kind: "throttlingException".to_owned(), message: "m".to_owned() });
    let seen = seen.await.unwrap();
    assert_eq!((seen.events().len(), seen.broken), (3, None));
    assert_eq!(seen.events()[2], ("throttlingException".to_owned(), serde_json::json!({"message": "m"})));
    let seen = streamed(&simulator, Action::ErrorFrame { after_events: 1, code: "InternalFailure".to_owned(), message: "m".to_owned() });
    let seen = seen.await.unwrap();
    assert_eq!((seen.events().len(), seen.events()[1].0.as_str()), (2, "InternalFailure"));
}

#[tokio::test]
async fn rules_find_their_region_and_their_text() {
    let simulator = simulator().await;
    simulator.script(Rule::always(Action::Error(ScriptedError::throttling())).region(WEST));
    simulator.script(Rule::always(Action::Error(ScriptedError::unavailable())).contains("needle"));
    assert_eq!(whole(&simulator).await.unwrap().status, 200);
    assert_eq!(exchange(&simulator, WEST, &post(&path("converse"), HELLO)).await.unwrap().status, 429);
    let body = HELLO.replace("hello", "a needle");
    assert_eq!(exchange(&simulator, EAST, &post(&path("converse"), &body)).await.unwrap().status, 503);
    simulator.clear_script();
    assert_eq!(exchange(&simulator, EAST, &post(&path("converse"), &body)).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed_without_any_write() {
    let simulator = framed().await;
    let stall = Action::StallAfterEvents { events: 2, pause: Duration::from_secs(3600) };
    simulator.script(Rule::once(stall).and(Action::Answer(turn(WORDS))));
    simulator.script(Rule::once(Action::BlackHole));
    for sent in [2, 0] {
        let mut stream = connect(&simulator, EAST).await;
        stream.write_all(&post(&path("converse-stream"), HELLO)).await.unwrap();
        simulator
            .journal()
            .wait_for(|calls| calls.last().is_some_and(|call| call.rule.is_some() && call.events_sent == sent), LIMIT)
            .await
            .unwrap();
        assert_eq!(simulator.journal().in_flight(), 1);
        drop(stream);
        let calls = simulator.journal().wait_for(|calls| calls.iter().all(|call| call.ended()), LIMIT).await.unwrap();
        let last = calls.last().unwrap();
        assert_eq!(last.ending, Ending::ClientGone);
        assert!(last.client_closed_at.is_some());
    }
    let billed = simulator.journal().call(1).unwrap().billed.unwrap();
    assert!(billed.input == 10 && billed.output < 100, "{billed:?}");
    assert_eq!(simulator.journal().call(2).unwrap().billed, None);
}

#[tokio::test]
async fn a_connection_serves_many_calls() {
    let simulator = simulator().await;
    let mut stream = connect(&simulator, EAST).await;
    for operation in ["converse", "converse-stream", "converse"] {
        assert_eq!(exchange_on(&mut stream, &post(&path(operation), HELLO)).await.unwrap().broken, None);
    }
    assert_eq!(simulator.accepted_connections(EAST), 1);
    let connections: Vec<u64> = simulator.journal().calls().iter().map(|call| call.connection).collect();
    assert_eq!(connections, [1, 1, 1]);
}

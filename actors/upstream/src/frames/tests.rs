use tokio::sync::mpsc;

use super::*;
use crate::eventstream::encode_frame;

const IDLE: Duration = Duration::from_secs(30);

fn event(name: &str, payload: &str) -> Bytes {
    encode_frame(&[(":event-type", name), (":content-type", "application/json"), (":message-type", "event")], payload.as_bytes())
}

fn exception(name: &str, payload: &str) -> Bytes {
    encode_frame(&[(":exception-type", name), (":content-type", "application/json"), (":message-type", "exception")], payload.as_bytes())
}

fn timing(total: Duration) -> Option<StreamTiming> {
    Some(StreamTiming { idle: IDLE, deadline: Instant::now() + total })
}

async fn first_failure(chunks: impl IntoIterator<Item = Bytes>) -> UpstreamFailure {
    let mut stream = FrameStream::from_chunks(chunks.into_iter().collect::<Vec<_>>());
    loop {
        match stream.next().await.expect("a failure before the end") {
            Ok(_) => {}
            Err(failure) => {
                assert!(stream.next().await.is_none(), "a stream ends with its failure");
                return failure;
            }
        }
    }
}

#[tokio::test]
async fn events_come_with_their_type_and_payload() {
    let names = [
        ("messageStart", EventType::MessageStart),
        ("contentBlockStart", EventType::ContentBlockStart),
        ("contentBlockDelta", EventType::ContentBlockDelta),
        ("contentBlockStop", EventType::ContentBlockStop),
        ("messageStop", EventType::MessageStop),
        ("metadata", EventType::Metadata),
        ("chunk", EventType::Chunk),
        ("brandNew", EventType::Other(Bytes::from_static(b"brandNew"))),
    ];
    let mut stream = FrameStream::from_chunks(names.clone().map(|(name, _)| event(name, &format!("{{\"n\":\"{name}\"}}"))));
    for (name, event_type) in names {
        let frame = stream.next().await.unwrap().unwrap();
        assert_eq!(frame.event_type, event_type);
        assert_eq!(frame.event_type.as_str(), name);
        assert_eq!(frame.payload, format!("{{\"n\":\"{name}\"}}"));
        assert_eq!(frame.whole, event(name, &format!("{{\"n\":\"{name}\"}}")), "to the byte");
    }
    assert!(stream.next().await.is_none());
    assert!(stream.next().await.is_none());
}

#[test]
fn headers_for_the_reader_of_an_answer_are_kept_and_no_others() {
    let headers: HeaderMap = [("x-amzn-bedrock-content-type", "application/json"), ("server", "x")]
        .map(|(name, value)| (HeaderName::from_static(name), http::HeaderValue::from_static(value)))
        .into_iter()
        .collect();
    let mut stream = FrameStream::from_chunks([]).with_told(&headers);
    let told = stream.take_told().unwrap();
    assert_eq!((told.len(), told["x-amzn-bedrock-content-type"].to_str().unwrap()), (1, "application/json"));
    assert!(stream.take_told().is_none());
    assert!(FrameStream::from_chunks([]).with_told(&HeaderMap::new()).take_told().is_none());
}

#[tokio::test]
async fn an_exception_frame_is_a_failure_in_upstreams_words() {
    let failure = first_failure([
        event("contentBlockDelta", "{}"),
        exception("throttlingException", r#"{"message":"Too many tokens, please wait before trying again."}"#),
    ])
    .await;
    assert_eq!(failure.cause, Cause::Throttled);
    assert_eq!(failure.code, "ThrottlingException");
    assert_eq!(failure.status, 429);
    assert_eq!(failure.message, "Too many tokens, please wait before trying again.");
}

#[tokio::test]
async fn a_model_stream_error_tells_the_models_refusal_from_its_fall() {
    let refused =
        first_failure([exception("modelStreamErrorException", r#"{"message":"bad","originalStatusCode":400,"originalMessage":"x"}"#)])
            .await;
    let fell = first_failure([exception("modelStreamErrorException", r#"{"message":"bad","originalStatusCode":500}"#)]).await;
    assert_eq!((refused.cause, fell.cause), (Cause::BadRequest, Cause::Unavailable));
    let told = refused.model_error.unwrap();
    assert_eq!((told.original_status, told.original_message.as_deref(), told.resource_name), (Some(400), Some("x"), None));
}

#[tokio::test]
async fn an_error_frame_is_a_failure_by_its_code() {
    let failure =
        first_failure([encode_frame(&[(":message-type", "error"), (":error-code", "InternalFailure"), (":error-message", "oh no")], b"")])
            .await;
    assert_eq!((failure.cause, failure.code.as_str(), failure.message.as_str()), (Cause::Unavailable, "InternalFailure", "oh no"));
    let unknown = first_failure([encode_frame(&[(":message-type", "error"), (":error-code", "42"), (":error-message", "oh")], b"")]).await;
    assert_eq!((unknown.cause, unknown.status), (Cause::Unavailable, 500));
}

#[tokio::test]
async fn an_end_inside_a_frame_is_a_broken_stream() {
    let frame = event("contentBlockDelta", "{}");
    for cut in [1, 11, 12, frame.len() - 1] {
        let failure = first_failure([event("messageStart", "{}"), frame.slice(..cut)]).await;
        assert_eq!((failure.cause, failure.code.as_str()), (Cause::BrokenStream, "UnexpectedEnd"), "cut at {cut}");
    }
}

#[tokio::test]
async fn a_wrong_checksum_is_malformed() {
    let mut bytes = event("contentBlockDelta", "{\"a\":1}").to_vec();
    let last_of_payload = bytes.len() - 5;
    bytes[last_of_payload] ^= 1;
    let failure = first_failure([Bytes::from(bytes)]).await;
    assert_eq!((failure.cause, failure.code.as_str()), (Cause::Malformed, "UndecodableFrame"));
    let untyped = first_failure([encode_frame(&[(":event-type", "chunk")], b"{}")]).await;
    assert_eq!((untyped.cause, untyped.code.as_str()), (Cause::Malformed, "MessageTypeMissing"));
}

#[tokio::test]
async fn a_broken_connection_says_what_broke_it_and_where() {
    let (sender, receiver) = mpsc::channel(2);
    let mut stream = FrameStream::from_channel(receiver, None).with_origin(Some("id-1".to_owned()), Region::from("eu-west-1"));
    sender.send(Ok(event("messageStart", "{}"))).await.unwrap();
    sender.send(Err("connection reset by peer".to_owned())).await.unwrap();
    assert!(stream.next().await.unwrap().is_ok());
    let failure = stream.next().await.unwrap().unwrap_err();
    assert_eq!((failure.cause, failure.message.as_str()), (Cause::BrokenStream, "connection reset by peer"));
    assert_eq!(failure.request_id.as_deref(), Some("id-1"));
    assert_eq!(failure.region, Some(Region::from("eu-west-1")));
    assert!(sender.is_closed(), "a failed stream lets go of its connection at once");
}

#[tokio::test]
async fn frames_already_received_are_given_without_waiting() {
    let (sender, receiver) = mpsc::channel(4);
    let mut stream = FrameStream::from_channel(receiver, None);
    assert!(stream.try_next().is_none());
    let mut two = event("contentBlockDelta", "1").to_vec();
    two.extend_from_slice(&event("contentBlockDelta", "2"));
    let third = event("contentBlockDelta", "3");
    two.extend_from_slice(&third[..5]);
    sender.send(Ok(Bytes::from(two))).await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap().payload, "1");
    assert_eq!(stream.try_next().unwrap().unwrap().payload, "2");
    assert!(stream.try_next().is_none());
    sender.send(Ok(third.slice(5..))).await.unwrap();
    assert_eq!(stream.try_next().unwrap().unwrap().payload, "3");
    drop(sender);
    assert!(stream.try_next().is_none());
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_wait_that_begins_after_a_peek_is_still_woken() {
    let (sender, receiver) = mpsc::channel(4);
    let mut stream = FrameStream::from_channel(receiver, None);
    assert!(stream.try_next().is_none());
    let waiting = tokio::spawn(async move { stream.next().await });
    tokio::task::yield_now().await;
    sender.send(Ok(event("metadata", "{}"))).await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().unwrap().event_type, EventType::Metadata);
}

#[tokio::test]
async fn a_cancelled_wait_loses_nothing() {
    let (sender, receiver) = mpsc::channel(4);
    let mut stream = FrameStream::from_channel(receiver, None);
    let frame = event("metadata", "{\"usage\":1}");
    sender.send(Ok(frame.slice(..20))).await.unwrap();
    tokio::select! {
        biased;
        _ = stream.next() => panic!("half a frame is no frame"),
        () = std::future::ready(()) => {}
    }
    sender.send(Ok(frame.slice(20..))).await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap().payload, "{\"usage\":1}");
}

#[tokio::test(start_paused = true)]
async fn silence_beyond_the_idle_limit_is_a_timeout_and_every_piece_starts_it_anew() {
    let (sender, receiver) = mpsc::channel(4);
    let mut stream = FrameStream::from_channel(receiver, timing(Duration::from_secs(3600)));
    let started = Instant::now();
    let feeder = tokio::spawn(async move {
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_secs(20)).await;
            sender.send(Ok(event("contentBlockDelta", "{}"))).await.unwrap();
        }
        sender.closed().await;
    });
    for _ in 0..3 {
        assert!(stream.next().await.unwrap().is_ok());
    }
    let failure = stream.next().await.unwrap().unwrap_err();
    assert_eq!((failure.cause, failure.code.as_str()), (Cause::Timeout, "IdleTimeout"));
    assert_eq!(started.elapsed().as_secs(), 90);
    feeder.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_total_limit_holds_although_pieces_keep_coming() {
    let (sender, receiver) = mpsc::channel(4);
    let mut stream = FrameStream::from_channel(receiver, timing(Duration::from_secs(100)));
    let started = Instant::now();
    let feeder = tokio::spawn(async move {
        while sender.send(Ok(event("contentBlockDelta", "{}"))).await.is_ok() {
            tokio::time::sleep(Duration::from_secs(7)).await;
        }
    });
    let failure = loop {
        if let Err(failure) = stream.next().await.unwrap() {
            break failure;
        }
    };
    assert_eq!((failure.cause, failure.code.as_str()), (Cause::Timeout, "TotalTimeout"));
    assert_eq!(started.elapsed().as_secs(), 100);
    feeder.await.unwrap();
}

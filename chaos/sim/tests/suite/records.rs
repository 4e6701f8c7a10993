//! The journal's records, as checkers read them.

use std::{sync::Arc, time::Duration};

use outcrop_sim::{
    CallRecord, Chunking, Decision, End, JournalLimits, Nanos, Pace, ProfileClass, Quota, QuotaLimit, QuotaReplay, RefusedBy, SimStream,
    Simulator,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{EAST, HELLO, LIMIT, MODEL, WEST, exchange_on, path, post, turn};

const WORDS: &str = "one two three four five six seven eight nine ten eleven twelve";

fn simulator() -> Simulator {
    let pace = Pace::fixed(Duration::from_millis(100), Duration::from_millis(10));
    let simulator =
        Simulator::builder().regions([EAST, WEST]).seed(7).pace(pace).chunking(Chunking::Framed).nonce("n0nce-").in_memory().unwrap();
    simulator.answer_with(Some(Arc::new(|_| turn(WORDS))));
    simulator
}

fn asking(nonces: &str) -> Vec<u8> {
    post(&path("converse-stream"), &HELLO.replace("hello", nonces))
}

fn millis(at: Option<Nanos>) -> u128 {
    at.unwrap().duration().as_millis()
}

async fn ended(simulator: &Simulator, count: usize) -> Vec<CallRecord> {
    simulator.journal().wait_for_ended(count, LIMIT).await.unwrap();
    simulator.journal().records()
}

#[tokio::test(start_paused = true)]
async fn a_record_tells_the_whole_story_of_a_call() {
    let simulator = simulator();
    let begin = simulator.clock().elapsed().as_millis();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut stream = simulator.connect(EAST).await.unwrap();
    let request = asking("first n0nce-0a then n0nce-ff and n0nce-0a");
    let seen = exchange_on(&mut stream, &request).await.unwrap();
    let record = ended(&simulator, 1).await.remove(0);
    assert_eq!((record.id, record.region.as_str(), record.connection, record.label.as_deref()), (1, EAST, 1, Some(MODEL)));
    assert_eq!(
        (record.model.as_deref(), record.profile, record.key.as_deref()),
        (Some(MODEL), Some(ProfileClass::OnDemand), Some("bearer"))
    );
    assert_eq!(
        (record.nonce.as_deref(), record.nonces.as_slice()),
        (Some("n0nce-ff"), &["n0nce-0a".to_owned(), "n0nce-ff".to_owned()][..])
    );
    assert_eq!(
        (record.decision.clone(), record.fault.is_none()),
        (Decision::Admitted { bucket: None, reserved: record_reserve(&record) }, true)
    );
    let deltas = seen.events().iter().filter(|(kind, _)| kind == "contentBlockDelta").count() as u128;
    let millis = |time: Option<Nanos>| millis(time) - begin;
    assert_eq!((millis(Some(record.arrived)), millis(record.head), millis(record.first_byte)), (1_000, 1_100, 1_100));
    assert_eq!((millis(record.last_byte), millis(record.ended)), (1_100 + 10 * deltas, 1_100 + 10 * deltas));
    assert_eq!((record.end, record.peer_closed), (End::Complete, None));
    assert_eq!((record.body_bytes, record.events_sent), (seen.body.len() as u64, seen.events().len() as u64));
    let framing: usize = seen.chunks.iter().map(|size| format!("{size:X}").len() + 4).sum();
    assert_eq!(record.wire_bytes, (seen.head.len() + seen.head.lines().count() + 2 + framing + seen.body.len() + 5) as u64);
    let billed = record.billed.unwrap();
    assert_eq!((billed.input, billed.output, record.usage), (10, 100, Some(billed)));
    assert_eq!((record.in_flight, record.open_connections), (1, 1));
    let json = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<CallRecord>(&json).unwrap(), record);
}

fn record_reserve(record: &CallRecord) -> Option<u64> {
    match record.decision {
        Decision::Admitted { reserved, .. } => reserved.filter(|tokens| *tokens > 1_000),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_leaves_is_seen_by_the_read_half_while_writes_still_succeed() {
    let simulator = simulator();
    let mut stream = simulator.connect(EAST).await.unwrap();
    stream.write_all(&asking("n0nce-1")).await.unwrap();
    // The first bytes of the answer are there; the peer leaves in the middle of the next pause.
    let mut some = [0; 64];
    stream.read_exact(&mut some).await.unwrap();
    tokio::time::sleep(Duration::from_millis(25)).await;
    let left = simulator.clock().elapsed();
    drop(stream);
    let record = ended(&simulator, 1).await.remove(0);
    assert_eq!((record.end, record.peer_closed, record.ended), (End::Cancelled, Some(left.into()), Some(left.into())));
    let connection = simulator.journal().connections().remove(0);
    assert_eq!((connection.peer_closed, connection.closed, connection.calls), (Some(left.into()), Some(left.into()), 1));
    let (billed, usage) = (record.billed.unwrap(), record.usage.unwrap());
    assert!(billed.input == usage.input && billed.output < usage.output, "{billed:?} of {usage:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_complete_only_when_its_last_byte_has_left() {
    let simulator = simulator();
    simulator.answer_with(Some(Arc::new(|_| turn(&"many words ".repeat(60_000)))));
    let mut stream: SimStream = simulator.connect(EAST).await.unwrap();
    stream.write_all(&post(&path("converse"), HELLO)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    // The buffers between the two are full and nobody reads.
    let record = simulator.journal().records().remove(0);
    assert_eq!(record.end, End::Open);
    drop(stream);
    let record = ended(&simulator, 1).await.remove(0);
    assert_eq!(record.end, End::Cancelled);
    assert!(record.wire_bytes < record.body_bytes, "{} of {}", record.wire_bytes, record.body_bytes);
}

#[tokio::test(start_paused = true)]
async fn refusals_say_who_refused() {
    let simulator = simulator();
    simulator.quota(EAST, MODEL, Quota { tokens_per_minute: Some(100), ..Quota::default() }).unwrap();
    let call = async |request: &[u8]| exchange_on(&mut simulator.connect(EAST).await.unwrap(), request).await.unwrap().status;
    assert_eq!(call(&asking("n0nce-1")).await, 429);
    simulator.clear_quotas();
    let fault = simulator.install(toml::from_str("kind = \"access_lost\"").unwrap()).unwrap();
    assert_eq!(call(&asking("n0nce-2")).await, 403);
    simulator.clear_faults();
    simulator.script(outcrop_sim::Rule::once(outcrop_sim::Action::Error(outcrop_sim::ScriptedError::unavailable())));
    assert_eq!(call(&asking("n0nce-3")).await, 503);
    assert_eq!(call(&post(&path("converse"), "{}")).await, 400);
    assert_eq!(call(b"POST /model/m/converse HTTP/1.1\r\nhost: sim\r\ncontent-length: 0\r\n\r\n").await, 403);
    let by: Vec<RefusedBy> = ended(&simulator, 5)
        .await
        .into_iter()
        .map(|record| match record.decision {
            Decision::Refused { by, .. } => by,
            other => panic!("{other:?}"),
        })
        .collect();
    let RefusedBy::Quota { limit: QuotaLimit::Tokens, wanted, .. } = &by[0] else { panic!("{by:?}") };
    assert!(*wanted > 100);
    assert_eq!(by[1..], [RefusedBy::Fault { fault }, RefusedBy::Script, RefusedBy::Service, RefusedBy::Auth]);
}

#[tokio::test(start_paused = true)]
async fn ended_calls_and_closed_connections_are_taken_once() {
    let simulator = simulator();
    let mut stream = simulator.connect(EAST).await.unwrap();
    exchange_on(&mut stream, &asking("n0nce-1")).await.unwrap();
    stream.write_all(&asking("n0nce-2")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    let ids = |records: Vec<CallRecord>| records.into_iter().map(|record| record.id).collect::<Vec<_>>();
    assert_eq!(ids(simulator.journal().take_ended()), [1]);
    assert_eq!(ids(simulator.journal().records()), [2], "the running one stays");
    assert!(simulator.journal().take_closed_connections().is_empty());
    drop(stream);
    simulator.journal().wait_for_ended(1, LIMIT).await.unwrap();
    assert_eq!(ids(simulator.journal().take_ended()), [2]);
    assert_eq!(simulator.journal().take_closed_connections().len(), 1);
    assert!(simulator.journal().connections().is_empty());
}

#[tokio::test(start_paused = true)]
async fn gauges_count_what_runs_and_what_is_open() {
    let simulator = simulator();
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut stream = simulator.connect(EAST).await.unwrap();
        stream.write_all(&asking("n0nce-1")).await.unwrap();
        streams.push(stream);
    }
    let _idle = simulator.connect(WEST).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    let gauge = |at: usize| simulator.journal().gauges().remove(at);
    assert_eq!((gauge(0).in_flight, gauge(0).open_connections, gauge(1).in_flight, gauge(1).open_connections), (3, 3, 0, 1));
    assert_eq!(simulator.journal().records().iter().map(|record| record.in_flight).collect::<Vec<_>>(), [1, 2, 3]);
    drop(streams);
    simulator.journal().wait_for_ended(3, LIMIT).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!((gauge(0).in_flight, gauge(0).most_in_flight, gauge(0).open_connections, gauge(0).accepted_connections), (0, 3, 0, 3));
}

#[tokio::test(start_paused = true)]
async fn the_book_of_buckets_answers_what_could_have_been_admitted() {
    let simulator = simulator();
    simulator.quota(EAST, MODEL, Quota { tokens_per_minute: Some(12_000), burndown: 1, ..Quota::default() }).unwrap();
    let body = HELLO.replacen('{', "{\"inferenceConfig\":{\"maxTokens\":10000},", 1);
    let request = post(&path("converse-stream"), &body);
    tokio::time::sleep(Duration::from_millis(1)).await;
    let first = async { exchange_on(&mut simulator.connect(EAST).await.unwrap(), &request).await };
    let second = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        exchange_on(&mut simulator.connect(EAST).await.unwrap(), &request).await
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!((first.unwrap().status, second.unwrap().status), (200, 429));
    let records = ended(&simulator, 2).await;
    let Decision::Refused { by: RefusedBy::Quota { bucket, wanted, .. }, .. } = &records[1].decision else { panic!("{records:?}") };
    let replay = QuotaReplay::new(&simulator.quota_entries());
    let (refused, settled) = (records[1].decided.unwrap(), records[0].ended.unwrap());
    assert_eq!(replay.could_admit(bucket, refused, *wanted), Some(false));
    assert_eq!(
        replay.could_admit_within(bucket, Nanos(0), refused, *wanted),
        Some(records[0].decided.unwrap()),
        "just before the first took it"
    );
    assert_eq!(replay.could_admit(bucket, settled, *wanted), Some(true));
    assert_eq!(replay.room(bucket, settled), simulator.quota_room(EAST, MODEL));
    let calls: Vec<Option<u64>> = simulator.take_quota_entries().iter().map(|entry| entry.call).collect();
    assert_eq!(calls, [None, Some(1), Some(2), Some(1)]);
    assert!(simulator.quota_entries().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_book_is_bounded() {
    let limits = JournalLimits { calls: 2, connections: 2, quota_entries: 3, ..JournalLimits::default() };
    let simulator = Simulator::builder().region(EAST, 0).journal(limits).in_memory().unwrap();
    simulator.quota(EAST, MODEL, Quota::per_minute(1_000, 1_000_000, 1)).unwrap();
    for _ in 0..4 {
        exchange_on(&mut simulator.connect(EAST).await.unwrap(), &asking("n0nce-1")).await.unwrap();
    }
    let journal = simulator.journal();
    assert_eq!((journal.records().len(), journal.connections().len(), simulator.quota_entries().len(), journal.received()), (2, 2, 3, 4));
}

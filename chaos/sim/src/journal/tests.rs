use std::sync::Arc;

use http::Request;

use super::*;
use crate::{
    body::Written,
    clock::SimClock,
    route::{Operation, Route},
    script::CutManner,
    wire::WireControl,
};

const LIMIT: Duration = Duration::from_secs(5);

struct Desk {
    journal: Arc<Journal>,
    clock: SimClock,
    wire: Arc<WireControl>,
}

fn written(bytes: usize, events: u32, words: u32) -> Written {
    Written { bytes: vec![0; bytes].into(), events, deltas: 0, words }
}

impl Desk {
    fn new(limits: JournalLimits) -> Self {
        let clock = SimClock::system();
        Self { journal: Arc::new(Journal::new(limits, Some("n0nce-"))), clock, wire: Arc::new(WireControl::new(1, clock, Duration::ZERO)) }
    }

    fn open(&self) -> Recorder {
        let (parts, ()) = Request::post("/model/m/converse?x=1")
            .header("x-amzn-bedrock-trace", "ENABLED")
            .header("x-other", "1")
            .body(())
            .unwrap()
            .into_parts();
        let route = Route::of(&parts.method, parts.uri.path());
        let arrival = Arrival { region: "r", parts: &parts, route: &route, request_id: &|number| format!("id-{number}") };
        Recorder::open(Arc::clone(&self.journal), self.clock, Arc::clone(&self.wire), &arrival)
    }
}

#[tokio::test]
async fn an_entry_tells_the_whole_story_of_a_call() {
    let desk = Desk::new(JournalLimits { event_times: true, ..JournalLimits::default() });
    let mut pen = desk.open();
    pen.body(&Bytes::from_static(b"needle"));
    pen.head(Outcome::Answered { status: 200 });
    pen.sent(&written(10, 2, 2));
    pen.sent(&written(5, 1, 1));
    pen.end(Ending::Complete);
    let call = desk.journal.call(1).unwrap();
    assert_eq!((call.target.as_str(), call.request_id.as_str()), ("POST /model/m/converse?x=1", "id-1"));
    assert_eq!((call.operation, call.label.as_deref()), (Operation::Converse, Some("m")));
    assert_eq!((call.wish("x-amzn-bedrock-trace"), call.wishes.len()), (Some("ENABLED"), 1));
    assert_eq!((call.bytes_sent, call.events_sent, call.event_times.len()), (15, 3, 3));
    assert_eq!((call.ending, call.client_closed_at), (Ending::Complete, None));
    assert_eq!(desk.journal.calls_with("needle").len(), 1);
    assert!(desk.journal.calls_with("straw").is_empty());
}

#[tokio::test]
async fn a_dropped_pen_says_who_ended_the_call() {
    let desk = Desk::new(JournalLimits::default());
    drop(desk.open());
    assert_eq!(desk.journal.call(1).unwrap().ending, Ending::ClientGone);
    assert!(desk.journal.call(1).unwrap().client_closed_at.is_some());
    desk.wire.shut_down();
    drop(desk.open());
    assert_eq!(desk.journal.call(2).unwrap().ending, Ending::Shutdown);
    desk.wire.cut_now(CutManner::Close);
    drop(desk.open());
    assert_eq!(desk.journal.call(3).unwrap().ending, Ending::Cut);
}

#[tokio::test]
async fn waiters_see_changes_and_give_up_in_time() {
    let desk = Desk::new(JournalLimits::default());
    let mut pen = desk.open();
    let journal = Arc::clone(&desk.journal);
    let waiter = tokio::spawn(async move { journal.wait_for_ended(1, LIMIT).await });
    tokio::task::yield_now().await;
    pen.end(Ending::Complete);
    assert_eq!(waiter.await.unwrap().unwrap().len(), 1);
    let timeout = desk.journal.wait_for(|calls| calls.len() > 1, Duration::from_millis(1)).await.unwrap_err();
    assert_eq!((timeout.calls, timeout.open), (1, 0));
}

#[tokio::test]
async fn the_oldest_calls_and_bodies_are_forgotten_first() {
    let desk = Desk::new(JournalLimits { calls: 3, body_bytes: 4, total_body_bytes: 8, ..JournalLimits::default() });
    let pens: Vec<Recorder> = (0..5).map(|_| desk.open()).collect();
    for pen in &pens {
        pen.body(&Bytes::from_static(b"123456"));
    }
    let bodies: Vec<(u64, usize, usize)> = desk.journal.calls().iter().map(|c| (c.number, c.body.len(), c.body_bytes)).collect();
    assert_eq!(bodies, [(3, 0, 6), (4, 4, 6), (5, 4, 6)]);
    assert_eq!(desk.journal.received(), 5);
    drop(pens);
    desk.journal.clear();
    assert!(desk.journal.calls().is_empty());
    assert_eq!(desk.open().number(), 6);
}

#[tokio::test]
async fn clearing_keeps_running_calls_writable() {
    let desk = Desk::new(JournalLimits::default());
    drop(desk.open());
    let pen = desk.open();
    desk.journal.clear();
    pen.sent(&written(7, 0, 0));
    assert_eq!(desk.journal.call(2).unwrap().bytes_sent, 7);
    assert_eq!(desk.journal.in_flight(), 1);
}

//! Each fault does exactly what its file says, to the calls it selects and to no other.
//!
//! Two simulators under one seed answer the same calls, one of them under the fault. A call is either bit for bit and
//! millisecond for millisecond what it is without the fault, or it is struck in the way the fault promises.

mod answers;
mod natives;
mod places;
mod selectors;
mod standing;
mod streams;
mod tcp;
mod wires;

use std::{
    io::ErrorKind,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use outcrop_sim::{Chunking, Pace, SimClock, SimStream, Simulator, faults::Fault};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

use crate::support::{EAST, HELLO, Seen, WEST, path, post, turn};

/// Longer than anything that is not for ever.
const LONG: Duration = Duration::from_secs(7 * 86_400);
const WORDS: &str = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen";
/// Calls of one matrix at share 0 and at share 1, where each is the same, and at a half.
const CALLS: usize = 4;
const HALF_CALLS: usize = 24;

/// How an answer ended, as its client saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    /// No connection came about.
    NoConnection(ErrorKind),
    /// Not even that became clear.
    NeverConnected,
    Closed,
    Reset,
    /// Nothing more came, for a week.
    Silent,
}

/// What a raw client saw of one call.
#[derive(Debug, Clone, PartialEq)]
struct Sight {
    wire: Vec<u8>,
    end: End,
    took: Duration,
}

impl Sight {
    fn nothing(end: End, took: Duration) -> Self {
        Self { wire: Vec::new(), end, took }
    }

    /// Length of the head, its empty line included.
    fn head(&self) -> usize {
        self.wire.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4)
    }

    fn seen(&self) -> Seen {
        let head = String::from_utf8(self.wire[..self.head()].to_vec()).unwrap().replace("\r\n", "\n");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        let chunked = head.contains("transfer-encoding: chunked");
        let rest = &self.wire[self.head()..];
        Seen { status, head, body: if chunked { unchunked(rest) } else { rest.to_vec() }, chunks: Vec::new(), broken: None }
    }

    fn events(&self) -> Vec<(String, Value)> {
        self.seen().events()
    }

    fn body(&self) -> Vec<u8> {
        self.seen().body
    }

    /// Status, error type and text of a whole refusal; status 0 if it is none.
    fn refusal(&self) -> (u16, String, String) {
        let seen = self.seen();
        if seen.status < 400 {
            return (0, String::new(), String::new());
        }
        let (kind, json) = (seen.header("x-amzn-errortype").unwrap_or_default(), seen.json());
        let message = json["message"].as_str().or(json["Message"].as_str()).unwrap().to_owned();
        (seen.status, kind.split(':').next().unwrap().to_owned(), message)
    }
}

/// The body of a chunked answer, as far as it arrived.
fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(line) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        let data = &rest[line + 2..];
        body.extend_from_slice(&data[..size.min(data.len())]);
        rest = data.get(size + 2..).unwrap_or_default();
    }
    body
}

fn is_whole(wire: &[u8]) -> bool {
    let Some(head) = wire.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4) else { return false };
    let text = String::from_utf8_lossy(&wire[..head]).to_lowercase();
    match text.lines().find_map(|line| line.strip_prefix("content-length: ")) {
        Some(length) => wire.len() - head >= length.trim().parse::<usize>().unwrap(),
        None => wire.ends_with(b"0\r\n\r\n"),
    }
}

/// Reads an answer to its end, whatever that is.
async fn read_to_the_end<IO: AsyncRead + Unpin>(stream: &mut IO, started: Instant) -> Sight {
    let mut wire = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    let end = loop {
        match tokio::time::timeout(LONG, stream.read(&mut buffer)).await {
            Err(_) => break End::Silent,
            Ok(Ok(0)) => break End::Closed,
            Ok(Ok(read)) => wire.extend_from_slice(&buffer[..read]),
            Ok(Err(fault)) => {
                assert_eq!(fault.kind(), ErrorKind::ConnectionReset);
                break End::Reset;
            }
        }
        if is_whole(&wire) {
            break End::Whole;
        }
    };
    let took = if end == End::Silent { Duration::ZERO } else { started.elapsed() };
    Sight { wire, end, took }
}

/// One call on a connection of its own.
async fn look(simulator: &Simulator, region: &str, request: &[u8]) -> Sight {
    let started = Instant::now();
    let mut stream = match tokio::time::timeout(LONG, simulator.connect(region)).await {
        Err(_) => return Sight::nothing(End::NeverConnected, Duration::ZERO),
        Ok(Err(fault)) => return Sight::nothing(End::NoConnection(fault.kind()), started.elapsed()),
        Ok(Ok(stream)) => stream,
    };
    look_on(&mut stream, request).await
}

async fn look_on(stream: &mut SimStream, request: &[u8]) -> Sight {
    let started = Instant::now();
    // A connection that was reset at once refuses the request; what it says is read all the same.
    let _refused = stream.write_all(request).await;
    read_to_the_end(stream, started).await
}

fn fault(text: &str) -> Fault {
    toml::from_str(text).unwrap_or_else(|fault| panic!("{text}: {fault}"))
}

/// A simulator in memory with a fixed answer and a write for each event.
fn simulator(seed: u64) -> Simulator {
    let pace = Pace::fixed(Duration::from_millis(50), Duration::from_millis(10));
    let simulator = Simulator::builder()
        .regions([EAST, WEST])
        .seed(seed)
        .pace(pace)
        .chunking(Chunking::Framed)
        .nonce("n0nce-")
        .clock(SimClock::starting_at(UNIX_EPOCH + Duration::from_secs(1_795_184_229)))
        .in_memory()
        .unwrap();
    simulator.answer_with(Some(Arc::new(|_| turn(WORDS))));
    simulator
}

fn converse() -> Vec<u8> {
    post(&path("converse"), HELLO)
}

fn stream() -> Vec<u8> {
    post(&path("converse-stream"), HELLO)
}

/// Looks at the same calls with and without a fault, at share 0, a half and 1.
///
/// `struck` says whether the second sight is the first one under the fault.
async fn prove(text: &str, request: &[u8], struck: impl Fn(&Sight, &Sight) -> bool) {
    for (share, calls, expected) in [(0.0, CALLS, 0..=0), (0.5, HALF_CALLS, 5..=19), (1.0, CALLS, CALLS..=CALLS)] {
        let (clean, faulty) = (simulator(11), simulator(11));
        faulty.install(fault(&format!("{text}\nshare = {share:?}"))).unwrap();
        let mut hits = 0;
        for call in 0..calls {
            let received = faulty.journal().received();
            let after = look(&faulty, EAST, request).await;
            // A connection that came to nothing has used up no number: the other simulator must not get ahead.
            let came_through = faulty.journal().received() > received;
            let nothing = Sight::nothing(End::NeverConnected, LONG);
            let before = if came_through { look(&clean, EAST, request).await } else { nothing };
            let intact = same(&before, &after);
            assert!(
                intact != struck(&before, &after),
                "{text} at share {share}, call {call}: neither intact nor struck, or both:\n{before:?}\n{after:?}"
            );
            hits += usize::from(!intact);
        }
        assert!(expected.contains(&hits), "{text} at share {share} struck {hits} calls");
        faulty.journal().wait_for(|calls| calls.iter().all(outcrop_sim::Call::ended), LONG).await.unwrap();
        let status = faulty.faults().remove(0);
        assert_eq!((status.hits, status.active), (hits as u64, 0), "{text} at share {share}");
    }
}

/// Same but for the date: the clocks of the two simulators have come differently far.
fn same(before: &Sight, after: &Sight) -> bool {
    (undated(&before.wire), before.end, before.took) == (undated(&after.wire), after.end, after.took)
}

/// Bytes with the date blanked.
fn undated(wire: &[u8]) -> Vec<u8> {
    let mut wire = wire.to_vec();
    if let Some(at) = wire.windows(6).position(|six| six == b"date: ") {
        for byte in wire.iter_mut().skip(at + 6).take_while(|byte| **byte != b'\r') {
            *byte = b'x';
        }
    }
    wire
}

/// The answer is the same but for when it came (and what it says of that).
fn same_text(before: &Sight, after: &Sight) -> bool {
    let text = |sight: &Sight| match sight.seen().header("content-type").as_deref() {
        Some("application/json") => sight.seen().json()["output"].to_string(),
        _ => sight.seen().text(),
    };
    after.end == End::Whole && after.seen().status == 200 && text(before) == text(after)
}

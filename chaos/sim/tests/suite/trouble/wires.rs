//! Layer W: what happens to bytes and connections, in memory.

use std::{
    io,
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll},
};

use outcrop_sim::{End as CallEnd, Ending};
use tokio::io::{AsyncWrite, DuplexStream, ReadBuf};

use super::*;

#[tokio::test(start_paused = true)]
async fn resets_and_closes_come_at_their_moment() {
    for (kind, end) in [("reset", End::Reset), ("close", End::Closed)] {
        for moment in ["connect", "request"] {
            let text = format!("kind = \"{kind}\"\nat = \"{moment}\"");
            prove(&text, &stream(), |_, after| (after.end, after.wire.len()) == (end, 0)).await;
        }
        for request in [converse(), stream()] {
            prove(&format!("kind = \"{kind}\"\nat = \"headers\""), &request, |before, after| {
                after.end == end && undated(&after.wire) == undated(&before.wire[..before.head()])
            })
            .await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn resets_and_closes_let_exactly_their_bytes_out() {
    for bytes in [0, 1, 17, 200, 300, 301, 512] {
        for (kind, end) in [("reset", End::Reset), ("close", End::Closed)] {
            let text = format!("kind = \"{kind}\"\nat_byte = {bytes}");
            prove(&text, &stream(), |before, after| (after.end, undated(&after.wire)) == (end, undated(&before.wire[..bytes]))).await;
        }
    }
    prove("kind = \"reset\"\nat_byte = 250", &converse(), |before, after| {
        (after.end, undated(&after.wire)) == (End::Reset, undated(&before.wire[..250]))
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn random_cuts_fall_everywhere_within_the_response() {
    let (clean, simulator) = (simulator(3), simulator(3));
    simulator.install(fault("kind = \"reset\"\nat_byte = \"random\"")).unwrap();
    let (mut in_head, mut lengths) = (0, std::collections::BTreeSet::new());
    for _ in 0..200 {
        let (whole, seen) = (look(&clean, EAST, &stream()).await, look(&simulator, EAST, &stream()).await);
        assert!(seen.end == End::Reset && seen.wire.len() < whole.wire.len(), "{} of {}", seen.wire.len(), whole.wire.len());
        in_head += usize::from(seen.wire.len() < whole.head());
        lengths.insert(seen.wire.len());
    }
    assert!(in_head > 0 && in_head < 100 && lengths.len() > 120, "{in_head} in the head, {} different", lengths.len());
}

#[tokio::test(start_paused = true)]
async fn a_half_closed_answer_stops_but_its_connection_still_listens() {
    prove("kind = \"half_close\"\nat_byte = 300", &stream(), |before, after| {
        (after.end, undated(&after.wire)) == (End::Closed, undated(&before.wire[..300]))
    })
    .await;
    let simulator = simulator(1);
    simulator.install(fault("kind = \"half_close\"\nat_byte = 300")).unwrap();
    let mut stream = simulator.connect(EAST).await.unwrap();
    let seen = look_on(&mut stream, &super::stream()).await;
    assert_eq!((seen.end, seen.wire.len()), (End::Closed, 300));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!((simulator.journal().in_flight(), simulator.open_connections(EAST)), (1, 1), "it waits for its peer");
    drop(stream);
    let call = simulator.journal().wait_for_ended(1, LONG).await.unwrap().remove(0);
    assert_eq!((call.ending, call.wire_bytes), (Ending::Cut, 300));
    assert_eq!(call.client_closed_at, call.ended_at);
}

#[tokio::test(start_paused = true)]
async fn black_holes_are_silent_from_their_moment_on() {
    prove("kind = \"blackhole\"", &stream(), |_, after| (after.end, after.wire.len()) == (End::Silent, 0)).await;
    prove("kind = \"blackhole\"\nat = \"headers\"", &stream(), |before, after| {
        after.end == End::Silent && undated(&after.wire) == undated(&before.wire[..before.head()])
    })
    .await;
    prove("kind = \"blackhole\"\nat = \"connect\"", &stream(), |_, after| after.end == End::NeverConnected).await;
}

#[tokio::test(start_paused = true)]
async fn a_share_of_connections_can_be_refused() {
    prove("kind = \"refuse\"\nmax_active = 1000", &stream(), |_, after| {
        after.end == End::NoConnection(ErrorKind::ConnectionRefused) && after.took == Duration::ZERO
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_line_and_a_delayed_one_take_their_time() {
    prove("kind = \"bandwidth\"\nbytes_per_s = 1000", &converse(), |before, after| {
        let bytes = u32::try_from(before.wire.len()).unwrap();
        // The last moment's worth of bytes need not wait for the line to be free again.
        let least = before.took + Duration::from_millis(1) * (bytes - 10);
        undated(&before.wire) == undated(&after.wire) && (least..least + Duration::from_millis(10)).contains(&after.took)
    })
    .await;
    prove("kind = \"delay\"\np50 = \"20ms\"", &converse(), |before, after| {
        // Head and body are one write, or two.
        let late = after.took.saturating_sub(before.took).as_millis();
        undated(&before.wire) == undated(&after.wire) && (late == 20 || late == 40)
    })
    .await;
}

/// Remembers the longest write of the simulator.
struct Measuring {
    inner: DuplexStream,
    longest: Arc<AtomicUsize>,
}

impl AsyncRead for Measuring {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl AsyncWrite for Measuring {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.longest.fetch_max(bytes.len(), Ordering::Relaxed);
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[tokio::test(start_paused = true)]
async fn slices_are_writes_of_at_most_their_size() {
    for (share, expected) in [(0.0, 0..=0), (0.5, 4..=20), (1.0, 24..=24)] {
        let (clean, simulator) = (simulator(1), simulator(1));
        simulator.install(fault(&format!("kind = \"slice\"\nchunk = 7\nshare = {share:?}"))).unwrap();
        let mut sliced = 0;
        for _ in 0..24 {
            let (mut near, inner) = tokio::io::duplex(64 * 1024);
            let longest = Arc::new(AtomicUsize::new(0));
            tokio::spawn(simulator.serve_connection(EAST, Measuring { inner, longest: Arc::clone(&longest) }));
            near.write_all(&converse()).await.unwrap();
            let seen = read_to_the_end(&mut near, Instant::now()).await;
            assert_eq!(undated(&seen.wire), undated(&look(&clean, EAST, &converse()).await.wire));
            let longest = longest.load(Ordering::Relaxed);
            assert!(longest == 7 || longest > 100, "{longest}");
            sliced += usize::from(longest == 7);
        }
        assert!(expected.contains(&sliced) && simulator.faults()[0].hits == sliced as u64, "{sliced} at share {share}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_reset_as_the_next_request_arrives() {
    let simulator = simulator(1);
    simulator.install(fault("kind = \"idle_cut\"\nafter = \"30s\"")).unwrap();
    let mut stream = simulator.connect(EAST).await.unwrap();
    assert_eq!(look_on(&mut stream, &converse()).await.end, End::Whole);
    tokio::time::sleep(Duration::from_secs(29)).await;
    assert_eq!(look_on(&mut stream, &converse()).await.end, End::Whole, "29 s are not 30");
    tokio::time::sleep(Duration::from_secs(30)).await;
    let seen = look_on(&mut stream, &converse()).await;
    assert_eq!((seen.end, seen.wire.len()), (End::Reset, 0));
    assert_eq!(look(&simulator, EAST, &converse()).await.end, End::Whole, "a new connection was never idle");
    let ends: Vec<CallEnd> = simulator.journal().records().iter().map(|record| record.end).collect();
    assert_eq!(ends, [CallEnd::Complete, CallEnd::Complete, CallEnd::Cut, CallEnd::Complete]);
}

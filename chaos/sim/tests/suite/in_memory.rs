//! Everything that takes time, over byte streams in memory under a paused clock.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use outcrop_sim::{Action, Chunking, Ending, JournalLimits, Latency, Pace, RegionMode, Rule, Simulator};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf},
    time::Instant,
};

use crate::support::{EAST, HELLO, LIMIT, MODEL, Seen, exchange_on, path, post, turn};

const HOUR: Duration = Duration::from_secs(3600);

fn simulator(pace: Pace) -> Simulator {
    let journal = JournalLimits { event_times: true, ..JournalLimits::default() };
    Simulator::builder().region(EAST, 0).seed(7).pace(pace).chunking(Chunking::Framed).journal(journal).in_memory().unwrap()
}

fn dial(simulator: &Simulator) -> DuplexStream {
    let (near, far) = tokio::io::duplex(64 * 1024);
    tokio::spawn(simulator.serve_connection(EAST, far));
    near
}

async fn timed(simulator: &Simulator, operation: &str) -> (Seen, Duration) {
    let started = Instant::now();
    let seen = exchange_on(&mut dial(simulator), &post(&path(operation), HELLO)).await.unwrap();
    (seen, started.elapsed())
}

#[tokio::test(start_paused = true)]
async fn answers_take_the_time_of_their_pace() {
    let simulator = simulator(Pace::fixed(Duration::from_millis(500), Duration::from_millis(20)));
    simulator.script(Rule::always(Action::Answer(turn("a b c d e f g h i j k l m n o p q r s t u v w x y z"))));
    let (seen, elapsed) = timed(&simulator, "converse-stream").await;
    let deltas = u32::try_from(seen.events().iter().filter(|(kind, _)| kind == "contentBlockDelta").count()).unwrap();
    let expected = Duration::from_millis(500) + deltas * Duration::from_millis(20);
    assert_eq!(elapsed, expected);
    let call = simulator.journal().call(1).unwrap();
    assert_eq!(call.head_at.unwrap() - call.received_at, Duration::from_millis(500));
    assert_eq!(call.event_times.len(), seen.events().len());
    assert_eq!(seen.events().last().unwrap().1["metrics"]["latencyMs"], u64::try_from(expected.as_millis()).unwrap());
    // 100 output tokens: a delta for each three.
    let (_, elapsed) = timed(&simulator, "converse").await;
    assert_eq!(elapsed, Duration::from_millis(500 + 34 * 20));
    simulator.set_pace(EAST, Pace { first_token: Latency::Fixed(HOUR / 2), per_delta: Latency::NONE }).unwrap();
    assert_eq!(timed(&simulator, "converse-stream").await.1, HOUR / 2);
}

/// Counts how often the simulator writes.
struct Counting {
    inner: DuplexStream,
    writes: Arc<AtomicUsize>,
}

impl AsyncRead for Counting {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl AsyncWrite for Counting {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
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
async fn chunking_decides_how_many_writes_a_stream_takes() {
    let stream = async |chunking| {
        let simulator = Simulator::builder().region(EAST, 0).chunking(chunking).in_memory().unwrap();
        simulator.script(Rule::once(Action::Answer(turn(&"some words ".repeat(50)))));
        let (mut near, inner) = tokio::io::duplex(64 * 1024);
        let writes = Arc::new(AtomicUsize::new(0));
        tokio::spawn(simulator.serve_connection(EAST, Counting { inner, writes: Arc::clone(&writes) }));
        let seen = exchange_on(&mut near, &post(&path("converse-stream"), HELLO)).await.unwrap();
        (seen.events().len(), seen.body.len(), writes.load(Ordering::Relaxed))
    };
    let (events, _, writes) = stream(Chunking::Framed).await;
    assert!(events > 25 && (events..events + 3).contains(&writes), "{writes} writes of {events} events");
    let (_, bytes, writes) = stream(Chunking::Sliced(100)).await;
    assert!((bytes / 100..bytes / 100 + 4).contains(&writes), "{writes} writes of {bytes} bytes");
    let (_, _, writes) = stream(Chunking::Merged).await;
    assert!(writes <= 3, "{writes} writes");
}

#[tokio::test(start_paused = true)]
async fn scripted_delays_and_stalls_last_exactly_as_long_as_ordered() {
    let simulator = simulator(Pace::NONE);
    simulator.script(Rule::once(Action::DelayHead(Duration::from_secs(7))));
    assert_eq!(timed(&simulator, "converse").await.1, Duration::from_secs(7));
    simulator.script(Rule::once(Action::StallAfterEvents { events: 2, pause: Duration::from_secs(90) }));
    let (seen, elapsed) = timed(&simulator, "converse-stream").await;
    assert_eq!((elapsed, seen.broken), (Duration::from_secs(90), None));
    let times = simulator.journal().call(2).unwrap().event_times;
    assert_eq!((times[1] - times[0], times[2] - times[1]), (Duration::ZERO, Duration::from_secs(90)));
    simulator.script(Rule::once(Action::DelayBetweenEvents(Duration::from_secs(1))));
    let (seen, elapsed) = timed(&simulator, "converse-stream").await;
    assert_eq!(elapsed, Duration::from_secs(seen.events().len() as u64));
    simulator.script(Rule::once(Action::LateUsage(Duration::from_secs(30))));
    assert_eq!(timed(&simulator, "converse-stream").await.1, Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn a_black_hole_never_answers() {
    let simulator = simulator(Pace::NONE);
    simulator.script(Rule::once(Action::BlackHole));
    let mut stream = dial(&simulator);
    let request = post(&path("converse"), HELLO);
    assert!(tokio::time::timeout(HOUR / 2, exchange_on(&mut stream, &request)).await.is_err());
    assert_eq!(simulator.journal().in_flight(), 1);
    drop(stream);
    let calls = simulator.journal().wait_for_ended(1, LIMIT).await.unwrap();
    assert_eq!((calls[0].ending, calls[0].head_at), (Ending::ClientGone, None));
}

#[tokio::test(start_paused = true)]
async fn a_silent_region_goes_on_where_it_stood() {
    let simulator = simulator(Pace::NONE);
    simulator.set_region(EAST, RegionMode::BlackHole).await.unwrap();
    let mut stream = dial(&simulator);
    stream.write_all(&post(&path("converse"), HELLO)).await.unwrap();
    tokio::time::sleep(HOUR).await;
    assert_eq!(simulator.journal().received(), 0);
    simulator.set_region(EAST, RegionMode::Up).await.unwrap();
    assert_eq!(exchange_on(&mut stream, b"").await.unwrap().status, 200);
}

#[tokio::test(start_paused = true)]
async fn signatures_age_with_the_runtime() {
    use aws_sigv4::{
        http_request::{SignableBody, SignableRequest, SigningSettings, sign},
        sign::v4,
    };
    let simulator = simulator(Pace::NONE);
    let identity = crate::support::credentials().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(EAST)
        .name("bedrock")
        .time(simulator.clock().wall())
        .settings(SigningSettings::default())
        .build()
        .unwrap()
        .into();
    let url = format!("http://sim{}", path("converse"));
    let signable = SignableRequest::new("POST", &url, [("host", "sim")].into_iter(), SignableBody::Bytes(HELLO.as_bytes())).unwrap();
    let (instructions, _) = sign(signable, &params).unwrap().into_parts();
    let headers: String = instructions.headers().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let request = format!("POST {} HTTP/1.1\r\nhost: sim\r\n{headers}content-length: {}\r\n\r\n{HELLO}", path("converse"), HELLO.len());
    let status = async || exchange_on(&mut dial(&simulator), request.as_bytes()).await.unwrap();
    assert_eq!(status().await.status, 200);
    tokio::time::advance(Duration::from_secs(299)).await;
    assert_eq!(status().await.status, 200);
    tokio::time::advance(Duration::from_secs(3)).await;
    let seen = status().await;
    assert_eq!(seen.status, 403);
    assert!(seen.json()["message"].as_str().unwrap().starts_with("Signature expired"));
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let bytes = async |seed| {
        let simulator = Simulator::builder().region(EAST, 0).seed(seed).in_memory().unwrap();
        let seen = exchange_on(&mut dial(&simulator), &post(&path("converse-stream"), HELLO)).await.unwrap();
        (seen.body, seen.chunks, simulator.journal().call(1).unwrap().request_id)
    };
    let first = bytes(1).await;
    assert_eq!(first, bytes(1).await);
    assert_ne!(first, bytes(2).await);
}

#[tokio::test]
async fn regions_are_named_once_and_known() {
    assert!(Simulator::builder().in_memory().is_err());
    assert!(Simulator::builder().regions([EAST, EAST]).in_memory().is_err());
    let simulator = Simulator::builder().region(EAST, 0).in_memory().unwrap();
    assert_eq!(simulator.regions(), [EAST]);
    assert_eq!(simulator.address(EAST), None);
    let (_near, far) = tokio::io::duplex(16);
    assert!(simulator.serve_connection("nowhere", far).await.is_err());
    assert!(simulator.quota("nowhere", MODEL, outcrop_sim::Quota::default()).is_err());
}

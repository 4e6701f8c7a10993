//! The generator on a server whose latencies arithmetic can tell: what an open loop must see, and a closed one cannot.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{path::Path, sync::Arc, time::Duration};

use http::{Request as HttpRequest, Response, StatusCode};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use outcrop_chaos::{
    history::{History, Micros, Request, Role},
    load::{Asked, Client, Dial, Dialling, Generator, Io, LiveCounts, Net, SelfWatch, keys},
    measure::{self, Window},
    plan::{Prompts, Schedule, resolve},
    scenario::{Dialect, Scenario, parse_text},
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until},
};

/// Answers after 100 ms, and not at all between second 10 and second 15.
#[derive(Clone, Copy)]
struct Freezing {
    origin: Instant,
    status: u16,
}

const ANSWER: &str = r#"{"choices":[{"message":{"content":""},"finish_reason":"stop"}]}"#;

impl Freezing {
    async fn answer(self, _: HttpRequest<Incoming>) -> Result<Response<Full<bytes::Bytes>>, std::convert::Infallible> {
        let second = |number| self.origin + Duration::from_secs(number);
        if (second(10)..second(15)).contains(&Instant::now()) {
            sleep_until(second(15)).await;
        }
        sleep(Duration::from_millis(100)).await;
        let mut response = Response::new(Full::from(ANSWER));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap();
        Ok(response)
    }
}

impl Dial for Freezing {
    fn dial(&self) -> Dialling {
        let server = *self;
        Box::pin(async move {
            let (near, far) = tokio::io::duplex(64 * 1024);
            let serving = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(far), service_fn(move |request| server.answer(request)));
            tokio::spawn(async move { drop(serving.await) });
            Ok(Box::new(near) as Box<dyn Io>)
        })
    }
}

fn scenario(max_in_flight: usize, fault: &str) -> Scenario {
    let text = format!(
        r#"
name = "known"
hypothesis = "the generator sees what is there"
region = [{{ name = "us-east-1" }}]
model = [{{ id = "m" }}]
phase = [{{ name = "load", for = "60s", rate = "100/s" }}]
fault = [{fault}]
[load]
arrivals = "even"
max_in_flight = {max_in_flight}
mix = [{{ stream = false, input_tokens = 5 }}]
[bounds]
success = ">= 0%"
[vacuous]
each_fault_hit = 1
"#
    );
    parse_text(Path::new("known.toml"), &text).unwrap_or_else(|error| panic!("{error}"))
}

fn client(origin: Instant, status: u16) -> Client {
    Client {
        net: Net::new(Arc::new(Freezing { origin, status }), true),
        host: "known".to_owned(),
        prefix: "/v1".to_owned(),
        keys: keys(1),
        origin,
    }
}

async fn open_loop(max_in_flight: usize) -> (Vec<Request>, u64) {
    let (requests, planned, _) = run(scenario(max_in_flight, ""), 200).await;
    (requests, planned)
}

async fn run(scenario: Scenario, status: u16) -> (Vec<Request>, u64, Arc<LiveCounts>) {
    let (scenario, counts) = (Arc::new(scenario), Arc::new(LiveCounts::default()));
    let origin = Instant::now();
    let (records, mut done) = mpsc::unbounded_channel();
    let generator = Generator {
        schedule: Schedule::of(&scenario, &resolve(&scenario), 1),
        scenario,
        seed: 1,
        prompts: Arc::new(Prompts::new(1)),
        client: client(origin, status),
        counts: Arc::clone(&counts),
        records,
        bodies_aside: false,
    };
    let planned = generator.run(watch::channel(false).1).await;
    let mut requests = Vec::new();
    while let Some(request) = done.recv().await {
        requests.push(request);
    }
    (requests, planned, counts)
}

fn p99(requests: Vec<Request>) -> f64 {
    let history = History { requests, ..History::default() };
    (measure::find("total_p99").unwrap().of)(&Window::between(&history, Micros::ZERO, Micros::seconds(100))).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_open_loop_sees_the_freeze_that_every_arrival_in_it_suffers() {
    let (requests, planned) = open_loop(2_000).await;
    assert_eq!((planned, requests.len()), (5_999, 5_999));
    let taints = SelfWatch::of(&requests).taints(planned, Micros::millis(5));
    assert!(taints.is_empty(), "{taints:?}");
    // 500 arrivals wait for up to 5 s; the hundredth part of 5,999 are the 60 that came first: within 0.6 s of its beginning.
    let p99 = p99(requests);
    assert!((4.45..=4.55).contains(&p99), "{p99}");
}

#[tokio::test(start_paused = true)]
async fn a_closed_loop_does_not() {
    let origin = Instant::now();
    let client = client(origin, 200);
    let mut requests = Vec::new();
    while origin.elapsed() < Duration::from_secs(60) {
        let now = client.now();
        let request = Request { intended: now, deadline: now.plus(Micros::seconds(60)), ..Request::default() };
        requests.push(client.ask(Asked { request, dialect: Dialect::Chat, body: bytes::Bytes::from_static(b"{}"), deed: None }).await);
    }
    assert!(p99(requests) < 0.2, "it waits out the freeze with a single request");
}

#[tokio::test(start_paused = true)]
async fn arrivals_beyond_the_limit_are_counted_and_taint_the_run() {
    let (requests, planned) = open_loop(100).await;
    let watch = SelfWatch::of(&requests);
    assert!(watch.dropped() > 300 && requests.len() == 5_999, "{}", watch.dropped());
    let taints = watch.taints(planned, Micros::millis(5));
    assert!(taints.len() == 1 && taints[0].contains("never sent"), "{taints:?}");
}

const STORM: &str = r#"{ kind = "retry_storm", share = 0.05, times = 3 }"#;

#[tokio::test(start_paused = true)]
async fn a_retry_storm_strikes_when_it_repeats_and_not_before() {
    let hits = |counts: &LiveCounts| counts.deeds[0].load(std::sync::atomic::Ordering::Relaxed);
    let (requests, planned, counts) = run(scenario(2_000, STORM), 200).await;
    assert_eq!((requests.len() as u64, hits(&counts)), (planned, 0), "what succeeds is not repeated");
    let (requests, planned, counts) = run(scenario(2_000, STORM), 503).await;
    let repeats = requests.iter().filter(|request| matches!(request.role, Role::Storm { .. })).count() as u64;
    assert!(repeats > 300 && repeats.is_multiple_of(3), "about 300 clients storm, three times each: {repeats}");
    assert_eq!((requests.len() as u64, hits(&counts)), (planned + repeats, repeats));
}

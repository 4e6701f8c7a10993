//! The same seed gives the same run: every byte, every time, every record.

use std::time::{Duration, UNIX_EPOCH};

use outcrop_sim::{Behaviour, BucketEntry, CallRecord, ConnectionRecord, Operation, Quota, SimClock, Simulator, faults::Fault};
use tokio::task::JoinSet;

use crate::support::{CLAUDE_HELLO, EAST, HELLO, LIMIT, MODEL, WEST, claude_path, exchange_on, path, post};

const WEATHER: &str = r#"
fault = [
  { kind = "region_down", region = "us-west-2", from = "20s", for = "10s" },
  { kind = "refuse", share = 0.02 },
  { kind = "quota_scale", factor = 0.5, region = "us-east-1", from = "30s", for = "10s" },
  { kind = "reset", at_byte = "random", share = 0.1 },
  { kind = "corrupt_frame", field = "message_crc", share = 0.1, max_active = 2 },
  { kind = "stall", pause = "3s", share = 0.1 },
  { kind = "brownout", p50 = "400ms", p99 = "2s", errors = 0.3, share = 0.2 },
  { kind = "bandwidth", bytes_per_s = 4000, share = 0.2 },
]
"#;

#[derive(serde::Deserialize)]
struct Weather {
    fault: Vec<Fault>,
}

/// Everything there is to know about a run.
#[derive(Debug, PartialEq)]
struct Trace {
    seen: Vec<(usize, u128, String)>,
    calls: Vec<CallRecord>,
    connections: Vec<ConnectionRecord>,
    buckets: Vec<BucketEntry>,
}

async fn run(seed: u64, except: &[&str]) -> Trace {
    let clock = SimClock::starting_at(UNIX_EPOCH + Duration::from_secs(1_795_184_229));
    let simulator = Simulator::builder().regions([EAST, WEST]).seed(seed).clock(clock).nonce("n0nce-").in_memory().unwrap();
    let behaviour: Behaviour =
        toml::from_str("first_token = { p50 = \"350ms\", p99 = \"2s\" }\ninter_token = { p50 = \"12ms\", p99 = \"60ms\" }\nwatermark = {}")
            .unwrap();
    simulator.behave("*", "*", behaviour).unwrap();
    simulator.quota(EAST, MODEL, Quota::per_minute(60, 600_000, 0)).unwrap();
    let weather: Weather = toml::from_str(WEATHER).unwrap();
    for fault in weather.fault.into_iter().filter(|fault| !except.contains(&fault.kind_name())) {
        simulator.install(fault).unwrap();
    }
    let mut clients = JoinSet::new();
    for client in 0..120_usize {
        let simulator = simulator.clone();
        clients.spawn(async move {
            tokio::time::sleep(Duration::from_millis(400) * u32::try_from(client).unwrap()).await;
            let region = if client % 3 == 0 { WEST } else { EAST };
            let (path, body) = match client % 8 {
                0 | 4 => (path("converse"), HELLO),
                1 => (claude_path("invoke"), CLAUDE_HELLO),
                3 => (claude_path("invoke-with-response-stream"), CLAUDE_HELLO),
                6 => (path("invoke-with-response-stream"), HELLO),
                _ => (path("converse-stream"), HELLO),
            };
            let request = post(&path, &body.replace("hello", &format!("n0nce-{client:x}")));
            let outcome = match simulator.connect(region).await {
                Ok(mut stream) => exchange_on(&mut stream, &request).await.map_err(|kind| format!("{kind:?}")),
                Err(fault) => Err(format!("no connection: {:?}", fault.kind())),
            };
            let outcome =
                outcome.map_or_else(|kind| kind, |seen| format!("{} {:?} {:?} {:?}", seen.head, seen.body, seen.chunks, seen.broken));
            (client, simulator.clock().elapsed().as_nanos(), outcome)
        });
    }
    let mut seen = Vec::new();
    while let Some(one) = clients.join_next().await {
        seen.push(one.unwrap());
    }
    simulator.journal().wait_for(|calls| calls.iter().all(outcrop_sim::Call::ended), LIMIT).await.unwrap();
    let journal = simulator.journal();
    Trace { seen, calls: journal.records(), connections: journal.connections(), buckets: simulator.quota_entries() }
}

#[tokio::test(start_paused = true)]
async fn a_seed_repeats_its_run_to_the_last_bit() {
    let first = run(1, &[]).await;
    let second = run(1, &[]).await;
    let differing = (0..first.seen.len()).find(|at| first.seen.get(*at) != second.seen.get(*at));
    assert_eq!(differing, None, "{:?}\n{:?}", differing.map(|at| &first.seen[at]), differing.map(|at| &second.seen[at]));
    assert!(first == second, "the books differ");
    let native = |record: &&CallRecord| matches!(record.operation, Operation::InvokeModel | Operation::InvokeModelWithResponseStream);
    let answered = first.calls.iter().filter(native).filter(|record| record.usage.is_some()).count();
    assert!(answered > 20, "{answered} native calls were answered");
    let struck = first.calls.iter().filter(|record| record.fault.is_some()).count();
    assert!(struck > 20 && first.buckets.len() > 60, "{struck} struck, {} entries: the run must be worth repeating", first.buckets.len());
}

#[tokio::test(start_paused = true)]
async fn another_seed_is_another_run() {
    assert_ne!(run(1, &[]).await, run(2, &[]).await);
}

#[tokio::test(start_paused = true)]
async fn a_fault_taken_away_leaves_the_draws_of_the_others_as_they_were() {
    let whole = run(1, &[]).await;
    let without = run(1, &["bandwidth"]).await;
    let struck = |trace: &Trace, kind: &str| {
        let by = |record: &&CallRecord| record.fault.as_ref().is_some_and(|hit| hit.kind == kind);
        trace.calls.iter().filter(by).map(|record| record.nonce.clone().unwrap()).collect::<Vec<_>>()
    };
    for kind in ["reset", "stall"] {
        assert_eq!(struck(&whole, kind), struck(&without, kind), "{kind}");
    }
    assert!(struck(&without, "bandwidth").is_empty() && !struck(&whole, "bandwidth").is_empty());
}

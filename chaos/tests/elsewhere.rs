//! A gateway that somebody else started, over real sockets, with a strategy that is judged and one that is shown beside it.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

use outcrop_chaos::{
    baseline,
    check::Standing,
    history::History,
    report::{RunReport, RunVerdict, Store},
    run::{Peer, RunOptions, run_scenario},
    scenario::{GatewayPlan, Scenario, Target, parse_text},
};

/// A port that is free now.
fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Without a name of its own for the model, as a plain handler passes on what it is asked for.
fn scenario(simulator: u16) -> Scenario {
    let text = format!(
        r#"
name = "peer"
hypothesis = "a plain handler answers what it is asked"
target = {{ kind = "url", ports = [{simulator}] }}
strategies = {{ run = ["judged", "shown"], judge = ["judged"] }}
region = [{{ name = "us-east-1" }}]
model = [{{ id = "anthropic.claude-sonnet-4-6", ask = "global.anthropic.claude-sonnet-4-6", behaviour = {{ first_token = {{ p50 = "20ms" }}, inter_token = {{ p50 = "5ms" }} }} }}]
phase = [
  {{ name = "load", for = "2s", rate = "10/s" }},
  {{ name = "settle", for = "500ms", rate = "0/s", judged = false, faults = "off" }},
]
[load]
mix = [{{ input_tokens = 20 }}, {{ input_tokens = 20, stream = false }}]
[rules]
# How fast this machine is today is not what is tested.
word_lag = "5s"
[bounds]
failed_requests = 0
[vacuous]
at_least = {{ upstream_calls = 10 }}
"#
    );
    parse_text(Path::new("peer.toml"), &text).unwrap_or_else(|error| panic!("{error}"))
}

fn options(store: &Path, server: SocketAddr) -> RunOptions {
    RunOptions {
        gateway: PathBuf::from("unused"),
        store: Store::at(store),
        scale: 1.0,
        seed: None,
        strategies: None,
        compare: true,
        url: Some(format!("http://{server}/v1")),
        peer: Box::default(),
        progress: false,
        prices: Path::new(env!("CARGO_MANIFEST_DIR")).join("prices.toml"),
    }
}

fn bad(report: &RunReport) -> Vec<String> {
    report.complaints().into_iter().filter(|complaint| !complaint.starts_with("tainted")).collect()
}

fn answered(history: &History) -> usize {
    history.requests.iter().filter(|request| request.succeeded()).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_elsewhere_is_judged_by_the_books_that_are_not_its_own() {
    let (simulator, server) = (free_port(), SocketAddr::from((Ipv4Addr::LOCALHOST, free_port())));
    let serving = tokio::spawn(baseline::sdk::serve(server, format!("http://127.0.0.1:{simulator}")));
    let folder = tempfile::tempdir().unwrap();
    let (runs, page) = run_scenario(&scenario(simulator), &options(folder.path(), server)).await.unwrap();
    serving.abort();
    let of: Vec<(&str, bool)> = runs.iter().map(|(report, _)| (report.about.strategy.as_str(), report.about.judged)).collect();
    assert_eq!(of, [("judged", true), ("shown", false)], "compared: both were run");
    for (report, history) in &runs {
        assert_eq!(bad(report), Vec::<String>::new(), "{}", report.sentence);
        assert!(report.requests >= 10 && answered(history) >= 10, "{} {}", report.requests, report.sentence);
        let standing = |id: &str| report.invariants.iter().find(|outcome| outcome.id == id).unwrap().standing;
        assert_eq!((standing("I1"), standing("I2")), (Standing::Holds, Standing::Holds));
        // There are no rows of it and no log: nothing is said about them, good or bad.
        assert_eq!((standing("I5"), standing("I14")), (Standing::NotExercised, Standing::NotExercised));
    }
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("judged") && page.contains("shown"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_runs_a_scenario_that_was_written_for_our_gateway_and_is_called_by_its_name() {
    let (simulator, server) = (free_port(), SocketAddr::from((Ipv4Addr::LOCALHOST, free_port())));
    let serving = tokio::spawn(baseline::sdk::serve(server, format!("http://127.0.0.1:{simulator}")));
    let mut ours = scenario(0);
    let plan = GatewayPlan { set: [("routing.max_wait".to_owned(), "0s".to_owned())].into(), replicas: 4, ..GatewayPlan::default() };
    (ours.target, ours.run, ours.judge) = (Target::Gateway(plan), vec!["adaptive".to_owned()], vec!["adaptive".to_owned()]);
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path(), server);
    let peer = Peer { name: Some("plain-handler".to_owned()), ports: vec![simulator], bind: None };
    let url = options.url.clone().unwrap();
    let options = RunOptions { peer: Box::new(peer.clone()), ..options };
    let (runs, page) = run_scenario(&peer.take_over(ours, &url).unwrap(), &options).await.unwrap();
    serving.abort();
    let [(report, history)] = &runs[..] else { panic!("{}", runs.len()) };
    assert_eq!((report.about.strategy.as_str(), report.about.judged), ("plain-handler", true));
    assert_eq!(bad(report), Vec::<String>::new(), "{}", report.sentence);
    assert!(answered(history) >= 10);
    assert!(report.about.replay.contains(&format!("--url {url} --ports {simulator} --name plain-handler")), "{}", report.about.replay);
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("plain-handler") && !page.contains("strategy adaptive"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_at_the_address_is_a_failed_run() {
    let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let mut scenario = scenario(free_port());
    scenario.rules.longest_backoff = outcrop_chaos::history::Micros::seconds(1);
    let folder = tempfile::tempdir().unwrap();
    let (runs, _) = run_scenario(&scenario, &RunOptions { compare: false, ..options(folder.path(), nobody) }).await.unwrap();
    assert_eq!(runs.iter().map(|(report, _)| report.verdict).collect::<Vec<_>>(), [RunVerdict::Failed], "only what is judged was run");
    assert_eq!(answered(&runs[0].1), 0);
}

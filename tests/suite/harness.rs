//! The chaos harness against the real program, as a child process: what it can only see of a process is really looked at.

use std::path::{Path, PathBuf};

use outcrop_chaos::{
    check::Standing,
    history::HostFact,
    report::Store,
    run::{RunOptions, run_once},
    scenario::parse_text,
};

const SCENARIO: &str = r#"
name = "short"
hypothesis = "a quiet gateway comes to rest"
region = [{ name = "us-east-1" }]
model = [{ id = "anthropic.claude-sonnet-4-6", ask = "claude-sonnet-4-6", behaviour = { first_token = { p50 = "20ms" }, inter_token = { p50 = "5ms" } } }]
phase = [
  { name = "warm", for = "1s", rate = "10/s", judged = false },
  { name = "steady", for = "2s", rate = "10/s" },
  { name = "settle", for = "500ms", rate = "0/s", judged = false, faults = "off" },
]
[load]
mix = [{ input_tokens = 20 }, { input_tokens = 20, stream = false }]
[rules]
# How fast this machine is today is not what is tested.
word_lag = "5s"
waived = { I17 = "no conversations" }
[bounds]
silent_ends = 0
[vacuous]
at_least = { upstream_calls = 10 }
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_of_the_harness_looks_at_memory_descriptors_and_ledger_of_the_process_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = parse_text(Path::new("short.toml"), SCENARIO).unwrap_or_else(|error| panic!("{error}"));
    let options = RunOptions {
        gateway: PathBuf::from(env!("CARGO_BIN_EXE_outcrop")),
        store: Store::at(folder.path()),
        scale: 1.0,
        seed: None,
        strategies: None,
        compare: false,
        url: None,
        peer: Box::default(),
        progress: false,
        prices: Path::new(env!("CARGO_MANIFEST_DIR")).join("chaos/prices.toml"),
    };
    let (report, history) = run_once(&scenario.into(), "adaptive", true, &options).await.unwrap();
    assert_eq!(history.about.broken, None);
    let of = |id: &str| report.invariants.iter().find(|outcome| outcome.id == id).unwrap();
    let rest = of("I11");
    assert_eq!((rest.standing, rest.verdict.checked), (Standing::Holds, 4), "calls, connections, descriptors, memory: {rest:?}");
    assert_eq!(of("I15").standing, Standing::NotExercised, "the stop after the run is no case of a stop under load");
    assert!(history.host.iter().any(|event| event.fact == HostFact::Stopped), "{:?}", history.host);
    assert_eq!(of("I5").standing, Standing::Holds, "{:?}", of("I5"));
    let totals = history.ledgers[0].totals.expect("the ledger told its totals");
    assert_eq!(totals.calls, history.rows.len() as u64);
    assert!(totals.tokens.output > 0 && totals.micro_usd > 0, "{totals:?}");
}

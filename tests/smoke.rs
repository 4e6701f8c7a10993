//! The chaos smoke: one scenario of a minute against the gateway as a child process, in whatever build the tests are.
//!
//! A release build would take longer than everything it could show here, and the scenarios of `chaos/scenarios` judge times, which
//! hold in release on a machine of their own. This one judges answers, words, bills, and what is left behind.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::Path;

use outcrop_chaos::{
    check::Standing,
    report::Store,
    run::{RunOptions, run_scenario},
    scenario::load_file,
};

/// What must have had a case and hold: that requests end, that answers are true and given once, money, attempts, rest, the tree,
/// secrets, and that there was something to see.
const SHOWN: [&str; 10] = ["I1", "I2", "I3", "I4", "I5", "I7", "I11", "I12", "I14", "I20"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_in_trouble_loses_no_word_and_no_cent() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let scenario = load_file(&root.join("tests/smoke/smoke.toml")).unwrap_or_else(|error| panic!("{error}"));
    let options = RunOptions {
        gateway: env!("CARGO_BIN_EXE_outcrop").into(),
        // Kept, for whoever wants to know what went wrong.
        store: Store::at(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("smoke")),
        scale: 1.0,
        seed: None,
        strategies: None,
        compare: false,
        url: None,
        peer: Box::default(),
        progress: false,
        prices: root.join("chaos/prices.toml"),
    };
    let (runs, page) = run_scenario(&scenario, &options).await.unwrap();
    let [(report, _)] = &runs[..] else { panic!("{} runs", runs.len()) };
    // That the machine kept the generator waiting says nothing about the gateway.
    let complaints: Vec<String> = report.complaints().into_iter().filter(|complaint| !complaint.starts_with("tainted")).collect();
    assert!(complaints.is_empty(), "{}\n{}\n{}", report.sentence, complaints.join("\n"), page.display());
    for id in SHOWN {
        let outcome = report.invariants.iter().find(|outcome| outcome.id == id).unwrap();
        assert_eq!(outcome.standing, Standing::Holds, "{id}: {}", outcome.statement);
    }
}

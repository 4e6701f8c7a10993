//! Which calls faults select, which of several wins, and that they do not disturb each other's draws.

use outcrop_sim::faults::{FaultProblem, Stage};

use super::*;

/// Numbers of the calls that were throttled, of so many.
async fn struck(simulator: &Simulator, calls: usize) -> Vec<usize> {
    let mut struck = Vec::new();
    for call in 1..=calls {
        if look(simulator, EAST, &converse()).await.seen().status == 429 {
            struck.push(call);
        }
    }
    struck
}

async fn with(text: &str, calls: usize) -> Vec<usize> {
    let simulator = simulator(7);
    simulator.install(fault(&format!("kind = \"throttle\"\n{text}"))).unwrap();
    struck(&simulator, calls).await
}

#[tokio::test(start_paused = true)]
async fn each_condition_can_exclude_a_call() {
    for met in [
        "region = \"us-east-1\"",
        "model = \"amazon.nova-lite-v1:0\"",
        "operation = \"Converse\"",
        "profile = \"on_demand\"",
        "key = \"bedrock-api-key-simulator\"",
    ] {
        assert_eq!(with(met, 2).await, [1, 2], "{met}");
    }
    for unmet in [
        "region = \"us-west-2\"",
        "model = \"amazon.nova-pro-v1:0\"",
        "operation = \"ConverseStream\"",
        "profile = \"geographic\"",
        "key = \"AKIDSIMULATOR\"",
        "share = 0",
        "from = \"1h\"",
        "for = \"0s\"",
    ] {
        assert_eq!(with(unmet, 2).await, [0; 0], "{unmet}");
    }
    assert_eq!(with("nth = 3", 5).await, [3]);
}

#[tokio::test(start_paused = true)]
async fn a_fault_is_in_force_from_its_beginning_to_before_its_end() {
    let simulator = simulator(1);
    simulator.install(fault("kind = \"throttle\"\nfrom = \"10s\"\nfor = \"5s\"")).unwrap();
    let origin = simulator.clock().elapsed();
    for (millis, status) in [(0, 200), (9_999, 200), (10_000, 429), (14_999, 429), (15_000, 200)] {
        tokio::time::sleep_until(Instant::now() + (origin + Duration::from_millis(millis)).saturating_sub(simulator.clock().elapsed()))
            .await;
        let seen = look(&simulator, EAST, &post(&path("count-tokens"), "{}")).await;
        assert_eq!(seen.seen().status == 429, status == 429, "at {millis} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn at_most_so_many_calls_are_struck_at_a_time() {
    let simulator = simulator(1);
    simulator.install(fault("kind = \"blackhole\"\nmax_active = 2")).unwrap();
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut stream = simulator.connect(EAST).await.unwrap();
        stream.write_all(&converse()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        streams.push(stream);
    }
    let third = read_to_the_end(&mut streams[2], Instant::now()).await;
    assert_eq!((third.end, simulator.faults()[0].active), (End::Whole, 2));
    streams.remove(0);
    simulator.journal().wait_for(|calls| calls[0].ended(), LONG).await.unwrap();
    assert_eq!(simulator.faults()[0].active, 1);
    assert_eq!(look(&simulator, EAST, &converse()).await.end, End::Silent);
    assert_eq!(simulator.faults()[0].hits, 3);
}

#[tokio::test(start_paused = true)]
async fn the_first_fault_that_matches_wins() {
    let simulator = simulator(1);
    let first = simulator.install(fault("kind = \"throttle\"\noperation = \"ConverseStream\"")).unwrap();
    simulator.install(fault("kind = \"error\"\ncode = \"InternalServerException\"")).unwrap();
    assert_eq!(look(&simulator, EAST, &stream()).await.seen().status, 429);
    assert_eq!(look(&simulator, EAST, &converse()).await.seen().status, 500);
    assert!(simulator.uninstall(first) && !simulator.uninstall(first));
    assert_eq!(look(&simulator, EAST, &stream()).await.seen().status, 500);
    let records = simulator.journal().records();
    let kinds: Vec<&str> = records.iter().map(|record| record.fault.as_ref().unwrap().kind.as_str()).collect();
    assert_eq!(kinds, ["throttle", "error", "error"]);
    simulator.clear_faults();
    assert_eq!(look(&simulator, EAST, &stream()).await.seen().status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_scripted_call_is_left_alone_by_call_faults() {
    let simulator = simulator(1);
    simulator.install(fault("kind = \"throttle\"")).unwrap();
    let rule = outcrop_sim::Rule::once(outcrop_sim::Action::DelayHead(Duration::from_secs(1)));
    simulator.script(rule);
    assert_eq!(struck(&simulator, 2).await, [2]);
}

#[tokio::test(start_paused = true)]
async fn a_share_is_drawn_from_the_seed_and_from_nothing_else() {
    let text = "kind = \"throttle\"\nshare = 0.3";
    let alone = simulator(7);
    alone.install(fault(text)).unwrap();
    let expected = struck(&alone, 60).await;
    assert!((8..=30).contains(&expected.len()), "{expected:?}");
    // Another fault before it, and other faults behind it, leave its draws as they are.
    let crowded = simulator(7);
    crowded.install(fault("kind = \"slice\"\nchunk = 9\nregion = \"us-west-2\"\nshare = 0.5")).unwrap();
    crowded.install(fault(text)).unwrap();
    crowded.install(fault("kind = \"latency\"\np50 = \"1s\"\nshare = 0.5")).unwrap();
    assert_eq!(struck(&crowded, 60).await, expected);
    let elsewhere = simulator(8);
    elsewhere.install(fault(text)).unwrap();
    assert_ne!(struck(&elsewhere, 60).await, expected);
}

#[tokio::test(start_paused = true)]
async fn faults_that_cannot_be_here_are_refused_when_they_are_installed() {
    let simulator = simulator(1);
    let nowhere = fault("kind = \"throttle\"\nregion = \"mars-1\"");
    assert_eq!(simulator.install(nowhere), Err(FaultProblem::Region { region: "mars-1".to_owned() }));
    let ports = Simulator::builder().region(EAST, 0).start().await.unwrap();
    assert_eq!(ports.install(fault("kind = \"dns\"\nmode = \"nxdomain\"")), Err(FaultProblem::Names));
    assert!(ports.install(fault("kind = \"dns\"\nmode = \"moved\"")).is_ok());
}

#[test]
fn stages_follow_from_kind_and_conditions() {
    for (text, stage) in [
        ("kind = \"quota\"\nrpm = 1", Stage::Standing),
        ("kind = \"refuse\"", Stage::Place),
        ("kind = \"refuse\"\nshare = 0.5", Stage::Connection),
        ("kind = \"blackhole\"", Stage::Call),
        ("kind = \"blackhole\"\nat = \"connect\"", Stage::Connection),
        ("kind = \"region_down\"", Stage::Place),
        ("kind = \"region_down\"\nmode = \"5xx\"", Stage::Call),
    ] {
        assert_eq!(fault(text).stage(), stage, "{text}");
    }
}

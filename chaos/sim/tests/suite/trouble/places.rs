//! Layer P: whole regions, in memory.

use super::*;

const OUTAGE: Duration = Duration::from_secs(60);

async fn at(simulator: &Simulator, moment: Duration) {
    tokio::time::sleep(moment.saturating_sub(simulator.clock().elapsed())).await;
}

#[tokio::test(start_paused = true)]
async fn a_region_that_refuses_resets_its_connections_and_comes_back() {
    let simulator = simulator(1);
    simulator.install(fault("kind = \"region_down\"\nregion = \"us-east-1\"\nfrom = \"10s\"\nfor = \"1m\"")).unwrap();
    let mut running = simulator.connect(EAST).await.unwrap();
    assert_eq!(look_on(&mut running, &converse()).await.end, End::Whole);
    let started = Instant::now();
    let broken = read_to_the_end(&mut running, started).await;
    assert_eq!((broken.end, simulator.clock().elapsed()), (End::Reset, Duration::from_secs(10)), "at once, not at the next call");
    assert_eq!(look(&simulator, EAST, &converse()).await.end, End::NoConnection(ErrorKind::ConnectionRefused));
    assert_eq!(look(&simulator, WEST, &converse()).await.end, End::Whole);
    at(&simulator, Duration::from_secs(10) + OUTAGE).await;
    assert_eq!(look(&simulator, EAST, &converse()).await.end, End::Whole);
    assert_eq!(simulator.faults()[0].hits, 2);
}

#[tokio::test(start_paused = true)]
async fn a_silent_region_lets_nothing_through_until_it_is_back() {
    let simulator = simulator(1);
    let mut running = simulator.connect(EAST).await.unwrap();
    simulator.install(fault("kind = \"region_down\"\nmode = \"blackhole\"\nregion = \"us-east-1\"\nfor = \"1m\"")).unwrap();
    let seen = look_on(&mut running, &converse()).await;
    assert_eq!((seen.end, seen.took), (End::Whole, OUTAGE + Duration::from_millis(390)), "it goes on where it stood");
    let connecting = Instant::now();
    simulator.install(fault("kind = \"region_down\"\nmode = \"blackhole\"\nregion = \"us-east-1\"\nfor = \"1m\"")).unwrap();
    assert_eq!(look(&simulator, EAST, &converse()).await.end, End::Whole);
    assert_eq!(connecting.elapsed(), OUTAGE + Duration::from_millis(390), "connecting waits as well");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_a_silent_region_is_seen_to_leave() {
    let simulator = simulator(1);
    simulator.install(fault("kind = \"stall\"\nafter_events = 2\nregion = \"us-east-1\"")).unwrap();
    let mut running = simulator.connect(EAST).await.unwrap();
    running.write_all(&stream()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    simulator.install(fault("kind = \"region_down\"\nmode = \"blackhole\"\nregion = \"us-east-1\"")).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let left = simulator.clock().elapsed();
    drop(running);
    let call = simulator.journal().wait_for_ended(1, LONG).await.unwrap().remove(0);
    assert_eq!((call.client_closed_at, call.ended_at), (Some(left), Some(left)));
    assert_eq!(simulator.journal().connections()[0].closed, Some(left.into()));
}

#[tokio::test(start_paused = true)]
async fn a_failing_region_answers_everything_with_503() {
    let words = "Bedrock is unable to process your request.";
    let failed = |_: &Sight, after: &Sight| {
        after.end == End::Whole && after.refusal() == (503, "ServiceUnavailableException".to_owned(), words.to_owned())
    };
    prove("kind = \"region_down\"\nmode = \"5xx\"", &stream(), failed).await;
    let listing = b"GET /foundation-models HTTP/1.1\r\nhost: sim\r\nauthorization: Bearer bedrock-api-key-simulator\r\n\r\n";
    prove("kind = \"region_down\"\nmode = \"5xx\"", listing, failed).await;
    prove("kind = \"control_plane_down\"\nmode = \"5xx\"", listing, failed).await;
    prove("kind = \"control_plane_down\"", listing, |_, after| (after.end, after.wire.len()) == (End::Reset, 0)).await;
    prove("kind = \"control_plane_down\"\nmode = \"blackhole\"", listing, |_, after| after.end == End::Silent).await;
    let simulator = simulator(1);
    simulator.install(fault("kind = \"control_plane_down\"")).unwrap();
    assert_eq!(look(&simulator, EAST, &stream()).await.end, End::Whole, "the runtime is up");
}

#[tokio::test(start_paused = true)]
async fn refused_connections_leave_running_ones_alone() {
    let simulator = simulator(1);
    let mut running = simulator.connect(EAST).await.unwrap();
    simulator.install(fault("kind = \"refuse\"\nregion = \"us-east-1\"")).unwrap();
    assert_eq!(look(&simulator, EAST, &converse()).await.end, End::NoConnection(ErrorKind::ConnectionRefused));
    assert_eq!(look_on(&mut running, &converse()).await.end, End::Whole);
}

#[tokio::test(start_paused = true)]
async fn names_can_fail_in_three_ways() {
    let simulator = simulator(1);
    let mut old = simulator.connect(EAST).await.unwrap();
    let nxdomain = simulator.install(fault("kind = \"dns\"\nmode = \"nxdomain\"\nregion = \"us-east-1\"")).unwrap();
    assert_eq!(look(&simulator, EAST, &converse()).await.end, End::NoConnection(ErrorKind::NotFound));
    assert_eq!(look_on(&mut old, &converse()).await.end, End::Whole);
    simulator.uninstall(nxdomain);
    let timeout = simulator.install(fault("kind = \"dns\"\nmode = \"timeout\"\nregion = \"us-east-1\"")).unwrap();
    assert_eq!(look(&simulator, EAST, &converse()).await.end, End::NeverConnected);
    simulator.uninstall(timeout);
    simulator.install(fault("kind = \"dns\"\nmode = \"moved\"\nregion = \"us-east-1\"")).unwrap();
    assert_eq!(look_on(&mut old, &converse()).await.end, End::Silent, "nobody is at the old address");
    assert_eq!(look(&simulator, EAST, &converse()).await.end, End::Whole);
}

#[tokio::test(start_paused = true)]
async fn a_mode_set_by_hand_rules_over_faults() {
    let simulator = simulator(1);
    simulator.install(fault("kind = \"region_down\"\nmode = \"blackhole\"\nregion = \"us-east-1\"")).unwrap();
    simulator.set_region(EAST, outcrop_sim::RegionMode::Refuse).await.unwrap();
    assert_eq!(look(&simulator, EAST, &converse()).await.end, End::NoConnection(ErrorKind::ConnectionRefused));
}

#[tokio::test(start_paused = true)]
async fn unknown_regions_and_stopped_simulators_cannot_be_connected_to() {
    let simulator = simulator(1);
    assert_eq!(simulator.connect("nowhere").await.unwrap_err().kind(), ErrorKind::NotFound);
    let mut open = simulator.connect(EAST).await.unwrap();
    simulator.shutdown().await;
    assert_eq!(read_to_the_end(&mut open, Instant::now()).await.end, End::Closed);
    assert_eq!(simulator.connect(EAST).await.unwrap_err().kind(), ErrorKind::NotConnected);
}

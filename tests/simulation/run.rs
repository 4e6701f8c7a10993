//! One seed from start to end: storm, calm, rest, canaries, and the stop with requests under way.

use std::{sync::Arc, time::Duration};

use outcrop::shutdown;
use outcrop_gateway::ports::Deed;
use outcrop_sim::faults::Fault;
use tokio::{
    task::JoinSet,
    time::{sleep, sleep_until},
};

use crate::{
    books::{Books, Done, Seen, of_models},
    client,
    load::{Arrival, canary},
    options::{DeedKind, DeedPlan, Options},
    plant::Plant,
    rest::rest,
    world::World,
};

/// Runs a seed to its end.
pub async fn run(options: Options) -> Books {
    let options = Arc::new(options);
    let world = World::start(&options).await;
    world.ready().await;
    let began = world.front.now();
    let mut books = Books { options: (*options).clone(), ..Books::default() };
    books.options.shift(began);
    let options = Arc::new(books.options.clone());
    for fault in &options.faults {
        let installed: Fault = toml::from_str(&fault.text).unwrap_or_else(|problem| panic!("{}: {problem}", fault.text));
        world.simulator.install_from(began, installed).unwrap_or_else(|problem| panic!("{}: {problem}", fault.text));
    }
    let mut clients = JoinSet::new();
    for arrival in &options.arrivals {
        clients.spawn(arrive(&world, &options, arrival.clone()));
    }
    books.deeds = storm(&world, &options).await;
    sleep_until(world.front.instant(began + options.lasting)).await;
    // Faults heal before the last clients are done: what waits must not wait in vain.
    world.simulator.clear_faults();
    for region in &options.regions {
        assert!(world.gateway.ports().tree.drain_region(&(*region).into(), false).is_some());
    }
    books.calm = world.front.now();
    if options.plant == Plant::KeepLease {
        keep_lease(&world, &options).await;
    }
    collect(&mut books, &mut clients).await;
    books.rest = rest(&world).await;
    canaries(&world, &options, &mut books, &mut clients).await;
    stop(world, &options, books, clients).await
}

async fn collect(books: &mut Books, clients: &mut JoinSet<Seen>) {
    while let Some(seen) = clients.join_next().await {
        books.requests.push(seen.unwrap());
    }
}

fn arrive(world: &World, options: &Arc<Options>, arrival: Arrival) -> impl Future<Output = Seen> + Send + use<> {
    let (front, options) = (Arc::clone(&world.front), Arc::clone(options));
    async move {
        sleep_until(front.instant(arrival.at)).await;
        client::ask(front, options, arrival).await
    }
}

/// What happens to actors and regions while requests come.
async fn storm(world: &World, options: &Options) -> Vec<Done> {
    let drains = options.drains.iter().flat_map(|drain| [(drain.from, drain.region, true), (drain.until, drain.region, false)]);
    let mut steps: Vec<(Duration, Step)> = drains.map(|(at, region, drained)| (at, Step::Drain(region, drained))).collect();
    steps.extend(options.deeds.iter().map(|deed| (deed.at, Step::Deed(*deed))));
    steps.extend(options.reloads.iter().map(|at| (*at, Step::Reload)));
    steps.sort_by_key(|(at, _)| *at);
    let mut done = Vec::new();
    for (at, step) in steps {
        sleep_until(world.front.instant(at)).await;
        match step {
            Step::Drain(region, drained) => assert!(world.gateway.ports().tree.drain_region(&region.into(), drained).is_some()),
            Step::Reload => done.extend(world.reload().err().map(|why| Done {
                at: world.front.now(),
                name: "reload".to_owned(),
                deed: why.to_string(),
            })),
            Step::Deed(deed) => done.extend(strike(world, deed)),
        }
    }
    done
}

enum Step {
    Drain(&'static str, bool),
    Deed(DeedPlan),
    Reload,
}

fn strike(world: &World, deed: DeedPlan) -> Option<Done> {
    let tree = &world.gateway.ports().tree;
    let names: Vec<String> = tree.killables().into_iter().map(|(name, _)| name).collect();
    let name = names.get((deed.pick % names.len().max(1) as u64) as usize)?.clone();
    let (how, words) = match deed.kind {
        DeedKind::Kill => (Deed::Kill, "killed".to_owned()),
        DeedKind::Panic => (Deed::Panic, "made to panic".to_owned()),
        DeedKind::Stall(lasting) => (Deed::Stall(lasting), format!("stalled for {lasting:?}")),
    };
    tree.trouble(&name, how).then(|| Done { at: world.front.now(), name, deed: words })
}

/// A planted bug: a call that nobody waits for.
async fn keep_lease(world: &World, options: &Arc<Options>) {
    let slow: Fault = toml::from_str("kind = \"first_token\"\np50 = \"20s\"").unwrap();
    world.simulator.install(slow).unwrap();
    let last = options.arrivals.iter().map(|arrival| options.deadline(arrival.at)).max().unwrap_or_default();
    let forgotten = canary(options.seed, 9_999, options.models[0], last.max(world.front.now()));
    tokio::spawn(arrive(world, options, forgotten));
    sleep_until(world.front.instant(last)).await;
}

/// One request for each model, when all is well.
async fn canaries(world: &World, options: &Arc<Options>, books: &mut Books, clients: &mut JoinSet<Seen>) {
    for (number, model) in options.models.iter().enumerate() {
        if options.regions_of(model.id).is_empty() {
            continue;
        }
        let canary = canary(options.seed, CANARIES + number as u64, *model, world.front.now());
        clients.spawn(arrive(world, options, canary));
        collect(books, clients).await;
    }
}

/// Ids of canaries begin here, those of the last requests after them.
pub const CANARIES: u64 = 10_000;
pub const LAST: u64 = 20_000;

async fn stop(world: World, options: &Arc<Options>, mut books: Books, mut clients: JoinSet<Seen>) -> Books {
    for number in 0..options.last_requests {
        let last = canary(options.seed, LAST + number, options.models[0], world.front.now());
        clients.spawn(arrive(&world, options, last));
    }
    sleep(Duration::from_millis(20)).await;
    let World { simulator, gateway, front, rows, .. } = world;
    books.stopped = front.now();
    front.begin_drain();
    shutdown::drain(gateway, &front.connections, options.grace).await;
    books.ended = front.now();
    sleep(Duration::from_secs(1)).await;
    books.left_running = simulator.journal().in_flight();
    collect(&mut books, &mut clients).await;
    drop(front);
    books.requests.sort_by_key(|seen| (seen.asked.at, seen.asked.id));
    books.calls = of_models(simulator.journal().records());
    books.buckets = simulator.quota_entries();
    books.rows = rows.take();
    simulator.shutdown().await;
    books
}

//! The numbers behind the constants, and a look into one run. For reading: nothing is asserted here.

use outcrop_domain::routing::strategy::Strategy;

use super::{
    load::Mix,
    truth::Refill,
    world::{Case, Counts, Course, Prior, ideal, run, run_and_look},
};

/// What one run comes to: per 1,000 requests or calls, and percents.
pub(crate) struct Line {
    pub(crate) refused: f64,
    /// Of those refused, all for whom there was room, per 1,000 requests.
    pub(crate) with_room: f64,
    pub(crate) wasted: f64,
    pub(crate) attempts: f64,
    pub(crate) hit: f64,
    pub(crate) used: f64,
    pub(crate) moves: f64,
    pub(crate) p99: f64,
}

pub(crate) fn line(case: &Case, counts: &Counts) -> Line {
    let share = |part: u64, of: u64| part as f64 / of.max(1) as f64;
    let mut added = counts.added.clone();
    added.sort_by(f64::total_cmp);
    Line {
        refused: 1_000.0 * share(counts.refused, counts.requests),
        with_room: 1_000.0 * share(counts.with_room, counts.requests),
        wasted: 1_000.0 * share(counts.wasted, counts.upstream),
        attempts: share(counts.upstream, counts.answered),
        hit: 100.0 * share(counts.cached, counts.prefix) / ideal(case).hit,
        used: 100.0 * counts.used / (case.seconds - case.warm_up) / case.capacity(),
        moves: 100.0 * share(counts.moves, counts.turns),
        p99: added.get((added.len() as f64 * 0.99) as usize).copied().unwrap_or(0.0),
    }
}

/// A number from the environment.
fn number(name: &str, or: f64) -> f64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(or)
}

/// Prints the mean over `SEEDS` (4) seeds from `FIRST_SEED` (1) on, with the half width of its 95 % interval. `ROWS` chooses blocks by name.
#[test]
#[ignore = "minutes: prints a table"]
fn the_table() {
    let rows = std::env::var("ROWS").unwrap_or_default();
    let wanted = |name: &str| rows.is_empty() || rows.split(',').any(|row| row == name);
    for (name, block) in
        [("large", large()), ("over", over()), ("small", small()), ("chat", chat()), ("wrong", wrong()), ("others", others())]
    {
        if wanted(name) {
            println!("-- {name}");
            block.iter().for_each(|(name, case)| print(name, *case));
        }
    }
    if wanted("events") {
        events();
    }
    if wanted("collapse") {
        collapse();
    }
}

type Rows = Vec<(String, Case)>;

const STARTS: [(&str, Prior); 3] = [("right prior", Prior::Times(1.0)), ("cold", Prior::Nothing), ("oracle", Prior::Oracle)];

fn by_start(name: &str, case: Case) -> Rows {
    STARTS.iter().map(|(start, prior)| (format!("{start}, {name}"), Case { prior: *prior, ..case })).collect()
}

fn by_wait(scale: f64) -> Rows {
    let waits = [0.0, 2.0, 10.0].iter();
    waits.flat_map(|wait| by_start(&format!("95 %, wait {wait}"), Case { wait: *wait, scale, ..Case::MAIN })).collect()
}

fn large() -> Rows {
    by_wait(10.0)
}

fn small() -> Rows {
    by_wait(1.0)
}

fn over() -> Rows {
    by_start("105 %, wait 2", Case { wait: 2.0, load: 1.05, ..Case::MAIN })
}

fn chat() -> Rows {
    by_start("chat only, x1, wait 0", Case { mix: Mix { agents: 0.0, ..Case::MAIN.mix }, scale: 1.0, ..Case::MAIN })
}

fn wrong() -> Rows {
    let cold = Case { prior: Prior::Nothing, wait: 2.0, ..Case::MAIN };
    let mut rows = vec![
        ("cold, estimates off by 25 %".to_owned(), Case { mix: Mix { noise: 0.25, ..cold.mix }, ..cold }),
        ("prior half the truth".to_owned(), Case { prior: Prior::Times(0.5), ..cold }),
        ("prior 1.5 x the truth".to_owned(), Case { prior: Prior::Times(1.5), ..cold }),
    ];
    rows.extend(by_start("20 s deep", Case { refill: Refill::Continuous { depth: 20.0 }, ..cold }));
    rows.extend(by_start("fixed minutes", Case { refill: Refill::Minute, ..cold }));
    rows.extend(by_start("settled 5 s late", Case { settle_lag: 5.0, ..cold }));
    rows
}

fn others() -> Rows {
    let strategies = [Strategy::Ordered, Strategy::RoundRobin, Strategy::LowestLatency].iter();
    let case = |strategy: &Strategy| Case { strategy: *strategy, prior: Prior::Nothing, wait: 2.0, ..Case::MAIN };
    strategies.map(|strategy| (format!("{strategy:?}, cold, wait 2"), case(strategy))).collect()
}

fn seeds() -> impl Iterator<Item = u64> {
    let first = number("FIRST_SEED", 1.0) as u64;
    first..first + number("SEEDS", 4.0) as u64
}

fn print(name: &str, case: Case) {
    let lines: Vec<Line> = seeds().map(|seed| Case { seed, ..case }).map(|case| line(&case, &run(case))).collect();
    let of = |field: fn(&Line) -> f64| {
        let mean = lines.iter().map(field).sum::<f64>() / lines.len() as f64;
        let spread = lines.iter().map(|line| (field(line) - mean).powi(2)).sum::<f64>() / (lines.len() as f64 - 1.0).max(1.0);
        format!("{mean:7.2} ±{:5.2}", 1.96 * (spread / lines.len() as f64).sqrt())
    };
    println!(
        "{name:32} 429 {} | with room {} | wasted {} | hit {} | used {} | moves {} | p99 {} | attempts {:.3}",
        of(|line| line.refused),
        of(|line| line.with_room),
        of(|line| line.wasted),
        of(|line| line.hit),
        of(|line| line.used),
        of(|line| line.moves),
        of(|line| line.p99),
        lines.iter().map(|line| line.attempts).sum::<f64>() / lines.len() as f64,
    );
}

/// The largest quota is halved at 70 %, or doubled at 115 % load, after ten minutes.
fn events() {
    for (name, load, by) in [("halved", 0.7, 0.5), ("doubled", 1.15, 2.0)] {
        for seed in seeds() {
            let change = Some((600.0, by));
            let case = Case { prior: Prior::Nothing, wait: 2.0, load, change, seconds: 1_080.0, seed, ..Case::MAIN };
            let counts = run(case);
            let within = |times: &[f64], from: f64, to: f64| times.iter().filter(|at| (from..to).contains(*at)).count();
            let minutes: Vec<usize> =
                (10..18).map(|minute| f64::from(minute) * 60.0).map(|at| within(&counts.client_refusals, at, at + 60.0)).collect();
            let wanted = 0.97 * load * case.capacity() * 10.0;
            let full = (62..105).find(|ten| counts.used_by_ten[*ten..ten + 3].iter().sum::<f64>() / 3.0 >= wanted);
            let wasted = within(&counts.upstream_refusals, 600.0, 1_080.0);
            println!("{name}: 429 by minute {minutes:?}, wasted {wasted}, full use after {:?} s", full.map(|ten| (ten - 60) * 10));
        }
    }
}

/// 130 % for two minutes, then 90 %.
fn collapse() {
    for (name, prior) in [("right prior", Prior::Times(1.0)), ("cold", Prior::Nothing), ("oracle", Prior::Oracle)] {
        for (wait, seed) in [2.0, 10.0].iter().flat_map(|wait| seeds().map(move |seed| (*wait, seed))) {
            let course = Course::Burst { from: 400.0, to: 520.0, times: 1.3 / 0.9 };
            let counts = run(Case { prior, wait, load: 0.9, course, seed, ..Case::MAIN });
            let within = |from: f64, to: f64| counts.client_refusals.iter().filter(|at| (from..to).contains(*at)).count();
            let (burst, after, later) = (within(400.0, 520.0), within(520.0, 640.0), within(640.0, 840.0));
            let (with_room, wasted) = (counts.with_room, counts.wasted);
            println!(
                "collapse, {name}, wait {wait}: 429 in the burst {burst}, in the two minutes after {after}, later {later}; \
                 with room {with_room}, wasted {wasted}"
            );
        }
    }
}

/// Prints the shadows of one run beside the truth. `PRIOR` (0 = none), `WAIT`, `LOAD`, `SCALE`, `LAG`, `DEPTH`, `MINUTES`,
/// `CHANGE`, `SECONDS`, `SEED` and `EVERY` come from the environment.
#[test]
#[ignore = "prints one run"]
fn one_run() {
    let prior = number("PRIOR", 0.0);
    let depth = number("DEPTH", 60.0);
    let case = Case {
        prior: if prior > 0.0 { Prior::Times(prior) } else { Prior::Nothing },
        refill: if number("MINUTES", 0.0) > 0.0 { Refill::Minute } else { Refill::Continuous { depth } },
        wait: number("WAIT", 2.0),
        load: number("LOAD", 0.95),
        scale: number("SCALE", 10.0),
        settle_lag: number("LAG", 0.0),
        change: Some((600.0, number("CHANGE", 1.0))),
        seconds: number("SECONDS", 840.0),
        seed: number("SEED", 1.0) as u64,
        ..Case::MAIN
    };
    let every = number("EVERY", 20.0);
    let counts = run_and_look(case, |router, world| {
        if world.now % every == 0.0 {
            println!("{}", router.report(world));
        }
    });
    let Line { refused, wasted, hit, used, .. } = line(&case, &counts);
    println!("429 {refused:.1} (agents {}), wasted {wasted:.1}, hit {hit:.1}, used {used:.1}", counts.refused_agents);
    println!("probes {:?} (sent, refused)", counts.probes);
}

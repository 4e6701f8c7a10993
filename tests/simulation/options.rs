//! What a seed expands into. Every group of draws has its own stream, so that one of them can be changed without moving the others.

use std::{fmt, time::Duration};

use outcrop_chaos::draw::Draw;
use outcrop_sim::{Quota, Refill};

use crate::{
    load::{Arrival, MODELS, Model, arrivals},
    plant::Plant,
};

/// Everything that is decided before the start.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub seed: u64,
    pub plant: Plant,
    pub weather: Weather,
    /// Length of the storm.
    pub lasting: Duration,
    pub regions: Vec<&'static str>,
    pub strategy: &'static str,
    pub models: Vec<Model>,
    pub quotas: Vec<Limit>,
    /// What the operator's settings say of them, as a factor on the truth; `None` where they say nothing.
    pub told: Option<f64>,
    pub pace: Pace,
    pub limits: Limits,
    /// Plain text that breaks goes on elsewhere.
    pub resume: bool,
    /// Values of `--set` of the gateway.
    pub settings: Vec<String>,
    pub faults: Vec<FaultPlan>,
    pub deeds: Vec<DeedPlan>,
    pub drains: Vec<DrainPlan>,
    /// When an operator reloads the settings.
    pub reloads: Vec<Duration>,
    pub arrivals: Vec<Arrival>,
    /// Requests under way when the gateway is stopped, and how long it may take.
    pub last_requests: u64,
    pub grace: Duration,
}

/// What a seed is about. Where little can go wrong, little may.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Weather {
    /// Nothing befalls anybody.
    Calm,
    /// Actors die, and nothing else happens.
    Deeds,
    /// Quotas bind, and nothing else happens; the strategy is adaptive.
    Quotas,
    /// Anything.
    #[default]
    Mixed,
}

const WEATHERS: [(Weather, f64); 4] = [(Weather::Calm, 6.0), (Weather::Deeds, 16.0), (Weather::Quotas, 18.0), (Weather::Mixed, 60.0)];

/// The quota of one model in one region.
#[derive(Debug, Clone)]
pub struct Limit {
    pub region: &'static str,
    pub model: &'static str,
    pub quota: Quota,
}

/// How fast models answer.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    pub first_token_ms: (u64, u64),
    pub per_token_ms: (u64, u64),
    pub words: (u64, u64),
}

/// Those settings of the gateway that the checks know.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    pub total: Duration,
    pub queue_wait: Duration,
    pub max_wait: Duration,
    pub max_attempts: u64,
    /// Copies of late streams, in a hundred calls.
    pub hedge_percent: u64,
}

/// A fault as scenario files write it.
#[derive(Debug, Clone)]
pub struct FaultPlan {
    pub text: String,
    pub region: Option<&'static str>,
    pub from: Duration,
    pub until: Duration,
}

/// Something that is done to the `pick`-th actor there is then.
#[derive(Debug, Clone, Copy)]
pub struct DeedPlan {
    pub at: Duration,
    pub pick: u64,
    pub kind: DeedKind,
}

#[derive(Debug, Clone, Copy)]
pub enum DeedKind {
    Kill,
    Panic,
    Stall(Duration),
}

/// An operator takes a region out for a time.
#[derive(Debug, Clone, Copy)]
pub struct DrainPlan {
    pub region: &'static str,
    pub from: Duration,
    pub until: Duration,
}

const REGIONS: [&str; 4] = ["us-east-1", "us-west-2", "eu-west-1", "us-east-2"];
/// Adaptive is what the gateway is for: it is drawn as often as all others.
const STRATEGIES: [(&str, f64); 5] =
    [("adaptive", 6.0), ("ordered", 2.0), ("round_robin", 2.0), ("lowest_latency", 2.0), ("disabled", 1.0)];

/// A draw within bounds, ends included.
pub fn within(draw: &mut Draw, from: u64, to: u64) -> u64 {
    from + draw.below(to - from + 1)
}

fn millis(draw: &mut Draw, from: u64, to: u64) -> Duration {
    Duration::from_millis(within(draw, from, to))
}

impl Options {
    pub fn of(seed: u64, plant: Plant) -> Self {
        let mut draw = Draw::stream(seed, "shape", 0);
        let lasting = Duration::from_secs(within(&mut draw, 30, 300));
        let regions: Vec<&'static str> = REGIONS[..within(&mut draw, 1, 4) as usize].to_vec();
        let weather = WEATHERS[draw.weighted(&WEATHERS.map(|(_, weight)| weight))].0;
        let strategy = match weather {
            Weather::Quotas => "adaptive",
            _ => STRATEGIES[draw.weighted(&STRATEGIES.map(|(_, weight)| weight))].0,
        };
        let models: Vec<Model> = MODELS[..within(&mut draw, 1, MODELS.len() as u64) as usize].to_vec();
        let mut options = Self { seed, plant, weather, lasting, regions, strategy, models, ..Self::default() };
        options.pace = pace(seed, weather);
        options.limits = limits(seed);
        options.arrivals = arrivals(seed, lasting, &options.models);
        options.quotas = quotas(seed, &options);
        options.told = told(seed);
        options.resume = Draw::stream(seed, "resume", 0).chance(0.3);
        options.settings = settings(seed, &options);
        options.faults = faults(seed, &options);
        options.deeds = deeds(seed, &options);
        options.drains = drains(seed, &options);
        options.reloads = (0..draw.below(4)).map(|_| Duration::from_millis(draw.below(lasting.as_millis() as u64))).collect();
        options.last_requests = within(&mut draw, 0, 6);
        options.grace = millis(&mut draw, 5_000, 30_000);
        if plant != Plant::None {
            plant.prepare(&mut options);
        }
        options
    }

    /// When a request that arrives at `at` must have ended, its client's own pauses left out.
    pub fn deadline(&self, at: Duration) -> Duration {
        at + self.limits.total + self.limits.queue_wait + END_GRACE
    }

    /// The regions where a model can be called.
    pub fn regions_of(&self, model: &str) -> Vec<&'static str> {
        let known = MODELS.iter().find(|known| known.id == model);
        self.regions.iter().copied().filter(|region| known.is_none_or(|known| known.runs_in(region))).collect()
    }
}

/// Beyond its limits a request may take so long: last words, timers of a millisecond, a busy lane.
const END_GRACE: Duration = Duration::from_secs(7);

fn pace(seed: u64, weather: Weather) -> Pace {
    let mut draw = Draw::stream(seed, "pace", 0);
    // Slow answers run into short limits, which is nobody's fault: only where much may go wrong.
    let slowest = if weather == Weather::Mixed { 1 } else { 4 };
    let first = within(&mut draw, 10, 1_000 / slowest);
    let each = within(&mut draw, 0, 60 / slowest);
    let words = within(&mut draw, 3, 30);
    Pace {
        first_token_ms: (first, first * within(&mut draw, 1, 4)),
        per_token_ms: (each, each * within(&mut draw, 1, 5)),
        words: (words, words * within(&mut draw, 1, 3)),
    }
}

fn limits(seed: u64) -> Limits {
    let mut draw = Draw::stream(seed, "limits", 0);
    Limits {
        total: millis(&mut draw, 20_000, 60_000),
        queue_wait: millis(&mut draw, 1_000, 10_000),
        max_wait: millis(&mut draw, 0, 15_000),
        max_attempts: within(&mut draw, 2, 10),
        hedge_percent: hedge_percent(seed),
    }
}

/// Most gateways send no copies; those that do send as many as may be, since few calls are late.
fn hedge_percent(seed: u64) -> u64 {
    let mut draw = Draw::stream(seed, "hedges", 0);
    if draw.chance(0.5) { within(&mut draw, 1, 10) } else { 0 }
}

/// Quotas that the load presses from 40 % to 280 %, shared out unevenly; a full bucket counts as much as its refill.
fn quotas(seed: u64, options: &Options) -> Vec<Limit> {
    let mut draw = Draw::stream(seed, "quotas", 0);
    match options.weather {
        Weather::Calm | Weather::Deeds => return Vec::new(),
        Weather::Mixed if draw.chance(0.33) => return Vec::new(),
        Weather::Quotas | Weather::Mixed => {}
    }
    let minutes = options.lasting.as_secs_f64() / 60.0;
    let (depth, refill) = match draw.weighted(&[5.0, 2.0, 2.0]) {
        0 => (Duration::from_secs(60), Refill::Continuous),
        1 => (Duration::from_secs(within(&mut draw, 5, 30)), Refill::Continuous),
        _ => (Duration::from_secs(60), Refill::Window),
    };
    let mut limits = Vec::new();
    for model in &options.models {
        let of_model = || options.arrivals.iter().filter(|arrival| arrival.model.id == model.id);
        let calls = of_model().map(|arrival| u64::from(arrival.choices)).sum::<u64>() as f64;
        let tokens = of_model().map(|arrival| arrival.reservation() * u64::from(arrival.choices)).sum::<u64>() as f64;
        let regions = options.regions_of(model.id);
        let shares: Vec<f64> = regions.iter().map(|_| 0.2 + draw.unit()).collect();
        let pressure = 0.4 + 2.4 * draw.unit();
        let by_tokens = draw.chance(0.7);
        for (region, share) in regions.into_iter().zip(&shares) {
            let part = share / shares.iter().sum::<f64>() / pressure / (minutes + depth.as_secs_f64() / 60.0);
            let quota = Quota {
                requests_per_minute: (!by_tokens || draw.chance(0.3)).then(|| (calls * part) as u64 + 4),
                tokens_per_minute: by_tokens.then(|| (tokens * part) as u64 + 4_000),
                depth,
                refill,
                ..Quota::default()
            };
            limits.push(Limit { region, model: model.id, quota });
        }
    }
    limits
}

/// Some operators write their quotas down, and some of those write them wrong.
fn told(seed: u64) -> Option<f64> {
    let mut draw = Draw::stream(seed, "told", 0);
    let right = draw.chance(0.5);
    draw.chance(0.4).then(|| if right { 1.0 } else { 0.5 + draw.unit() })
}

fn settings(seed: u64, options: &Options) -> Vec<String> {
    let mut draw = Draw::stream(seed, "settings", 0);
    let limits = options.limits;
    let milliseconds = |duration: Duration| format!("{}ms", duration.as_millis());
    let mut of_lane = |share: f64, least: u64, most: u64| {
        if options.weather == Weather::Mixed && draw.chance(share) { within(&mut draw, least, most) } else { 500 }
    };
    let (concurrency, queue_limit) = (of_lane(0.3, 2, 8), of_lane(0.2, 1, 4));
    let mut set = vec![
        format!("routing.strategy={}", options.strategy),
        format!("routing.max_attempts={}", limits.max_attempts),
        format!("routing.hedge_percent={}", limits.hedge_percent),
        format!("routing.resume={}", options.resume),
        format!("routing.max_wait={}", milliseconds(limits.max_wait)),
        format!("timeouts.total={}", milliseconds(limits.total)),
        format!("timeouts.first_byte={}", milliseconds(millis(&mut draw, 3_000, 15_000))),
        format!("timeouts.whole_answer={}", milliseconds(millis(&mut draw, 8_000, 20_000))),
        format!("timeouts.stream_idle={}", milliseconds(millis(&mut draw, 2_000, 15_000))),
        format!("lanes.chat.queue_wait={}", milliseconds(limits.queue_wait)),
        format!("lanes.chat.concurrency={concurrency}"),
        format!("lanes.chat.queue_limit={queue_limit}"),
        format!("routing.backoff.denied={}s", within(&mut draw, 5, 40)),
        format!("routing.backoff.exhausted={}s", within(&mut draw, 5, 60)),
        format!("routing.backoff.throttled.max={}s", within(&mut draw, 10, 60)),
        format!("routing.backoff.unavailable.max={}s", within(&mut draw, 5, 60)),
        format!("chat.open_stream_after={}", milliseconds(millis(&mut draw, 1_000, 20_000))),
        format!("server.keep_alive_interval={}", milliseconds(millis(&mut draw, 1_000, 15_000))),
        format!("models.discovery_interval={}s", within(&mut draw, 30, 900)),
        format!("chat.prompt_caching.system={}", draw.chance(0.5)),
        format!("chat.prompt_caching.messages={}", draw.chance(0.5)),
    ];
    if let Some(factor) = options.told {
        for Limit { region, model, quota } in &options.quotas {
            let mut tell = |name: &str, limit: Option<u64>| {
                set.extend(
                    limit.map(|limit| format!("routing.quotas.{region}.models.\"{model}\".{name}={}", (limit as f64 * factor) as u64 + 1)),
                );
            };
            tell("requests_per_minute", quota.requests_per_minute);
            tell("tokens_per_minute", quota.tokens_per_minute);
        }
    }
    set
}

/// A random subset of the kinds of faults, each once or twice, at random places and times.
fn faults(seed: u64, options: &Options) -> Vec<FaultPlan> {
    let mut draw = Draw::stream(seed, "faults", 0);
    if options.weather != Weather::Mixed {
        return Vec::new();
    }
    let appetite = draw.unit() * 0.4;
    let mut plans = Vec::new();
    for kind in FAULTS {
        for _ in 0..2 {
            if !draw.chance(appetite / 2.0) {
                continue;
            }
            let length = options.lasting.as_millis() as u64;
            let from = draw.below(length * 9 / 10);
            let lasting = within(&mut draw, 500, (length / 2).max(1_000)).min(length - from);
            let region = draw.chance(0.8).then(|| options.regions[draw.below(options.regions.len() as u64) as usize]);
            let share = if kind.shared { format!("share = {:.2}\n", 0.05 + 0.6 * draw.unit().powi(2)) } else { String::new() };
            let place = region.map(|region| format!("region = \"{region}\"\n")).unwrap_or_default();
            let variant = kind.variants[draw.below(kind.variants.len() as u64) as usize];
            let text = format!("{variant}\n{share}{place}from = \"{from}ms\"\nfor = \"{lasting}ms\"");
            let from = Duration::from_millis(from);
            plans.push(FaultPlan { text, region, from, until: from + Duration::from_millis(lasting) });
        }
    }
    plans
}

/// Variants of one fault; those that are `shared` strike a share of the calls.
struct FaultKind {
    shared: bool,
    variants: &'static [&'static str],
}

const fn of_a_share(variants: &'static [&'static str]) -> FaultKind {
    FaultKind { shared: true, variants }
}

const fn of_all(variants: &'static [&'static str]) -> FaultKind {
    FaultKind { shared: false, variants }
}

const FAULTS: [FaultKind; 22] = [
    of_a_share(&["kind = \"throttle\"", "kind = \"throttle\"\nlimit = \"tokens\""]),
    of_all(&["kind = \"storm\"\ncount = 10\nwithin = \"5s\"", "kind = \"storm\"\ncount = 40\nwithin = \"20s\"\nlimit = \"tokens\""]),
    of_a_share(&[
        "kind = \"error\"\ncode = \"ServiceUnavailableException\"",
        "kind = \"error\"\ncode = \"InternalServerException\"",
        "kind = \"error\"\ncode = \"ModelNotReadyException\"",
        "kind = \"error\"\ncode = \"ServiceUnavailableException\"\nretry_after = \"3s\"",
    ]),
    of_a_share(&["kind = \"model_timeout\"\nafter = \"4s\""]),
    of_all(&["kind = \"access_lost\"", "kind = \"model_gone\""]),
    of_all(&[
        "kind = \"latency\"\np50 = \"1s\"\np99 = \"6s\"",
        "kind = \"first_token\"\np50 = \"3s\"\np99 = \"15s\"",
        "kind = \"inter_token\"\np50 = \"200ms\"\np99 = \"2s\"",
    ]),
    of_a_share(&["kind = \"stall\"", "kind = \"stall\"\npause = \"6s\"", "kind = \"stall\"\nafter_events = 2\npause = \"1s\""]),
    of_a_share(&[
        "kind = \"exception_frame\"\ntype = \"modelStreamErrorException\"\nafter_events = 1",
        "kind = \"exception_frame\"\ntype = \"throttlingException\"\nafter_events = 0",
        "kind = \"exception_frame\"\ntype = \"internalServerException\"\nafter_events = \"random\"",
    ]),
    of_a_share(&["kind = \"error_frame\"\ncode = \"InternalFailure\"\nafter_events = \"random\""]),
    of_a_share(&["kind = \"no_stop\""]),
    of_a_share(&["kind = \"no_usage\"", "kind = \"late_usage\"\ndelay = \"1s\""]),
    of_a_share(&[
        "kind = \"corrupt_frame\"\nfield = \"message_crc\"",
        "kind = \"corrupt_frame\"\nfield = \"prelude_crc\"",
        "kind = \"corrupt_frame\"\nfield = \"payload\"",
        "kind = \"corrupt_frame\"\nfield = \"length\"",
    ]),
    of_a_share(&["kind = \"truncate_frame\"\nkeep_bytes = 11"]),
    of_a_share(&["kind = \"refuse\""]),
    of_a_share(&["kind = \"blackhole\"", "kind = \"blackhole\"\nat = \"headers\"", "kind = \"blackhole\"\nat = \"connect\""]),
    of_all(&["kind = \"dns\"\nmode = \"nxdomain\"", "kind = \"dns\"\nmode = \"timeout\"", "kind = \"dns\"\nmode = \"moved\""]),
    of_a_share(&[
        "kind = \"reset\"\nat_byte = \"random\"",
        "kind = \"close\"\nat_byte = \"random\"",
        "kind = \"half_close\"\nat_byte = \"random\"",
        "kind = \"reset\"\nat = \"request\"",
        "kind = \"close\"\nat = \"headers\"",
    ]),
    of_a_share(&[
        "kind = \"slice\"\nchunk = 7",
        "kind = \"bandwidth\"\nbytes_per_s = 2000",
        "kind = \"delay\"\np50 = \"20ms\"\np99 = \"500ms\"",
    ]),
    of_all(&["kind = \"idle_cut\"\nafter = \"1s\""]),
    of_all(&[
        "kind = \"region_down\"",
        "kind = \"region_down\"\nmode = \"blackhole\"",
        "kind = \"region_down\"\nmode = \"5xx\"",
        "kind = \"brownout\"\np50 = \"2s\"\np99 = \"8s\"\nerrors = 0.3",
    ]),
    of_all(&[
        "kind = \"control_plane_down\"",
        "kind = \"control_plane_down\"\nmode = \"5xx\"",
        "kind = \"control_plane_down\"\nmode = \"blackhole\"",
    ]),
    of_all(&["kind = \"quota_scale\"\nfactor = 0.4", "kind = \"quota_scale\"\nfactor = 2.5", "kind = \"clock_skew\"\noffset = \"-7m\""]),
];

/// Actors that die, panic or fall asleep, sometimes several at once.
fn deeds(seed: u64, options: &Options) -> Vec<DeedPlan> {
    let mut draw = Draw::stream(seed, "deeds", 0);
    match options.weather {
        Weather::Calm | Weather::Quotas => return Vec::new(),
        Weather::Mixed if draw.chance(0.5) => return Vec::new(),
        Weather::Deeds | Weather::Mixed => {}
    }
    let mean = Duration::from_millis(within(&mut draw, 300, 20_000));
    let together = 0.5 * draw.unit();
    let (mut at, mut plans) = (draw.exponential(mean), Vec::new());
    while at < options.lasting && plans.len() < 60 {
        let kind = match draw.weighted(&[3.0, 3.0, 1.0]) {
            0 => DeedKind::Kill,
            1 => DeedKind::Panic,
            _ => DeedKind::Stall(millis(&mut draw, 50, 3_000)),
        };
        plans.push(DeedPlan { at, pick: draw.bits(), kind });
        at += if draw.chance(together) { Duration::ZERO } else { draw.exponential(mean) };
    }
    plans
}

fn drains(seed: u64, options: &Options) -> Vec<DrainPlan> {
    let mut draw = Draw::stream(seed, "drains", 0);
    if options.regions.len() < 2 || options.weather != Weather::Mixed || draw.chance(0.6) {
        return Vec::new();
    }
    let length = options.lasting.as_millis() as u64;
    let from = Duration::from_millis(draw.below(length / 2));
    let until = from + millis(&mut draw, 1_000, length / 3);
    vec![DrainPlan { region: options.regions[draw.below(options.regions.len() as u64) as usize], from, until }]
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "seed {}: {:?}, {:.0} s, {} requests, {}",
            self.seed,
            self.weather,
            self.lasting.as_secs_f64(),
            self.arrivals.len(),
            self.strategy
        )?;
        writeln!(f, "regions: {}", self.regions.join(", "))?;
        writeln!(f, "models: {}", self.models.iter().map(|model| model.id).collect::<Vec<_>>().join(", "))?;
        writeln!(f, "pace: {:?}", self.pace)?;
        for Limit { region, model, quota } in &self.quotas {
            let Quota { requests_per_minute, tokens_per_minute, refill, depth, .. } = quota;
            writeln!(
                f,
                "quota: {region} {model} {requests_per_minute:?} requests, {tokens_per_minute:?} tokens, {refill:?}, {depth:?} deep"
            )?;
        }
        self.settings.iter().try_for_each(|setting| writeln!(f, "set: {setting}"))?;
        self.faults.iter().try_for_each(|fault| writeln!(f, "fault: {}", fault.text.replace('\n', ", ")))?;
        writeln!(f, "reloads: {:?}", self.reloads)?;
        self.drains.iter().try_for_each(|drain| writeln!(f, "drain: {} from {:?} until {:?}", drain.region, drain.from, drain.until))?;
        writeln!(f, "at the end: {} requests under way, {:?} of grace", self.last_requests, self.grace)
    }
}

impl Options {
    /// Moves everything that happens by the time the gateway took to become ready.
    pub fn shift(&mut self, by: Duration) {
        self.arrivals.iter_mut().for_each(|arrival| arrival.at += by);
        self.deeds.iter_mut().for_each(|deed| deed.at += by);
        self.reloads.iter_mut().for_each(|at| *at += by);
        self.drains.iter_mut().for_each(|drain| (drain.from, drain.until) = (drain.from + by, drain.until + by));
        self.faults.iter_mut().for_each(|fault| (fault.from, fault.until) = (fault.from + by, fault.until + by));
    }
}

/// A setting that no seed draws is tried by none of them.
#[test]
fn two_hundred_seeds_draw_every_strategy_with_and_without_copies() {
    let mut drawn = std::collections::BTreeSet::new();
    for options in (0..200).map(|seed| Options::of(seed, Plant::None)) {
        for setting in [format!("routing.strategy={}", options.strategy), format!("routing.hedge_percent={}", options.limits.hedge_percent)]
        {
            assert!(options.settings.contains(&setting), "seed {}: {setting} is drawn and not set", options.seed);
        }
        drawn.insert((options.strategy, options.limits.hedge_percent > 0));
    }
    let all = STRATEGIES.iter().flat_map(|(strategy, _)| [(*strategy, false), (*strategy, true)]);
    assert_eq!(drawn, all.collect());
}

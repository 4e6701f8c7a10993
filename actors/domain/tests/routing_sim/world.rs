//! Virtual time: events in order, true regions, one gateway, and what is counted.

use std::{cmp::Ordering, collections::BinaryHeap, sync::Mutex, time::Duration};

use outcrop_domain::{clock::Moment, routing::strategy::Strategy, usage::Usage};

use super::{
    chance::Chance,
    load::{Call, Load, Mix},
    router::Router,
    truth::{Refill, Refusal, Region},
};

/// Output counts so many times: Claude since 3.7.
pub(crate) const BURN: f64 = 5.0;
/// A refusal comes back after one round trip.
const REFUSAL_SECONDS: f64 = 0.12;
/// Tokens per second that are read and written.
const READ_SPEED: f64 = 25_000.0;
const WRITE_SPEED: f64 = 70.0;
/// First byte of a cached prompt.
const FIRST_BYTE: f64 = 1.0;

/// The load is halved for so long: every conversation must be read once before it is cached.
const HALF_LOAD: f64 = 180.0;

/// Three regions: tokens and requests per minute.
const QUOTAS: [(f64, f64); 3] = [(100e3, 45.0), (250e3, 95.0), (400e3, 190.0)];

/// What the gateway knows of the quotas at its start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Prior {
    Nothing,
    Times(f64),
    /// It reads the true buckets: what no real gateway can beat by much.
    Oracle,
}

/// How the load changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Course {
    /// Half the load at first, then all of it.
    Constant,
    /// So many times the load within a span of seconds.
    Burst { from: f64, to: f64, times: f64 },
}

/// One run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) strategy: Strategy,
    pub(crate) prior: Prior,
    /// Quotas are so many times [`QUOTAS`].
    pub(crate) scale: f64,
    pub(crate) mix: Mix,
    /// Settled tokens with ideal caching, as a share of all quotas.
    pub(crate) load: f64,
    /// Longest wait for room, seconds.
    pub(crate) wait: f64,
    pub(crate) refill: Refill,
    /// AWS settles so long after the end of an answer, seconds.
    pub(crate) settle_lag: f64,
    /// At this time the largest quota is multiplied.
    pub(crate) change: Option<(f64, f64)>,
    pub(crate) course: Course,
    /// Seconds that are run, and seconds of these that are not counted.
    pub(crate) seconds: f64,
    pub(crate) warm_up: f64,
    pub(crate) seed: u64,
}

impl Case {
    /// The main row: large quotas, 30 % agents, 95 % load, right prior, no wait.
    pub(crate) const MAIN: Self = Self {
        strategy: Strategy::Adaptive,
        prior: Prior::Times(1.0),
        scale: 10.0,
        mix: Mix { agents: 0.3, noise: 0.08 },
        load: 0.95,
        wait: 0.0,
        refill: Refill::Continuous { depth: 60.0 },
        settle_lag: 0.0,
        change: None,
        course: Course::Constant,
        seconds: 840.0,
        warm_up: 240.0,
        seed: 1,
    };

    pub(crate) fn regions(&self) -> Vec<Region> {
        QUOTAS.map(|(tokens, requests)| Region::new(tokens * self.scale, requests * self.scale, self.refill)).into()
    }

    /// Does the router send nobody where its own shadows see no room?
    pub(crate) fn minds_shadows(&self) -> bool {
        self.prior != Prior::Oracle && self.strategy.minds_quotas()
    }

    /// All quotas, tokens per second.
    pub(crate) fn capacity(&self) -> f64 {
        QUOTAS.iter().map(|(tokens, _)| tokens * self.scale / 60.0).sum()
    }
}

/// What is counted after the warm-up.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    pub(crate) requests: u64,
    pub(crate) answered: u64,
    /// Requests refused to clients.
    pub(crate) refused: u64,
    /// Of these, those for which a region had had room for a whole second.
    pub(crate) with_room: u64,
    /// Of these, agents' turns.
    pub(crate) refused_agents: u64,
    pub(crate) upstream: u64,
    /// Upstream calls that AWS refused.
    pub(crate) wasted: u64,
    /// Probes: sent, and refused.
    pub(crate) probes: (u64, u64),
    pub(crate) turns: u64,
    pub(crate) moves: u64,
    pub(crate) prefix: u64,
    pub(crate) cached: u64,
    pub(crate) used: f64,
    /// Seconds each answered request began later than it had to.
    pub(crate) added: Vec<f64>,
    /// When upstream refused, when a client was refused.
    pub(crate) upstream_refusals: Vec<f64>,
    pub(crate) client_refusals: Vec<f64>,
    /// Settled tokens that were admitted, by ten seconds, from the very start.
    pub(crate) used_by_ten: Vec<f64>,
}

/// One request on its way.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) call: Call,
    pub(crate) arrived: f64,
    pub(crate) over: bool,
}

/// What happens at a moment.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Event {
    Arrival,
    Refused {
        request: usize,
        region: usize,
        by: Refusal,
    },
    FirstByte {
        request: usize,
        region: usize,
        cached: u64,
    },
    Settled {
        region: usize,
        reserved: f64,
        used: f64,
    },
    Ended {
        request: usize,
        region: usize,
        cached: u64,
    },
    Sweep,
    /// What became of a test shows, for which a request waits at its deadline.
    Again {
        request: usize,
    },
    Tick,
    Change {
        by: f64,
    },
}

#[derive(Debug)]
struct Due {
    at: f64,
    number: u64,
    event: Event,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    /// Earliest first out of a max-heap; equal times in the order they were planned.
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.total_cmp(&self.at).then(other.number.cmp(&self.number))
    }
}

/// The world outside the router.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) now: f64,
    pub(crate) regions: Vec<Region>,
    pub(crate) requests: Vec<Request>,
    pub(crate) chance: Chance,
    pub(crate) counts: Counts,
    pub(crate) case: Case,
    load: Load,
    per_second: f64,
    homes: std::collections::HashMap<u64, (usize, f64)>,
    due: BinaryHeap<Due>,
    planned: u64,
}

impl World {
    fn new(case: Case) -> Self {
        let per_second = case.load * case.capacity() / ideal(&case).cost;
        Self {
            now: 0.0,
            regions: case.regions(),
            requests: Vec::new(),
            chance: Chance::new(case.seed * 7_919 + 13),
            counts: Counts::default(),
            load: Load::new(Chance::new(case.seed), per_second, case.mix),
            case,
            per_second,
            homes: std::collections::HashMap::new(),
            due: BinaryHeap::new(),
            planned: 0,
        }
    }

    pub(crate) fn at(&mut self, at: f64, event: Event) {
        self.planned += 1;
        self.due.push(Due { at, number: self.planned, event });
    }

    pub(crate) fn moment(&self) -> Moment {
        moment(self.now)
    }

    pub(crate) fn counted(&self, request: usize) -> bool {
        self.requests[request].arrived >= self.case.warm_up
    }

    fn arrive(&mut self) -> Option<usize> {
        if self.now > self.case.seconds {
            return None;
        }
        let factor = match self.case.course {
            _ if self.now < HALF_LOAD => 0.5,
            Course::Burst { from, to, times } if (from..to).contains(&self.now) => times,
            Course::Constant | Course::Burst { .. } => 1.0,
        };
        let pause = self.chance.exponential(1.0 / (self.per_second * factor));
        self.at(self.now + pause, Event::Arrival);
        let call = self.load.call();
        self.requests.push(Request { call, arrived: self.now, over: false });
        let request = self.requests.len() - 1;
        self.counts.requests += u64::from(self.counted(request));
        Some(request)
    }

    /// Calls a region.
    pub(crate) fn call(&mut self, request: usize, region: usize) {
        let now = self.now;
        let counted = now >= self.case.warm_up;
        self.counts.upstream += u64::from(counted);
        let call = &self.requests[request].call;
        let (reserved, prompt, output) = (call.reserved(), call.prompt, call.output);
        if let Err(by) = self.regions[region].admit(now, reserved) {
            self.counts.wasted += u64::from(counted);
            self.counts.upstream_refusals.push(now);
            self.at(now + REFUSAL_SECONDS, Event::Refused { request, region, by });
            return;
        }
        let cached = self.regions[region].cached(now, &prompt);
        self.regions[region].remember(now, &prompt);
        let uncached = prompt.prefix + prompt.fresh - cached;
        let used = uncached as f64 + BURN * output as f64;
        let first_byte = FIRST_BYTE * (0.7 + 0.6 * self.chance.unit()) + uncached as f64 / READ_SPEED;
        let ended = now + first_byte + output as f64 / WRITE_SPEED;
        self.at(now + first_byte, Event::FirstByte { request, region, cached });
        self.at(ended + self.case.settle_lag, Event::Settled { region, reserved, used });
        self.at(ended, Event::Ended { request, region, cached });
        let ten = (now / 10.0) as usize;
        if self.counts.used_by_ten.len() <= ten {
            self.counts.used_by_ten.resize(ten + 1, 0.0);
        }
        self.counts.used_by_ten[ten] += used;
    }

    fn first_byte(&mut self, request: usize, region: usize, cached: u64) {
        let call = &self.requests[request].call;
        let (prompt, agent, output) = (call.prompt, call.is_agent(), call.output);
        let counted = self.counted(request);
        if agent {
            let before = self.homes.insert(prompt.conversation, (region, self.now));
            self.counts.turns += u64::from(counted);
            self.counts.moves += u64::from(counted && before.is_some_and(|(before, _)| before != region));
        }
        if counted {
            let uncached = prompt.prefix + prompt.fresh - cached;
            self.counts.answered += 1;
            self.counts.cached += cached;
            self.counts.prefix += prompt.prefix;
            self.counts.used += uncached as f64 + BURN * output as f64;
            let waited = self.now - self.requests[request].arrived;
            self.counts.added.push(waited - FIRST_BYTE - uncached as f64 / READ_SPEED);
        }
    }

    /// The rule of the chaos harness: was there a region with room for this request for all of the last second?
    pub(crate) fn had_room(&mut self, request: usize) -> bool {
        let call = &self.requests[request].call;
        let (wanted, now) = (call.reserved(), self.now);
        let home = self.homes.get(&call.prompt.conversation).filter(|(_, used)| call.is_agent() && now - used <= CACHE_LIFE);
        let home = home.map(|(region, _)| *region);
        self.regions.iter_mut().enumerate().any(|(index, region)| {
            let reserve = if home.is_some_and(|home| home != index) { SPILL_RESERVE } else { 0.0 };
            region.had_room(now, ROOM_WINDOW, wanted, reserve)
        })
    }

    /// A client gets its 429.
    pub(crate) fn refuse(&mut self, request: usize) {
        self.requests[request].over = true;
        if self.counted(request) {
            self.counts.refused += 1;
            self.counts.refused_agents += u64::from(self.requests[request].call.is_agent());
            self.counts.with_room += u64::from(self.had_room(request));
        }
        self.counts.client_refusals.push(self.now);
        let call = self.requests[request].call.clone();
        self.load.refused(&call);
    }
}

/// A throttle is wrong when there had been room for so long, seconds.
const ROOM_WINDOW: f64 = 1.0;
/// A conversation may be kept from the last of another region's room: its prompt is cached elsewhere.
const SPILL_RESERVE: f64 = 0.15;
/// A prompt cache lives so long, seconds.
const CACHE_LIFE: f64 = 300.0;

/// Runs a case to its end.
pub(crate) fn run(case: Case) -> Counts {
    run_and_look(case, |_, _| {})
}

/// Runs a case and lets somebody look at it every second.
pub(crate) fn run_and_look(case: Case, look: impl Fn(&Router, &mut World)) -> Counts {
    let mut world = World::new(case);
    let mut router = Router::new(&world);
    world.at(0.0, Event::Arrival);
    world.at(0.0, Event::Tick);
    if let Some((at, by)) = case.change {
        world.at(at, Event::Change { by });
    }
    while let Some(due) = world.due.pop() {
        world.now = due.at;
        match due.event {
            Event::Arrival => {
                if let Some(request) = world.arrive() {
                    router.arrived(&mut world, request);
                }
            }
            Event::Refused { request, region, by } => router.refused(&mut world, request, region, by),
            Event::FirstByte { request, region, cached } => {
                world.first_byte(request, region, cached);
                router.answered(&world, request, region);
            }
            Event::Settled { region, reserved, used } => world.regions[region].settle(due.at, reserved, used),
            Event::Ended { request, region, cached } => {
                let call = world.requests[request].call.clone();
                world.load.finished(&call);
                let usage = Usage {
                    input: call.prompt.prefix + call.prompt.fresh - cached,
                    output: call.output,
                    cache_read: cached,
                    ..Usage::default()
                };
                router.ended(&mut world, request, region, &usage);
            }
            Event::Sweep => router.sweep(&mut world),
            Event::Again { request } => router.again(&mut world, request),
            Event::Tick => {
                router.tick(&world);
                look(&router, &mut world);
                if world.now < case.seconds {
                    world.at(world.now + 1.0, Event::Tick);
                }
            }
            Event::Change { by } => {
                if let Some(largest) = world.regions.last_mut() {
                    largest.tokens.scale(due.at, by);
                    largest.requests.scale(due.at, by);
                }
            }
        }
    }
    world.counts
}

pub(crate) fn moment(seconds: f64) -> Moment {
    Moment(Duration::from_secs_f64(seconds))
}

/// One unlimited region: what a request settles at, and how much of the prefixes comes from the cache.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ideal {
    pub(crate) cost: f64,
    pub(crate) hit: f64,
}

/// The same for all cases of one mix and scale: computed once.
pub(crate) fn ideal(case: &Case) -> Ideal {
    static KNOWN: Mutex<Vec<(Mix, f64, Ideal)>> = Mutex::new(Vec::new());
    let mut known = KNOWN.lock().expect("no test panics in here");
    if let Some((_, _, ideal)) = known.iter().find(|(mix, scale, _)| *mix == case.mix && *scale == case.scale) {
        return *ideal;
    }
    let ideal = measure_ideal(case);
    known.push((case.mix, case.scale, ideal));
    ideal
}

fn measure_ideal(case: &Case) -> Ideal {
    let per_second = 3.0 * case.scale;
    let count = (6_000.0 * (case.scale / 2.0).max(1.0)) as usize;
    let mut chance = Chance::new(99);
    let mut load = Load::new(chance.clone(), per_second, case.mix);
    let mut region = Region::new(1e12, 1e12, Refill::Continuous { depth: 60.0 });
    let (mut now, mut settled, mut cached, mut prefix, mut counted) = (0.0, 0.0, 0, 0, 0.0);
    for number in 0..count {
        now += chance.exponential(1.0 / per_second);
        let call = load.call();
        let hit = region.cached(now, &call.prompt);
        region.remember(now, &call.prompt);
        load.finished(&call);
        if number > count / 4 {
            settled += (call.prompt.prefix + call.prompt.fresh - hit) as f64 + BURN * call.output as f64;
            cached += hit;
            prefix += call.prompt.prefix;
            counted += 1.0;
        }
    }
    Ideal { cost: settled / counted, hit: if prefix == 0 { 1.0 } else { cached as f64 / prefix as f64 } }
}

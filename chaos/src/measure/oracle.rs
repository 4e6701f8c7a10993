//! A router that reads the true buckets: what no real one can beat by much. It is replayed over the run's own arrivals,
//! reservations, costs and durations, from the start of the run: what came before a window has emptied its buckets too.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap, VecDeque},
};

use super::Window;
use crate::{
    check::Seen,
    history::{BucketKey, Call, Change, Limit, Micros, Refill, Request},
};

/// Share of the window's requests that the oracle would have throttled; `None` where nothing is limited.
pub(super) fn throttle_share(window: &Window<'_>) -> Option<f64> {
    let mut oracle = Oracle::of(window)?;
    let jobs = jobs(&Window::between(window.history, Micros::ZERO, window.until));
    let all = jobs.iter().filter(|job| job.at >= window.from).count();
    for job in jobs {
        oracle.advance(job.at);
        oracle.arrive(job);
    }
    oracle.advance(Micros(u64::MAX));
    #[allow(clippy::cast_precision_loss, reason = "counts of a run lie far below 2^52")]
    (all > 0).then(|| oracle.throttled as f64 / all as f64)
}

/// A request as the oracle sees it.
#[derive(Debug, Clone)]
struct Job {
    at: Micros,
    reserve: f64,
    /// Tokens it cost where its prompt was cached.
    cost: f64,
    /// What it costs more where its prompt is not.
    miss: f64,
    lasting: Micros,
    talk: Option<u64>,
}

struct Oracle {
    places: Vec<Place>,
    homes: HashMap<u64, usize>,
    waiting: VecDeque<Job>,
    /// Ends of running calls: time, place, tokens given back. Tokens in whole units, so that they can be ordered.
    ends: BinaryHeap<Reverse<(Micros, usize, i64)>>,
    wait: Micros,
    /// Throttled are counted that were due from here on.
    from: Micros,
    throttled: u64,
    now: Micros,
}

struct Place {
    limits: VecDeque<(Micros, Option<Limit>, Option<Limit>)>,
    requests: Option<Level>,
    tokens: Option<Level>,
}

#[derive(Clone, Copy)]
struct Level {
    limit: Limit,
    units: f64,
    at: Micros,
}

impl Level {
    fn refill(&mut self, now: Micros) {
        match self.limit.refill {
            Refill::Continuous => {
                let minutes = now.minus(self.at).as_seconds() / 60.0;
                self.units = (self.units + self.limit.per_minute * minutes).min(self.limit.depth);
            }
            Refill::Minute { offset } => {
                let turn = |at: Micros| at.plus(Micros::seconds(60)).minus(offset).0 / 60_000_000;
                if turn(now) > turn(self.at) {
                    self.units = self.limit.depth;
                }
            }
        }
        self.at = now;
    }
}

impl Place {
    fn refill(&mut self, now: Micros) {
        while let Some((at, requests, tokens)) = self.limits.front().copied().filter(|(at, _, _)| *at <= now) {
            let full = |limit: Option<Limit>, old: Option<Level>| {
                limit.map(|limit| Level { limit, units: old.map_or(limit.depth, |old| old.units.min(limit.depth)), at })
            };
            (self.requests, self.tokens) = (full(requests, self.requests), full(tokens, self.tokens));
            self.limits.pop_front();
        }
        for level in [&mut self.requests, &mut self.tokens].into_iter().flatten() {
            level.refill(now);
        }
    }

    fn fits(&self, reserve: f64) -> bool {
        self.requests.is_none_or(|level| level.units >= 1.0) && self.tokens.is_none_or(|level| level.units >= reserve)
    }

    fn fill(&self, reserve: f64) -> f64 {
        self.tokens.map_or(0.0, |level| 1.0 - (level.units - reserve) / level.limit.depth.max(1.0))
    }

    fn take(&mut self, reserve: f64) {
        if let Some(level) = &mut self.requests {
            level.units -= 1.0;
        }
        if let Some(level) = &mut self.tokens {
            level.units -= reserve;
        }
    }
}

impl Oracle {
    fn of(window: &Window<'_>) -> Option<Self> {
        let mut limits: BTreeMap<&BucketKey, VecDeque<_>> = BTreeMap::new();
        for event in &window.history.buckets {
            if let Change::Limits { requests, tokens } = event.change {
                limits.entry(&event.key).or_default().push_back((event.at, requests, tokens));
            }
        }
        let places: Vec<Place> = limits.into_values().map(|limits| Place { limits, requests: None, tokens: None }).collect();
        let wait = window.history.about.rules.oracle_wait;
        (!places.is_empty()).then(|| Self {
            places,
            homes: HashMap::new(),
            waiting: VecDeque::new(),
            ends: BinaryHeap::new(),
            wait,
            from: window.from,
            throttled: 0,
            now: Micros::ZERO,
        })
    }

    /// Lets time pass: calls end, waiters are served or give up.
    fn advance(&mut self, until: Micros) {
        /// Waiters are looked at so often; refills come evenly and have no moment of their own.
        const STEP: Micros = Micros::millis(50);
        loop {
            let end = self.ends.peek().map(|Reverse((at, _, _))| *at);
            let tick = (!self.waiting.is_empty()).then(|| self.now.plus(STEP));
            let Some(next) = [end, tick].into_iter().flatten().min().filter(|next| *next <= until) else { break };
            self.now = next.max(self.now);
            while let Some(Reverse((_, place, back))) = self.ends.peek().copied().filter(|Reverse((at, _, _))| *at <= self.now) {
                self.ends.pop();
                self.give_back(place, back);
            }
            self.serve();
        }
        if until.0 < u64::MAX {
            self.now = until;
        }
    }

    fn give_back(&mut self, place: usize, back: i64) {
        let now = self.now;
        if let Some(place) = self.places.get_mut(place) {
            place.refill(now);
            if let Some(level) = &mut place.tokens {
                #[allow(clippy::cast_precision_loss, reason = "tokens of a call lie far below 2^52")]
                let back = back as f64;
                level.units = (level.units + back).min(level.limit.depth);
            }
        }
    }

    fn arrive(&mut self, job: Job) {
        self.waiting.push_back(job);
        self.serve();
    }

    fn serve(&mut self) {
        let now = self.now;
        self.places.iter_mut().for_each(|place| place.refill(now));
        for job in std::mem::take(&mut self.waiting) {
            match self.choose(&job) {
                Some(place) => self.send(&job, place),
                None if now >= job.at.plus(self.wait) => self.throttled += u64::from(job.at >= self.from),
                None => self.waiting.push_back(job),
            }
        }
    }

    fn choose(&self, job: &Job) -> Option<usize> {
        let home = job.talk.and_then(|talk| self.homes.get(&talk).copied());
        if let Some(home) = home.filter(|home| self.places.get(*home).is_some_and(|place| place.fits(job.reserve))) {
            return Some(home);
        }
        let fitting = self.places.iter().enumerate().filter(|(_, place)| place.fits(job.reserve));
        let emptiest = fitting.min_by(|(_, one), (_, other)| one.fill(job.reserve).total_cmp(&other.fill(job.reserve)));
        let patient = home.is_some() && self.now < job.at.plus(self.wait);
        // A conversation waits for its home as long as it may.
        emptiest.map(|(place, _)| place).filter(|_| !patient)
    }

    #[allow(clippy::cast_possible_truncation, reason = "tokens of a call lie far below 2^52")]
    fn send(&mut self, job: &Job, place: usize) {
        let moved = job.talk.is_some_and(|talk| self.homes.insert(talk, place).is_some_and(|home| home != place));
        let cost = job.cost + if moved { job.miss } else { 0.0 };
        if let Some(place) = self.places.get_mut(place) {
            place.take(job.reserve);
        }
        self.ends.push(Reverse((self.now.plus(job.lasting), place, (job.reserve - cost).floor() as i64)));
    }
}

/// A window's requests with what they reserved and cost; those that were never answered cost what their kind does on average.
fn jobs(window: &Window<'_>) -> Vec<Job> {
    let seen = Seen::of(window.history);
    let burndown: BTreeMap<&str, f64> =
        window.history.about.models.iter().map(|model| (model.id.as_str(), float(model.burndown))).collect();
    let answered =
        |request: &Request| -> Option<&Call> { window.joined.calls_of(request).iter().rev().find(|call| call.whole.is_some()).copied() };
    let mut means: BTreeMap<&str, (f64, f64, u64)> = BTreeMap::new();
    for (request, call) in window.requests.iter().filter_map(|request| Some((request, answered(request)?))) {
        let mean = means.entry(&request.kind).or_default();
        *mean = (mean.0 + cost(call, &burndown), mean.1 + lasting(call).as_seconds(), mean.2 + 1);
    }
    let mut jobs: Vec<Job> = window
        .requests
        .iter()
        .filter_map(|request| {
            let call = answered(request);
            let mean = means.get(request.kind.as_str()).filter(|mean| mean.2 > 0);
            let usual = mean.map(|(cost, seconds, count)| {
                (cost / float(*count), Micros::from(std::time::Duration::from_secs_f64(seconds / float(*count))))
            });
            let (cost, lasting) = call.map(|call| (cost(call, &burndown), lasting(call))).or(usual)?;
            let miss = call.and_then(|call| call.ideal_cache_read).map_or(0.0, float);
            Some(Job {
                at: request.intended,
                reserve: seen.wanted(request)?,
                cost,
                miss,
                lasting,
                talk: request.conversation.map(|(talk, _)| talk),
            })
        })
        .collect();
    jobs.sort_by_key(|job| job.at);
    jobs
}

/// Tokens of the quota that a call cost had its prompt been where it was cached.
fn cost(call: &Call, burndown: &BTreeMap<&str, f64>) -> f64 {
    let whole = call.whole.unwrap_or_default();
    let lost = call.ideal_cache_read.unwrap_or(0).saturating_sub(whole.cache_read);
    let prompt = (whole.input + whole.cache_write).saturating_sub(lost);
    float(prompt) + float(whole.output) * burndown.get(call.model.as_str()).copied().unwrap_or(1.0)
}

fn lasting(call: &Call) -> Micros {
    call.ended.unwrap_or(call.arrived).minus(call.arrived)
}

/// Tokens lie far below 2^52.
#[allow(clippy::cast_precision_loss, reason = "see above")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Admission, BucketEvent, Ending, History, Tokens};

    /// One bucket of 6,000 tokens a minute; requests of 1,000 each, one a second.
    fn history(wait: u64) -> History {
        let mut history = History::default();
        history.about.rules.oracle_wait = Micros::seconds(wait);
        let limit = Some(Limit { per_minute: 6_000.0, depth: 6_000.0, refill: Refill::Continuous });
        let key = BucketKey { region: "us-east-1".to_owned(), model: "m".to_owned(), profile: String::new() };
        let change = Change::Limits { requests: None, tokens: limit };
        history.buckets.push(BucketEvent { at: Micros::ZERO, key, call: None, change, requests: None, tokens: Some(6_000) });
        for id in 0..20 {
            let at = Micros::seconds(id);
            let request = Request { id, nonce: format!("n{id}"), model_id: "m".to_owned(), intended: at, ..Request::default() };
            history.calls.push(Call {
                number: id + 1,
                model: "m".to_owned(),
                nonce: Some(request.nonce.clone()),
                arrived: at,
                admission: Admission::Admitted { reserved: Some(1_000) },
                whole: Some(Tokens { input: 1_000, ..Tokens::default() }),
                ended: Some(at.plus(Micros::seconds(1))),
                ending: Ending::Complete,
                ..Call::default()
            });
            history.requests.push(request);
        }
        history
    }

    fn share(history: &History) -> f64 {
        throttle_share(&Window::between(history, Micros::ZERO, Micros::seconds(60))).unwrap()
    }

    #[test]
    fn the_oracle_refuses_what_the_bucket_cannot_give() {
        // 6,000 at the start and 100 a second: 7 of the 20 within 20 s.
        let refused = share(&history(0));
        assert!((0.6..=0.7).contains(&refused), "{refused}");
    }

    #[test]
    fn the_oracle_comes_to_a_window_with_the_buckets_that_the_time_before_has_left_it() {
        let history = history(0);
        let late = throttle_share(&Window::between(&history, Micros::seconds(8), Micros::seconds(60))).unwrap();
        // Full again at the eighth second, it would have served half of the twelve.
        assert!(late >= 0.9, "{late}");
    }

    #[test]
    fn waiting_lets_some_of_them_through() {
        assert!(share(&history(30)) < share(&history(0)));
    }

    #[test]
    fn without_limits_there_is_no_oracle() {
        let mut history = history(0);
        history.buckets.clear();
        assert!(throttle_share(&Window::between(&history, Micros::ZERO, Micros::seconds(60))).is_none());
    }
}

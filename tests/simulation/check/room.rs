//! No client is throttled while a region that it may use had room for it all the time.
//!
//! Judged under the adaptive strategy alone: the others do not promise it. Room is that of the simulator's own buckets.
//! A region counts when nothing had befallen it for as long as the gateway may take to learn of a change: faults,
//! drains and changed quotas end such a time, and so do actors in trouble.

use std::time::Duration;

use outcrop_sim::{BucketChange, BucketEntry, CallRecord, Decision, Nanos, Quota, QuotaReplay, Refill, RefusedBy};

use super::Verdict;
use crate::{
    books::{Books, Seen},
    options::Limit,
};

/// The longest gap between two probes of a limit that is learned.
const PROBE_GAP: Duration = Duration::from_secs(60);
/// A region that failed is tried again within its longest backoff, which no seed sets higher.
const RECOVERY: Duration = Duration::from_secs(75);
/// What the gateway leaves in a bucket for others who may draw on it, and a little for what it cannot know to the unit: a share
/// of the depth, and one call at least.
const MARGIN: f64 = 0.12;
/// So long after an actor's trouble much may be unknown.
const TROUBLE: Duration = Duration::from_secs(5);

pub fn check(books: &Books) -> Verdict {
    let mut verdict = Verdict::default();
    // Whom the settings told less than the truth finds it out in time, probe by probe.
    if books.options.strategy != "adaptive" || books.options.told.is_some_and(|factor| factor < 1.0) {
        return verdict;
    }
    let replay = QuotaReplay::new(&books.buckets);
    for seen in books.requests.iter().filter(|seen| seen.status == Some(429)) {
        let from = seen.asked.at;
        if books.trouble(from.saturating_sub(TROUBLE), seen.ended) {
            continue;
        }
        // The operator's limit on calls ends a request as well.
        if books.calls_of(seen).count() as u64 >= books.options.limits.max_attempts {
            continue;
        }
        verdict.look();
        let wanted = wanted(books, seen);
        if let Some(region) = healthy(books, seen).find(|region| fits(books, &replay, region, seen, wanted)) {
            let error = seen.error.as_ref().map_or("", |error| error.message.as_str());
            verdict.fail(
                seen.ended,
                format!("request {} was throttled ({error}), though {region} had room for its {wanted} tokens", seen.asked.id),
            );
        }
    }
    verdict
}

/// What the request reserves: as the simulator said of its calls, else more than it can be.
fn wanted(books: &Books, seen: &Seen) -> u64 {
    let of_call = |call: &CallRecord| match &call.decision {
        Decision::Admitted { reserved, .. } => *reserved,
        Decision::Refused { by: RefusedBy::Quota { wanted, .. }, .. } => Some(*wanted),
        _ => None,
    };
    let one = books.calls_of(seen).filter_map(of_call).max().unwrap_or(seen.asked.reservation() * 2);
    one * u64::from(seen.asked.choices)
}

fn healthy<'b>(books: &'b Books, seen: &'b Seen) -> impl Iterator<Item = &'static str> + 'b {
    let (from, until) = (seen.asked.at.saturating_sub(RECOVERY), seen.ended);
    let options = &books.options;
    options.regions_of(seen.asked.model.id).into_iter().filter(move |region| {
        let touched = |other: &Option<&str>| other.is_none_or(|other| other == *region);
        let faults = options.faults.iter().any(|fault| touched(&fault.region) && fault.from <= until && fault.until >= from);
        let drains = options.drains.iter().any(|drain| drain.region == *region && drain.from <= until && drain.until >= from);
        !faults && !drains
    })
}

fn fits(books: &Books, replay: &QuotaReplay, region: &str, seen: &Seen, wanted: u64) -> bool {
    let mut known = replay.buckets().filter(|bucket| bucket.region == region && bucket.model == seen.asked.model.id).peekable();
    if known.peek().is_none() {
        // Without a bucket nothing is limited.
        return true;
    }
    let margin = |units: Option<u64>, quota: &Quota| units.map_or(0.0, |units| units as f64 * depth_minutes(quota) * MARGIN);
    let (from, until) = (seen.asked.at.saturating_sub(PROBE_GAP), seen.ended);
    known.all(|bucket| {
        // A limit that nobody told is learned from its first refusal on, which takes a while.
        let refused = |entry: &&BucketEntry| entry.bucket.as_ref() == bucket && matches!(entry.change, BucketChange::Refused { .. });
        let first = books.buckets.iter().find(refused).map(|entry| entry.at.duration());
        if first.is_some_and(|first| first >= from && first <= until) {
            return false;
        }
        let limits = books.options.quotas.iter().filter(|limit| limit.region == region && limit.model == bucket.model);
        let (calls, tokens) = limits.fold((1.0_f64, 0.0_f64), |(calls, tokens), Limit { quota, .. }| {
            (calls.max(margin(quota.requests_per_minute, quota)), tokens.max(margin(quota.tokens_per_minute, quota)))
        });
        let roomy = |at: Duration| {
            replay.room(bucket, Nanos::from(at)).is_none_or(|room| {
                room.requests.is_none_or(|left| left as f64 >= f64::from(seen.asked.choices) + calls)
                    && room.tokens.is_none_or(|left| left as f64 >= wanted as f64 + tokens)
            })
        };
        let entries = books.buckets.iter().filter(|entry| entry.bucket.as_ref() == bucket).map(|entry| entry.at.duration());
        let within = entries.filter(|at| (from..=until).contains(at));
        // Levels only rise between entries.
        [from, until].into_iter().chain(within).all(roomy)
    })
}

/// How many minutes of its rate a bucket holds.
fn depth_minutes(quota: &Quota) -> f64 {
    if quota.refill == Refill::Window { 1.0 } else { quota.depth.as_secs_f64() / 60.0 }
}

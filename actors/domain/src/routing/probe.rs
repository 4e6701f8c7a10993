//! Which target to ask when the shadows say that all are full: one real request, where the shadow is least sure.

use std::time::Duration;

use super::view::{Demand, Home, RESOURCES, RouteRequest, TargetSet, TargetView};
use crate::clock::Moment;

/// A target whose margin alone is missing is not asked within so long of its last refusal: that refusal was about the margin.
const DIP_REST: Duration = Duration::from_secs(1);
/// ...unless the level, which that refusal corrected, exceeds the demand by this share of the depth.
const SURE: f64 = 0.01;
/// A request at its deadline tests what may be there ([`ResourceProbe::slack`]), and sooner than others what it is short of by at
/// most this share of a depth: the shadow's error is as large.
const CLOSE: f64 = 0.05;
/// ...but not sooner than this after a refusal, which measured the level: for more than was refused, that is...
const CLOSE_REST: Duration = Duration::from_secs(8);
/// No test at a deadline follows the last one sooner: a refusal has come back by then. When none has, the level is higher than
/// believed, and those who are refused meanwhile had room.
const CLOSE_PAUSE: Duration = Duration::from_millis(250);
/// A target that is short by more than this share of its depth, unless its quota is tentative...
const FAR: f64 = 0.5;
/// ...is not tested for so long after its level was measured: the answer is known.
const FAR_REST: Duration = Duration::from_secs(30);
/// A request may be so much larger than a depth and still test it: the depth itself is an estimate. That of a tentative quota is none.
const DEPTH_DOUBT: f64 = 0.9;
/// A request larger than every depth tests the deepest bucket once in so long: it may be the depth that is wrong.
const GIANT_GAP: Duration = Duration::from_secs(60);

/// What a target's owner publishes for probing, beside the [`TargetView`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProbeView {
    /// When the last probe was sent there. Claim a probe by setting this with compare-exchange.
    pub probed: Option<Moment>,
    /// By resource, in the order of [`Resource::ALL`](super::view::Resource::ALL).
    pub resources: [ResourceProbe; RESOURCES],
}

/// What is needed of one resource.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ResourceProbe {
    /// Least pause between probes.
    pub gap: Duration,
    /// Last refusal.
    pub refused: Option<Moment>,
    /// Last time the level was measured.
    pub synced: Moment,
    /// How much more than believed may be there, units: [`Shadow::slack`](super::shadow::Shadow::slack).
    pub slack: f64,
}

/// When a request asks for a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// It came in and everything is full: it may still wait.
    Arrival,
    /// Its deadline has come: otherwise it is refused.
    Deadline,
    /// It came to a queue that is full: otherwise it is refused, but what is held for older ones is not for it.
    Crowded,
}

/// One call to a target that is full as far as its shadow knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// The shadow has room, but for its margin or for what is held: the call will most likely be answered, and mostly teaches
    /// nothing. As a request's own call it costs no budget: simulated at 105 % load, half of those who were refused could have
    /// dipped, had they been able to pay.
    Dip(usize),
    /// The shadow has no room: an answer would be news. Pay it from the [`RetryBudget`](super::budget::RetryBudget) and claim it
    /// by setting [`ProbeView::probed`] with compare-exchange.
    Test(usize),
    /// A test is due as soon as it shows what became of the last one: ask again then.
    Later(Moment),
}

/// When a target may be tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Now,
    At(Moment),
    Not,
}

/// The probe that is due, or `None`. Pure; at most one is sent per request while it may wait, and one at the end of that.
///
/// Tests go to the target untested for longest. Dips are for requests that would be refused otherwise, and go where most room
/// is left. A conversation (`sticky`) asks its warm home alone: an answer elsewhere would burn its prefix and move it.
#[must_use]
pub fn probe(
    request: &RouteRequest,
    targets: &[TargetView],
    probes: &[ProbeView],
    sticky: Option<Home>,
    urgency: Urgency,
    now: Moment,
) -> Option<Probe> {
    let candidates = super::adaptive::candidates(request, targets);
    let home = super::adaptive::warm_home(request, targets, candidates, sticky, now);
    let usable = home.map_or(candidates, |(index, _)| TargetSet::only(index));
    let mut dip: Option<(usize, f64)> = None;
    let mut test: Option<(usize, Option<Moment>)> = None;
    let mut later: Option<Moment> = None;
    for (index, (target, probe)) in members(targets, probes, usable) {
        let wanted = wanted(&request.demand, target, urgency);
        let lacks = missing(&wanted, target);
        if lacks <= 0.0 {
            let rested = lacks <= -SURE || last_refused(probe).is_none_or(|last| now.since(last) >= DIP_REST);
            if urgency != Urgency::Arrival && rested && dip.is_none_or(|(_, least)| lacks < least) {
                dip = Some((index, lacks));
            }
            continue;
        }
        if urgency == Urgency::Crowded && missing(&request.demand, target) <= 0.0 {
            // Only what is held is in its way: an answer would be no news.
            continue;
        }
        match due(&wanted, target, probe, lacks, urgency, now) {
            Due::Now if test.is_none_or(|(_, last)| probe.probed < last) => test = Some((index, probe.probed)),
            Due::At(at) => later = Some(later.map_or(at, |sooner| sooner.min(at))),
            Due::Now | Due::Not => {}
        }
    }
    let dip = dip.map(|(index, _)| Probe::Dip(index));
    let chosen = dip.or_else(|| test.map(|(index, _)| Probe::Test(index))).or_else(|| later.map(Probe::Later));
    chosen.or_else(|| giant(request, targets, probes, usable, now).map(Probe::Test))
}

/// Are this target's tokens tentative, and may be tested by `deadline` however much is wanted of them?
#[must_use]
pub fn testable_by(target: &TargetView, probe: &ProbeView, deadline: Moment) -> bool {
    let [_, tokens] = probe.resources;
    target.tokens().tentative && rested(probe, tokens.gap, deadline)
}

fn members<'a>(
    targets: &'a [TargetView],
    probes: &'a [ProbeView],
    set: TargetSet,
) -> impl Iterator<Item = (usize, (&'a TargetView, &'a ProbeView))> {
    targets.iter().zip(probes).enumerate().filter(move |(index, _)| set.contains(*index))
}

/// What must be there for a request: what it reserves, and for who comes last what is held as well.
fn wanted(demand: &Demand, target: &TargetView, urgency: Urgency) -> Demand {
    let [requests, tokens] = demand.0;
    Demand([requests, if urgency == Urgency::Crowded { tokens + target.held } else { tokens }])
}

/// What the fullest known resource lacks for the demand, as a share of its depth; negative when only margins are missing, or
/// what is held.
fn missing(demand: &Demand, target: &TargetView) -> f64 {
    let known = target.resources.iter().zip(demand.0).filter(|(view, _)| view.known);
    known.map(|(view, amount)| (amount - view.level) / view.depth).fold(f64::NEG_INFINITY, f64::max)
}

fn last_refused(probe: &ProbeView) -> Option<Moment> {
    probe.resources.iter().filter_map(|resource| resource.refused).max()
}

fn due(demand: &Demand, target: &TargetView, probe: &ProbeView, missing: f64, urgency: Urgency, now: Moment) -> Due {
    let tokens = target.tokens();
    if tokens.known && !tokens.tentative && tokens.depth < DEPTH_DOUBT * demand.tokens() {
        return Due::Not;
    }
    // The resources that are short say how often to ask.
    let short = target.resources.iter().zip(demand.0).zip(&probe.resources);
    let short = short.filter(|((view, amount), _)| view.known && *amount > view.level);
    // Whether a tentative quota is far short is what a test shows.
    let tentative = short.clone().all(|((view, _), _)| view.tentative);
    let measured = probe.resources.iter().map(|resource| resource.synced).max().unwrap_or_default();
    if missing > FAR && !tentative && now.since(measured) < FAR_REST {
        return Due::Not;
    }
    let gap = short.clone().map(|(_, resource)| resource.gap).max().unwrap_or_default();
    if urgency == Urgency::Arrival {
        return if rested(probe, gap, now) { Due::Now } else { Due::Not };
    }
    let may_be_there = short.clone().all(|((view, amount), resource)| amount - view.level < resource.slack);
    let refused = last_refused(probe).map(|last| now.since(last));
    let far = missing > CLOSE && !tentative;
    let rest = if tentative { gap } else { gap.min(CLOSE_REST) };
    if !may_be_there && (far || refused.is_some_and(|ago| ago < rest)) {
        return if rested(probe, gap, now) { Due::Now } else { Due::Not };
    }
    match probe.probed.map(|last| last.after(gap.min(CLOSE_PAUSE))) {
        Some(at) if at > now => Due::At(at),
        _ => Due::Now,
    }
}

/// Is the last test, and the last refusal, at least `gap` ago?
fn rested(probe: &ProbeView, gap: Duration, now: Moment) -> bool {
    last_refused(probe).max(probe.probed).is_none_or(|last| now.since(last) >= gap)
}

/// For a request that no bucket holds: the deepest one, when it is full and rested.
fn giant(request: &RouteRequest, targets: &[TargetView], probes: &[ProbeView], usable: TargetSet, now: Moment) -> Option<usize> {
    if members(targets, probes, usable).any(|(_, (target, _))| target.holds(&request.demand)) {
        return None;
    }
    let deepest = members(targets, probes, usable).max_by(|(_, (a, _)), (_, (b, _))| a.tokens().depth.total_cmp(&b.tokens().depth));
    let (index, (target, probe)) = deepest?;
    let full = target.fits(&Demand::of_tokens(target.tokens().depth));
    (full && rested(probe, GIANT_GAP, now)).then_some(index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::{
        Gate,
        view::{CacheLife, Resource, ResourceView, Spill, TargetSet},
    };

    const NOW: Moment = Moment(Duration::from_secs(1_000));

    fn request(tokens: f64) -> RouteRequest {
        RouteRequest {
            demand: Demand::of_tokens(tokens),
            prefix: 0.0,
            affinity: 1,
            cache: CacheLife::Short,
            arrived: NOW,
            deadline: NOW,
            spill: Spill::Allowed,
            allowed: TargetSet::ALL,
            tried: TargetSet::EMPTY,
            draw: 0.5,
            turn: 0,
        }
    }

    fn target(depth: f64, level: f64) -> TargetView {
        let tokens = ResourceView { rate: depth / 60.0, depth, level, margin: 0.01, known: true, tentative: false, refills_after: None };
        TargetView { resources: [ResourceView::unknown(Resource::Requests), tokens], ..TargetView::unknown(1) }
    }

    fn ago(seconds: u64) -> Moment {
        Moment(NOW.0 - Duration::from_secs(seconds))
    }

    fn probed(seconds: u64, gap: u64) -> ProbeView {
        let resource = ResourceProbe { gap: Duration::from_secs(gap), refused: None, synced: ago(600), slack: 0.0 };
        ProbeView { probed: Some(ago(seconds)), resources: [resource; RESOURCES] }
    }

    #[test]
    fn the_target_unprobed_for_longest_is_asked() {
        let targets = [target(1e5, 0.0), target(1e5, 0.0), target(1e5, 0.0)];
        let probes = [probed(10, 2), probed(90, 2), probed(40, 2)];
        assert_eq!(probe(&request(1e4), &targets, &probes, None, Urgency::Arrival, NOW), Some(Probe::Test(1)));
    }

    #[test]
    fn no_target_is_asked_before_its_gap_has_passed_since_probe_and_refusal() {
        let targets = [target(1e5, -1e4)];
        assert_eq!(probe(&request(1e4), &targets, &[probed(5, 6)], None, Urgency::Arrival, NOW), None);
        assert_eq!(probe(&request(1e4), &targets, &[probed(6, 6)], None, Urgency::Arrival, NOW), Some(Probe::Test(0)));
        let mut refused = probed(60, 6);
        refused.resources[1].refused = Some(ago(1));
        assert_eq!(probe(&request(1e4), &targets, &[refused], None, Urgency::Arrival, NOW), None);
    }

    #[test]
    fn at_its_deadline_a_request_that_is_nearly_there_asks_sooner() {
        let targets = [target(1e5, 9_000.0)];
        assert_eq!(probe(&request(1e4), &targets, &[probed(10, 60)], None, Urgency::Arrival, NOW), None);
        assert_eq!(probe(&request(1e4), &targets, &[probed(10, 60)], None, Urgency::Deadline, NOW), Some(Probe::Test(0)));
    }

    #[test]
    fn a_test_at_a_deadline_that_was_not_refused_permits_the_next_and_a_refusal_does_not() {
        let targets = [target(1e5, 9_000.0)];
        let ask = |tested: Duration, refused: Option<u64>| {
            let mut seen = probed(0, 60);
            seen.probed = Some(Moment(NOW.0 - tested));
            seen.resources[1].refused = refused.map(ago);
            probe(&request(1e4), &targets, &[seen], None, Urgency::Deadline, NOW)
        };
        let soon = Moment(NOW.0 + Duration::from_millis(1));
        assert_eq!(ask(Duration::from_millis(249), None), Some(Probe::Later(soon)), "its refusal may be on its way");
        assert_eq!(ask(Duration::from_millis(250), None), Some(Probe::Test(0)));
        assert_eq!(ask(Duration::from_secs(8), Some(7)), None);
        assert_eq!(ask(Duration::from_secs(8), Some(8)), Some(Probe::Test(0)));
    }

    #[test]
    fn a_request_at_its_deadline_may_dip_into_the_margin_where_most_is_left() {
        let targets = [target(1e5, 1.02e4), target(1e5, 1.09e4)];
        let mut probes = [probed(0, 60); 2];
        assert_eq!(probe(&request(1e4), &targets, &probes, None, Urgency::Arrival, NOW), None);
        assert_eq!(probe(&request(1e4), &targets, &probes, None, Urgency::Deadline, NOW), Some(Probe::Dip(1)));
        probes[1].resources[1].refused = Some(ago(0));
        assert_eq!(probe(&request(1e4), &targets, &probes, None, Urgency::Deadline, NOW), Some(Probe::Dip(0)));
    }

    #[test]
    fn at_its_deadline_a_request_tests_what_may_be_there_whatever_was_refused() {
        let targets = [target(1e5, -2e4)];
        let ask = |tokens: f64, urgency| {
            let mut seen = probed(1, 60);
            seen.resources[1] = ResourceProbe { refused: Some(ago(1)), slack: 5e4, ..seen.resources[1] };
            probe(&request(tokens), &targets, &[seen], None, urgency, NOW)
        };
        assert_eq!(ask(2.9e4, Urgency::Arrival), None);
        assert_eq!(ask(2.9e4, Urgency::Deadline), Some(Probe::Test(0)), "it may be there");
        assert_eq!(ask(3e4, Urgency::Deadline), None, "as much was refused");
    }

    #[test]
    fn who_comes_to_a_full_queue_leaves_alone_what_is_held_for_others() {
        let targets = [TargetView { held: 8.5e4, ..target(1e5, 9.05e4) }, TargetView { held: 1e4, ..target(1e5, 2.05e4) }];
        let ask = |tokens: f64, urgency| probe(&request(tokens), &targets, &[probed(90, 60); 2], None, urgency, NOW);
        assert_eq!(ask(1e4, Urgency::Deadline), Some(Probe::Dip(0)), "it is the oldest");
        assert_eq!(ask(1e4, Urgency::Crowded), Some(Probe::Dip(1)), "there is as much beside what is held");
        assert_eq!(ask(1.2e4, Urgency::Crowded), None, "it is there, for others: no test either");
        assert_eq!(ask(2.1e4, Urgency::Crowded), Some(Probe::Test(1)), "nobody knows of as much there");
    }

    #[test]
    fn what_was_measured_far_short_is_not_asked_again() {
        let targets = [target(1e5, -6e4)];
        let mut measured = probed(10, 2);
        assert_eq!(probe(&request(1e4), &targets, &[measured], None, Urgency::Arrival, NOW), Some(Probe::Test(0)));
        measured.resources[1].synced = ago(29);
        assert_eq!(probe(&request(1e4), &targets, &[measured], None, Urgency::Arrival, NOW), None);
    }

    #[test]
    fn what_is_tentative_is_tested_however_far_short_it_seems() {
        let ask = |tentative: bool, refused: u64, tested: u64, urgency| {
            let mut seen = target(100.0, 10.0);
            seen.resources[1].tentative = tentative;
            let mut probes = probed(tested, 2);
            probes.resources[1] = ResourceProbe { refused: Some(ago(refused)), synced: ago(refused), ..probes.resources[1] };
            probe(&request(6e4), &[seen], &[probes], None, urgency, NOW)
        };
        assert_eq!(ask(true, 2, 90, Urgency::Arrival), Some(Probe::Test(0)));
        assert_eq!(ask(true, 1, 90, Urgency::Arrival), None, "not before its gap");
        assert_eq!(ask(true, 2, 1, Urgency::Arrival), None);
        assert_eq!(ask(true, 2, 1, Urgency::Deadline), Some(Probe::Test(0)), "the last test was not refused");
        assert_eq!(ask(true, 1, 1, Urgency::Deadline), None, "it was");
        assert_eq!(ask(false, 2, 90, Urgency::Deadline), None, "such a bucket never holds it");
    }

    #[test]
    fn tentative_tokens_are_testable_by_a_deadline_after_their_gap() {
        let mut seen = target(100.0, 10.0);
        let probes = probed(1, 4);
        let by = |seen: &TargetView, seconds| testable_by(seen, &probes, Moment(NOW.0 + Duration::from_secs(seconds)));
        assert!(!by(&seen, 60), "what is known is not tested by what is larger");
        seen.resources[1].tentative = true;
        assert_eq!([2, 3].map(|seconds| by(&seen, seconds)), [false, true]);
    }

    #[test]
    fn closed_and_tried_targets_are_not_asked() {
        let mut tried = request(1e4);
        tried.tried.insert(0);
        let closed = TargetView { gate: Gate::Open { until: ago(0) }, ..target(1e5, 0.0) };
        assert_eq!(probe(&tried, &[target(1e5, 0.0), closed], &[probed(90, 2); 2], None, Urgency::Deadline, NOW), None);
    }

    #[test]
    fn a_request_larger_than_every_bucket_asks_the_deepest_full_one_once_a_minute() {
        let targets = [target(1e4, 1e4), target(2e4, 2e4)];
        assert_eq!(probe(&request(9e4), &targets, &[probed(60, 2); 2], None, Urgency::Arrival, NOW), Some(Probe::Test(1)));
        assert_eq!(probe(&request(9e4), &targets, &[probed(59, 2); 2], None, Urgency::Arrival, NOW), None);
        let used = [target(1e4, 1e4), target(2e4, 1e4)];
        assert_eq!(probe(&request(9e4), &used, &[probed(60, 2); 2], None, Urgency::Arrival, NOW), None);
    }
}

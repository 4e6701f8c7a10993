//! I6: no client-visible throttle while there was room.

use std::collections::BTreeMap;

use super::Verdict;
use crate::history::{BucketKey, Buckets, History, Joined, Micros, Request};

/// How long a prompt cache lives after its last use, unless the request asks for more.
const CACHE_LIFE: Micros = Micros::seconds(300);

/// Judges each throttled request by the true buckets of the second before it.
pub(super) fn check(history: &History) -> Verdict {
    let seen = Seen::of(history);
    let mut verdict = Verdict::default();
    for request in history.requests.iter().filter(|request| request.throttled()) {
        // A key's own limit is a throttle of another kind.
        if history.about.rules.key_limits.contains_key(&request.key) {
            continue;
        }
        let Some(ended) = request.ended else { continue };
        if ended <= history.about.rules.finding {
            continue;
        }
        let Some(wanted) = seen.wanted(request) else { continue };
        verdict.look();
        if let Some(region) = seen.room(request, ended, wanted) {
            let words = format!("throttled at {ended}, though {region} had room for its {wanted:.0} tokens for all of the second before");
            verdict.fail(ended, Some(request.id), None, words);
        }
    }
    if within(verdict.found, history) {
        // They are told all the same.
        verdict.found = 0;
    }
    verdict
}

/// Are so many refusals as few as the rules allow of those that are judged?
#[allow(clippy::cast_precision_loss, reason = "counts lie far below 2^52")]
fn within(found: u64, history: &History) -> bool {
    let rules = &history.about.rules;
    let judged = history
        .requests
        .iter()
        .filter(|request| request.ended.is_some_and(|ended| ended > rules.finding) && !rules.key_limits.contains_key(&request.key));
    found as f64 <= rules.refused_with_room * judged.count() as f64
}

/// What the books know about room.
pub(crate) struct Seen<'h> {
    history: &'h History,
    joined: Joined<'h>,
    pub(crate) buckets: Buckets,
    /// Largest reservation seen, by kind of request and turn of its conversation.
    sizes: BTreeMap<(&'h str, u32), u64>,
}

impl<'h> Seen<'h> {
    pub(crate) fn of(history: &'h History) -> Self {
        let joined = Joined::of(history);
        let mut sizes: BTreeMap<(&str, u32), u64> = BTreeMap::new();
        for request in &history.requests {
            for wanted in joined.calls_of(request).iter().filter_map(|call| call.wanted()) {
                let size = sizes.entry((request.kind.as_str(), turn(request))).or_default();
                *size = wanted.max(*size);
            }
        }
        Self { history, joined, buckets: Buckets::of(history), sizes }
    }

    /// Tokens that a request would have reserved: of its own calls, else the most that one of its kind did.
    #[allow(clippy::cast_precision_loss, reason = "reservations lie far below 2^52")]
    pub(crate) fn wanted(&self, request: &Request) -> Option<f64> {
        let own = self.joined.calls_of(request).iter().filter_map(|call| call.wanted()).max();
        let of_kind = || {
            let exact = self.sizes.get(&(request.kind.as_str(), turn(request)));
            exact.or_else(|| self.sizes.iter().filter(|((kind, _), _)| *kind == request.kind).map(|(_, size)| size).max()).copied()
        };
        // Where nothing is limited no reservation matters.
        own.or_else(of_kind).or_else(|| self.regions(request).next().is_none().then_some(0)).map(|wanted| wanted as f64)
    }

    /// A region that had room for the request during all of the window before `at`, as the rules count room.
    pub(crate) fn room(&self, request: &Request, at: Micros, wanted: f64) -> Option<&'h str> {
        self.room_beyond(request, at, wanted, self.history.about.rules.spill_reserve)
    }

    /// The same down to the last token of each bucket, whatever the rules let a router keep back.
    pub(crate) fn any_room(&self, request: &Request, at: Micros, wanted: f64) -> Option<&'h str> {
        self.room_beyond(request, at, wanted, 0.0)
    }

    fn room_beyond(&self, request: &Request, at: Micros, wanted: f64, reserve: f64) -> Option<&'h str> {
        let from = at.minus(self.history.about.rules.room_window);
        self.healthy(request, at).find(|region| self.fits(region, request, from, at, wanted, reserve))
    }

    /// Allowed regions without trouble before `at`.
    pub(crate) fn healthy<'a>(&'a self, request: &'a Request, at: Micros) -> impl Iterator<Item = &'h str> + 'a {
        let rules = &self.history.about.rules;
        let allowed = |region: &str| request.fence.is_empty() || request.fence.iter().any(|fenced| fenced == region);
        let regions = self.history.about.regions.iter().map(String::as_str);
        regions.filter(move |region| allowed(region) && !self.trouble(region, at.minus(rules.recovery), at))
    }

    fn trouble(&self, region: &str, from: Micros, until: Micros) -> bool {
        let faults = self.history.faults.iter().filter(|fault| fault.layer != crate::history::Layer::Client && !fault.is_quota());
        faults.into_iter().any(|fault| fault.touches(region) && fault.overlaps(from, until))
    }

    fn fits(&self, region: &str, request: &Request, from: Micros, until: Micros, wanted: f64, reserve: f64) -> bool {
        let mut keys = self.regions(request).filter(|key| key.region == region).peekable();
        let reserve = if self.cached_elsewhere(request, region, until) { reserve } else { 0.0 };
        let needed = |key: &BucketKey| wanted + reserve * self.buckets.depth(key, until);
        // A region without a bucket of the model is not limited.
        keys.peek().is_none() || keys.any(|key| self.buckets.fits_throughout(key, from, until, needed(key)))
    }

    /// Was the conversation of a request last answered in another region, so lately that its prompt is cached there? The journal
    /// says so: what a response's header tells is the accused's.
    fn cached_elsewhere(&self, request: &Request, region: &str, at: Micros) -> bool {
        let Some((conversation, _)) = request.conversation else { return false };
        let before =
            self.history.requests.iter().filter(|other| {
                other.conversation.is_some_and(|(id, _)| id == conversation) && other.ended.is_some_and(|ended| ended <= at)
            });
        let answered = |other| self.joined.calls_of(other).iter().rev().find(|call| call.billed.is_some());
        let homes = before.filter_map(|other| Some((other.ended?, answered(other)?.region.as_str())));
        homes.max_by_key(|(ended, _)| *ended).is_some_and(|(ended, home)| home != region && at.minus(ended) <= CACHE_LIFE)
    }

    pub(crate) fn regions<'a>(&'a self, request: &'a Request) -> impl Iterator<Item = &'a BucketKey> {
        self.buckets.of_model(&request.model_id)
    }
}

fn turn(request: &Request) -> u32 {
    request.conversation.map_or(0, |(_, turn)| turn)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::kit::{EAST, WEST, answered, call, empty, fault, limited, refused, rejected, seconds};

    /// A request throttled at second 30 that wanted 2,000 tokens.
    fn history(east: i64, west: i64) -> History {
        let mut history = empty();
        limited(&mut history, EAST, 29, east);
        limited(&mut history, WEST, 29, west);
        let request = refused(1, 30, 429);
        history.calls.push(rejected(1, &request, 429, "Too many tokens"));
        history.requests.push(request);
        history
    }

    #[test]
    fn a_throttle_without_room_anywhere_is_good() {
        let verdict = check(&history(0, 500));
        assert_eq!((verdict.checked, verdict.found), (1, 0), "{verdict:?}");
    }

    #[test]
    fn what_is_refused_while_quotas_are_being_found_is_not_judged_one_by_one() {
        let mut finding = history(0, 20_000);
        finding.about.rules.finding = Micros::seconds(31);
        assert_eq!(check(&finding).checked, 0);
        finding.about.rules.finding = Micros::seconds(29);
        assert_eq!(check(&finding).found, 1);
    }

    #[test]
    fn a_throttle_with_room_in_one_region_is_a_violation() {
        let verdict = check(&history(0, 20_000));
        assert_eq!(verdict.found, 1);
        assert!(verdict.violations[0].words.contains(WEST), "{verdict:?}");
    }

    #[test]
    fn a_rule_allows_a_share_of_all_requests_to_be_refused_with_room() {
        let mut history = history(0, 20_000);
        history.requests.push(answered(2, 20, 2));
        history.about.rules.refused_with_room = 0.5;
        let verdict = check(&history);
        assert_eq!((verdict.checked, verdict.found, verdict.violations.len()), (1, 0, 1), "one of two, which is told");
        history.about.rules.refused_with_room = 0.4;
        assert_eq!(check(&history).found, 1);
    }

    #[test]
    fn a_cached_conversation_may_be_kept_from_the_last_of_another_regions_room() {
        let mut history = history(0, 8_000);
        let mut turn = answered(2, 20, 2);
        turn.conversation = Some((1, 0));
        history.calls.push(call(2, &turn));
        history.requests.push(turn);
        history.requests[0].conversation = Some((1, 1));
        assert_eq!(check(&history).found, 1, "unless the rules say so it may not");
        history.about.rules.spill_reserve = 0.15;
        // West holds 60,000: 15 % are 9,000, and 2,000 are wanted.
        assert_eq!(check(&history).found, 0);
        let seen = Seen::of(&history);
        assert_eq!(seen.any_room(&history.requests[0], seconds(30), 2_000.0), Some(WEST), "the exemption is told apart");
        // What the gateway says of the region changes nothing: the journal knows better.
        history.requests[1].region = Some(WEST.to_owned());
        assert_eq!(check(&history).found, 0);
        history.requests[1].region = Some(EAST.to_owned());
        history.calls[1].region = WEST.to_owned();
        assert_eq!(check(&history).found, 1, "its prompt is cached where the room is");
        history.calls[1].region = EAST.to_owned();
        limited(&mut history, WEST, 29, 20_000);
        assert_eq!(check(&history).found, 1, "that is more than the last of it");
        history.requests[0].conversation = Some((7, 0));
        assert_eq!(check(&history).found, 1, "a conversation that begins is cached nowhere");
    }

    #[test]
    fn room_that_came_within_the_second_does_not_count() {
        // 1,000 tokens a second: 1,500 at second 29 are 2,500 at second 30, but not for all of the second.
        assert_eq!(check(&history(0, 1_500)).found, 0);
    }

    #[test]
    fn a_region_in_trouble_or_outside_the_fence_has_no_room() {
        let mut troubled = history(20_000, 0);
        troubled.faults.push(fault("error", 10, 25));
        assert_eq!(check(&troubled).found, 0, "its last fault is five seconds old");
        let mut fenced = history(0, 20_000);
        fenced.requests[0].fence = vec![EAST.to_owned()];
        assert_eq!(check(&fenced).found, 0);
        let mut changed = history(0, 20_000);
        changed.faults.push(crate::history::FaultSpan { region: None, ..fault("quota_scale", 10, 60) });
        assert_eq!(check(&changed).found, 1, "a changed quota is no trouble");
    }

    #[test]
    fn a_request_that_was_never_tried_is_judged_by_the_largest_of_its_kind() {
        let mut history = history(0, 20_000);
        history.calls.clear();
        assert_eq!(check(&history).checked, 0, "nobody knows what it would have reserved");
        let other = answered(2, 20, 2);
        history.calls.push(call(2, &other));
        history.requests.push(other);
        assert_eq!(check(&history).found, 1);
    }

    #[test]
    fn without_any_quota_no_throttle_is_good() {
        let mut history = empty();
        history.requests.push(refused(1, 30, 429));
        assert_eq!(check(&history).found, 1);
        history.faults.push(crate::history::FaultSpan { region: None, ..fault("throttle", 10, 60) });
        assert_eq!(check(&history).found, 0, "every region is in trouble");
        assert_eq!(seconds(1), history.about.rules.room_window);
    }
}

//! I17: conversations stay where their prompt cache is.

use std::collections::BTreeMap;

use super::Verdict;
use crate::history::{Call, History, Joined, Micros, Request};

/// How conversations fared.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Affinity {
    /// Turns after the first.
    pub(crate) turns: u64,
    /// Those that went to another region than the turn before.
    pub(crate) moves: u64,
    /// Cache tokens read.
    pub(crate) read: u64,
    /// Cache tokens that one cache for all regions would have given.
    pub(crate) ideal: u64,
}

impl Affinity {
    /// Of the turns sent within a stretch.
    pub(crate) fn of(history: &History, joined: &Joined<'_>, from: Micros, until: Micros) -> Self {
        let mut talks: BTreeMap<u64, Vec<(&Request, &Call)>> = BTreeMap::new();
        for request in &history.requests {
            let Some((talk, _)) = request.conversation else { continue };
            if let Some(call) = joined.calls_of(request).iter().rev().find(|call| call.billed.is_some()) {
                talks.entry(talk).or_default().push((request, call));
            }
        }
        let mut affinity = Self::default();
        for turns in talks.values() {
            let mut before: Option<&str> = None;
            for (request, call) in turns {
                let moved = before.is_some_and(|region| region != call.region);
                let first = before.replace(&call.region).is_none();
                if request.intended < from || request.intended > until {
                    continue;
                }
                affinity.read += call.billed.map_or(0, |billed| billed.cache_read);
                affinity.ideal += call.ideal_cache_read.unwrap_or(0);
                affinity.turns += u64::from(!first);
                affinity.moves += u64::from(moved);
            }
        }
        affinity
    }

    /// Share of the possible cache reads; 1 when none were possible.
    #[allow(clippy::cast_precision_loss, reason = "token counts of a run lie far below 2^52")]
    pub(crate) fn hit_share(self) -> f64 {
        if self.ideal == 0 { 1.0 } else { self.read as f64 / self.ideal as f64 }
    }

    /// Share of turns that moved.
    #[allow(clippy::cast_precision_loss, reason = "turns of a run lie far below 2^52")]
    pub(crate) fn move_share(self) -> f64 {
        if self.turns == 0 { 0.0 } else { self.moves as f64 / self.turns as f64 }
    }
}

/// Judges cache reads and moves over each judged phase.
pub(super) fn check(history: &History) -> Verdict {
    let joined = Joined::of(history);
    let rules = &history.about.rules;
    let mut verdict = Verdict::default();
    for phase in history.phases.iter().filter(|phase| phase.judged && !phase.settle) {
        let affinity = Affinity::of(history, &joined, phase.from, phase.until);
        if affinity.turns == 0 {
            continue;
        }
        let (hits, moves) = (affinity.hit_share(), affinity.move_share());
        verdict.checked += affinity.turns;
        if affinity.ideal > 0 && hits < rules.cache_share {
            let words = format!(
                "phase {}: {:.1} % of the possible cache reads, {:.1} % are due",
                phase.name,
                hits * 100.0,
                rules.cache_share * 100.0
            );
            verdict.fail(phase.until, None, None, words);
        }
        if moves > rules.moves {
            let words = format!(
                "phase {}: {} of {} turns moved ({:.1} %), {:.1} % may",
                phase.name,
                affinity.moves,
                affinity.turns,
                moves * 100.0,
                rules.moves * 100.0
            );
            verdict.fail(phase.until, None, None, words);
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        check::kit::{EAST, WEST, answered, call, empty, seconds},
        history::{PhaseMark, Tokens},
    };

    /// 100 turns of ten conversations; `away` of them in another region than the turn before, without a cache there.
    fn history(away: u64) -> History {
        let mut history = empty();
        history.phases.push(PhaseMark { name: "steady".to_owned(), until: seconds(1_000), judged: true, ..PhaseMark::default() });
        for id in 0..100 {
            let (talk, turn) = (id / 10, u32::try_from(id % 10).unwrap());
            let request = Request { conversation: Some((talk, turn)), ..answered(id, id, id) };
            let strays = turn == 9 && talk < away;
            let mut upstream = call(id, &request);
            upstream.region = if strays { WEST } else { EAST }.to_owned();
            upstream.ideal_cache_read = Some(if turn == 0 { 0 } else { 1_000 });
            upstream.billed = Some(Tokens { cache_read: if turn == 0 || strays { 0 } else { 1_000 }, ..Tokens::default() });
            history.calls.push(upstream);
            history.requests.push(request);
        }
        history
    }

    #[test]
    fn conversations_that_stay_are_good() {
        let verdict = check(&history(0));
        assert_eq!((verdict.checked, verdict.found), (90, 0), "{verdict:?}");
        assert_eq!(check(&history(1)).found, 0, "one move in ninety turns");
    }

    #[test]
    fn too_many_moves_and_too_few_hits_are_violations() {
        assert_eq!(check(&history(3)).found, 1, "3.3 % moved, 96.7 % hit");
        assert_eq!(check(&history(6)).found, 2);
    }

    #[test]
    fn requests_without_conversations_show_nothing() {
        let mut history = empty();
        history.phases.push(PhaseMark { until: seconds(9), judged: true, ..PhaseMark::default() });
        history.requests.push(answered(1, 0, 1));
        assert_eq!(check(&history).checked, 0);
    }
}

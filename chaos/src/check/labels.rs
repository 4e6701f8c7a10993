//! Situations that a run has been in, seen from the books alone.

use std::collections::BTreeMap;

use crate::history::{Admission, End, Ending, History, HostFact, Joined, Micros, Role};

/// Every label there is, and what it means.
pub const LABELS: [(&str, &str); 13] = [
    ("failover_before_first_byte", "a request was answered by a later call than its first"),
    ("error_after_first_byte", "a stream that had begun ended with an error event"),
    ("half_open_probe_ok", "the first call to a region after a pause that followed failures was answered"),
    ("half_open_probe_failed", "such a call failed"),
    ("stream_resumed", "an answer that broke went on in another call"),
    ("client_left_mid_stream", "a client left while its answer was being written"),
    ("client_throttled", "a client was throttled"),
    ("quota_refusal", "a true bucket refused a call"),
    ("conversation_moved", "a conversation changed its region"),
    ("actor_killed", "an actor was killed"),
    ("actor_respawned", "an actor that was killed could be killed again: it had been started anew"),
    ("process_restarted", "the process was ready again after a kill or a stop"),
    ("waited_for_room", "a request was answered more than a second after its first call was throttled"),
];

/// A region is probed when nothing was sent there for so long after a failure.
const PAUSE: Micros = Micros::millis(800);

/// How often each situation occurred.
#[must_use]
pub fn labels(history: &History) -> BTreeMap<&'static str, u64> {
    let mut counts: BTreeMap<&'static str, u64> = LABELS.iter().map(|(label, _)| (*label, 0)).collect();
    let mut add = |label: &'static str, count: u64| *counts.entry(label).or_default() += count;
    requests(history, &mut add);
    probes(history, &mut add);
    host(history, &mut add);
    counts
}

fn requests(history: &History, add: &mut impl FnMut(&'static str, u64)) {
    let joined = Joined::of(history);
    let mut homes: BTreeMap<u64, &str> = BTreeMap::new();
    for request in history.requests.iter().filter(|request| !matches!(request.role, Role::Canary { .. })) {
        let calls = joined.calls_of(request);
        add("failover_before_first_byte", u64::from(request.succeeded() && calls.len() > 1));
        add("error_after_first_byte", u64::from(request.end == End::StreamError && !request.said.is_empty()));
        add("stream_resumed", u64::from(request.said.runs.len() > 1 && calls.iter().any(|call| call.prefill.is_some())));
        add("client_left_mid_stream", u64::from(request.end == End::Left && !request.said.is_empty()));
        add("client_throttled", u64::from(request.throttled()));
        add("quota_refusal", calls.iter().map(|call| u64::from(matches!(call.admission, Admission::Refused { quota: Some(_), .. }))).sum());
        let waited = calls.first().is_some_and(|first| {
            first.throttled() && calls.last().is_some_and(|last| last.answered() && last.arrived > first.arrived.plus(Micros::seconds(1)))
        });
        add("waited_for_room", u64::from(request.succeeded() && waited));
        if let (Some((talk, _)), Some(call)) = (request.conversation, calls.iter().rev().find(|call| call.billed.is_some())) {
            let before = homes.insert(talk, &call.region);
            add("conversation_moved", u64::from(before.is_some_and(|region| region != call.region)));
        }
    }
}

fn probes(history: &History, add: &mut impl FnMut(&'static str, u64)) {
    let mut failed_at: BTreeMap<(&str, &str), Micros> = BTreeMap::new();
    for call in &history.calls {
        let place = (call.region.as_str(), call.model.as_str());
        let bad = !call.answered() && !matches!(call.ending, Ending::Cancelled) || call.fault.is_some() && !call.intact;
        if failed_at.get(&place).is_some_and(|failed| call.arrived >= failed.plus(PAUSE)) {
            add(if bad { "half_open_probe_failed" } else { "half_open_probe_ok" }, 1);
        }
        if bad {
            failed_at.insert(place, call.arrived);
        } else {
            failed_at.remove(&place);
        }
    }
}

fn host(history: &History, add: &mut impl FnMut(&'static str, u64)) {
    let mut killed: BTreeMap<&str, u64> = BTreeMap::new();
    let mut down = false;
    for event in &history.host {
        match &event.fact {
            HostFact::ActorKilled { name } | HostFact::ActorPanicked { name } => {
                add("actor_killed", 1);
                let times = killed.entry(name).or_default();
                *times += 1;
                add("actor_respawned", u64::from(*times > 1));
            }
            HostFact::Killed | HostFact::Terminated => down = true,
            HostFact::Ready => add("process_restarted", u64::from(std::mem::take(&mut down))),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        check::kit::{answered, call, empty, host as event, refused, rejected},
        history::Request,
    };

    #[test]
    fn situations_are_seen_from_the_books() {
        let mut history = empty();
        let failed_over = answered(1, 0, 2);
        history.calls = vec![rejected(1, &failed_over, 503, "no"), call(2, &failed_over)];
        let probing = answered(2, 5, 4);
        history.calls.extend([rejected(3, &probing, 503, "no"), call(4, &answered(3, 9, 4))]);
        history.requests = vec![failed_over, probing, refused(4, 1, 429), Request { end: End::Left, ..answered(5, 1, 9) }];
        history.host = vec![
            event(1, HostFact::ActorKilled { name: "chat".to_owned() }),
            event(2, HostFact::ActorKilled { name: "chat".to_owned() }),
            event(3, HostFact::Killed),
            event(4, HostFact::Ready),
        ];
        let labels = labels(&history);
        for label in ["failover_before_first_byte", "client_throttled", "client_left_mid_stream", "actor_respawned", "process_restarted"] {
            assert_eq!(labels[label], 1, "{label}");
        }
        assert_eq!((labels["half_open_probe_ok"], labels["actor_killed"], labels["quota_refusal"]), (1, 2, 0));
    }
}

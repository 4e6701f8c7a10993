//! From times, or from a budget of quota, to requests: kinds, turns of conversations, sizes, deeds of clients.
//!
//! Where a phase says its load as a share of the quota, what counts is not how many requests come but what they cost. A
//! conversation pays for its prompt when it begins and hardly anything afterwards, so that no fixed rate of requests is a
//! fixed load. Such a phase is filled window by window: requests of the mix, one after the other, until their cost with
//! ideal caching is the wanted share; what one window has too much the next has too little. Where in its window a request
//! falls is drawn, as Poisson's arrivals are when their number is known.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{Arrival, ClientDeed, Talk, cost::Costs, draw_amount, rate::Resolved};
use crate::{
    draw::Draw,
    scenario::{Arrivals, ClientPlan, ConversationPlan, FaultKind, Phase, Scenario},
};

/// Length of the stretches in which the planned cost is the wanted one. Long enough for a dozen prompts of a large
/// account, short against the minute that buckets hold.
const WINDOW: Duration = Duration::from_secs(10);

/// Makes arrivals.
pub(super) struct Maker<'s> {
    scenario: &'s Scenario,
    resolved: &'s Resolved,
    costs: Costs,
    seed: u64,
    /// Next turns of the conversations of each kind.
    due: Vec<BTreeMap<(Duration, u64), Talk>>,
    /// Conversations that have begun, each with its prompt cached.
    begun: BTreeSet<u64>,
    talks: u64,
    drawn: u64,
    /// Quota-seconds that the windows before had too little (or, below zero, too much).
    carry: f64,
    /// Drawn, and too large for the last window.
    next: Option<Drawn>,
    /// All of them so far.
    pub(super) arrivals: Vec<Arrival>,
}

/// A request before it has its place.
#[derive(Debug, Clone, Copy)]
struct Drawn {
    number: u64,
    kind: usize,
    input_tokens: u64,
    obeys: bool,
    /// Where in its window it falls, 0 to 1.
    part: f64,
}

/// A request with its place.
#[derive(Debug, Clone, Copy)]
struct Placed {
    at: Duration,
    drawn: Drawn,
    talk: Option<Talk>,
}

impl<'s> Maker<'s> {
    pub(super) fn new(scenario: &'s Scenario, resolved: &'s Resolved, seed: u64) -> Self {
        Self {
            scenario,
            resolved,
            costs: Costs::of(scenario),
            seed,
            due: scenario.load.mix.iter().map(|_| BTreeMap::new()).collect(),
            begun: BTreeSet::new(),
            talks: 0,
            drawn: 0,
            carry: 0.0,
            next: None,
            arrivals: Vec::new(),
        }
    }

    /// A request at each of these times, which are in order.
    pub(super) fn send_at(&mut self, times: impl Iterator<Item = Duration>) {
        for at in times {
            let drawn = self.draw();
            let talk = self.turn(drawn, at, false);
            self.commit(drawn, at, talk);
            self.arrive(Placed { at, drawn, talk });
        }
    }

    /// As many requests as cost the phase's share of the quota, window by window. `young`: the run has shown nothing yet;
    /// conversations that begin now are somewhere on their way already, as those of a running system are.
    pub(super) fn fill(&mut self, begin: Duration, phase: &Phase, young: bool) {
        let count = windows(phase.lasting, WINDOW);
        let width = phase.lasting / count;
        for window in 0..count {
            let middle = (f64::from(window) + 0.5) / f64::from(count);
            let share = self.resolved.share(phase.shape, middle).unwrap_or(0.0);
            self.fill_window(begin + width * window, width, share, young);
        }
    }

    fn fill_window(&mut self, from: Duration, width: Duration, share: f64, young: bool) {
        let wanted = share * width.as_secs_f64() + self.carry;
        let (mut tokens, mut requests) = (0.0, 0.0);
        let mut placed = Vec::new();
        loop {
            let spent = self.load(requests, tokens);
            let drawn = self.next.take().unwrap_or_else(|| self.draw());
            let talk = self.turn(drawn, from + width, young);
            let cold = talk.is_some_and(|talk| !self.begun.contains(&talk.id));
            let cost = self.costs.tokens(drawn.kind, drawn.input_tokens, talk, cold).max(1.0);
            // Half of it: in the mean as much is missing as is too much.
            if self.load(requests + 0.5, tokens + cost / 2.0) > wanted || share <= 0.0 {
                self.next = Some(drawn);
                self.carry = wanted - spent;
                break;
            }
            (requests, tokens) = (requests + 1.0, tokens + cost);
            let part = match self.scenario.load.arrivals {
                Arrivals::Poisson => drawn.part,
                Arrivals::Even => (spent / wanted).clamp(0.0, 1.0),
            };
            let earliest = talk.map_or(from, |talk| self.due_at(drawn.kind, talk)).clamp(from, from + width);
            let at = earliest + (from + width - earliest).mul_f64(part);
            self.commit(drawn, at, talk);
            placed.push(Placed { at, drawn, talk });
        }
        placed.sort_by_key(|placed| (placed.at, placed.drawn.number));
        placed.into_iter().for_each(|placed| self.arrive(placed));
    }

    /// Seconds of the summed quota that so much uses, of the limit that is used more.
    fn load(&self, requests: f64, tokens: f64) -> f64 {
        let of = |used: f64, limit: Option<f64>| limit.filter(|limit| *limit > 0.0).map_or(0.0, |limit| used / limit);
        of(requests, self.resolved.requests_per_second).max(of(tokens, self.resolved.tokens_per_second))
    }

    fn draw(&mut self) -> Drawn {
        let number = self.drawn;
        self.drawn += 1;
        let mut draw = Draw::stream(self.seed, "request", number);
        let weights: Vec<f64> = self.scenario.load.mix.iter().map(|kind| kind.weight).collect();
        let kind = draw.weighted(&weights);
        let input_tokens = self.scenario.load.mix.get(kind).map_or(1, |plan| draw_amount(&plan.input_tokens, &mut draw).max(1));
        let obeys = draw.chance(self.scenario.load.obedient);
        Drawn { number, kind, input_tokens, obeys, part: draw.unit() }
    }

    /// The turn that is due until then, or the first of a new conversation; nothing is changed by asking.
    fn turn(&self, drawn: Drawn, until: Duration, young: bool) -> Option<Talk> {
        let plan = self.conversation(drawn.kind)?;
        let due = self.due.get(drawn.kind)?.first_key_value().filter(|((due, _), _)| *due <= until).map(|(_, talk)| *talk);
        Some(due.unwrap_or_else(|| {
            let id = self.talks + 1;
            let mut draw = Draw::stream(self.seed, "conversation", id);
            let prefix_tokens = draw_amount(&plan.prefix_tokens, &mut draw);
            let turn = if young { u32::try_from(draw.below(plan.turns.into())).unwrap_or(0) } else { 0 };
            Talk { id, turn, prefix_tokens }
        }))
    }

    fn due_at(&self, kind: usize, talk: Talk) -> Duration {
        let first = self.due.get(kind).and_then(|due| due.first_key_value());
        first.filter(|(_, next)| **next == talk).map_or(Duration::ZERO, |((due, _), _)| *due)
    }

    /// The turn is taken; the one after it is due when its client has thought.
    fn commit(&mut self, drawn: Drawn, at: Duration, talk: Option<Talk>) {
        let (Some(talk), Some(plan)) = (talk, self.conversation(drawn.kind)) else { return };
        let Some(due) = self.due.get_mut(drawn.kind) else { return };
        if self.begun.insert(talk.id) {
            self.talks += 1;
        } else {
            due.pop_first();
        }
        if talk.turn + 1 < plan.turns {
            due.insert((at + plan.think, talk.id), Talk { turn: talk.turn + 1, ..talk });
        }
    }

    fn conversation(&self, kind: usize) -> Option<ConversationPlan> {
        self.scenario.load.mix.get(kind)?.conversation
    }

    fn arrive(&mut self, placed: Placed) {
        let Placed { at, drawn, talk } = placed;
        let id = u64::try_from(self.arrivals.len()).unwrap_or(u64::MAX);
        let Drawn { kind, input_tokens, obeys, .. } = drawn;
        let nonce = talk.map_or_else(|| Draw::stream(self.seed, "nonce", id).bits(), |talk| talk.nonce(self.seed));
        let deed = self.deed(at, id);
        self.arrivals.push(Arrival { id, at, kind, talk, input_tokens, nonce, deed, obeys });
    }

    /// The first client fault in force that strikes this request. Each has a stream of its own.
    fn deed(&self, at: Duration, id: u64) -> Option<ClientDeed> {
        self.scenario.faults.iter().enumerate().find_map(|(index, fault)| {
            let FaultKind::Client(plan) = fault.kind else { return None };
            let in_force = at >= fault.from && fault.lasting.is_none_or(|lasting| at < fault.from + lasting);
            let mut draw = Draw::stream(self.seed, &format!("client/{}/{index}", fault.word), id);
            (in_force && draw.chance(fault.share)).then(|| {
                let after = if let ClientPlan::Vanish { after } = plan { after.draw(&mut draw) } else { Duration::ZERO };
                ClientDeed { fault: index, plan, after }
            })
        })
    }
}

/// How many windows of about this length a phase has; one at least.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "phases last hours at most; casts saturate")]
fn windows(lasting: Duration, window: Duration) -> u32 {
    ((lasting.as_secs_f64() / window.as_secs_f64()).round() as u32).max(1)
}

//! What tests order the simulator to do: rules, each a selector and the actions it brings.
//!
//! The first rule that matches a call decides about it; rules are tried in the order they were added.

mod action;
mod selector;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;

pub use action::{Action, AnswerFn, CorruptField, CutManner, ScriptedError};
pub(crate) use action::{AnswerOrder, ByteStall, Orders, PlaceFault, StreamFaults, WireOrder, numbered};

use crate::{lock::held, quota::ProfileClass, route::Operation};
use selector::Selector;

/// A call as rules and answer functions see it.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Number of the call in the journal, from 1.
    pub call: u64,
    /// Region asked.
    pub region: String,
    /// Operation asked.
    pub operation: Operation,
    /// Decoded label of the path: model id, profile id or ARN.
    pub label: Option<String>,
    /// Id of the foundation model the label stands for, where it stands for one.
    pub model: Option<String>,
    /// How the label reaches that model.
    pub profile: Option<ProfileClass>,
    /// The request body.
    pub body: Bytes,
    /// When the call arrived, since the start of the simulator.
    pub at: Duration,
}

/// Names a rule for removal and counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(u64);

/// A selector and the actions for the calls it selects.
///
/// A rule whose actions concern event streams only matches streaming operations.
#[derive(Debug, Clone)]
pub struct Rule {
    selector: Selector,
    times: Option<u64>,
    actions: Vec<Action>,
}

impl Rule {
    /// A rule for the next matching call only.
    #[must_use]
    pub fn once(action: Action) -> Self {
        Self { times: Some(1), ..Self::always(action) }
    }

    /// A rule for every matching call until it is removed.
    #[must_use]
    pub fn always(action: Action) -> Self {
        Self { selector: Selector::default(), times: None, actions: vec![action] }
    }

    /// Adds another action to the same rule (an answer, a delay and a cut may go together).
    #[must_use]
    pub fn and(mut self, action: Action) -> Self {
        self.actions.push(action);
        self
    }

    /// Only the first `times` matching calls.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// Only calls to `region`.
    #[must_use]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.selector.region = Some(region.into());
        self
    }

    /// Only calls whose path label is `model`, or stands for it.
    #[must_use]
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.selector.model = Some(model.into());
        self
    }

    /// Only calls of `operation`.
    #[must_use]
    pub fn operation(mut self, operation: Operation) -> Self {
        self.selector.operation = Some(operation);
        self
    }

    /// Only calls whose raw body contains `text`.
    #[must_use]
    pub fn contains(mut self, text: impl Into<String>) -> Self {
        self.selector.contains = Some(text.into());
        self
    }

    /// Only this share (0 to 1) of the otherwise matching calls, drawn per call from the seed.
    #[must_use]
    pub fn share(mut self, share: f64) -> Self {
        self.selector.share = share;
        self
    }

    /// Lets the first `calls` otherwise matching calls pass.
    #[must_use]
    pub fn skip(mut self, calls: u64) -> Self {
        self.selector.skip = calls;
        self
    }

    /// Only between two times since the start of the simulator.
    #[must_use]
    pub fn between(mut self, from: Duration, until: Duration) -> Self {
        self.selector.window = Some((from, until));
        self
    }

    /// Never for more than `calls` calls at a time.
    #[must_use]
    pub fn max_active(mut self, calls: usize) -> Self {
        self.selector.max_active = Some(calls);
        self
    }
}

/// What the script says about one call. Keep it until the call ends: it counts towards `max_active`.
#[derive(Debug)]
pub(crate) struct Matched {
    pub(crate) rule: RuleId,
    pub(crate) orders: Orders,
    _active: Arc<()>,
}

/// All rules, in order.
#[derive(Debug)]
pub(crate) struct Script {
    seed: u64,
    rules: Mutex<Rules>,
}

#[derive(Debug, Default)]
struct Rules {
    next_id: u64,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    id: RuleId,
    rule: Rule,
    left: Option<u64>,
    passed: u64,
    hits: u64,
    active: Arc<()>,
}

impl Script {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, rules: Mutex::default() }
    }

    pub(crate) fn add(&self, rule: Rule) -> RuleId {
        let mut rules = held(&self.rules);
        rules.next_id += 1;
        let id = RuleId(rules.next_id);
        rules.entries.push(Entry { id, left: rule.times, rule, passed: 0, hits: 0, active: Arc::new(()) });
        id
    }

    pub(crate) fn remove(&self, id: RuleId) -> bool {
        let mut rules = held(&self.rules);
        let before = rules.entries.len();
        rules.entries.retain(|entry| entry.id != id);
        rules.entries.len() < before
    }

    pub(crate) fn clear(&self) {
        held(&self.rules).entries.clear();
    }

    pub(crate) fn hits(&self, id: RuleId) -> Option<u64> {
        held(&self.rules).entries.iter().find(|entry| entry.id == id).map(|entry| entry.hits)
    }

    /// The first rule that selects this call, with one of its uses taken.
    pub(crate) fn decide(&self, asked: &Asked) -> Option<Matched> {
        held(&self.rules).entries.iter_mut().find_map(|entry| entry.take(self.seed, asked))
    }

    /// True when a rule about `region` as a whole refuses this connection; takes one of its uses.
    pub(crate) fn refuses_connection(&self, region: &str, at: Duration, connection: u64) -> bool {
        held(&self.rules).entries.iter_mut().any(|entry| {
            let selector = &entry.rule.selector;
            selector.is_placewide()
                && entry.rule.actions.iter().any(|action| matches!(action, Action::RefuseConnection))
                && selector.selects_place(region, at)
                && selector.drawn(self.seed, entry.id.0, connection)
                && entry.consume()
        })
    }
}

impl Entry {
    fn take(&mut self, seed: u64, asked: &Asked) -> Option<Matched> {
        let fits = self.rule.selector.selects(asked)
            && (asked.operation.streams() || !self.rule.actions.iter().all(Action::concerns_streams_only))
            && self.rule.selector.drawn(seed, self.id.0, asked.call)
            && self.rule.selector.max_active.is_none_or(|limit| Arc::strong_count(&self.active) - 1 < limit);
        (fits && self.consume()).then(|| Matched {
            rule: self.id,
            orders: Orders::of(&self.rule.actions, asked.call),
            _active: Arc::clone(&self.active),
        })
    }

    /// Counts one selected call; false while the rule still skips or when it is used up.
    fn consume(&mut self) -> bool {
        if self.left == Some(0) {
            return false;
        }
        if self.passed < self.rule.selector.skip {
            self.passed += 1;
            return false;
        }
        self.left = self.left.map(|left| left - 1);
        self.hits += 1;
        true
    }
}

#[cfg(test)]
mod tests;

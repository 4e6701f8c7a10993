//! The memory of beta flags that models have refused.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use outcrop_domain::{
    clock::{Moment, Ports},
    ids::ModelId,
};
use outcrop_supervision::Reply;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde::Serialize;

/// How long a refusal is remembered. AWS opens flags without notice: what one more try costs is a call that is refused at once.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// Most flags that are remembered of one model. Clients choose their names: of more, the oldest go.
const MAX_FLAGS: usize = 64;

/// Longest flag that is remembered. Those of Anthropic's have some forty characters.
const MAX_FLAG_BYTES: usize = 256;

/// A model has refused flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The model.
    pub model: ModelId,
    /// The flags.
    pub flags: Vec<String>,
}

/// What a [`FlagKeeper`] is told.
#[derive(Debug)]
pub enum FlagKeeperMsg {
    /// A model has refused flags.
    Refused(Refusal),
    /// Asks what is remembered.
    Describe {
        /// The answer.
        reply: Reply<FlagReport>,
    },
}

/// State of a [`FlagKeeper`], for consoles and tests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FlagReport {
    /// Models of which something is remembered.
    pub models: usize,
    /// Flags, of all models together.
    pub flags: usize,
}

/// The flags that models have refused: the snapshot that requests read.
#[derive(Debug, Clone, Default)]
pub struct RefusedFlags(HashMap<ModelId, VecDeque<Refused>>);

#[derive(Debug, Clone)]
struct Refused {
    flag: String,
    at: Moment,
}

impl RefusedFlags {
    /// The flags that a model has refused of late.
    #[must_use]
    pub fn of(&self, model: &ModelId, now: Moment) -> Vec<String> {
        let known = self.0.get(model).into_iter().flatten();
        known.filter(|refused| refused.is_fresh(now)).map(|refused| refused.flag.clone()).collect()
    }

    fn learn(&mut self, refusal: Refusal, now: Moment) {
        let known = self.0.entry(refusal.model).or_default();
        for flag in refusal.flags.into_iter().filter(|flag| flag.len() <= MAX_FLAG_BYTES) {
            known.retain(|refused| refused.flag != flag);
            known.push_back(Refused { flag, at: now });
        }
        while known.len() > MAX_FLAGS {
            known.pop_front();
        }
    }

    fn forget(&mut self, now: Moment) {
        for known in self.0.values_mut() {
            known.retain(|refused| refused.is_fresh(now));
        }
        self.0.retain(|_, known| !known.is_empty());
    }
}

impl Refused {
    fn is_fresh(&self, now: Moment) -> bool {
        now.since(self.at) < REMEMBERED
    }
}

/// What a [`FlagKeeper`] starts from.
#[derive(Clone)]
pub struct FlagKeeperArgs {
    /// Where the snapshot is published.
    pub cell: Arc<ArcSwap<RefusedFlags>>,
    /// Time.
    pub ports: Ports,
}

/// Remembers which beta flags models have refused, so that the next request does without them.
///
/// * Owns: the snapshot of refused flags.
/// * Told by: the jobs of the chat lane whose bodies were healed.
/// * Tells: nobody; jobs read the snapshot.
/// * On restart: keeps the snapshot that is published.
/// * Bounded by: one message per healed request, 64 flags per model, and an hour of memory.
#[derive(Debug, Default)]
pub struct FlagKeeper;

impl Actor for FlagKeeper {
    type Msg = FlagKeeperMsg;
    type State = FlagKeeperArgs;
    type Arguments = FlagKeeperArgs;

    async fn pre_start(&self, _myself: ActorRef<Self::Msg>, args: FlagKeeperArgs) -> Result<Self::State, ActorProcessingErr> {
        Ok(args)
    }

    async fn handle(&self, _myself: ActorRef<Self::Msg>, message: Self::Msg, state: &mut Self::State) -> Result<(), ActorProcessingErr> {
        match message {
            FlagKeeperMsg::Refused(refusal) => {
                tracing::info!(model.id = %refusal.model, flags = ?refusal.flags, "a model has refused beta flags: they are left out for an hour");
                let now = state.ports.clock.now();
                let mut known = state.cell.load_full().as_ref().clone();
                known.learn(refusal, now);
                known.forget(now);
                state.cell.store(Arc::new(known));
            }
            FlagKeeperMsg::Describe { reply } => {
                let known = state.cell.load();
                reply.send(FlagReport { models: known.0.len(), flags: known.0.values().map(VecDeque::len).sum() });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment(Duration::from_secs(seconds))
    }

    fn refusal(model: &str, flags: &[&str]) -> Refusal {
        Refusal { model: ModelId::from(model), flags: flags.iter().map(|flag| (*flag).to_owned()).collect() }
    }

    #[test]
    fn flags_are_remembered_by_model_and_for_an_hour() {
        let mut known = RefusedFlags::default();
        known.learn(refusal("a", &["x", "y"]), at(0));
        known.learn(refusal("a", &["x"]), at(1_000));
        let of = |known: &RefusedFlags, model: &str, second| known.of(&ModelId::from(model), at(second));
        assert_eq!(of(&known, "a", 1_000), ["y", "x"]);
        assert_eq!(of(&known, "b", 1_000).len(), 0);
        assert_eq!(of(&known, "a", 3_600), ["x"], "the other is an hour old");
        known.forget(at(9_000));
        assert_eq!(known.0.len(), 0);
    }

    #[test]
    fn a_client_that_invents_flags_fills_no_memory() {
        let mut known = RefusedFlags::default();
        for number in 0..1_000 {
            known.learn(refusal("a", &[&format!("flag-{number}"), &"long".repeat(100)]), at(0));
        }
        let flags = known.of(&ModelId::from("a"), at(0));
        assert_eq!((flags.len(), flags.last().map(String::as_str)), (MAX_FLAGS, Some("flag-999")));
    }
}

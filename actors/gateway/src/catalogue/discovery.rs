//! Asks one region's control plane what it offers, at start and on a timer.

use std::{sync::Arc, time::Duration};

use outcrop_domain::{clock::Ports, error::UpstreamFailure, ids::Region, model::RegionOffer};
use outcrop_supervision::{Reply, Slot};
use outcrop_upstream::ports::ControlPlane;
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use serde::Serialize;

use super::{CatalogueKeeperMsg, errand::Errand};

/// What a [`Discovery`] is told.
#[derive(Debug)]
pub enum DiscoveryMsg {
    /// Ask now, unless an answer is already under way.
    Ask,
    /// The control plane answered.
    Answered(Box<Result<RegionOffer, UpstreamFailure>>),
    /// Asks for the state of discovery.
    Describe {
        /// The answer.
        reply: Reply<DiscoveryReport>,
    },
}

/// State of a region's discovery, for consoles and tests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiscoveryReport {
    /// The region.
    pub region: Region,
    /// Answers since start.
    pub answered: u64,
    /// Failures in a row.
    pub failures_in_a_row: u32,
    /// The last failure, in upstream's words, until the next answer.
    pub last_failure: Option<String>,
}

/// What a [`Discovery`] starts from.
#[derive(Debug, Clone)]
pub struct DiscoveryArgs {
    /// Asked.
    pub control: Arc<dyn ControlPlane>,
    /// Told.
    pub keeper: Slot<CatalogueKeeperMsg>,
    /// Time between two answers.
    pub interval: Duration,
    /// Jitter of retries.
    pub ports: Ports,
}

/// State of a [`Discovery`].
#[derive(Debug)]
pub struct DiscoveryState {
    args: DiscoveryArgs,
    asking: bool,
    /// The next question; replaced, never doubled.
    timer: Option<tokio::task::JoinHandle<Result<(), ractor::MessagingErr<DiscoveryMsg>>>>,
    answered: u64,
    failures_in_a_row: u32,
    last_failure: Option<String>,
}

/// First retry of a failed discovery; doubles up to the interval.
const FIRST_RETRY: Duration = Duration::from_secs(2);

/// Discovers one region.
///
/// * Owns: nothing but its timer.
/// * Told by: its timer, the edge (`models refresh`), its own asking child.
/// * Tells: the `CatalogueKeeper`.
/// * On restart: asks again at once.
/// * Bounded by: one question at a time.
#[derive(Debug, Default)]
pub struct Discovery;

impl Actor for Discovery {
    type Msg = DiscoveryMsg;
    type State = DiscoveryState;
    type Arguments = DiscoveryArgs;

    async fn pre_start(&self, myself: ActorRef<DiscoveryMsg>, args: DiscoveryArgs) -> Result<DiscoveryState, ActorProcessingErr> {
        myself.cast(DiscoveryMsg::Ask)?;
        Ok(DiscoveryState { args, asking: false, timer: None, answered: 0, failures_in_a_row: 0, last_failure: None })
    }

    async fn handle(
        &self,
        myself: ActorRef<DiscoveryMsg>,
        message: DiscoveryMsg,
        state: &mut DiscoveryState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            DiscoveryMsg::Ask => on_ask(&myself, state).await?,
            DiscoveryMsg::Answered(result) => on_answered(&myself, state, *result),
            DiscoveryMsg::Describe { reply } => {
                reply.send(state.report());
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<DiscoveryMsg>,
        event: SupervisionEvent,
        state: &mut DiscoveryState,
    ) -> Result<(), ActorProcessingErr> {
        // The asking child ends normally after its answer; a panic in it, or a kill, is a failed answer.
        let ended = match event {
            // Not in its own words: a panic's text may hold anything, and this one is shown to operators.
            SupervisionEvent::ActorFailed(..) => Some("the question to the control plane panicked".to_owned()),
            // Without a reason it ended by itself, and its answer is in the mailbox.
            SupervisionEvent::ActorTerminated(_, _, Some(reason)) if state.asking => Some(format!("the question was cut short: {reason}")),
            _ => None,
        };
        if let Some(message) = ended {
            let failure = UpstreamFailure {
                cause: outcrop_domain::error::Cause::Malformed,
                status: 0,
                code: "DiscoveryPanicked".to_owned(),
                message,
                request_id: None,
                retry_after: None,
                region: Some(state.args.control.region().clone()),
                model_error: None,
            };
            on_answered(&myself, state, Err(failure));
        }
        Ok(())
    }
}

async fn on_ask(myself: &ActorRef<DiscoveryMsg>, state: &mut DiscoveryState) -> Result<(), ActorProcessingErr> {
    if state.asking {
        return Ok(());
    }
    state.asking = true;
    let (control, asker) = (Arc::clone(&state.args.control), myself.clone());
    let question = async move {
        let result = control.discover().await;
        asker.cast(DiscoveryMsg::Answered(Box::new(result)))?;
        Ok(())
    };
    Errand::send(myself, question).await?;
    Ok(())
}

fn on_answered(myself: &ActorRef<DiscoveryMsg>, state: &mut DiscoveryState, result: Result<RegionOffer, UpstreamFailure>) {
    state.asking = false;
    let region = state.args.control.region().clone();
    let next = match result {
        Ok(offer) => {
            for problem in &offer.problems {
                tracing::warn!(%region, problem = problem.words, "a part of model discovery failed");
            }
            state.answered += 1;
            let partial = offer.is_partial();
            state.last_failure = offer.problems.first().filter(|_| partial).map(|problem| problem.words.clone());
            // Half an answer is asked for again as soon as none would be.
            state.failures_in_a_row = if partial { state.failures_in_a_row.saturating_add(1) } else { 0 };
            let told = tell(state, CatalogueKeeperMsg::Offered(Box::new(offer)));
            if partial || !told { retry_delay(state) } else { state.args.interval }
        }
        Err(failure) => {
            tracing::warn!(%region, upstream.code = failure.code, upstream.message = failure.message, "model discovery failed");
            state.failures_in_a_row = state.failures_in_a_row.saturating_add(1);
            state.last_failure = Some(failure.to_string());
            tell(state, CatalogueKeeperMsg::Unreachable { region, failure: Box::new(failure) });
            retry_delay(state)
        }
    };
    if let Some(pending) = state.timer.replace(myself.send_after(next, || DiscoveryMsg::Ask)) {
        pending.abort();
    }
}

/// False when nobody could be told: the question is then asked again soon.
fn tell(state: &DiscoveryState, message: CatalogueKeeperMsg) -> bool {
    let told = state.args.keeper.cast(message).is_ok();
    if !told {
        tracing::warn!(region = %state.args.control.region(), "the catalogue keeper is restarting: it is told at the next answer");
    }
    told
}

fn retry_delay(state: &DiscoveryState) -> Duration {
    let doubled = FIRST_RETRY.saturating_mul(1u32.checked_shl(state.failures_in_a_row.saturating_sub(1).min(16)).unwrap_or(u32::MAX));
    doubled.min(state.args.interval).mul_f64(0.9 + 0.2 * state.args.ports.entropy.unit())
}

impl DiscoveryState {
    fn report(&self) -> DiscoveryReport {
        DiscoveryReport {
            region: self.args.control.region().clone(),
            answered: self.answered,
            failures_in_a_row: self.failures_in_a_row,
            last_failure: self.last_failure.clone(),
        }
    }
}

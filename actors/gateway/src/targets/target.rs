//! The actor that decides about one region's targets.

use std::sync::Arc;

use outcrop_domain::{
    clock::{Moment, Ports},
    error::{Cause, UpstreamFailure},
    ids::Region,
    routing::Outcome,
};
use outcrop_supervision::{Reply, Slot};
use outcrop_upstream::ports::RuntimeClient;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde::Serialize;

use super::{HealthBoard, TargetCell, TargetHealth, probe::ProbeClaim};
use crate::settings::SettingsCell;

/// What a [`Target`] is told.
#[derive(Debug)]
pub enum TargetMsg {
    /// A call ended in a way that may move a breaker.
    AttemptEnded(AttemptEnded),
    /// Asks for the region's state.
    Describe {
        /// The answer.
        reply: Reply<TargetReport>,
    },
}

/// How one call ended.
#[derive(Debug)]
pub struct AttemptEnded {
    pub(super) cell: Arc<TargetCell>,
    pub(super) outcome: Outcome,
    pub(super) failure: Option<UpstreamFailure>,
    pub(super) began: Moment,
    pub(super) ended: Moment,
    /// Held until the actor has learned.
    pub(super) probe: Option<ProbeClaim>,
}

/// State of a region, for consoles and tests.
#[derive(Debug, Clone, Serialize)]
pub struct TargetReport {
    /// The region.
    pub region: Region,
    /// Its targets, by model.
    pub targets: Vec<TargetHealth>,
}

/// What a [`Target`] starts from.
#[derive(Debug, Clone)]
pub struct TargetArgs {
    /// The region it decides about.
    pub region: Region,
    /// Where health is published.
    pub board: Arc<HealthBoard>,
    /// Backoffs.
    pub settings: SettingsCell,
    /// Time and jitter.
    pub ports: Ports,
}

/// Decides when the models of one region may be called.
///
/// * Owns: the breakers of the region's targets (published on the [`HealthBoard`]).
/// * Told by: leases, when a call failed, was given up after too long a silence, or was answered by a target that was not
///   healthy.
/// * Tells: nobody; jobs read the board.
/// * On restart: keeps the breakers from the board and frees all probes; the reports lost with the mailbox come again
///   with the next calls.
/// * Bounded by: one message per failed call; calls are bounded by the lanes.
#[derive(Debug, Default)]
pub struct Target;

impl Actor for Target {
    type Msg = TargetMsg;
    type State = TargetArgs;
    type Arguments = TargetArgs;

    async fn pre_start(&self, _myself: ActorRef<TargetMsg>, args: TargetArgs) -> Result<TargetArgs, ActorProcessingErr> {
        for cell in args.board.of_region(&args.region) {
            cell.free_probe();
        }
        Ok(args)
    }

    async fn handle(&self, _myself: ActorRef<TargetMsg>, message: TargetMsg, state: &mut TargetArgs) -> Result<(), ActorProcessingErr> {
        match message {
            TargetMsg::AttemptEnded(ended) => on_attempt_ended(state, ended),
            TargetMsg::Describe { reply } => on_describe(state, reply),
        }
        Ok(())
    }
}

fn on_attempt_ended(state: &TargetArgs, ended: AttemptEnded) {
    let policy = state.settings.load().routing.breaker;
    let before = **ended.cell.breaker.load();
    let mut breaker = before;
    breaker.learn(ended.outcome, ended.began, ended.ended, &policy, state.ports.entropy.unit());
    if breaker != before {
        ended.cell.breaker.store(Arc::new(breaker));
        ended.cell.last_failure.store(ended.failure.clone().map(Arc::new));
        tell_operators(&ended, breaker.windows());
        ended.cell.announce();
    }
    drop(ended.probe);
}

/// A trip is a warning; lost access is an alarm, since nobody repairs it by waiting.
fn tell_operators(ended: &AttemptEnded, windows: u32) {
    let (model, region) = (ended.cell.model.as_str(), ended.cell.region.as_str());
    let open = metrics::gauge!("outcrop_target_open", "model" => model.to_owned(), "region" => region.to_owned());
    let Some(failure) = &ended.failure else {
        open.set(0.0);
        tracing::info!(model.id = model, region, "target answers again");
        return;
    };
    open.set(1.0);
    let cause = failure.cause.as_str();
    metrics::counter!("outcrop_target_trips_total", "model" => model.to_owned(), "region" => region.to_owned(), "cause" => cause)
        .increment(1);
    match failure.cause {
        Cause::AccessDenied | Cause::ModelMissing => {
            tracing::error!(
                model.id = model,
                region,
                cause,
                upstream.code = failure.code,
                upstream.message = failure.message,
                "target refused to serve the model and is skipped"
            );
        }
        _ => tracing::warn!(
            model.id = model,
            region,
            cause,
            windows,
            upstream.code = failure.code,
            "target is closed to traffic for its backoff"
        ),
    }
}

fn on_describe(state: &TargetArgs, reply: Reply<TargetReport>) {
    let now = state.ports.clock.now();
    let targets = state.board.of_region(&state.region).iter().map(|cell| cell.describe(now)).collect();
    reply.send(TargetReport { region: state.region.clone(), targets });
}

/// How to reach one region: its client and its actor.
#[derive(Debug, Clone)]
pub struct RegionHandle {
    /// Calls models there.
    pub client: Arc<dyn RuntimeClient>,
    /// Decides about its targets.
    pub owner: Slot<TargetMsg>,
}

/// All regions.
#[derive(Debug, Clone, Default)]
pub struct RegionTargets(pub std::collections::HashMap<Region, RegionHandle>);

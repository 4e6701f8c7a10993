//! A scripted control plane.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use outcrop_domain::{
    error::{Cause, UpstreamFailure},
    ids::{ModelId, Region},
    model::{OfferedModel, OfferedProfile, RegionOffer},
};
use outcrop_upstream::ports::{BoxFuture, ControlPlane};
use tokio::sync::Notify;

use super::{MODEL, failure};

/// A control plane that offers the test model, fails, or hangs, as told.
#[derive(Debug)]
pub(crate) struct ScriptedControl {
    pub region: Region,
    pub answers: Mutex<VecDeque<Result<RegionOffer, UpstreamFailure>>>,
    pub asked: AtomicU64,
    pub looked_up: AtomicU64,
    /// What becomes of the next look-ups; without a word they succeed.
    pub look_ups: Mutex<VecDeque<LookUpStep>>,
}

/// What becomes of a look-up of a profile.
pub(crate) enum LookUpStep {
    Fail(Cause, &'static str),
    /// Succeeds when notified.
    Wait(Arc<Notify>),
    /// What AWS tells has another ARN than was asked for.
    AnotherArn,
    Panic,
}

impl std::fmt::Debug for LookUpStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LookUpStep")
    }
}

pub(crate) fn offer(region: &str) -> RegionOffer {
    let model = OfferedModel {
        id: ModelId::from(MODEL),
        name: "Nova Lite".to_owned(),
        provider: "Amazon".to_owned(),
        input: vec!["TEXT".to_owned()],
        output: vec!["TEXT".to_owned()],
        streaming: true,
        lifecycle: "ACTIVE".to_owned(),
        on_demand: true,
        available: true,
    };
    RegionOffer { region: region.into(), models: vec![model], profiles: Vec::new(), problems: Vec::new() }
}

impl ControlPlane for ScriptedControl {
    fn region(&self) -> &Region {
        &self.region
    }

    fn discover(&self) -> BoxFuture<'_, Result<RegionOffer, UpstreamFailure>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let next = self.answers.lock().unwrap().pop_front().unwrap_or_else(|| Ok(offer(self.region.as_str())));
        Box::pin(async move { next })
    }

    fn profile(&self, id: &str) -> BoxFuture<'_, Result<OfferedProfile, UpstreamFailure>> {
        self.looked_up.fetch_add(1, Ordering::Relaxed);
        let step = self.look_ups.lock().unwrap().pop_front();
        let mut profile = OfferedProfile {
            id: id.into(),
            arn: id.to_owned(),
            name: "looked up".to_owned(),
            model: ModelId::from(MODEL),
            regions: vec![self.region.clone()],
            kind: outcrop_domain::model::ProfileKind::Application,
        };
        Box::pin(async move {
            match step {
                None => {}
                Some(LookUpStep::Fail(cause, message)) => return Err(failure(cause, message)),
                Some(LookUpStep::Wait(gate)) => gate.notified().await,
                Some(LookUpStep::AnotherArn) => {
                    profile.arn.push_str("-by-another-name");
                    profile.id = profile.arn.as_str().into();
                }
                Some(LookUpStep::Panic) => panic!("scripted panic"),
            }
            Ok(profile)
        })
    }
}

//! Faults and behaviours.

use std::time::Duration;

use super::Simulator;
use crate::{
    behaviour::{Behaviour, EVERY},
    error::SimError,
    faults::{DnsMode, Fault, FaultId, FaultKind, FaultProblem, FaultStatus},
};

impl Simulator {
    /// Installs a fault behind all others; its times count from now.
    ///
    /// # Errors
    /// The fault is impossible, or impossible here.
    pub fn install(&self, fault: Fault) -> Result<FaultId, FaultProblem> {
        self.install_from(self.inner.world.clock.elapsed(), fault)
    }

    /// As [`Simulator::install`], with times that count from `origin` (since the start of the simulator).
    ///
    /// # Errors
    /// The fault is impossible, or impossible here.
    pub fn install_from(&self, origin: Duration, fault: Fault) -> Result<FaultId, FaultProblem> {
        let world = &self.inner.world;
        fault.check()?;
        if let Some(region) = fault.selector.region.as_deref().filter(|region| !world.regions.contains_key(*region)) {
            return Err(FaultProblem::Region { region: region.to_owned() });
        }
        let by_name = matches!(fault.kind, FaultKind::Dns { mode: DnsMode::Nxdomain | DnsMode::Timeout });
        if by_name && world.regions.values().any(|region| region.address.is_some()) {
            return Err(FaultProblem::Names);
        }
        let id = world.faults.install(fault, origin);
        self.quotas_follow();
        Ok(id)
    }

    /// Takes a fault away; false when it was taken away before. Calls it has struck stay struck.
    pub fn uninstall(&self, fault: FaultId) -> bool {
        let removed = self.inner.world.faults.remove(fault);
        self.quotas_follow();
        removed
    }

    /// Takes every fault away.
    pub fn clear_faults(&self) {
        self.inner.world.faults.clear();
        self.quotas_follow();
    }

    /// The installed faults and what they have done, in order.
    #[must_use]
    pub fn faults(&self) -> Vec<FaultStatus> {
        self.inner.world.faults.status(self.inner.world.clock.elapsed())
    }

    fn quotas_follow(&self) {
        let world = &self.inner.world;
        world.quotas.set_faults(world.faults.quota_faults(), world.clock.elapsed());
    }

    /// How a model behaves from its next call on. `region` and `model` may be `*`; each part of a behaviour comes from
    /// the most special place that has it.
    ///
    /// # Errors
    /// The region is not simulated.
    pub fn behave(&self, region: &str, model: &str, behaviour: Behaviour) -> Result<(), SimError> {
        if region != EVERY {
            self.region(region)?;
        }
        self.inner.world.behaviours.set(region, model, behaviour);
        Ok(())
    }
}

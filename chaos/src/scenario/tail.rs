//! The end of a run: liveness can only be judged when load goes on after the last fault.

use std::time::Duration;

use super::{FaultKind, FaultPlan, Scenario, Shape};
use crate::units::Rate;

/// The invariant that judges it.
pub(super) const LIVENESS: &str = "I19";

impl Scenario {
    /// When a fault ends: by itself, at the first phase without faults, or with the run.
    #[must_use]
    pub fn in_force_until(&self, fault: &FaultPlan) -> Duration {
        let own = fault.lasting.map_or(Duration::MAX, |lasting| fault.from.saturating_add(lasting));
        own.min(self.lifted_after(fault.from))
    }

    fn lifted_after(&self, from: Duration) -> Duration {
        let mut begin = Duration::ZERO;
        for phase in &self.phases {
            if phase.faults_off && begin >= from {
                return begin;
            }
            begin += phase.lasting;
        }
        begin
    }

    /// When the last fault ends that the gateway has to recover from; none for faults of clients and changes of quotas.
    pub(super) fn last_fault(&self) -> Option<Duration> {
        let troubles = self.faults.iter().filter(|fault| match &fault.kind {
            FaultKind::Client(_) => false,
            FaultKind::Upstream(_) => !matches!(fault.word.as_str(), "quota" | "quota_scale"),
            FaultKind::Credentials | FaultKind::Host(_) => true,
        });
        troubles.map(|fault| self.in_force_until(fault)).max()
    }

    /// When the last arrival is due.
    fn load_ends(&self) -> Duration {
        let (mut end, mut last) = (Duration::ZERO, Duration::ZERO);
        for phase in &self.phases {
            end += phase.lasting;
            if !is_silent(phase.shape) {
                last = end;
            }
        }
        last
    }

    /// What is wrong with the scenario's end, in its own times and in those of its short form.
    pub(super) fn missing_tail(&self) -> Option<String> {
        [1.0, self.quick].into_iter().find_map(|factor| {
            let mut scaled = self.clone();
            scaled.scale(factor);
            let (last, ends) = (scaled.last_fault()?, scaled.load_ends());
            let due = last.saturating_add(self.rules.liveness.into());
            (due >= ends).then(|| {
                let (last, ends, due) = (last.as_secs_f64(), ends.as_secs_f64(), due.as_secs_f64());
                format!(
                    "the last fault ends at {last:.1} s and the load at {ends:.1} s (times {factor}), so that nothing shows whether all \
                     is well again at {due:.1} s: let the load go on, set the rule `liveness`, or waive {LIVENESS}"
                )
            })
        })
    }
}

fn is_silent(shape: Shape) -> bool {
    let nothing = |rate: Rate| matches!(rate, Rate::PerSecond(number) | Rate::OfQuota(number) if number <= 0.0);
    match shape {
        Shape::Constant(rate) => nothing(rate),
        Shape::Ramp(from, to) | Shape::Day(from, to) => nothing(from) && nothing(to),
    }
}

//! Progress while a scenario runs: a bar for each phase, the faults in force, what comes back.

use std::{sync::atomic::Ordering, time::Duration};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{
    history::{FaultSpan, Micros, PhaseMark},
    load::LiveCounts,
};

/// The display; hidden where there is no terminal.
pub struct Live {
    bars: Vec<(PhaseMark, ProgressBar)>,
    numbers: ProgressBar,
}

impl Live {
    /// Begins.
    #[must_use]
    pub fn start(title: &str, phases: &[PhaseMark]) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(5));
        let style = |template: &str| ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let title_bar = all.add(ProgressBar::new_spinner().with_style(style("{msg}")));
        title_bar.set_message(title.to_owned());
        let bars = phases
            .iter()
            .map(|phase| {
                let bar = all.add(ProgressBar::new(phase.until.minus(phase.from).0).with_style(style("  {prefix:14} {wide_bar} {msg}")));
                bar.set_prefix(phase.name.clone());
                bar.set_message(phase.rate.clone());
                (phase.clone(), bar)
            })
            .collect();
        let numbers = all.add(ProgressBar::new_spinner().with_style(style("  {msg}")));
        Self { bars, numbers }
    }

    /// Shows what is going on.
    pub fn tick(&self, now: Micros, counts: &LiveCounts, faults: &[FaultSpan]) {
        for (phase, bar) in &self.bars {
            bar.set_position(now.minus(phase.from).0.min(phase.until.minus(phase.from).0));
        }
        let of = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
        let in_force: Vec<&str> =
            faults.iter().filter(|fault| fault.from <= now && now < fault.until).map(|fault| fault.label.as_str()).collect();
        let flags = if in_force.is_empty() { String::new() } else { format!("  ⚑ {}", in_force.join(", ")) };
        self.numbers.set_message(format!(
            "{} sent, {} complete, {} throttled, {} failed, {} under way{flags}",
            of(&counts.sent),
            of(&counts.complete),
            of(&counts.throttled),
            of(&counts.failed),
            of(&counts.running)
        ));
    }

    /// Ends.
    pub fn finish(&self) {
        for (_, bar) in &self.bars {
            bar.finish_and_clear();
        }
        self.numbers.finish_and_clear();
    }
}

/// How often it is refreshed.
pub const REFRESH: Duration = Duration::from_millis(200);

//! What the plans of the shipped scenarios ask of a quota, reckoned here once more by a reference of its own.
#![allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "small numbers")]
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{collections::BTreeSet, path::Path, sync::LazyLock, time::Duration};

use outcrop_chaos::{
    draw::Draw,
    plan::{Arrival, Resolved, Schedule, resolve},
    scenario::{Phase, Scenario, find, load_file},
};
use outcrop_sim::Amount;

fn mean(amount: &Amount, most: u64) -> f64 {
    let mut draw = Draw::stream(99, "reference", 0);
    let p99 = amount.p99.unwrap_or(amount.p50) as f64;
    let most = amount.cap.map_or(p99 * 4.0, |cap| cap as f64).min(most as f64);
    (0..8_000).map(|_| draw.log_normal(amount.p50 as f64, p99).min(most)).sum::<f64>() / 8_000.0
}

/// Tokens that each arrival settles: everything of a conversation's first call, what is new of the later ones.
fn costs(scenario: &Scenario, arrivals: &[Arrival]) -> Vec<f64> {
    let mut begun = BTreeSet::new();
    let answers: Vec<f64> = scenario
        .load
        .mix
        .iter()
        .map(|kind| {
            let model = &scenario.models[kind.model];
            mean(&model.output_tokens, kind.max_tokens) * model.burndown as f64
        })
        .collect();
    let cost = |arrival: &Arrival| {
        let kind = &scenario.load.mix[arrival.kind];
        let factor = scenario.models[kind.model].behaviour.watermark.as_ref().unwrap().input_factor;
        let image = if kind.image_kb > 0 { 1_600 } else { 0 };
        let prompt = match arrival.talk {
            None => arrival.input_tokens + 10,
            Some(talk) => {
                let (asks, grows) = (kind.input_tokens.p50 + 10, kind.conversation.unwrap().grow_tokens + 4);
                if begun.insert(talk.id) { talk.prefix_tokens + asks + u64::from(talk.turn) * (asks + grows) } else { asks + grows }
            }
        };
        (prompt + kind.tools * 60 + image) as f64 * factor + answers[arrival.kind]
    };
    arrivals.iter().map(cost).collect()
}

/// A stretch of a phase: what it should use of the quota, what it does, and its requests.
struct Stretch {
    wanted: f64,
    used: f64,
    /// A tenth of the quota, or half of the largest request where that is more: no plan can send half of one.
    tolerance: f64,
    requests: usize,
}

/// A scenario at one of its lengths, and what it expands into.
struct Plan {
    name: String,
    resolved: Resolved,
    arrivals: Vec<Arrival>,
    costs: Vec<f64>,
    scenario: Scenario,
}

/// Each scenario with a load share, with its own times and in its short form.
static PLANS: LazyLock<Vec<Plan>> = LazyLock::new(|| {
    let files = find(&Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")).unwrap();
    let all = files.iter().map(|file| load_file(file).unwrap_or_else(|error| panic!("{error}")));
    let limited = all.filter(|scenario| scenario.regions.iter().all(|region| region.quota.is_some()));
    let plans: Vec<Plan> = limited.flat_map(|scenario| [1.0, scenario.quick].map(|factor| Plan::of(&scenario, factor))).collect();
    assert!(plans.len() >= 30, "{}", plans.len());
    plans
});

impl Plan {
    fn of(scenario: &Scenario, factor: f64) -> Self {
        let mut scenario = scenario.clone();
        scenario.scale(factor);
        let resolved = resolve(&scenario);
        let arrivals = Schedule::of(&scenario, &resolved, scenario.seed).arrivals;
        Self { name: format!("{} x {factor}", scenario.name), resolved, costs: costs(&scenario, &arrivals), arrivals, scenario }
    }

    /// Ten seconds where the costliest request is small against them, else a minute: what buckets hold.
    fn window(&self) -> Duration {
        let small = self.resolved.tokens_per_second.is_none_or(|tokens| self.largest() < tokens);
        Duration::from_secs(if small { 10 } else { 60 })
    }

    fn largest(&self) -> f64 {
        self.costs.iter().copied().fold(0.0, f64::max)
    }

    fn stretches(&self, window: Duration) -> Vec<(&Phase, Vec<Stretch>)> {
        let mut begin = Duration::ZERO;
        let mut phases = Vec::new();
        for phase in &self.scenario.phases {
            let count = ((phase.lasting.as_secs_f64() / window.as_secs_f64()).round() as u32).max(1);
            let width = phase.lasting / count;
            let stretch = |number: u32| {
                let from = begin + width * number;
                let share = self.resolved.share(phase.shape, (f64::from(number) + 0.5) / f64::from(count))?;
                Some(self.stretch(from, from + width, share))
            };
            phases.push((phase, (0..count).filter_map(stretch).collect()));
            begin += phase.lasting;
        }
        phases
    }

    fn stretch(&self, from: Duration, until: Duration, wanted: f64) -> Stretch {
        let within: Vec<usize> = (0..self.arrivals.len()).filter(|&index| (from..until).contains(&self.arrivals[index].at)).collect();
        let seconds = (until - from).as_secs_f64();
        let of = |used: f64, limit: Option<f64>| limit.map_or(0.0, |limit| used / limit / seconds);
        let tokens = of(within.iter().map(|&index| self.costs[index]).sum(), self.resolved.tokens_per_second);
        let used = tokens.max(of(within.len() as f64, self.resolved.requests_per_second));
        Stretch { wanted, used, tolerance: of(self.largest() / 2.0, self.resolved.tokens_per_second).max(0.1), requests: within.len() }
    }
}

fn every_plan(check: impl Fn(&Plan, &mut Vec<String>)) {
    let mut wrong = Vec::new();
    PLANS.iter().for_each(|plan| check(plan, &mut wrong));
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_planned_cost_of_every_share_of_a_quota_is_that_share() {
    every_plan(|plan, wrong| {
        let name = &plan.name;
        for (phase, stretches) in plan.stretches(plan.window()) {
            for (number, Stretch { wanted, used, tolerance, .. }) in stretches.iter().enumerate() {
                if (used - wanted).abs() > *tolerance {
                    wrong.push(format!("{name}, {} {number}: {used:.3} instead of {wanted:.3}", phase.name));
                }
            }
        }
    });
}

#[test]
fn the_population_stands_when_a_steady_phase_is_judged() {
    every_plan(|plan, wrong| {
        let name = &plan.name;
        let thirds = plan.stretches(Duration::from_secs(10)).into_iter().filter(|(phase, _)| phase.judged && phase.name == "steady");
        for (_, stretches) in thirds {
            let third = stretches.len() / 3;
            let requests = |part: &[Stretch]| part.iter().map(|stretch| stretch.requests).sum::<usize>();
            let (first, last) = (requests(&stretches[..third]), requests(&stretches[stretches.len() - third..]));
            // Beginning conversations pay for their prompts: while most of them do, the same load is half as many requests.
            if first * 3 < last * 2 {
                wrong.push(format!("{name}: {first} requests in the first third, {last} in the last"));
            }
        }
    });
}

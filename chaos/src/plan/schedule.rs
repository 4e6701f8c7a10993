//! Every arrival of a run, computed before the start.

use std::{collections::VecDeque, time::Duration};

use super::{draw_amount, rate::Resolved};
use crate::{
    draw::Draw,
    scenario::{Arrivals, ClientPlan, FaultKind, Scenario},
};

/// The whole plan of sends.
#[derive(Debug, Clone, Default)]
pub struct Schedule {
    /// In the order of time.
    pub arrivals: Vec<Arrival>,
}

/// One request that will be sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Arrival {
    /// Number, from 0.
    pub id: u64,
    /// When, from the start of the load.
    pub at: Duration,
    /// Index in the mix.
    pub kind: usize,
    /// Its turn of a conversation.
    pub talk: Option<Talk>,
    /// Tokens of its own text.
    pub input_tokens: u64,
    /// Number that its nonce is made of.
    pub nonce: u64,
    /// What its client does to it.
    pub deed: Option<ClientDeed>,
    /// It comes back when a refusal says so.
    pub obeys: bool,
}

/// A turn of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Talk {
    /// Conversation.
    pub id: u64,
    /// Turn, from 0.
    pub turn: u32,
    /// Tokens before its first turn.
    pub prefix_tokens: u64,
}

/// What a client does, with its draws made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientDeed {
    /// Index of the fault in the scenario.
    pub fault: usize,
    /// What.
    pub plan: ClientPlan,
    /// When it leaves, for those who leave.
    pub after: Duration,
}

/// Conversations of one kind that are going on.
#[derive(Debug, Default)]
struct Running {
    /// Next turn due, in the order of time.
    due: VecDeque<(Duration, Talk)>,
}

impl Schedule {
    /// Expands a scenario.
    #[must_use]
    pub fn of(scenario: &Scenario, resolved: &Resolved, seed: u64) -> Self {
        let mut maker = Maker {
            scenario,
            seed,
            running: scenario.load.mix.iter().map(|_| Running::default()).collect(),
            arrivals: Vec::new(),
            talks: 0,
        };
        let mut begin = Duration::ZERO;
        for (number, phase) in (0..).zip(&scenario.phases) {
            let times = times(scenario.load.arrivals, phase.lasting, &mut Draw::stream(seed, "arrivals", number), |part| {
                resolved.at(phase.shape, part)
            });
            for at in times {
                maker.arrive(begin + at);
            }
            begin += phase.lasting;
        }
        Self { arrivals: maker.arrivals }
    }
}

/// Times of arrivals within a phase, by thinning a process of the highest rate.
fn times(arrivals: Arrivals, lasting: Duration, draw: &mut Draw, rate: impl Fn(f64) -> f64) -> Vec<Duration> {
    /// The rate is looked at in so many points to find its highest.
    const POINTS: u32 = 200;
    let highest = (0..=POINTS).map(|point| rate(f64::from(point) / f64::from(POINTS))).fold(0.0, f64::max);
    let mut times = Vec::new();
    if highest <= 0.0 || lasting.is_zero() {
        return times;
    }
    let step = Duration::from_secs_f64(1.0 / highest);
    let mut at = Duration::ZERO;
    let mut owed = 0.0;
    loop {
        at += match arrivals {
            Arrivals::Poisson => draw.exponential(step),
            Arrivals::Even => step,
        };
        if at >= lasting {
            return times;
        }
        let share = rate(at.as_secs_f64() / lasting.as_secs_f64()) / highest;
        let taken = match arrivals {
            Arrivals::Poisson => draw.chance(share),
            Arrivals::Even => {
                owed += share;
                owed >= 1.0 && {
                    owed -= 1.0;
                    true
                }
            }
        };
        if taken {
            times.push(at);
        }
    }
}

struct Maker<'s> {
    scenario: &'s Scenario,
    seed: u64,
    running: Vec<Running>,
    arrivals: Vec<Arrival>,
    talks: u64,
}

impl Maker<'_> {
    fn arrive(&mut self, at: Duration) {
        let id = u64::try_from(self.arrivals.len()).unwrap_or(u64::MAX);
        let mut draw = Draw::stream(self.seed, "request", id);
        let weights: Vec<f64> = self.scenario.load.mix.iter().map(|kind| kind.weight).collect();
        let kind = draw.weighted(&weights);
        let Some(plan) = self.scenario.load.mix.get(kind) else { return };
        let input_tokens = draw_amount(&plan.input_tokens, &mut draw).max(1);
        let talk = self.talk(kind, at, &mut draw);
        let obeys = draw.chance(self.scenario.load.obedient);
        let nonce = talk.map_or_else(|| Draw::stream(self.seed, "nonce", id).bits(), |talk| talk.nonce(self.seed));
        let deed = self.deed(at, id);
        self.arrivals.push(Arrival { id, at, kind, talk, input_tokens, nonce, deed, obeys });
    }

    /// The turn that is due, or the first of a new conversation.
    fn talk(&mut self, kind: usize, at: Duration, draw: &mut Draw) -> Option<Talk> {
        let plan = self.scenario.load.mix.get(kind)?.conversation?;
        let running = self.running.get_mut(kind)?;
        let talk = match running.due.front() {
            Some((due, _)) if *due <= at => running.due.pop_front()?.1,
            _ => {
                self.talks += 1;
                Talk { id: self.talks, turn: 0, prefix_tokens: draw_amount(&plan.prefix_tokens, draw) }
            }
        };
        if talk.turn + 1 < plan.turns {
            // Every conversation waits equally long, so that the order of due times is that of arrival.
            running.due.push_back((at + plan.think, Talk { turn: talk.turn + 1, ..talk }));
        }
        Some(talk)
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

impl Talk {
    /// The nonce of this turn; later turns repeat it in their history.
    #[must_use]
    pub fn nonce(&self, seed: u64) -> u64 {
        Draw::stream(seed, "talk", self.id.wrapping_mul(1_000).wrapping_add(u64::from(self.turn))).bits()
    }

    /// The turn before with this number.
    #[must_use]
    pub fn at_turn(&self, turn: u32) -> Self {
        Self { turn, ..*self }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{plan::resolve, scenario::parse_text};

    fn scenario(extra: &str, rate: &str) -> Scenario {
        let text = format!(
            r#"
name = "plan"
hypothesis = "h"
region = [{{ name = "a", quota = {{ rpm = 60000, tpm = 600_000 }} }}]
model = [{{ id = "anthropic.claude-sonnet-4-6", behaviour = {{ watermark = {{ output_tokens = {{ p50 = 100 }} }} }} }}]
phase = [{{ name = "p", for = "100s", {rate} }}]
{extra}
[bounds]
success = ">= 0%"
[vacuous]
each_fault_hit = 1
"#
        );
        parse_text(Path::new("plan.toml"), &text).unwrap_or_else(|error| panic!("{error}"))
    }

    const CHAT: &str = "[load]\nmix = [{ input_tokens = 500, max_tokens = 1000 }]";

    fn schedule(scenario: &Scenario, seed: u64) -> Vec<Arrival> {
        Schedule::of(scenario, &resolve(scenario), seed).arrivals
    }

    #[test]
    fn a_share_of_the_quota_is_resolved_by_what_settles() {
        let scenario = scenario(CHAT, "rate = \"95% of quota\"");
        let resolved = resolve(&scenario);
        // 500 input and 5 x 100 output: ten a second in 600,000 a minute.
        assert!((resolved.full.unwrap() - 10.0).abs() < 0.1, "{resolved}");
        assert!((resolved.reserved - 1_500.0).abs() < 1.0, "{resolved}");
        let count = schedule(&scenario, 1).len();
        assert!((850..=1_050).contains(&count), "950 in the mean: {count}");
    }

    #[test]
    fn a_seed_gives_one_schedule_and_another_seed_another() {
        let scenario = scenario(CHAT, "rate = \"5/s\"");
        assert_eq!(schedule(&scenario, 1), schedule(&scenario, 1));
        assert_ne!(schedule(&scenario, 1), schedule(&scenario, 2));
        let times: Vec<Duration> = schedule(&scenario, 1).iter().map(|arrival| arrival.at).collect();
        assert!(times.is_sorted());
    }

    #[test]
    fn ramps_and_even_arrivals_follow_their_rates() {
        let ramp = scenario(&CHAT.replace("mix", "arrivals = \"even\"\nmix"), "from = \"0/s\", to = \"10/s\"");
        let arrivals = schedule(&ramp, 1);
        let early = arrivals.iter().filter(|arrival| arrival.at < Duration::from_secs(50)).count();
        assert!((495..=501).contains(&arrivals.len()) && (120..=130).contains(&early), "{} {early}", arrivals.len());
    }

    #[test]
    fn conversations_take_turns_and_keep_their_nonces() {
        let talks = scenario("[load]\nmix = [{ conversation = { turns = 3, think = \"10s\", prefix_tokens = 2000 } }]", "rate = \"2/s\"");
        let arrivals = schedule(&talks, 1);
        let of_first: Vec<Talk> = arrivals.iter().filter_map(|arrival| arrival.talk).filter(|talk| talk.id == 1).collect();
        assert_eq!(of_first.iter().map(|talk| talk.turn).collect::<Vec<_>>(), [0, 1, 2]);
        let third = arrivals.iter().find(|arrival| arrival.talk == Some(of_first[2])).unwrap();
        assert_eq!(third.nonce, of_first[0].at_turn(2).nonce(1));
    }

    #[test]
    fn taking_one_client_fault_away_leaves_the_others_as_they_were() {
        let both = "fault = [{ kind = \"bad_body\", share = 0.1 }, { kind = \"vanish\", share = 0.1, after = \"exp 1s\" }]\n";
        let with = schedule(&scenario(&format!("{both}{CHAT}"), "rate = \"5/s\""), 1);
        let lone = "fault = [{ kind = \"bad_body\", share = 0.0 }, { kind = \"vanish\", share = 0.1, after = \"exp 1s\" }]\n";
        let without = schedule(&scenario(&format!("{lone}{CHAT}"), "rate = \"5/s\""), 1);
        let vanishing = |arrivals: &[Arrival]| -> Vec<(u64, Duration)> {
            let deeds = arrivals.iter().filter_map(|arrival| Some((arrival.id, arrival.deed?)));
            deeds.filter(|(_, deed)| deed.fault == 1).map(|(id, deed)| (id, deed.after)).collect()
        };
        let (with, without) = (vanishing(&with), vanishing(&without));
        assert!(!with.is_empty() && with.iter().all(|deed| without.contains(deed)), "{with:?}");
    }
}

//! What it costs to choose a region: the chat path with strategy `adaptive` over the same with `ordered`, which looks at no quota.
//!
//! They have the one region of the other measurements. What it costs to choose among three, which are the same simulator, is
//! shown beside, and so is what it costs to tell each client in six headers what is left of the quotas, which routing does not
//! need. A process is faster or slower than another one of the same program by where its memory happens to lie, and the limit is
//! finer than that: so there are many short rounds, each with new processes, and beside the others a second `ordered`, whose
//! ratio shows how far the run itself can be trusted.

use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

use super::{
    Plan,
    dialects::Dialect,
    measure::{self, Ratio},
    process::Server,
    slices::{Turn, slices},
    upstream,
};

/// Most CPU that adaptive routing may take over `ordered`, per answer and per stream.
pub(super) const MOST: f64 = 1.03;

/// Slices of a round in which the strategies take turns.
const SLICES: u64 = 4;

/// A gateway with a strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Choice {
    /// The default: what the others are compared with.
    Ordered,
    /// The same once more.
    OrderedAgain,
    /// Adaptive, with quotas that nobody has told.
    AdaptiveCold,
    /// Adaptive, with quotas that the settings tell, that are never used up, and that no answer tells of.
    AdaptiveKnown,
    /// The same, and every answer tells in its headers what is left of them, as it does by default. It is shown and not judged:
    /// the headers cost what they cost with any strategy that keeps quotas.
    AdaptiveTold,
    /// The same in three regions, without these headers. It is shown and not judged: more connections cost, too.
    AdaptiveOfThree,
}

/// The CPU of a choice over that of `ordered`.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct StrategyRow {
    pub(super) choice: Choice,
    pub(super) answers: Ratio,
    pub(super) streams: Ratio,
}

impl Choice {
    const ALL: [Self; 6] =
        [Self::Ordered, Self::OrderedAgain, Self::AdaptiveCold, Self::AdaptiveKnown, Self::AdaptiveTold, Self::AdaptiveOfThree];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ordered => "ordered",
            Self::OrderedAgain => "ordered, another process",
            Self::AdaptiveCold => "adaptive, from cold",
            Self::AdaptiveKnown => "adaptive, quotas known",
            Self::AdaptiveTold => "the same, told in headers",
            Self::AdaptiveOfThree => "quotas known, three regions",
        }
    }

    fn regions(self) -> &'static [&'static str] {
        match self {
            Self::Ordered | Self::OrderedAgain | Self::AdaptiveCold | Self::AdaptiveKnown | Self::AdaptiveTold => &["us-east-1"],
            Self::AdaptiveOfThree => &["us-east-1", "us-west-2", "us-east-2"],
        }
    }

    fn settings(self) -> String {
        let large = |region| format!("{region} = {{ requests_per_minute = 1_000_000_000, tokens_per_minute = 1_000_000_000_000 }}\n");
        match self {
            Self::Ordered | Self::OrderedAgain => "[routing]\nstrategy = \"ordered\"\n".to_owned(),
            Self::AdaptiveCold => "[routing]\nstrategy = \"adaptive\"\n".to_owned(),
            Self::AdaptiveKnown | Self::AdaptiveTold | Self::AdaptiveOfThree => {
                let quotas: String = self.regions().iter().map(large).collect();
                let told = self == Self::AdaptiveTold;
                format!("[routing]\nstrategy = \"adaptive\"\nreport_limits = {told}\n[routing.quotas]\n{quotas}")
            }
        }
    }
}

/// CPU seconds of each choice in one round, per 1,000: answers, streams.
type Round = [Vec<f64>; 2];

/// Measures all of them, in rounds.
pub(super) async fn rows(gateway: &Path, fast_upstream: &str, plan: Plan) -> anyhow::Result<Vec<StrategyRow>> {
    let mut rounds = Vec::new();
    for number in 1..=plan.strategy_rounds {
        measure::note(&format!("strategies, round {number} of {}", plan.strategy_rounds))?;
        rounds.push(round(gateway, fast_upstream, plan).await.with_context(|| format!("strategies, round {number}"))?);
    }
    Ok(compared(&rounds))
}

async fn round(gateway: &Path, fast_upstream: &str, plan: Plan) -> anyhow::Result<Round> {
    let mut servers = Vec::new();
    for choice in Choice::ALL {
        let server = measure::start_gateway_with(gateway, fast_upstream, choice.regions(), &choice.settings()).await;
        servers.push((choice, server.with_context(|| choice.name())?));
    }
    let turns = |stream: bool| -> Vec<Turn<'_>> {
        let check = || Dialect::Chat.check(stream, upstream::text());
        let turn = |name, server| Turn { name, server, shot: Dialect::Chat.shot(&server.address, stream), check: check() };
        servers.iter().map(|(choice, server): &(Choice, Server)| turn(choice.name(), server)).collect()
    };
    let busy = measure::BUSY_CONNECTIONS;
    let answers = slices(&turns(false), plan.answers / 4, busy, SLICES).await.context("answers")?;
    let streams = slices(&turns(true), plan.streams / 4, busy, SLICES).await.context("streams")?;
    Ok([answers, streams])
}

/// What the rounds come to.
fn compared(rounds: &[Round]) -> Vec<StrategyRow> {
    let ratio = |place: usize, pick: fn(&Round) -> &Vec<f64>| {
        let of = |round: &Round, place: usize| pick(round).get(place).copied().unwrap_or(f64::NAN);
        Ratio::of(rounds.iter().map(|round| of(round, place) / of(round, 0)).collect())
    };
    let others = Choice::ALL.into_iter().enumerate().skip(1);
    others
        .map(|(place, choice)| StrategyRow {
            choice,
            answers: ratio(place, |[answers, _]| answers),
            streams: ratio(place, |[_, streams]| streams),
        })
        .collect()
}

/// What is above the limit, or was not measured.
pub(super) fn exceeded(rows: &[StrategyRow]) -> Vec<String> {
    let judged = rows.iter().filter(|row| matches!(row.choice, Choice::AdaptiveCold | Choice::AdaptiveKnown));
    let ratios = judged.flat_map(|row| [("answers", row.answers), ("streams", row.streams)].map(|(of, ratio)| (row.choice, of, ratio)));
    let beyond = ratios.filter(|(_, _, ratio)| !keeps(*ratio));
    beyond.map(|(choice, of, ratio)| format!("{}: {of} take {:.3} of the CPU with `ordered`", choice.name(), ratio.median)).collect()
}

/// Is a ratio within the limit? What was not measured is not.
pub(super) fn keeps(ratio: Ratio) -> bool {
    ratio.median <= MOST
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CPU seconds of the choices but the last two, which have no limit: they are ten times as dear.
    fn told(answers: [f64; 4], streams: [f64; 4]) -> Round {
        [answers, streams].map(|cpu| cpu.into_iter().chain([10.0 * cpu[0]; 2]).collect())
    }

    #[test]
    fn adaptive_is_compared_with_ordered_round_by_round_and_the_limit_holds_for_both_kinds() {
        let fair = told([1.0, 1.1, 1.02, 1.03], [2.0, 2.2, 2.06, 2.0]);
        let rows = compared(&[fair.clone(), told([10.0, 10.0, 10.2, 10.3], [20.0, 20.0, 20.6, 20.0]), fair.clone()]);
        let medians: Vec<(Choice, String, String)> =
            rows.iter().map(|row| (row.choice, format!("{:.2}", row.answers.median), format!("{:.2}", row.streams.median))).collect();
        let expected = [
            (Choice::OrderedAgain, "1.10", "1.10"),
            (Choice::AdaptiveCold, "1.02", "1.03"),
            (Choice::AdaptiveKnown, "1.03", "1.00"),
            (Choice::AdaptiveTold, "10.00", "10.00"),
            (Choice::AdaptiveOfThree, "10.00", "10.00"),
        ];
        assert_eq!(medians, expected.map(|(choice, answers, streams)| (choice, answers.to_owned(), streams.to_owned())));
        assert_eq!(exceeded(&rows), [""; 0], "what another process of the same costs, and headers, and three regions, has no limit");
        let dear = compared(&[told([1.0, 1.0, 1.04, 1.0], [1.0, 1.0, 1.0, 1.05])]);
        assert_eq!(
            exceeded(&dear),
            [
                "adaptive, from cold: answers take 1.040 of the CPU with `ordered`",
                "adaptive, quotas known: streams take 1.050 of the CPU with `ordered`"
            ]
        );
        assert_eq!(exceeded(&compared(&[])).len(), 4, "nothing was measured");
    }
}

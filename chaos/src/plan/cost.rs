//! What requests cost of a quota: with ideal caching, and answers of the mean length. Shares of a quota are planned by it.

use super::{Talk, mean_amount};
use crate::scenario::{KindPlan, Scenario};

/// Tokens of a tool's schema, as the simulator counts them.
const TOOL_TOKENS: u64 = 60;
/// Tokens of a message beside its text, and of the nonce in what a client asks, as the simulator counts them.
const ASKING_TOKENS: u64 = 10;
/// The same of an answer that is repeated.
const ANSWERED_TOKENS: u64 = 4;
/// Tokens of an image of the mix, as the simulator counts them.
const IMAGE_TOKENS: u64 = 1_600;

/// Costs of the kinds of a mix, in its order.
#[derive(Debug, Clone)]
pub(super) struct Costs {
    kinds: Vec<Kind>,
}

#[derive(Debug, Clone, Copy)]
struct Kind {
    /// Tokens of the answer times their burn-down.
    answer: f64,
    /// Tokens of tools and image.
    beside: f64,
    /// What is billed of a prompt, relative to what it counts.
    input_factor: f64,
    /// Tokens that a turn of a conversation asks.
    asks: f64,
    /// Tokens of the answer before it, as the next turn repeats it.
    grows: f64,
}

impl Costs {
    pub(super) fn of(scenario: &Scenario) -> Self {
        Self { kinds: scenario.load.mix.iter().map(|kind| Kind::of(kind, scenario)).collect() }
    }

    /// Tokens that settle for one request. `cold`: nothing of its prompt is cached anywhere.
    pub(super) fn tokens(&self, kind: usize, input_tokens: u64, talk: Option<Talk>, cold: bool) -> f64 {
        let Some(kind) = self.kinds.get(kind) else { return 0.0 };
        let prompt = match talk {
            None => float(input_tokens + ASKING_TOKENS),
            Some(talk) if cold => float(talk.prefix_tokens) + kind.asks + f64::from(talk.turn) * (kind.asks + kind.grows),
            Some(_) => kind.asks + kind.grows,
        };
        (prompt + kind.beside) * kind.input_factor + kind.answer
    }

    /// The mean over a whole conversation, or over requests without one.
    pub(super) fn mean(&self, index: usize, plan: &KindPlan) -> f64 {
        let Some(kind) = self.kinds.get(index) else { return 0.0 };
        let prompt = match &plan.conversation {
            None => mean_amount(&plan.input_tokens, u64::MAX) + float(ASKING_TOKENS),
            Some(talk) => {
                let turns = f64::from(talk.turns);
                kind.asks + kind.grows * (turns - 1.0) / turns + mean_amount(&talk.prefix_tokens, u64::MAX) / turns
            }
        };
        (prompt + kind.beside) * kind.input_factor + kind.answer
    }
}

impl Kind {
    fn of(plan: &KindPlan, scenario: &Scenario) -> Self {
        let model = scenario.models.get(plan.model);
        let answer = model.map_or(0.0, |model| mean_amount(&model.output_tokens, plan.max_tokens) * float(model.burndown));
        let watermark = model.and_then(|model| model.behaviour.watermark.as_ref());
        Self {
            answer,
            beside: beside(plan),
            input_factor: watermark.map_or(1.0, |watermark| watermark.input_factor),
            asks: float(plan.input_tokens.p50 + ASKING_TOKENS),
            grows: plan.conversation.map_or(0.0, |talk| float(talk.grow_tokens + ANSWERED_TOKENS)),
        }
    }
}

/// Tokens that are reserved for a request on average, by the harness's own count.
pub(super) fn reserved(plan: &KindPlan) -> f64 {
    let prompt = match &plan.conversation {
        None => mean_amount(&plan.input_tokens, u64::MAX),
        Some(talk) => {
            let (asks, before) = (float(plan.input_tokens.p50), f64::from(talk.turns.saturating_sub(1)) / 2.0);
            mean_amount(&talk.prefix_tokens, u64::MAX) + asks + (asks + float(talk.grow_tokens)) * before
        }
    };
    prompt + beside(plan) + float(plan.max_tokens)
}

fn beside(plan: &KindPlan) -> f64 {
    float(plan.tools * TOOL_TOKENS) + if plan.image_kb > 0 { float(IMAGE_TOKENS) } else { 0.0 }
}

/// Token counts lie far below 2^52.
#[allow(clippy::cast_precision_loss, reason = "see above")]
fn float(count: u64) -> f64 {
    count as f64
}

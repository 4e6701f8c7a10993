//! The simulated region behind every contestant, and what it answers.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use outcrop_sim::{
    Asked, AuthMode, FastAnswers, Pace, Simulator,
    brain::{Block, Turn, TurnUsage},
};

use crate::baseline::announce;

/// Words of a stored answer; streamed, each is one delta.
const WORDS: usize = 100;

/// Words of a paced answer: a model's deltas carry one to four words, so that these make about a hundred of them.
const PACED_WORDS: usize = 250;

/// The text of every stored answer.
#[must_use]
pub fn text() -> String {
    words(WORDS)
}

/// The text of every paced answer.
#[must_use]
pub fn paced_text() -> String {
    words(PACED_WORDS)
}

fn words(count: usize) -> String {
    (0..count).map(|index| format!("word{index}")).collect::<Vec<_>>().join(" ")
}

/// Serves until killed: stored answers written at once, or with a pause before each delta.
///
/// # Errors
/// When it cannot listen.
pub async fn serve(pace_ms: u64) -> anyhow::Result<()> {
    let builder = Simulator::builder().region("us-east-1", 0);
    let builder = if pace_ms == 0 {
        let answers = FastAnswers::new().map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
        builder.auth(AuthMode::Off).fast(answers)
    } else {
        builder.auth(AuthMode::Off).pace(Pace::fixed(Duration::ZERO, Duration::from_millis(pace_ms)))
    };
    let simulator = builder.start().await.context("starting the simulator")?;
    simulator.answer_with(Some(Arc::new(|_: &Asked| answer())));
    let address = simulator.address("us-east-1").context("the region has no port")?;
    announce(address)?;
    std::future::pending::<()>().await;
    Ok(())
}

fn answer() -> Turn {
    Turn {
        blocks: vec![Block::Text(paced_text())],
        stop_reason: "end_turn",
        stop_sequence: None,
        usage: TurnUsage { input: 20, output: PACED_WORDS as u64, ..TurnUsage::default() },
        guardrail_trace: None,
        service_tier: None,
        additional_response_fields: None,
    }
}

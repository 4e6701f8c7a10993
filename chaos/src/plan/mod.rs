//! What a scenario expands into before anything is sent: rates, arrivals, sizes, nonces, faults of clients. All of it from
//! the seed; answers never change it.

mod cost;
mod dialects;
mod maker;
mod prompt;
mod rate;
mod schedule;

pub use prompt::{Prompts, nonce_text};
pub use rate::{Resolved, resolve};
pub use schedule::{Arrival, ClientDeed, Schedule, Talk};

use outcrop_sim::Amount;

use crate::draw::Draw;

/// Prefix of every nonce; what the simulator looks for in raw bodies.
pub const NONCE_PREFIX: &str = "n0nce-";

/// Draws are cut at this multiple of the 99th percentile unless an amount has a cap: the same as in the simulator.
const TAIL: f64 = 4.0;

/// One draw of an amount.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "token counts; casts saturate")]
pub(crate) fn draw_amount(amount: &Amount, draw: &mut Draw) -> u64 {
    let p99 = amount.p99.unwrap_or(amount.p50) as f64;
    let cap = amount.cap.map_or(p99 * TAIL, |cap| cap as f64);
    draw.log_normal(amount.p50 as f64, p99).min(cap).round() as u64
}

/// Its mean, by draws: with a cap there is no formula worth having.
#[allow(clippy::cast_precision_loss, reason = "token counts lie far below 2^52")]
pub(crate) fn mean_amount(amount: &Amount, most: u64) -> f64 {
    const DRAWS: u32 = 4_096;
    let mut draw = Draw::stream(0, "mean", 0);
    let sum: u64 = (0..DRAWS).map(|_| draw_amount(amount, &mut draw).min(most)).sum();
    sum as f64 / f64::from(DRAWS)
}

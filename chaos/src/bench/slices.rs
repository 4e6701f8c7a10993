//! Those that are compared take turns: a machine that is slower for a second is so for all of them.

use std::time::Duration;

use anyhow::Context as _;

use super::{
    load::{self, Check, Shot},
    measure,
    process::Server,
};

/// One of those that are compared, and what it is asked.
pub(super) struct Turn<'s> {
    pub(super) name: &'static str,
    pub(super) server: &'s Server,
    pub(super) shot: Shot,
    pub(super) check: Check,
}

/// CPU seconds per 1,000 requests of each, of which so many are sent in so many slices. Each slice begins with another one.
pub(super) async fn slices(turns: &[Turn<'_>], count: u64, connections: u64, slices: u64) -> anyhow::Result<Vec<f64>> {
    let mut sums = vec![(Duration::ZERO, 0); turns.len()];
    // The first warms up.
    for slice in 0..=slices {
        let begins = usize::try_from(slice)? % turns.len().max(1);
        for (place, turn) in turns.iter().enumerate().cycle().skip(begins).take(turns.len()) {
            let before = turn.server.cpu()?;
            let volley = load::volley(&turn.shot, (count / slices).max(connections), connections, turn.check.clone()).await;
            let answers = volley.with_context(|| turn.name)?.answers;
            if let Some((cpu, answered)) = sums.get_mut(place).filter(|_| slice > 0) {
                *cpu += turn.server.cpu()?.since(&before);
                *answered += answers;
            }
        }
    }
    Ok(sums.into_iter().map(|(cpu, answered)| measure::per_thousand(cpu, answered)).collect())
}

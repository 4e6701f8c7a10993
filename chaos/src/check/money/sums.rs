//! What a key is booked in all, against all that was billed for it. Row by row a call that nobody delivered is compared with
//! nothing; here it counts.

use std::collections::BTreeMap;

use super::{OUTPUT_SLACK, PROMPT_FACTOR, PROMPT_SLACK, Verdict, WORD_TOKENS, delivered, killed_around, prompt};
use crate::history::{Call, End, History, Joined, Request, Tokens};

/// The allowance: a call that was given up before its first event may stay unbooked, since the gateway was told nothing of it.
/// So many words may have been on their way to it unread, in the frames that a broken connection took with it.
pub(super) const GIVEN_UP: u64 = 4;

/// Least and most that can be booked, prompt and output.
#[derive(Debug, Clone, Copy, Default)]
struct Between {
    least: (u64, u64),
    most: (u64, u64),
}

impl Between {
    fn exactly(tokens: Tokens) -> Self {
        let told = (prompt(tokens), tokens.output);
        Self { least: told, most: told }
    }

    fn plus(self, other: Self) -> Self {
        let sum = |one: (u64, u64), two: (u64, u64)| (one.0 + two.0, one.1 + two.1);
        Self { least: sum(self.least, other.least), most: sum(self.most, other.most) }
    }
}

/// Compares the sums of each key.
pub(super) fn check(history: &History, joined: &Joined<'_>, verdict: &mut Verdict) {
    // Where nobody's rows are known there are no sums, and a wrong row that was told makes a wrong sum that need not be.
    if history.rows.is_empty() || verdict.found > 0 {
        return;
    }
    let mut keys: BTreeMap<&str, (Between, Tokens)> = BTreeMap::new();
    for request in &history.requests {
        let (between, _) = keys.entry(request.key.as_str()).or_default();
        *between = joined.calls_of(request).iter().map(|call| bookable(history, joined, request, call)).fold(*between, Between::plus);
    }
    for row in &history.rows {
        if let Some((_, booked)) = row.key.as_deref().and_then(|key| keys.get_mut(key)) {
            *booked = booked.plus(row.tokens);
        }
    }
    for (key, (Between { least, most }, tokens)) in keys.into_iter().filter(|(_, (between, _))| between.most.0 > 0) {
        let sums = [("input", prompt(tokens), least.0, most.0), ("output", tokens.output, least.1, most.1)];
        let wrong = sums.into_iter().find(|(_, booked, least, most)| !(least..=most).contains(&booked));
        verdict.expect(wrong.is_none(), history.end(), None, || {
            let (what, booked, least, most) = wrong.unwrap_or_default();
            format!("{booked} {what} tokens are booked for key `{key}`; its calls account for {least} to {most}")
        });
    }
}

fn bookable(history: &History, joined: &Joined<'_>, request: &Request, call: &Call) -> Between {
    let (Some(billed), Some(whole)) = (call.billed, call.whole) else { return Between::default() };
    let complete = request.end == End::Complete;
    let last = request.said.runs.last().map_or_else(|| delivered(joined, request).map(|call| call.number), |run| Some(run.call));
    if complete && call.usage_sent && last == Some(call.number) && !killed_around(history, request) {
        return Between::exactly(billed);
    }
    let most = (prompt(whole) * PROMPT_FACTOR + PROMPT_SLACK, whole.output.max(call.words_sent * WORD_TOKENS) + OUTPUT_SLACK);
    let heard: u64 = request.said.runs.iter().filter(|run| run.call == call.number).map(|run| run.last - run.first + 1).sum();
    // What an answer's reader holds up, nobody has heard; of a client that stays to the end nothing is held up.
    let read = if complete && call.stream { call.words_sent.saturating_sub(GIVEN_UP) } else { 0 };
    let words = heard.max(read);
    if words == 0 || killed_around(history, request) {
        return Between { least: (0, 0), most };
    }
    Between { least: (prompt(whole).saturating_sub(PROMPT_SLACK) / PROMPT_FACTOR, words.min(billed.output) / 2), most }
}

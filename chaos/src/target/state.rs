//! What the admin port's `GET /state` tells that the harness compares.

use serde::Deserialize;

use crate::history::{LedgerTotals, Tokens};

#[derive(Deserialize)]
struct State {
    ledger: Option<Ledger>,
}

#[derive(Deserialize)]
struct Ledger {
    all: Totals,
}

#[derive(Deserialize)]
struct Totals {
    calls: u64,
    usage: Usage,
    /// Millionths of a dollar.
    cost: i64,
}

#[derive(Deserialize)]
struct Usage {
    input: u64,
    output: u64,
    cache_read: u64,
    cache_write_5m: u64,
    cache_write_1h: u64,
}

/// The totals of the ledger; `None` where it did not answer in time, or in another form.
pub(super) fn ledger(body: &[u8]) -> Option<LedgerTotals> {
    let Totals { calls, usage, cost } = serde_json::from_slice::<State>(body).ok()?.ledger?.all;
    let Usage { input, output, cache_read, cache_write_5m, cache_write_1h } = usage;
    Some(LedgerTotals {
        calls,
        tokens: Tokens { input, output, cache_read, cache_write: cache_write_5m + cache_write_1h },
        micro_usd: cost,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_totals_of_a_ledger_are_read_and_its_silence_is_seen() {
        let body = br#"{"tree":null,"ledger":{"all":{"calls":3,"cancelled":1,"usage":{"input":5,"output":6,"cache_read":7,"cache_write_5m":8,"cache_write_1h":9,"reasoning":null},"cost":42},"by_key":{}}}"#;
        let tokens = Tokens { input: 5, output: 6, cache_read: 7, cache_write: 17 };
        assert_eq!(ledger(body), Some(LedgerTotals { calls: 3, tokens, micro_usd: 42 }));
        assert_eq!(ledger(br#"{"ledger":null}"#), None);
        assert_eq!(ledger(b"no"), None);
    }
}

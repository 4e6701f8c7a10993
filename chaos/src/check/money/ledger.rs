//! The gateway's ledger against its own rows: two books of one owner must at least agree with each other.

use super::Verdict;
use crate::history::{History, HostFact, Ledger, LedgerTotals, Row, Tokens};

/// Actors with which the ledger begins anew: itself, the one before it in its branch, and the branch.
const BEGIN_ANEW: [&str; 3] = ["ledger-writer", "settings-keeper", "foundation"];

/// Compares the totals of each replica that has run from the beginning to the end.
pub(super) fn check(history: &History, verdict: &mut Verdict) {
    for ledger in history.ledgers.iter().filter(|ledger| !began_anew(history, ledger)) {
        let rows: Vec<&Row> = history.rows.iter().filter(|row| row.replica == ledger.replica).collect();
        let wrong = match &ledger.totals {
            Some(totals) => differs(totals, &rows),
            None => Some("it does not tell its totals".to_owned()),
        };
        verdict.expect(wrong.is_none(), ledger.at, None, || format!("ledger of replica {}: {}", ledger.replica, wrong.unwrap_or_default()));
    }
}

fn began_anew(history: &History, ledger: &Ledger) -> bool {
    let before = history.host.iter().filter(|event| event.replica == ledger.replica && event.at <= ledger.at);
    before.into_iter().any(|event| match &event.fact {
        HostFact::Killed | HostFact::Terminated => true,
        HostFact::ActorKilled { name } | HostFact::ActorPanicked { name } => BEGIN_ANEW.contains(&name.as_str()),
        _ => false,
    })
}

fn differs(totals: &LedgerTotals, rows: &[&Row]) -> Option<String> {
    let tokens = rows.iter().fold(Tokens::default(), |sum, row| sum.plus(row.tokens));
    let micro_usd: i64 = rows.iter().filter_map(|row| row.micro_usd).sum();
    if totals.tokens != tokens {
        return Some(format!("{:?} in all, its rows have {tokens:?}", totals.tokens));
    }
    if totals.micro_usd != micro_usd {
        return Some(format!("{} micro-dollars in all, its rows have {micro_usd}", totals.micro_usd));
    }
    // A row is of one call at least, where it is of any, and of no more than it says were made.
    let paid = || rows.iter().filter(|row| row.tokens != Tokens::default());
    let (least, most) = (u64::try_from(paid().count()).unwrap_or(u64::MAX), paid().map(|row| row.attempts).sum::<u64>());
    (totals.calls < least || totals.calls > most).then(|| format!("{} calls, its rows have {least} to {most}", totals.calls))
}

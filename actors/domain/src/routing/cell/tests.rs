use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::routing::quota::{Priors, Refused};

fn at(seconds: f64) -> Moment {
    Moment(Duration::from_secs_f64(seconds))
}

const DAY: Duration = Duration::from_secs(86_400);

/// 600 calls and 600,000 tokens a minute.
fn known() -> (QuotaCell, TargetQuota) {
    let priors = Priors { requests_per_minute: Some(600.0), tokens_per_minute: Some(600_000.0), tokens_per_day: None };
    let quota = TargetQuota::new(&priors, None, at(0.0), DAY);
    (QuotaCell::new(&quota, at(0.0)), quota)
}

fn close(a: &ResourceView, b: &ResourceView) -> bool {
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-4 * (1.0 + b.abs());
    near(a.level, b.level) && near(a.rate, b.rate) && near(a.depth, b.depth) && near(a.margin, b.margin) && a.known == b.known
}

#[test]
fn what_was_published_is_what_is_seen_and_refills_by_itself() {
    let (cell, mut quota) = known();
    let demand = Demand::of_tokens(300_000.0);
    let sent = cell.debit(&demand, 0.0, at(1.0)).unwrap();
    assert_eq!((sent.levels, sent.probed()), ([600.0, 600_000.0], false));
    assert!((cell.view(at(1.0))[1].level - 300_000.0).abs() < 1.0);
    assert!((cell.view(at(11.0))[1].level - 400_000.0).abs() < 1.0);
    assert_eq!(cell.view(at(100.0))[1].level, 600_000.0);
    cell.update(&mut quota, at(11.0), |quota| quota.advance(at(11.0)));
    assert!((quota.view()[1].level - 400_000.0).abs() < 1.0, "the owner has heard of the debit");
    assert!(quota.shadow(Resource::Tokens).floor() > 0.0);
}

#[test]
fn a_debit_without_room_changes_nothing() {
    let (cell, _) = known();
    cell.debit(&Demand::of_tokens(500_000.0), 0.0, at(1.0)).unwrap();
    let before = cell.view(at(1.0));
    assert_eq!(cell.debit(&Demand::of_tokens(100_000.0), 0.0, at(1.0)), Err(NoRoom));
    assert_eq!(cell.debit(&Demand::of_tokens(50_000.0), 60_000.0, at(1.0)), Err(NoRoom), "what is held is no room");
    assert!(close(&cell.view(at(1.0))[0], &before[0]) && close(&cell.view(at(1.0))[1], &before[1]));
    let probe = cell.debit_probe(&Demand::of_tokens(200_000.0), at(1.0));
    assert!(probe.probed() && probe.short == [false, true]);
}

#[test]
fn debits_made_during_an_update_are_kept() {
    let (cell, mut quota) = known();
    let demand = Demand::of_tokens(100_000.0);
    cell.debit(&demand, 0.0, at(1.0)).unwrap();
    cell.update(&mut quota, at(1.0), |quota| {
        quota.settle(at(1.0), &demand, 20_000.0);
        cell.debit(&demand, 0.0, at(1.0)).unwrap();
    });
    assert!((cell.view(at(1.0))[1].level - 480_000.0).abs() < 1.0, "{:?}", cell.view(at(1.0)));
    cell.update(&mut quota, at(1.0), |_| ());
    assert!((quota.view()[1].level - 480_000.0).abs() < 1.0);
}

#[test]
fn many_threads_take_no_more_than_there_is() {
    let (cell, _) = known();
    let demand = Demand::of_tokens(1_000.0);
    let taken: usize = std::thread::scope(|scope| {
        let threads = [(); 8].map(|()| scope.spawn(|| (0..200).filter(|_| cell.debit(&demand, 0.0, at(1.0)).is_ok()).count()));
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    // All but the margin of 1 %.
    assert_eq!(taken, 594);
    assert!((cell.view(at(1.0))[1].level - 6_000.0).abs() < 1.0);
    let used: f64 = cell.resources[1].used.take();
    assert_eq!(used, 594_000.0);
}

#[test]
fn an_unknown_resource_takes_everything_until_it_refuses() {
    let quota = TargetQuota::new(&Priors::default(), None, at(0.0), DAY);
    let (cell, mut quota) = (QuotaCell::new(&quota, at(0.0)), quota);
    let demand = Demand::of_tokens(1e7);
    let sent = cell.debit(&demand, 0.0, at(1.0)).unwrap();
    assert_eq!((sent.levels, sent.probed()), ([f64::INFINITY; 2], false));
    cell.update(&mut quota, at(1.2), |quota| quota.refused(at(1.2), &demand, &sent, Refused::Tokens, 0.5));
    let [requests, tokens] = cell.view(at(1.2));
    assert!(!requests.known && tokens.known && tokens.level <= 5e6, "{tokens:?}");
    assert_eq!(cell.debit(&demand, 0.0, at(1.3)), Err(NoRoom));
}

#[test]
fn a_bucket_that_refills_with_the_minute_stands_still_until_then() {
    let view = ResourceView { rate: 10.0, depth: 600.0, level: 200.0, margin: 0.0, known: true, refills_after: Some(20.0) };
    // Half past each minute: at 70 s the present one began at 30 s.
    let cell = ResourceCell::new(&view, Some(at(30.0)), at(70.0));
    for (now, level, refills) in [(70.0, 200.0, 20.0), (89.0, 200.0, 1.0), (90.0, 600.0, 60.0), (95.0, 600.0, 55.0)] {
        let seen = cell.view(at(now));
        assert!((seen.level - level).abs() < 1e-3 && (seen.refills_after.unwrap() - refills).abs() < 1e-3, "{now}: {seen:?}");
    }
    assert!(cell.take(150.0, at(95.0), |view| view.fits(150.0)).is_some());
    assert!((cell.view(at(100.0)).level - 450.0).abs() < 1e-3);
}

/// What can happen: a debit, or the end of the oldest call with what it used.
fn steps() -> impl Strategy<Value = Vec<(f64, Option<f64>)>> {
    prop::collection::vec((0.0..1.5f64, prop::option::weighted(0.4, 0.0..1.0f64)), 0..120)
}

proptest! {
    #[test]
    fn a_cell_is_what_a_single_owner_would_have(steps in steps(), sizes in prop::collection::vec(1.0..60_000.0f64, 120)) {
        let (cell, mut owner) = known();
        let mut alone = owner.clone();
        let (mut now, mut open) = (0.0, std::collections::VecDeque::new());
        for ((pause, ended), size) in steps.into_iter().zip(sizes) {
            now += pause;
            match ended.zip(open.front().copied()) {
                Some((share, demand)) => {
                    open.pop_front();
                    let used = Demand::tokens(&demand) * share;
                    cell.update(&mut owner, at(now), |quota| quota.settle(at(now), &demand, used));
                    alone.settle(at(now), &demand, used);
                }
                None => {
                    let demand = Demand::of_tokens(size);
                    if cell.debit(&demand, 0.0, at(now)).is_ok() {
                        alone.send(at(now), &demand);
                        open.push_back(demand);
                    }
                }
            }
            alone.advance(at(now));
            for (seen, expected) in cell.view(at(now)).iter().zip(alone.view()) {
                prop_assert!(close(seen, &expected), "{seen:?} {expected:?}");
            }
        }
    }
}

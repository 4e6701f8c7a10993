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
    near(a.level, b.level)
        && near(a.rate, b.rate)
        && near(a.depth, b.depth)
        && near(a.margin, b.margin)
        && (a.known, a.tentative) == (b.known, b.tentative)
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
    assert!(!requests.known && tokens.known && tokens.level <= 5e6 + 1e-3, "{tokens:?}");
    assert_eq!(cell.debit(&demand, 0.0, at(1.3)), Err(NoRoom));
}

#[test]
fn a_tentative_quota_is_seen_as_one() {
    let mut quota = TargetQuota::new(&Priors::default(), None, at(0.0), DAY);
    let cell = QuotaCell::new(&quota, at(0.0));
    let demand = Demand::of_tokens(100.0);
    let sent = cell.debit(&demand, 0.0, at(1.0)).unwrap();
    cell.update(&mut quota, at(1.2), |quota| quota.refused(at(1.2), &demand, &sent, Refused::Tokens, 0.5));
    assert_eq!(cell.view(at(1.3)).map(|view| view.tentative), [false, true]);
}

#[test]
fn a_bucket_that_refills_with_the_minute_stands_still_until_then() {
    let view =
        ResourceView { rate: 10.0, depth: 600.0, level: 200.0, margin: 0.0, known: true, tentative: false, refills_after: Some(20.0) };
    // Half past each minute: at 70 s the present one began at 30 s.
    let cell = ResourceCell::new(&view, Some(at(30.0)), at(70.0));
    for (now, level, refills) in [(70.0, 200.0, 20.0), (89.0, 200.0, 1.0), (90.0, 600.0, 60.0), (95.0, 600.0, 55.0)] {
        let seen = cell.view(at(now));
        assert!((seen.level - level).abs() < 1e-3 && (seen.refills_after.unwrap() - refills).abs() < 1e-3, "{now}: {seen:?}");
    }
    assert!(cell.take(150.0, at(95.0), |view| view.fits(150.0)).is_some());
    assert!((cell.view(at(100.0)).level - 450.0).abs() < 1e-3);
}

/// Two ways a bucket may be, with the same level, each sixty seconds deep.
fn editions() -> [ResourceView; 2] {
    [10_000.0, 15_000.0].map(|rate| {
        let depth = 60.0 * rate;
        ResourceView { rate, depth, level: 500_000.0, margin: 0.0, known: true, tentative: false, refills_after: None }
    })
}

#[test]
fn parameters_and_level_change_together_for_everybody() {
    let [slow, fast] = editions();
    let cell = ResourceCell::new(&slow, None, at(1.0));
    let done = AtomicBool::new(false);
    let (debits, sound) = std::thread::scope(|scope| {
        let owner = scope.spawn(|| {
            for _ in 0..40_000 {
                cell.publish(&slow, &fast, None, at(1.0));
                cell.publish(&fast, &slow, None, at(1.0));
            }
            done.store(true, Ordering::Release);
        });
        let reader = scope.spawn(|| {
            let mut sound = true;
            while !done.load(Ordering::Acquire) {
                let seen = cell.view(at(1.0));
                sound &= seen.depth == 60.0 * seen.rate && seen.level <= 500_000.1;
            }
            sound
        });
        let sender = scope.spawn(|| {
            let mut debits = 0.0;
            while !done.load(Ordering::Acquire) {
                cell.take(1.0, at(1.0), |_| true);
                cell.take(1.0, at(1.0), |_| true);
                cell.give_back(1.0, at(1.0));
                debits += 1.0;
            }
            debits
        });
        owner.join().unwrap();
        (sender.join().unwrap(), reader.join().unwrap())
    });
    assert!(sound, "a reader saw parts of two editions");
    let level = cell.view(at(1.0)).level;
    assert!((level - (500_000.0 - debits)).abs() < 1.0, "{level} after {debits}");
}

#[test]
fn a_sender_that_read_an_older_edition_does_not_write() {
    let [slow, fast] = editions();
    let cell = ResourceCell::new(&slow, None, at(1.0));
    let published = std::cell::Cell::new(false);
    let before = cell.take(1_000.0, at(1.0), |_| {
        if !published.replace(true) {
            cell.publish(&slow, &fast, None, at(1.0));
        }
        true
    });
    assert_eq!(before.map(|view| view.rate), Some(fast.rate), "it read again");
    let after = cell.view(at(1.0));
    assert!(after.depth == fast.depth && (after.level - 499_000.0).abs() < 1e-3, "{after:?}");
    // A full bucket is full at the same time whatever its size: the edition alone tells.
    let full = |view: ResourceView| ResourceView { level: view.depth, ..view };
    let cell = ResourceCell::new(&full(slow), None, at(1.0));
    let published = std::cell::Cell::new(false);
    cell.take(1_000.0, at(1.0), |_| {
        if !published.replace(true) {
            cell.publish(&full(slow), &full(fast), None, at(1.0));
        }
        true
    });
    assert!((cell.view(at(1.0)).level - 899_000.0).abs() < 1e-3, "{:?}", cell.view(at(1.0)));
}

#[test]
fn editions_go_round_and_the_time_stays_exact() {
    let (month, [slow, fast]) = (2_600_000.0, editions());
    let cell = ResourceCell::new(&slow, None, at(month));
    for _ in 0..150 {
        cell.publish(&slow, &fast, None, at(month));
        cell.publish(&fast, &slow, None, at(month));
    }
    let view = cell.view(at(month));
    assert!(view.depth == slow.depth && (view.level - 500_000.0).abs() < 5.0, "{view:?}");
    let endless = ResourceView { rate: f64::MIN_POSITIVE, level: 0.0, ..slow };
    cell.publish(&slow, &endless, None, at(month));
    assert!(cell.view(at(month)).level.is_finite());
}

#[test]
fn a_call_that_never_was_is_given_back_without_the_owner() {
    let (cell, mut quota) = known();
    let demand = Demand::of_tokens(100_000.0);
    cell.debit(&demand, 0.0, at(1.0)).unwrap();
    cell.give_back(&demand, at(1.0));
    let [requests, tokens] = cell.view(at(1.0));
    assert!((requests.level - 600.0).abs() < 1e-3 && (tokens.level - 600_000.0).abs() < 1.0);
    cell.update(&mut quota, at(1.0), |quota| quota.advance(at(6.0)));
    assert_eq!(quota.shadow(Resource::Tokens).floor(), 0.0, "it is no use that would prove a rate");
}

#[test]
fn a_call_that_ended_is_settled_without_the_owner_as_with_it() {
    let demand = Demand::of_tokens(100_000.0);
    let levels = |alone: bool| {
        let (cell, mut quota) = known();
        cell.debit(&demand, 0.0, at(1.0)).unwrap();
        if alone {
            cell.settle(&demand, 20_000.0, at(2.0));
        } else {
            cell.update(&mut quota, at(2.0), |quota| quota.settle(at(2.0), &demand, 20_000.0));
        }
        let seen = cell.view(at(2.0)).map(|view| view.level);
        cell.update(&mut quota, at(7.0), |_| ());
        (seen, quota.view().map(|view| view.level), quota.shadow(Resource::Tokens).floor())
    };
    let (alone, with) = (levels(true), levels(false));
    assert!((alone.0[1] - 590_000.0).abs() < 1.0 && (alone.0[0] - 600.0).abs() < 1e-3, "{alone:?}");
    for (a, b) in alone.0.iter().chain(&alone.1).zip(with.0.iter().chain(&with.1)) {
        assert!((a - b).abs() < 1.0, "{alone:?} {with:?}");
    }
    assert!((alone.2 - with.2).abs() < 1.0 && alone.2 > 0.0, "{alone:?} {with:?}");
    let (cell, _) = known();
    cell.debit(&demand, 0.0, at(1.0)).unwrap();
    cell.settle(&demand, 150_000.0, at(1.0));
    assert!((cell.view(at(1.0))[1].level - 450_000.0).abs() < 1.0, "more than it had reserved");
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

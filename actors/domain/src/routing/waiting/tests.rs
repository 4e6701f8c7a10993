use proptest::prelude::{Just, prop, prop_assert, prop_oneof, proptest};

use super::*;
use crate::routing::view::{CacheLife, Demand, Resource, ResourceView};

fn at(milliseconds: u64) -> Moment {
    Moment(Duration::from_millis(milliseconds))
}

/// 600 tokens a second, 36,000 deep.
fn target(level: f64) -> TargetView {
    let tokens = ResourceView { rate: 600.0, depth: 36_000.0, level, margin: 0.0, known: true, tentative: false, refills_after: None };
    TargetView { resources: [ResourceView::unknown(Resource::Requests), tokens], ..TargetView::unknown(1) }
}

fn request(tokens: f64, arrived: u64) -> RouteRequest {
    RouteRequest {
        demand: Demand::of_tokens(tokens),
        prefix: 0.0,
        affinity: 7,
        cache: CacheLife::Short,
        arrived: at(arrived),
        deadline: at(arrived + 10_000),
        spill: Spill::Allowed,
        allowed: TargetSet::ALL,
        tried: TargetSet::EMPTY,
        draw: 0.5,
        turn: 0,
    }
}

/// Room for so many, as arrival times are counted.
const LIMIT: u64 = QUEUE_LIMIT as u64;

fn queue(requests: impl IntoIterator<Item = RouteRequest>) -> (Waiting, Vec<Ticket>) {
    let mut waiting = Waiting::default();
    let tickets = requests.into_iter().map(|request| waiting.push(request).unwrap()).collect();
    (waiting, tickets)
}

fn sweep(waiting: &mut Waiting, targets: &mut [TargetView], now: Moment) -> Vec<Woken> {
    let mut sweep = Sweep::new(Strategy::Adaptive, targets, now);
    std::iter::from_fn(|| waiting.next_to_wake(&mut sweep, |_| None, Spill::Allowed, |_, _| true)).collect()
}

fn send(ticket: Ticket, index: usize) -> Woken {
    Woken::Send { ticket, index, spilled: false }
}

#[test]
fn the_oldest_that_fits_goes_first_and_takes_its_room() {
    let (mut waiting, tickets) = queue([request(3_000.0, 0), request(3_000.0, 1), request(3_000.0, 2)]);
    let mut targets = [target(6_500.0)];
    let woken = sweep(&mut waiting, &mut targets, at(100));
    assert_eq!(woken, [0, 1].map(|older| send(tickets[older], 0)));
    assert_eq!(waiting.len(), 1);
    assert_eq!(targets[0].tokens().level, 500.0);
    assert_eq!(targets[0].held, 0.0, "nobody holds before 0.2 seconds");
}

#[test]
fn the_oldest_holds_its_size_against_smaller_ones() {
    let (mut waiting, tickets) = queue([request(30_000.0, 0), request(1_000.0, 1)]);
    let mut early = [target(20_000.0)];
    let woken = sweep(&mut waiting.clone(), &mut early, at(200));
    assert_eq!(woken, [send(tickets[1], 0)]);
    let mut targets = [target(20_000.0)];
    assert_eq!(sweep(&mut waiting, &mut targets, at(201)), []);
    assert_eq!(targets[0].held, 30_000.0);
    let mut later = [target(30_500.0)];
    let woken = sweep(&mut waiting, &mut later, at(300));
    assert_eq!(woken, [send(tickets[0], 0)], "and gets it, while the small one still waits");
    let mut rest = [target(1_500.0)];
    assert_eq!(sweep(&mut waiting, &mut rest, at(301)), [send(tickets[1], 0)]);
}

#[test]
fn a_request_that_fills_a_bucket_holds_no_more_than_nine_tenths() {
    let (mut waiting, _) = queue([request(35_900.0, 0)]);
    let mut targets = [target(20_000.0)];
    sweep(&mut waiting, &mut targets, at(1_000));
    assert_eq!(targets[0].held, 0.9 * 36_000.0);
}

#[test]
fn a_conversation_holds_room_at_its_home_when_that_is_near() {
    let mut far = target(-30_000.0);
    far.id = 2;
    let near = TargetView { id: 2, ..target(18_000.0) };
    let turn = RouteRequest { prefix: 18_000.0, ..request(20_000.0, 0) };
    let home = |_| Some(Home { target: 2, used: at(0), cache: CacheLife::Short });
    let held = |targets: &mut [TargetView]| {
        let (mut waiting, _) = queue([turn]);
        let mut sweep = Sweep::new(Strategy::Adaptive, targets, at(1_000));
        assert_eq!(waiting.next_to_wake(&mut sweep, home, Spill::Allowed, |_, _| true), None);
        sweep.targets.iter().map(|target| target.held).collect::<Vec<_>>()
    };
    assert_eq!(held(&mut [target(19_000.0), near]), [0.0, 20_000.0]);
    assert_eq!(held(&mut [target(19_000.0), far]), [20_000.0, 0.0], "else where there is room first");
}

#[test]
fn whoever_is_overdue_is_told_when_there_would_be_room() {
    let (mut waiting, tickets) = queue([request(3_000.0, 0), request(99_000.0, 1)]);
    let woken = sweep(&mut waiting, &mut [target(0.0)], at(10_001));
    let [Woken::Overdue { ticket, eta: Some(eta) }, second] = woken[..] else { panic!("{woken:?}") };
    assert_eq!((ticket, eta), (tickets[0], Duration::from_secs(5)));
    assert_eq!(second, Woken::Overdue { ticket: tickets[1], eta: None }, "no bucket is that deep");
    assert!(waiting.is_empty());
}

#[test]
fn at_the_deadline_there_is_one_more_look() {
    let (mut waiting, tickets) = queue([request(3_000.0, 0)]);
    assert_eq!(sweep(&mut waiting, &mut [target(3_000.0)], at(10_000)), [send(tickets[0], 0)]);
}

#[test]
fn after_a_wait_targets_may_be_tried_again() {
    let mut tried = request(3_000.0, 0);
    tried.tried.insert(0);
    let (mut waiting, tickets) = queue([tried]);
    assert_eq!(sweep(&mut waiting, &mut [target(9_000.0)], at(10)), []);
    assert_eq!(sweep(&mut waiting, &mut [target(9_000.0)], at(20)), [send(tickets[0], 0)]);
}

#[test]
fn a_full_queue_takes_no_newcomer() {
    let (mut waiting, tickets) = queue((0..LIMIT).map(|place| request(1_000.0, place)));
    assert_eq!(waiting.push(request(1_000.0, 600)), Err(QueueFull));
    assert_eq!(QueueFull.to_string(), format!("{QUEUE_LIMIT} requests wait for this model already"));
    assert!(waiting.remove(tickets[17]) && !waiting.remove(tickets[17]));
    assert!(waiting.push(request(1_000.0, 600)).is_ok());
    assert_eq!(waiting.len(), QUEUE_LIMIT);
}

#[test]
fn a_newcomer_joins_the_queue_when_somebody_of_its_size_waits() {
    let (mut waiting, tickets) = queue([request(2_000.0, 0), request(3_000.0, 1), request(70_000.0, 2)]);
    let must_queue = |waiting: &Waiting, tokens: f64| waiting.classes().must_queue(&Demand::of_tokens(tokens));
    assert_eq!(
        [500.0, 1_500.0, 4_000.0, 30_000.0, 200_000.0, 1e9].map(|tokens| must_queue(&waiting, tokens)),
        [false, true, true, false, true, false]
    );
    waiting.remove(tickets[0]);
    assert!(must_queue(&waiting, 4_000.0));
    sweep(&mut waiting, &mut [target(3_000.0)], at(10));
    assert!(!must_queue(&waiting, 4_000.0) && must_queue(&waiting, 70_000.0));
    waiting.remove(tickets[2]);
    assert_eq!(waiting.classes(), SizeClasses::default());
    assert_eq!(SizeClasses::from_bits(waiting.classes().to_bits()), waiting.classes());
}

#[test]
fn the_timer_is_set_to_the_first_thing_that_can_happen() {
    let (waiting, _) = queue([request(3_000.0, 0), request(6_000.0, 5)]);
    assert_eq!(waiting.next_timer(&[target(0.0)], at(100)), Some(at(200)), "the oldest begins to hold");
    assert_eq!(waiting.next_timer(&[target(0.0)], at(300)), Some(at(5_300)), "room for the smaller one");
    assert_eq!(waiting.next_timer(&[target(-36_000.0)], at(300)), Some(at(10_000)), "the first deadline");
    assert_eq!(waiting.next_timer(&[target(9_000.0)], at(300)), Some(at(350)), "never at once");
    assert_eq!(Waiting::default().next_timer(&[target(0.0)], at(0)), None);
}

#[test]
fn nobody_is_kept_waiting_by_what_is_held_for_it() {
    let (mut waiting, _) = queue([request(6_000.0, 0), request(1_000.0, 1)]);
    let mut targets = [target(3_000.0)];
    assert_eq!(sweep(&mut waiting, &mut targets, at(300)), []);
    assert_eq!(targets[0].held, 6_000.0);
    // 3,000 are missing at 600 a second: the older one's own hold is no reason to wait for 6,000 more. The smaller one needs
    // what is held and 1,000.
    assert_eq!(waiting.next_timer(&targets, at(300)), Some(at(5_300)));
}

#[test]
fn the_timer_is_not_set_for_the_smallest_alone() {
    let at_one = |index: usize, tokens| {
        let allowed = TargetSet::only(index);
        RouteRequest { allowed, ..request(tokens, 0) }
    };
    let (waiting, _) = queue([at_one(0, 1_000.0), at_one(1, 6_000.0)]);
    let targets = [target(-9_000.0), target(3_000.0)];
    assert_eq!(waiting.next_timer(&targets, at(300)), Some(at(5_300)), "the larger one's target is nearer");
    let (waiting, _) = queue((0..100).map(|_| at_one(0, 6_000.0)).chain([at_one(1, 4_200.0)]));
    assert_eq!(waiting.next_timer(&targets, at(300)), Some(at(2_300)), "however many came before it");
}

#[test]
fn who_waits_for_its_home_is_looked_at_when_that_has_room() {
    let turn = RouteRequest { prefix: 30_000.0, ..request(20_000.0, 0) };
    let home = |_| Some(Home { target: 1, used: at(0), cache: CacheLife::Short });
    let (mut waiting, _) = queue([turn]);
    let mut targets = [target(19_400.0), TargetView { id: 2, ..target(25_000.0) }];
    let mut sweep = Sweep::new(Strategy::Adaptive, &mut targets, at(300));
    assert_eq!(waiting.next_to_wake(&mut sweep, home, Spill::Allowed, |_, _| true), None);
    assert_eq!(waiting.next_timer(&targets, at(300)), Some(at(1_300)), "not at once for the room that it declined");
}

#[test]
fn the_timer_is_set_to_the_reopening_of_a_target() {
    let (waiting, _) = queue([request(3_000.0, 0)]);
    let closed = TargetView { gate: Gate::Open { until: at(2_000) }, ..target(36_000.0) };
    assert_eq!(waiting.next_timer(&[target(0.0), closed], at(300)), Some(at(2_000)));
    assert_eq!(waiting.next_timer(&[TargetView { drained: true, ..closed }], at(300)), Some(at(10_000)));
}

/// What a sweep of requests comes to whose debits succeed as `debits` says, and the targets that were asked.
fn sweep_with(waiting: &mut Waiting, targets: &mut [TargetView], debits: impl Fn(usize) -> bool) -> (Vec<Woken>, Vec<usize>) {
    let mut asked = Vec::new();
    let mut sweep = Sweep::new(Strategy::Adaptive, targets, at(300));
    let mut debit = |index: usize, _: &RouteRequest| {
        asked.push(index);
        debits(index)
    };
    let woken = std::iter::from_fn(|| waiting.next_to_wake(&mut sweep, |_| None, Spill::Allowed, &mut debit)).collect();
    (woken, asked)
}

#[test]
fn a_request_whose_room_has_gone_is_planned_again_and_else_keeps_its_place() {
    let (mut waiting, tickets) = queue([request(3_000.0, 0), request(3_000.0, 1), request(500.0, 2)]);
    let mut targets = [target(4_000.0), TargetView { id: 2, ..target(10_000.0) }];
    let mut elsewhere = waiting.clone();
    let (woken, asked) = sweep_with(&mut elsewhere, &mut targets.clone(), |index| index == 0);
    assert_eq!(woken, [send(tickets[0], 0), send(tickets[2], 0)]);
    assert_eq!(asked, [1, 0, 0], "where it was refused nobody of its size is sent in this sweep");
    let (woken, asked) = sweep_with(&mut waiting, &mut targets, |_| false);
    assert_eq!((woken, waiting.len()), (Vec::new(), 3));
    assert_eq!(asked, [1, 0], "nor is anybody asked beside what the older ones hold now");
    assert!(targets.iter().all(|target| target.held == 3_000.0), "{targets:?}");
    assert_eq!(sweep_with(&mut waiting, &mut [target(4_000.0)], |_| true).0, [send(tickets[0], 0)], "the oldest first");
}

#[test]
fn a_debit_that_never_succeeds_ends_the_sweep_all_the_same() {
    let (mut waiting, _) = queue([request(3_000.0, 0)]);
    let mut unknown = [TargetView::unknown(1), TargetView::unknown(2)];
    let (woken, asked) = sweep_with(&mut waiting, &mut unknown, |_| false);
    assert_eq!((woken, asked.len(), waiting.len()), (Vec::new(), 3, 1), "once per target and once more");
    let mut half_open = [TargetView { gate: Gate::HalfOpen, ..target(36_000.0) }];
    assert_eq!(sweep_with(&mut waiting, &mut half_open, |_| false).1, [0], "somebody else probes it");
}

#[test]
fn a_request_that_comes_back_has_its_old_place() {
    let (mut waiting, tickets) = queue((0..LIMIT).map(|place| request(3_000.0, place)));
    assert_eq!(sweep(&mut waiting, &mut [target(3_000.0)], at(10)), [send(tickets[0], 0)]);
    waiting.push(request(3_000.0, 600)).unwrap();
    let mut back = request(70_000.0, 0);
    back.tried.insert(0);
    waiting.put_back(tickets[0], back);
    assert_eq!(waiting.len(), QUEUE_LIMIT + 1, "it was let in before");
    assert_eq!(waiting.push(request(3_000.0, 700)), Err(QueueFull));
    assert!(waiting.classes().must_queue(&Demand::of_tokens(70_000.0)));
    waiting.put_back(tickets[0], request(3_000.0, 0));
    assert_eq!(waiting.len(), QUEUE_LIMIT + 1, "one that is there is replaced");
    assert!(!waiting.classes().must_queue(&Demand::of_tokens(70_000.0)));
    assert_eq!(sweep(&mut waiting, &mut [target(3_000.0)], at(20)), [send(tickets[0], 0)], "the oldest, as before");
    waiting.put_back(tickets[0], request(3_000.0, 0));
    assert!(waiting.remove(tickets[0]));
}

#[test]
fn who_comes_or_goes_during_a_sweep_moves_nobody_out_of_it() {
    let (mut waiting, tickets) = queue([request(30_000.0, 0), request(30_000.0, 1), request(1_000.0, 2), request(1_000.0, 3)]);
    let first = sweep(&mut waiting, &mut [target(31_000.0)], at(100));
    assert_eq!(first, [send(tickets[0], 0), send(tickets[2], 0)]);
    let mut targets = [target(2_000.0)];
    let mut sweep = Sweep::new(Strategy::Adaptive, &mut targets, at(100));
    let late = waiting.push(request(1_000.0, 4)).unwrap();
    let mut wake = |waiting: &mut Waiting| waiting.next_to_wake(&mut sweep, |_| None, Spill::Allowed, |_, _| true);
    assert_eq!(wake(&mut waiting), Some(send(tickets[3], 0)));
    // One before it comes back, another leaves: the walk goes on behind it.
    waiting.put_back(tickets[0], request(30_000.0, 0));
    waiting.remove(tickets[1]);
    assert_eq!(wake(&mut waiting), Some(send(late, 0)));
    assert_eq!((wake(&mut waiting), waiting.len()), (None, 1));
}

#[test]
fn a_conversation_that_is_sent_elsewhere_by_choice_is_told_so() {
    let turn = RouteRequest { prefix: 18_000.0, deadline: at(300), ..request(20_000.0, 0) };
    let home = |_| Some(Home { target: 1, used: at(0), cache: CacheLife::Short });
    let woken = |targets: &mut [TargetView], request: RouteRequest| {
        let (mut waiting, _) = queue([request]);
        let mut sweep = Sweep::new(Strategy::Adaptive, targets, at(300));
        match waiting.next_to_wake(&mut sweep, home, Spill::Allowed, |_, _| true) {
            Some(Woken::Send { index, spilled, .. }) => (index, spilled),
            other => panic!("{other:?}"),
        }
    };
    let other = TargetView { id: 2, ..target(30_000.0) };
    assert_eq!(woken(&mut [target(0.0), other], turn), (1, true));
    assert_eq!(woken(&mut [target(30_000.0), other], turn), (0, false), "at home");
    let closed = TargetView { gate: Gate::Open { until: at(9_000) }, ..target(30_000.0) };
    assert_eq!(woken(&mut [closed, other], turn), (1, false), "it had no choice");
    let tried = RouteRequest { tried: TargetSet::only(0), ..turn };
    assert_eq!(woken(&mut [target(30_000.0), other], tried), (1, false));
}

#[test]
fn waiters_tell_which_limits_they_stand_at() {
    let (mut waiting, _) = queue([request(3_000.0, 0)]);
    let mut targets = [target(0.0), target(100.0)];
    let mut sweep = Sweep::new(Strategy::Adaptive, &mut targets, at(10));
    assert_eq!(waiting.next_to_wake(&mut sweep, |_| None, Spill::Allowed, |_, _| true), None);
    assert_eq!(sweep.limited().map(TargetSet::len), [0, 2]);
}

#[test]
fn clients_are_told_whole_seconds_between_one_and_sixty() {
    let after = |seconds: f64, unit: f64| retry_after(Duration::from_secs_f64(seconds), unit).as_secs_f64();
    assert_eq!([after(0.0, 0.0), after(3.2, 0.0), after(300.0, 0.9)], [1.0, 4.0, 60.0]);
    assert_eq!(after(10.0, 0.999), 13.0, "up to a quarter more, at random");
}

proptest! {
    #[test]
    fn a_younger_request_never_takes_what_an_older_one_of_its_size_could_have(
        sizes in prop::collection::vec(prop_oneof![Just(1_000.0), Just(8_000.0), Just(20_000.0)], 1..40),
        levels in prop::collection::vec(0.0..36_000.0f64, 1..4),
        now in 0u64..9_000,
    ) {
        let (mut waiting, tickets) = queue(sizes.iter().map(|size| request(*size, 0)));
        let mut targets: Vec<TargetView> = (1..).zip(&levels).map(|(id, level)| TargetView { id, ..target(*level) }).collect();
        let woken = sweep(&mut waiting, &mut targets, at(now));
        let sent: Vec<usize> = woken
            .iter()
            .map(|woken| match woken {
                Woken::Send { ticket, .. } | Woken::Overdue { ticket, .. } => tickets.binary_search(ticket).unwrap(),
            })
            .collect();
        for (older, size) in sizes.iter().enumerate().filter(|(older, _)| !sent.contains(older)) {
            let overtaken = sent.iter().any(|younger| *younger > older && sizes[*younger] == *size);
            prop_assert!(!overtaken, "{older} of {size} was overtaken: {sent:?}");
        }
        for (view, level) in targets.iter().zip(&levels) {
            prop_assert!(view.tokens().level >= 0.0, "more was given away than there is: {} of {level}", view.tokens().level);
        }
        if let Some(oldest) = (0..sizes.len()).find(|place| !sent.contains(place)).filter(|_| now > 200) {
            prop_assert!(targets.iter().any(|view| view.held >= sizes[oldest].min(0.9 * 36_000.0)), "the oldest holds");
        }
    }
}

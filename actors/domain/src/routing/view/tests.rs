use super::*;

fn bucket(level: f64) -> ResourceView {
    ResourceView { rate: 10.0, depth: 600.0, level, margin: 0.01, known: true, tentative: false, refills_after: None }
}

#[test]
fn room_is_what_lies_above_the_margin() {
    assert!(bucket(106.0).fits(100.0));
    assert!(!bucket(105.0).fits(100.0));
    assert_eq!(bucket(6.0).eta(100.0), 10.0);
    assert_eq!(bucket(300.0).eta(100.0), 0.0);
}

#[test]
fn a_request_that_leaves_no_room_for_the_margin_gets_a_full_bucket() {
    assert!(!bucket(590.0).fits(598.0));
    assert!(bucket(591.0).fits(598.0));
    assert!((bucket(0.0).eta(598.0) - 59.1).abs() < 1e-9, "the bucket need only be nearly full");
    assert!(!bucket(600.0).fits(601.0));
    assert_eq!(bucket(600.0).eta(601.0), f64::INFINITY);
}

#[test]
fn an_unknown_resource_takes_everything_and_is_compared_by_the_guess() {
    let mut view = ResourceView::unknown(Resource::Tokens);
    view.level = -5.0;
    assert!(view.fits(1e9) && view.holds(1e9));
    assert_eq!(view.eta(1e9), 0.0);
    assert!(view.fill(0.0) > 0.2 && view.fill(1e9) < 0.5);
    assert!(view.fill(0.0) > ResourceView::unknown(Resource::Tokens).fill(0.0));
}

#[test]
fn what_is_held_is_not_room() {
    let mut view = TargetView::unknown(1);
    view.resources = [ResourceView::unknown(Resource::Requests), bucket(306.0)];
    let demand = Demand::of_tokens(200.0);
    assert!(view.fits(&demand));
    view.held = 101.0;
    assert!(!view.fits(&demand));
    assert!((view.eta(&demand) - 0.1).abs() < 1e-9);
    view.held = 595.0;
    assert!(view.eta(&demand).is_finite(), "what is held passes: no reason to give a request up");
    assert_eq!(view.eta(&Demand::of_tokens(700.0)), f64::INFINITY);
}

#[test]
fn a_copy_that_was_overtaken_has_no_room_of_that_size() {
    let mut view =
        TargetView { resources: [ResourceView::unknown(Resource::Requests), bucket(500.0)], held: 50.0, ..TargetView::unknown(1) };
    let demand = Demand::of_tokens(200.0);
    view.overtaken(&demand);
    assert!(!view.fits(&demand) && view.fits(&Demand::of_tokens(199.0)) && view.eta(&demand) < 0.001, "{view:?}");
    let mut giant = TargetView { held: 0.0, resources: [view.resources[0], bucket(600.0)], ..view };
    giant.overtaken(&Demand::of_tokens(598.0));
    assert!(!giant.fits(&Demand::of_tokens(598.0)) && giant.fits(&Demand::of_tokens(500.0)));
    let calls = ResourceView { rate: 1.0, depth: 60.0, level: 2.0, margin: 0.0, known: true, tentative: false, refills_after: None };
    let mut tight = TargetView { resources: [calls, bucket(600.0)], held: 0.0, ..view };
    tight.overtaken(&demand);
    assert!(!tight.fits(&demand) && tight.tokens().level == 600.0, "calls were the tighter limit");
    let mut unknown = TargetView { gate: Gate::HalfOpen, ..TargetView::unknown(2) };
    unknown.overtaken(&demand);
    assert!(!unknown.open() && unknown.tokens() == TargetView::unknown(2).tokens(), "somebody else is probing it");
}

#[test]
fn the_first_of_a_set_is_its_smallest_index() {
    let mut set = TargetSet::only(5);
    set.insert(63);
    assert_eq!((set.first(), TargetSet::ALL.first(), TargetSet::EMPTY.first()), (TargetSet::only(5), TargetSet::only(0), TargetSet::EMPTY));
}

#[test]
fn the_binding_resource_is_the_later_one() {
    let mut view = TargetView::unknown(1);
    let requests = ResourceView { rate: 1.0, depth: 60.0, level: -5.0, margin: 0.0, known: true, tentative: false, refills_after: None };
    view.resources = [requests, bucket(0.0)];
    assert_eq!(view.binding(&Demand::of_tokens(10.0)), Resource::Requests);
    assert_eq!(view.binding(&Demand::of_tokens(100.0)), Resource::Tokens);
}

#[test]
fn a_set_holds_what_was_put_in_and_nothing_beyond_its_width() {
    let mut set = TargetSet::EMPTY;
    set.insert(0);
    set.insert(63);
    set.insert(64);
    assert!(set.contains(0) && set.contains(63) && !set.contains(64) && !set.contains(1));
    assert_eq!(set.len(), 2);
    assert!(!set.is_empty() && TargetSet::EMPTY.is_empty());
}

#[test]
fn of_two_gates_the_stricter_one_counts() {
    let open = |seconds| Gate::Open { until: Moment(Duration::from_secs(seconds)) };
    assert_eq!(strictest(open(5), open(7)), open(7));
    for weaker in [Gate::Closed, Gate::HalfOpen] {
        assert_eq!((strictest(weaker, open(5)), strictest(open(5), weaker)), (open(5), open(5)));
        assert_eq!((strictest(weaker, Gate::HalfOpen), strictest(Gate::HalfOpen, weaker)), (Gate::HalfOpen, Gate::HalfOpen));
    }
    assert_eq!(strictest(Gate::Closed, Gate::Closed), Gate::Closed);
}

#[test]
fn seconds_of_anything_are_a_duration() {
    assert_eq!(seconds(-1.0), Duration::ZERO);
    assert_eq!(seconds(f64::NAN), Duration::ZERO);
    assert_eq!(seconds(f64::INFINITY), Duration::MAX);
}

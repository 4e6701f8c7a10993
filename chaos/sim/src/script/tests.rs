use super::*;

fn asked(call: u64, operation: Operation) -> Asked {
    Asked {
        call,
        region: "us-east-1".to_owned(),
        operation,
        label: Some("us.sim.model".to_owned()),
        model: Some("sim.model".to_owned()),
        profile: Some(ProfileClass::Geographic),
        body: Bytes::from_static(b"{\"messages\":[\"needle\"]}"),
        at: Duration::from_secs(call),
    }
}

fn error() -> Action {
    Action::Error(ScriptedError::throttling())
}

fn hits(rule: Rule, calls: u64) -> Vec<u64> {
    let script = Script::new(1);
    script.add(rule);
    (1..=calls).filter(|call| script.decide(&asked(*call, Operation::Converse)).is_some()).collect()
}

#[test]
fn the_first_matching_rule_wins_until_it_is_used_up() {
    let script = Script::new(1);
    let first = script.add(Rule::once(error()).times(2));
    let second = script.add(Rule::always(Action::BlackHole));
    let rules: Vec<RuleId> = (1..=4).filter_map(|call| script.decide(&asked(call, Operation::Converse))).map(|m| m.rule).collect();
    assert_eq!(rules, [first, first, second, second]);
    assert_eq!((script.hits(first), script.hits(second)), (Some(2), Some(2)));
}

#[test]
fn every_condition_of_a_selector_can_exclude_a_call() {
    assert_eq!(hits(Rule::always(error()), 1), [1]);
    assert_eq!(hits(Rule::always(error()).region("us-east-1").model("sim.model").contains("needle"), 1), [1]);
    assert_eq!(hits(Rule::always(error()).model("us.sim.model").operation(Operation::Converse), 1), [1]);
    for excluded in [
        Rule::always(error()).region("eu-west-1"),
        Rule::always(error()).model("sim.other"),
        Rule::always(error()).contains("straw"),
        Rule::always(error()).operation(Operation::ConverseStream),
        Rule::always(error()).share(0.0),
        Rule::always(Action::NoStop),
    ] {
        assert!(hits(excluded.clone(), 1).is_empty(), "{excluded:?}");
    }
}

#[test]
fn skips_and_windows_select_by_count_and_time() {
    assert_eq!(hits(Rule::always(error()).skip(2).times(2), 6), [3, 4]);
    assert_eq!(hits(Rule::always(error()).between(Duration::from_secs(2), Duration::from_secs(4)), 6), [2, 3]);
}

#[test]
fn a_share_selects_about_that_share_and_the_same_calls_each_run() {
    let first = hits(Rule::always(error()).share(0.5), 2_000);
    assert!((900..1_100).contains(&first.len()), "{}", first.len());
    assert_eq!(first, hits(Rule::always(error()).share(0.5), 2_000));
}

#[test]
fn a_rule_rests_while_enough_of_its_calls_are_active() {
    let script = Script::new(1);
    script.add(Rule::always(error()).max_active(1));
    let running = script.decide(&asked(1, Operation::Converse));
    assert!(running.is_some());
    assert!(script.decide(&asked(2, Operation::Converse)).is_none());
    drop(running);
    assert!(script.decide(&asked(3, Operation::Converse)).is_some());
}

#[test]
fn removed_rules_no_longer_match() {
    let script = Script::new(1);
    let id = script.add(Rule::always(error()));
    assert!(script.remove(id));
    assert!(!script.remove(id));
    assert!(script.decide(&asked(1, Operation::Converse)).is_none());
    assert_eq!(script.hits(id), None);
}

#[test]
fn only_placewide_rules_refuse_connections_at_the_door() {
    let script = Script::new(1);
    script.add(Rule::always(Action::RefuseConnection).contains("needle"));
    assert!(!script.refuses_connection("us-east-1", Duration::ZERO, 1));
    script.add(Rule::once(Action::RefuseConnection).region("us-east-1"));
    assert!(!script.refuses_connection("eu-west-1", Duration::ZERO, 2));
    assert!(script.refuses_connection("us-east-1", Duration::ZERO, 3));
    assert!(!script.refuses_connection("us-east-1", Duration::ZERO, 4));
}

#[test]
fn stream_faults_leave_unstreamed_calls_alone() {
    let script = Script::new(1);
    script.add(Rule::once(Action::NoUsage));
    assert!(script.decide(&asked(1, Operation::Converse)).is_none());
    assert!(script.decide(&asked(2, Operation::ConverseStream)).is_some());
}

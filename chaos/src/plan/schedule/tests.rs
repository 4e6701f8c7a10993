use std::path::Path;

use super::*;
use crate::{plan::resolve, scenario::parse_text};

fn scenario(extra: &str, rate: &str) -> Scenario {
    let text = format!(
        r#"
name = "plan"
hypothesis = "h"
region = [{{ name = "a", quota = {{ rpm = 60000, tpm = 600_000 }} }}]
model = [{{ id = "anthropic.claude-sonnet-4-6", behaviour = {{ watermark = {{ output_tokens = {{ p50 = 100 }} }} }} }}]
phase = [{{ name = "p", for = "100s", {rate} }}]
{extra}
[bounds]
success = ">= 0%"
[vacuous]
each_fault_hit = 1
"#
    );
    parse_text(Path::new("plan.toml"), &text).unwrap_or_else(|error| panic!("{error}"))
}

const CHAT: &str = "[load]\nmix = [{ input_tokens = 500, max_tokens = 1000 }]";

fn schedule(scenario: &Scenario, seed: u64) -> Vec<Arrival> {
    Schedule::of(scenario, &resolve(scenario), seed).arrivals
}

#[test]
fn a_share_of_the_quota_is_resolved_by_what_settles() {
    let scenario = scenario(CHAT, "rate = \"95% of quota\"");
    let resolved = resolve(&scenario);
    // 500 input, 10 of its message and 5 x 100 output: 1,010 of the 10,000 a second.
    assert!((resolved.full.unwrap() - 9.9).abs() < 0.05, "{resolved}");
    assert!((resolved.reserved - 1_500.0).abs() < 1.0, "{resolved}");
    let count = schedule(&scenario, 1).len();
    assert!((850..=1_050).contains(&count), "950 in the mean: {count}");
}

#[test]
fn a_seed_gives_one_schedule_and_another_seed_another() {
    let scenario = scenario(CHAT, "rate = \"5/s\"");
    assert_eq!(schedule(&scenario, 1), schedule(&scenario, 1));
    assert_ne!(schedule(&scenario, 1), schedule(&scenario, 2));
    let times: Vec<Duration> = schedule(&scenario, 1).iter().map(|arrival| arrival.at).collect();
    assert!(times.is_sorted());
}

#[test]
fn ramps_and_even_arrivals_follow_their_rates() {
    let ramp = scenario(&CHAT.replace("mix", "arrivals = \"even\"\nmix"), "from = \"0/s\", to = \"10/s\"");
    let arrivals = schedule(&ramp, 1);
    let early = arrivals.iter().filter(|arrival| arrival.at < Duration::from_secs(50)).count();
    assert!((495..=501).contains(&arrivals.len()) && (120..=130).contains(&early), "{} {early}", arrivals.len());
}

#[test]
fn conversations_take_turns_and_keep_their_nonces() {
    let talks = scenario("[load]\nmix = [{ conversation = { turns = 3, think = \"10s\", prefix_tokens = 2000 } }]", "rate = \"2/s\"");
    let arrivals = schedule(&talks, 1);
    let of_first: Vec<Talk> = arrivals.iter().filter_map(|arrival| arrival.talk).filter(|talk| talk.id == 1).collect();
    assert_eq!(of_first.iter().map(|talk| talk.turn).collect::<Vec<_>>(), [0, 1, 2]);
    let third = arrivals.iter().find(|arrival| arrival.talk == Some(of_first[2])).unwrap();
    assert_eq!(third.nonce, of_first[0].at_turn(2).nonce(1));
}

#[test]
fn taking_one_client_fault_away_leaves_the_others_as_they_were() {
    let both = "fault = [{ kind = \"bad_body\", share = 0.1 }, { kind = \"vanish\", share = 0.1, after = \"exp 1s\" }]\n";
    let with = schedule(&scenario(&format!("{both}{CHAT}"), "rate = \"5/s\""), 1);
    let lone = "fault = [{ kind = \"bad_body\", share = 0.0 }, { kind = \"vanish\", share = 0.1, after = \"exp 1s\" }]\n";
    let without = schedule(&scenario(&format!("{lone}{CHAT}"), "rate = \"5/s\""), 1);
    let vanishing = |arrivals: &[Arrival]| -> Vec<(u64, Duration)> {
        let deeds = arrivals.iter().filter_map(|arrival| Some((arrival.id, arrival.deed?)));
        deeds.filter(|(_, deed)| deed.fault == 1).map(|(id, deed)| (id, deed.after)).collect()
    };
    let (with, without) = (vanishing(&with), vanishing(&without));
    assert!(!with.is_empty() && with.iter().all(|deed| without.contains(deed)), "{with:?}");
}

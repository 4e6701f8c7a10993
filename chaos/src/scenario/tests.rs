use std::path::Path;

use super::*;
use crate::units::Relation;

const GOOD: &str = r#"
name = "quiet"
hypothesis = "nothing happens"
region = [{ name = "us-east-1", quota = { rpm = 600, tpm = 3_000_000 } }, { name = "us-west-2" }]
model = [{ id = "anthropic.claude-sonnet-4-6", ask = "claude-sonnet-4-6" }]
phase = [{ name = "steady", for = "1m", rate = "95% of quota" }, { name = "settle", for = "5s", rate = "0/s", judged = false, faults = "off" }]
fault = [{ kind = "vanish", share = 0.05, after = "exp 800ms", from = "10s", for = "20s" }]
[load]
mix = [{ weight = 3 }, { stream = false, tools = 2 }]
[bounds]
silent_ends = 0
success = ">= 99%"
steady = { client_throttles = 0 }
[rules]
liveness = "2s"
[vacuous]
at_least = { upstream_calls = 100, quota_pressure = 0.9 }
"#;

fn parse(text: &str) -> Result<Scenario, ScenarioError> {
    parse_text(Path::new("/scenarios/quiet.toml"), text)
}

fn problems(text: &str) -> Vec<String> {
    parse(text).unwrap_err().0.iter().map(ToString::to_string).collect()
}

#[test]
fn a_scenario_is_read_with_its_defaults() {
    let scenario = parse(GOOD).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(scenario.phases[0].shape, Shape::Constant(Rate::OfQuota(0.95)));
    assert_eq!(scenario.models[0].burndown, 5);
    assert_eq!(scenario.regions[0].quota.unwrap().requests_per_minute, Some(600));
    assert_eq!(scenario.load.mix.iter().map(|kind| kind.name.as_str()).collect::<Vec<_>>(), ["chat", "whole"]);
    assert!(matches!(scenario.faults[0].kind, FaultKind::Client(ClientPlan::Vanish { .. })));
    assert_eq!(scenario.rules.at_least.upstream_calls, 100);
    let steady = scenario.bounds.iter().find(|plan| plan.phase.is_some()).unwrap();
    assert_eq!((steady.measure.as_str(), steady.bound.relation), ("client_throttles", Relation::Exactly));
}

#[test]
fn all_problems_are_told_at_once_with_their_lines() {
    let bad = GOOD
        .replace("for = \"1m\"", "for = 60")
        .replace("[vacuous]", "[vacuoos]")
        .replace("success = \">= 99%\"", "succes = \">= 99%\"")
        .replace("weight = 3", "weight = 3, speed = 1")
        .replace("after = \"exp 800ms\"", "after = \"soon\"");
    let problems = problems(&bad);
    for (line, words) in [
        (6, "`for`: must be a duration with a unit"),
        (7, "`soon` is no duration"),
        (9, "no key `speed`"),
        (12, "`succes` is no measure"),
        (16, "no key `vacuoos`"),
        (1, "needs `vacuous`"),
    ] {
        let found =
            problems.iter().any(|problem| problem.starts_with(&format!("/scenarios/quiet.toml:{line}: ")) && problem.contains(words));
        assert!(found, "line {line}: {words}\n{}", problems.join("\n"));
    }
}

#[test]
fn a_scenario_without_hypothesis_bounds_or_guard_does_not_load() {
    for (part, words) in [
        ("hypothesis = \"nothing happens\"", "needs `hypothesis`"),
        ("silent_ends = 0\nsuccess = \">= 99%\"\nsteady = { client_throttles = 0 }", "needs `bounds`"),
    ] {
        let told = problems(&GOOD.replace(part, ""));
        assert!(told.iter().any(|problem| problem.contains(words)), "{told:?}");
    }
    let empty = problems(&GOOD.replace("at_least = { upstream_calls = 100, quota_pressure = 0.9 }", ""));
    assert!(empty.iter().any(|problem| problem.contains("must ask for something")), "{empty:?}");
}

#[test]
fn bounds_have_the_unit_of_their_measure() {
    let told = problems(&GOOD.replace("success = \">= 99%\"", "success = \">= 5s\""));
    assert!(told[0].contains("in percent"), "{told:?}");
}

#[test]
fn an_inherited_bound_is_taken_away_with_none_by_itself_or_within_a_phase() {
    let of = |text: &str| parse(text).unwrap_or_else(|error| panic!("{error}")).bounds.len();
    assert_eq!(of(GOOD), 3);
    assert_eq!(of(&GOOD.replace("success = \">= 99%\"", "success = \"none\"")), 2);
    let within = GOOD.replace("{ client_throttles = 0 }", "{ client_throttles = \"none\", success = \">= 50%\" }");
    assert_eq!(of(&within), 3);
    assert_eq!(of(&GOOD.replace("steady = { client_throttles = 0 }", "steady = \"none\"")), 2);
}

#[test]
fn broken_syntax_is_told_with_its_line() {
    let told = problems(&GOOD.replace("[load]", "[load"));
    assert!(told.iter().any(|problem| problem.starts_with("/scenarios/quiet.toml:8: ")), "{told:?}");
}

#[test]
fn faults_of_the_simulator_are_as_strict_as_the_rest() {
    let with =
        |fault: &str| GOOD.replace("{ kind = \"vanish\", share = 0.05, after = \"exp 800ms\", from = \"10s\", for = \"20s\" }", fault);
    let scenario =
        parse(&with("{ kind = \"reset\", at_byte = \"random\", share = 0.03, from = \"5s\", for = \"50s\", region = \"us-east-1\" }"));
    let scenario = scenario.unwrap_or_else(|error| panic!("{error}"));
    let FaultKind::Upstream(fault) = &scenario.faults[0].kind else { panic!("{:?}", scenario.faults) };
    assert_eq!(fault.selector.region.as_deref(), Some("us-east-1"));
    assert_eq!(scenario.faults[0].from, Duration::from_secs(5));
    for (bad, words) in [
        ("{ kind = \"reset\", at_bite = 3 }", "at_bite"),
        ("{ kind = \"earthquake\" }", "earthquake"),
        ("{ kind = \"throttle\", region = \"us-moon-1\" }", "us-moon-1"),
        ("{ kind = \"latency\", p50 = \"5\" }", "duration"),
    ] {
        let told = problems(&with(bad));
        assert!(told[0].starts_with("/scenarios/quiet.toml:7: ") && told.iter().any(|problem| problem.contains(words)), "{told:?}");
    }
}

#[test]
fn a_base_is_inherited_table_by_table() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("_base.toml"), GOOD.replace("name = \"quiet\"\n", "")).unwrap();
    let child = folder.path().join("busy.toml");
    std::fs::write(&child, "base = \"_base\"\nname = \"busy\"\n[load]\nmax_in_flight = 7\n[bounds]\nsuccess = \">= 50%\"\nbad = 1\n")
        .unwrap();
    let told = load_file(&child).unwrap_err();
    assert!(told.0[0].to_string().contains("busy.toml:7: `bad` is no measure"), "{told}");
    let text = std::fs::read_to_string(&child).unwrap().replace("bad = 1\n", "");
    std::fs::write(&child, text).unwrap();
    let scenario = load_file(&child).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((scenario.load.max_in_flight, scenario.load.mix.len(), scenario.bounds.len()), (7, 2, 3));
    assert_eq!(find(folder.path()).unwrap(), [child], "fragments are no scenarios");
}

#[test]
fn a_shorter_run_is_shorter_in_everything() {
    let mut scenario = parse(GOOD).unwrap();
    scenario.scale(0.5);
    assert_eq!((scenario.phases[0].lasting, scenario.faults[0].from), (Duration::from_secs(30), Duration::from_secs(5)));
    assert_eq!(scenario.rules.at_least.upstream_calls, 50);
    let mut talking = parse(&GOOD.replace("{ weight = 3 }", "{ conversation = { think = \"24s\" } }")).unwrap();
    talking.scale(0.5);
    assert_eq!(talking.load.mix[0].conversation.unwrap().think, Duration::from_secs(12));
}

#[test]
fn a_run_that_ends_with_its_last_fault_does_not_load() {
    let fault =
        |text: &str| GOOD.replace("{ kind = \"vanish\", share = 0.05, after = \"exp 800ms\", from = \"10s\", for = \"20s\" }", text);
    let recovers = parse(&fault("{ kind = \"throttle\", from = \"10s\", for = \"47s\" }")).unwrap_or_else(|error| panic!("{error}"));
    assert!(recovers.rules.must.contains(&"I19".to_owned()), "{:?}", recovers.rules.must);
    for late in
        ["{ kind = \"throttle\", from = \"10s\", for = \"48s\" }", "{ kind = \"throttle\" }", "{ kind = \"sigterm\", at = \"59s\" }"]
    {
        let told = problems(&fault(late));
        assert!(told.len() == 1 && told[0].contains("let the load go on"), "{late}: {told:?}");
        let waived = fault(late).replace("liveness = \"2s\"", "waived = { I19 = \"not shown here\" }");
        assert!(!parse(&waived).unwrap_or_else(|error| panic!("{error}")).rules.must.contains(&"I19".to_owned()));
    }
    let short = fault("{ kind = \"throttle\", from = \"10s\", for = \"46s\" }");
    assert!(parse(&short).is_ok());
    let told = problems(&short.replacen("name = \"quiet\"", "name = \"quiet\"\nquick = 0.25", 1));
    assert!(told.len() == 1 && told[0].contains("times 0.25"), "the short form too: {told:?}");
    for harmless in ["{ kind = \"vanish\", share = 0.05, after = \"1s\" }", "{ kind = \"quota_scale\", factor = 0.5, from = \"30s\" }"] {
        let scenario = parse(&fault(harmless)).unwrap_or_else(|error| panic!("{error}"));
        assert!(!scenario.rules.must.contains(&"I19".to_owned()), "{harmless}");
    }
}

#[test]
fn every_shipped_scenario_loads() {
    let files = find(&Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")).unwrap();
    let broken: Vec<String> = files.iter().filter_map(|file| load_file(file).err()).map(|error| error.to_string()).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(files.len() >= 20, "{files:?}");
}

#[test]
fn every_fault_of_a_shipped_scenario_must_strike() {
    let mut without = Vec::new();
    for file in find(&Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")).unwrap() {
        let scenario = load_file(&file).unwrap_or_else(|error| panic!("{error}"));
        let each = scenario.rules.at_least.each_fault_hit;
        let idle = scenario.faults.iter().filter(|fault| fault.word != "quota_scale" && fault.at_least == 0 && each == 0);
        without.extend(idle.map(|fault| format!("{}: {} may strike nobody", scenario.name, fault.word)));
    }
    assert!(without.is_empty(), "{}", without.join("\n"));
}

#[test]
fn every_shipped_scenario_can_be_compared_with_the_other_strategies() {
    for file in find(&Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")).unwrap() {
        let scenario = load_file(&file).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((scenario.run.join(" "), scenario.judge.join(" ")), ("adaptive ordered round_robin".to_owned(), "adaptive".to_owned()));
    }
}

/// A collapse under overload was once looked for in one scenario only.
#[test]
fn every_variant_of_the_quotas_is_overloaded_and_looked_at_afterwards() {
    for size in ["large", "small"] {
        for variant in ["late-settlement", "shallow", "fixed-windows", "estimates-off", "four-gateways", "overload"] {
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("scenarios/{size}-{variant}.toml"));
            let scenario = load_file(&file).unwrap_or_else(|error| panic!("{error}"));
            let phases: Vec<&Phase> = scenario.phases.iter().skip_while(|phase| phase.name != "overload").take(3).collect();
            assert_eq!(
                phases.iter().map(|phase| phase.name.as_str()).collect::<Vec<_>>(),
                ["overload", "relief", "back"],
                "{}",
                scenario.name
            );
            let minutes = phases.iter().map(|phase| phase.lasting.as_secs() / 30).collect::<Vec<_>>();
            assert!(minutes[..2] == [4, 4] && minutes[2] >= 1, "{}: {minutes:?}", scenario.name);
            assert_eq!((phases[0].shape, phases[2].shape), (Shape::Constant(Rate::OfQuota(1.3)), Shape::Constant(Rate::OfQuota(0.9))));
            let meant = |phase: Option<&str>| phase == Some("back") || phase.is_none() && phases[2].judged;
            let judged = scenario.bounds.iter().any(|plan| plan.measure.contains("throttle") && meant(plan.phase.as_deref()));
            assert!(judged, "{}", scenario.name);
        }
    }
}

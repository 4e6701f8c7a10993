//! The scenes: small scenarios, each made so that some bugs show, and what happens to the toy in them.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use outcrop_chaos::{
    check,
    history::{History, HostFact},
    load::{Dial, Dialling, keys},
    run::{Rehearsal, read_prices, rehearse},
    scenario::{Scenario, parse_text},
    target::HostBook,
};
use outcrop_sim::{AuthMode, Simulator};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    plant::Plant,
    toy::{Inner, Toy},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scene {
    Calm,
    Breaks,
    Failover,
    Stalls,
    Exceptions,
    NoStop,
    Corrupt,
    Quotas,
    Throttles,
    Storm,
    Outage,
    Dead,
    Resets,
    Fenced,
    KeyLimit,
    KilledJobs,
    Crowd,
    KilledRegion,
    KilledOften,
    Refusals,
    Stop,
    Kill,
    Talks,
    /// A fault where nobody goes.
    Idle,
    /// Half of a quota that nobody notices.
    Half,
}

impl Scene {
    /// All in which the toy without a bug must pass.
    pub(crate) const ALL: [Self; 23] = [
        Self::Calm,
        Self::Breaks,
        Self::Failover,
        Self::Stalls,
        Self::Exceptions,
        Self::NoStop,
        Self::Corrupt,
        Self::Quotas,
        Self::Throttles,
        Self::Storm,
        Self::Outage,
        Self::Dead,
        Self::Resets,
        Self::Fenced,
        Self::KeyLimit,
        Self::KilledJobs,
        Self::Crowd,
        Self::KilledRegion,
        Self::KilledOften,
        Self::Refusals,
        Self::Stop,
        Self::Kill,
        Self::Talks,
    ];

    /// Faults, rate a second, seconds of load, mix, rules; what is empty is usual.
    #[allow(clippy::too_many_lines, reason = "a table of scenes")]
    fn parts(self) -> Parts {
        let usual = Parts::default();
        match self {
            Self::Calm => Parts { faults: r#"{ kind = "vanish", share = 0.25, after = "exp 400ms", at_least = 3 }"#, ..usual },
            Self::Breaks => Parts { faults: r#"{ kind = "reset", at_byte = "random", share = 0.4, for = "20s", at_least = 5 }"#, ..usual },
            Self::Failover => Parts {
                faults: r#"{ kind = "reset", at = "request", region = "us-east-1", share = 0.5, for = "20s", at_least = 2 }"#,
                ..usual
            },
            Self::Stalls => Parts {
                faults: r#"{ kind = "stall", pause = "6s", share = 0.7, for = "20s", at_least = 5 }, { kind = "vanish", share = 0.7, after = "1500ms", at_least = 5 }"#,
                ..usual
            },
            Self::Exceptions => Parts {
                faults: r#"{ kind = "exception_frame", type = "modelStreamErrorException", text = "broke, says chaos of call {call}", share = 0.4, for = "20s", at_least = 3 }"#,
                ..usual
            },
            Self::NoStop => Parts { faults: r#"{ kind = "no_stop", share = 0.4, for = "20s", at_least = 3 }"#, ..usual },
            Self::Corrupt => {
                Parts { faults: r#"{ kind = "corrupt_frame", field = "message_crc", share = 0.4, for = "20s", at_least = 3 }"#, ..usual }
            }
            Self::Quotas => Parts {
                rate: "1/s",
                seconds: 50,
                quota: ", quota = { rpm = 600, tpm = 12_000 }",
                obedient: 0.3,
                must: r#"["I6", "I8"]"#,
                ..usual
            },
            Self::Throttles => {
                Parts { faults: r#"{ kind = "throttle", region = "us-east-1", from = "4s", for = "10s", at_least = 3 }"#, ..usual }
            }
            Self::Storm => Parts {
                faults: r#"{ kind = "model_timeout", after = "800ms", from = "4s", for = "2s", at_least = 6 }"#,
                rate: "12/s",
                rules: "recovery = \"2s\"\nliveness = \"3s\"",
                waived: r#"I17 = "no conversations", I12 = "a region that stays benched is what I19 judges here""#,
                must: r#"["I19"]"#,
                ..usual
            },
            Self::Outage => Parts {
                faults: r#"{ kind = "error", code = "ServiceUnavailableException", from = "10s", for = "4s", at_least = 1 }"#,
                regions: 1,
                rules: "liveness = \"6s\"",
                waived: r#"I17 = "no conversations", I12 = "a region that stays benched is what I19 judges here""#,
                must: r#"["I19"]"#,
                ..usual
            },
            Self::Dead => Parts {
                faults: r#"{ kind = "region_down", mode = "5xx", region = "us-east-1", from = "2s", for = "22s", at_least = 3 }"#,
                seconds: 30,
                must: r#"["I9"]"#,
                ..usual
            },
            Self::Resets => Parts {
                faults: r#"{ kind = "reset", at = "request", from = "8s", for = "34s", at_least = 20 }"#,
                seconds: 45,
                rate: "4/s",
                attempts: 4,
                ..usual
            },
            Self::Fenced => Parts {
                faults: r#"{ kind = "error", code = "ServiceUnavailableException", share = 0.4, for = "20s", at_least = 3 }"#,
                mix: r#"{ weight = 1 }, { weight = 2, name = "fenced", regions = ["us-west-2"] }"#,
                must: r#"["I9"]"#,
                ..usual
            },
            Self::KeyLimit => Parts { rate: "1/s", seconds: 60, rules: "key_limits = { load = 20 }", must: r#"["I10"]"#, ..usual },
            Self::KilledJobs => Parts { rules: "spend = 10", ..usual },
            Self::Crowd => Parts { rate: "6/s", seconds: 40, ..usual },
            Self::Refusals => Parts {
                faults: r#"{ kind = "error", code = "ValidationException", status = 400, text = "not valid, says chaos of call {call}", share = 0.4, for = "20s", at_least = 5 }"#,
                must: r#"["I13"]"#,
                ..usual
            },
            Self::Stop => Parts { must: r#"["I15"]"#, ..usual },
            Self::Kill => Parts { must: r#"["I16"]"#, rate: "4/s", ..usual },
            Self::Talks => Parts {
                mix: r#"{ name = "agent", input_tokens = 100, conversation = { turns = 5, prefix_tokens = 3000, grow_tokens = 50, think = "4s" } }"#,
                seconds: 40,
                waived: "",
                must: r#"["I17"]"#,
                ..usual
            },
            Self::Idle => Parts { faults: r#"{ kind = "throttle", region = "eu-west-1", for = "20s", at_least = 1 }"#, ..usual },
            Self::Half => Parts {
                rate: "50% of quota",
                quota: ", quota = { rpm = 6000, tpm = 600_000 }",
                regions: 1,
                seconds: 60,
                mix: r#"{ weight = 2, input_tokens = { p50 = 400, p99 = 3000 } }, { weight = 1, name = "agent", input_tokens = 300, conversation = { turns = 5, prefix_tokens = { p50 = 3000, p99 = 9000 }, grow_tokens = 200, think = "5s" } }"#,
                ..usual
            },
            Self::KilledRegion | Self::KilledOften => usual,
        }
    }

    pub(crate) fn scenario(self) -> Scenario {
        let Parts { faults, rate, seconds, mix, rules, quota, regions, waived, must, obedient, attempts } = self.parts();
        let regions: Vec<String> = crate::toy::REGIONS[..regions].iter().map(|name| format!("{{ name = \"{name}\"{quota} }}")).collect();
        // Where liveness is not what a scene is for, its load need not go on after its faults.
        let live = if must.contains("I19") { "" } else { "I19 = \"judged in the scenes of storms and outages\"" };
        let waived = [waived, live].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
        let text = format!(
            r#"
name = "scene"
hypothesis = "the toy does this right"
region = [{}]
model = [{{ id = "anthropic.claude-sonnet-4-6", behaviour = {{ first_token = {{ p50 = "60ms" }}, inter_token = {{ p50 = "90ms" }}, watermark = {{ words = {{ p50 = 18, p99 = 40 }} }} }} }}]
phase = [
  {{ name = "warm", for = "1s", rate = "{rate}", judged = false }},
  {{ name = "load", for = "{seconds}s", rate = "{rate}" }},
  {{ name = "settle", for = "8s", rate = "0/s", judged = false, faults = "off" }},
]
fault = [{faults}]
[load]
obedient = {obedient}
mix = [{mix}]
[rules]
must = {must}
rss_slack_mib = 48
attempts = {{ per_request = 1.1, per_second = 1.0, burst = {} }}
waived = {{ {waived} }}
{rules}
[bounds]
success = ">= 0%"
[vacuous]
at_least = {{ upstream_calls = 15 }}
"#,
            regions.join(", "),
            20 * attempts,
        );
        parse_text(Path::new("scene.toml"), &text).unwrap_or_else(|error| panic!("{self:?}\n{error}\n{text}"))
    }
}

struct Parts {
    faults: &'static str,
    rate: &'static str,
    seconds: u64,
    mix: &'static str,
    rules: &'static str,
    quota: &'static str,
    regions: usize,
    waived: &'static str,
    must: &'static str,
    obedient: f64,
    attempts: u64,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            faults: "",
            rate: "2/s",
            seconds: 24,
            mix: r#"{ weight = 4 }, { weight = 1, stream = false }"#,
            rules: "",
            quota: "",
            regions: 3,
            waived: r#"I17 = "no conversations""#,
            must: "[]",
            obedient: 0.0,
            attempts: 1,
        }
    }
}

struct Line(Toy);

impl Dial for Line {
    fn dial(&self) -> Dialling {
        self.0.connect()
    }
}

/// What a run violated.
pub(crate) struct Found {
    pub(crate) ids: Vec<String>,
    pub(crate) words: Vec<String>,
}

pub(crate) fn failures(plant: Plant, scene: Scene, seed: u64) -> Found {
    let history = history(plant, scene, seed);
    let outcomes = check::judge(&history);
    let ids: Vec<String> = check::failed(&outcomes).into_iter().map(str::to_owned).collect();
    let bad = outcomes.iter().filter(|outcome| ids.contains(&outcome.id));
    let words = bad.flat_map(|outcome| {
        let of = format!("{} ({} of {})", outcome.id, outcome.verdict.found, outcome.verdict.checked);
        outcome.verdict.violations.iter().take(3).map(move |violation| format!("{of}: {:?} {}", violation.request, violation.words))
    });
    Found { words: words.chain(history.about.broken.clone()).collect(), ids }
}

/// One run in memory, under a paused clock.
pub(crate) fn history(plant: Plant, scene: Scene, seed: u64) -> History {
    /// The memory that a run is judged by is the process's: no two at a time.
    static ONE: Mutex<()> = Mutex::new(());
    let _alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("history.jsonl");
    runtime.block_on(async {
        let scenario = Arc::new(scene.scenario());
        let regions: Vec<String> = scenario.regions.iter().map(|region| region.name.clone()).collect();
        let simulator =
            Simulator::builder().regions(regions.clone()).seed(seed).auth(AuthMode::Off).nonce(outcrop_chaos::plan::NONCE_PREFIX);
        let simulator = simulator.in_memory().unwrap();
        let keys = keys(seed);
        let mut inner = Inner::new(simulator.clone(), regions, plant, keys.clone());
        if scene == Scene::KilledJobs {
            inner.leases = 10;
        }
        if scene == Scene::KeyLimit {
            inner.key_limit = Some(20);
        }
        let toy = Toy::new(inner);
        let begin = {
            let toy = toy.clone();
            move |book: HostBook, origin: Instant| drop(tokio::spawn(fate(toy.clone(), scene, book, origin)))
        };
        let rehearsal = Rehearsal {
            scenario,
            seed,
            simulator,
            dial: Arc::new(Line(toy.clone())),
            log: Arc::clone(&toy.0.log),
            keys,
            prices: read_prices(&Path::new(env!("CARGO_MANIFEST_DIR")).join("prices.toml")).unwrap(),
            begin: Arc::new(begin),
        };
        let (_, history) = rehearse(rehearsal, &file).await.unwrap();
        history
    })
}

/// What happens to the toy in a scene.
async fn fate(toy: Toy, scene: Scene, book: HostBook, origin: Instant) {
    let second = |number: u64| origin + Duration::from_secs(number);
    match scene {
        Scene::KilledJobs => {
            for number in [6, 10, 14, 18] {
                sleep_until(second(number)).await;
                while toy.state().jobs.is_empty() {
                    sleep(Duration::from_millis(50)).await;
                }
                let job = toy.state().jobs.values().next().cloned();
                if let Some(job) = job {
                    job.notify_one();
                    book.note(0, HostFact::ActorKilled { name: "job".to_owned() });
                }
            }
        }
        Scene::KilledRegion | Scene::KilledOften => {
            let times = if scene == Scene::KilledOften { 4 } else { 1 };
            for number in 0..times {
                sleep_until(second(6 + 3 * number)).await;
                kill_region(&toy, number).await;
                book.note(0, HostFact::ActorKilled { name: "target-us-east-1".to_owned() });
            }
        }
        Scene::Stop => stop(toy, book, second(12)).await,
        Scene::Kill => {
            sleep_until(second(12)).await;
            book.note(0, HostFact::Killed);
            toy.die();
            sleep(Duration::from_secs(1)).await;
            toy.state().deaf = false;
            book.note(0, HostFact::Ready);
        }
        _ => {}
    }
}

async fn kill_region(toy: &Toy, number: u64) {
    let set = |dead| toy.state().regions.entry("us-east-1".to_owned()).or_default().dead = dead;
    set(true);
    let gone = match toy.0.plant {
        Plant::StaleReference => true,
        Plant::StopsRestarting => number >= 2,
        _ => false,
    };
    if !gone {
        sleep(Duration::from_millis(300)).await;
        set(false);
    }
}

/// SIGTERM: unready, deaf, finish, exit; then a new process.
async fn stop(toy: Toy, book: HostBook, at: Instant) {
    sleep_until(at).await;
    book.note(0, HostFact::Terminated);
    let pause = Duration::from_millis(600);
    if toy.0.plant == Plant::RefusesBeforeUnready {
        toy.state().deaf = true;
        book.note(0, HostFact::AcceptStopped);
        sleep(pause).await;
        book.note(0, HostFact::Unready);
    } else {
        book.note(0, HostFact::Unready);
        sleep(pause).await;
        toy.state().deaf = true;
        book.note(0, HostFact::AcceptStopped);
    }
    loop {
        let idle = toy.0.idle.notified();
        if toy.state().jobs.is_empty() {
            break;
        }
        idle.await;
    }
    book.note(0, HostFact::Exited { code: Some(0) });
    sleep(pause).await;
    toy.state().deaf = false;
    book.note(0, HostFact::Ready);
}

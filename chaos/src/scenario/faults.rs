//! The faults of a scenario: those of the simulator are its own strict types, the others are read here.

use std::time::Duration;

use outcrop_sim::faults::Fault;

use super::{
    ActorDeed, ClientPlan, FaultKind, FaultPlan, HostFault, RegionPlan,
    parts::{bounds, foreign},
    section::Section,
    tree::{Node, Value},
};
use crate::units::Pause;

/// Kinds that happen at a moment and may say so with `at`.
const MOMENTS: [&str; 5] = ["access_lost", "model_gone", "credentials_expired", "sigterm", "sigkill"];

pub(super) fn faults(section: &mut Section, regions: &[RegionPlan]) -> Vec<FaultPlan> {
    section.sections("fault").into_iter().filter_map(|fault| self::fault(fault, regions)).collect()
}

fn fault(mut section: Section, regions: &[RegionPlan]) -> Option<FaultPlan> {
    let word = section.needed_text("kind");
    let at = if MOMENTS.contains(&word.as_str()) { section.duration("at") } else { None };
    let from = section.duration("from").or(at).unwrap_or_default();
    let lasting = section.duration("for");
    let expect = bounds(&mut section, "expect", &[]);
    let at_least = section.whole("at_least").unwrap_or(0);
    let region = section.text("region");
    if let Some(region) = region.as_ref().filter(|region| !regions.iter().any(|known| known.name == **region)) {
        section.complain(&section.place.clone(), format!("there is no region `{region}`"));
    }
    let (kind, share) = match word.as_str() {
        "credentials_expired" => (FaultKind::Credentials, 1.0),
        "sigterm" | "sigkill" | "kill_actor" | "panic_actor" | "stall_actor" | "disk_full" => {
            (FaultKind::Host(host(&mut section, &word)), 1.0)
        }
        "vanish" | "slow_reader" | "half_open" | "bad_body" | "huge_body" | "retry_storm" => {
            let share = section.share("share").unwrap_or(1.0);
            (FaultKind::Client(client(&mut section, &word)), share)
        }
        _ => {
            let share = section.share("share").unwrap_or(1.0);
            let fault = upstream(&mut section, &word, region.as_deref(), share)?;
            return Some(FaultPlan { kind: FaultKind::Upstream(Box::new(fault)), word, region, share, from, lasting, expect, at_least });
        }
    };
    section.finish();
    Some(FaultPlan { kind, word, region, share, from, lasting, expect, at_least })
}

/// What is left of the table is the simulator's. Times are the harness's: it installs and removes.
fn upstream(section: &mut Section, word: &str, region: Option<&str>, share: f64) -> Option<Fault> {
    let place = section.place.clone();
    let mut table = section.rest();
    let text = |text: &str| Node { place: place.clone(), value: Value::Text(text.to_owned()) };
    table.insert("kind".to_owned(), text(word));
    if let Some(region) = region {
        table.insert("region".to_owned(), text(region));
    }
    if share < 1.0 {
        table.insert("share".to_owned(), Node { place: place.clone(), value: Value::Fraction(share) });
    }
    foreign(section, &Node { place: place.clone(), value: Value::Table(table) })
}

/// A new process is started this long after the old one has ended, unless told otherwise.
const THEN_AFTER: Duration = Duration::from_secs(1);

fn host(section: &mut Section, word: &str) -> HostFault {
    let place = section.place.clone();
    if matches!(word, "sigterm" | "sigkill") {
        let replica = u32::try_from(section.whole("replica").unwrap_or(0)).unwrap_or(0);
        let then_after = section.duration("then_after").unwrap_or(THEN_AFTER);
        return if word == "sigterm" { HostFault::Terminate { replica, then_after } } else { HostFault::Kill { replica, then_after } };
    }
    if word == "disk_full" {
        return HostFault::DiskFull;
    }
    let deed = match word {
        "kill_actor" => ActorDeed::Kill,
        "panic_actor" => ActorDeed::Panic,
        _ => ActorDeed::Stall { lasting: section.needed_duration("stall") },
    };
    let name = section.text("name").filter(|name| name != "random");
    let every = section.pause("every").unwrap_or_else(|| {
        section.complain(&place, format!("{word} needs `every`, as \"exp 10s\""));
        Pause::Fixed(Duration::from_secs(1))
    });
    HostFault::Actor { deed, name, every }
}

fn client(section: &mut Section, word: &str) -> ClientPlan {
    let place = section.place.clone();
    match word {
        "vanish" => ClientPlan::Vanish {
            after: section.pause("after").unwrap_or_else(|| {
                section.complain(&place, "vanish needs `after`, as \"exp 800ms\"");
                Pause::Fixed(Duration::from_millis(800))
            }),
        },
        "slow_reader" => ClientPlan::SlowReader { bytes_per_s: section.whole("bytes_per_s").unwrap_or(2_000).max(1) },
        "half_open" => ClientPlan::HalfOpen,
        "bad_body" => ClientPlan::BadBody,
        "huge_body" => ClientPlan::HugeBody { bytes: section.whole("bytes").unwrap_or(80 * 1024 * 1024) },
        _ => ClientPlan::RetryStorm { times: u32::try_from(section.whole("times").unwrap_or(3)).unwrap_or(3) },
    }
}

//! What a run knows of its targets and the next one should: quotas, usual answering times, and which targets were out of order.
//!
//! Kept as JSON, so that an operator can read it: `{"version": 2, "written": unix seconds, "targets": [...]}`. Each target says
//! when it was last in use: what nobody asks for is written again and again, and grows old all the same.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use outcrop_domain::{
    clock::Moment,
    error::Cause,
    ids::{ModelId, Region},
    routing::{Breaker, quota::QuotaSnapshot},
};
use serde::{Deserialize, Serialize};

use super::pace::UsualTimes;

/// Of the format. Another version is as good as no memory.
const VERSION: u32 = 2;

/// What is older than this says nothing any more.
const WORTHLESS: Duration = Duration::from_secs(24 * 3600);

/// What the last run knew.
#[derive(Debug, Clone, Default)]
pub struct RoutingMemory {
    targets: HashMap<(ModelId, Region), RememberedTarget>,
}

/// One target as the last run knew it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RememberedTarget {
    /// Its quotas.
    pub quota: QuotaSnapshot,
    /// What had tripped it, if it was not closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tripped: Option<Cause>,
    /// How fast it usually answers: a target that falls silent after a restart is found out as soon as before it.
    #[serde(default)]
    pub usual: UsualTimes,
    /// When it was last in use, seconds since 1970.
    pub seen: u64,
}

impl RememberedTarget {
    /// A target that was out of order begins half-open: one call finds out, nobody else waits for it.
    pub(super) fn breaker(&self, now: Moment) -> Breaker {
        self.tripped.map_or_else(Breaker::default, |cause| Breaker::half_open(cause, now))
    }

    /// How long ago it was last in use.
    pub(super) fn age(&self, wall: SystemTime) -> Duration {
        Duration::from_secs(unix_seconds(wall).saturating_sub(self.seen))
    }

    /// Is there anything in it that a new process does not know?
    fn tells_something(&self) -> bool {
        self.tripped.is_some() || self.usual != UsualTimes::default() || self.quota.shadows.iter().any(|shadow| shadow.known)
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Written {
    version: u32,
    written: u64,
    targets: Vec<WrittenTarget>,
}

#[derive(Debug, Serialize, Deserialize)]
struct WrittenTarget {
    model: ModelId,
    region: Region,
    #[serde(flatten)]
    target: RememberedTarget,
}

/// Why a memory is not used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It is not what this program writes.
    #[error("it is not a routing memory: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Another version of this program wrote it.
    #[error("it has version {found}, this program reads {VERSION}")]
    Version {
        /// Of the file.
        found: u32,
    },
    /// It says nothing any more.
    #[error("it is {} hours old", age.as_secs() / 3600)]
    Old {
        /// Of the file.
        age: Duration,
    },
}

impl RoutingMemory {
    /// Reads what [`write()`] wrote.
    ///
    /// # Errors
    /// Why it is of no use: start without.
    pub fn read(bytes: &[u8], wall: SystemTime) -> Result<Self, Unusable> {
        let written: Written = serde_json::from_slice(bytes)?;
        if written.version != VERSION {
            return Err(Unusable::Version { found: written.version });
        }
        let age = Duration::from_secs(unix_seconds(wall).saturating_sub(written.written));
        if age > WORTHLESS {
            return Err(Unusable::Old { age });
        }
        let young = written.targets.into_iter().filter(|entry| entry.target.age(wall) <= WORTHLESS);
        Ok(Self { targets: young.map(|entry| ((entry.model, entry.region), entry.target)).collect() })
    }

    /// Targets in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.targets.len()
    }

    /// Nothing in it?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    pub(super) fn of(&self, model: &ModelId, region: &Region) -> Option<&RememberedTarget> {
        self.targets.get(&(model.clone(), region.clone()))
    }

    /// Everything in it.
    pub(super) fn all(&self) -> impl Iterator<Item = (ModelId, Region, RememberedTarget)> + '_ {
        self.targets.iter().map(|((model, region), target)| (model.clone(), region.clone(), *target))
    }
}

/// Writes what is worth keeping, also when that is nothing any more.
#[must_use]
pub fn write(targets: impl IntoIterator<Item = (ModelId, Region, RememberedTarget)>, wall: SystemTime) -> Option<Vec<u8>> {
    let told = targets.into_iter().filter(|(_, _, target)| target.tells_something() && target.age(wall) <= WORTHLESS);
    let mut targets: Vec<_> = told.map(|(model, region, target)| WrittenTarget { model, region, target }).collect();
    targets.sort_by(|a, b| (&a.model, &a.region).cmp(&(&b.model, &b.region)));
    // Numbers and names only: nothing in it can fail to be written.
    serde_json::to_vec(&Written { version: VERSION, written: unix_seconds(wall), targets }).ok()
}

/// Seconds since 1970; 0 before it.
pub(super) fn unix_seconds(wall: SystemTime) -> u64 {
    wall.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use outcrop_domain::routing::{
        Gate,
        quota::{Priors, TargetQuota},
    };

    use super::*;

    fn at(hours: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(hours * 3600)
    }

    fn learned() -> RememberedTarget {
        let priors = Priors { tokens_per_minute: Some(60_000.0), ..Priors::default() };
        let quota = TargetQuota::new(&priors, None, Moment::default(), Duration::from_secs(60));
        let mut usual = UsualTimes::default();
        usual.streamed[0] = Some(1.5);
        RememberedTarget { quota: quota.snapshot(), tripped: Some(Cause::Connection), usual, seen: unix_seconds(at(5)) }
    }

    fn unknown() -> RememberedTarget {
        let quota = TargetQuota::new(&Priors::default(), None, Moment::default(), Duration::from_secs(60));
        RememberedTarget { quota: quota.snapshot(), tripped: None, usual: UsualTimes::default(), seen: unix_seconds(at(5)) }
    }

    #[test]
    fn what_was_written_is_read_again() {
        let (model, region) = (ModelId::from("a.model"), Region::from("us-east-1"));
        let other = (ModelId::from("b.model"), region.clone(), unknown());
        let bytes = write([other, (model.clone(), region.clone(), learned())], at(5)).unwrap();
        let memory = RoutingMemory::read(&bytes, at(6)).unwrap();
        assert_eq!(memory.len(), 1, "a target of which nothing is known is left out");
        let target = memory.of(&model, &region).unwrap();
        assert_eq!((target.age(at(6)), target.usual.streamed[0]), (Duration::from_secs(3600), Some(1.5)));
        // The last digit of a rate may differ.
        let [_, tokens] = target.quota.shadows;
        assert_eq!((tokens.known, tokens.rate.round(), target.tripped), (true, 1_000.0, Some(Cause::Connection)));
        assert_eq!(target.breaker(Moment::default()).gate(Moment::default()), Gate::HalfOpen);
    }

    #[test]
    fn nothing_known_is_an_empty_memory() {
        let bytes = write([(ModelId::from("a"), Region::from("r"), unknown())], at(1)).unwrap();
        assert!(RoutingMemory::read(&bytes, at(1)).unwrap().is_empty());
    }

    #[test]
    fn a_target_that_nobody_asks_for_grows_old_however_often_it_is_written() {
        let key = (ModelId::from("a"), Region::from("r"));
        let once = write([(key.0.clone(), key.1.clone(), learned())], at(6)).unwrap();
        let memory = RoutingMemory::read(&once, at(6)).unwrap();
        let again = write(memory.all(), at(28)).unwrap();
        let target = *RoutingMemory::read(&again, at(28)).unwrap().of(&key.0, &key.1).unwrap();
        assert_eq!(target.age(at(28)), Duration::from_secs(23 * 3600));
        assert!(RoutingMemory::read(&again, at(30)).unwrap().is_empty(), "a day after it was last in use");
        assert!(RoutingMemory::read(&write(memory.all(), at(30)).unwrap(), at(30)).unwrap().is_empty());
    }

    #[test]
    fn what_is_old_foreign_or_broken_is_not_used() {
        let bytes = write([(ModelId::from("a"), Region::from("r"), learned())], at(5)).unwrap();
        assert!(matches!(RoutingMemory::read(&bytes, at(30)), Err(Unusable::Old { .. })));
        let text = String::from_utf8(bytes).unwrap();
        let newer = text.replace("\"version\":2", "\"version\":3");
        assert!(matches!(RoutingMemory::read(newer.as_bytes(), at(5)), Err(Unusable::Version { found: 3 })));
        assert!(matches!(RoutingMemory::read(&text.as_bytes()[1..], at(5)), Err(Unusable::Malformed(_))));
    }
}

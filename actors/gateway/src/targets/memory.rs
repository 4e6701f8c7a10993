//! What a run knows of its targets and the next one should: quotas, spent days, usual answering times, which targets were out
//! of order, and which regions an operator had drained.
//!
//! Kept as JSON, so that an operator can read it: `{"version": 2, "written": unix seconds, "drained": [...], "targets": [...]}`.
//! Each target says when it was last in use: what nobody asks for is written again and again, and grows old all the same. Drains
//! do not: they are somebody's wish, until that is taken back.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use outcrop_domain::{
    clock::Moment,
    error::Cause,
    ids::{ModelId, Region},
    routing::{Breaker, daily::SpentDay, quota::QuotaSnapshot},
};
use serde::{Deserialize, Serialize};

use super::pace::UsualTimes;

/// Of the format. Another version is as good as no memory.
const VERSION: u32 = 2;

/// What is older than this says nothing any more.
const WORTHLESS: Duration = Duration::from_secs(24 * 3600);

/// No day that has begun lasts longer.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What the last run knew.
#[derive(Debug, Clone, Default)]
pub struct RoutingMemory {
    targets: HashMap<(ModelId, Region), RememberedTarget>,
    drained: Vec<Region>,
}

/// One target as the last run knew it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RememberedTarget {
    /// Its quotas.
    pub quota: QuotaSnapshot,
    /// What had tripped it, if it was not closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tripped: Option<Cause>,
    /// Its day, if the quota of that is spent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent: Option<RememberedDay>,
    /// How fast it usually answers: a target that falls silent after a restart is found out as soon as before it.
    #[serde(default)]
    pub usual: UsualTimes,
    /// When it was last in use, seconds since 1970.
    pub seen: u64,
}

/// A day whose quota is spent, by the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RememberedDay {
    /// When it ends, seconds since 1970.
    until: u64,
    /// When the next call may try, seconds since 1970.
    probe: u64,
}

impl RememberedDay {
    pub(super) fn of(spent: SpentDay, now: Moment, wall: SystemTime) -> Self {
        // A time that no clock can tell is one that never comes: the next run does not believe it.
        let on_the_wall = |at: Moment| wall.checked_add(at.since(now)).map_or(u64::MAX, unix_seconds);
        Self { until: on_the_wall(spent.until), probe: on_the_wall(spent.next_probe) }
    }

    /// As it is at `now`. `None` when it is over; and when it ends later than any day, since then a clock was wrong: a call
    /// that is refused costs less than a region that is closed for nothing.
    pub(super) fn at(&self, now: Moment, wall: SystemTime) -> Option<SpentDay> {
        let probe = Duration::from_secs(self.probe.saturating_sub(unix_seconds(wall)));
        Some(SpentDay { until: now.after(self.left(wall)?), next_probe: now.after(probe) })
    }

    fn left(&self, wall: SystemTime) -> Option<Duration> {
        let left = Duration::from_secs(self.until.saturating_sub(unix_seconds(wall)));
        (!left.is_zero() && left <= DAY).then_some(left)
    }
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
    fn tells_something(&self, wall: SystemTime) -> bool {
        let spent = self.spent.is_some_and(|day| day.left(wall).is_some());
        spent || self.tripped.is_some() || self.usual != UsualTimes::default() || self.quota.shadows.iter().any(|shadow| shadow.known)
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Written {
    version: u32,
    written: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    drained: Vec<Region>,
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
        if age > WORTHLESS && written.drained.is_empty() {
            return Err(Unusable::Old { age });
        }
        let young = written.targets.into_iter().filter(|entry| age.max(entry.target.age(wall)) <= WORTHLESS);
        let targets = young.map(|entry| ((entry.model, entry.region), entry.target)).collect();
        Ok(Self { targets, drained: written.drained })
    }

    /// Targets in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.targets.len()
    }

    /// Nothing in it?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty() && self.drained.is_empty()
    }

    /// Had an operator drained this region?
    pub(super) fn was_drained(&self, region: &Region) -> bool {
        self.drained.contains(region)
    }

    pub(super) fn of(&self, model: &ModelId, region: &Region) -> Option<&RememberedTarget> {
        self.targets.get(&(model.clone(), region.clone()))
    }

    /// Every target in it.
    pub(super) fn all(&self) -> impl Iterator<Item = (ModelId, Region, RememberedTarget)> + '_ {
        self.targets.iter().map(|((model, region), target)| (model.clone(), region.clone(), *target))
    }
}

/// Writes what is worth keeping, also when that is nothing any more.
#[must_use]
pub fn write(
    targets: impl IntoIterator<Item = (ModelId, Region, RememberedTarget)>,
    drained: Vec<Region>,
    wall: SystemTime,
) -> Option<Vec<u8>> {
    let told = targets.into_iter().filter(|(_, _, target)| target.tells_something(wall) && target.age(wall) <= WORTHLESS);
    let mut targets: Vec<_> = told.map(|(model, region, target)| WrittenTarget { model, region, target }).collect();
    targets.sort_by(|a, b| (&a.model, &a.region).cmp(&(&b.model, &b.region)));
    // Numbers and names only: nothing in it can fail to be written.
    serde_json::to_vec(&Written { version: VERSION, written: unix_seconds(wall), drained, targets }).ok()
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
        RememberedTarget { quota: quota.snapshot(), tripped: Some(Cause::Connection), spent: None, usual, seen: unix_seconds(at(5)) }
    }

    fn unknown() -> RememberedTarget {
        let quota = TargetQuota::new(&Priors::default(), None, Moment::default(), Duration::from_secs(60));
        RememberedTarget { quota: quota.snapshot(), tripped: None, spent: None, usual: UsualTimes::default(), seen: unix_seconds(at(5)) }
    }

    /// A target of which nothing is known but that its day is spent.
    fn spent(until: SystemTime, probe: SystemTime) -> RememberedTarget {
        RememberedTarget { spent: Some(RememberedDay { until: unix_seconds(until), probe: unix_seconds(probe) }), ..unknown() }
    }

    /// Since this process began.
    fn hour(hours: u64) -> Moment {
        Moment(Duration::from_secs(hours * 3600))
    }

    fn key() -> (ModelId, Region) {
        (ModelId::from("a.model"), Region::from("us-east-1"))
    }

    #[test]
    fn what_was_written_is_read_again() {
        let (model, region) = (ModelId::from("a.model"), Region::from("us-east-1"));
        let other = (ModelId::from("b.model"), region.clone(), unknown());
        let bytes = write([other, (model.clone(), region.clone(), learned())], Vec::new(), at(5)).unwrap();
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
        let bytes = write([(ModelId::from("a"), Region::from("r"), unknown())], Vec::new(), at(1)).unwrap();
        assert!(RoutingMemory::read(&bytes, at(1)).unwrap().is_empty());
    }

    #[test]
    fn a_target_that_nobody_asks_for_grows_old_however_often_it_is_written() {
        let key = (ModelId::from("a"), Region::from("r"));
        let once = write([(key.0.clone(), key.1.clone(), learned())], Vec::new(), at(6)).unwrap();
        let memory = RoutingMemory::read(&once, at(6)).unwrap();
        let again = write(memory.all(), Vec::new(), at(28)).unwrap();
        let target = *RoutingMemory::read(&again, at(28)).unwrap().of(&key.0, &key.1).unwrap();
        assert_eq!(target.age(at(28)), Duration::from_secs(23 * 3600));
        assert!(RoutingMemory::read(&again, at(30)).unwrap().is_empty(), "a day after it was last in use");
        assert!(RoutingMemory::read(&write(memory.all(), Vec::new(), at(30)).unwrap(), at(30)).unwrap().is_empty());
    }

    #[test]
    fn a_spent_day_is_written_by_the_wall_clock_and_read_by_another_one() {
        let (model, region) = key();
        let left = SpentDay { until: hour(119), next_probe: hour(101) };
        let day = RememberedDay::of(left, hour(100), at(5));
        assert_eq!(day, RememberedDay { until: unix_seconds(at(24)), probe: unix_seconds(at(6)) });
        let target = RememberedTarget { spent: Some(day), ..unknown() };
        let bytes = write([(model.clone(), region.clone(), target)], Vec::new(), at(5)).unwrap();
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert!(text.contains(r#""spent":{"until":86400,"probe":21600}"#), "{text}");
        let memory = RoutingMemory::read(&bytes, at(5)).unwrap();
        let read = |now, wall| memory.of(&model, &region).unwrap().spent.unwrap().at(now, wall);
        assert_eq!(read(hour(0), at(5)), Some(SpentDay { until: hour(19), next_probe: hour(1) }));
        assert_eq!(read(hour(2), at(23)), Some(SpentDay { until: hour(3), next_probe: hour(2) }), "its probe is due");
        assert_eq!(read(hour(3), at(24)), None, "it is over");
    }

    #[test]
    fn a_spent_day_that_is_over_or_that_no_right_clock_wrote_is_not_believed() {
        let now = |target: RememberedTarget| target.spent.unwrap().at(hour(0), at(30));
        assert_eq!(now(spent(at(29), at(29))), None);
        assert_eq!(now(spent(at(55), at(31))), None, "more than a day ahead");
        let never = RememberedDay { until: u64::MAX, probe: u64::MAX };
        assert_eq!(never.at(hour(0), at(30)), None);
        assert!(now(spent(at(54), at(100))).is_some(), "a probe that is far off is put right by who keeps the quota");
        // Neither is written again.
        for target in [spent(at(29), at(29)), spent(at(55), at(31))] {
            let target = RememberedTarget { seen: unix_seconds(at(30)), ..target };
            let bytes = write([(key().0, key().1, target)], Vec::new(), at(30)).unwrap();
            assert!(RoutingMemory::read(&bytes, at(30)).unwrap().is_empty());
        }
    }

    #[test]
    fn a_file_from_before_spent_days_still_loads_and_garbage_in_one_does_not() {
        let (model, region) = key();
        let bytes = write([(model.clone(), region.clone(), learned())], Vec::new(), at(5)).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.contains("spent"), "as it was written before: {text}");
        assert_eq!(*RoutingMemory::read(text.as_bytes(), at(5)).unwrap().of(&model, &region).unwrap(), read_back(&learned()));
        for spent in [r#"{"until":-1,"probe":0}"#, r#"{"until":1}"#, r#""midnight""#] {
            let broken = text.replace(r#""seen""#, &format!(r#""spent":{spent},"seen""#));
            assert!(matches!(RoutingMemory::read(broken.as_bytes(), at(5)), Err(Unusable::Malformed(_))), "{broken}");
        }
    }

    #[test]
    fn drained_regions_are_kept_however_old_they_are() {
        let (model, region) = key();
        let (east, west) = (Region::from("us-east-1"), Region::from("us-west-2"));
        let bytes = write([(model.clone(), region.clone(), learned())], vec![east.clone()], at(5)).unwrap();
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert!(text.contains(r#""drained":["us-east-1"],"targets""#), "{text}");
        let memory = RoutingMemory::read(&bytes, at(5)).unwrap();
        assert_eq!((memory.len(), memory.was_drained(&east), memory.was_drained(&west)), (1, true, false));
        let memory = RoutingMemory::read(&bytes, at(500)).unwrap();
        assert_eq!((memory.len(), memory.was_drained(&east), memory.is_empty()), (0, true, false));
        // A clock that was wrong says nothing of what is in it.
        assert!(RoutingMemory::read(&bytes, at(0)).unwrap().was_drained(&east));
        let broken = text.replace(r#"["us-east-1"]"#, "5");
        assert!(matches!(RoutingMemory::read(broken.as_bytes(), at(5)), Err(Unusable::Malformed(_))));
        let before = text.replace(r#""drained":["us-east-1"],"#, "");
        assert!(!RoutingMemory::read(before.as_bytes(), at(5)).unwrap().was_drained(&east), "a file from before drains were kept");
    }

    /// Numbers as the file has them: the last digit may differ.
    fn read_back(target: &RememberedTarget) -> RememberedTarget {
        serde_json::from_slice(&serde_json::to_vec(target).unwrap()).unwrap()
    }

    #[test]
    fn what_is_old_foreign_or_broken_is_not_used() {
        let bytes = write([(ModelId::from("a"), Region::from("r"), learned())], Vec::new(), at(5)).unwrap();
        assert!(matches!(RoutingMemory::read(&bytes, at(30)), Err(Unusable::Old { .. })));
        let text = String::from_utf8(bytes).unwrap();
        let newer = text.replace("\"version\":2", "\"version\":3");
        assert!(matches!(RoutingMemory::read(newer.as_bytes(), at(5)), Err(Unusable::Version { found: 3 })));
        assert!(matches!(RoutingMemory::read(&text.as_bytes()[1..], at(5)), Err(Unusable::Malformed(_))));
    }
}

//! The installed faults: which of them strikes what, and when.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;

use super::{DnsMode, Fault, FaultId, FaultKind, FaultStatus, Outage, Stage, gate::Gate};
use crate::{
    draw::{self, Stream},
    lock::held,
    quota::{ProfileClass, QuotaFault, QuotaFaultKind},
    route::Operation,
};

/// All faults, in the order of their installation.
#[derive(Debug)]
pub(crate) struct Board {
    seed: u64,
    rows: Mutex<Rows>,
    /// Changes with every installation and removal, so that connections look again.
    revision: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Rows {
    next: u64,
    list: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    id: FaultId,
    fault: Fault,
    stage: Stage,
    from: Duration,
    until: Option<Duration>,
    /// Name of its random numbers.
    stream: String,
    /// Matching calls seen so far, for `nth`.
    seen: u64,
    hits: Arc<AtomicU64>,
    first_hit: Option<Duration>,
    last_hit: Option<Duration>,
    active: Arc<()>,
}

/// A fault that strikes one call or connection. Keep it until that ends: it counts towards `max_active`.
#[derive(Debug)]
pub(crate) struct Strike {
    pub(crate) fault: FaultId,
    pub(crate) kind: FaultKind,
    /// Random numbers of this fault for this call.
    pub(crate) stream: Stream,
    _active: Arc<()>,
}

/// A call as faults see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) call: u64,
    pub(crate) region: &'a str,
    pub(crate) operation: Operation,
    pub(crate) label: Option<&'a str>,
    pub(crate) model: Option<&'a str>,
    pub(crate) profile: Option<ProfileClass>,
    pub(crate) key: Option<&'a str>,
    /// How long its connection had been idle; `None` for the first call on it.
    pub(crate) idle: Option<Duration>,
}

impl Board {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, rows: Mutex::default(), revision: watch::Sender::new(0) }
    }

    /// Adds a fault whose times count from `origin`.
    pub(crate) fn install(&self, fault: Fault, origin: Duration) -> FaultId {
        let id = {
            let mut rows = held(&self.rows);
            rows.next += 1;
            let id = FaultId(rows.next);
            rows.list.push(Row::new(id, fault, origin));
            id
        };
        self.changed();
        id
    }

    /// Takes a fault away; calls it has struck stay struck.
    pub(crate) fn remove(&self, id: FaultId) -> bool {
        let removed = {
            let mut rows = held(&self.rows);
            let before = rows.list.len();
            rows.list.retain(|row| row.id != id);
            rows.list.len() < before
        };
        self.changed();
        removed
    }

    pub(crate) fn clear(&self) {
        held(&self.rows).list.clear();
        self.changed();
    }

    pub(crate) fn revision(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    pub(crate) fn status(&self, now: Duration) -> Vec<FaultStatus> {
        held(&self.rows).list.iter().map(|row| row.status(now)).collect()
    }

    /// What the place faults make of a region at `now`.
    pub(crate) fn gate(&self, region: &str, now: Duration) -> Gate {
        let rows = held(&self.rows);
        let concerned = || rows.list.iter().filter(|row| row.stage == Stage::Place && row.in_place(region));
        let mut gate = match concerned().find(|row| row.in_force(now)) {
            Some(row) => Gate::of(&row.fault.kind, row.id, row.from),
            None => Gate::default(),
        };
        gate.next_change = concerned().flat_map(|row| [Some(row.from), row.until]).flatten().filter(|at| *at > now).min();
        gate
    }

    /// A place fault has struck something.
    pub(crate) fn note_hit(&self, id: FaultId, now: Duration) {
        if let Some(row) = held(&self.rows).list.iter_mut().find(|row| row.id == id) {
            row.hit(now);
        }
    }

    /// The connection fault that strikes this new connection.
    pub(crate) fn strike_connection(&self, region: &str, connection: u64, now: Duration) -> Option<Strike> {
        let mut rows = held(&self.rows);
        let mut candidates = rows.list.iter_mut().filter(|row| row.stage == Stage::Connection && row.in_force(now) && row.in_place(region));
        candidates.find_map(|row| row.strike(self.seed, connection, now))
    }

    /// The call fault that strikes this call.
    pub(crate) fn strike_call(&self, target: &Target<'_>, now: Duration) -> Option<Strike> {
        let mut rows = held(&self.rows);
        let mut candidates = rows.list.iter_mut().filter(|row| row.stage == Stage::Call && row.in_force(now) && row.concerns(target));
        candidates.find_map(|row| row.strike(self.seed, target.call, now))
    }

    /// How far the clock of a region is off, and the faults that make it so.
    pub(crate) fn skew(&self, region: &str, now: Duration) -> (i64, Vec<FaultId>) {
        let rows = held(&self.rows);
        let (mut skew_ms, mut faults) = (0, Vec::new());
        for row in rows.list.iter().filter(|row| row.in_force(now) && row.in_place(region)) {
            if let FaultKind::ClockSkew { offset } = &row.fault.kind {
                let length = i64::try_from(offset.length.as_millis()).unwrap_or(i64::MAX);
                skew_ms += if offset.negative { -length } else { length };
                faults.push(row.id);
            }
        }
        (skew_ms, faults)
    }

    /// The fault that has made a key expire which was put at `put_at` (`None`: before the start); counts as its hit.
    pub(crate) fn expire(&self, region: &str, key: &str, put_at: Option<Duration>, now: Duration) -> Option<FaultId> {
        let mut rows = held(&self.rows);
        let row = rows.list.iter_mut().find(|row| {
            matches!(row.fault.kind, FaultKind::CredentialsExpired {})
                && row.in_force(now)
                && row.in_place(region)
                && put_at.is_none_or(|put_at| put_at < row.from)
                && row.fault.selector.key.as_deref().is_none_or(|wanted| wanted == key)
        })?;
        row.hit(now);
        Some(row.id)
    }

    /// The faults that the quotas act on themselves.
    pub(crate) fn quota_faults(&self) -> Vec<QuotaFault> {
        held(&self.rows).list.iter().filter_map(Row::quota_fault).collect()
    }

    fn changed(&self) {
        self.revision.send_modify(|revision| *revision = revision.wrapping_add(1));
    }
}

impl Row {
    fn new(id: FaultId, fault: Fault, origin: Duration) -> Self {
        let from = origin + fault.selector.from.0;
        Self {
            id,
            stage: fault.stage(),
            from,
            until: fault.selector.lasting.map(|span| from + span.0),
            stream: fault.stream_name(),
            fault,
            seen: 0,
            hits: Arc::default(),
            first_hit: None,
            last_hit: None,
            active: Arc::default(),
        }
    }

    fn in_force(&self, now: Duration) -> bool {
        self.from <= now && self.until.is_none_or(|until| now < until)
    }

    fn in_place(&self, region: &str) -> bool {
        self.fault.selector.region.as_deref().is_none_or(|wanted| wanted == region)
    }

    fn concerns(&self, target: &Target<'_>) -> bool {
        let selector = &self.fault.selector;
        self.in_place(target.region)
            && selector.operation.is_none_or(|operation| operation == target.operation)
            && selector.model.as_deref().is_none_or(|model| target.label == Some(model) || target.model == Some(model))
            && selector.profile.is_none_or(|profile| target.profile == Some(profile))
            && selector.key.as_deref().is_none_or(|key| target.key == Some(key))
            && self.fits(target)
    }

    /// Whether the kind of fault makes sense for such a call.
    fn fits(&self, target: &Target<'_>) -> bool {
        let kind = &self.fault.kind;
        match kind {
            FaultKind::ControlPlaneDown { .. } => target.operation.is_control_plane(),
            FaultKind::IdleCut { after } => target.idle.is_some_and(|idle| idle >= after.0),
            // Throttles, model errors and quotas are about models; the rest may happen to any call.
            FaultKind::Throttle { .. }
            | FaultKind::Storm { .. }
            | FaultKind::ModelTimeout { .. }
            | FaultKind::AccessLost { .. }
            | FaultKind::ModelGone { .. }
            | FaultKind::FirstToken(_)
            | FaultKind::Brownout { .. } => target.operation.runs_model(),
            _ => target.operation.streams() || !kind.concerns_streams_only(),
        }
    }

    /// Strikes item `number`, unless share, number, storm or `max_active` forbid it.
    fn strike(&mut self, seed: u64, number: u64, now: Duration) -> Option<Strike> {
        let selector = &self.fault.selector;
        let mut stream = draw::stream(seed, &self.stream, number);
        // Drawn always, so that the numbers after it do not depend on the share.
        let drawn = stream.f64() < selector.share || selector.share >= 1.0;
        if !drawn || selector.max_active.is_some_and(|limit| Arc::strong_count(&self.active) > limit) || self.storm_is_over(now) {
            return None;
        }
        self.seen += 1;
        if self.fault.selector.nth.is_some_and(|nth| nth != self.seen) {
            return None;
        }
        self.hit(now);
        Some(Strike { fault: self.id, kind: self.fault.kind.clone(), stream, _active: Arc::clone(&self.active) })
    }

    fn storm_is_over(&self, now: Duration) -> bool {
        let FaultKind::Storm { count, within, .. } = &self.fault.kind else { return false };
        self.hits.load(Ordering::Relaxed) >= *count || self.first_hit.is_some_and(|first| now > first + within.0)
    }

    fn hit(&mut self, now: Duration) {
        self.hits.fetch_add(1, Ordering::Relaxed);
        self.first_hit.get_or_insert(now);
        self.last_hit = Some(now);
    }

    fn status(&self, now: Duration) -> FaultStatus {
        FaultStatus {
            id: self.id,
            fault: self.fault.clone(),
            stage: self.stage,
            from: self.from.into(),
            until: self.until.map(Into::into),
            in_force: self.in_force(now),
            hits: self.hits.load(Ordering::Relaxed),
            active: Arc::strong_count(&self.active) - 1,
            first_hit: self.first_hit.map(Into::into),
            last_hit: self.last_hit.map(Into::into),
        }
    }

    fn quota_fault(&self) -> Option<QuotaFault> {
        let kind = match self.fault.kind {
            FaultKind::Quota(quota) => QuotaFaultKind::Limits(quota),
            FaultKind::QuotaScale { factor } => QuotaFaultKind::Scale(factor),
            _ => return None,
        };
        let selector = &self.fault.selector;
        Some(QuotaFault {
            // Standing limits count their versions up from 1.
            version: u64::MAX - self.id.0,
            region: selector.region.clone(),
            model: selector.model.clone(),
            profile: selector.profile,
            kind,
            from: self.from,
            until: self.until,
            hits: Arc::clone(&self.hits),
        })
    }
}

impl Gate {
    /// What one place fault, in force since `since`, makes of its region.
    fn of(kind: &FaultKind, fault: FaultId, since: Duration) -> Self {
        let gate = Self { fault: Some(fault), ..Self::default() };
        match kind {
            FaultKind::RegionDown { mode: Outage::Refuse } => gate.refusing().resetting(),
            FaultKind::RegionDown { mode: Outage::Blackhole } => gate.silent(),
            FaultKind::Refuse {} => gate.refusing(),
            FaultKind::Dns { mode: DnsMode::Nxdomain } => gate.without_name(),
            FaultKind::Dns { mode: DnsMode::Timeout } => gate.without_answer(),
            FaultKind::Dns { mode: DnsMode::Moved } => gate.moved(since),
            _ => gate,
        }
    }
}

//! How busy each region is, and its connections.

use std::collections::BTreeMap;

use super::record::{ConnectionRecord, Gauge};
use crate::span::Nanos;

/// Gauges of all regions and the bounded book of connections.
#[derive(Debug, Default)]
pub(super) struct Places {
    gauges: BTreeMap<String, Gauge>,
    connections: BTreeMap<u64, ConnectionRecord>,
    limit: usize,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    pub(crate) at: Nanos,
    pub(crate) peer_closed: Option<Nanos>,
    pub(crate) bytes: u64,
}

impl Places {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    pub(super) fn opened(&mut self, number: u64, region: &str, at: Nanos) {
        let gauge = self.gauge(region);
        gauge.open_connections += 1;
        gauge.accepted_connections += 1;
        let record =
            ConnectionRecord { number, region: region.to_owned(), opened: at, peer_closed: None, closed: None, calls: 0, bytes: 0 };
        self.connections.insert(number, record);
        while self.connections.len() > self.limit.max(1) {
            self.connections.pop_first();
        }
    }

    pub(super) fn closed(&mut self, number: u64, region: &str, ended: &Ended) {
        let gauge = self.gauge(region);
        gauge.open_connections = gauge.open_connections.saturating_sub(1);
        if let Some(record) = self.connections.get_mut(&number) {
            record.closed = Some(ended.at);
            record.peer_closed = ended.peer_closed;
            record.bytes = ended.bytes;
        }
    }

    /// Counts a call; how many run in its region now, and how many connections are open there.
    pub(super) fn call_began(&mut self, region: &str, connection: u64) -> (u64, u64) {
        if let Some(record) = self.connections.get_mut(&connection) {
            record.calls += 1;
        }
        let gauge = self.gauge(region);
        gauge.in_flight += 1;
        gauge.most_in_flight = gauge.most_in_flight.max(gauge.in_flight);
        (gauge.in_flight, gauge.open_connections)
    }

    /// Counts the end of a call that read so many tokens from its region's cache, and would have from one for all.
    pub(super) fn call_ended(&mut self, region: &str, (cache_read, ideal): (u64, u64)) {
        let gauge = self.gauge(region);
        gauge.in_flight = gauge.in_flight.saturating_sub(1);
        gauge.cache_read += cache_read;
        gauge.ideal_cache_read += ideal;
    }

    pub(super) fn gauges(&self) -> Vec<Gauge> {
        self.gauges.values().cloned().collect()
    }

    pub(super) fn connections(&self) -> Vec<ConnectionRecord> {
        self.connections.values().cloned().collect()
    }

    pub(super) fn take_closed(&mut self) -> Vec<ConnectionRecord> {
        self.connections.extract_if(.., |_, record| record.closed.is_some()).map(|(_, record)| record).collect()
    }

    fn gauge(&mut self, region: &str) -> &mut Gauge {
        self.gauges.entry(region.to_owned()).or_insert_with(|| Gauge {
            region: region.to_owned(),
            in_flight: 0,
            most_in_flight: 0,
            open_connections: 0,
            accepted_connections: 0,
            cache_read: 0,
            ideal_cache_read: 0,
        })
    }
}

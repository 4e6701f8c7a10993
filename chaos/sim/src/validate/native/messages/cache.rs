//! `cache_control`: its members, how many there may be, and in which order of lives.

use std::cell::RefCell;

use super::super::super::cache::{MOST, lives};
use super::super::super::kit::Path;
use super::super::super::shape::{CachePoint, Ttl};
use super::fields::{Fields, extra};
use super::{Refusal, Traits};
use crate::models::CacheMode;

/// The markers of a body in the order of the prefix (tools, system, messages), with their places.
#[derive(Default)]
pub(super) struct Markers(RefCell<Vec<(String, CachePoint)>>);

impl Markers {
    /// Reads the marker of a block, if it has one.
    pub(super) fn read(&self, fields: &Fields<'_, '_>) -> Result<Option<CachePoint>, Refusal> {
        let Some(value) = fields.raw("cache_control") else { return Ok(None) };
        let path = fields.path.key("cache_control");
        let marker = Fields::open(value, path)?;
        let kind = marker.need_word("type", &["ephemeral"])?;
        let path = path.key(kind);
        let marker = Fields::open(value, path)?.only(&["type", "ttl"])?;
        let ttl = marker.raw("ttl").map(|_| marker.need_word("ttl", &["5m", "1h"])).transpose()?;
        let point = CachePoint { ttl: if ttl == Some("1h") { Ttl::OneHour } else { Ttl::FiveMinutes }, explicit_ttl: ttl.is_some() };
        self.0.borrow_mut().push((fields.path.dotted(), point));
        Ok(Some(point))
    }

    /// Judges all of them.
    pub(super) fn judge(self, traits: &Traits) -> Result<(), Refusal> {
        let points = self.0.into_inner();
        let Some((at, _)) = points.first() else { return Ok(()) };
        if traits.cache != CacheMode::Explicit {
            return Err(Refusal::validation(format!("{at}.cache_control: Extra inputs are not permitted")));
        }
        if points.len() > MOST {
            return Err(Refusal::validation(format!(
                "A maximum of {MOST} blocks with cache_control may be provided. Found {}.",
                points.len()
            )));
        }
        if let Some((at, _)) = points.iter().find(|(_, point)| point.explicit_ttl)
            && !traits.cache_hour
        {
            return Err(Refusal::validation(format!("{at}.cache_control.ephemeral.ttl: Extra inputs are not permitted")));
        }
        lives(&points).map_err(Refusal::plain)
    }
}

/// Refuses a marker where none may stand.
pub(super) fn none(fields: &Fields<'_, '_>) -> Result<(), Refusal> {
    match fields.raw("cache_control") {
        Some(_) => Err(extra(Path::key(&fields.path, "cache_control"))),
        None => Ok(()),
    }
}

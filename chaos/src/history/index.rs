//! The books joined: by nonce, by call number, by the gateway's request id.

use std::collections::HashMap;

use super::{Call, History, Request, Row};

/// Look-ups over a history. Only counted and looked up, never walked: order cannot matter.
#[derive(Debug)]
pub struct Joined<'h> {
    by_nonce: HashMap<&'h str, Vec<&'h Call>>,
    by_number: HashMap<u64, &'h Call>,
    rows: HashMap<&'h str, Vec<&'h Row>>,
    owners: HashMap<&'h str, &'h Request>,
}

impl<'h> Joined<'h> {
    /// Joins.
    #[must_use]
    pub fn of(history: &'h History) -> Self {
        let mut by_nonce: HashMap<&str, Vec<&Call>> = HashMap::new();
        for call in &history.calls {
            if let Some(nonce) = call.nonce.as_deref() {
                by_nonce.entry(nonce).or_default().push(call);
            }
        }
        let mut rows: HashMap<&str, Vec<&Row>> = HashMap::new();
        for row in &history.rows {
            rows.entry(row.request_id.as_str()).or_default().push(row);
        }
        Self {
            by_nonce,
            by_number: history.calls.iter().map(|call| (call.number, call)).collect(),
            rows,
            owners: history.requests.iter().map(|request| (request.nonce.as_str(), request)).collect(),
        }
    }

    /// The upstream calls of a request, oldest first.
    #[must_use]
    pub fn calls_of(&self, request: &Request) -> &[&'h Call] {
        self.by_nonce.get(request.nonce.as_str()).map_or(&[], Vec::as_slice)
    }

    /// A call by its number.
    #[must_use]
    pub fn call(&self, number: u64) -> Option<&'h Call> {
        self.by_number.get(&number).copied()
    }

    /// The usage rows of a request id.
    #[must_use]
    pub fn rows_of(&self, request_id: &str) -> &[&'h Row] {
        self.rows.get(request_id).map_or(&[], Vec::as_slice)
    }

    /// The request a call was made for.
    #[must_use]
    pub fn owner(&self, call: &Call) -> Option<&'h Request> {
        self.owners.get(call.nonce.as_deref()?).copied()
    }
}

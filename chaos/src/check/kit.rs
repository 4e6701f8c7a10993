//! Hand-written histories for the tests of checkers.

use crate::history::{
    Admission, BucketEvent, BucketKey, Call, Change, End, Ending, Envelope, FaultSpan, History, HostEvent, HostFact, Layer, Limit, Micros,
    ModelFacts, Price, Refill, Request, Row, Said, Tokens,
};

pub(super) const EAST: &str = "us-east-1";
pub(super) const WEST: &str = "us-west-2";
pub(super) const MODEL: &str = "anthropic.claude-sonnet-4-6";

pub(super) fn seconds(seconds: u64) -> Micros {
    Micros::seconds(seconds)
}

/// Two regions, one model, nothing else.
pub(super) fn empty() -> History {
    let mut history = History::default();
    history.about.regions = vec![EAST.to_owned(), WEST.to_owned()];
    history.about.models = vec![ModelFacts {
        ask: "claude-sonnet-4-6".to_owned(),
        id: MODEL.to_owned(),
        burndown: 5,
        price: Some(Price { input: 3_000_000, output: 15_000_000, cache_read: 300_000, cache_write: 3_750_000, geography_percent: 110 }),
    }];
    history
}

/// A request sent in second `at` that got ten words of call `call` a second later.
pub(super) fn answered(id: u64, at: u64, call: u64) -> Request {
    let mut said = Said::default();
    (0..10).for_each(|index| said.hear(call, index));
    Request {
        id,
        kind: "chat".to_owned(),
        nonce: format!("n0nce-{id}"),
        key: "load".to_owned(),
        model: "claude-sonnet-4-6".to_owned(),
        model_id: MODEL.to_owned(),
        stream: true,
        intended: seconds(at),
        sent: Some(seconds(at)),
        head: Some(seconds(at)),
        first_content: Some(seconds(at)),
        ended: Some(seconds(at + 1)),
        deadline: seconds(at + 60),
        end: End::Complete,
        status: Some(200),
        request_id: Some(format!("req-{id}")),
        said,
        ..Request::default()
    }
}

/// A request sent in second `at` and refused at once.
pub(super) fn refused(id: u64, at: u64, status: u16) -> Request {
    Request {
        first_content: None,
        ended: Some(seconds(at)),
        end: End::Refused,
        status: Some(status),
        retry_after: Some("1".to_owned()),
        error: Some(Envelope { well_formed: true, kind: "rate_limit_error".to_owned(), code: None, message: "slow down".to_owned() }),
        said: Said::default(),
        ..answered(id, at, 0)
    }
}

/// The call that answered `request`, in the east.
pub(super) fn call(number: u64, request: &Request) -> Call {
    let tokens = Tokens { input: 1_000, output: 100, cache_read: 0, cache_write: 0 };
    Call {
        number,
        region: EAST.to_owned(),
        model: MODEL.to_owned(),
        stream: true,
        nonce: Some(request.nonce.clone()),
        arrived: request.intended,
        admission: Admission::Admitted { reserved: Some(2_000) },
        words_sent: 10,
        words_total: 10,
        billed: Some(tokens),
        whole: Some(tokens),
        intact: true,
        usage_sent: true,
        ended: request.ended,
        ending: Ending::Complete,
        ..Call::default()
    }
}

/// A call that was refused.
pub(super) fn rejected(number: u64, request: &Request, status: u16, text: &str) -> Call {
    let code = if status == 429 { "ThrottlingException" } else { "ServiceUnavailableException" }.to_owned();
    Call {
        admission: Admission::Refused { status, code, text: text.to_owned(), quota: (status == 429).then_some(2_000) },
        words_sent: 0,
        words_total: 0,
        billed: None,
        whole: None,
        ended: Some(request.intended),
        ..call(number, request)
    }
}

/// The row of a completed request.
pub(super) fn row(request: &Request) -> Row {
    Row {
        request_id: request.request_id.clone().unwrap_or_default(),
        key: Some(request.key.clone()),
        model: Some(MODEL.to_owned()),
        outcome: "completed".to_owned(),
        status: 200,
        tokens: Tokens { input: 1_000, output: 100, cache_read: 0, cache_write: 0 },
        estimated: false,
        // 1,000 * 3 + 100 * 15 micro-dollars.
        micro_usd: Some(4_500),
        attempts: 1,
        replica: 0,
    }
}

/// A fault of all calls in the east.
pub(super) fn fault(kind: &str, from: u64, until: u64) -> FaultSpan {
    FaultSpan {
        kind: kind.to_owned(),
        label: kind.to_owned(),
        layer: Layer::Upstream,
        region: Some(EAST.to_owned()),
        from: seconds(from),
        until: seconds(until),
        share: 1.0,
        hits: 100,
        ..FaultSpan::default()
    }
}

pub(super) fn bucket(region: &str) -> BucketKey {
    BucketKey { region: region.to_owned(), model: MODEL.to_owned(), profile: String::new() }
}

/// 60 requests and 60,000 tokens a minute from second 0 on, with `tokens` left at second `at`.
pub(super) fn limited(history: &mut History, region: &str, at: u64, tokens: i64) {
    let limit = |per_minute| Some(Limit { per_minute, depth: per_minute, refill: Refill::Continuous });
    let change = Change::Limits { requests: limit(60.0), tokens: limit(60_000.0) };
    history.buckets.push(BucketEvent { at: seconds(0), key: bucket(region), call: None, change, requests: Some(60), tokens: Some(60_000) });
    history.buckets.push(BucketEvent {
        at: seconds(at),
        key: bucket(region),
        call: None,
        change: Change::Admitted { tokens: 0 },
        requests: Some(59),
        tokens: Some(tokens),
    });
    history.buckets.sort_by_key(|event| event.at);
}

pub(super) fn host(at: u64, fact: HostFact) -> HostEvent {
    HostEvent { at: seconds(at), replica: 0, fact }
}

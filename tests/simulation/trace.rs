//! A run as text, line by line, and its hash: two runs of one seed must not differ in a single letter.

use std::{fmt::Write as _, time::Duration};

use outcrop_sim::{BucketEntry, CallRecord, Decision};

use crate::books::{Books, Done, Row, Seen};

/// Everything that happened, in the order of time.
pub fn lines(books: &Books) -> Vec<String> {
    let mut lines: Vec<(Duration, String)> = Vec::new();
    for seen in &books.requests {
        lines.push((seen.asked.at, asked(seen)));
        let rows = books.rows.iter().filter(|row| Some(&row.request) == seen.request_id.as_ref());
        let detail = rows.map(row).collect::<Vec<_>>().join("; ");
        lines.push((seen.ended, format!("{} {detail}", ended(seen))));
    }
    lines.extend(books.calls.iter().flat_map(call));
    lines.extend(books.buckets.iter().map(bucket));
    lines.extend(books.deeds.iter().map(|Done { at, name, deed }| (*at, format!("actor {name} {deed}"))));
    lines.push((books.calm, "the storm is over".to_owned()));
    lines.push((books.ended, format!("the gateway has ended; rest after {:?}, missing {:?}", books.rest.took, books.rest.missing)));
    lines.sort_by_key(|(at, _)| *at);
    lines.into_iter().map(|(at, line)| format!("{:>14.6} {line}", at.as_secs_f64())).collect()
}

/// FNV-1a over the lines.
pub fn hash(lines: &[String]) -> u64 {
    let bytes = lines.iter().flat_map(|line| line.bytes().chain([b'\n']));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn asked(seen: &Seen) -> String {
    let asked = &seen.asked;
    let kind = if asked.stream { "stream" } else { "whole" };
    format!(
        "request {} {} {kind} n={} tools={} talk={:?} max_tokens={} {:?} {}",
        asked.id, asked.model.ask, asked.choices, asked.tools, asked.talk, asked.max_tokens, asked.deed, asked.nonce
    )
}

fn ended(seen: &Seen) -> String {
    let mut line = format!("request {} ended: {:?}", seen.asked.id, seen.end);
    let mut part = |name: &str, text: Option<&str>| {
        if let Some(text) = text {
            write!(line, " {name}={text}").unwrap();
        }
    };
    part("status", seen.status.map(|status| status.to_string()).as_deref());
    part("id", seen.request_id.as_deref());
    part("region", seen.region.as_deref());
    part("attempts", seen.attempts.as_deref());
    part("retry-after", seen.retry_after.as_deref());
    part("error", seen.error.as_ref().map(|error| format!("{}: {}", error.kind, error.message)).as_deref());
    for (choice, said) in &seen.said {
        let runs: Vec<String> = said.runs.iter().map(|run| format!("{}.{}-{}", run.call, run.first, run.last)).collect();
        part("said", Some(&format!("{choice}:{} {:?}", runs.join(","), said.stray)));
    }
    part("strange", (!seen.strange.is_empty()).then(|| seen.strange.join(" | ")).as_deref());
    line
}

fn row(row: &Row) -> String {
    let Row { outcome, attempts, usage, estimated, error, detail, .. } = row;
    format!("[{outcome} attempts={attempts} usage={usage:?} estimated={estimated} {error:?} {detail:?}]")
}

fn call(call: &CallRecord) -> Vec<(Duration, String)> {
    let decision = match &call.decision {
        Decision::Pending => "pending".to_owned(),
        Decision::Admitted { reserved, .. } => format!("admitted {reserved:?}"),
        Decision::Refused { status, code, by, .. } => format!("refused {status} {code} by {by:?}"),
    };
    let fault = call.fault.as_ref().map_or("", |fault| fault.kind.as_str());
    let arrived = format!(
        "  call {} {:?} {} {} {} connection {} {decision} {fault}",
        call.id,
        call.operation,
        call.region,
        call.label.as_deref().unwrap_or_default(),
        call.nonce.as_deref().unwrap_or_default(),
        call.connection,
    );
    let ended = format!(
        "  call {} ended {:?} words {}/{} bytes {} billed {:?} peer closed {:?}",
        call.id,
        call.end,
        call.words_sent,
        call.words_total,
        call.wire_bytes,
        call.billed,
        call.peer_closed.map(|at| at.duration())
    );
    let over = call.ended.or(call.peer_closed).unwrap_or(call.arrived);
    vec![(call.arrived.duration(), arrived), (over.duration(), ended)]
}

fn bucket(entry: &BucketEntry) -> (Duration, String) {
    let room = (entry.room.requests, entry.room.tokens);
    (
        entry.at.duration(),
        format!("    bucket {} {} call {:?} {:?} -> {room:?}", entry.bucket.region, entry.bucket.model, entry.call, entry.change),
    )
}

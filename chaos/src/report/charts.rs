//! The charts of a run, all on one time axis.

use std::collections::BTreeMap;

use super::{
    chart::{Across, Band, Chart, Look, Series},
    is_bad,
};
use crate::{
    history::{Change, End, History, Joined, Layer, Micros, Request},
    measure::{Latencies, at_quantile, is_load},
};

/// Dots of successes that are drawn; failures are drawn all, up to ten times as many.
const MOST_DOTS: usize = 1_500;
/// Points of a line over the whole run.
const POINTS: u64 = 160;

/// Everything drawn over time, in the order of the page.
pub(super) fn over_time(history: &History) -> String {
    let until = until(history);
    let bands = bands(history);
    let charts = [first_content(history), attempts(history), regions(history), quota(history), flight(history), memory(history)];
    charts
        .iter()
        .filter(|chart| chart.series.iter().any(|series| !series.points.is_empty()))
        .map(|chart| chart.svg(until, &bands))
        .collect()
}

/// The first chart alone, for the first screen.
pub(super) fn first(history: &History) -> String {
    outcomes(history).svg(until(history), &bands(history))
}

/// Latency by percentile, one line for each run.
pub(super) fn spectra(runs: &[(&str, &History)]) -> String {
    let series = runs.iter().map(|(name, history)| {
        let spectrum = Latencies::of(history).spectrum(history);
        let points = (0..=14_u32).zip(&spectrum.0).map(|(step, (_, seconds))| (f64::from(step), *seconds)).collect();
        Series { name: (*name).to_owned(), points, look: Look::Line }
    });
    let chart = Chart {
        title: "Time to the first content by percentile, from the intended send".to_owned(),
        unit: "seconds".to_owned(),
        log: true,
        series: series.collect(),
        across: Across::Share,
    };
    chart.svg(14.0, &[])
}

fn bands(history: &History) -> Vec<Band> {
    let shown = history.faults.iter().filter(|fault| fault.layer != Layer::Client);
    shown.map(|fault| Band { label: fault.label.clone(), from: fault.from.as_seconds(), until: fault.until.as_seconds() }).collect()
}

/// The end of the last phase: what comes after it (canaries) would only press the rest together.
fn until(history: &History) -> f64 {
    last(history).as_seconds()
}

fn last(history: &History) -> Micros {
    history.phases.iter().map(|phase| phase.until).max().unwrap_or_else(|| history.end())
}

fn bin(history: &History) -> u64 {
    (last(history).0 / POINTS).max(1_000_000)
}

fn middle(bin: u64, index: u64) -> f64 {
    Micros(index * bin + bin / 2).as_seconds()
}

fn load(history: &History) -> impl Iterator<Item = &Request> {
    history.requests.iter().filter(|request| is_load(&request.role))
}

/// One dot for each request: when it was due, how long it took.
fn outcomes(history: &History) -> Chart {
    let looks = [
        (Look::SmallDots, "complete", vec![End::Complete]),
        (Look::Triangles, "throttled", Vec::new()),
        (Look::Crosses, "failed", Vec::new()),
        (Look::SmallDots, "left by the client", vec![End::Left]),
    ];
    let mut series: Vec<Series> =
        looks.iter().map(|(look, name, _)| Series { name: (*name).to_owned(), points: Vec::new(), look: *look }).collect();
    let good = load(history).filter(|request| request.succeeded()).count();
    let every = good.div_ceil(MOST_DOTS).max(1);
    let mut seen = 0_usize;
    for request in load(history) {
        let index = if request.throttled() {
            1
        } else if request.end == End::Left || request.self_inflicted() {
            3
        } else if is_bad(request.end) {
            2
        } else {
            seen += 1;
            if !seen.is_multiple_of(every) {
                continue;
            }
            0
        };
        let point = (request.intended.as_seconds(), request.total().unwrap_or_default().as_seconds());
        if let Some(series) = series.get_mut(index).filter(|series| series.points.len() < MOST_DOTS * 10) {
            series.points.push(point);
        }
    }
    Chart {
        title: "Requests by when they were due".to_owned(),
        unit: "seconds until their end".to_owned(),
        log: true,
        series,
        ..Chart::default()
    }
}

fn first_content(history: &History) -> Chart {
    let bin = bin(history);
    let mut bins: BTreeMap<u64, Vec<Micros>> = BTreeMap::new();
    for request in load(history).filter(|request| request.succeeded()) {
        if let Some(first) = request.time_to_first_content() {
            bins.entry(request.intended.0 / bin).or_default().push(first);
        }
    }
    bins.values_mut().for_each(|times| times.sort_unstable());
    let line = |name: &str, quantile| Series {
        name: name.to_owned(),
        points: bins.iter().filter_map(|(index, times)| Some((middle(bin, *index), at_quantile(times, quantile)?.as_seconds()))).collect(),
        look: Look::Line,
    };
    Chart {
        title: "Time to the first content, from the intended send".to_owned(),
        unit: "seconds".to_owned(),
        log: true,
        series: vec![line("median", 0.5), line("99th percentile", 0.99)],
        ..Chart::default()
    }
}

fn attempts(history: &History) -> Chart {
    let (bin, joined) = (bin(history), Joined::of(history));
    let mut bins: BTreeMap<u64, (u32, u32)> = BTreeMap::new();
    for request in load(history) {
        let calls = u32::try_from(joined.calls_of(request).len()).unwrap_or(u32::MAX);
        if calls > 0 {
            let counts = bins.entry(request.intended.0 / bin).or_default();
            *counts = (counts.0 + calls, counts.1 + 1);
        }
    }
    let points = bins.iter().map(|(index, (calls, requests))| (middle(bin, *index), f64::from(*calls) / f64::from(*requests))).collect();
    let series = vec![Series { name: "attempts".to_owned(), points, look: Look::Line }];
    Chart { title: "Upstream calls for each request".to_owned(), unit: "calls".to_owned(), series, ..Chart::default() }
}

fn regions(history: &History) -> Chart {
    let bin = bin(history);
    let mut counts: BTreeMap<&str, BTreeMap<u64, u32>> = BTreeMap::new();
    for call in &history.calls {
        *counts.entry(&call.region).or_default().entry(call.arrived.0 / bin).or_default() += 1;
    }
    let last = last(history).0 / bin;
    let mut below = vec![0.0; usize::try_from(last + 1).unwrap_or(0)];
    let per_second = Micros(bin).as_seconds();
    let mut series = Vec::new();
    for region in &history.about.regions {
        let own = counts.get(region.as_str());
        for (height, index) in below.iter_mut().zip(0..=last) {
            *height += own.and_then(|own| own.get(&index)).map_or(0.0, |count| f64::from(*count)) / per_second;
        }
        let points = below.iter().zip(0..=last).map(|(height, index)| (middle(bin, index), *height)).collect();
        series.push(Series { name: region.clone(), points, look: Look::Area });
    }
    Chart { title: "Upstream calls by region, stacked".to_owned(), unit: "calls a second".to_owned(), series, ..Chart::default() }
}

/// Tokens that each region's buckets granted within the minute before, as a share of what they grant a minute.
fn quota(history: &History) -> Chart {
    let minute = Micros::seconds(60);
    let mut series = Vec::new();
    for region in &history.about.regions {
        let mut limit = None;
        let mut window: Vec<(Micros, f64)> = Vec::new();
        let (mut first, mut used) = (0, 0.0);
        let mut points: BTreeMap<u64, f64> = BTreeMap::new();
        let bin = bin(history);
        for event in history.buckets.iter().filter(|event| event.key.region == *region) {
            let taken = match &event.change {
                Change::Limits { requests, tokens } => {
                    limit = tokens.or(*requests).map(|limit| limit.per_minute);
                    0.0
                }
                Change::Admitted { tokens } => float(*tokens),
                Change::Settled { reserved, cost } => float(*cost) - float(*reserved),
                Change::Unlimited | Change::Refused { .. } => 0.0,
            };
            used += taken;
            window.push((event.at, taken));
            while let Some((_, old)) = window.get(first).filter(|(at, _)| at.plus(minute) < event.at) {
                used -= old;
                first += 1;
            }
            if let Some(limit) = limit.filter(|limit| *limit > 0.0) {
                points.insert(event.at.0 / bin, 100.0 * used / limit);
            }
        }
        let points = points.into_iter().map(|(index, share)| (middle(bin, index), share)).collect();
        series.push(Series { name: region.clone(), points, look: Look::Line });
    }
    Chart { title: "Quota granted in the minute before".to_owned(), unit: "% of the region's limit".to_owned(), series, ..Chart::default() }
}

fn flight(history: &History) -> Chart {
    let line = |name: &str, of: fn(&crate::history::Sample) -> u64| Series {
        name: name.to_owned(),
        points: history.samples.iter().map(|sample| (sample.at.as_seconds(), float(of(sample)))).collect(),
        look: Look::Line,
    };
    let series = vec![
        line("requests of clients", |sample| sample.clients),
        line("upstream calls", |sample| sample.in_flight),
        line("upstream connections", |sample| sample.connections),
    ];
    Chart { title: "Under way".to_owned(), unit: "at the same time".to_owned(), series, ..Chart::default() }
}

fn memory(history: &History) -> Chart {
    let points = |of: fn(&crate::history::Sample) -> Option<f64>| {
        history.samples.iter().filter_map(|sample| Some((sample.at.as_seconds(), of(sample)?))).collect()
    };
    let series = vec![
        Series {
            name: "resident memory, MiB".to_owned(),
            points: points(|sample| sample.rss_kib.map(|kib| float(kib) / 1024.0)),
            look: Look::Line,
        },
        Series { name: "open descriptors".to_owned(), points: points(|sample| sample.fds.map(float)), look: Look::Line },
    ];
    Chart { title: "The gateway's process".to_owned(), unit: "MiB, descriptors".to_owned(), series, ..Chart::default() }
}

/// Counts of a run lie far below 2^52.
#[allow(clippy::cast_precision_loss, reason = "see above")]
fn float(count: u64) -> f64 {
    count as f64
}

//! The page of a scenario: verdict and table first, charts, counterexamples, and how to do it again.

use super::{
    RunReport, RunVerdict, charts,
    html::{badge, document, escape, put, table},
};
use crate::{
    check::{Counterexample, Standing},
    history::{History, Joined},
    measure,
};

/// Counterexamples that get a timeline of their own.
const MOST_TIMELINES: usize = 6;

/// The page of all runs of one scenario.
pub(super) fn page(runs: &[(RunReport, History)]) -> String {
    let Some((first, history)) = runs.iter().find(|(report, _)| report.about.judged).or_else(|| runs.first()) else {
        return document("nothing was run", "<p>Nothing was run.</p>");
    };
    let mut body = String::new();
    head(&mut body, first);
    body.push_str(&charts::first(history));
    body.push_str("<h2>Invariants</h2>\n");
    body.push_str(&invariants(first));
    body.push_str("<h2>Bounds</h2>\n");
    body.push_str(&bounds(runs));
    body.push_str(if runs.len() > 1 { "<h2>Strategies side by side</h2>\n" } else { "<h2>Numbers</h2>\n" });
    body.push_str(&comparison(runs));
    put(&mut body, format_args!("<h2>Over time ({})</h2>\n", escape(&first.about.strategy)));
    body.push_str(&charts::over_time(history));
    body.push_str("<h2>Latency spectrum</h2>\n");
    let named: Vec<(&str, &History)> = runs.iter().map(|(report, history)| (report.about.strategy.as_str(), history)).collect();
    body.push_str(&charts::spectra(&named));
    body.push_str(&counterexamples(first, history));
    body.push_str("<h2>Faults</h2>\n");
    body.push_str(&faults(first));
    put(
        &mut body,
        format_args!(
            "<h2>Scenario</h2>\n<details><summary>as it was expanded</summary><pre>{}</pre></details>\n",
            escape(&first.about.expansion)
        ),
    );
    document(&format!("{}: {}", first.about.scenario, first.verdict.as_str()), &body)
}

fn mark(verdict: RunVerdict) -> String {
    match verdict {
        RunVerdict::Passed => badge("good", "✓", "passed"),
        RunVerdict::Failed => badge("bad", "✕", "failed"),
        RunVerdict::Inconclusive => badge("bad", "?", "inconclusive"),
    }
}

fn head(body: &mut String, report: &RunReport) {
    let about = &report.about;
    put(body, format_args!("<h1>{}</h1>\n<p class=\"hypothesis\">{}</p>\n", escape(&about.scenario), escape(&about.hypothesis)));
    put(body, format_args!("<p class=\"verdict\">{} {}</p>\n", mark(report.verdict), escape(&report.sentence)));
    put(
        body,
        format_args!(
            "<p class=\"replay\">Again: <code>{}</code><br>seed {}, strategy {}, {} of the file's times, commit {}, Cargo.lock {}, {}, started {}</p>\n",
            escape(&about.replay),
            about.seed,
            escape(&about.strategy),
            about.scale,
            escape(&about.commit),
            escape(&about.lock_hash),
            escape(&about.compiler),
            escape(&about.started)
        ),
    );
    for taint in &about.tainted {
        put(body, format_args!("<p>{} {}</p>\n", badge("bad", "?", "tainted"), escape(taint)));
    }
    if let Some(broken) = &about.broken {
        put(body, format_args!("<pre>{}</pre>\n", escape(broken)));
    }
    let ends: Vec<String> = report.ends.iter().map(|(end, count)| format!("{count} {end}")).collect();
    put(body, format_args!("<p>{} requests in {}: {}.</p>\n", report.requests, report.lasted, escape(&ends.join(", "))));
}

fn invariants(report: &RunReport) -> String {
    let rows: Vec<Vec<String>> = report
        .invariants
        .iter()
        .map(|outcome| {
            let standing = match outcome.standing {
                Standing::Holds => badge("good", "✓", "holds"),
                Standing::Violated => badge("bad", "✕", "violated"),
                Standing::Unshown => badge("bad", "?", "not shown"),
                Standing::NotExercised => badge("dull", "–", "no case"),
                Standing::Waived => badge("dull", "–", "not judged"),
            };
            let first = match (&outcome.reason, outcome.verdict.violations.first()) {
                (Some(reason), _) => escape(reason),
                (None, Some(violation)) => format!("<a href=\"#{}\">{}</a>", outcome.id, escape(&violation.words)),
                (None, None) => String::new(),
            };
            let name = format!("<b>{}</b> {}", outcome.id, escape(&outcome.statement));
            vec![name, standing, outcome.verdict.checked.to_string(), outcome.verdict.found.to_string(), first]
        })
        .collect();
    table(&["invariant", "", "checked", "violated", "first case"], &rows)
}

fn bounds(runs: &[(RunReport, History)]) -> String {
    let rows: Vec<Vec<String>> = runs
        .iter()
        .flat_map(|(report, _)| {
            report.bounds.iter().map(|bound| {
                let holds = if bound.holds { badge("good", "✓", "holds") } else { badge("bad", "✕", "does not hold") };
                let shown = if report.about.judged { holds } else { badge("dull", if bound.holds { "✓" } else { "✕" }, "not judged") };
                vec![
                    escape(&bound.measure),
                    escape(&bound.within),
                    escape(&report.about.strategy),
                    escape(&bound.bound),
                    escape(&bound.measured),
                    shown,
                ]
            })
        })
        .collect();
    table(&["measure", "within", "strategy", "bound", "measured", ""], &rows)
}

fn comparison(runs: &[(RunReport, History)]) -> String {
    let names: Vec<&str> = runs.iter().map(|(report, _)| report.about.strategy.as_str()).collect();
    let head: Vec<&str> = ["measure"].into_iter().chain(names).collect();
    let rows: Vec<Vec<String>> = measure::ALL
        .iter()
        .map(|measure| {
            let words = format!("{} <span class=\"unit\">{}</span>", escape(measure.name), escape(measure.words));
            [words].into_iter().chain(runs.iter().map(|(report, _)| escape(report.number(measure.name)))).collect()
        })
        .collect();
    table(&head, &rows)
}

fn faults(report: &RunReport) -> String {
    let rows: Vec<Vec<String>> = report
        .faults
        .iter()
        .map(|fault| {
            let stretch = format!("{} to {}", fault.from, fault.until);
            vec![escape(&fault.label), escape(fault.region.as_deref().unwrap_or("everywhere")), stretch, fault.hits.to_string()]
        })
        .collect();
    let mut faults = if rows.is_empty() { "<p>None.</p>\n".to_owned() } else { table(&["fault", "where", "when", "struck"], &rows) };
    let labels: Vec<Vec<String>> = report.labels.iter().map(|(label, count)| vec![escape(label), count.to_string()]).collect();
    faults.push_str("<h3>Situations</h3>\n");
    faults.push_str(&table(&["situation", "times"], &labels));
    faults
}

fn counterexamples(report: &RunReport, history: &History) -> String {
    let mut part = String::new();
    let joined = Joined::of(history);
    let told = |outcome: &&crate::check::Outcome| outcome.reason.is_none() && !outcome.verdict.violations.is_empty();
    for outcome in report.invariants.iter().filter(told) {
        put(&mut part, format_args!("<h3 id=\"{}\">{} {}</h3>\n", outcome.id, outcome.id, escape(&outcome.name)));
        for violation in outcome.verdict.violations.iter().take(MOST_TIMELINES) {
            put(
                &mut part,
                format_args!(
                    "<details><summary>{}: {}</summary>\n{}</details>\n",
                    violation.at,
                    escape(&violation.words),
                    timeline(violation, history, &joined)
                ),
            );
        }
        if outcome.verdict.found > MOST_TIMELINES as u64 {
            put(&mut part, format_args!("<p>{} cases in all.</p>\n", outcome.verdict.found));
        }
    }
    if part.is_empty() { part } else { format!("<h2>Counterexamples</h2>\n{part}") }
}

/// The client above, each upstream call below, the faults in force.
fn timeline(violation: &Counterexample, history: &History, joined: &Joined<'_>) -> String {
    let by_call = || joined.owner(joined.call(violation.call?)?);
    let Some(request) = violation.request.and_then(|id| history.requests.iter().find(|request| request.id == id)).or_else(by_call) else {
        return String::new();
    };
    let mut rows = vec![vec![
        format!("request {} ({})", request.id, escape(&request.kind)),
        format!(
            "due {}, sent {}, first content {}, ended {}",
            request.intended,
            when(request.sent),
            when(request.first_content),
            when(request.ended)
        ),
        format!(
            "{}, status {}, {} words",
            request.end.as_str(),
            request.status.map_or_else(|| "none".to_owned(), |status| status.to_string()),
            request.said.words()
        ),
        escape(request.error.as_ref().map_or("", |error| error.message.as_str())),
    ]];
    for call in joined.calls_of(request) {
        let admission = match &call.admission {
            crate::history::Admission::Pending => "never decided".to_owned(),
            crate::history::Admission::Admitted { reserved } => format!("admitted, {} tokens reserved", reserved.unwrap_or(0)),
            crate::history::Admission::Refused { status, code, text, .. } => format!("refused {status} {code}: {text}"),
        };
        rows.push(vec![
            format!("call {} to {}", call.number, escape(&call.region)),
            format!(
                "arrived {}, first byte {}, ended {}, peer closed {}",
                call.arrived,
                when(call.first_byte),
                when(call.ended),
                when(call.peer_closed)
            ),
            format!("{:?}, {} of {} words", call.ending, call.words_sent, call.words_total),
            escape(&admission),
        ]);
    }
    let (from, until) = (request.intended, request.ended.unwrap_or(request.deadline));
    let faults: Vec<&str> = history.faults.iter().filter(|fault| fault.overlaps(from, until)).map(|fault| fault.label.as_str()).collect();
    rows.push(vec!["faults in force".to_owned(), escape(&faults.join(", ")), String::new(), String::new()]);
    table(&["", "when", "how", "words"], &rows)
}

fn when(at: Option<crate::history::Micros>) -> String {
    at.map_or_else(|| "never".to_owned(), |at| at.to_string())
}

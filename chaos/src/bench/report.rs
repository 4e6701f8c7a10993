//! The table of ratios.

use std::io::Write as _;

use anyhow::Context as _;
use comfy_table::{Table, presets};
use serde::Serialize;

use super::{
    dialects::{Beside, DialectRow, HistoryRow},
    measure::{Contestant, Measured, Ratio, Row},
    strategies::{self, StrategyRow},
};

/// All numbers of a run.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    rows: Vec<Row>,
    /// The gateway's CPU over the bare SDK handler's.
    gateway_to_sdk_answers: Ratio,
    gateway_to_sdk_streams: Ratio,
    gateway_to_sdk_paced_streams: f64,
    /// The gateway's strategies over `ordered`.
    strategies: Vec<StrategyRow>,
    /// The gateway's dialects over its chat path.
    dialects: Vec<DialectRow>,
    histories: Vec<HistoryRow>,
    small_requests_beside_histories: Beside,
}

impl Report {
    pub(super) fn new(measured: Measured) -> Self {
        let Measured { rows, answers, streams, strategies, dialects, histories, beside } = measured;
        let paced = |who| rows.iter().find(|row| row.contestant == who).map_or(f64::NAN, |row| row.cpu_per_1000_paced_streams);
        let gateway_to_sdk_paced_streams = paced(Contestant::Gateway) / paced(Contestant::Sdk);
        Self {
            rows,
            gateway_to_sdk_answers: answers,
            gateway_to_sdk_streams: streams,
            gateway_to_sdk_paced_streams,
            strategies,
            dialects,
            histories,
            small_requests_beside_histories: beside,
        }
    }

    pub(super) fn strategies(&self) -> &[StrategyRow] {
        &self.strategies
    }

    pub(super) fn print(&self) -> anyhow::Result<()> {
        let mut table = Table::new();
        table.load_preset(presets::ASCII_MARKDOWN);
        let mut header = vec!["".to_owned()];
        header.extend(self.rows.iter().map(|row| row.contestant.name().to_owned()));
        table.set_header(header);
        let mut line = |name: &str, show: &dyn Fn(&Row) -> String| {
            let mut cells = vec![name.to_owned()];
            cells.extend(self.rows.iter().map(show));
            table.add_row(cells);
        };
        line("CPU s / 1,000 answers", &|row| format!("{:.3}", row.cpu_per_1000_answers));
        line("CPU s / 1,000 streams of 100 deltas", &|row| format!("{:.3}", row.cpu_per_1000_streams));
        line("CPU s / 1,000 streams, a delta every 5 ms", &|row| format!("{:.3}", row.cpu_per_1000_paced_streams));
        line("added p50, 1 connection (us)", &|row| row.added_p50_us.to_string());
        line("added p99, 1 connection (us)", &|row| row.added_p99_us.to_string());
        line("requests/s, 64 connections", &|row| format!("{:.0}", row.requests_per_second));
        line("RSS per open stream, fewer (KiB)", &|row| format!("{:.1}", row.rss_kib_per_stream[0]));
        line("RSS per open stream, more (KiB)", &|row| format!("{:.1}", row.rss_kib_per_stream[1]));
        line("start to ready (ms)", &|row| format!("{:.0}", row.start_ms));
        line("idle RSS (MiB)", &|row| format!("{:.1}", row.idle_rss_mib));
        let mut out = std::io::stdout();
        writeln!(out, "{table}")?;
        writeln!(
            out,
            "\noutcrop / bare SDK handler: answers {}, streams {}, paced streams {:.2}",
            told(self.gateway_to_sdk_answers),
            told(self.gateway_to_sdk_streams),
            self.gateway_to_sdk_paced_streams
        )
        .context("printing the report")?;
        print_strategies(&self.strategies)?;
        self.print_dialects()
    }

    /// The gateway's dialects over its chat path, and the long histories.
    fn print_dialects(&self) -> anyhow::Result<()> {
        let mut table = Table::new();
        table.load_preset(presets::ASCII_MARKDOWN);
        table.set_header([
            "CPU over chat",
            "answers",
            "streams",
            "paced streams",
            "an agent's turn, 0.1 MB",
            "KiB per stream, fewer",
            "more",
        ]);
        for row in &self.dialects {
            let [fewer, more] = row.rss_kib_per_stream;
            let ratios = [row.answers, row.streams, row.paced_streams, row.turns].map(told);
            table.add_row(std::iter::once(row.dialect.name().to_owned()).chain(ratios).chain([fewer, more].map(|kib| format!("{kib:.1}"))));
        }
        let mut histories = Table::new();
        histories.load_preset(presets::ASCII_MARKDOWN);
        histories.set_header(["2 MB history of an agent", "CPU ms per answer"]);
        for row in &self.histories {
            histories.add_row([row.dialect.map_or("plain proxy", |dialect| dialect.name()).to_owned(), format!("{:.1}", row.cpu_ms)]);
        }
        let Beside { alone_p50_us, alone_p99_us, beside_p50_us, beside_p99_us } = self.small_requests_beside_histories;
        writeln!(
            std::io::stdout(),
            "\n{table}\n\n{histories}\n\nsmall answers alone: p50 {alone_p50_us} us, p99 {alone_p99_us} us; \
             beside histories: p50 {beside_p50_us} us, p99 {beside_p99_us} us"
        )
        .context("printing the dialects")
    }
}

/// The gateway's strategies over `ordered`.
pub(super) fn print_strategies(rows: &[StrategyRow]) -> anyhow::Result<()> {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN);
    table.set_header(["CPU over strategy `ordered`", "answers", "streams"]);
    for row in rows {
        table.add_row([row.choice.name().to_owned(), told_finely(row.answers), told_finely(row.streams)]);
    }
    let exceeded = strategies::exceeded(rows);
    let verdict = if exceeded.is_empty() { "kept".to_owned() } else { format!("EXCEEDED: {}", exceeded.join("; ")) };
    writeln!(std::io::stdout(), "\n{table}\n\nadaptive routing may take {} of the CPU with `ordered`: {verdict}", strategies::MOST)
        .context("printing the strategies")
}

/// The limit of strategies is in hundredths.
fn told_finely(ratio: Ratio) -> String {
    format!("{:.3} (rounds {:.3} to {:.3})", ratio.median, ratio.lowest, ratio.highest)
}

fn told(ratio: Ratio) -> String {
    format!("{:.2} (rounds {:.2} to {:.2})", ratio.median, ratio.lowest, ratio.highest)
}

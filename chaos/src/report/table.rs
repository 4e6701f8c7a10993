//! The table at the end, for terminals.

use comfy_table::{ContentArrangement, Table, presets::UTF8_HORIZONTAL_ONLY};

use super::RunReport;

/// One row for each run.
#[must_use]
pub fn table(reports: &[RunReport]) -> String {
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["scenario", "strategy", "verdict", "requests", "success", "429", "attempts", "TTFT p50", "p99", "first complaint"]);
    for report in reports {
        let verdict = if report.about.judged { report.verdict.as_str().to_owned() } else { format!("({})", report.verdict.as_str()) };
        let complaint: String = report.complaints().first().map(|words| words.chars().take(110).collect()).unwrap_or_default();
        table.add_row([
            report.about.scenario.clone(),
            report.about.strategy.clone(),
            verdict,
            report.requests.to_string(),
            report.number("success").to_owned(),
            report.number("client_throttles").to_owned(),
            report.number("attempts_per_request").to_owned(),
            report.number("ttft_p50").to_owned(),
            report.number("ttft_p99").to_owned(),
            complaint,
        ]);
    }
    table.to_string()
}

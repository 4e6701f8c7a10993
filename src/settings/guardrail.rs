//! A guardrail, as settings name it.

use outcrop_domain::chat::{Guardrail, GuardrailStreamMode, GuardrailTrace};

use super::read::{NAME, Parsed, Record, Section, Words, shown};

const TRACE: Words<GuardrailTrace> =
    Words(&[("enabled", GuardrailTrace::Enabled), ("disabled", GuardrailTrace::Disabled), ("enabled_full", GuardrailTrace::EnabledFull)]);

const STREAM_MODE: Words<GuardrailStreamMode> = Words(&[("sync", GuardrailStreamMode::Sync), ("async", GuardrailStreamMode::Async)]);

/// Source: `guardrailConfig.guardrailVersion` of the Converse API.
const VERSION: Parsed<String> = Parsed {
    expected: "\"DRAFT\" or the number of a version as text, such as \"1\"",
    parse: |text| {
        let number = !text.is_empty() && text.len() <= 8 && !text.starts_with('0') && text.chars().all(|letter| letter.is_ascii_digit());
        (text == "DRAFT" || number).then(|| text.to_owned())
    },
    show: Clone::clone,
};

/// A guardrail.
pub(super) const GUARDRAIL: Record<Guardrail> = Record::open(read, shown);

fn read(section: &mut Section<'_>) -> Option<Guardrail> {
    // All four are read before any is missed, so that all problems are told.
    let identifier = section.require("identifier", NAME);
    let version = section.require("version", VERSION);
    let trace = section.find("trace", TRACE);
    let stream_mode = section.find("stream_mode", STREAM_MODE);
    Some(Guardrail { identifier: identifier?, version: version?, trace, stream_mode })
}

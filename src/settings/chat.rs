//! `[chat]`: defaults and limits of chat requests.

use std::time::Duration;

use outcrop_domain::chat::{CachePolicy, CacheTtl, Effort, Guardrail};

use super::{
    guardrail::GUARDRAIL,
    read::{Integer, List, NAME, SWITCH, Section, Span, Words},
};

/// Agents give up after 20 s of silence at the earliest; most first events come sooner, and carry a true status.
const OPEN_STREAM_AFTER: Duration = Duration::from_secs(20);

/// OpenAI allows 128; each choice is an upstream call of its own, so a stray number must not become a hundred.
const MAX_CHOICES: u32 = 16;

/// More than any agent was seen to send; Bedrock refuses fewer than this by size, not by number.
const MAX_TOOLS: u32 = 1024;

/// Most tokens any model takes as a number: far above every context window.
const TOKENS_LIMIT: i64 = 10_000_000;

/// The setting of each effort and its default budget in tokens. 1024 is the least that Claude takes;
/// each further step buys a clearly longer thought, and the last fits the output limit of every thinking model.
const BUDGETS: [(&str, Effort, u32); 6] = [
    ("minimal", Effort::Minimal, 1_024),
    ("low", Effort::Low, 1_024),
    ("medium", Effort::Medium, 2_048),
    ("high", Effort::High, 4_096),
    ("xhigh", Effort::Xhigh, 16_384),
    ("max", Effort::Max, 32_768),
];

const OPENING: Span = Span::between(Duration::from_millis(100), Duration::from_secs(300));

const TTL: Words<CacheTtl> = Words(&[("5m", CacheTtl::FiveMinutes), ("1h", CacheTtl::OneHour)]);

/// Defaults and limits of chat requests.
#[derive(Debug, Clone, PartialEq)]
pub struct Chat {
    /// Changes that alter the meaning of an answer are refused instead of made, whether a request is translated or passes.
    pub strict: bool,
    /// The `x-outcrop-adjusted` header lists what was changed in a request.
    pub report_adjustments: bool,
    /// A stream without its first event is opened after this time, with status 200 and comments; what happens to it
    /// afterwards can only be told in the stream. 100 ms to 5 min.
    pub open_stream_after: Duration,
    /// Sent when the client names no maximum. `None` leaves it to the model: Bedrock counts the number against the
    /// token quota at admission, so a large one is never invented.
    pub default_max_tokens: Option<u32>,
    /// Most choices (`n`) of a request. 1 to 128.
    pub max_choices: u32,
    /// Most tools of a request. 0 to 10,000.
    pub max_tools: u32,
    /// Tools of a Responses request that the provider would run and the model does not have are left out and reported,
    /// not refused.
    pub leave_out_hosted_tools: bool,
    /// Top-level request fields that are never passed on to models.
    pub drop_params: Vec<String>,
    /// Cache marks for clients that set none.
    pub prompt_caching: CachePolicy,
    /// Thinking budgets by effort.
    pub reasoning_budgets: ReasoningBudgets,
    /// Guardrail on every request.
    pub guardrail: Option<Guardrail>,
    /// A request may name its own guardrail though one is set here.
    pub guardrail_override: bool,
}

/// Thinking budgets in tokens, in the order of [`Effort`]: minimal, low, medium, high, xhigh, max. 1,024 to 1,000,000,
/// never falling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReasoningBudgets(pub [u32; 6]);

impl Chat {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        Self {
            strict: section.get("strict", SWITCH, false),
            report_adjustments: section.get("report_adjustments", SWITCH, true),
            open_stream_after: section.get("open_stream_after", OPENING, OPEN_STREAM_AFTER),
            default_max_tokens: section.find("default_max_tokens", Integer::between(1, TOKENS_LIMIT)),
            max_choices: section.get("max_choices", Integer::between(1, 128), MAX_CHOICES),
            max_tools: section.get("max_tools", Integer::between(0, 10_000), MAX_TOOLS),
            leave_out_hosted_tools: section.get("leave_out_hosted_tools", SWITCH, false),
            drop_params: section.get("drop_params", List::unique(NAME), Vec::new()),
            guardrail_override: section.get("guardrail_override", SWITCH, false),
            guardrail: section.find("guardrail", GUARDRAIL),
            prompt_caching: section.table("prompt_caching", read_caching),
            reasoning_budgets: section.table("reasoning_budgets", ReasoningBudgets::read),
        }
    }
}

/// Off by default: a cache write costs a quarter more than the tokens, and only pays when the prefix comes again.
fn read_caching(section: &mut Section<'_>) -> CachePolicy {
    CachePolicy {
        system: section.get("system", SWITCH, false),
        tools: section.get("tools", SWITCH, false),
        messages: section.get("messages", SWITCH, false),
        ttl: section.find("ttl", TTL),
    }
}

impl ReasoningBudgets {
    fn read(section: &mut Section<'_>) -> Self {
        let budgets = BUDGETS.map(|(name, _, default)| section.get(name, Integer::between(1_024, 1_000_000), default));
        for (pair, names) in budgets.windows(2).zip(BUDGETS.windows(2)) {
            if let ([lower, higher], [(lower_name, ..), (higher_name, ..)]) = (pair, names)
                && lower > higher
            {
                let blamed = if section.is_set(higher_name) { higher_name } else { lower_name };
                section.problem(blamed, format!("`{higher_name}` ({higher}) must not be less than `{lower_name}` ({lower})"));
            }
        }
        Self(budgets)
    }

    /// The budget of an effort.
    #[must_use]
    pub fn of(&self, effort: Effort) -> u32 {
        let position = BUDGETS.iter().position(|(_, known, _)| *known == effort);
        position.and_then(|position| self.0.get(position)).copied().unwrap_or(1_024)
    }
}

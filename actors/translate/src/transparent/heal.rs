//! A body that upstream refused, without what it refused: for one more try on the same target.
//!
//! A refusal of this kind would meet every turn that follows, and end an agent's session. Upstream's words tell it apart; they
//! reach the client unchanged when nothing helps.

use std::collections::BTreeSet;

use outcrop_domain::{
    adjust::{Adjustments, word},
    model::{BetaRules, FlagStanding},
};

use super::{
    json::{Kind, Span, remove_from},
    messages_body::{self, Block, Draft, Index, Purpose},
};
use crate::dialect::notes::Strictness;

/// A body that may be taken.
#[derive(Clone, PartialEq, Eq)]
pub struct Healed {
    /// The InvokeModel body.
    pub body: Vec<u8>,
    /// What was done.
    pub remedy: Remedy,
    /// Flags not to be sent to this model again: [`messages_body::InvokeOptions::refused_flags`] of the next requests, whoever
    /// sends them. Empty where upstream's refusal leaves open which flag it was: one client's nonsense must not cost others
    /// a flag that works.
    pub refused_flags: Vec<String>,
    /// What was changed.
    pub adjustments: Adjustments,
}

impl std::fmt::Debug for Healed {
    /// Callers' content never reaches logs: of the body only its size is shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Healed")
            .field("body", &self.body.len())
            .field("remedy", &self.remedy)
            .field("refused_flags", &self.refused_flags)
            .field("adjustments", &self.adjustments)
            .finish()
    }
}

/// How a body was healed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Beta flags left out.
    Flags,
    /// Thinking stripped from the history.
    Thinking,
    /// `system` turns made user turns.
    SystemTurns,
}

impl Remedy {
    /// Label for metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Flags => "flags",
            Self::Thinking => "thinking",
            Self::SystemTurns => "system_turns",
        }
    }
}

/// Heals a body by what upstream said of it. `None` when that is nothing that can be healed, or only by leaving out what strict mode
/// does not leave out.
#[must_use]
pub fn heal(body: &[u8], error: &str, rules: &BetaRules, strictness: Strictness) -> Option<Healed> {
    without_flags(body, error, rules, strictness)
        .or_else(|| without_refused_thinking(body, error))
        .or_else(|| without_system_turns(body, error))
}

/// For `invalid beta flag`: the flags that upstream names go; else those that nobody has said this model takes; else all.
#[must_use]
pub fn without_flags(body: &[u8], error: &str, rules: &BetaRules, strictness: Strictness) -> Option<Healed> {
    let plain = plain(error);
    if !FLAG_ERRORS.iter().any(|words| says(&plain, words)) {
        return None;
    }
    let index = read(body)?;
    let mut draft = Draft::new(body, &index).of(strictness);
    let value = draft.value("anthropic_beta")?;
    let asked = messages_body::flags(body, value);
    let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
    let of = |gone: &dyn Fn(&str) -> bool| asked.iter().copied().filter(|flag| gone(flag)).map(str::to_owned).collect::<Vec<_>>();
    let named = of(&|flag| names(&plain, &flag.to_lowercase()));
    let unproven = of(&|flag| rules.standing(flag) != FlagStanding::Accepted);
    let is_named = !named.is_empty();
    let gone = [named, unproven].into_iter().find(|flags| !flags.is_empty()).unwrap_or_else(|| of(&|_| true));
    let refused_flags = if is_named || gone.len() == 1 { gone.clone() } else { Vec::new() };
    let gone_names: BTreeSet<&str> = gone.iter().map(String::as_str).collect();
    let kept = of(&|flag| !gone_names.contains(flag));
    if gone.is_empty() {
        return None;
    }
    for flag in &gone {
        draft.notes.note("anthropic_beta", format!("refused:{}", word(flag)));
    }
    if kept.is_empty() {
        draft.remove("anthropic_beta");
    } else {
        draft.edits.replace(value.span, messages_body::json_list(&kept));
    }
    draft.leave_out(&rules.orphans(&asked, &kept));
    finish(draft, Remedy::Flags, refused_flags)
}

/// For refused signatures and what is said of thinking alike: the history without thinking. Text and tool calls stay.
#[must_use]
pub fn without_refused_thinking(body: &[u8], error: &str) -> Option<Healed> {
    let plain = plain(error);
    if !THINKING_ERRORS.iter().any(|words| says(&plain, words)) {
        return None;
    }
    strip(body, says(&plain, MISSING_THINKING))
}

/// The history without thinking, for a model that did not write it: signatures are bound to what produced them.
#[must_use]
pub fn without_thinking(body: &[u8]) -> Option<Healed> {
    strip(body, false)
}

/// For a model that knows no `system` turns although its data says so.
#[must_use]
pub fn without_system_turns(body: &[u8], error: &str) -> Option<Healed> {
    let plain = plain(error);
    if !ROLE_ERRORS.iter().any(|words| says(&plain, words)) {
        return None;
    }
    let index = read(body)?;
    let mut draft = Draft::new(body, &index);
    if !messages_body::without_system_role(&mut draft) {
        return None;
    }
    finish(draft, Remedy::SystemTurns, Vec::new())
}

/// What upstream says of flags, without quotes and in lower case; each is a list of words that all must be there. Source:
/// field reports of Bedrock, Anthropic and gateways before them.
const FLAG_ERRORS: [&[&str]; 3] = [&["invalid beta flag"], &["unsupported beta"], &["unexpected value", "anthropic-beta"]];

/// What upstream says of thinking that it does not take back. Source: as above.
const THINKING_ERRORS: [&[&str]; 7] = [
    &["signature", "thinking"],
    &["invalid data in redacted_thinking"],
    &["thinking", "blocks", "cannot be modified"],
    &["thinking", "blocks must match"],
    &["thinking block must contain thinking"],
    &["redacted_thinking", "could not be decrypted"],
    MISSING_THINKING,
];

/// A budget for thinking is set, and the last tool loop has none: no history helps, so thinking goes.
const MISSING_THINKING: &[&str] = &["expected thinking or redacted_thinking, but found"];

/// What upstream says of turns of the role `system`. Source: as above.
const ROLE_ERRORS: [&[&str]; 3] = [&["role system is not supported"], &["unexpected role system"], &["role", "system is not a valid enum"]];

fn says(plain: &str, words: &[&str]) -> bool {
    words.iter().all(|word| plain.contains(word))
}

/// Does a text name this flag, and not only one whose name is longer?
fn names(plain: &str, flag: &str) -> bool {
    let of_name = |character: char| character.is_alphanumeric() || matches!(character, '-' | '_');
    plain.match_indices(flag).any(|(at, found)| {
        let (before, after) = (plain.get(..at).unwrap_or_default(), plain.get(at + found.len()..).unwrap_or_default());
        !flag.is_empty() && !before.ends_with(of_name) && !after.starts_with(of_name)
    })
}

/// An error's text without the quotes that vary from version to version.
fn plain(error: &str) -> String {
    error.chars().filter(|character| !matches!(character, '`' | '\'' | '"' | '\\')).collect::<String>().to_lowercase()
}

fn read(body: &[u8]) -> Option<Index> {
    messages_body::index(body, Purpose::Count).ok()
}

fn finish(draft: Draft<'_>, remedy: Remedy, refused_flags: Vec<String>) -> Option<Healed> {
    let (body, adjustments) = draft.finish().ok()?;
    Some(Healed { body, remedy, refused_flags, adjustments })
}

/// Takes thinking out of all messages; with it the wish for more where the model could not follow it.
fn strip(body: &[u8], thinking_is_missing: bool) -> Option<Healed> {
    let index = read(body)?;
    let mut draft = Draft::new(body, &index);
    let mut stripped = false;
    for content in index.thinking_messages() {
        let blocks = messages_body::read_blocks(body, content);
        let mut gone: Vec<bool> = blocks.iter().map(|block| block.kind.is_thinking()).collect();
        if !gone.contains(&true) {
            continue;
        }
        stripped = true;
        if gone.iter().all(|gone| *gone) {
            // A message must say something.
            if let (Some(last), Some(Block { span, .. })) = (gone.last_mut(), blocks.last()) {
                *last = false;
                draft.edits.replace(*span, messages_body::no_content_block());
            }
        }
        let spans: Vec<Span> = blocks.iter().map(|block| block.span).collect();
        remove_from(&spans, |position| gone.get(position) == Some(&true), &mut draft.edits);
    }
    if stripped {
        draft.notes.note("messages.thinking", "stripped");
    }
    let asks_for_budget = draft.value("thinking").is_some_and(|value| value.kind == Kind::Object && messages_body::is_enabled(body, value));
    if asks_for_budget && (thinking_is_missing || index.ends_in_tool_loop()) {
        messages_body::without_thinking(&mut draft, "disabled_for_unsigned_history");
        stripped |= thinking_is_missing;
    }
    if stripped { finish(draft, Remedy::Thinking, Vec::new()) } else { None }
}

#[cfg(test)]
mod tests;

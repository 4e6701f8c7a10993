//! CountTokens of a model's own body.

use base64::{Engine, engine::general_purpose::STANDARD};
use outcrop_domain::model::BetaRules;

use super::heal::{self, Healed};
use crate::dialect::notes::Strictness;

/// The CountTokens body that counts an InvokeModel body. Source: service model, `InvokeModelTokensRequest`.
#[must_use]
pub fn of_invoke(body: &[u8]) -> Vec<u8> {
    let base64_bytes = body.len().div_ceil(3).saturating_mul(4);
    let mut out = Vec::with_capacity(base64_bytes.saturating_add(BEFORE.len() + AFTER.len()));
    out.extend_from_slice(BEFORE);
    out.extend_from_slice(STANDARD.encode(body).as_bytes());
    out.extend_from_slice(AFTER);
    out
}

/// Heals what [`of_invoke`] wrote, as [`heal::heal`] heals the body in it.
#[must_use]
pub fn heal(count: &[u8], error: &str, rules: &BetaRules, strictness: Strictness) -> Option<Healed> {
    let base64 = count.strip_prefix(BEFORE)?.strip_suffix(AFTER)?;
    let healed = heal::heal(&STANDARD.decode(base64).ok()?, error, rules, strictness)?;
    Some(Healed { body: of_invoke(&healed.body), ..healed })
}

const BEFORE: &[u8] = br#"{"input":{"invokeModel":{"body":""#;
const AFTER: &[u8] = br#""}}}"#;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::transparent::tests::claude;

    #[test]
    fn a_count_is_healed_as_its_body_is() {
        let rules = &claude("opus-5").betas.invoke;
        let body = br#"{"anthropic_beta":["brand-new"],"max_tokens":1,"messages":[{"role":"user","content":"a"}]}"#;
        let healed = heal(&of_invoke(body), "invalid beta flag", rules, Strictness::Lenient).unwrap();
        assert_eq!(healed.body, of_invoke(br#"{"max_tokens":1,"messages":[{"role":"user","content":"a"}]}"#));
        assert_eq!(healed.refused_flags, ["brand-new"]);
        assert_eq!(heal(br#"{"input":{"converse":{}}}"#, "invalid beta flag", rules, Strictness::Lenient), None);
        assert_eq!(heal(&of_invoke(body), "too long", rules, Strictness::Lenient), None);
    }

    #[test]
    fn the_body_travels_in_base64() {
        for body in [&b"{}"[..], b"{\"max_tokens\":1}", b""] {
            let json: Value = serde_json::from_slice(&of_invoke(body)).unwrap();
            assert_eq!(json, json!({"input": {"invokeModel": {"body": STANDARD.encode(body)}}}));
        }
    }
}

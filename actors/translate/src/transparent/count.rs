//! CountTokens of a model's own body.

use base64::{Engine, engine::general_purpose::STANDARD};

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

const BEFORE: &[u8] = br#"{"input":{"invokeModel":{"body":""#;
const AFTER: &[u8] = br#""}}}"#;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_body_travels_in_base64() {
        for body in [&b"{}"[..], b"{\"max_tokens\":1}", b""] {
            let json: Value = serde_json::from_slice(&of_invoke(body)).unwrap();
            assert_eq!(json, json!({"input": {"invokeModel": {"body": STANDARD.encode(body)}}}));
        }
    }
}

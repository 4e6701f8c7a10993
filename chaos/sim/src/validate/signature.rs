//! Signatures of reasoning blocks: what makes replay of changed thinking fail.
//!
//! A signature is `nonce (8 bytes) || HMAC-SHA256(key, lineage, kind, nonce, text)` in base64. The key is fixed: a signature made in
//! one simulated region or run is valid in every other, as AWS's are across regions for the same model family.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

const KEY: &[u8] = b"outcrop-sim reasoning signature, version 1";
const NONCE: usize = 8;

/// Signs reasoning text for models of `lineage`.
pub(crate) fn sign(lineage: &str, text: &str, nonce: u64) -> String {
    STANDARD.encode(sealed(lineage, "text", text, nonce))
}

/// Whether `signature` was made for this text by a model of this lineage.
pub(crate) fn verify(lineage: &str, text: &str, signature: &str) -> bool {
    STANDARD.decode(signature).is_ok_and(|bytes| opened(lineage, "text", text, &bytes))
}

/// A redacted block: opaque bytes only models of `lineage` take back. Base64.
pub(crate) fn redact(lineage: &str, nonce: u64) -> String {
    STANDARD.encode(sealed(lineage, "redacted", "", nonce))
}

/// Whether the bytes of a redacted block are unchanged.
pub(crate) fn verify_redacted(lineage: &str, bytes: &[u8]) -> bool {
    opened(lineage, "redacted", "", bytes)
}

fn sealed(lineage: &str, kind: &str, text: &str, nonce: u64) -> Vec<u8> {
    let nonce = nonce.to_be_bytes();
    let mut bytes = nonce.to_vec();
    if let Some(mac) = mac(lineage, kind, text, &nonce) {
        bytes.extend_from_slice(&mac.finalize().into_bytes());
    }
    bytes
}

fn opened(lineage: &str, kind: &str, text: &str, bytes: &[u8]) -> bool {
    let Some((nonce, tag)) = bytes.split_at_checked(NONCE) else { return false };
    // An empty tag never verifies: the MAC checks its length.
    mac(lineage, kind, text, nonce).is_some_and(|mac| mac.verify_slice(tag).is_ok())
}

fn mac(lineage: &str, kind: &str, text: &str, nonce: &[u8]) -> Option<Hmac<Sha256>> {
    // HMAC takes keys of any length, so this is always `Some`.
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY).ok()?;
    for part in [lineage.as_bytes(), kind.as_bytes(), nonce, text.as_bytes()] {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    Some(mac)
}

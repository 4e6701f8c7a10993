//! AWS Signature Version 4 for the one shape of request that this wire sends: a POST of bytes, no query, headers that
//! need no normalisation.
//!
//! `aws-sigv4` signs whatever there is, and for that took 68 of the 226 allocations of a whole gateway request, and
//! derived the day's key for each. What does not fit the shape still goes to it, and tests hold one against the other.

use std::{fmt, sync::Arc, time::SystemTime};

use arc_swap::ArcSwapOption;
use hmac::{Hmac, Mac};
use http::{HeaderMap, HeaderName, HeaderValue, header::InvalidHeaderValue};
use outcrop_domain::ids::Region;
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use crate::aws::credentials::Snapshot;

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// Signs requests to one service in one region.
pub(super) struct Signer {
    region: Region,
    service: &'static str,
    /// The key of today and of the newest credentials: it changes once a day, and with them.
    key: ArcSwapOption<DayKey>,
}

/// A signing key, and what it is good for.
struct DayKey {
    credentials: Arc<Snapshot>,
    date: String,
    /// `20261120/eu-west-1/bedrock/aws4_request`
    scope: String,
    mac: Hmac<Sha256>,
}

/// What is signed. The path is as sent: unreserved characters, slashes and `%XX`, no empty and no dot segments.
pub(super) struct Signable<'a> {
    pub(super) path: &'a str,
    pub(super) content_type: &'a str,
    pub(super) host: &'a str,
    pub(super) body: &'a BodyHash,
}

/// The hash of a body in hexadecimal, which every signature is made of.
pub(super) struct BodyHash(Hex);

/// So much is hashed at a stretch: 70 us with the processor's instructions for it, under half a millisecond without.
const HASHED_AT_ONCE: usize = 128 * 1024;

impl BodyHash {
    /// Hashes a body. One of megabytes, as agents send, gives others their turn in between.
    pub(super) async fn of(body: &[u8]) -> Self {
        let mut hash = Sha256::new();
        let mut slices = body.chunks(HASHED_AT_ONCE).peekable();
        while let Some(slice) = slices.next() {
            hash.update(slice);
            if slices.peek().is_some() {
                tokio::task::yield_now().await;
            }
        }
        Self(Hex::of(hash.finalize().into()))
    }

    pub(super) fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl Signer {
    pub(super) fn new(region: Region, service: &'static str) -> Self {
        Self { region, service, key: ArcSwapOption::empty() }
    }

    /// Adds `x-amz-date`, `x-amz-security-token` where the credentials have one, and `authorization`.
    pub(super) fn sign(
        &self,
        request: &Signable<'_>,
        headers: &mut HeaderMap,
        credentials: &Arc<Snapshot>,
        time: SystemTime,
    ) -> Result<(), InvalidHeaderValue> {
        let stamp = Stamp::of(time);
        let key = self.key(credentials, stamp.date());
        let token = credentials.credentials().session_token();
        let names = if token.is_some() { "content-type;host;x-amz-date;x-amz-security-token" } else { "content-type;host;x-amz-date" };

        let mut canonical = Sha256::new();
        canonical.update(b"POST\n");
        // All services but S3 want the path, encoded as it is, encoded once more.
        for (index, piece) in request.path.split('%').enumerate() {
            canonical.update(if index == 0 { "" } else { "%25" });
            canonical.update(piece);
        }
        let mut update_all = |pieces: &[&str]| pieces.iter().for_each(|piece| canonical.update(piece));
        update_all(&["\n\ncontent-type:", request.content_type, "\nhost:", request.host, "\nx-amz-date:", stamp.as_str()]);
        if let Some(token) = token {
            update_all(&["\nx-amz-security-token:", token]);
        }
        update_all(&["\n\n", names, "\n"]);
        canonical.update(request.body.as_str());

        let mut mac = key.mac.clone();
        for piece in ["AWS4-HMAC-SHA256\n", stamp.as_str(), "\n", &key.scope, "\n"] {
            mac.update(piece.as_bytes());
        }
        mac.update(Hex::of(canonical.finalize().into()).as_bytes());
        let signature = Hex::of(mac.finalize().into_bytes().into());

        let access_key = credentials.credentials().access_key_id();
        let scope = key.scope.as_str();
        let mut authorization = String::with_capacity(ALL_BUT_NAMES + access_key.len() + scope.len() + names.len());
        for piece in ["AWS4-HMAC-SHA256 Credential=", access_key, "/", scope, ", SignedHeaders=", names, ", Signature=", signature.as_str()]
        {
            authorization.push_str(piece);
        }
        headers.insert(DATE, HeaderValue::from_str(stamp.as_str())?);
        if let Some(token) = token {
            headers.insert(TOKEN, sensitive(HeaderValue::from_str(token)?));
        }
        headers.insert(http::header::AUTHORIZATION, sensitive(HeaderValue::try_from(authorization)?));
        Ok(())
    }

    fn key(&self, credentials: &Arc<Snapshot>, date: &str) -> Arc<DayKey> {
        if let Some(key) = self.key.load_full()
            && Arc::ptr_eq(&key.credentials, credentials)
            && key.date == date
        {
            return key;
        }
        let scope = format!("{date}/{}/{}/aws4_request", self.region.as_str(), self.service);
        let secret = format!("AWS4{}", credentials.credentials().secret_access_key());
        let mut mac = keyed(secret.as_bytes());
        for part in scope.split('/') {
            mac.update(part.as_bytes());
            mac = keyed(&mac.finalize().into_bytes());
        }
        let key = Arc::new(DayKey { credentials: Arc::clone(credentials), date: date.to_owned(), scope, mac });
        self.key.store(Some(Arc::clone(&key)));
        key
    }
}

impl fmt::Debug for Signer {
    /// The key is as good as the secret: only what it is for is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("region", &self.region).field("service", &self.service).finish_non_exhaustive()
    }
}

/// Length of an `authorization` without access key, scope and header names.
const ALL_BUT_NAMES: usize = 130;

fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    // HMAC takes keys of any length: this is the constructor that says so in its type.
    let mut block = [0; 64];
    match block.get_mut(..key.len()) {
        Some(start) => start.copy_from_slice(key),
        // RFC 2104: a key longer than the block is hashed first.
        None => block[..32].copy_from_slice(&Sha256::digest(key)),
    }
    <Hmac<Sha256> as Mac>::new(&block.into())
}

/// `20261120T140000Z`
struct Stamp([u8; 16]);

impl Stamp {
    fn of(time: SystemTime) -> Self {
        let time = OffsetDateTime::from(time);
        let mut stamp = *b"00000000T000000Z";
        let fields = [
            (0, 4, u32::try_from(time.year()).unwrap_or_default()),
            (4, 2, u8::from(time.month()).into()),
            (6, 2, time.day().into()),
            (9, 2, time.hour().into()),
            (11, 2, time.minute().into()),
            (13, 2, time.second().into()),
        ];
        for (start, width, mut value) in fields {
            for digit in stamp.iter_mut().skip(start).take(width).rev() {
                *digit = b'0' + u8::try_from(value % 10).unwrap_or_default();
                value /= 10;
            }
        }
        Self(stamp)
    }

    fn as_str(&self) -> &str {
        ascii(&self.0)
    }

    fn date(&self) -> &str {
        self.as_str().split_once('T').map_or("", |(date, _)| date)
    }
}

/// A hash in lower-case hexadecimal.
struct Hex([u8; 64]);

impl Hex {
    fn of(hash: [u8; 32]) -> Self {
        let mut text = [0; 64];
        for (pair, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(hash) {
            *pair = [hex_digit(byte >> 4), hex_digit(byte & 15)];
        }
        Self(text)
    }

    fn as_str(&self) -> &str {
        ascii(&self.0)
    }

    fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Of a number below 16.
fn hex_digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble }
}

/// Digits and letters only, so that the text is always there.
fn ascii(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_is_hashed_in_slices_as_at_once() {
        for bytes in [0, 1, HASHED_AT_ONCE - 1, HASHED_AT_ONCE, HASHED_AT_ONCE + 1, 3 * HASHED_AT_ONCE] {
            let body: Vec<u8> = (0..bytes).map(|place| u8::try_from(place % 251).unwrap()).collect();
            assert_eq!(BodyHash::of(&body).await.as_str(), Hex::of(Sha256::digest(&body).into()).as_str(), "{bytes}");
        }
    }

    #[tokio::test]
    async fn others_have_their_turn_while_a_large_body_is_hashed() {
        let body = vec![7; 4 * HASHED_AT_ONCE];
        let mut hashing = std::pin::pin!(BodyHash::of(&body));
        for _ in 0..3 {
            assert!(futures_util::poll!(hashing.as_mut()).is_pending());
        }
        assert!(futures_util::poll!(hashing.as_mut()).is_ready());
    }
}

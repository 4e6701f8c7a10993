//! Signature Version 4 as the server checks it: the canonical request is rebuilt from what arrived.
//!
//! Source: AWS "Create a signed AWS API request". Every service but S3 encodes the path a second time.

use hmac::{Hmac, Mac};
use http::{HeaderMap, request::Parts};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{Checked, refusal, single};
use crate::{clock, validate::Refusal};

pub(super) const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// Both Bedrock services sign under this name.
const SERVICE: &str = "bedrock";
/// How far the clocks of caller and server may differ, seconds.
const MAX_SKEW: i64 = 300;
/// Everything but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A signature as it was presented.
pub(super) struct Presented<'a> {
    pub(super) access_key: &'a str,
    scope_date: &'a str,
    region: &'a str,
    service: &'a str,
    terminator: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
    /// `x-amz-date`.
    timestamp: &'a str,
    /// The same, seconds since 1970.
    signed_at: i64,
}

impl<'a> Presented<'a> {
    /// Reads the parameters behind the algorithm's name.
    pub(super) fn parse(parameters: &'a str, headers: &'a HeaderMap) -> Result<Self, Refusal> {
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for parameter in parameters.split(',').map(str::trim).filter(|parameter| !parameter.is_empty()) {
            let Some((key, value)) = parameter.split_once('=') else {
                return Err(incomplete("not a valid key=value pair (missing equal-sign) in Authorization header."));
            };
            match key {
                "Credential" => credential = Some(value),
                "SignedHeaders" => signed_headers = Some(value),
                "Signature" => signature = Some(value),
                _ => return Err(incomplete("Authorization header has an unknown parameter.")),
            }
        }
        let require = |value: Option<&'a str>, name: &str| {
            value.filter(|value| !value.is_empty()).ok_or_else(|| incomplete(&format!("Authorization header requires '{name}' parameter.")))
        };
        let credential = require(credential, "Credential")?;
        let signature = require(signature, "Signature")?;
        let signed_headers = require(signed_headers, "SignedHeaders")?;
        let timestamp = single(headers, "x-amz-date")
            .ok_or_else(|| incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."))?;
        let signed_at = clock::read_basic(timestamp).ok_or_else(|| incomplete("Date must be in ISO-8601 'basic format'."))?;
        let mut parts = credential.split('/');
        let (Some(access_key), Some(scope_date), Some(region), Some(service), Some(terminator), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(incomplete("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term."));
        };
        Ok(Self { access_key, scope_date, region, service, terminator, signed_headers, signature, timestamp, signed_at })
    }

    /// Checks scope, time and signature, in that order.
    pub(super) fn check(&self, secret: &str, checked: &Checked<'_>) -> Result<(), Refusal> {
        self.check_scope(checked.region)?;
        self.check_time(checked.now)?;
        let expected = self.expected(secret, checked)?;
        if bool::from(expected.as_bytes().ct_eq(self.signature.as_bytes())) {
            Ok(())
        } else {
            Err(invalid(
                "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and \
                 signing method. Consult the service documentation for details.",
            ))
        }
    }

    fn check_scope(&self, region: &str) -> Result<(), Refusal> {
        if self.terminator != "aws4_request" {
            return Err(invalid("Credential should be scoped with a valid terminator: 'aws4_request'."));
        }
        if self.region != region {
            return Err(invalid("Credential should be scoped to a valid region."));
        }
        if self.service != SERVICE {
            return Err(invalid(&format!("Credential should be scoped to correct service: '{SERVICE}'.")));
        }
        if self.timestamp.get(..8) != Some(self.scope_date) {
            return Err(invalid("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP."));
        }
        Ok(())
    }

    fn check_time(&self, now: i64) -> Result<(), Refusal> {
        let server = clock::write_basic(now);
        if self.signed_at < now - MAX_SKEW {
            let earliest = clock::write_basic(now - MAX_SKEW);
            return Err(invalid(&format!("Signature expired: {} is now earlier than {earliest} ({server} - 5 min.)", self.timestamp)));
        }
        if self.signed_at > now + MAX_SKEW {
            let latest = clock::write_basic(now + MAX_SKEW);
            return Err(invalid(&format!(
                "Signature not yet current: {} is still later than {latest} ({server} + 5 min.)",
                self.timestamp
            )));
        }
        Ok(())
    }

    /// The signature a holder of `secret` would have made for this request.
    fn expected(&self, secret: &str, checked: &Checked<'_>) -> Result<String, Refusal> {
        let canonical = canonical_request(checked.parts, self.signed_headers, checked.body)?;
        let scope = format!("{}/{}/{}/{}", self.scope_date, self.region, self.service, self.terminator);
        let to_sign = format!("{ALGORITHM}\n{}\n{scope}\n{}", self.timestamp, sha256(canonical.as_bytes()));
        let mut key = mac(format!("AWS4{secret}").as_bytes(), self.scope_date)?;
        for part in [self.region, self.service, self.terminator] {
            key = mac(&key, part)?;
        }
        Ok(hex::encode(mac(&key, &to_sign)?))
    }
}

fn canonical_request(parts: &Parts, signed_headers: &str, body: &[u8]) -> Result<String, Refusal> {
    let names: Vec<&str> = signed_headers.split(';').collect();
    if !names.contains(&"host") || !names.contains(&"x-amz-date") {
        return Err(invalid("'Host' and 'X-Amz-Date' must be 'SignedHeaders' in the AWS Authorization."));
    }
    let mut headers = String::new();
    for name in &names {
        let values: Vec<String> =
            parts.headers.get_all(*name).iter().map(|value| collapse(&String::from_utf8_lossy(value.as_bytes()))).collect();
        headers.push_str(&format!("{name}:{}\n", values.join(",")));
    }
    let path = canonical_path(parts.uri.path());
    let query = canonical_query(parts.uri.query().unwrap_or_default());
    Ok(format!("{}\n{path}\n{query}\n{headers}\n{signed_headers}\n{}", parts.method, sha256(body)))
}

/// The path as it arrived, without empty and dot segments, each segment encoded once more.
fn canonical_path(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    let mut canonical = String::with_capacity(path.len() + 16);
    for segment in &segments {
        canonical.push('/');
        canonical.extend(utf8_percent_encode(segment, RESERVED));
    }
    if canonical.is_empty() || (path.ends_with('/') && path.len() > 1) {
        canonical.push('/');
    }
    canonical
}

/// The query with each name and value encoded afresh, sorted.
fn canonical_query(query: &str) -> String {
    let encode = |text: &str| utf8_percent_encode(&percent_decode_str(text).decode_utf8_lossy(), RESERVED).to_string();
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (encode(name), encode(value)))
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// Trims spaces and makes runs of them one.
fn collapse(value: &str) -> String {
    let words: Vec<&str> = value.split(' ').filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn mac(key: &[u8], text: &str) -> Result<Vec<u8>, Refusal> {
    // HMAC takes keys of any length; the type says it could refuse one.
    let mut mac = Hmac::<Sha256>::new_from_slice(key)
        .map_err(|_| refusal(500, "InternalFailure", "The request processing has failed because of an unknown error."))?;
    mac.update(text.as_bytes());
    Ok(mac.finalize().into_bytes().to_vec())
}

fn incomplete(message: &str) -> Refusal {
    refusal(400, "IncompleteSignature", message)
}

fn invalid(message: &str) -> Refusal {
    refusal(403, "InvalidSignatureException", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_segments_are_encoded_a_second_time() {
        assert_eq!(canonical_path("/model/a.b-v1%3A0/converse"), "/model/a.b-v1%253A0/converse");
        assert_eq!(canonical_path("/model/a:0/converse"), "/model/a%3A0/converse");
        assert_eq!(canonical_path("//a/./b/../c/"), "/a/c/");
        assert_eq!(canonical_path("/"), "/");
        assert_eq!(canonical_path(""), "/");
    }

    #[test]
    fn query_pairs_are_sorted_and_encoded_afresh() {
        assert_eq!(canonical_query("type=B&maxResults=5&a=x%2fy&flag"), "a=x%2Fy&flag=&maxResults=5&type=B");
        assert_eq!(canonical_query(""), "");
    }

    #[test]
    fn header_values_lose_surplus_spaces_only() {
        assert_eq!(collapse("  a   b\tc "), "a b\tc");
    }

    #[test]
    fn the_signing_key_chain_gives_the_published_example() {
        // AWS's own worked example of a derived signing key (IAM, 20150830, us-east-1).
        let mut key = mac(b"AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20150830").unwrap();
        for part in ["us-east-1", "iam", "aws4_request"] {
            key = mac(&key, part).unwrap();
        }
        assert_eq!(hex::encode(key), "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
    }
}

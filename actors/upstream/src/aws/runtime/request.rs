//! One signed HTTP request per call.

use std::{borrow::Cow, sync::Arc, time::SystemTime};

use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningParams, SigningSettings, sign},
    sign::v4,
};
use aws_smithy_runtime_api::client::identity::Identity;
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri,
    header::{
        ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, PROXY_AUTHORIZATION, TE,
        TRANSFER_ENCODING, UPGRADE, USER_AGENT,
    },
};
use http_body_util::Full;
use outcrop_domain::{
    error::{Cause, UpstreamFailure},
    ids::Region,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::signature::{BodyHash, Signable, Signer};
use crate::{
    aws::{credentials::Snapshot, endpoint::Endpoint},
    classify::own_failure,
    ports::{RuntimeCall, RuntimeOperation},
};

/// Signing name of the runtime. Source: service model, `signingName`.
const SERVICE: &str = "bedrock";
/// RFC 3986's unreserved characters stay; all others of a path label are encoded, the slashes of an ARN too.
const PATH_LABEL: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("application/vnd.amazon.eventstream");
const AGENT: HeaderValue = HeaderValue::from_static(concat!("outcrop/", env!("CARGO_PKG_VERSION")));
/// Headers that belong to the connection or to the signature; a call cannot set them.
const OURS: [HeaderName; 12] = [
    ACCEPT_ENCODING,
    AUTHORIZATION,
    CONNECTION,
    CONTENT_LENGTH,
    EXPECT,
    HOST,
    PROXY_AUTHORIZATION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    USER_AGENT,
    HeaderName::from_static("keep-alive"),
];
/// The same, among AWS's own.
const SIGNATURE_HEADERS: [&str; 4] = ["x-amz-date", "x-amz-security-token", "x-amz-content-sha256", "x-amz-region-set"];
/// Tracing hops rewrite it on the way, so it must not be signed.
const TRACE_HEADER: &str = "x-amzn-trace-id";

/// What a request proves its sender by.
pub(super) enum Proof<'a> {
    /// `Authorization`, ready.
    Bearer(HeaderValue),
    /// A signature of these credentials at this time, of a body with this hash.
    Signature { credentials: &'a Arc<Snapshot>, time: SystemTime, body: BodyHash },
}

/// Builds the requests of one region.
#[derive(Debug)]
pub(super) struct RequestFactory {
    region: Region,
    endpoint: Endpoint,
    proxy_authorization: Option<HeaderValue>,
    signer: Signer,
    /// Where the path begins in `endpoint.base`; `None` when the path there is such that only `aws-sigv4` knows how
    /// to normalise it.
    plain_path: Option<usize>,
    general_signing: SigningSettings,
}

impl RequestFactory {
    pub(super) fn new(region: Region, endpoint: Endpoint, proxy_authorization: Option<HeaderValue>) -> Self {
        let mut general_signing = SigningSettings::default();
        // Only headers that shall be signed are shown to the signer.
        general_signing.excluded_headers = None;
        let signer = Signer::new(region.clone(), SERVICE);
        let path = endpoint.base.find("://").and_then(|scheme| Some(scheme + 3 + endpoint.base.get(scheme + 3..)?.find('/')?));
        let path = path.unwrap_or(endpoint.base.len());
        let plain_path = endpoint.base.get(path..).is_some_and(is_plain).then_some(path);
        Self { region, endpoint, proxy_authorization, signer, plain_path, general_signing }
    }

    pub(super) fn build(&self, call: &RuntimeCall, proof: Proof<'_>) -> Result<Request<Full<Bytes>>, UpstreamFailure> {
        let url = self.url(call)?;
        let mut headers = self.headers(call);
        match proof {
            Proof::Bearer(token) => {
                headers.insert(AUTHORIZATION, token);
            }
            Proof::Signature { credentials, time, body } => self.sign(&url, &mut headers, &body, credentials, time)?,
        }
        let mut request = Request::new(Full::new(call.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_maybe_shared(Bytes::from(url)).map_err(|error| unbuildable(&error))?;
        *request.headers_mut() = headers;
        Ok(request)
    }

    fn url(&self, call: &RuntimeCall) -> Result<String, UpstreamFailure> {
        let id = call.invoke_id.as_str();
        // Dots alone would be another path once anybody on the way normalises it.
        if matches!(id, "" | "." | "..") {
            return Err(own_failure(Cause::BadRequest, "InvalidModelId", format!("`{id}` is no model id")));
        }
        let operation = call.operation.verb();
        let mut url = String::with_capacity(self.endpoint.base.len() + id.len() * 3 + operation.len() + 9);
        url.push_str(&self.endpoint.base);
        url.push_str("/model/");
        url.extend(utf8_percent_encode(id, PATH_LABEL));
        url.push('/');
        url.push_str(operation);
        Ok(url)
    }

    fn headers(&self, call: &RuntimeCall) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(10 + call.headers.len());
        headers.insert(HOST, self.endpoint.host.clone());
        headers.insert(CONTENT_TYPE, JSON);
        headers.insert(ACCEPT, accepted_type(call.operation));
        headers.insert(USER_AGENT, AGENT);
        if let Some(authorization) = &self.proxy_authorization {
            headers.insert(PROXY_AUTHORIZATION, authorization.clone());
        }
        for (name, value) in &call.headers {
            if name == CONTENT_TYPE || name == ACCEPT {
                headers.insert(name, value.clone());
            } else if !OURS.contains(name) && !SIGNATURE_HEADERS.contains(&name.as_str()) {
                headers.append(name, value.clone());
            }
        }
        headers
    }

    fn sign(
        &self,
        url: &str,
        headers: &mut HeaderMap,
        body: &BodyHash,
        credentials: &Arc<Snapshot>,
        time: SystemTime,
    ) -> Result<(), UpstreamFailure> {
        if let Some((path, content_type)) = self.plain(url, headers) {
            let host = self.endpoint.host.to_str().map_err(|error| unbuildable(&error))?;
            let request = Signable { path, content_type: &content_type, host, body };
            return self.signer.sign(&request, headers, credentials, time).map_err(|error| unbuildable(&error));
        }
        self.sign_generally(url, headers, body, &credentials.identity, time)
    }

    /// Path and content type, when nothing else is to be signed and neither needs normalisation.
    fn plain<'a>(&self, url: &'a str, headers: &HeaderMap) -> Option<(&'a str, Cow<'static, str>)> {
        let path = url.get(self.plain_path?..)?;
        let content_type = headers.get(CONTENT_TYPE)?;
        let content_type =
            if content_type == JSON { Cow::Borrowed("application/json") } else { Cow::Owned(content_type.to_str().ok()?.to_owned()) };
        let normal = content_type.trim() == content_type && !content_type.contains("  ");
        let alone =
            headers.get_all(CONTENT_TYPE).iter().count() == 1 && !headers.keys().any(|name| name != CONTENT_TYPE && is_signed(name));
        (normal && alone).then_some((path, content_type))
    }

    fn sign_generally(
        &self,
        url: &str,
        headers: &mut HeaderMap,
        body: &BodyHash,
        identity: &Identity,
        time: SystemTime,
    ) -> Result<(), UpstreamFailure> {
        let params = v4::SigningParams::builder()
            .identity(identity)
            .region(self.region.as_str())
            .name(SERVICE)
            .time(time)
            .settings(self.general_signing.clone())
            .build()
            .map_err(|error| unbuildable(&error))?;
        let signed = headers.iter().filter(|(name, _)| is_signed(name)).filter_map(|(name, value)| {
            // A value that is not text cannot be signed; AWS refuses such a request in its own words.
            Some((name.as_str(), std::str::from_utf8(value.as_bytes()).ok()?))
        });
        let body = SignableBody::Precomputed(body.as_str().to_owned());
        let request = SignableRequest::new(Method::POST.as_str(), url, signed, body).map_err(|error| unbuildable(&error))?;
        let (instructions, _) = sign(request, &SigningParams::V4(params)).map_err(|error| unbuildable(&error))?.into_parts();
        let (signature_headers, _) = instructions.into_parts();
        for header in &signature_headers {
            let mut value = HeaderValue::from_str(header.value()).map_err(|error| unbuildable(&error))?;
            value.set_sensitive(header.sensitive());
            headers.insert(HeaderName::from_static(header.name()), value);
        }
        Ok(())
    }
}

/// A path that stays as it is when it is normalised: no empty and no dot segments, nothing left to encode.
fn is_plain(path: &str) -> bool {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%/".contains(&byte);
    path.bytes().all(unreserved) && path.split('/').skip(1).all(|segment| !matches!(segment, "" | "." | ".."))
}

/// `host` and `x-amz-date` are added by the signer.
fn is_signed(name: &HeaderName) -> bool {
    name == CONTENT_TYPE || (name.as_str().starts_with("x-amz") && name.as_str() != TRACE_HEADER)
}

fn accepted_type(operation: RuntimeOperation) -> HeaderValue {
    if operation.streams() { EVENT_STREAM } else { JSON }
}

fn unbuildable(error: &(dyn std::error::Error + 'static)) -> UpstreamFailure {
    own_failure(Cause::BadRequest, "RequestNotBuilt", crate::transport::error_chain(error))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_credential_types::Credentials;
    use futures_util::FutureExt as _;
    use outcrop_domain::ids::InvokeId;
    use proptest::prelude::*;

    use super::*;

    fn factory(base: &str, region: &str) -> RequestFactory {
        RequestFactory::new(Region::from(region), Endpoint::parse(base).unwrap(), None)
    }

    fn call(id: &str, body: &[u8]) -> RuntimeCall {
        RuntimeCall {
            operation: RuntimeOperation::ConverseStream,
            invoke_id: InvokeId::from(id),
            body: Bytes::copy_from_slice(body),
            headers: HeaderMap::new(),
            first_byte: Duration::ZERO,
            total: Duration::ZERO,
            idle: Duration::ZERO,
        }
    }

    fn hash_of(body: &[u8]) -> BodyHash {
        BodyHash::of(body).now_or_never().expect("a small body is hashed at once")
    }

    proptest! {
        #[test]
        fn both_signers_agree(
            id in "[ -~]{3,60}|\\PC{3,20}", base in "https?://[a-z]{1,9}\\.test(:[1-9][0-9]{1,3})?(/[a-z%2F.~_-]{3,9})?",
            body in proptest::collection::vec(any::<u8>(), 0..300), region in "[a-z]{2}-[a-z]{4,9}-[1-9]",
            secret in "[A-Za-z0-9/+]{1,90}", token in proptest::option::of("[A-Za-z0-9/+=]{1,400}"), seconds in 0u64..4_102_444_800,
        ) {
            let Ok(endpoint) = Endpoint::parse(&base) else { return Ok(()) };
            let factory = RequestFactory::new(Region::from(region.as_str()), endpoint, None);
            let credentials = Snapshot::of(Credentials::new("AKIDEXAMPLE", secret, token, None, "test"));
            let (time, call) = (SystemTime::UNIX_EPOCH + Duration::from_secs(seconds), call(&id, &body));
            let url = factory.url(&call).unwrap();
            let hash = hash_of(&body);
            let (mut ours, mut theirs) = (factory.headers(&call), factory.headers(&call));
            factory.sign(&url, &mut ours, &hash, &credentials, time).unwrap();
            factory.sign_generally(&url, &mut theirs, &hash, &credentials.identity, time).unwrap();
            prop_assert_eq!(&ours, &theirs);
            prop_assert!(ours.iter().filter(|(name, _)| *name == AUTHORIZATION || name.as_str() == "x-amz-security-token").all(|(_, value)| value.is_sensitive()));
            // With the key of the first at hand, and for a later day.
            let later = time + Duration::from_secs(86_400);
            factory.sign(&url, &mut ours, &hash, &credentials, later).unwrap();
            factory.sign_generally(&url, &mut theirs, &hash, &credentials.identity, later).unwrap();
            prop_assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn only_requests_of_the_plain_shape_are_signed_here() {
        let plain = factory("https://bedrock.test", "eu-west-1");
        let url = "https://bedrock.test/model/a%2Fb/converse";
        let mut headers = plain.headers(&call("a/b", b""));
        assert_eq!(plain.plain(url, &headers).unwrap().0, "/model/a%2Fb/converse");
        headers.insert("x-amzn-trace-id", HeaderValue::from_static("Root=1"));
        assert!(plain.plain(url, &headers).is_some(), "it is not signed");
        headers.insert("x-amzn-bedrock-trace", HeaderValue::from_static("ENABLED"));
        assert!(plain.plain(url, &headers).is_none());
        for base in ["https://bedrock.test/a//b", "https://bedrock.test/a/../b", "https://bedrock.test/a+b"] {
            assert_eq!(factory(base, "eu-west-1").plain_path, None, "{base}");
        }
        assert!(factory("https://bedrock.test/proxy/v1", "eu-west-1").plain_path.is_some());
    }

    #[test]
    fn new_credentials_get_a_new_key_at_once() {
        let factory = factory("https://bedrock.test", "eu-west-1");
        let mut signatures = Vec::new();
        for secret in ["one", "two", "one"] {
            let credentials = Snapshot::of(Credentials::new("AKIDEXAMPLE", secret, None, None, "test"));
            let mut headers = factory.headers(&call("m", b"{}"));
            factory
                .sign("https://bedrock.test/model/m/converse", &mut headers, &hash_of(b"{}"), &credentials, SystemTime::UNIX_EPOCH)
                .unwrap();
            signatures.push(headers.get(AUTHORIZATION).cloned().unwrap());
        }
        assert_eq!(signatures[0], signatures[2]);
        assert_ne!(signatures[0], signatures[1]);
    }
}

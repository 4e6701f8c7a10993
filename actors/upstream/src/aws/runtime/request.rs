//! One signed HTTP request per call.

use std::time::SystemTime;

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

use crate::{
    aws::endpoint::Endpoint,
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
    /// A signature of these credentials at this time.
    Signature { identity: &'a Identity, time: SystemTime },
}

/// Builds the requests of one region.
#[derive(Debug)]
pub(super) struct RequestFactory {
    region: Region,
    endpoint: Endpoint,
    proxy_authorization: Option<HeaderValue>,
    signing: SigningSettings,
}

impl RequestFactory {
    pub(super) fn new(region: Region, endpoint: Endpoint, proxy_authorization: Option<HeaderValue>) -> Self {
        let mut signing = SigningSettings::default();
        // Only headers that shall be signed are shown to the signer.
        signing.excluded_headers = None;
        Self { region, endpoint, proxy_authorization, signing }
    }

    pub(super) fn build(&self, call: &RuntimeCall, proof: Proof<'_>) -> Result<Request<Full<Bytes>>, UpstreamFailure> {
        let url = self.url(call)?;
        let mut headers = self.headers(call);
        match proof {
            Proof::Bearer(token) => {
                headers.insert(AUTHORIZATION, token);
            }
            Proof::Signature { identity, time } => self.sign(&url, &mut headers, &call.body, identity, time)?,
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
        let operation = path_end(call.operation);
        let mut url = String::with_capacity(self.endpoint.base.len() + id.len() * 3 + operation.len() + 8);
        url.push_str(&self.endpoint.base);
        url.push_str("/model/");
        url.extend(utf8_percent_encode(id, PATH_LABEL));
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

    fn sign(&self, url: &str, headers: &mut HeaderMap, body: &[u8], identity: &Identity, time: SystemTime) -> Result<(), UpstreamFailure> {
        let params = v4::SigningParams::builder()
            .identity(identity)
            .region(self.region.as_str())
            .name(SERVICE)
            .time(time)
            .settings(self.signing.clone())
            .build()
            .map_err(|error| unbuildable(&error))?;
        let signed = headers.iter().filter(|(name, _)| is_signed(name)).filter_map(|(name, value)| {
            // A value that is not text cannot be signed; AWS refuses such a request in its own words.
            Some((name.as_str(), std::str::from_utf8(value.as_bytes()).ok()?))
        });
        let request =
            SignableRequest::new(Method::POST.as_str(), url, signed, SignableBody::Bytes(body)).map_err(|error| unbuildable(&error))?;
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

/// `host` and `x-amz-date` are added by the signer.
fn is_signed(name: &HeaderName) -> bool {
    name == CONTENT_TYPE || (name.as_str().starts_with("x-amz") && name.as_str() != TRACE_HEADER)
}

fn path_end(operation: RuntimeOperation) -> &'static str {
    match operation {
        RuntimeOperation::Converse => "/converse",
        RuntimeOperation::ConverseStream => "/converse-stream",
        RuntimeOperation::InvokeModel => "/invoke",
        RuntimeOperation::InvokeModelWithResponseStream => "/invoke-with-response-stream",
        RuntimeOperation::CountTokens => "/count-tokens",
    }
}

fn accepted_type(operation: RuntimeOperation) -> HeaderValue {
    match operation {
        RuntimeOperation::Converse | RuntimeOperation::InvokeModel | RuntimeOperation::CountTokens => JSON,
        RuntimeOperation::ConverseStream | RuntimeOperation::InvokeModelWithResponseStream => EVENT_STREAM,
    }
}

fn unbuildable(error: &(dyn std::error::Error + 'static)) -> UpstreamFailure {
    own_failure(Cause::BadRequest, "RequestNotBuilt", crate::transport::error_chain(error))
}

//! What every SDK client of ours is built on: our transport, our clock, our credentials; and how its errors read.

use std::time::Duration;

use aws_smithy_runtime_api::{
    client::{
        http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector},
        orchestrator::{HttpRequest, HttpResponse},
        result::{ConnectorError, SdkError},
        runtime_components::RuntimeComponents,
    },
    http::Response,
};
use aws_smithy_types::{body::SdkBody, error::metadata::ProvideErrorMetadata};
use hyper_util::client::legacy::Client;
use outcrop_domain::{
    error::{Cause, UpstreamFailure},
    ids::Region,
};

use super::runtime::response::{request_id, retry_after};
use crate::{
    classify::{Evidence, own_failure, told_failure},
    transport::{Connector, Transport, error_chain},
};

/// Our transport as the SDK wants it. The SDK's own pool cannot take a connector of ours.
pub(crate) fn http_client(transport: &Transport) -> SharedHttpClient {
    SharedHttpClient::new(TransportHttp { client: transport.client_for() })
}

#[derive(Clone)]
struct TransportHttp {
    client: Client<Connector, SdkBody>,
}

impl std::fmt::Debug for TransportHttp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TransportHttp")
    }
}

impl HttpClient for TransportHttp {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        // The instance metadata client relies on short limits to find out that it is not on EC2.
        let limit = match (settings.connect_timeout(), settings.read_timeout()) {
            (Some(connect), Some(read)) => Some(connect + read),
            (connect, read) => connect.or(read),
        };
        SharedHttpConnector::new(TimedHttp { client: self.client.clone(), limit })
    }
}

#[derive(Debug)]
struct TimedHttp {
    client: Client<Connector, SdkBody>,
    limit: Option<Duration>,
}

impl HttpConnector for TimedHttp {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (client, limit) = (self.client.clone(), self.limit);
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let sending = client.request(request);
            let response = match limit {
                Some(limit) => tokio::time::timeout(limit, sending).await.map_err(|late| ConnectorError::timeout(late.into()))?,
                None => sending.await,
            };
            let response = response.map_err(|error| ConnectorError::io(error.into()))?.map(SdkBody::from_body_1_x);
            Response::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// An SDK error as a failure of ours, in upstream's words.
pub(crate) fn failure_of<E>(error: SdkError<E, HttpResponse>, region: &Region, now: std::time::SystemTime) -> UpstreamFailure
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let mut failure = match &error {
        SdkError::ServiceError(context) => {
            let raw = context.raw();
            let evidence = Evidence {
                status: raw.status().as_u16(),
                code: context.err().code().unwrap_or_default(),
                message: context.err().message().unwrap_or_default(),
                original_status: None,
            };
            told_failure(evidence, retry_after(raw.headers(), now), request_id(raw.headers()), None)
        }
        SdkError::ResponseError(context) => {
            let mut failure = own_failure(Cause::Malformed, "UnreadableResponse", error_chain(&error));
            failure.status = context.raw().status().as_u16();
            failure
        }
        SdkError::TimeoutError(_) => own_failure(Cause::Timeout, "TotalTimeout", error_chain(&error)),
        SdkError::DispatchFailure(dispatch) if dispatch.is_timeout() => {
            own_failure(Cause::Timeout, "FirstByteTimeout", error_chain(&error))
        }
        SdkError::DispatchFailure(dispatch) if dispatch.is_io() => own_failure(Cause::Connection, "ConnectionFailure", error_chain(&error)),
        // What is left of a dispatch: no identity could be had.
        SdkError::DispatchFailure(_) => own_failure(Cause::Credentials, "CredentialsUnavailable", error_chain(&error)),
        _ => own_failure(Cause::BadRequest, "RequestNotBuilt", error_chain(&error)),
    };
    failure.region = Some(region.clone());
    failure
}

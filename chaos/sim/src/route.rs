//! Which operation a request head asks for.

use http::Method;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

/// The operations of both Bedrock services that the simulator tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Operation {
    /// `POST /model/{id}/converse`
    Converse,
    /// `POST /model/{id}/converse-stream`
    ConverseStream,
    /// `POST /model/{id}/count-tokens`
    CountTokens,
    /// `POST /model/{id}/invoke`
    InvokeModel,
    /// `POST /model/{id}/invoke-with-response-stream`
    InvokeModelWithResponseStream,
    /// `POST /model/{id}/invoke-with-bidirectional-stream`
    InvokeModelWithBidirectionalStream,
    /// `POST /guardrail/{id}/version/{version}/apply`
    ApplyGuardrail,
    /// `POST /guardrail-checks/invoke`
    InvokeGuardrailChecks,
    /// `POST /async-invoke`
    StartAsyncInvoke,
    /// `GET /async-invoke/{arn}`
    GetAsyncInvoke,
    /// `GET /async-invoke`
    ListAsyncInvokes,
    /// `GET /foundation-models`
    ListFoundationModels,
    /// `GET /foundation-models/{id}`
    GetFoundationModel,
    /// `GET /foundation-model-availability/{id}`
    GetFoundationModelAvailability,
    /// `GET /inference-profiles`
    ListInferenceProfiles,
    /// `GET /inference-profiles/{id}`
    GetInferenceProfile,
    /// Any other path.
    Unknown,
}

impl Operation {
    /// The name in the service model.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Converse => "Converse",
            Self::ConverseStream => "ConverseStream",
            Self::CountTokens => "CountTokens",
            Self::InvokeModel => "InvokeModel",
            Self::InvokeModelWithResponseStream => "InvokeModelWithResponseStream",
            Self::InvokeModelWithBidirectionalStream => "InvokeModelWithBidirectionalStream",
            Self::ApplyGuardrail => "ApplyGuardrail",
            Self::InvokeGuardrailChecks => "InvokeGuardrailChecks",
            Self::StartAsyncInvoke => "StartAsyncInvoke",
            Self::GetAsyncInvoke => "GetAsyncInvoke",
            Self::ListAsyncInvokes => "ListAsyncInvokes",
            Self::ListFoundationModels => "ListFoundationModels",
            Self::GetFoundationModel => "GetFoundationModel",
            Self::GetFoundationModelAvailability => "GetFoundationModelAvailability",
            Self::ListInferenceProfiles => "ListInferenceProfiles",
            Self::GetInferenceProfile => "GetInferenceProfile",
            Self::Unknown => "Unknown",
        }
    }

    /// True for operations that answer with an event stream.
    #[must_use]
    pub const fn streams(self) -> bool {
        matches!(self, Self::ConverseStream | Self::InvokeModelWithResponseStream)
    }

    /// True for operations of the control plane, `bedrock`; the others are of the runtime.
    pub(crate) const fn is_control_plane(self) -> bool {
        matches!(
            self,
            Self::ListFoundationModels
                | Self::GetFoundationModel
                | Self::GetFoundationModelAvailability
                | Self::ListInferenceProfiles
                | Self::GetInferenceProfile
        )
    }

    /// True for operations whose path names the model they run.
    pub(crate) const fn runs_model(self) -> bool {
        matches!(
            self,
            Self::Converse
                | Self::ConverseStream
                | Self::CountTokens
                | Self::InvokeModel
                | Self::InvokeModelWithResponseStream
                | Self::InvokeModelWithBidirectionalStream
        )
    }
}

/// An operation and the label of its path, percent-decoded once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) operation: Operation,
    pub(crate) label: Option<String>,
}

impl Route {
    /// Reads method and path.
    pub(crate) fn of(method: &Method, path: &str) -> Self {
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let (operation, label) = if method == Method::POST {
            posted(&segments)
        } else if method == Method::GET {
            fetched(&segments)
        } else {
            (Operation::Unknown, None)
        };
        // A label that is not UTF-8 after decoding names nothing; the raw text then fails to resolve.
        let label = label.map(|raw| percent_decode_str(raw).decode_utf8().map_or_else(|_| raw.to_owned(), |text| text.into_owned()));
        Self { operation, label }
    }
}

fn posted<'a>(segments: &[&'a str]) -> (Operation, Option<&'a str>) {
    match *segments {
        ["model", id, verb] if !id.is_empty() => {
            let operation = match verb {
                "converse" => Operation::Converse,
                "converse-stream" => Operation::ConverseStream,
                "count-tokens" => Operation::CountTokens,
                "invoke" => Operation::InvokeModel,
                "invoke-with-response-stream" => Operation::InvokeModelWithResponseStream,
                "invoke-with-bidirectional-stream" => Operation::InvokeModelWithBidirectionalStream,
                _ => return (Operation::Unknown, None),
            };
            (operation, Some(id))
        }
        ["guardrail", id, "version", _, "apply"] => (Operation::ApplyGuardrail, Some(id)),
        ["guardrail-checks", "invoke"] => (Operation::InvokeGuardrailChecks, None),
        ["async-invoke"] => (Operation::StartAsyncInvoke, None),
        _ => (Operation::Unknown, None),
    }
}

fn fetched<'a>(segments: &[&'a str]) -> (Operation, Option<&'a str>) {
    match *segments {
        ["foundation-models"] => (Operation::ListFoundationModels, None),
        ["foundation-models", id] if !id.is_empty() => (Operation::GetFoundationModel, Some(id)),
        ["foundation-model-availability", id] if !id.is_empty() => (Operation::GetFoundationModelAvailability, Some(id)),
        ["inference-profiles"] => (Operation::ListInferenceProfiles, None),
        ["inference-profiles", id] if !id.is_empty() => (Operation::GetInferenceProfile, Some(id)),
        ["async-invoke"] => (Operation::ListAsyncInvokes, None),
        ["async-invoke", arn] if !arn.is_empty() => (Operation::GetAsyncInvoke, Some(arn)),
        _ => (Operation::Unknown, None),
    }
}

/// The value of the first query parameter called `name`, decoded.
pub(crate) fn query_value(query: Option<&str>, name: &str) -> Option<String> {
    query.unwrap_or_default().split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then(|| percent_decode_str(&value.replace('+', " ")).decode_utf8_lossy().into_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_decoded_once_and_stay_one_segment() {
        let route =
            Route::of(&Method::POST, "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.x.y-v1%3A0/converse-stream");
        assert_eq!(route.operation, Operation::ConverseStream);
        assert_eq!(route.label.as_deref(), Some("arn:aws:bedrock:us-east-1:1:inference-profile/us.x.y-v1:0"));
    }

    #[test]
    fn wrong_methods_and_foreign_paths_are_unknown() {
        for (method, path) in [
            (Method::GET, "/model/x/converse"),
            (Method::POST, "/model//converse"),
            (Method::POST, "/model/a/b/converse"),
            (Method::POST, "/foundation-models"),
            (Method::DELETE, "/foundation-models/x"),
            (Method::GET, "/inference-profiles/"),
            (Method::GET, "/"),
        ] {
            assert_eq!(Route::of(&method, path).operation, Operation::Unknown, "{method} {path}");
        }
    }

    #[test]
    fn query_values_are_decoded() {
        let query = Some("byProvider=Amazon%20Web+X&maxResults=5&empty");
        assert_eq!(query_value(query, "byProvider").as_deref(), Some("Amazon Web X"));
        assert_eq!(query_value(query, "maxResults").as_deref(), Some("5"));
        assert_eq!(query_value(query, "empty").as_deref(), Some(""));
        assert_eq!(query_value(query, "nextToken"), None);
        assert_eq!(query_value(None, "nextToken"), None);
    }
}

//! Refusals in OpenAI's codes.

use outcrop_domain::error::GatewayError;

pub(crate) use crate::dialect::notes::{Notes, label};

pub(crate) fn missing(param: impl Into<String>) -> GatewayError {
    let param = param.into();
    let message = format!("missing required parameter: `{param}`");
    GatewayError::invalid_with_code(param, message, "missing_required_parameter")
}

pub(crate) fn invalid_value(param: impl Into<String>, message: impl Into<String>) -> GatewayError {
    GatewayError::invalid_with_code(param, message, "invalid_value")
}

pub(crate) fn invalid_type(param: impl Into<String>, message: impl Into<String>) -> GatewayError {
    GatewayError::invalid_with_code(param, message, "invalid_type")
}

pub(crate) fn unsupported(param: impl Into<String>, message: impl Into<String>) -> GatewayError {
    GatewayError::invalid_with_code(param, message, "unsupported_parameter")
}

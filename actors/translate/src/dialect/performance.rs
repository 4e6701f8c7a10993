//! Latency-optimised inference.

use outcrop_domain::{chat::Latency, error::GatewayError};
use outcrop_protocol::extension::PerformanceConfig;

/// `performanceConfig.latency`; `header` wins.
///
/// # Errors
/// On a word that Bedrock does not know.
pub(crate) fn latency(config: Option<&PerformanceConfig>, header: Option<Latency>) -> Result<Option<Latency>, GatewayError> {
    let body = match config.and_then(|config| config.latency.as_deref()) {
        None => None,
        Some("standard") => Some(Latency::Standard),
        Some("optimized") => Some(Latency::Optimized),
        Some(_) => {
            let message = "`performanceConfig.latency` must be `standard` or `optimized`";
            return Err(GatewayError::invalid_with_code("performanceConfig.latency", message, "invalid_value"));
        }
    };
    Ok(header.or(body))
}

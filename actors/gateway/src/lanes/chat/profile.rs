//! Asks for an inference profile that nobody has listed.

use outcrop_domain::{
    error::GatewayError,
    ids::{InvokeId, Region},
};
use outcrop_supervision::CallError;

use super::ChatContext;
use crate::{
    catalogue::{ProfileFinderMsg, Wanted},
    settings::LiveSettings,
};

/// Returns when the catalogue knows the profile. The request's own deadline covers the wait.
pub(super) async fn look_up(context: &ChatContext, settings: &LiveSettings, arn: InvokeId, region: Region) -> Result<(), GatewayError> {
    let wanted = Wanted { region, arn };
    let answer = context.profiles.call(|reply| ProfileFinderMsg::Find { wanted, reply }, settings.timeouts.total).await;
    answer.unwrap_or_else(|error| {
        Err(match error {
            CallError::Timeout { after } => GatewayError::DeadlineExceeded { after },
            CallError::Unavailable(_) | CallError::WorkerLost | CallError::Refused(_) => GatewayError::Unavailable {
                message: "the look-up of inference profiles is restarting".to_owned(),
                retry_after: super::RETRY_SOON,
            },
        })
    })
}

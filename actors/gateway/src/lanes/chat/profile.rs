//! Looks up an inference profile that discovery did not list (another account's, or a new one).

use outcrop_domain::{
    error::{Cause, GatewayError},
    ids::Region,
};
use outcrop_supervision::Reply;

use super::ChatContext;
use crate::catalogue::CatalogueKeeperMsg;

/// Asks the control plane of the profile's region and waits until the catalogue knows the answer.
pub(super) async fn look_up(context: &ChatContext, arn: &str, region: &Region) -> Result<(), GatewayError> {
    let Some(control) = context.controls.get(region) else {
        return Err(GatewayError::ModelNotFound {
            model: arn.to_owned(),
            message: format!("the inference profile `{arn}` belongs to region `{region}`, which this gateway does not use"),
        });
    };
    let profile = control.profile(arn).await.map_err(|failure| match failure.cause {
        Cause::BadRequest | Cause::ModelMissing => GatewayError::ModelNotFound { model: arn.to_owned(), message: failure.message },
        _ => GatewayError::Upstream(failure),
    })?;
    let (reply, known) = Reply::channel();
    let found = CatalogueKeeperMsg::ProfileFound { region: region.clone(), profile: Box::new(profile), reply };
    context.keeper.cast(found).map_err(|_| restarting())?;
    known.await.map_err(|_| restarting())
}

fn restarting() -> GatewayError {
    GatewayError::Unavailable { message: "the catalogue is restarting".to_owned(), retry_after: super::RETRY_SOON }
}

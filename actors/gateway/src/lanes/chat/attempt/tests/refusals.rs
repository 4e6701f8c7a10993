//! What a request is told that no target answered.

use outcrop_domain::{
    error::{Cause, GatewayError, ModelError, UpstreamFailure},
    routing::{Gate, strategy::Strategy},
};

use super::world::{World, failure, routing};

#[tokio::test(start_paused = true)]
async fn what_upstream_said_of_one_callers_request_is_not_told_to_another() {
    let world = World::with(1, routing(Strategy::Ordered)).await;
    let told = ModelError { original_status: Some(500), original_message: Some("theirs".to_owned()), resource_name: None };
    let failed =
        UpstreamFailure { request_id: Some("theirs".to_owned()), model_error: Some(Box::new(told)), ..failure(Cause::Unavailable) };
    world.lease(0).unwrap().failed(&failed);
    world.learned().await;
    assert!(matches!(world.gate(0), (Gate::Open { .. }, _)), "{:?}", world.gate(0));

    let GatewayError::Upstream(heard) = world.attempts().give_up(world.now()) else { panic!("nothing was learned") };
    assert_eq!((heard.cause, heard.request_id, heard.model_error), (Cause::Unavailable, None, None));
    assert!(heard.message.contains("after failures of earlier calls (unavailable)"), "{}", heard.message);
}

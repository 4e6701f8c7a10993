//! [`Errand`]: the child that waits for the network, so that the actor which sends it never does.

use outcrop_upstream::ports::BoxFuture;
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, Message};

/// What an errand does, up to telling its sender.
type Work = BoxFuture<'static, Result<(), ActorProcessingErr>>;

/// One question to a control plane.
///
/// * Owns: the question.
/// * Told by: itself, once.
/// * Tells: whom the question says, and the actor that sent it, which it is linked to, how it went.
/// * On restart: it is not restarted; the next question gets a new one. Its sender sees a panic or a kill as its end.
/// * Bounded by: the time limits of the control plane's client.
pub(super) struct Errand;

impl Errand {
    /// Starts one, linked to `sender`.
    pub(super) async fn send<M: Message>(
        sender: &ActorRef<M>,
        work: impl Future<Output = Result<(), ActorProcessingErr>> + Send + 'static,
    ) -> Result<ActorId, ActorProcessingErr> {
        let (errand, _join) = Actor::spawn_linked(None, Self, Box::pin(work) as Work, sender.get_cell()).await?;
        Ok(errand.get_id())
    }
}

impl Actor for Errand {
    type Msg = ();
    type State = Option<Work>;
    type Arguments = Work;

    async fn pre_start(&self, myself: ActorRef<()>, work: Work) -> Result<Self::State, ActorProcessingErr> {
        myself.cast(())?;
        Ok(Some(work))
    }

    async fn handle(&self, myself: ActorRef<()>, (): (), work: &mut Self::State) -> Result<(), ActorProcessingErr> {
        if let Some(work) = work.take() {
            work.await?;
        }
        myself.stop(None);
        Ok(())
    }
}

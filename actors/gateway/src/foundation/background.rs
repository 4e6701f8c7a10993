//! Work that runs beside the tree for as long as it stands (refreshing credentials ahead of their expiry).

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::task::JoinSet;

/// Makes the future of a background job, anew at every start.
pub type MakeWork = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// A background job and its name.
#[derive(Clone)]
pub struct BackgroundJob {
    /// Name of the actor.
    pub name: &'static str,
    /// The work.
    pub work: MakeWork,
}

impl fmt::Debug for BackgroundJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BackgroundJob({})", self.name)
    }
}

/// What a [`Background`] is told.
#[derive(Debug)]
pub enum BackgroundMsg {
    /// The work came to an end, which it never should.
    Ended {
        /// It panicked.
        panicked: bool,
    },
}

/// Runs one background job.
///
/// * Owns: the task of the job; it ends with the actor.
/// * Told by: its task, when that ends.
/// * Tells: nobody.
/// * On restart: starts the work anew.
/// * Bounded by: one task.
#[derive(Debug, Default)]
pub struct Background;

impl Actor for Background {
    type Msg = BackgroundMsg;
    type State = JoinSet<()>;
    type Arguments = BackgroundJob;

    async fn pre_start(&self, myself: ActorRef<BackgroundMsg>, job: BackgroundJob) -> Result<JoinSet<()>, ActorProcessingErr> {
        let mut tasks = JoinSet::new();
        let work = (job.work)();
        tasks.spawn(async move {
            let notice = EndNotice(myself);
            work.await;
            drop(notice);
        });
        Ok(tasks)
    }

    async fn handle(
        &self,
        _myself: ActorRef<BackgroundMsg>,
        message: BackgroundMsg,
        _tasks: &mut JoinSet<()>,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            BackgroundMsg::Ended { panicked } => Err(format!("background work ended (panicked: {panicked})").into()),
        }
    }
}

/// Tells the actor that its task ended, also when it panicked.
struct EndNotice(ActorRef<BackgroundMsg>);

impl Drop for EndNotice {
    fn drop(&mut self) {
        let panicked = std::thread::panicking();
        if self.0.cast(BackgroundMsg::Ended { panicked }).is_err() {
            tracing::debug!("background work ended with its actor");
        }
    }
}

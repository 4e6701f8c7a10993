//! Looks up inference profiles that discovery did not list (another account's, or new ones).

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use outcrop_domain::{
    clock::{Moment, Ports},
    error::{Cause, GatewayError, UpstreamFailure},
    ids::{InvokeId, Region},
    model::{Catalogue, ResolveError},
};
use outcrop_supervision::{Reply, Slot};
use outcrop_upstream::ports::ControlPlane;
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use serde::Serialize;

use super::{CatalogueKeeperMsg, errand::Errand};

/// A profile that somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// Where to ask.
    pub region: Region,
    /// Its ARN.
    pub arn: InvokeId,
}

/// What a look-up came to: the catalogue knows the profile, or why not.
pub type LookUp = Result<(), GatewayError>;

/// What a [`ProfileFinder`] is told.
#[derive(Debug)]
pub enum ProfileFinderMsg {
    /// Make this profile known to the catalogue.
    Find {
        /// Which.
        wanted: Wanted,
        /// Answered when the catalogue knows it, or nobody does.
        reply: Reply<LookUp>,
    },
    /// A look-up ended.
    Answered {
        /// Of which profile.
        wanted: Wanted,
        /// How.
        result: Box<LookUp>,
    },
    /// Asks for the state of the look-ups.
    Describe {
        /// The answer.
        reply: Reply<ProfileReport>,
    },
}

/// State of the look-ups, for consoles and tests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ProfileReport {
    /// Questions that AWS was asked since start.
    pub asked: u64,
    /// Requests that were answered by another request's question, under way or in vain a moment ago.
    pub spared: u64,
    /// Questions under way.
    pub under_way: usize,
    /// Profiles of which it is remembered that they cannot be found.
    pub in_vain: usize,
}

/// What a [`ProfileFinder`] starts from.
#[derive(Clone)]
pub struct ProfileFinderArgs {
    /// Asked.
    pub controls: HashMap<Region, Arc<dyn ControlPlane>>,
    /// Told what was found.
    pub keeper: Slot<CatalogueKeeperMsg>,
    /// Where what was found shows.
    pub catalogue: Arc<ArcSwap<Catalogue>>,
    /// Time.
    pub ports: Ports,
}

/// How long a profile that does not exist, or that this account may not see, is not asked for again: short enough for
/// somebody who has just made it, long enough that a misconfigured client costs AWS two questions a minute.
const NOT_THERE_FOR: Duration = Duration::from_secs(30);

/// As above when the question itself failed: a control plane in trouble is not asked by every request that comes.
const FAILED_FOR: Duration = Duration::from_secs(2);

/// Most profiles remembered as not to be found. A name is up to 2 KiB, so this is a few megabytes at worst.
const MOST_REMEMBERED: usize = 1_024;

/// Most questions under way: the control plane's own limits are low, and discovery needs them too.
const MOST_AT_ONCE: usize = 16;

/// Questions to one region at once, after a pause: as many as may be under way.
const BURST: u32 = 16;

/// A region is asked once in this time when a caller names ever new profiles: names cost nothing, and the control plane's
/// limits are the account's, discovery's too.
const ONE_IN: Duration = Duration::from_secs(1);

/// When to come back when too many are under way, or were asked lately: both pass within a second.
const RETRY_SOON: Duration = Duration::from_secs(1);

/// Longest wait for the catalogue to be built with a new profile: it takes milliseconds.
const PUBLISH_WITHIN: Duration = Duration::from_secs(10);

/// State of a [`ProfileFinder`].
pub struct ProfileFinderState {
    args: ProfileFinderArgs,
    under_way: HashMap<Wanted, UnderWay>,
    in_vain: InVain,
    pace: HashMap<Region, Allowance>,
    asked: u64,
    spared: u64,
}

struct UnderWay {
    child: ActorId,
    waiting: Vec<Reply<LookUp>>,
}

/// Looks up profiles for jobs that name one which nobody has listed.
///
/// * Owns: the look-ups under way with those who wait for them, and the memory of look-ups that were in vain.
/// * Told by: jobs, whose key may use the name; its own children.
/// * Tells: the `CatalogueKeeper` (through its children), and everyone who waits.
/// * On restart: begins with nothing under way and nothing remembered; who waited is told to come back.
/// * Bounded by: one question per profile, 16 at once, one a second to a region after a burst of 16; 1,024 profiles remembered for
///   half a minute at most.
#[derive(Debug, Default)]
pub struct ProfileFinder;

impl Actor for ProfileFinder {
    type Msg = ProfileFinderMsg;
    type State = ProfileFinderState;
    type Arguments = ProfileFinderArgs;

    async fn pre_start(&self, _myself: ActorRef<Self::Msg>, args: ProfileFinderArgs) -> Result<Self::State, ActorProcessingErr> {
        let (under_way, pace) = (HashMap::new(), HashMap::new());
        Ok(ProfileFinderState { args, under_way, in_vain: InVain::default(), pace, asked: 0, spared: 0 })
    }

    async fn handle(&self, myself: ActorRef<Self::Msg>, message: Self::Msg, state: &mut Self::State) -> Result<(), ActorProcessingErr> {
        match message {
            ProfileFinderMsg::Find { wanted, reply } => on_find(&myself, state, wanted, reply).await?,
            ProfileFinderMsg::Answered { wanted, result } => on_answered(state, &wanted, *result),
            ProfileFinderMsg::Describe { reply } => {
                reply.send(state.report());
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        // A child that ends by itself has sent its answer; a panic in it, or a kill, is no answer.
        let died = match event {
            SupervisionEvent::ActorFailed(child, _) | SupervisionEvent::ActorTerminated(child, _, Some(_)) => Some(child.get_id()),
            _ => None,
        };
        let lost =
            died.and_then(|died| state.under_way.iter().find(|(_, look_up)| look_up.child == died).map(|(wanted, _)| wanted.clone()));
        if let Some(wanted) = lost {
            on_answered(state, &wanted, Err(GatewayError::WorkerLost));
        }
        Ok(())
    }
}

async fn on_find(
    myself: &ActorRef<ProfileFinderMsg>,
    state: &mut ProfileFinderState,
    wanted: Wanted,
    reply: Reply<LookUp>,
) -> Result<(), ActorProcessingErr> {
    if let Some(look_up) = state.under_way.get_mut(&wanted) {
        state.spared += 1;
        // Those who have left would pile up behind a question that hangs.
        look_up.waiting.retain(|waiting| !waiting.is_closed());
        look_up.waiting.push(reply);
        return Ok(());
    }
    if let Some(error) = state.in_vain.get(&wanted, state.args.ports.clock.now()) {
        state.spared += 1;
        reply.send(Err(error));
        return Ok(());
    }
    let Some(control) = state.args.controls.get(&wanted.region) else {
        reply.send(Err(of_another_region(&wanted)));
        return Ok(());
    };
    // Only regions that there are have an allowance, so there are few.
    let allowance = state.pace.entry(wanted.region.clone()).or_default();
    if state.under_way.len() >= MOST_AT_ONCE || !allowance.take(state.args.ports.clock.now()) {
        let message = "too many inference profiles are being looked up".to_owned();
        reply.send(Err(GatewayError::Overloaded { message, retry_after: RETRY_SOON }));
        return Ok(());
    }
    let question = Question {
        control: Arc::clone(control),
        keeper: state.args.keeper.clone(),
        catalogue: Arc::clone(&state.args.catalogue),
        wanted: wanted.clone(),
    };
    let asker = myself.clone();
    let work = async move {
        let result = Box::new(question.look_up().await);
        asker.cast(ProfileFinderMsg::Answered { wanted: question.wanted, result })?;
        Ok(())
    };
    let child = Errand::send(myself, work).await?;
    state.asked += 1;
    state.under_way.insert(wanted, UnderWay { child, waiting: vec![reply] });
    Ok(())
}

fn on_answered(state: &mut ProfileFinderState, wanted: &Wanted, result: LookUp) {
    let Some(look_up) = state.under_way.remove(wanted) else { return };
    if let Err(error) = &result
        && let Some(time) = remembered_for(error)
    {
        state.in_vain.put(wanted.clone(), error.clone(), state.args.ports.clock.now().after(time));
    }
    for waiting in look_up.waiting {
        waiting.send(result.clone());
    }
}

/// How long an error keeps the same question from being asked again.
fn remembered_for(error: &GatewayError) -> Option<Duration> {
    match error {
        GatewayError::ModelNotFound { .. } => Some(NOT_THERE_FOR),
        GatewayError::Upstream(failure) if failure.cause == Cause::AccessDenied => Some(NOT_THERE_FOR),
        GatewayError::Upstream(_) => Some(FAILED_FOR),
        // A part of our own was restarting.
        _ => None,
    }
}

fn of_another_region(wanted: &Wanted) -> GatewayError {
    let Wanted { region, arn } = wanted;
    let message = format!("the inference profile `{arn}` belongs to region `{region}`, which this gateway does not use");
    GatewayError::ModelNotFound { model: arn.to_string(), message }
}

impl ProfileFinderState {
    fn report(&self) -> ProfileReport {
        ProfileReport { asked: self.asked, spared: self.spared, under_way: self.under_way.len(), in_vain: self.in_vain.errors.len() }
    }
}

/// How many questions a region may be asked: one per [`ONE_IN`], and [`BURST`] saved up. When the last of those that were
/// asked is paid for.
#[derive(Debug, Default)]
struct Allowance(Moment);

impl Allowance {
    /// Takes one question; false when none is left.
    fn take(&mut self, now: Moment) -> bool {
        let paid = self.0.max(now).after(ONE_IN);
        let allowed = paid.since(now) <= ONE_IN * BURST;
        if allowed {
            self.0 = paid;
        }
        allowed
    }
}

/// Profiles that could not be found, and until when that is taken for granted.
#[derive(Debug, Default)]
struct InVain {
    errors: HashMap<Wanted, (GatewayError, Moment)>,
    /// In the order in which they came; the oldest makes room.
    order: VecDeque<Wanted>,
}

impl InVain {
    fn get(&self, wanted: &Wanted, now: Moment) -> Option<GatewayError> {
        self.errors.get(wanted).filter(|(_, until)| now < *until).map(|(error, _)| error.clone())
    }

    fn put(&mut self, wanted: Wanted, mut error: GatewayError, until: Moment) {
        if let GatewayError::Upstream(failure) = &mut error {
            // The id of somebody else's call tells the next caller nothing, and what a model said of it is not for them.
            failure.request_id = None;
            failure.model_error = None;
        }
        if self.errors.insert(wanted.clone(), (error, until)).is_none() {
            self.order.push_back(wanted);
        }
        if self.order.len() > MOST_REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.errors.remove(&oldest);
        }
    }
}

/// What a look-up needs of the rest of the gateway.
struct Question {
    control: Arc<dyn ControlPlane>,
    keeper: Slot<CatalogueKeeperMsg>,
    catalogue: Arc<ArcSwap<Catalogue>>,
    wanted: Wanted,
}

impl Question {
    async fn look_up(&self) -> LookUp {
        let Wanted { region, arn } = &self.wanted;
        let profile = self.control.profile(arn.as_str()).await.map_err(|failure| not_found(arn, failure))?;
        let (reply, known) = Reply::channel();
        let found = CatalogueKeeperMsg::ProfileFound { region: region.clone(), profile: Box::new(profile), reply };
        self.keeper.cast(found).map_err(|_| restarting())?;
        known.within(PUBLISH_WITHIN).await.map_err(|_| restarting())?;
        match self.catalogue.load().resolve(arn.as_str()) {
            // AWS told of it and the catalogue still does not know the name (its ARN is another): asking again would not help.
            Err(error @ ResolveError::ProfileUnknown { .. }) => Err(error.into()),
            _ => Ok(()),
        }
    }
}

fn not_found(arn: &InvokeId, failure: UpstreamFailure) -> GatewayError {
    match failure.cause {
        Cause::BadRequest | Cause::ModelMissing => GatewayError::ModelNotFound { model: arn.to_string(), message: failure.message },
        _ => GatewayError::Upstream(failure),
    }
}

fn restarting() -> GatewayError {
    GatewayError::Unavailable { message: "the catalogue is restarting".to_owned(), retry_after: RETRY_SOON }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(number: usize) -> Wanted {
        let arn = format!("arn:aws:bedrock:us-east-1:1:application-inference-profile/{number}");
        Wanted { region: "us-east-1".into(), arn: arn.into() }
    }

    fn missing() -> GatewayError {
        GatewayError::ModelNotFound { model: "m".to_owned(), message: "no such profile".to_owned() }
    }

    fn at(seconds: u64) -> Moment {
        Moment(Duration::from_secs(seconds))
    }

    #[test]
    fn what_was_in_vain_is_remembered_for_its_time() {
        let mut memory = InVain::default();
        memory.put(wanted(1), missing(), at(30));
        assert_eq!(memory.get(&wanted(1), at(29)), Some(missing()));
        assert_eq!(memory.get(&wanted(1), at(30)), None);
        assert_eq!(memory.get(&wanted(2), at(1)), None);
        memory.put(wanted(1), missing(), at(90));
        assert_eq!(memory.get(&wanted(1), at(89)), Some(missing()), "a newer look-up counts");
    }

    #[test]
    fn the_memory_is_bounded_and_the_oldest_makes_room() {
        let mut memory = InVain::default();
        for number in 0..MOST_REMEMBERED + 5 {
            memory.put(wanted(number), missing(), at(30));
            memory.put(wanted(number), missing(), at(31));
        }
        assert_eq!((memory.errors.len(), memory.order.len()), (MOST_REMEMBERED, MOST_REMEMBERED));
        assert_eq!(memory.get(&wanted(4), at(0)), None);
        assert!(memory.get(&wanted(5), at(0)).is_some());
    }

    #[test]
    fn a_region_is_asked_sixteen_times_at_once_and_then_once_a_second() {
        let mut allowance = Allowance::default();
        let mut asked = |now: Moment| (0..100).filter(|_| allowance.take(now)).count();
        assert_eq!(asked(at(5)), 16);
        assert_eq!(asked(Moment(Duration::from_millis(5_999))), 0);
        assert_eq!(asked(at(6)), 1);
        assert_eq!(asked(at(9)), 3);
        assert_eq!(asked(at(3_600)), 16, "no pause earns more than one burst");
    }

    #[test]
    fn a_remembered_failure_has_no_request_id_and_no_words_of_a_model() {
        let failure = UpstreamFailure {
            cause: Cause::Throttled,
            status: 429,
            code: "ThrottlingException".to_owned(),
            message: "slow down".to_owned(),
            request_id: Some("theirs".to_owned()),
            retry_after: None,
            region: None,
            model_error: Some(Box::default()),
        };
        let mut memory = InVain::default();
        memory.put(wanted(1), GatewayError::Upstream(failure), at(1));
        let Some(GatewayError::Upstream(told)) = memory.get(&wanted(1), at(0)) else { panic!("forgotten") };
        assert_eq!((told.request_id, told.model_error, told.message.as_str()), (None, None, "slow down"));
    }
}

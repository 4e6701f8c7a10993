//! One set of IAM credentials, kept fresh for all regions.

mod source;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwapOption;
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future},
};
use aws_smithy_runtime_api::client::identity::Identity;
use outcrop_domain::{
    clock::Clock,
    error::{Cause, UpstreamFailure},
};

pub use source::{AssumedRole, CredentialChain, CredentialSource, StaticKeys};

use super::SigningClock;
use crate::{classify::own_failure, transport::Transport};

/// How long before expiry new credentials are fetched. STS sessions last at least 15 minutes.
const REFRESH_AHEAD: Duration = Duration::from_secs(5 * 60);
/// Credentials this close to expiry are not used: the request must still reach AWS.
const TOO_LATE: Duration = Duration::from_secs(5);
/// Pause after a failed refresh while the old credentials still hold.
const RETRY_PAUSE: Duration = Duration::from_secs(10);
/// Longest wait for the provider: SSO, STS and metadata services answer within seconds or not at all.
const PROVIDER_LIMIT: Duration = Duration::from_secs(30);
/// Longest time that a call spends on renewing credentials that still hold.
const EARLY_LIMIT: Duration = Duration::from_secs(2);
/// Refused credentials younger than this are kept: a role that was revoked must not become a storm of STS calls.
const LEAST_AGE_WHEN_REFUSED: Duration = Duration::from_secs(5);
/// Longest nap of [`CredentialsKeeper::keep_fresh`]: wall clocks jump (suspend), so it looks again each minute.
const LONGEST_NAP: Duration = Duration::from_secs(60);

/// Fetches credentials once and hands out the same to everybody until they age.
///
/// Any number of calls cause one fetch: a caller that finds ageing credentials fetches new ones while the others
/// go on with the old; only without valid credentials does everybody wait for that one fetch. A fetch belongs to
/// the future that drives it, so nothing is left behind when its caller goes away: the next one takes over.
/// An actor that runs [`CredentialsKeeper::keep_fresh`] keeps even that wait away from calls.
pub struct CredentialsKeeper {
    provider: SharedCredentialsProvider,
    clock: Arc<SigningClock>,
    snapshot: ArcSwapOption<Snapshot>,
    /// Held by the one that fetches.
    flight: tokio::sync::Mutex<()>,
    /// Seconds since the epoch before which ageing credentials are not tried again.
    next_early_try: AtomicU64,
}

/// Credentials as they were fetched.
pub(crate) struct Snapshot {
    /// What signing wants; built once.
    pub(crate) identity: Identity,
    credentials: Credentials,
    fetched_at: SystemTime,
}

enum Freshness {
    Fresh,
    Ageing,
    Expired,
}

impl CredentialsKeeper {
    /// Keeps the credentials of `source`; fetches nothing yet.
    #[must_use]
    pub fn new(source: CredentialSource, transport: &Transport, clock: Arc<dyn Clock>) -> Self {
        let clock = Arc::new(SigningClock::new(clock));
        let provider = source.into_provider(transport, &clock);
        Self::over(provider, clock)
    }

    pub(crate) fn over(provider: SharedCredentialsProvider, clock: Arc<SigningClock>) -> Self {
        Self { provider, clock, snapshot: ArcSwapOption::empty(), flight: tokio::sync::Mutex::new(()), next_early_try: AtomicU64::new(0) }
    }

    /// The clock that signatures use.
    #[must_use]
    pub fn clock(&self) -> &Arc<SigningClock> {
        &self.clock
    }

    /// Fetches now, whatever is there; together with others that ask at the same time, once.
    ///
    /// # Errors
    /// [`Cause::Credentials`] when the provider has none.
    pub async fn refresh_now(&self) -> Result<(), UpstreamFailure> {
        let before = self.snapshot.load_full();
        let _flight = self.flight.lock().await;
        if !same(&before, &self.snapshot.load_full()) {
            return Ok(());
        }
        self.fetch().await.map(|_| ())
    }

    /// Fetches ahead of expiry, for ever. For an actor of the caller's; dropping the future stops it.
    pub async fn keep_fresh(&self) {
        loop {
            let now = self.clock.now();
            let snapshot = self.snapshot.load_full();
            let nap = match snapshot.as_deref().map(|snapshot| (snapshot.freshness(now), snapshot)) {
                Some((Freshness::Fresh, snapshot)) => snapshot.fresh_for(now).min(LONGEST_NAP),
                _ => match self.refresh_now().await {
                    Ok(()) => Duration::ZERO,
                    Err(failure) => {
                        tracing::warn!(error = %failure, "credentials could not be refreshed");
                        RETRY_PAUSE
                    }
                },
            };
            // At least a moment: a provider that gives out expired credentials must not become a busy loop.
            tokio::time::sleep(nap.max(Duration::from_secs(1))).await;
        }
    }

    /// Credentials to sign with.
    pub(crate) async fn current(&self) -> Result<Arc<Snapshot>, UpstreamFailure> {
        let now = self.clock.now();
        if let Some(snapshot) = self.snapshot.load_full() {
            match snapshot.freshness(now) {
                Freshness::Fresh => return Ok(snapshot),
                Freshness::Ageing => return Ok(self.renew_early(snapshot, now).await),
                Freshness::Expired => {}
            }
        }
        let _flight = self.flight.lock().await;
        // Somebody may have fetched while we waited for the lock.
        match self.snapshot.load_full() {
            Some(snapshot) if !matches!(snapshot.freshness(now), Freshness::Expired) => Ok(snapshot),
            _ => self.fetch().await,
        }
    }

    /// Upstream refused these: the next call fetches new ones.
    pub(crate) fn refused(&self, used: &Arc<Snapshot>) {
        let old_enough = self.clock.now().duration_since(used.fetched_at).is_ok_and(|age| age >= LEAST_AGE_WHEN_REFUSED);
        if old_enough {
            // Only if they are still the current ones: others may have been refused, and renewed, before us.
            self.snapshot.compare_and_swap(used, None);
        }
    }

    async fn renew_early(&self, old: Arc<Snapshot>, now: SystemTime) -> Arc<Snapshot> {
        if epoch_seconds(now) < self.next_early_try.load(Ordering::Relaxed) {
            return old;
        }
        let Ok(_flight) = self.flight.try_lock() else {
            return old;
        };
        match tokio::time::timeout(EARLY_LIMIT, self.fetch()).await {
            Ok(Ok(new)) => return new,
            Ok(Err(failure)) => tracing::warn!(error = %failure, "credentials could not be refreshed ahead of expiry"),
            Err(_) => tracing::warn!(limit = ?EARLY_LIMIT, "the credential provider is slow; the old credentials are used on"),
        }
        self.next_early_try.store(epoch_seconds(now + RETRY_PAUSE), Ordering::Relaxed);
        old
    }

    async fn fetch(&self) -> Result<Arc<Snapshot>, UpstreamFailure> {
        let unavailable = |message: String| own_failure(Cause::Credentials, "CredentialsUnavailable", message);
        let credentials = tokio::time::timeout(PROVIDER_LIMIT, self.provider.provide_credentials())
            .await
            .map_err(|_| unavailable(format!("the credential provider did not answer within {PROVIDER_LIMIT:?}")))?
            .map_err(|error| unavailable(crate::transport::error_chain(&error)))?;
        let snapshot = Arc::new(Snapshot { identity: Identity::from(credentials.clone()), credentials, fetched_at: self.clock.now() });
        self.snapshot.store(Some(Arc::clone(&snapshot)));
        Ok(snapshot)
    }
}

impl fmt::Debug for CredentialsKeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialsKeeper").field("has_credentials", &self.snapshot.load().is_some()).finish_non_exhaustive()
    }
}

impl Snapshot {
    /// The credentials themselves.
    pub(crate) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    #[cfg(test)]
    pub(crate) fn of(credentials: Credentials) -> Arc<Self> {
        Arc::new(Self { identity: Identity::from(credentials.clone()), credentials, fetched_at: SystemTime::UNIX_EPOCH })
    }

    fn freshness(&self, now: SystemTime) -> Freshness {
        match self.credentials.expiry() {
            None => Freshness::Fresh,
            Some(expiry) if expiry > now + REFRESH_AHEAD => Freshness::Fresh,
            Some(expiry) if expiry > now + TOO_LATE => Freshness::Ageing,
            Some(_) => Freshness::Expired,
        }
    }

    fn fresh_for(&self, now: SystemTime) -> Duration {
        let Some(expiry) = self.credentials.expiry() else {
            return Duration::MAX;
        };
        expiry.duration_since(now + REFRESH_AHEAD).unwrap_or_default()
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("expiry", &self.credentials.expiry()).finish_non_exhaustive()
    }
}

/// The keeper as a provider for the SDK's clients, so that all share one fetch.
#[derive(Debug, Clone)]
pub(crate) struct KeptCredentials(pub(crate) Arc<CredentialsKeeper>);

impl ProvideCredentials for KeptCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async move {
            let snapshot = self.0.current().await.map_err(CredentialsError::provider_error)?;
            Ok(snapshot.credentials.clone())
        })
    }
}

fn same(left: &Option<Arc<Snapshot>>, right: &Option<Arc<Snapshot>>) -> bool {
    match (left, right) {
        (Some(left), Some(right)) => Arc::ptr_eq(left, right),
        (None, None) => true,
        _ => false,
    }
}

fn epoch_seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
pub(crate) mod tests;

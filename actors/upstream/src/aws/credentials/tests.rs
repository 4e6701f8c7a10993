use std::sync::atomic::{AtomicU64, AtomicUsize};

use outcrop_domain::{clock::Clock, ids::Region, secret::SecretString};

use super::*;
use crate::{aws::clock::tests::HandClock, testkit::FakeServer};

/// Gives out `AKID1`, `AKID2`, ... each lasting for a while from its fetch; counts, and fails on demand.
#[derive(Debug, Clone)]
pub(crate) struct CountingProvider {
    calls: Arc<AtomicUsize>,
    failing: Arc<AtomicU64>,
    lasting: Option<Duration>,
    clock: Arc<HandClock>,
}

impl CountingProvider {
    pub(crate) fn lasting(lasting: Duration, clock: Arc<HandClock>) -> Self {
        Self { calls: Arc::default(), failing: Arc::default(), lasting: Some(lasting), clock }
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    fn fail_next(&self, times: u64) {
        self.failing.store(times, Ordering::SeqCst);
    }
}

impl ProvideCredentials for CountingProvider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async move {
            let number = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
            // As long as a real provider: everybody who asks meanwhile must find a fetch under way.
            tokio::time::sleep(Duration::from_millis(200)).await;
            if self.failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
                return Err(CredentialsError::provider_error("the metadata service is down"));
            }
            let mut builder = Credentials::builder().access_key_id(format!("AKID{number}")).secret_access_key("s").provider_name("test");
            builder.set_expiry(self.lasting.map(|lasting| self.clock.wall() + lasting));
            Ok(builder.build())
        })
    }
}

const START: u64 = 1_795_176_000;
const HOUR: Duration = Duration::from_secs(3600);

fn kept(lasting: Duration) -> (Arc<CredentialsKeeper>, CountingProvider, Arc<HandClock>) {
    let hand = HandClock::at(START);
    let provider = CountingProvider::lasting(lasting, hand.clone());
    let keeper = CredentialsKeeper::over(SharedCredentialsProvider::new(provider.clone()), Arc::new(SigningClock::new(hand.clone())));
    (Arc::new(keeper), provider, hand)
}

async fn key(keeper: &CredentialsKeeper) -> String {
    keeper.current().await.unwrap().credentials.access_key_id().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_thousand_calls_at_once_are_one_fetch() {
    let (keeper, provider, _) = kept(HOUR);
    let calls: Vec<_> = (0..1000)
        .map(|_| {
            tokio::spawn({
                let keeper = Arc::clone(&keeper);
                async move { key(&keeper).await }
            })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), "AKID1");
    }
    assert_eq!(provider.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_jump_past_expiry_fails_no_call_and_fetches_once() {
    let (keeper, provider, hand) = kept(HOUR);
    assert_eq!(key(&keeper).await, "AKID1");
    hand.advance(2 * HOUR);
    let calls: Vec<_> = (0..100)
        .map(|_| {
            tokio::spawn({
                let keeper = Arc::clone(&keeper);
                async move { key(&keeper).await }
            })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), "AKID2");
    }
    assert_eq!(provider.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn ageing_credentials_are_renewed_by_one_while_the_others_go_on() {
    let (keeper, provider, hand) = kept(HOUR);
    key(&keeper).await;
    hand.advance(HOUR - Duration::from_secs(120));
    let leader = tokio::spawn({
        let keeper = Arc::clone(&keeper);
        async move { key(&keeper).await }
    });
    tokio::task::yield_now().await;
    assert_eq!(key(&keeper).await, "AKID1", "nobody else waits");
    assert_eq!(leader.await.unwrap(), "AKID2");
    assert_eq!(key(&keeper).await, "AKID2");
    assert_eq!(provider.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failed_early_renewal_is_tried_again_after_a_pause_and_fails_no_call() {
    let (keeper, provider, hand) = kept(HOUR);
    key(&keeper).await;
    hand.advance(HOUR - Duration::from_secs(120));
    provider.fail_next(1);
    for _ in 0..5 {
        assert_eq!(key(&keeper).await, "AKID1");
    }
    assert_eq!(provider.calls(), 2);
    hand.advance(Duration::from_secs(11));
    assert_eq!(key(&keeper).await, "AKID3");
}

#[tokio::test(start_paused = true)]
async fn without_valid_credentials_the_providers_words_are_the_failure() {
    let (keeper, provider, _) = kept(HOUR);
    provider.fail_next(1);
    let failure = keeper.current().await.unwrap_err();
    assert_eq!((failure.cause, failure.code.as_str()), (Cause::Credentials, "CredentialsUnavailable"));
    assert!(failure.message.contains("the metadata service is down"), "{}", failure.message);
    assert_eq!(key(&keeper).await, "AKID2");
}

#[tokio::test(start_paused = true)]
async fn forced_refreshes_at_the_same_time_are_one_fetch() {
    let (keeper, provider, _) = kept(HOUR);
    key(&keeper).await;
    let (first, second, third) = tokio::join!(keeper.refresh_now(), keeper.refresh_now(), keeper.refresh_now());
    assert!(first.is_ok() && second.is_ok() && third.is_ok());
    assert_eq!(provider.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_whose_caller_goes_away_is_taken_over_by_the_next() {
    let (keeper, provider, _) = kept(HOUR);
    let first = tokio::spawn({
        let keeper = Arc::clone(&keeper);
        async move { key(&keeper).await }
    });
    tokio::task::yield_now().await;
    assert_eq!(provider.calls(), 1);
    first.abort();
    assert_eq!(key(&keeper).await, "AKID2");
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_are_dropped_once_and_only_when_they_are_current() {
    let (keeper, provider, hand) = kept(HOUR);
    let used = keeper.current().await.unwrap();
    keeper.refused(&used);
    assert_eq!(key(&keeper).await, "AKID1", "brand-new ones are kept");
    hand.advance(Duration::from_secs(6));
    keeper.refused(&used);
    assert_eq!(key(&keeper).await, "AKID2");
    hand.advance(Duration::from_secs(6));
    keeper.refused(&used);
    assert_eq!(key(&keeper).await, "AKID2", "a late refusal of old ones does not touch new ones");
    assert_eq!(provider.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_keeping_loop_renews_before_any_call_must() {
    let (keeper, provider, hand) = kept(HOUR);
    let loop_of = Arc::clone(&keeper);
    let keeping = tokio::spawn(async move { loop_of.keep_fresh().await });
    for _ in 0..(3 * 60) {
        // Both clocks move together, a minute at a time.
        tokio::time::sleep(Duration::from_secs(60)).await;
        hand.advance(Duration::from_secs(60));
        let snapshot = keeper.snapshot.load_full().expect("credentials are there all the time");
        assert!(!matches!(snapshot.freshness(hand.wall()), Freshness::Expired));
    }
    keeping.abort();
    assert!((3..=5).contains(&provider.calls()), "{} fetches in three hours", provider.calls());
}

#[tokio::test]
async fn static_keys_never_expire_and_never_show() {
    let source = CredentialSource::Static(StaticKeys {
        access_key_id: "AKIDSTATIC".to_owned(),
        secret_access_key: SecretString::new("very-secret".to_owned()),
        session_token: Some(SecretString::new("very-token".to_owned())),
    });
    assert!(!format!("{source:?}").contains("very-"));
    let keeper = CredentialsKeeper::new(source, &FakeServer::answering(500, &[], "").transport(), HandClock::at(START));
    let snapshot = keeper.current().await.unwrap();
    assert_eq!(snapshot.credentials.session_token(), Some("very-token"));
    assert!(matches!(snapshot.freshness(SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(u32::MAX))), Freshness::Fresh));
    assert!(!format!("{keeper:?} {snapshot:?}").contains("very-"));
}

#[tokio::test(start_paused = true)]
async fn a_role_is_taken_on_over_our_transport() {
    const STS: &str = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
        <AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
        <Expiration>2026-11-20T13:00:00Z</Expiration></Credentials><AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/gateway/outcrop</Arn><AssumedRoleId>i</AssumedRoleId>\
        </AssumedRoleUser></AssumeRoleResult></AssumeRoleResponse>";
    let server = FakeServer::answering(200, &[("content-type", "text/xml")], STS);
    let clock = Arc::new(SigningClock::new(HandClock::at(START)));
    let base = source::StaticKeys {
        access_key_id: "AKIDBASE".to_owned(),
        secret_access_key: SecretString::new("s".to_owned()),
        session_token: None,
    };
    let role = AssumedRole {
        arn: "arn:aws:iam::123456789012:role/gateway".to_owned(),
        external_id: Some("tenant-7".to_owned()),
        session_name: "outcrop".to_owned(),
    };
    let base = CredentialSource::Static(base).into_provider(&server.transport(), &clock);
    let provider = source::assume(&role, base, &Region::from("eu-west-1"), &server.transport(), &clock).await;
    let keeper = CredentialsKeeper::over(provider, clock);
    assert_eq!(key(&keeper).await, "ASIAROLE");
    assert_eq!(key(&keeper).await, "ASIAROLE");
    let requests = server.received();
    assert_eq!(requests.len(), 1, "the session is kept");
    let body = String::from_utf8(requests[0].body.to_vec()).unwrap();
    assert_eq!(requests[0].header("host"), "sts.eu-west-1.amazonaws.com");
    assert!(body.contains("Action=AssumeRole") && body.contains("ExternalId=tenant-7"), "{body}");
}

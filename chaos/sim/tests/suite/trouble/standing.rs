//! Faults that change the world while they are in force: quotas, clocks, credentials.

use outcrop_sim::{Credential, DEFAULT_BEARER_TOKEN, Decision, Quota, QuotaLimit, RefusedBy};

use super::*;
use crate::support::MODEL;

async fn status(simulator: &Simulator) -> u16 {
    look(simulator, EAST, &converse()).await.seen().status
}

#[tokio::test(start_paused = true)]
async fn a_quota_fault_limits_its_place_while_it_is_in_force() {
    let simulator = simulator(1);
    simulator.install(fault("kind = \"quota\"\nrpm = 2\nregion = \"us-east-1\"\nfrom = \"1m\"\nfor = \"1m\"")).unwrap();
    let mut seen = Vec::new();
    for second in [0, 1, 2, 60, 61, 62, 63, 120, 121] {
        let at = Duration::from_secs(second);
        tokio::time::sleep(at.saturating_sub(simulator.clock().elapsed())).await;
        seen.push(status(&simulator).await);
    }
    assert_eq!(seen, [200, 200, 200, 200, 200, 429, 429, 200, 200]);
    assert_eq!(look(&simulator, WEST, &converse()).await.seen().status, 200);
    let statuses = simulator.faults();
    assert_eq!((statuses[0].hits, statuses[0].in_force), (2, false));
    let refused = simulator.journal().records().into_iter().find(|record| matches!(record.decision, Decision::Refused { .. })).unwrap();
    let Decision::Refused { by: RefusedBy::Quota { bucket, limit, .. }, .. } = refused.decision else { panic!("{refused:?}") };
    assert_eq!((bucket.region.as_str(), bucket.model.as_str(), limit), (EAST, MODEL, QuotaLimit::Requests));
}

#[tokio::test(start_paused = true)]
async fn quotas_can_be_halved_and_doubled_while_it_runs() {
    let simulator = simulator(1);
    simulator.quota(EAST, MODEL, Quota { requests_per_minute: Some(600), ..Quota::default() }).unwrap();
    let half = simulator.install(fault("kind = \"quota_scale\"\nfactor = 0.5\nregion = \"us-east-1\"")).unwrap();
    let room = || simulator.quota_room(EAST, MODEL).unwrap().requests;
    assert_eq!(room(), Some(300));
    assert!(simulator.uninstall(half));
    assert_eq!(room(), Some(300), "a level that was cut fills again at the old rate");
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(room(), Some(400));
    assert!(simulator.scale_quota(&outcrop_sim::BucketKey { region: EAST.to_owned(), model: MODEL.to_owned(), profile: None }, 2.0));
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(room(), Some(600));
}

/// A Converse call signed at this time of the simulator's clock.
fn signed(simulator: &Simulator, key: &str, secret: &str) -> Vec<u8> {
    use aws_sigv4::{
        http_request::{SignableBody, SignableRequest, SigningSettings, sign},
        sign::v4,
    };
    let identity = aws_credential_types::Credentials::new(key, secret, None, None, "test").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(EAST)
        .name("bedrock")
        .time(simulator.clock().wall())
        .settings(SigningSettings::default())
        .build()
        .unwrap()
        .into();
    let url = format!("http://sim{}", path("converse"));
    let signable = SignableRequest::new("POST", &url, [("host", "sim")].into_iter(), SignableBody::Bytes(HELLO.as_bytes())).unwrap();
    let (instructions, _) = sign(signable, &params).unwrap().into_parts();
    let headers: String = instructions.headers().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("POST {} HTTP/1.1\r\nhost: sim\r\n{headers}content-length: {}\r\n\r\n{HELLO}", path("converse"), HELLO.len()).into_bytes()
}

#[tokio::test(start_paused = true)]
async fn expired_credentials_are_refused_until_they_are_renewed() {
    let simulator = simulator(1);
    simulator.put_credential(Credential::new("OLD", "secret"));
    simulator.install(fault("kind = \"credentials_expired\"\nat = \"10s\"")).unwrap();
    let call = async |key| {
        let seen = look(&simulator, EAST, &signed(&simulator, key, "secret")).await;
        if seen.seen().status == 200 { "good".to_owned() } else { seen.refusal().1 }
    };
    assert_eq!(call("OLD").await, "good");
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(call("OLD").await, "ExpiredTokenException");
    assert_eq!(look(&simulator, EAST, &converse()).await.refusal().0, 403, "API keys expire as well");
    simulator.put_credential(Credential::new("NEW", "secret"));
    assert_eq!((call("NEW").await, call("OLD").await), ("good".to_owned(), "ExpiredTokenException".to_owned()));
    simulator.put_credential(Credential::new("OLD", "secret"));
    assert_eq!(call("OLD").await, "good", "the same key, put anew");
    simulator.put_bearer(DEFAULT_BEARER_TOKEN);
    assert_eq!(status(&simulator).await, 200);
    assert_eq!(simulator.faults()[0].hits, 3);
}

#[tokio::test(start_paused = true)]
async fn a_skewed_clock_refuses_signatures_and_says_its_own_time() {
    let simulator = simulator(1);
    let call = async || look(&simulator, EAST, &signed(&simulator, "AKIDSIMULATOR", "simulator-secret-key")).await;
    assert_eq!(call().await.seen().status, 200);
    let skew = simulator.install(fault("kind = \"clock_skew\"\noffset = \"-7m\"\nregion = \"us-east-1\"")).unwrap();
    let refused = call().await;
    assert_eq!((refused.refusal().0, refused.refusal().1.as_str()), (403, "InvalidSignatureException"));
    let date = |sight: &Sight| httpdate(&sight.seen().header("date").unwrap());
    let west = look(&simulator, WEST, &converse()).await;
    assert_eq!(date(&west) - date(&refused), 7 * 60);
    assert_eq!(simulator.faults()[0].hits, 1);
    simulator.uninstall(skew);
    assert_eq!(call().await.seen().status, 200);
}

/// Seconds of the day of an HTTP date.
fn httpdate(text: &str) -> u64 {
    let time = text.split(' ').nth(4).unwrap();
    time.split(':').fold(0, |sum, part| sum * 60 + part.parse::<u64>().unwrap())
}

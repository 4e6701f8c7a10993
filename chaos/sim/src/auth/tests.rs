use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use http::Request;

use super::*;

const NOW: i64 = 1_795_184_229;
const BODY: &[u8] = br#"{"messages":[]}"#;
const URL: &str = "http://127.0.0.1:4601/model/us.a.b-v1%3A0/converse?z=1&a=x%20y";

/// What a signer is told; by default everything is right.
struct Signer {
    credentials: Credentials,
    region: &'static str,
    service: &'static str,
    at: i64,
}

impl Default for Signer {
    fn default() -> Self {
        Self { credentials: Credentials::new("AKID", "secret", None, None, "test"), region: "us-east-1", service: "bedrock", at: NOW }
    }
}

impl Signer {
    /// Signs with AWS's own signer: the oracle of the checks.
    fn sign(&self) -> Parts {
        let identity = self.credentials.clone().into();
        let time: SystemTime = UNIX_EPOCH + Duration::from_secs(u64::try_from(self.at).unwrap());
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name(self.service)
            .time(time)
            .settings(SigningSettings::default())
            .build()
            .unwrap()
            .into();
        let headers = [("host", "127.0.0.1:4601"), ("content-type", "application/json")];
        let signable = SignableRequest::new("POST", URL, headers.into_iter(), SignableBody::Bytes(BODY)).unwrap();
        let (instructions, _) = sign(signable, &params).unwrap().into_parts();
        let mut request = Request::post(URL).header("host", "127.0.0.1:4601").header("content-type", "application/json").body(()).unwrap();
        instructions.apply_to_request_http1x(&mut request);
        request.into_parts().0
    }
}

fn keyring() -> Keyring {
    let keyring = Keyring::default();
    keyring.put(Credential::new("AKID", "secret"), None);
    keyring.put(Credential::new("ASIA", "secret").with_session_token("token"), None);
    keyring.put_bearer("api-key".to_owned(), None);
    keyring
}

fn check(parts: &Parts) -> Result<AuthKind, Refusal> {
    keyring().check(&Checked { region: "us-east-1", now: NOW, parts, body: BODY }).map(|identity| identity.kind)
}

fn refused(parts: &Parts) -> (u16, &'static str, String) {
    let refusal = check(parts).unwrap_err();
    (refusal.status, refusal.error_type, refusal.message)
}

fn with_authorization(value: &str) -> Parts {
    Request::post(URL).header("authorization", value).header("x-amz-date", "20261120T141709Z").body(()).unwrap().into_parts().0
}

#[test]
fn a_signature_by_the_official_signer_is_accepted() {
    assert_eq!(check(&Signer::default().sign()), Ok(AuthKind::SigV4 { access_key: "AKID".to_owned() }));
}

#[test]
fn temporary_credentials_need_their_session_token() {
    let temporary = |token: Option<&str>| Signer {
        credentials: Credentials::new("ASIA", "secret", token.map(str::to_owned), None, "test"),
        ..Signer::default()
    };
    assert!(check(&temporary(Some("token")).sign()).is_ok());
    for wrong in [None, Some("other")] {
        assert_eq!(refused(&temporary(wrong).sign()).1, "UnrecognizedClientException");
    }
}

#[test]
fn each_wrong_part_of_a_signature_has_its_own_refusal() {
    let key = |id: &str, secret: &str| Credentials::new(id, secret, None, None, "test");
    for (signer, error_type, fragment) in [
        (Signer { credentials: key("AKID", "wrong"), ..Signer::default() }, "InvalidSignatureException", "does not match"),
        (Signer { credentials: key("NOBODY", "secret"), ..Signer::default() }, "UnrecognizedClientException", "is invalid"),
        (Signer { region: "eu-west-1", ..Signer::default() }, "InvalidSignatureException", "valid region"),
        (Signer { service: "bedrock-runtime", ..Signer::default() }, "InvalidSignatureException", "correct service: 'bedrock'"),
        (Signer { at: NOW - 301, ..Signer::default() }, "InvalidSignatureException", "Signature expired: 20261120T141208Z"),
        (Signer { at: NOW + 301, ..Signer::default() }, "InvalidSignatureException", "Signature not yet current: 20261120T142210Z"),
    ] {
        let (status, found, message) = refused(&signer.sign());
        assert_eq!((status, found), (403, error_type), "{message}");
        assert!(message.contains(fragment), "{message}");
    }
    for still_good in [NOW - 300, NOW + 300] {
        assert!(check(&Signer { at: still_good, ..Signer::default() }.sign()).is_ok());
    }
}

#[test]
fn a_changed_body_path_query_or_header_breaks_the_signature() {
    let signed = Signer::default().sign();
    let tampered = Keyring::check(&keyring(), &Checked { region: "us-east-1", now: NOW, parts: &signed, body: b"{}" });
    assert_eq!(tampered.unwrap_err().error_type, "InvalidSignatureException");
    for uri in ["/model/us.a.b-v1%3A1/converse?z=1&a=x%20y", "/model/us.a.b-v1%3A0/converse?z=2&a=x%20y"] {
        let mut changed = signed.clone();
        changed.uri = uri.parse().unwrap();
        assert_eq!(refused(&changed).1, "InvalidSignatureException", "{uri}");
    }
    let mut changed = signed.clone();
    changed.headers.insert("host", "elsewhere".parse().unwrap());
    assert_eq!(refused(&changed).1, "InvalidSignatureException");
    let mut reordered = signed;
    reordered.uri = "/model/us.a.b-v1%3A0/converse?a=x%20y&z=1".parse().unwrap();
    assert!(check(&reordered).is_ok());
}

#[test]
fn incomplete_and_missing_authorizations_are_told_apart() {
    for incomplete in [
        "AWS4-HMAC-SHA256 Credential=AKID/20261120/us-east-1/bedrock/aws4_request, SignedHeaders=host",
        "AWS4-HMAC-SHA256 SignedHeaders=host, Signature=00",
        "AWS4-HMAC-SHA256 Credential=AKID/us-east-1/bedrock, SignedHeaders=host, Signature=00",
        "AWS4-HMAC-SHA256 Credential",
    ] {
        let (status, error_type, _) = refused(&with_authorization(incomplete));
        assert_eq!((status, error_type), (400, "IncompleteSignature"), "{incomplete}");
    }
    let mut undated = Signer::default().sign();
    undated.headers.remove("x-amz-date");
    assert_eq!(refused(&undated).1, "IncompleteSignature");
    for missing in [with_authorization("Basic YTpi"), Request::post(URL).body(()).unwrap().into_parts().0] {
        let (status, error_type, _) = refused(&missing);
        assert_eq!((status, error_type), (403, "MissingAuthenticationToken"));
    }
}

#[test]
fn api_keys_are_known_unknown_or_expired() {
    let keyring = keyring();
    let check = |token: &str| {
        let parts = with_authorization(&format!("Bearer {token}"));
        keyring
            .check(&Checked { region: "us-east-1", now: NOW, parts: &parts, body: BODY })
            .map(|identity| identity.kind)
            .map_err(|refusal| refusal.error_type)
    };
    assert_eq!(check("api-key"), Ok(AuthKind::Bearer));
    assert_eq!(check("other"), Err("AccessDeniedException"));
    assert!(keyring.expire("api-key"));
    assert_eq!(check("api-key"), Err("ExpiredTokenException"));
    assert!(keyring.revoke("api-key"));
    assert_eq!(check("api-key"), Err("AccessDeniedException"));
    assert!(!keyring.revoke("api-key") && !keyring.expire("api-key"));
}

#[test]
fn an_expired_access_key_is_refused_until_it_is_put_again() {
    let keyring = keyring();
    let parts = Signer::default().sign();
    let check = || {
        keyring
            .check(&Checked { region: "us-east-1", now: NOW, parts: &parts, body: BODY })
            .map(|identity| identity.kind)
            .map_err(|refusal| refusal.error_type)
    };
    assert!(keyring.expire("AKID"));
    assert_eq!(check(), Err("ExpiredTokenException"));
    keyring.put(Credential::new("AKID", "secret"), None);
    assert!(check().is_ok());
    assert!(keyring.revoke("AKID"));
    assert_eq!(check(), Err("UnrecognizedClientException"));
}

#[test]
fn secrets_do_not_appear_in_debug_output() {
    let shown = format!("{:?} {:?}", Credential::new("AKID", "hidden").with_session_token("also-hidden"), keyring());
    assert!(shown.contains("AKID") && !shown.contains("hidden") && !shown.contains("api-key"), "{shown}");
}

//! `[aws]`: regions, endpoints and credentials.

mod endpoints;
mod proxy;

use std::path::PathBuf;

use outcrop_domain::{ids::Region, secret::SecretString};

pub use endpoints::{Endpoints, Service};
pub use proxy::{Proxy, ProxyUrl};

use super::read::{ExistingFile, List, NAME, Parsed, Record, SWITCH, Secret, Section, is_header_value, shown};

/// Endpoints of the user's own stand for no region of AWS, but signatures must name one. Tools for local stacks use this one.
const STAND_IN_REGION: &str = "us-east-1";

/// What CloudTrail shows as the session of an assumed role.
const SESSION_NAME: &str = "outcrop";

/// Source: "Regions" of the AWS General Reference; also fits regions that are yet to come.
pub(super) const REGION: Parsed<Region> = Parsed {
    expected: "a region such as \"us-east-1\"",
    parse: |text| {
        let parts: Vec<&str> = text.split('-').collect();
        let (number, words) = parts.split_last()?;
        let good = words.len() >= 2
            && words
                .iter()
                .all(|word| word.len() >= 2 && word.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit()))
            && !number.is_empty()
            && number.chars().all(|digit| digit.is_ascii_digit());
        good.then(|| Region::from(text))
    },
    show: |region| region.as_str().to_owned(),
};

/// Source: ARN format of IAM roles.
const ROLE_ARN: Parsed<String> = Parsed {
    expected: "the ARN of a role, such as \"arn:aws:iam::123456789012:role/outcrop\"",
    parse: |text| {
        let good = text.starts_with("arn:aws") && text.contains(":iam::") && text.contains(":role/") && is_header_value(text);
        good.then(|| text.to_owned())
    },
    show: Clone::clone,
};

/// Source: `RoleSessionName` of STS AssumeRole.
const SESSION: Parsed<String> = Parsed {
    expected: "a session name of 2 to 64 letters, digits and `=,.@_-`",
    parse: |text| {
        let good = (2..=64).contains(&text.len()) && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "=,.@_-".contains(letter));
        good.then(|| text.to_owned())
    },
    show: Clone::clone,
};

const CREDENTIALS: Record<StaticCredentials> =
    Record { read: StaticCredentials::read, show: StaticCredentials::show, reveal: StaticCredentials::reveal };

/// Regions, endpoints and credentials. Calls are authorised by `credentials`, else by `bearer_token`, else by the
/// standard chain of the AWS tools (environment, profiles, single sign-on, web identity, container, instance).
#[derive(Debug, Clone, PartialEq)]
pub struct Aws {
    /// Regions in the order of preference, each once; never empty.
    pub regions: Vec<Region>,
    /// Profile of the AWS files for the standard chain.
    pub profile: Option<String>,
    /// A role to take on with what the chain gives.
    pub assume_role: Option<AssumeRole>,
    /// A Bedrock API key.
    pub bearer_token: Option<SecretString>,
    /// Fixed credentials, for local stacks only: they need endpoints of the user's own.
    pub credentials: Option<StaticCredentials>,
    /// FIPS 140 endpoints.
    pub fips: bool,
    /// Endpoints with IPv4 and IPv6.
    pub dual_stack: bool,
    /// PEM file of further trusted roots.
    pub ca_bundle: Option<PathBuf>,
    /// Endpoints instead of AWS's own.
    pub endpoints: Endpoints,
    /// Proxies on the way.
    pub proxy: Proxy,
}

/// A role to take on.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct AssumeRole {
    /// Its ARN.
    pub arn: String,
    /// What its trust policy may ask for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Name of the session in CloudTrail.
    pub session_name: String,
}

/// Fixed credentials.
#[derive(Debug, Clone, PartialEq)]
pub struct StaticCredentials {
    /// Public half.
    pub access_key_id: String,
    /// Secret half.
    pub secret_access_key: SecretString,
    /// Token of a temporary session.
    pub session_token: Option<SecretString>,
}

impl Aws {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let endpoints = section.table("endpoints", Endpoints::read);
        let regions = read_regions(section, &endpoints);
        for region in endpoints.regions() {
            if !regions.contains(region) && !section.is_faulty("regions") {
                section.problem("endpoints", format!("`{region}` has endpoints, but is not listed in `aws.regions`"));
            }
        }
        let fips = section.get("fips", SWITCH, false);
        let dual_stack = section.get("dual_stack", SWITCH, false);
        for (switch, on) in [("fips", fips), ("dual_stack", dual_stack)] {
            if on && !endpoints.is_empty() {
                section.problem(switch, "has no effect on endpoints of your own: not together with `aws.endpoints`".to_owned());
            }
        }
        let credentials = section.find("credentials", CREDENTIALS);
        if credentials.is_some() && endpoints.is_empty() {
            let message = "fixed credentials are for local stacks and need `aws.endpoints`; AWS itself is called with the standard chain";
            section.problem("credentials", message.to_owned());
        }
        Self {
            regions,
            profile: section.find("profile", NAME),
            assume_role: section.find("assume_role", Record::open(AssumeRole::read, shown)),
            bearer_token: section.find("bearer_token", Secret),
            credentials,
            fips,
            dual_stack,
            ca_bundle: section.find("ca_bundle", ExistingFile),
            endpoints,
            proxy: section.table("proxy", Proxy::read),
        }
    }
}

fn read_regions(section: &mut Section<'_>, endpoints: &Endpoints) -> Vec<Region> {
    let stand_in = !endpoints.is_empty() && endpoints.regions().next().is_none();
    let default = if stand_in { vec![Region::from(STAND_IN_REGION)] } else { Vec::new() };
    let regions = section.get("regions", List::unique(REGION), default);
    if regions.is_empty() && !section.is_faulty("regions") {
        section.problem("regions", "name at least one region here, or set AWS_REGION".to_owned());
    }
    regions
}

impl AssumeRole {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let arn = section.require("arn", ROLE_ARN);
        let external_id = section.find("external_id", NAME);
        let session_name = section.get("session_name", SESSION, SESSION_NAME.to_owned());
        Some(Self { arn: arn?, external_id, session_name })
    }
}

impl StaticCredentials {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        section.keep_quiet();
        let access_key_id = section.require("access_key_id", NAME);
        let secret_access_key = section.require("secret_access_key", Secret);
        let session_token = section.find("session_token", Secret);
        Some(Self { access_key_id: access_key_id?, secret_access_key: secret_access_key?, session_token })
    }

    fn show(&self) -> toml::Value {
        let mut table = toml::Table::new();
        table.insert("access_key_id".to_owned(), toml::Value::from(self.access_key_id.as_str()));
        table.insert("secret_access_key".to_owned(), toml::Value::from(self.secret_access_key.to_string()));
        if let Some(token) = &self.session_token {
            table.insert("session_token".to_owned(), toml::Value::from(token.to_string()));
        }
        toml::Value::Table(table)
    }

    fn reveal(&self, into: &mut String) {
        into.push_str(self.secret_access_key.expose());
        into.push('\0');
        into.push_str(self.session_token.as_ref().map_or("", SecretString::expose));
    }
}

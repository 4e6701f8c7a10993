//! Endpoints instead of AWS's own, by service and region.

use std::collections::BTreeMap;

use outcrop_domain::ids::Region;

use super::REGION;
use crate::settings::read::{Parsed, Section};

/// A URL in which `{region}` stands for the region's name.
const TEMPLATE: Parsed<String> = Parsed {
    expected: "a URL such as \"https://vpce.example.com\" or \"http://{region}.localhost:4566\", without user, query and fragment",
    parse: |text| {
        // Any region will do to see whether a URL comes of it.
        let url = url::Url::parse(&text.replace("{region}", "us-east-1")).ok()?;
        let good = matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
            && !text.replace("{region}", "").contains(['{', '}'])
            && text.trim() == text;
        good.then(|| text.trim_end_matches('/').to_owned())
    },
    show: Clone::clone,
};

/// A service whose endpoint can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Bedrock's control plane (discovery).
    Bedrock,
    /// Bedrock's runtime (inference).
    BedrockRuntime,
}

/// Endpoints instead of AWS's own. A region's own entries go before those for every region, and a service's before `default`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoints {
    every: ServiceEndpoints,
    by_region: BTreeMap<Region, ServiceEndpoints>,
}

/// URL templates by service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct ServiceEndpoints {
    default: Option<String>,
    bedrock: Option<String>,
    bedrock_runtime: Option<String>,
}

impl Endpoints {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let every = ServiceEndpoints::read(section);
        let by_region = section.named_tables(|name, section| {
            let endpoints = ServiceEndpoints::read(section);
            // Variables cannot have hyphens in their names.
            let region = (REGION.parse)(&name.replace('_', "-"));
            if region.is_none() {
                section.own_problem(format!("expected a service or {}, found \"{name}\"", REGION.expected));
            }
            Some((region?, endpoints))
        });
        Self { every, by_region: by_region.into_iter().collect() }
    }

    /// The URL of a service in a region; `None` = AWS's own. Without a slash at the end.
    #[must_use]
    pub fn url(&self, service: Service, region: &Region) -> Option<String> {
        let own = self.by_region.get(region).and_then(|endpoints| endpoints.of(service));
        own.or_else(|| self.every.of(service)).map(|template| template.replace("{region}", region.as_str()))
    }

    /// True when every service is called at AWS's own endpoints.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.every == ServiceEndpoints::default() && self.by_region.is_empty()
    }

    /// Regions with entries of their own.
    pub fn regions(&self) -> impl Iterator<Item = &Region> {
        self.by_region.keys()
    }
}

impl ServiceEndpoints {
    fn read(section: &mut Section<'_>) -> Self {
        Self {
            default: section.find("default", TEMPLATE),
            bedrock: section.find("bedrock", TEMPLATE),
            bedrock_runtime: section.find("bedrock_runtime", TEMPLATE),
        }
    }

    fn of(&self, service: Service) -> Option<&String> {
        let own = match service {
            Service::Bedrock => self.bedrock.as_ref(),
            Service::BedrockRuntime => self.bedrock_runtime.as_ref(),
        };
        own.or(self.default.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_special_endpoint_wins_and_gets_its_region() {
        let every = ServiceEndpoints {
            default: Some("http://{region}.test".into()),
            bedrock: Some("http://control.test".into()),
            ..ServiceEndpoints::default()
        };
        let special = ServiceEndpoints { bedrock_runtime: Some("http://special.test".into()), ..ServiceEndpoints::default() };
        let (east, west) = (Region::from("us-east-1"), Region::from("us-west-2"));
        let endpoints = Endpoints { every, by_region: BTreeMap::from([(west.clone(), special)]) };
        assert_eq!(endpoints.url(Service::BedrockRuntime, &east).as_deref(), Some("http://us-east-1.test"));
        assert_eq!(endpoints.url(Service::BedrockRuntime, &west).as_deref(), Some("http://special.test"));
        assert_eq!(endpoints.url(Service::Bedrock, &west).as_deref(), Some("http://control.test"));
        assert_eq!(Endpoints::default().url(Service::Bedrock, &east), None);
    }

    #[test]
    fn templates_are_urls_without_secrets_and_queries() {
        for text in ["http://127.0.0.1:4566/{region}", "https://bedrock.{region}.vpce.test/"] {
            assert!((TEMPLATE.parse)(text).is_some(), "{text}");
        }
        assert_eq!((TEMPLATE.parse)("http://a.test/x/").as_deref(), Some("http://a.test/x"));
        for text in [
            "",
            "a.test",
            "ftp://a.test",
            "http://u:p@a.test",
            "http://a.test/?q",
            "http://a.test/#f",
            "http://{zone}.test",
            " http://a.test",
        ] {
            assert_eq!((TEMPLATE.parse)(text), None, "{text}");
        }
    }
}

//! Where a region is called: AWS's own rules, or a URL of the operator's.

use aws_sdk_bedrockruntime::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
use futures_util::FutureExt;
use http::{HeaderValue, Uri, uri::Scheme};
use outcrop_domain::ids::Region;

use super::AwsSettings;
use crate::UpstreamError;

/// A checked endpoint, cut into the pieces a request is built from.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    /// Scheme, authority and path prefix, without a slash at the end.
    pub(crate) base: String,
    /// `Host`: the authority, without the scheme's default port, as the signature wants it.
    pub(crate) host: HeaderValue,
    /// `base` as a URI.
    pub(crate) uri: Uri,
}

impl Endpoint {
    /// The runtime's endpoint in `region`.
    pub(crate) fn runtime(region: &Region, settings: &AwsSettings) -> Result<Self, UpstreamError> {
        match &settings.runtime_endpoint {
            Some(template) => Self::parse(&fill_in(template, region)),
            None => Self::parse(&resolve(region, settings)?),
        }
    }

    /// Checks a URL from the settings.
    pub(crate) fn parse(url: &str) -> Result<Self, UpstreamError> {
        let refuse = |reason: &str| UpstreamError::Endpoint { url: url.to_owned(), reason: reason.to_owned() };
        let base = url.trim_end_matches('/');
        let uri: Uri = base.parse().map_err(|error: http::uri::InvalidUri| refuse(&error.to_string()))?;
        let scheme = uri.scheme().filter(|scheme| **scheme == Scheme::HTTP || **scheme == Scheme::HTTPS);
        let scheme = scheme.ok_or_else(|| refuse("it must begin with http:// or https://"))?;
        let authority = uri.authority().ok_or_else(|| refuse("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(refuse("it must not hold a user name or password"));
        }
        if uri.query().is_some() {
            return Err(refuse("it must not have a query"));
        }
        let default_port = if *scheme == Scheme::HTTPS { 443 } else { 80 };
        let host = match authority.port_u16() {
            Some(port) if port != default_port => authority.as_str(),
            _ => authority.host(),
        };
        let host = HeaderValue::from_str(host).map_err(|error| refuse(&error.to_string()))?;
        Ok(Self { base: base.to_owned(), host, uri })
    }
}

/// Puts the region into an endpoint template.
pub(crate) fn fill_in(template: &str, region: &Region) -> String {
    template.replace("{region}", region.as_str())
}

fn resolve(region: &Region, settings: &AwsSettings) -> Result<String, UpstreamError> {
    let no_endpoint = |reason: String| UpstreamError::NoEndpoint { region: region.clone(), reason };
    let params = Params::builder()
        .region(region.as_str())
        .use_fips(settings.fips)
        .use_dual_stack(settings.dual_stack)
        .build()
        .map_err(|error| no_endpoint(error.to_string()))?;
    let resolver = DefaultResolver::new();
    let resolved = ResolveEndpoint::resolve_endpoint(&resolver, &params)
        .now_or_never()
        .ok_or_else(|| no_endpoint("the resolver did not answer at once".to_owned()))?
        .map_err(|error| no_endpoint(error.to_string()))?;
    Ok(resolved.url().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(region: &str, fips: bool, dual_stack: bool) -> String {
        Endpoint::runtime(&Region::from(region), &AwsSettings { fips, dual_stack, ..AwsSettings::default() }).unwrap().base
    }

    #[test]
    fn awss_own_rules_name_the_host() {
        assert_eq!(base("us-east-1", false, false), "https://bedrock-runtime.us-east-1.amazonaws.com");
        assert_eq!(base("us-east-1", true, false), "https://bedrock-runtime-fips.us-east-1.amazonaws.com");
        assert_eq!(base("eu-west-1", false, true), "https://bedrock-runtime.eu-west-1.api.aws");
        assert_eq!(base("cn-north-1", false, false), "https://bedrock-runtime.cn-north-1.amazonaws.com.cn");
    }

    #[test]
    fn a_region_that_cannot_be_a_host_name_is_refused() {
        let refused = Endpoint::runtime(&Region::from("us east/1"), &AwsSettings::default());
        assert!(matches!(refused, Err(UpstreamError::NoEndpoint { .. })));
    }

    #[test]
    fn a_template_is_filled_and_cut_into_its_pieces() {
        let settings =
            AwsSettings { runtime_endpoint: Some("http://127.0.0.1:4566/{region}/bedrock/".to_owned()), ..AwsSettings::default() };
        let endpoint = Endpoint::runtime(&Region::from("eu-west-1"), &settings).unwrap();
        assert_eq!(endpoint.base, "http://127.0.0.1:4566/eu-west-1/bedrock");
        assert_eq!(endpoint.host, "127.0.0.1:4566");
    }

    #[test]
    fn the_schemes_own_port_is_left_off_the_host() {
        assert_eq!(Endpoint::parse("https://vpce.example:443").unwrap().host, "vpce.example");
        assert_eq!(Endpoint::parse("http://vpce.example:80").unwrap().host, "vpce.example");
        assert_eq!(Endpoint::parse("http://vpce.example:443").unwrap().host, "vpce.example:443");
    }

    #[test]
    fn urls_that_cannot_be_endpoints_are_refused() {
        for url in
            ["", "bedrock.example", "ftp://bedrock.example", "https://user:pass@bedrock.example", "https://b.example/?a=1", "https://"]
        {
            assert!(matches!(Endpoint::parse(url), Err(UpstreamError::Endpoint { .. })), "{url}");
        }
    }
}

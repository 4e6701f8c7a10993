//! ARNs that may stand in the place of a model's name.

use crate::ids::Region;

/// A Bedrock ARN taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Arn<'a> {
    /// Its region.
    pub(super) region: Region,
    /// What it names.
    pub(super) resource: ArnResource<'a>,
}

/// What an ARN names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ArnResource<'a> {
    /// `foundation-model/ID`: the bare id.
    FoundationModel(&'a str),
    /// `inference-profile/ID`: a system-defined profile's id, prefix included.
    InferenceProfile(&'a str),
    /// An application inference profile or a prompt router: pays per token, hides its model.
    Hidden,
    /// Provisioned throughput, imported and custom models: paid by the hour, hides its model.
    Provisioned,
}

impl<'a> Arn<'a> {
    /// Reads `arn:PARTITION:bedrock:REGION:ACCOUNT:KIND/ID`. `None` for everything that no model call takes.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        let (scheme, partition, service) = (parts.next()?, parts.next()?, parts.next()?);
        let (region, _account, resource) = (parts.next()?, parts.next()?, parts.next()?);
        if scheme != "arn" || !partition.starts_with("aws") || service != "bedrock" || !is_region(region) {
            return None;
        }
        let (kind, id) = resource.split_once('/')?;
        if id.is_empty() {
            return None;
        }
        let resource = match kind {
            "foundation-model" => ArnResource::FoundationModel(id),
            "inference-profile" => ArnResource::InferenceProfile(id),
            "application-inference-profile" | "prompt-router" | "default-prompt-router" => ArnResource::Hidden,
            "provisioned-model" | "imported-model" | "custom-model" | "custom-model-deployment" => ArnResource::Provisioned,
            _ => return None,
        };
        Some(Self { region: Region::from(region), resource })
    }
}

/// The shape of a region's name: `us-east-1`, `us-gov-west-1`, `ap-southeast-2`.
pub(super) fn is_region(text: &str) -> bool {
    let mut parts = text.split('-');
    let area = parts.next().is_some_and(|area| area.len() == 2 && area.bytes().all(|byte| byte.is_ascii_lowercase()));
    let number = parts.next_back().is_some_and(|number| number.len() == 1 && number.bytes().all(|byte| byte.is_ascii_digit()));
    let mut middle = parts.peekable();
    let words = middle.peek().is_some() && middle.all(|word| word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_lowercase()));
    area && number && words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_are_taken_apart() {
        let arn = Arn::parse("arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0").unwrap();
        assert_eq!(arn.region.as_str(), "us-east-1");
        assert_eq!(arn.resource, ArnResource::FoundationModel("anthropic.claude-3-haiku-20240307-v1:0"));
        let arn = Arn::parse("arn:aws-us-gov:bedrock:us-gov-west-1:123456789012:application-inference-profile/abc").unwrap();
        assert_eq!(arn.resource, ArnResource::Hidden);
        let arn = Arn::parse("arn:aws:bedrock:eu-west-1:1:provisioned-model/x").unwrap();
        assert_eq!(arn.resource, ArnResource::Provisioned);
        for wrong in [
            "arn:aws:s3:::bucket/key",
            "arn:aws:bedrock:us-east-1:1:agent/x",
            "arn:aws:bedrock::1:foundation-model/x.y",
            "arn:aws:bedrock:us-east-1:1:foundation-model/",
            "arn:",
            "arn",
            "arn:aws:bedrock:us-east-1",
        ] {
            assert_eq!(Arn::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn regions_are_told_from_other_words() {
        for region in ["us-east-1", "us-gov-west-1", "ap-southeast-2", "eu-central-1", "mx-central-1"] {
            assert!(is_region(region), "{region}");
        }
        for other in ["us", "us-1", "claude-sonnet-4", "us-east", "nova-pro-1", "us-east-10", "", "-"] {
            assert!(!is_region(other), "{other}");
        }
    }
}

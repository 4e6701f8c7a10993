mod listing;
mod names;
mod targets;

use super::*;
use crate::{
    ids::{Geography, InvokeId},
    model::{BUILTIN, ModelBook, OfferedModel, OfferedProfile, ProfileKind, RegionOffer},
};

/// The account number of every ARN here.
const ACCOUNT: &str = "123456789012";

fn book() -> &'static ModelBook {
    static BOOK: std::sync::OnceLock<ModelBook> = std::sync::OnceLock::new();
    BOOK.get_or_init(|| ModelBook::load(BUILTIN).unwrap_or_else(|problems| panic!("{problems:?}")))
}

/// Geographies whose profiles a region offers, with the regions they route to.
fn geographies_of(region: &str) -> Vec<(&'static str, Vec<&'static str>)> {
    let us = ("us", vec!["us-east-1", "us-east-2", "us-west-2"]);
    let eu = ("eu", vec!["eu-central-1", "eu-north-1", "eu-west-1"]);
    let apac = ("apac", vec!["ap-northeast-1", "ap-south-1", "ap-southeast-1", "ap-southeast-2"]);
    let jp = ("jp", vec!["ap-northeast-1", "ap-northeast-3"]);
    let gov = ("us-gov", vec!["us-gov-east-1", "us-gov-west-1"]);
    let global = ("global", vec![]);
    match region {
        "ap-northeast-1" => vec![apac, jp, global],
        region if region.starts_with("us-gov-") => vec![gov],
        region if region.starts_with("us-") => vec![us, global],
        region if region.starts_with("eu-") => vec![eu, global],
        _ => vec![apac, global],
    }
}

fn model(id: &str, on_demand: bool) -> OfferedModel {
    OfferedModel {
        id: id.into(),
        name: id.to_owned(),
        provider: "Test".to_owned(),
        input: vec!["TEXT".to_owned()],
        output: vec!["TEXT".to_owned()],
        streaming: true,
        lifecycle: "ACTIVE".to_owned(),
        on_demand,
        available: true,
    }
}

fn profile(prefix: &str, id: &str, region: &str, regions: &[&str]) -> OfferedProfile {
    OfferedProfile {
        id: format!("{prefix}.{id}").into(),
        arn: format!("arn:aws:bedrock:{region}:{ACCOUNT}:inference-profile/{prefix}.{id}"),
        name: format!("{prefix} {id}"),
        model: id.into(),
        regions: regions.iter().map(|region| Region::from(*region)).collect(),
        kind: ProfileKind::SystemDefined,
    }
}

/// What a region offers of the book's models: bare ids where the book knows them, profiles of the region's geographies.
fn offer_of(region: &str, wanted: impl Fn(&ModelSpec) -> bool) -> RegionOffer {
    let mut offer = RegionOffer { region: region.into(), models: Vec::new(), profiles: Vec::new(), problems: Vec::new() };
    for spec in book().models().filter(|spec| wanted(spec)) {
        let id = spec.id.as_str();
        let mut listed = model(id, spec.bare_id != crate::model::BareId::Unlisted);
        if spec.lifecycle == crate::model::Lifecycle::Legacy {
            listed.lifecycle = "LEGACY".to_owned();
        }
        let profiles = geographies_of(region).into_iter().filter(|(prefix, _)| spec.geographies.contains(&Geography::from(*prefix)));
        let profiles: Vec<OfferedProfile> = profiles.map(|(prefix, regions)| profile(prefix, id, region, &regions)).collect();
        if listed.on_demand || !profiles.is_empty() {
            offer.models.push(listed);
            offer.profiles.extend(profiles);
        }
    }
    offer
}

fn offers(regions: &[&str]) -> Vec<RegionOffer> {
    regions.iter().map(|region| offer_of(region, |_| true)).collect()
}

fn build(regions: &[&str], policy: &CataloguePolicy) -> Catalogue {
    Catalogue::build(book(), &offers(regions), policy)
}

/// Two US regions, one in Europe, one in Japan.
fn usual() -> Catalogue {
    build(&["us-east-1", "us-west-2", "eu-west-1", "ap-northeast-1"], &CataloguePolicy::default())
}

fn resolved(catalogue: &Catalogue, name: &str) -> Resolution {
    catalogue.resolve(name).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn id_of(catalogue: &Catalogue, name: &str) -> String {
    resolved(catalogue, name).model.id.to_string()
}

fn refused(catalogue: &Catalogue, name: &str) -> ResolveError {
    match catalogue.resolve(name) {
        Ok(resolution) => panic!("{name} resolved to {}", resolution.model.id),
        Err(error) => error,
    }
}

/// `region=id` of every target.
fn ways(resolution: &Resolution) -> Vec<String> {
    resolution.targets.iter().map(|target| format!("{}={}", target.region, target.invoke_id)).collect()
}

fn alias(name: &str, model: &str) -> AliasTarget {
    AliasTarget { name: name.into(), model: model.to_owned() }
}

fn application_arn(region: &str) -> String {
    format!("arn:aws:bedrock:{region}:{ACCOUNT}:application-inference-profile/abcdef123456")
}

fn configured(arn: &str, model: &str, serves: ProfileUse) -> ConfiguredProfile {
    ConfiguredProfile { arn: InvokeId::from(arn), model: model.to_owned(), serves }
}

//! Where models are called, and by which id.

use super::*;

const SONNET: &str = "anthropic.claude-sonnet-4-6";
const NOVA: &str = "amazon.nova-pro-v1:0";

fn region_names(regions: &[&str]) -> Vec<Region> {
    regions.iter().map(|region| Region::from(*region)).collect()
}

#[test]
fn each_region_gives_its_best_way_in_the_configured_order() {
    let policy = CataloguePolicy { regions: region_names(&["eu-west-1", "us-east-1", "ap-northeast-1"]), ..CataloguePolicy::default() };
    let catalogue = build(&["us-east-1", "us-west-2", "eu-west-1", "ap-northeast-1"], &policy);
    // Bare where it is offered on demand.
    assert_eq!(
        ways(&resolved(&catalogue, NOVA)),
        [format!("eu-west-1={NOVA}"), format!("us-east-1={NOVA}"), format!("ap-northeast-1={NOVA}")]
    );
    // No bare form: geography profiles, the narrow `jp` before the wide `apac`.
    let id = "anthropic.claude-sonnet-4-5-20250929-v1:0";
    assert_eq!(
        ways(&resolved(&catalogue, id)),
        [format!("eu-west-1=eu.{id}"), format!("us-east-1=us.{id}"), format!("ap-northeast-1=jp.{id}")]
    );
    // Only a global profile is offered in Europe.
    let grok = resolved(&catalogue, "xai.grok-4.7");
    assert_eq!(ways(&grok)[0], "eu-west-1=global.xai.grok-4.7");
    assert_eq!(grok.targets[0].class, ProfileClass::Global);
    assert_eq!(grok.targets[1].class, ProfileClass::Geography("us".into()));
}

#[test]
fn a_bare_id_that_only_the_other_endpoint_serves_is_not_called() {
    let catalogue = build(&["us-east-1"], &CataloguePolicy::default());
    assert_eq!(ways(&resolved(&catalogue, "openai.gpt-5.4")), ["us-east-1=us.openai.gpt-5.4"]);
    assert_eq!(ways(&resolved(&catalogue, "anthropic.claude-opus-4-8")), ["us-east-1=us.anthropic.claude-opus-4-8"]);
}

#[test]
fn global_may_be_preferred_or_switched_off() {
    let global = CataloguePolicy { prefer: ProfilePreference::Global, ..CataloguePolicy::default() };
    assert_eq!(ways(&resolved(&build(&["us-east-1"], &global), SONNET)), [format!("us-east-1=global.{SONNET}")]);
    let off = CataloguePolicy { allow_global: false, ..CataloguePolicy::default() };
    let catalogue = build(&["eu-west-1"], &off);
    assert_eq!(ways(&resolved(&catalogue, "anthropic.claude-opus-4-7")), ["eu-west-1=eu.anthropic.claude-opus-4-7"]);
    let error = refused(&catalogue, "xai.grok-4.7");
    assert!(matches!(error, ResolveError::Fenced { .. }) && error.to_string().contains("`global` is switched off"), "{error}");
}

#[test]
fn nothing_leaves_the_residency_fence() {
    let policy = CataloguePolicy { residency: vec!["eu".to_owned()], ..CataloguePolicy::default() };
    let regions = ["us-east-1", "eu-west-1", "eu-central-1", "ap-northeast-1"];
    let catalogue = build(&regions, &policy);
    for listed in catalogue.list() {
        for target in resolved(&catalogue, listed.id.as_str()).targets.iter() {
            assert!(target.region.as_str().starts_with("eu-"), "{target:?}");
            assert!(!matches!(target.class, ProfileClass::Global), "{target:?}");
            assert!(matches!(&target.class, ProfileClass::OnDemand) || target.invoke_id.as_str().starts_with("eu."), "{target:?}");
        }
    }
    // A name that asks for another geography is remapped into the fence, and says so.
    let remapped = resolved(&catalogue, &format!("us.{SONNET}"));
    assert_eq!(remapped.notes.to_string(), "model=profile_remapped");
    assert!(remapped.targets.iter().all(|target| target.region.as_str().starts_with("eu-")));
    let ResolveError::Fenced { invoke_id, .. } = refused(&catalogue, "xai.grok-4.7") else { panic!("expected Fenced") };
    assert!(invoke_id.as_str().ends_with("xai.grok-4.7"));
    let error = crate::error::GatewayError::from(refused(&catalogue, "xai.grok-4.7"));
    assert_eq!(error.class(), "forbidden");
    assert!(error.to_string().contains("(eu)"), "{error}");
}

#[test]
fn a_profile_with_one_destination_outside_the_fence_pins_the_model_to_its_region() {
    let mut offer = offer_of("eu-west-1", |spec| spec.id.as_str() == SONNET);
    offer.profiles = vec![profile("eu", SONNET, "eu-west-1", &["eu-west-1", "us-east-1"])];
    let fenced = CataloguePolicy { residency: vec!["eu".to_owned()], ..CataloguePolicy::default() };
    let own = Catalogue::build(book(), &[offer.clone()], &fenced);
    assert_eq!(ways(&resolved(&own, SONNET)), [format!("eu-west-1={SONNET}")]);
    for model in &mut offer.models {
        model.on_demand = false;
    }
    let error = refused(&Catalogue::build(book(), &[offer.clone()], &fenced), SONNET);
    let expected = ResolveError::Fenced {
        model: SONNET.into(),
        invoke_id: format!("eu.{SONNET}").into(),
        destination: Some("us-east-1".into()),
        fence: vec!["eu".to_owned()],
    };
    assert_eq!(error, expected);
    // Destinations that nobody told: only the fence's own geography vouches for them.
    offer.profiles[0].regions.clear();
    assert_eq!(ways(&resolved(&Catalogue::build(book(), &[offer.clone()], &fenced), SONNET)), [format!("eu-west-1=eu.{SONNET}")]);
    let single = CataloguePolicy { residency: vec!["eu-west-1".to_owned()], ..CataloguePolicy::default() };
    assert!(matches!(refused(&Catalogue::build(book(), &[offer], &single), SONNET), ResolveError::Fenced { destination: None, .. }));
}

#[test]
fn a_misspelt_fence_lets_nothing_out() {
    let catalogue =
        build(&["eu-west-1", "us-east-1"], &CataloguePolicy { residency: vec!["europe".to_owned()], ..CataloguePolicy::default() });
    assert_eq!(catalogue.list().len(), 0);
    assert!(catalogue.problems()[0].contains("`europe`"));
}

#[test]
fn a_profile_prefix_is_honoured_where_it_fits_and_remapped_where_not() {
    let catalogue = usual();
    let honoured = resolved(&catalogue, "us.amazon.nova-pro-v1:0");
    assert_eq!(ways(&honoured), [format!("us-east-1=us.{NOVA}"), format!("us-west-2=us.{NOVA}")]);
    assert!(honoured.notes.is_empty());
    let europe = build(&["eu-west-1"], &CataloguePolicy::default());
    let foreign = resolved(&europe, "us.anthropic.claude-opus-4-7");
    assert_eq!(
        (ways(&foreign), foreign.notes.to_string()),
        (vec!["eu-west-1=eu.anthropic.claude-opus-4-7".to_owned()], "model=profile_remapped".to_owned())
    );
    let global = resolved(&catalogue, &format!("global.{SONNET}"));
    assert!(global.targets.len() == 4 && global.targets.iter().all(|target| target.class == ProfileClass::Global));
    let remap = build(&["us-east-1"], &CataloguePolicy { prefixed_names: PrefixedNames::Remap, ..CataloguePolicy::default() });
    let remapped = resolved(&remap, "us.amazon.nova-pro-v1:0");
    assert_eq!((ways(&remapped), remapped.notes.to_string()), (vec![format!("us-east-1={NOVA}")], "model=profile_remapped".to_owned()));
}

#[test]
fn a_region_in_the_name_pins_it() {
    let catalogue = usual();
    assert_eq!(ways(&resolved(&catalogue, "bedrock/us-west-2/amazon.nova-pro-v1:0")), [format!("us-west-2={NOVA}")]);
    let elsewhere = resolved(&catalogue, "bedrock/sa-east-1/amazon.nova-pro-v1:0");
    assert_eq!((elsewhere.targets.len(), elsewhere.notes.to_string().as_str()), (4, "model=region_remapped"));
    let arn = resolved(&catalogue, &format!("arn:aws:bedrock:us-west-2:{ACCOUNT}:inference-profile/us.{SONNET}"));
    assert_eq!(ways(&arn), [format!("us-west-2=us.{SONNET}")]);
    let bare = resolved(&catalogue, &format!("arn:aws:bedrock:eu-west-1::foundation-model/{NOVA}"));
    assert_eq!(ways(&bare), [format!("eu-west-1={NOVA}")]);
}

#[test]
fn application_profiles_are_called_by_their_arn_in_their_region() {
    let arn = application_arn("us-west-2");
    let mut all = offers(&["us-east-1", "us-west-2"]);
    let unknown = Catalogue::build(book(), &all, &CataloguePolicy::default());
    let expected = ResolveError::ProfileUnknown { arn: arn.as_str().into(), region: "us-west-2".into() };
    assert_eq!(refused(&unknown, &arn), expected);
    assert_eq!(refused(&unknown, &format!("bedrock/converse/{arn}")), expected);
    all[1].profiles.push(OfferedProfile {
        id: arn.as_str().into(),
        arn: arn.clone(),
        name: "team".to_owned(),
        model: SONNET.into(),
        regions: region_names(&["us-west-2", "us-east-1", "us-east-2"]),
        kind: ProfileKind::Application,
    });
    let known = Catalogue::build(book(), &all, &CataloguePolicy::default());
    for name in [arn.clone(), format!("bedrock/{arn}")] {
        let resolution = resolved(&known, &name);
        assert_eq!((resolution.model.id.as_str(), ways(&resolution)), (SONNET, vec![format!("us-west-2={arn}")]));
        assert_eq!(resolution.targets[0].class, ProfileClass::Application(Some("us".into())), "it routes as the us profile does");
    }
    // The model itself is called as before.
    assert_eq!(ways(&resolved(&known, SONNET)), ways(&resolved(&unknown, SONNET)));
    let fenced = CataloguePolicy { residency: vec!["us-west-2".to_owned()], ..CataloguePolicy::default() };
    let fenced = Catalogue::build(book(), &all, &fenced);
    assert!(fenced.problems().iter().any(|problem| problem.contains("outside the allowed geographies")));
    assert!(matches!(refused(&fenced, &arn), ResolveError::ProfileUnknown { .. }));
}

#[test]
fn hidden_models_come_from_the_policy() {
    let router = format!("arn:aws:bedrock:us-east-1:{ACCOUNT}:default-prompt-router/anthropic.claude:1");
    let provisioned = format!("arn:aws:bedrock:us-east-1:{ACCOUNT}:provisioned-model/xyz");
    let imported = format!("arn:aws:bedrock:us-east-1:{ACCOUNT}:imported-model/llama");
    let foreign = format!("arn:aws:bedrock:sa-east-1:{ACCOUNT}:provisioned-model/xyz");
    let policy = CataloguePolicy {
        profiles: vec![
            configured(&router, "claude-sonnet-4-6", ProfileUse::ItsArn),
            configured(&provisioned, NOVA, ProfileUse::ItsModel),
            configured(&imported, "llama-3.1-8b", ProfileUse::ItsArn),
            configured(&foreign, NOVA, ProfileUse::ItsArn),
            configured("no-arn", NOVA, ProfileUse::ItsArn),
            configured(&format!("{provisioned}2"), "no-such-model", ProfileUse::ItsArn),
        ],
        ..CataloguePolicy::default()
    };
    let catalogue = build(&["us-east-1", "us-west-2"], &policy);
    let of = |name: &str| {
        let resolution = resolved(&catalogue, name);
        (resolution.model.id.to_string(), resolution.targets[0].class.clone(), ways(&resolution))
    };
    assert_eq!(of(&router), (SONNET.to_owned(), ProfileClass::Application(None), vec![format!("us-east-1={router}")]));
    assert_eq!(of(&imported).1, ProfileClass::Provisioned);
    assert_eq!(of(&imported).0, "meta.llama3-1-8b-instruct-v1:0");
    // It takes the place of the bare id in its region, in every spelling.
    let expected = vec![format!("us-east-1={provisioned}"), format!("us-west-2={NOVA}")];
    assert_eq!((of(NOVA).2, of("nova-pro").2), (expected.clone(), expected));
    assert!(matches!(refused(&catalogue, &foreign), ResolveError::RegionNotConfigured { .. }));
    assert_eq!(catalogue.problems().len(), 3);
}

#[test]
fn a_profile_may_be_the_only_way_to_a_model() {
    let arn = application_arn("us-east-1");
    let policy = CataloguePolicy { profiles: vec![configured(&arn, SONNET, ProfileUse::ItsModel)], ..CataloguePolicy::default() };
    let offers = [offer_of("us-east-1", |spec| spec.id.as_str() == NOVA)];
    let catalogue = Catalogue::build(book(), &offers, &policy);
    assert_eq!(ways(&resolved(&catalogue, "claude-sonnet-4-6")), [format!("us-east-1={arn}")]);
}

#[test]
fn models_that_cannot_be_called_say_why() {
    let mut offer = offer_of("us-east-1", |spec| spec.id.as_str() == NOVA || spec.id.as_str() == SONNET);
    for model in offer.models.iter_mut().filter(|model| model.id.as_str() == SONNET) {
        model.available = false;
    }
    let policy = CataloguePolicy { deny_models: vec!["*nova-p*".to_owned()], ..CataloguePolicy::default() };
    let catalogue = Catalogue::build(book(), &[offer], &policy);
    assert_eq!(refused(&catalogue, SONNET), ResolveError::NoAccess { model: SONNET.into(), regions: region_names(&["us-east-1"]) });
    assert_eq!(refused(&catalogue, "nova-pro"), ResolveError::Disabled { model: NOVA.into() });
    let error = refused(&catalogue, "xai.grok-4.7");
    assert_eq!(
        error.to_string(),
        "the model `xai.grok-4.7` is known but not available in your regions (us-east-1); AWS lists profiles of it for: global, us"
    );
    assert_eq!(catalogue.list().len(), 0);
    assert_eq!(catalogue.uncallable().count(), 145);
    let allowing = CataloguePolicy { allow_models: vec!["anthropic.*".to_owned()], ..CataloguePolicy::default() };
    let allowing = build(&["us-east-1"], &allowing);
    assert!(allowing.list().len() > 5 && allowing.list().all(|model| model.id.as_str().starts_with("anthropic.")));
}

#[test]
fn models_that_the_book_lacks_are_served_with_cautious_capabilities() {
    let mut offer = offer_of("us-east-1", |_| false);
    let mut fresh = model("acme.brand-new-v1:0", true);
    fresh.input.push("IMAGE".to_owned());
    fresh.lifecycle = "LEGACY".to_owned();
    offer.models.push(fresh);
    let mut vectors = model("acme.vectors-v1", true);
    vectors.output = vec!["EMBEDDING".to_owned()];
    offer.models.push(vectors);
    offer.profiles.push(profile("sa", "acme.southern", "us-east-1", &["sa-east-1"]));
    let catalogue = Catalogue::build(book(), &[offer], &CataloguePolicy::default());
    let fresh = resolved(&catalogue, "brand-new").model;
    assert_eq!(
        (fresh.price.clone(), fresh.origin, fresh.lifecycle),
        (None, crate::model::Origin::Discovery, crate::model::Lifecycle::Legacy)
    );
    let chat = fresh.chat.clone().unwrap();
    assert!(chat.images && !chat.video);
    assert!(resolved(&catalogue, "acme.vectors-v1").model.chat.is_none());
    // A geography that no data file knows works as soon as discovery tells of it.
    let southern = resolved(&catalogue, "sa.acme.southern");
    assert_eq!(southern.targets[0].class, ProfileClass::Geography("sa".into()));
}

#[test]
fn discovery_knows_better_whether_a_model_is_legacy() {
    let mut offer = offer_of("us-east-1", |spec| spec.id.as_str() == NOVA);
    offer.models[0].lifecycle = "LEGACY".to_owned();
    let catalogue = Catalogue::build(book(), &[offer], &CataloguePolicy::default());
    let spec = resolved(&catalogue, NOVA).model;
    assert_eq!(spec.lifecycle, crate::model::Lifecycle::Legacy);
    assert!(spec.price.is_some(), "the rest of the row stays");
}

#[test]
fn govcloud_profiles_have_their_own_class() {
    let catalogue = build(&["us-gov-west-1"], &CataloguePolicy { residency: vec!["us-gov".to_owned()], ..CataloguePolicy::default() });
    let resolution = resolved(&catalogue, "claude-sonnet-4-5");
    assert_eq!(ways(&resolution), ["us-gov-west-1=us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0"]);
    assert_eq!(resolution.targets[0].class.to_string(), "us-gov");
    assert_eq!(id_of(&catalogue, "us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0"), "anthropic.claude-sonnet-4-5-20250929-v1:0");
}

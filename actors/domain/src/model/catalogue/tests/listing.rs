//! The list of models and its filter.

use super::*;

fn matching(query: &[(&str, &str)]) -> Vec<String> {
    let catalogue = usual();
    let filter = ModelFilter::parse(query.iter().copied(), catalogue.regions()).unwrap();
    catalogue.list().filter(|model| filter.matches(model)).map(|model| model.id.to_string()).collect()
}

#[test]
fn the_list_holds_what_can_be_called_with_regions_and_other_names() {
    let policy =
        CataloguePolicy { aliases: vec![alias("smart", "claude-sonnet-4-6"), alias("old", "claude-3-opus")], ..CataloguePolicy::default() };
    let catalogue = build(&["us-east-1", "eu-west-1"], &policy);
    let ids: Vec<&str> = catalogue.list().map(|model| model.id.as_str()).collect();
    assert!(ids.is_sorted() && ids.len() > 100, "{}", ids.len());
    assert!(!ids.contains(&"xai.grok-4.3"), "models of the other endpoint only are not listed");
    let sonnet = catalogue.listed("anthropic.claude-sonnet-4-6").unwrap();
    let aliases: Vec<&str> = sonnet.aliases.iter().map(ModelAlias::as_str).collect();
    assert_eq!(aliases, ["smart", "claude-sonnet-4-6"]);
    assert_eq!(sonnet.regions, [Region::from("us-east-1"), Region::from("eu-west-1")]);
    let core = catalogue.listed("stability.sd3-5-large-v1:0").unwrap();
    assert!(core.aliases.iter().any(|alias| alias.as_str() == "stable-diffusion-3.5-large"));
    let opus = catalogue.listed("anthropic.claude-opus-5-5").unwrap();
    assert!(!opus.aliases.iter().any(|alias| alias.as_str() == "old"), "an alias of a retired model is no name of its replacement");
    assert_eq!(catalogue.listed("none.such"), None);
}

#[test]
fn the_profiles_of_callable_models_are_listed_and_are_names() {
    let catalogue = build(&["us-east-1", "eu-west-1"], &CataloguePolicy::default());
    let profile = catalogue.profiles().find(|profile| profile.id.as_str() == "us.anthropic.claude-sonnet-4-6").unwrap();
    assert_eq!((profile.geography.to_string().as_str(), profile.spec.id.as_str()), ("us", "anthropic.claude-sonnet-4-6"));
    assert!(profile.targets.iter().all(|target| target.invoke_id == *profile.id));
    for profile in catalogue.profiles() {
        assert_eq!(catalogue.resolve(profile.id.as_str()).unwrap().model.id, profile.spec.id);
        assert!(catalogue.listed(profile.spec.id.as_str()).is_some(), "{}", profile.id);
    }
}

#[test]
fn the_filter_narrows_by_each_parameter() {
    let embeddings = matching(&[("output_modalities", "EMBEDDING")]);
    assert!(embeddings.len() == 10 && embeddings == matching(&[("route", "/v1/embeddings")]), "{embeddings:?}");
    let images = matching(&[("route", "images/generations")]);
    assert_eq!(images, ["stability.sd3-5-large-v1:0", "stability.stable-image-core-v1:1", "stability.stable-image-ultra-v1:1"]);
    assert_eq!(matching(&[("route", "rerank")]), ["amazon.rerank-v1:0", "cohere.rerank-v3-5:0"]);
    assert_eq!(matching(&[("route", "videos")]), ["luma.ray-v2:0"]);
    let chat = matching(&[("route", "/v1/chat/completions")]);
    assert_eq!(chat, matching(&[("route", "messages")]));
    assert!(chat.contains(&"anthropic.claude-sonnet-4-6".to_owned()) && !chat.contains(&"twelvelabs.pegasus-1-5-v1:0".to_owned()));
    let video_readers = matching(&[("input_modalities", "video,image"), ("output_modalities", "text")]);
    assert_eq!(video_readers, ["amazon.nova-2-lite-v1:0", "amazon.nova-lite-v1:0", "amazon.nova-pro-v1:0", "writer.palmyra-vision-7b"]);
    assert!(matching(&[("streaming", "false")]).iter().all(|id| !id.starts_with("anthropic.")));
    let legacy = matching(&[("legacy", "true"), ("region", "us-west-2")]);
    assert!(legacy.contains(&"anthropic.claude-3-haiku-20240307-v1:0".to_owned()) && !legacy.iter().any(|id| id.contains("opus-5")));
    assert_eq!(matching(&[("model", "claude-sonnet-4-6")]), ["anthropic.claude-sonnet-4-6"]);
    assert_eq!(matching(&[("model", "*no-such*")]), Vec::<String>::new());
    assert_eq!(matching(&[]).len(), usual().list().len());
}

#[test]
fn unknown_parameters_and_values_are_errors() {
    let regions = [Region::from("us-east-1")];
    for (name, value) in [
        ("input_modalities", "SMELL"),
        ("output_modalities", ""),
        ("region", "eu-west-1"),
        ("route", "/v1/nothing"),
        ("streaming", "yes"),
        ("legacy", "2"),
    ] {
        let error = ModelFilter::parse([(name, value)], &regions).unwrap_err();
        assert!(matches!(&error, FilterError::UnknownValue { name: told, .. } if *told == name), "{error}");
    }
    assert!(matches!(ModelFilter::parse([("modality", "x")], &regions), Err(FilterError::UnknownParameter { .. })));
}

#[test]
fn routes_are_read_from_paths() {
    assert_eq!(Route::from_path("/v1/chat/completions"), Some(Route::ChatCompletions));
    assert_eq!(Route::from_path("/v1/completions"), Some(Route::Completions));
    assert_eq!(Route::from_path("/anthropic/v1/messages/"), Some(Route::Messages));
    assert_eq!(Route::from_path("embeddings"), Some(Route::Embeddings));
    assert_eq!(Route::from_path("myembeddings"), None);
    for route in Route::ALL {
        assert_eq!(Route::from_path(route.path()), Some(route));
    }
}

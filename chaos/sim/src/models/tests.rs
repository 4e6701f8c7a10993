use super::*;

fn refusal(region: &str, label: &str) -> (u16, &'static str, String) {
    let refusal = ModelBook::builtin().resolve(region, label).unwrap_err();
    (refusal.status, refusal.error_type, refusal.message)
}

fn resolved(region: &str, label: &str) -> String {
    ModelBook::builtin().resolve(region, label).unwrap().id.clone()
}

#[test]
fn the_compiled_in_book_is_sound() {
    let book = ModelBook::parse(DATA).unwrap();
    assert!(book.all().len() > 130);
    for model in book.all() {
        let known = ["TEXT", "IMAGE", "VIDEO", "AUDIO", "SPEECH", "EMBEDDING"];
        assert!(model.input.iter().chain(&model.output).all(|kind| known.contains(&kind.as_str())), "{}", model.id);
        assert!(["ACTIVE", "LEGACY", "EOL"].contains(&model.lifecycle.as_str()), "{}", model.id);
        assert!(
            !model.on_demand_regions.is_empty() || !model.profiles.is_empty() || model.lifecycle == "EOL" || model.id.starts_with("openai"),
            "{}",
            model.id
        );
        if let Some(traits) = &model.traits {
            assert!(traits.max_output <= traits.context, "{}", model.id);
            assert_eq!(traits.cache_min > 0, traits.cache != CacheMode::None, "{}", model.id);
        }
    }
}

#[test]
fn mistakes_in_the_file_are_found() {
    let row = |extra: &str| {
        let model = "id = \"a.b\"\nname = \"B\"\nprovider = \"A\"\ninput = []\noutput = []\nstreaming = true\nlifecycle = \"ACTIVE\"\non_demand_regions = []\n";
        format!("application = []\n[geography]\nus = []\n[family.f]\n[[model]]\n{model}{extra}")
    };
    for (extra, complaint) in [
        ("profiles = [\"mars\"]", "prefix without geography"),
        ("profiles = []\nfamily = \"g\"", "unknown family"),
        ("profiles = []\nfamily = \"f\"", "missing field"),
        ("profiles = []\nshape = 1", "unknown field"),
    ] {
        let fault = ModelBook::parse(&row(extra)).unwrap_err();
        assert!(fault.contains(complaint), "{fault}");
    }
    assert!(ModelBook::parse(&row("profiles = [\"us\"]")).is_ok());
}

#[test]
fn bare_ids_resolve_only_where_on_demand_exists() {
    assert_eq!(resolved("us-east-1", "amazon.nova-lite-v1:0"), "amazon.nova-lite-v1:0");
    assert_eq!(resolved("eu-west-2", "anthropic.claude-sonnet-4-6"), "anthropic.claude-sonnet-4-6");
    let (status, kind, message) = refusal("us-east-1", "anthropic.claude-sonnet-4-6");
    assert_eq!((status, kind), (400, "ValidationException"));
    assert_eq!(
        message,
        "Invocation of model ID anthropic.claude-sonnet-4-6 with on-demand throughput isn't supported. Retry your request with the ID or ARN of an inference profile that contains this model."
    );
    assert_eq!(refusal("eu-central-1", "meta.llama3-3-70b-instruct-v1:0").2, "The provided model identifier is invalid.");
    assert_eq!(refusal("us-east-1", "claude-sonnet-4-6").2, "The provided model identifier is invalid.");
    assert_eq!(refusal("us-gov-west-1", "openai.gpt-oss-20b-1:0").1, "ValidationException");
}

#[test]
fn profiles_resolve_only_inside_their_geography() {
    let haiku = "anthropic.claude-haiku-4-5-20251001-v1:0";
    for (region, prefix) in
        [("us-west-2", "us"), ("eu-north-1", "eu"), ("ap-northeast-1", "jp"), ("ap-southeast-2", "au"), ("ca-central-1", "global")]
    {
        assert_eq!(resolved(region, &format!("{prefix}.{haiku}")), haiku);
    }
    assert_eq!(refusal("eu-west-1", &format!("us.{haiku}")).2, "The provided model identifier is invalid.");
    assert_eq!(refusal("us-east-1", &format!("apac.{haiku}")).2, "The provided model identifier is invalid.");
    assert_eq!(refusal("us-gov-west-1", &format!("global.{haiku}")).2, "The provided model identifier is invalid.");
}

#[test]
fn arns_resolve_in_their_own_region() {
    let nova = "amazon.nova-lite-v1:0";
    assert_eq!(resolved("us-east-1", &format!("arn:aws:bedrock:us-east-1::foundation-model/{nova}")), nova);
    assert_eq!(resolved("us-east-1", &format!("arn:aws:bedrock:us-east-1:{ACCOUNT}:inference-profile/us.{nova}")), nova);
    let app = |region: &str, id: &str| format!("arn:aws:bedrock:{region}:{ACCOUNT}:application-inference-profile/{id}");
    assert_eq!(resolved("eu-west-1", &app("eu-west-1", "app1claude")), "anthropic.claude-sonnet-4-6");
    assert_eq!(resolved("eu-west-1", &app("eu-west-1", "app2nova")), "amazon.nova-2-lite-v1:0");
    assert_eq!(refusal("us-east-1", &app("eu-west-1", "app1claude")).1, "ValidationException");
    assert_eq!(refusal("us-east-1", &app("us-east-1", "nope")).0, 404);
    assert_eq!(refusal("us-east-1", "arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abc").1, "ResourceNotFoundException");
    assert_eq!(refusal("us-east-1", "arn:aws:s3:::bucket").2, "The provided model identifier is invalid.");
    assert!(
        refusal("us-east-1", &format!("arn:aws:bedrock:us-east-1::foundation-model/{}", "anthropic.claude-sonnet-4-6"))
            .2
            .contains("on-demand throughput")
    );
}

#[test]
fn tokens_are_counted_under_the_names_of_models_and_not_of_profiles() {
    let book = ModelBook::builtin();
    let counted = |region: &str, label: &str| book.resolve_counted(region, label).map(|model| model.id.clone());
    let haiku = "anthropic.claude-haiku-4-5-20251001-v1:0";
    assert_eq!(counted("us-east-1", haiku).unwrap(), haiku);
    assert_eq!(counted("us-east-1", &format!("arn:aws:bedrock:us-east-1::foundation-model/{haiku}")).unwrap(), haiku);
    for label in [
        format!("us.{haiku}"),
        format!("arn:aws:bedrock:us-east-1:{ACCOUNT}:inference-profile/us.{haiku}"),
        format!("arn:aws:bedrock:us-east-1:{ACCOUNT}:application-inference-profile/app1claude"),
    ] {
        assert!(counted("us-east-1", &label).unwrap_err().message.contains("doesn't support counting tokens"), "{label}");
    }
    assert_eq!(counted("us-east-1", "anthropic.claude-3-opus-20240229-v1:0").unwrap_err().status, 404);
    assert_eq!(counted("us-east-1", "claude").unwrap_err().message, "The provided model identifier is invalid.");
    let foreign = format!("arn:aws:bedrock:eu-west-1::foundation-model/{haiku}");
    assert!(counted("us-east-1", &foreign).unwrap_err().message.contains("invalid for the service region"));
}

#[test]
fn retired_models_say_so_by_every_name() {
    for label in [
        "anthropic.claude-3-opus-20240229-v1:0",
        "us.anthropic.claude-3-opus-20240229-v1:0",
        "arn:aws:bedrock:eu-west-1::foundation-model/anthropic.claude-3-opus-20240229-v1:0",
    ] {
        let (status, kind, message) = refusal("eu-west-1", label);
        assert_eq!((status, kind), (404, "ResourceNotFoundException"));
        assert!(message.contains("This model version has reached the end of its life"));
    }
}

#[test]
fn listings_hold_what_the_region_can_call_and_nothing_retired() {
    let book = ModelBook::builtin();
    let ids = |region: &str| book.offered_in(region).into_iter().map(|model| model.id.clone()).collect::<Vec<_>>();
    assert!(ids("us-west-2").contains(&"stability.sd3-5-large-v1:0".to_owned()));
    assert!(!ids("eu-west-1").contains(&"stability.sd3-5-large-v1:0".to_owned()));
    assert!(ids("us-east-1").contains(&"anthropic.claude-opus-5-5".to_owned()));
    assert!(!ids("us-east-1").iter().any(|id| id.contains("claude-3-opus")));
    for region in ["us-east-1", "eu-west-1", "ap-northeast-1"] {
        for profile in book.profiles_in(region) {
            let label = if profile.kind == "APPLICATION" { &profile.arn } else { &profile.id };
            assert_eq!(book.resolve(region, label).unwrap().id, profile.model_id);
            assert_eq!(book.resolve(region, &profile.arn).unwrap().id, profile.model_id);
            assert!(profile.regions.iter().any(|known| known == region), "{profile:?}");
        }
    }
    let profiles = book.profiles_in("eu-west-1");
    assert!(profiles.iter().any(|profile| profile.id == "eu.anthropic.claude-sonnet-4-6" && profile.kind == "SYSTEM_DEFINED"));
    assert!(!profiles.iter().any(|profile| profile.id.starts_with("us.")));
}

//! Which source wins.

use outcrop_domain::ids::Region;

use super::{Source, entry};
use crate::settings::Service;

const KEY: (&str, &str) = ("OUTCROP_API_KEY", "sk-test");

#[test]
fn flags_go_before_variables_before_the_file_before_defaults() {
    let region = ("AWS_REGION", "us-east-1");
    let text = "[server]\nport = 1111\n";
    let settings = Source::file("").load();
    assert_eq!(entry(&settings, "server.port"), (Some("8080".into()), "default".into()));
    let settings = Source::file(text).load();
    assert_eq!(entry(&settings, "server.port"), (Some("1111".into()), "outcrop.toml:2:8".into()));
    let source = Source::file(text).environment(&[region, KEY, ("OUTCROP_SERVER__PORT", "2222")]);
    assert_eq!(entry(&source.load(), "server.port"), (Some("2222".into()), "OUTCROP_SERVER__PORT".into()));
    let source = source.flag("--port", "server.port", "3333");
    assert_eq!(entry(&source.load(), "server.port"), (Some("3333".into()), "--port".into()));
    let source = source.set("server.port = 4444");
    assert_eq!(entry(&source.load(), "server.port"), (Some("4444".into()), "--set server.port".into()));
    assert_eq!(source.load().server.port, 4444);
}

#[test]
fn overlays_keep_the_neighbours_of_what_they_set() {
    let source = Source::file("[lanes.chat]\nconcurrency = 7\nqueue_limit = 8\n").set("lanes.chat.queue_limit=9");
    let lane = source.load().lanes.chat;
    assert_eq!((lane.concurrency, lane.queue_limit), (7, 9));
}

#[test]
fn variables_of_aws_stand_below_the_file() {
    let settings = Source::empty().environment(&[KEY, ("AWS_DEFAULT_REGION", "eu-west-1")]).load();
    assert_eq!(settings.aws.regions, [Region::from("eu-west-1")]);
    let both = [KEY, ("AWS_DEFAULT_REGION", "eu-west-1"), ("AWS_REGION", "eu-central-1"), ("AWS_PROFILE", "dev")];
    let settings = Source::empty().environment(&both).load();
    assert_eq!(settings.aws.regions, [Region::from("eu-central-1")]);
    assert_eq!(entry(&settings, "aws.profile"), (Some("\"dev\"".into()), "AWS_PROFILE".into()));
    let source = Source::empty()
        .with_file("outcrop.toml", "[aws]\nregions = [\"us-west-2\", \"us-east-1\"]\nprofile = \"file\"\n")
        .environment(&both);
    let settings = source.load();
    assert_eq!(settings.aws.regions, [Region::from("us-west-2"), Region::from("us-east-1")]);
    assert_eq!(settings.aws.profile.as_deref(), Some("file"));
}

#[test]
fn lists_in_variables_are_split_at_commas_or_read_as_toml() {
    for value in ["us-east-1,us-west-2", " us-east-1 , us-west-2, ", "[\"us-east-1\", 'us-west-2']"] {
        let settings = Source::empty().environment(&[KEY, ("OUTCROP_AWS__REGIONS", value)]).load();
        assert_eq!(settings.aws.regions, [Region::from("us-east-1"), Region::from("us-west-2")], "{value}");
    }
}

#[test]
fn tables_in_variables_replace_those_of_the_file_and_deeper_variables_add_to_them() {
    let text = "[models.aliases]\nold = \"x\"\n";
    let region = ("AWS_REGION", "us-east-1");
    let source = Source::file(text).environment(&[region, KEY, ("OUTCROP_MODELS__ALIASES", "{ \"gpt-4.1\" = \"claude\" }")]);
    assert_eq!(source.load().models.aliases.keys().collect::<Vec<_>>(), ["gpt-4.1"]);
    let source = Source::file(text).environment(&[
        region,
        KEY,
        ("OUTCROP_MODELS__ALIASES", "{ \"gpt-4.1\" = \"claude\" }"),
        ("OUTCROP_MODELS__ALIASES__FAST", "haiku"),
    ]);
    assert_eq!(source.load().models.aliases.keys().collect::<Vec<_>>(), ["fast", "gpt-4.1"]);
    let source = Source::file(text).set("models.aliases.\"gpt-4.1 = mini\"=haiku");
    assert!(source.problems()[0].contains("\"gpt-4.1 = mini\" is not a name without spaces"));
    let source = Source::file(text).set("models.aliases.\"gpt-4.1\"={ model = \"haiku\", service_tier = \"flex\" }");
    assert_eq!(source.load().models.aliases.keys().collect::<Vec<_>>(), ["gpt-4.1", "old"]);
}

#[test]
fn empty_variables_count_as_not_set() {
    let source = Source::file("[server]\nport = 1111\n").environment(&[
        ("AWS_REGION", "us-east-1"),
        ("AWS_PROFILE", ""),
        ("OUTCROP_SERVER__PORT", ""),
        ("OUTCROP_UNHEARD_OF", ""),
        KEY,
    ]);
    let settings = source.load();
    assert_eq!(settings.server.port, 1111);
    assert_eq!(settings.aws.profile, None);
}

#[test]
fn the_file_is_the_named_one_then_that_of_the_variable_then_the_first_found() {
    let mut source = Source::empty();
    let named = source.write("named.toml", "server.port = 1\n");
    let variable = source.write("variable.toml", "server.port = 2\n");
    let found = source.write("found.toml", "server.port = 3\n");
    source.options.search = vec![source.directory.path().join("absent.toml"), found.clone(), named.clone()];
    source = source.environment(&[("AWS_REGION", "us-east-1"), KEY]);
    assert_eq!((source.load().server.port, source.load().file()), (3, Some(found.as_path())));
    let path = variable.display().to_string();
    source = source.environment(&[("AWS_REGION", "us-east-1"), KEY, ("OUTCROP_CONFIG", &path)]);
    assert_eq!(source.load().server.port, 2);
    source.options.file = Some(named);
    assert_eq!(source.load().server.port, 1);
}

#[test]
fn endpoint_variables_of_aws_are_honoured_unless_ours_are_set_or_they_are_switched_off() {
    let east = Region::from("us-east-1");
    let variables = [KEY, ("AWS_ENDPOINT_URL", "http://all.test"), ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "http://{region}.runtime.test/")];
    let settings = Source::empty().environment(&variables).load();
    // Endpoints without a region: signatures still need one.
    assert_eq!(settings.aws.regions, std::slice::from_ref(&east));
    let endpoints = &settings.aws.endpoints;
    assert_eq!(endpoints.url(Service::BedrockRuntime, &east).as_deref(), Some("http://us-east-1.runtime.test"));
    assert_eq!(endpoints.url(Service::Bedrock, &east).as_deref(), Some("http://all.test"));

    let ours = Source::empty().with_file("outcrop.toml", "aws.endpoints.default = \"http://ours.test\"\n").environment(&variables).load();
    assert_eq!(ours.aws.endpoints.url(Service::BedrockRuntime, &east).as_deref(), Some("http://ours.test"));

    let ignored = [&variables[..], &[("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"), ("AWS_REGION", "us-east-1")]].concat();
    assert!(Source::empty().environment(&ignored).load().aws.endpoints.is_empty());
}

#[test]
fn a_regions_own_endpoint_can_come_from_a_variable() {
    let settings = Source::empty()
        .environment(&[KEY, ("AWS_REGION", "eu-west-1"), ("OUTCROP_AWS__ENDPOINTS__EU_WEST_1__BEDROCK_RUNTIME", "http://x.test")])
        .load();
    let url = settings.aws.endpoints.url(Service::BedrockRuntime, &Region::from("eu-west-1"));
    assert_eq!(url.as_deref(), Some("http://x.test"));
}

#[test]
fn switches_of_aws_and_proxies_come_from_their_variables() {
    let settings = Source::empty()
        .environment(&[
            KEY,
            ("AWS_REGION", "us-east-1"),
            ("AWS_USE_FIPS_ENDPOINT", "TRUE"),
            ("AWS_USE_DUALSTACK_ENDPOINT", "true"),
            ("https_proxy", "proxy.test:3128"),
            ("NO_PROXY", "localhost,.internal.test"),
        ])
        .load();
    assert!(settings.aws.fips && settings.aws.dual_stack);
    assert_eq!(settings.aws.proxy.https.as_ref().map(|url| url.expose()), Some("http://proxy.test:3128"));
    assert_eq!(settings.aws.proxy.bypass, ["localhost", ".internal.test"]);
}

#[test]
fn files_are_found_beside_the_settings_file() {
    let source = Source::file("keys.file = \"more/keys.txt\"\n");
    std::fs::create_dir(source.directory.path().join("more")).unwrap();
    source.write("more/keys.txt", "# people\n\nann:sk-ann\nbob:sk-bob\n");
    let ids: Vec<String> = source.load().keys.list.iter().map(|key| key.id.to_string()).collect();
    assert_eq!(ids, ["env-1", "ann", "bob"]);
}

//! Everything that can be wrong, and that all of it is told at once.

use super::{Environment, LoadOptions, Settings, Source};

#[test]
fn all_problems_of_all_sources_are_told_at_once_sorted_by_line() {
    let source = Source::file(
        "[server]\n\
         port = \"x\"\n\
         prot = 1\n\
         body_limit = 3\n\
         \n\
         [log]\n\
         level = \"loud\"\n\
         \n\
         [timeouts]\n\
         total = \"3 fortnights\"\n",
    )
    .environment(&[("AWS_REGION", "us-east-1"), ("OUTCROP_API_KEY", "sk-test"), ("OUTCROP_SERVER__BIND", "here")])
    .set("admin.port=-1");
    assert_eq!(
        source.problems(),
        [
            "outcrop.toml:2:8: server.port: expected an integer between 0 and 65535, found \"x\"",
            "outcrop.toml:3:1: server.prot: unknown setting; did you mean `server.port`?",
            "outcrop.toml:4:14: server.body_limit: expected a size with its unit, such as \"64 MiB\", between 1 KiB and 1 GiB, found 3",
            "outcrop.toml:7:9: log.level: expected one of \"off\", \"error\", \"warn\", \"info\", \"debug\", \"trace\", found \"loud\"",
            "outcrop.toml:10:9: timeouts.total: expected a duration with its unit, such as \"500ms\", \"30s\" or \"2m\", between 1s and 1d, \
             found \"3 fortnights\"",
            "OUTCROP_SERVER__BIND: server.bind: expected an IP address such as \"127.0.0.1\" or \"::\", found \"here\"",
            "--set admin.port: admin.port: expected an integer between 0 and 65535, found \"-1\"",
        ]
    );
}

#[test]
fn wrong_types_are_told_with_what_was_found() {
    let source = Source::file(
        "admin = 3\n\
         [server]\n\
         port = 70000\n\
         bind = true\n\
         max_connections = 1.5\n\
         shutdown_grace = 30\n\
         [aws]\n\
         regions = \"us-east-1\"\n\
         fips = \"yes\"\n\
         profile = 1979-05-27\n\
         [fetch]\n\
         ports = [443, 443, 0, \"a\"]\n\
         [chat]\n\
         default_max_tokens = 99999999999999999999\n\
         guardrail = []\n",
    );
    assert_eq!(
        source.problems(),
        [
            "outcrop.toml:1:9: admin: expected a table, found 3",
            "outcrop.toml:3:8: server.port: expected an integer between 0 and 65535, found 70000",
            "outcrop.toml:4:8: server.bind: expected an IP address such as \"127.0.0.1\" or \"::\", found true",
            "outcrop.toml:5:19: server.max_connections: expected an integer between 1 and 1000000, found 1.5",
            "outcrop.toml:6:18: server.shutdown_grace: expected a duration with its unit, such as \"500ms\", \"30s\" or \"2m\", between 0s and \
             1h, found 30",
            "outcrop.toml:8:11: aws.regions: expected a list, found \"us-east-1\"",
            "outcrop.toml:9:8: aws.fips: expected true or false, found \"yes\"",
            "outcrop.toml:10:11: aws.profile: expected a name without spaces, found a date",
            "outcrop.toml:12:15: fetch.ports[1]: 443 is listed twice",
            "outcrop.toml:12:20: fetch.ports[2]: expected an integer between 1 and 65535, found 0",
            "outcrop.toml:12:23: fetch.ports[3]: expected an integer between 1 and 65535, found \"a\"",
            "outcrop.toml:14:22: chat.default_max_tokens: expected an integer between 1 and 10000000, found an integer of more than 64 bits",
            "outcrop.toml:15:13: chat.guardrail: expected a table, found a list",
        ]
    );
}

#[test]
fn values_out_of_bounds_are_told_with_the_bounds() {
    let source = Source::file("[timeouts]\nconnect = \"2m\"\n[server]\nheader_limit = \"1 B\"\n");
    assert_eq!(
        source.problems(),
        [
            "outcrop.toml:2:11: timeouts.connect: expected a duration with its unit, such as \"500ms\", \"30s\" or \"2m\", between 100ms \
             and 1m, found \"2m\"",
            "outcrop.toml:4:16: server.header_limit: expected a size with its unit, such as \"64 MiB\", between 4 KiB and 1 MiB, found \
             \"1 B\"",
        ]
    );
}

#[test]
fn the_memory_for_bodies_must_hold_one_whichever_of_the_two_was_set() {
    let problem = |text: &str| Source::file(text).problems();
    assert_eq!(
        problem("[server]\nbody_memory = \"32 MiB\"\n"),
        ["outcrop.toml:2:15: server.body_memory: `body_memory` (32 MiB) must hold at least one body of `body_limit` (64 MiB)"]
    );
    assert_eq!(
        problem("[server]\nbody_limit = \"1 GiB\"\n"),
        ["outcrop.toml:2:14: server.body_limit: `body_memory` (512 MiB) must hold at least one body of `body_limit` (1 GiB)"]
    );
    assert_eq!(problem("[server]\nbody_limit = \"1 GiB\"\nbody_memory = \"lots\"\n").len(), 1, "a bad value is compared with nothing");
    Source::file("[server]\nbody_limit = \"1 MiB\"\nbody_memory = \"1 MiB\"\n").load();
}

#[test]
fn global_profiles_cannot_be_preferred_where_they_are_off() {
    for text in ["[models]\nprefer = \"global\"\nallow_global_profiles = false\n", "[models]\nprefer = \"global\"\nresidency = [\"us\"]\n"]
    {
        let problems = Source::file(text).problems();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with("outcrop.toml:2:10: models.prefer: global profiles are off"), "{problems:?}");
    }
    Source::file("[models]\nprefer = \"global\"\n").load();
}

#[test]
fn words_that_nearly_fit_get_a_suggestion() {
    let source = Source::file("[routing]\nstrategy = \"orderd\"\n[log]\nformat = \"xml\"\n");
    assert_eq!(
        source.problems(),
        [
            "outcrop.toml:2:12: routing.strategy: expected one of \"ordered\", \"disabled\", \"round_robin\", \"lowest_latency\", \"adaptive\", found \"orderd\"; did you mean \"ordered\"?",
            "outcrop.toml:4:10: log.format: expected one of \"json\", \"text\", found \"xml\"",
        ]
    );
}

#[test]
fn quotas_are_positive_and_named() {
    let source = Source::file(
        "[routing.quotas.us-east-1]\ntokens_per_minute = 0\ntoken_per_minute = 5\n\
         [routing.quotas.us-east-1.models.\"a model\"]\nrequests_per_minute = 1\n",
    );
    let problems = source.problems();
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(problems.iter().any(|problem| problem.contains("tokens_per_minute: expected an integer between 1 and")), "{problems:?}");
    assert!(problems.iter().any(|problem| problem.contains("token_per_minute") && problem.contains("did you mean")), "{problems:?}");
    assert!(problems.iter().any(|problem| problem.contains("\"a model\" is not a name without spaces")), "{problems:?}");
}

#[test]
fn unknown_settings_are_suggested_by_sibling_by_place_and_by_path() {
    let source = Source::file(
        "[sever]\n\
         port = 1\n\
         [server]\n\
         keep_alive = \"1s\"\n\
         metrics_path = \"/m\"\n\
         zzz = 1\n",
    );
    assert_eq!(
        source.problems(),
        [
            "outcrop.toml:1:2: sever: unknown setting; did you mean `server`?",
            "outcrop.toml:4:1: server.keep_alive: unknown setting",
            "outcrop.toml:5:1: server.metrics_path: unknown setting; did you mean `admin.metrics_path`?",
            "outcrop.toml:6:1: server.zzz: unknown setting",
        ]
    );
}

#[test]
fn unknown_variables_and_flags_are_problems_with_suggestions() {
    let source = Source::empty()
        .environment(&[
            ("AWS_REGION", "us-east-1"),
            ("OUTCROP_API_KEY", "sk-test"),
            ("OUTCROP_SERVER_PORT", "9000"),
            ("OUTCROP_SERVER__PROT", "9000"),
            ("OUTCROP_WHATEVER", "1"),
        ])
        .set("server.prot=1")
        .set("nonsense")
        .set("a b=1");
    assert_eq!(
        source.problems(),
        [
            "OUTCROP_SERVER_PORT: server_port: unknown setting; did you mean `OUTCROP_SERVER__PORT`?",
            "OUTCROP_WHATEVER: whatever: unknown setting",
            "--set: expected `--set path=value`, such as `--set server.port=9000`",
            "--set a b: `a b` is not the path of a setting",
            "--set server.prot: server.prot: unknown setting; did you mean `server.port`?",
        ]
    );
}

#[test]
fn every_syntax_error_is_told_and_does_not_hide_other_problems() {
    let source = Source::file(
        "[server]\n\
         port = -1\n\
         bind = \n\
         \n\
         [log]\n\
         level == \"info\"\n\
         colour = true\n\
         [timeouts]\n\
         total = \"forever\"\n",
    );
    let problems = source.problems();
    let starts = |start: &str| problems.iter().any(|problem| problem.starts_with(start));
    assert!(starts("outcrop.toml:2:8: server.port: expected"), "{problems:#?}");
    assert!(starts("outcrop.toml:3:") && starts("outcrop.toml:6:"), "{problems:#?}");
    assert!(starts("outcrop.toml:9:9: timeouts.total: expected"), "{problems:#?}");
    assert!(problems.iter().filter(|problem| problem.contains("not valid TOML")).count() >= 2, "{problems:#?}");
    // What stands below a broken line may have landed in the wrong table, so it is not called unknown yet.
    assert!(!starts("outcrop.toml:7:"), "{problems:#?}");
}

#[test]
fn duplicate_names_are_syntax_errors_with_their_line() {
    let problems = Source::file("[server]\nport = 1\nport = 2\n").problems();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with("outcrop.toml:3:1: not valid TOML: duplicate key"), "{problems:?}");
}

#[test]
fn a_named_file_that_is_missing_is_a_problem_and_a_searched_one_is_not() {
    let mut source = Source::file("");
    source.options.file = Some(source.directory.path().join("absent.toml"));
    let problems = source.problems();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with("absent.toml: cannot read the settings file: "), "{problems:?}");
    // What seems to be missing then is not told: it may stand in that file.
    let bare = LoadOptions { environment: Environment::default(), ..source.options.clone() };
    assert_eq!(Settings::load(&bare).unwrap_err().0.len(), 1);
    source.options.search = vec![source.directory.path().join("absent.toml")];
    source.options.file = None;
    assert_eq!(source.load().file(), None);
}

#[test]
fn without_region_and_key_both_are_asked_for() {
    assert_eq!(
        Source::empty().problems(),
        [
            "aws.regions: name at least one region here, or set AWS_REGION",
            "keys.required: keys are required, but there is none: set OUTCROP_API_KEY, add `[[keys.key]]`, or set `keys.required = false`",
        ]
    );
}

#[test]
fn what_was_given_but_bad_is_not_called_missing_too() {
    let source = Source::empty().with_file("outcrop.toml", "aws.regions = [\"nowhere\"]\nkeys.file = \"absent\"\n");
    let problems = source.problems();
    assert_eq!(problems.len(), 2, "{problems:#?}");
    assert_eq!(problems[0], "outcrop.toml:1:16: aws.regions[0]: expected a region such as \"us-east-1\", found \"nowhere\"");
    assert!(problems[1].starts_with("outcrop.toml:2:13: keys.file: cannot read file `absent`: "), "{problems:#?}");
}

#[test]
fn regions_are_listed_once() {
    let problems = Source::file("aws.regions = [\"us-east-1\", \"eu-west-1\", \"us-east-1\"]\n").problems();
    assert_eq!(problems, ["outcrop.toml:1:42: aws.regions[2]: \"us-east-1\" is listed twice"]);
}

#[test]
fn rules_between_settings_are_checked() {
    let source = Source::file(
        "[server]\n\
         port = 9090\n\
         [timeouts]\n\
         first_byte = \"10m\"\n\
         total = \"5m\"\n\
         [lanes.chat]\n\
         queue_wait = \"6m\"\n\
         [routing.backoff.throttled]\n\
         first = \"1h\"\n\
         max = \"1s\"\n\
         [chat.reasoning_budgets]\n\
         low = 5000\n\
         [fetch]\n\
         ports = []\n",
    );
    assert_eq!(
        source.problems(),
        [
            "outcrop.toml:4:14: timeouts.first_byte: 10m is longer than `timeouts.total` (5m)",
            "outcrop.toml:7:14: lanes.chat.queue_wait: 6m is longer than `timeouts.total` (5m)",
            "outcrop.toml:9:9: routing.backoff.throttled.first: must not be longer than `max`",
            "outcrop.toml:12:7: chat.reasoning_budgets.low: `medium` (2048) must not be less than `low` (5000)",
            "outcrop.toml:14:9: fetch.ports: expected at least one port; to fetch nothing set `fetch.enabled = false`",
            "admin.port: `server.port` is 9090 too; give one of them another port",
        ]
    );
}

#[test]
fn the_same_port_on_different_addresses_is_fine() {
    let settings = Source::file("[server]\nbind = \"10.0.0.1\"\nport = 9090\n").load();
    assert_eq!(settings.server.address().to_string(), "10.0.0.1:9090");
    assert_eq!(Source::file("[server]\nport = 9090\n[admin]\nenabled = false\n").load().server.port, 9090);
}

#[test]
fn a_rule_is_not_checked_on_values_that_are_bad_by_themselves() {
    let problems = Source::file("[timeouts]\nfirst_byte = \"10m\"\ntotal = \"bad\"\n").problems();
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(problems[0].contains("timeouts.total: expected a duration"), "{problems:#?}");
}

#[test]
fn regions_must_lie_within_the_residency() {
    let text = "[aws]\nregions = [\"us-east-1\", \"eu-west-1\", \"ap-south-1\"]\n[models]\nresidency = [\"us\", \"eu\"]\n";
    assert_eq!(Source::file(text).problems(), ["outcrop.toml:2:11: aws.regions: `ap-south-1` lies outside `models.residency`"]);
    let text = "[aws]\nregions = [\"us-east-1\", \"eu-west-1\"]\n[models]\nresidency = [\"us\", \"eu-west-1\"]\n";
    assert_eq!(Source::file(text).load().models.residency, ["us", "eu-west-1"]);
}

#[test]
fn places_of_the_residency_must_exist() {
    let problems = Source::file("models.residency = [\"us\", \"Mars\", \"global\"]\n").problems();
    assert_eq!(problems.len(), 2, "{problems:#?}");
    assert!(problems[0].starts_with("outcrop.toml:1:27: models.residency[1]: expected a geography such as"), "{problems:#?}");
    assert!(problems[1].starts_with("outcrop.toml:1:35: models.residency[2]: expected a geography such as"), "{problems:#?}");
    let problems = Source::file("models.residency = [\"us\", \"mars\"]\n").problems();
    assert_eq!(problems.len(), 1, "{problems:#?}");
    let start = "outcrop.toml:1:20: models.residency: \"mars\" is neither a region nor a geography of the model data: ";
    assert!(problems[0].starts_with(start) && problems[0].contains("eu, ") && !problems[0].contains("global"), "{problems:#?}");
}

#[test]
fn profiles_must_lie_in_a_configured_region() {
    let source = Source::file("[models.inference_profiles]\n\"arn:aws:bedrock:eu-west-1:1:application-inference-profile/x\" = \"m\"\n");
    let problems = source.problems();
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(problems[0].ends_with("lies in `eu-west-1`, which is not listed in `aws.regions`"), "{problems:#?}");
}

#[test]
fn residency_switches_global_profiles_off_and_refuses_them() {
    assert!(Source::file("").load().models.allow_global_profiles);
    assert!(!Source::file("models.residency = [\"us\"]\n").load().models.allow_global_profiles);
    assert_eq!(
        Source::file("[models]\nresidency = [\"us\"]\nallow_global_profiles = true\n").problems(),
        ["outcrop.toml:3:25: models.allow_global_profiles: global profiles leave every geography: not together with `residency`"]
    );
}

#[test]
fn fixed_credentials_and_fips_do_not_go_with_the_wrong_endpoints() {
    let problems = Source::file("[aws]\ncredentials = { access_key_id = \"a\", secret_access_key = \"b\" }\n").problems();
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(problems[0].starts_with("outcrop.toml:2:15: aws.credentials: fixed credentials are for local stacks"), "{problems:#?}");
    let problems = Source::file("[aws]\nfips = true\nendpoints.default = \"http://127.0.0.1:1\"\n").problems();
    assert_eq!(problems, ["outcrop.toml:2:8: aws.fips: has no effect on endpoints of your own: not together with `aws.endpoints`"]);
}

#[test]
fn endpoints_of_unlisted_regions_and_unknown_services_are_problems() {
    let source = Source::file(
        "[aws.endpoints]\n\
         bedrok = \"http://a.test\"\n\
         bedrock_runtime = \"ftp://a.test\"\n\
         [aws.endpoints.eu-west-1]\n\
         default = \"http://b.test\"\n\
         [aws.endpoints.europe]\n\
         default = \"http://b.test\"\n",
    );
    let problems = source.problems();
    assert_eq!(problems.len(), 4, "{problems:#?}");
    assert_eq!(problems[0], "outcrop.toml:1:1: aws.endpoints: `eu-west-1` has endpoints, but is not listed in `aws.regions`");
    assert_eq!(problems[1], "outcrop.toml:2:1: aws.endpoints.bedrok: unknown setting; did you mean `aws.endpoints.bedrock`?");
    assert!(problems[2].starts_with("outcrop.toml:3:19: aws.endpoints.bedrock_runtime: expected a URL"), "{problems:#?}");
    assert!(problems[3].starts_with("outcrop.toml:6:1: aws.endpoints.europe: expected a service or a region"), "{problems:#?}");
}

#[test]
fn aliases_are_checked_in_every_part() {
    let source = Source::file(
        "[models.aliases]\n\
         \"a b\" = \"x\"\n\
         empty = {}\n\
         first = \"second\"\n\
         second = \"third\"\n\
         [models.aliases.rich]\n\
         model = \"m\"\n\
         service_tier = \"fast\"\n\
         guardrial = {}\n\
         guardrail = { identifier = \"g\", version = 1, extra = 1 }\n\
         metadata = { \"a?\" = \"b\", c = 5 }\n\
         extra_params = { top_k = nan, when = 1979-05-27 }\n",
    );
    let problems = source.problems();
    let expected = [
        "outcrop.toml:2:1: models.aliases: \"a b\" is not a name without spaces",
        "outcrop.toml:3:9: models.aliases.empty.model: missing",
        "outcrop.toml:8:16: models.aliases.rich.service_tier: expected one of \"priority\", \"default\", \"flex\", \"reserved\", found \"fast\"",
        "outcrop.toml:9:1: models.aliases.rich.guardrial: unknown setting; did you mean `models.aliases.rich.guardrail`?",
        "outcrop.toml:10:43: models.aliases.rich.guardrail.version: expected \"DRAFT\"",
        "outcrop.toml:10:46: models.aliases.rich.guardrail.extra: unknown setting",
        "outcrop.toml:11:14: models.aliases.rich.metadata: \"a?\" is not a label",
        "outcrop.toml:11:30: models.aliases.rich.metadata.c: expected a label",
        "outcrop.toml:12:26: models.aliases.rich.extra_params.top_k: expected a finite number, found NaN",
        "outcrop.toml:12:38: models.aliases.rich.extra_params.when: expected a value that JSON has, found a date",
    ];
    for start in expected {
        assert!(problems.iter().any(|problem| problem.starts_with(start)), "no `{start}` in {problems:#?}");
    }
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
}

#[test]
fn aliases_that_lead_in_a_circle_are_told_once() {
    let problems = Source::file("[models.aliases]\nc = \"a\"\na = \"b\"\nb = \"c\"\nd = \"a\"\nself = \"self\"\n").problems();
    assert_eq!(
        problems,
        [
            "outcrop.toml:1:1: models.aliases: `a` leads back to itself: a -> b -> c -> a",
            "outcrop.toml:1:1: models.aliases: `self` leads back to itself: self -> self",
        ]
    );
}

#[test]
fn problems_of_model_data_files_are_told_with_their_own_lines() {
    let source = Source::file("models.data_files = [\"more.toml\", \"absent.toml\"]\n").beside("more.toml", "# fine\n[broken]\n");
    let problems = source.problems();
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(problems[0].contains("models.data_files[1]: cannot read file `absent.toml`"), "{problems:#?}");
    let problems = Source::file("models.data_files = [\"more.toml\"]\n").beside("more.toml", "# fine\n[broken]\n").problems();
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(problems[0].starts_with("more.toml:2:1: model data: unknown section `broken`"), "{problems:#?}");
}

#[test]
fn tables_and_lists_in_variables_must_be_toml() {
    let source = Source::empty().environment(&[
        ("AWS_REGION", "us-east-1"),
        ("OUTCROP_API_KEY", "sk-test"),
        ("OUTCROP_MODELS__ALIASES", "{ a = "),
        ("OUTCROP_FETCH__PORTS", "[1, "),
        ("OUTCROP_CHAT", "strict"),
        ("OUTCROP_LOG__MODULES__A__B", "1"),
    ]);
    let problems = source.problems();
    assert_eq!(problems.len(), 4, "{problems:#?}");
    assert!(problems[0].starts_with("OUTCROP_CHAT: chat: expected a table in TOML syntax: "), "{problems:#?}");
    assert!(problems[1].starts_with("OUTCROP_FETCH__PORTS: fetch.ports: expected a list in TOML syntax: "), "{problems:#?}");
    assert!(problems[2].starts_with("OUTCROP_LOG__MODULES__A__B: log.modules.a: expected one of"), "{problems:#?}");
    assert!(problems[3].starts_with("OUTCROP_MODELS__ALIASES: models.aliases: expected a table in TOML syntax: "), "{problems:#?}");
}

#[test]
fn an_overlay_does_not_hide_that_the_file_is_wrong() {
    let source = Source::file("server = 3\n").set("server.port=9000");
    assert_eq!(source.problems(), ["outcrop.toml:1:10: server: expected a table, found an integer"]);
}

#[test]
fn long_values_are_quoted_short_and_on_one_line() {
    let source = Source::file("").set(&format!("log.level={}\nsecond line", "x".repeat(500)));
    let problems = source.problems();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].ends_with(&format!("found \"{}...\"", "x".repeat(60))), "{problems:?}");
}

#[test]
fn an_error_prints_one_line_for_each_problem() {
    let error = Settings::load(&Source::empty().options).unwrap_err();
    assert_eq!(error.to_string().lines().count(), error.0.len());
    assert_eq!(error.0.len(), 2);
}

//! That values arrive in their types.

use std::time::Duration;

use outcrop_domain::{
    chat::{CacheTtl, Effort, GuardrailStreamMode, GuardrailTrace, ServiceTier},
    ids::Region,
    model::{LegacyModels, PrefixedNames, ProfilePreference},
    routing::{BreakerPolicy, strategy::Strategy},
};

use super::Source;
use crate::settings::Level;

#[test]
fn the_defaults_are_the_documented_ones() {
    let settings = Source::file("").load();
    assert_eq!(settings.server.address().to_string(), "0.0.0.0:8080");
    assert_eq!(settings.admin.address().to_string(), "127.0.0.1:9090");
    assert_eq!((settings.server.body_limit, settings.server.header_limit), (64 << 20, 64 << 10));
    assert_eq!((settings.server.body_memory, settings.server.body_timeout), (512 << 20, Duration::from_secs(60)));
    assert_eq!(settings.server.body_idle_timeout, Duration::from_secs(15));
    assert_eq!(settings.chat.open_stream_after, Duration::from_secs(20));
    assert_eq!(settings.server.keep_alive_interval, Duration::from_secs(10));
    assert_eq!(settings.timeouts.first_byte, Duration::from_secs(120));
    assert_eq!(settings.timeouts.total, Duration::from_secs(3600));
    assert_eq!(settings.routing.strategy, Strategy::Ordered);
    assert_eq!(settings.routing.backoff, BreakerPolicy::default());
    assert_eq!(settings.chat.default_max_tokens, None);
    assert_eq!(settings.chat.reasoning_budgets.0, [1024, 1024, 2048, 4096, 16_384, 32_768]);
    assert!(settings.keys.required && settings.models.residency.is_empty());
    assert_eq!(settings.log.filter(), "info");
}

#[test]
fn an_alias_carries_everything_it_adds() {
    let settings = Source::file(
        "[models.aliases]\n\
         plain = \"claude\"\n\
         [models.aliases.rich]\n\
         model = \"claude\"\n\
         service_tier = \"flex\"\n\
         guardrail = { identifier = \"g\", version = \"DRAFT\", trace = \"enabled_full\", stream_mode = \"async\" }\n\
         metadata = { team = \"search\" }\n\
         extra_params = { top_k = 5, nested = { list = [1, \"a\", true, 0.5] } }\n",
    )
    .load();
    assert_eq!(settings.models.aliases["plain"].model, "claude");
    assert_eq!(settings.models.aliases["plain"].service_tier, None);
    let rich = &settings.models.aliases["rich"];
    assert_eq!(rich.service_tier, Some(ServiceTier::Flex));
    let guardrail = rich.guardrail.as_ref().unwrap();
    assert_eq!((guardrail.identifier.as_str(), guardrail.version.as_str()), ("g", "DRAFT"));
    assert_eq!((guardrail.trace, guardrail.stream_mode), (Some(GuardrailTrace::EnabledFull), Some(GuardrailStreamMode::Async)));
    assert_eq!(rich.metadata["team"], "search");
    let extra = serde_json::Value::Object(rich.extra_params.clone());
    assert_eq!(extra, serde_json::json!({ "top_k": 5, "nested": { "list": [1, "a", true, 0.5] } }));
}

#[test]
fn more_labels_than_bedrock_takes_are_refused() {
    let labels: Vec<String> = (0..17).map(|number| format!("l{number} = \"v\"")).collect();
    let problems = Source::file(&format!("models.aliases.a = {{ model = \"m\", metadata = {{ {} }} }}\n", labels.join(", "))).problems();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].ends_with("models.aliases.a.metadata: expected at most 16 labels, found 17"), "{problems:?}");
}

#[test]
fn every_section_takes_its_values() {
    let settings = Source::file(
        "[server]\nopenai_prefix = \"\"\nshutdown_grace = \"0s\"\nbody_timeout = \"5s\"\nbody_idle_timeout = \"2s\"\nbody_memory = \"2 GiB\"\n\
         [aws]\nassume_role = { arn = \"arn:aws:iam::123456789012:role/gate/way\", external_id = \"x\" }\n\
         [routing]\nstrategy = \"disabled\"\nmax_attempts = 3\n[routing.backoff]\ndenied = \"1m\"\n[routing.backoff.unavailable]\nmax = \"5m\"\n\
         [models]\nlegacy = \"refuse\"\nprefixed_names = \"remap\"\nresidency = [\"us\"]\nallow = [\"anthropic.*\", \"*nova*\", \"exact\"]\ndeny = [\"*\"]\n\
         [models.inference_profiles]\n\"arn:aws:bedrock:us-east-1:1:application-inference-profile/x\" = \"m\"\n\
         [chat]\nopen_stream_after = \"500ms\"\n[chat.prompt_caching]\nsystem = true\nttl = \"1h\"\n[chat.reasoning_budgets]\nmax = 60000\n\
         [fetch]\nallowed_hosts = [\"*.Example.com\", \"minio.corp:9000\"]\nallowed_networks = [\"10.0.0.0/8\"]\n\
         [log]\nlevel = \"warn\"\nmodules = { outcrop_upstream = \"debug\", \"outcrop::http\" = \"off\" }\n",
    )
    .load();
    assert_eq!((settings.server.openai_prefix.as_str(), settings.server.shutdown_grace), ("", Duration::ZERO));
    assert_eq!((settings.server.body_timeout, settings.server.body_memory), (Duration::from_secs(5), 2 << 30));
    assert_eq!(settings.server.body_idle_timeout, Duration::from_secs(2));
    assert_eq!(settings.chat.open_stream_after, Duration::from_millis(500));
    let models = (settings.models.prefer, settings.models.legacy, settings.models.prefixed_names);
    assert_eq!(models, (ProfilePreference::Regional, LegacyModels::Refuse, PrefixedNames::Remap));
    let role = settings.aws.assume_role.unwrap();
    assert_eq!((role.external_id.as_deref(), role.session_name.as_str()), (Some("x"), "outcrop"));
    assert_eq!((settings.routing.strategy, settings.routing.max_attempts), (Strategy::Disabled, 3));
    assert_eq!(settings.routing.backoff.denied, Duration::from_secs(60));
    assert_eq!(settings.routing.backoff.unavailable.max, Duration::from_secs(300));
    assert_eq!(settings.models.residency, ["us"]);
    assert!(settings.models.admits(&Region::from("us-west-2")) && !settings.models.admits(&Region::from("eu-west-1")));
    assert_eq!(settings.models.inference_profiles.len(), 1);
    assert!(settings.chat.prompt_caching.system && !settings.chat.prompt_caching.tools);
    assert_eq!(settings.chat.prompt_caching.ttl, Some(CacheTtl::OneHour));
    assert_eq!((settings.chat.reasoning_budgets.of(Effort::Max), settings.chat.reasoning_budgets.of(Effort::High)), (60_000, 4_096));
    assert_eq!(settings.fetch.allowed_hosts, ["*.example.com", "minio.corp:9000"]);
    assert!(settings.fetch.allowed_networks[0].contains("10.9.9.9".parse().unwrap()));
    assert_eq!(settings.log.level, Level::Warn);
    assert_eq!(settings.log.filter(), "warn,outcrop::http=off,outcrop_upstream=debug");
}

#[test]
fn paths_prefixes_hosts_and_patterns_are_checked() {
    for (assignment, path) in [
        ("server.openai_prefix=v1", "server.openai_prefix"),
        ("server.openai_prefix=/v1/", "server.openai_prefix"),
        ("server.openai_prefix=/", "server.openai_prefix"),
        ("server.openai_prefix=/../v1", "server.openai_prefix"),
        ("server.openai_prefix=/anthropic/v1", "server.openai_prefix"),
        ("server.anthropic_prefix=/health", "server.anthropic_prefix"),
        ("server.anthropic_prefix=/model", "server.anthropic_prefix"),
        ("server.anthropic_prefix=/v1/claude", "server.anthropic_prefix"),
        ("admin.metrics_path=metrics", "admin.metrics_path"),
        ("admin.metrics_path=/", "admin.metrics_path"),
        ("fetch.allowed_hosts=http://a.test", "fetch.allowed_hosts[0]"),
        ("fetch.allowed_hosts=a..test", "fetch.allowed_hosts[0]"),
        ("fetch.allowed_networks=10.1.2.3/8", "fetch.allowed_networks[0]"),
        ("fetch.allowed_hosts=a.test:0", "fetch.allowed_hosts[0]"),
        ("fetch.allowed_hosts=a.*.test", "fetch.allowed_hosts[0]"),
        ("models.allow=[\"a b\"]", "models.allow[0]"),
        ("models.inference_profiles={ x = \"y\" }", "models.inference_profiles"),
        ("models.inference_profiles={ \"arn:aws:s3:us-east-1:1:x/y\" = \"y\" }", "models.inference_profiles"),
        ("keys.key=[{ id = \"a\", secret = \"b\", models = [\"a*b\"] }]", "keys.key[0].models[0]"),
        ("aws.regions=us-east", "aws.regions[0]"),
        ("aws.regions=US-EAST-1", "aws.regions[0]"),
        ("aws.assume_role={ arn = \"role\" }", "aws.assume_role.arn"),
        ("aws.ca_bundle=/", "aws.ca_bundle"),
        ("log.modules={ \"a-b\" = \"info\" }", "log.modules"),
        ("aws.proxy.https=socks5://a.test", "aws.proxy.https"),
    ] {
        let problems = Source::file("").set(assignment).problems();
        assert_eq!(problems.len(), 1, "{assignment}: {problems:#?}");
        assert!(problems[0].contains(&format!(": {path}: ")), "{assignment}: {problems:#?}");
    }
    let elsewhere = Source::file("").set("server.openai_prefix=/openai").set("server.anthropic_prefix=/v1/models").problems();
    assert!(elsewhere.len() == 1 && elsewhere[0].contains(": server.anthropic_prefix: "), "{elsewhere:#?}");
}

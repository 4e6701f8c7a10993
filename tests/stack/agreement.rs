//! Settings, proxy, simulator and scenario mean the same names and ports.

use std::{collections::BTreeSet, time::Duration};

use clap::Parser as _;
use outcrop::settings::{Environment, LoadOptions, Service, Settings};
use outcrop_chaos::scenario::{Target, load_file};
use outcrop_sim::Options;

use super::files::{Compose, at, read};

/// The settings of the stack's gateways, read as they read them.
fn settings(compose: &Compose) -> Settings {
    let (_, service) = compose.gateways(false).into_iter().next().unwrap();
    let environment: Environment = service.environment.iter().map(|(name, value)| (name.clone(), substituted(value))).collect();
    load("config/replicas.toml", environment)
}

pub(super) fn load(file: &str, environment: Environment) -> Settings {
    let options = LoadOptions { file: Some(at(file)), search: Vec::new(), environment, flags: Vec::new(), set: Vec::new() };
    Settings::load(&options).unwrap_or_else(|problems| panic!("{file}:\n{problems}"))
}

/// `${NAME:-value}` where NAME is not set.
fn substituted(value: &str) -> String {
    match value.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')?.split_once(":-")) {
        Some((_, default)) => default.to_owned(),
        None => value.to_owned(),
    }
}

/// `5s`, `65m`.
fn span(text: &str) -> Duration {
    let at = text.find(|letter: char| !letter.is_ascii_digit()).unwrap();
    let number: u64 = text[..at].parse().unwrap();
    match &text[at..] {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(60 * number),
        unit => panic!("`{unit}` is no unit of time"),
    }
}

#[test]
fn the_gateways_read_their_settings_and_have_the_key_that_is_told() {
    let compose = Compose::read();
    let settings = settings(&compose);
    assert!(settings.keys.required);
    let [key] = &settings.keys.list[..] else { panic!("one key, not {}", settings.keys.list.len()) };
    assert_eq!(key.secret.expose(), "sk-local");
    for text in [read("docker-compose.yml"), read("README.md")] {
        assert!(text.contains("Bearer sk-local"));
    }
    let chaos = compose.service("chaos");
    assert_eq!(substituted(&chaos.environment["OUTCROP_CHAOS_KEY"]), "sk-local");
    let all: Vec<_> = [false, true].into_iter().flat_map(|twin| compose.gateways(twin)).map(|(_, service)| &service.environment).collect();
    assert!(all.iter().all(|environment| *environment == all[0]), "gateways do not differ");
}

#[test]
fn the_gateways_find_the_simulators_regions() {
    let compose = Compose::read();
    let settings = settings(&compose);
    let simulator = compose.service("simulator");
    let options = Options::try_parse_from(std::iter::once("outcrop-sim").chain(simulator.command.iter().map(String::as_str))).unwrap();
    let served: Vec<(String, String)> = options.regions.iter().map(|region| region.split_once('=').unwrap()).map(owned).collect();
    let asked: Vec<(String, String)> = settings.aws.regions.iter().map(|region| (region.to_string(), port(&settings, region))).collect();
    assert_eq!(asked, served);
    let credentials = settings.aws.credentials.as_ref().unwrap();
    assert_eq!((&credentials.access_key_id, credentials.secret_access_key.expose()), (&options.access_key, options.secret_key.as_str()));
}

fn owned((name, port): (&str, &str)) -> (String, String) {
    (name.to_owned(), port.to_owned())
}

/// The port of a region's endpoint, which must be at the simulator.
fn port(settings: &Settings, region: &outcrop_domain::ids::Region) -> String {
    let of = |service| settings.aws.endpoints.url(service, region).unwrap();
    assert_eq!(of(Service::Bedrock), of(Service::BedrockRuntime));
    of(Service::Bedrock).strip_prefix("http://simulator:").unwrap_or_else(|| panic!("{region} is not at the simulator")).to_owned()
}

#[test]
fn the_twin_differs_in_nothing_but_the_simulator() {
    let compose = Compose::read();
    let names = |twin: bool| -> BTreeSet<String> {
        let gateways = compose.gateways(twin);
        let known = gateways.iter().map(|(name, service)| if twin { service.networks()["chaos"][0].clone() } else { (*name).to_owned() });
        known.collect()
    };
    assert_eq!(names(true), names(false), "the proxy calls them by these names");
    let (proxy, twin) = (compose.service("proxy"), compose.service("chaos-proxy"));
    assert_eq!((&proxy.image, &proxy.volumes), (&twin.image, &twin.volumes));
    let chaos = compose.service("chaos");
    assert_eq!(chaos.networks()["chaos"], ["simulator"], "the harness stands where the gateways look for AWS");
    let url = chaos.command.iter().find(|word| word.starts_with("http://")).unwrap();
    assert_eq!(url, "http://chaos-proxy:8080/v1");
    let in_twin = compose.services.iter().filter(|(_, service)| service.networks().contains_key("chaos"));
    assert!(in_twin.clone().count() == 4 && in_twin.clone().all(|(_, service)| service.profiles == ["chaos"]), "{in_twin:?}");
}

#[test]
fn the_scenario_of_the_stack_loads_and_opens_the_regions_that_the_gateways_call() {
    let scenario = load_file(&at("config/deploy/chaos/stack.toml")).unwrap_or_else(|problems| panic!("{problems}"));
    let Target::Url(plan) = &scenario.target else { panic!("the stack is not started by the harness") };
    assert!(plan.bind.unwrap().is_unspecified(), "the gateways are in other containers");
    let settings = settings(&Compose::read());
    let opened: Vec<(String, String)> =
        scenario.regions.iter().zip(&plan.ports).map(|(region, port)| (region.name.clone(), port.to_string())).collect();
    let asked: Vec<(String, String)> = settings.aws.regions.iter().map(|region| (region.to_string(), port(&settings, region))).collect();
    assert_eq!(opened, asked);
    // The page calls the run by what the gateways do.
    let told: toml::Table = toml::from_str(&read("config/replicas.toml")).unwrap();
    let strategy = told["routing"]["strategy"].as_str().unwrap();
    assert!(scenario.run == [strategy] && scenario.judge == [strategy], "{:?} {:?} {strategy}", scenario.run, scenario.judge);
    // It may take the gateways several attempts to find the regions: 2 s, 4 s, 8 s, and the proxy's two checks.
    assert!(scenario.phases[0].lasting >= Duration::from_secs(20) && !scenario.phases[0].judged);
}

// ---- The proxy ---------------------------------------------------------------------------------------------------------------

/// The lines of a section of haproxy.cfg, without its head.
fn section(head: &str) -> Vec<String> {
    let text = read("config/deploy/haproxy.cfg");
    let lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty() && !line.trim_start().starts_with('#'));
    let lines: Vec<String> = lines
        .skip_while(|line| *line != head)
        .skip(1)
        .take_while(|line| line.starts_with(' '))
        .map(|line| line.trim().to_owned())
        .collect();
    assert!(!lines.is_empty(), "haproxy.cfg has no section `{head}`");
    lines
}

fn timeout(name: &str) -> Duration {
    let line = section("defaults").into_iter().find_map(|line| line.strip_prefix(&format!("timeout {name} ")).map(str::to_owned));
    span(&line.unwrap_or_else(|| panic!("no timeout {name}")))
}

#[test]
fn the_proxy_knows_every_gateway_and_where_it_listens() {
    let compose = Compose::read();
    let port = settings(&compose).server.port;
    let servers: BTreeSet<String> = section("backend gateways").into_iter().filter(|line| line.starts_with("server ")).collect();
    let wanted: BTreeSet<String> = compose.gateways(false).keys().map(|name| format!("server {name} {name}:{port}")).collect();
    assert_eq!(servers, wanted);
    assert!(compose.service("proxy").mounted_at("config/deploy/haproxy.cfg").is_some());
    for (frontend, published) in [("frontend clients", 0), ("frontend operators", 1)] {
        let bound = section(frontend).into_iter().find_map(|line| line.strip_prefix("bind :").map(str::to_owned)).unwrap();
        assert_eq!(compose.service("proxy").ports[published], format!("127.0.0.1:{bound}:{bound}"));
    }
    let asked = compose.service("proxy").healthcheck.as_ref().unwrap().test.last().unwrap();
    let path = section("frontend operators").into_iter().find_map(|line| line.strip_prefix("monitor-uri ").map(str::to_owned)).unwrap();
    assert_eq!(*asked, format!("http://127.0.0.1:8404{path}"));
}

#[test]
fn the_proxy_hashes_the_session_else_the_key_else_the_address() {
    let frontend = section("frontend clients");
    let set: Vec<&str> = frontend.iter().filter_map(|line| line.strip_prefix("http-request set-var(txn.conversation) ")).collect();
    let header = |name: &str| format!("req.hdr({name}) if {{ req.hdr({name}) -m len gt 0 }}");
    // The last one that holds counts: the gateway's own order, backwards.
    let source = std::fs::read_to_string("src/http/headers.rs").unwrap();
    let named = source.split("static SESSIONS").nth(1).unwrap().split("];").next().unwrap();
    let sessions: Vec<String> = named.split('"').skip(1).step_by(2).map(header).collect();
    assert!(sessions.len() >= 6, "{sessions:?}");
    let expected: Vec<String> =
        ["src".to_owned(), header("authorization"), header("x-api-key")].into_iter().chain(sessions.into_iter().rev()).collect();
    assert_eq!(set, expected);
    let backend = section("backend gateways");
    assert!(backend.contains(&"balance hash var(txn.conversation)".to_owned()), "{backend:?}");
    assert!(backend.iter().any(|line| line.starts_with("hash-type consistent ")), "{backend:?}");
}

#[test]
fn the_proxy_asks_the_gateways_for_their_health_and_gives_them_time_to_leave() {
    let settings = settings(&Compose::read());
    let backend = section("backend gateways");
    assert!(backend.contains(&"option httpchk GET /health/ready".to_owned()), "{backend:?}");
    let server = backend.iter().find(|line| line.starts_with("default-server check ")).unwrap();
    let word = |name: &str| server.split_whitespace().skip_while(|word| *word != name).nth(1).unwrap();
    let noticed = span(word("inter")) * word("fall").parse::<u32>().unwrap();
    assert!(settings.server.shutdown_delay > noticed, "requests still arrive for {noticed:?}");
}

#[test]
fn every_wait_is_longer_than_what_it_waits_for() {
    let compose = Compose::read();
    let settings = settings(&compose);
    let usual = load("config/production.toml", [("OUTCROP_API_KEY", "sk-any")].into_iter().collect());
    for settings in [&settings, &usual] {
        assert!(timeout("server") > settings.timeouts.total && timeout("client") > settings.timeouts.total);
        assert!(timeout("http-keep-alive") < settings.server.header_read_timeout, "the proxy is the one to close");
    }
    let end = settings.server.shutdown_delay + settings.server.shutdown_grace;
    for (name, gateway) in [false, true].into_iter().flat_map(|twin| compose.gateways(twin)) {
        assert!(span(gateway.stop_grace_period.as_deref().unwrap()) > end, "{name} is killed before it has drained");
        let memory: u64 = gateway.mem_limit.strip_suffix('m').unwrap().parse().unwrap();
        assert!(memory << 20 >= settings.server.body_memory * 3, "{name}: bodies take as much again while they are translated");
    }
}

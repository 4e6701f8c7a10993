//! Images and containers: pinned, hardened, healthy, and started with commands that exist.

use std::collections::BTreeSet;

use clap::{Args as _, Parser as _};
use outcrop::cli::CommandLine;
use outcrop_chaos::cli::RunArgs;
use outcrop_sim::Options;

use super::{
    dockerfile::{Stage, stages, unpinned, words},
    expect_none,
    files::{Compose, Service, at, read},
};

fn dockerfile() -> Vec<Stage> {
    stages(&read("Dockerfile"))
}

fn stage<'a>(all: &'a [Stage], name: &str) -> &'a Stage {
    all.iter().find(|stage| stage.name == name).unwrap_or_else(|| panic!("the Dockerfile has no stage {name}"))
}

// ---- Images ------------------------------------------------------------------------------------------------------------------

#[test]
fn every_image_is_pinned_to_a_version_and_a_digest() {
    let compose = Compose::read();
    let foreign = compose.services.values().filter(|service| service.build.is_none()).map(|service| service.image.clone());
    let stages = dockerfile();
    let names: BTreeSet<&str> = stages.iter().map(|stage| stage.name.as_str()).collect();
    let bases = stages.iter().map(|stage| stage.from.clone()).filter(|from| from != "scratch" && !names.contains(from.as_str()));
    let images: Vec<String> = foreign.chain(bases).collect();
    assert!(images.len() >= 4, "{images:?}");
    expect_none(images.iter().filter_map(|image| unpinned(image)).collect());
}

#[test]
fn images_of_ours_are_built_from_stages_that_exist() {
    let stages = dockerfile();
    for service in Compose::read().services.values() {
        let Some(build) = &service.build else { continue };
        assert_eq!(build.context, ".");
        let ours = if build.target == "gateway" { "outcrop:local" } else { "outcrop-chaos:local" };
        assert_eq!(service.image, ours);
        assert_eq!(stage(&stages, &build.target).from, "scratch");
    }
    assert_eq!(stages.last().unwrap().name, "gateway", "what is built when no target is named");
}

#[test]
fn images_hold_no_shell_run_as_a_number_and_begin_with_a_program_they_have() {
    let stages = dockerfile();
    for name in ["gateway", "chaos"] {
        let stage = stage(&stages, name);
        assert_eq!(stage.from, "scratch", "{name}");
        assert_eq!(stage.all("RUN").count(), 0, "{name}: there is nothing that could run");
        let (user, group) = stage.last("USER").unwrap().split_once(':').unwrap();
        assert!(user.parse::<u32>().unwrap() > 0 && group.parse::<u32>().unwrap() > 0, "{name}");
        assert!(programs(stage).contains(&stage.words("ENTRYPOINT").unwrap()[0]), "{name}");
    }
    let copied: Vec<&str> = stage(&stages, "gateway").all("COPY").collect();
    assert!(copied.iter().any(|copy| copy.ends_with(" /etc/ssl/certs/ca-certificates.crt")), "AWS is called over TLS: {copied:?}");
}

/// Where a stage's COPYs from build stages put files: a target that ends with `/` keeps the names.
fn programs(stage: &Stage) -> BTreeSet<String> {
    let of_copy = |copy: &str| {
        let parts: Vec<&str> = copy.split_whitespace().filter(|word| !word.starts_with("--")).collect();
        let (target, sources) = parts.split_last().unwrap();
        let kept = |source: &&str| format!("{target}{}", source.rsplit('/').next().unwrap());
        if target.ends_with('/') { sources.iter().map(kept).collect() } else { vec![(*target).to_owned()] }
    };
    stage.all("COPY").filter(|copy| copy.contains("--from=")).flat_map(of_copy).collect()
}

#[test]
fn the_image_builds_with_the_toolchain_of_the_repository() {
    let toolchain: toml::Table = toml::from_str(&read("rust-toolchain.toml")).unwrap();
    let version = toolchain["toolchain"]["channel"].as_str().unwrap();
    let stages = dockerfile();
    assert!(stages[0].from.starts_with(&format!("rust:{version}-")), "{} and {version}", stages[0].from);
    for name in ["build-gateway", "build-chaos"] {
        let stage = stage(&stages, name);
        assert_eq!(stage.from, stages[0].name);
        let run = stage.last("RUN").unwrap();
        assert!(run.contains(" --locked") && run.contains(" --release") && run.contains(" --target "), "{run}");
    }
    let platforms = stages[0].all("RUN").find(|run| run.contains("rustup target add")).unwrap();
    assert!(platforms.contains("x86_64-unknown-linux-musl") && platforms.contains("aarch64-unknown-linux-musl"), "{platforms}");
}

#[test]
fn the_build_gets_what_it_needs() {
    let ignore = read(".dockerignore");
    let rules: Vec<&str> = ignore.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert_eq!(rules[0], "*", "everything is left out that is not named");
    let let_in: Vec<&str> = rules.iter().filter_map(|rule| rule.strip_prefix('!')).collect();
    let missing = let_in.iter().filter(|path| !at(path).exists()).map(|path| format!(".dockerignore lets in {path}, which is not there"));
    expect_none(missing.collect());
    // The workspace, what is compiled in, and what the images copy.
    let workspace: toml::Table = toml::from_str(&read("Cargo.toml")).unwrap();
    let members = workspace["workspace"]["members"].as_array().unwrap().iter().map(|member| member.as_str().unwrap().to_owned());
    let stages = dockerfile();
    let copies = stages.iter().flat_map(|stage| stage.all("COPY")).filter(|copy| !copy.starts_with("--"));
    let copied = copies.filter_map(|copy| copy.split_whitespace().next()).map(str::to_owned);
    let needed = members.chain(copied).chain(["src", "config/models", "Cargo.lock"].map(str::to_owned)).filter(|path| path != ".");
    let within = |path: &str| let_in.iter().any(|root| path == *root || path.starts_with(&format!("{root}/")));
    expect_none(needed.filter(|path| !within(path) || !at(path).exists()).map(|path| format!("a build does not get {path}")).collect());
}

// ---- Containers --------------------------------------------------------------------------------------------------------------

#[test]
fn every_container_is_fenced_in() {
    let compose = Compose::read();
    assert_eq!(compose.name, "outcrop");
    for (name, service) in &compose.services {
        assert!(service.read_only, "{name}");
        assert_eq!(service.cap_drop, ["ALL"], "{name}");
        assert_eq!(service.security_opt, ["no-new-privileges:true"], "{name}");
        assert!(service.pids_limit > 0 && service.cpus > 0.0 && service.mem_limit.ends_with(['m', 'g']), "{name}");
        assert!(service.logging.driver == "json-file" && service.logging.options.contains_key("max-size"), "{name}: logs fill no disk");
        // Ours have theirs in the image.
        let user = service.user.as_deref().unwrap_or("no user");
        assert!(service.build.is_some() || user.split(':').next().unwrap().parse::<u32>().is_ok_and(|id| id > 0), "{name}: {user}");
        assert!(service.ports.iter().all(|port| port.starts_with("127.0.0.1:")), "{name} is for this machine");
        assert!(service.tmpfs.iter().all(|path| path.starts_with('/')), "{name}");
    }
}

#[test]
fn containers_are_published_on_different_ports() {
    let compose = Compose::read();
    let published: Vec<&str> =
        compose.services.values().flat_map(|service| &service.ports).map(|port| port.rsplit_once(':').unwrap().0).collect();
    assert_eq!(published.iter().collect::<BTreeSet<_>>().len(), published.len(), "{published:?}");
}

#[test]
fn who_waits_for_health_waits_for_a_service_that_tells_it() {
    let compose = Compose::read();
    let stages = dockerfile();
    let tells = |service: &Service| match &service.healthcheck {
        Some(own) => {
            !own.disable && own.test.first().is_some_and(|first| first == "CMD") && own.interval.is_some() && own.timeout.is_some()
        }
        None => service.target().is_some_and(|target| stage(&stages, target).last("HEALTHCHECK").is_some()),
    };
    for (name, service) in &compose.services {
        // What runs once and ends has none.
        assert!(tells(service) || service.restart == "no", "{name} tells nobody whether it is well");
        for (needed, dependency) in &service.depends_on {
            let needed_service = compose.service(needed);
            assert!(
                dependency.condition == "service_started" || (dependency.condition == "service_healthy" && tells(needed_service)),
                "{name}"
            );
            let together = service.networks().keys().any(|network| needed_service.networks().contains_key(network));
            assert!(together, "{name} cannot reach {needed}");
        }
    }
}

#[test]
fn what_is_mounted_exists_and_cannot_be_changed() {
    let compose = Compose::read();
    let mut volumes = BTreeSet::new();
    for (name, service) in &compose.services {
        for (source, _, mode) in service.mounts() {
            if let Some(path) = source.strip_prefix("./") {
                assert!(at(path).exists(), "{name}: {path}");
                assert_eq!(mode, Some("ro"), "{name}: {path}");
            } else {
                assert!(compose.volumes.contains_key(source), "{name}: {source}");
                volumes.insert(source.to_owned());
            }
        }
        assert!(service.networks().keys().all(|network| compose.networks.contains_key(*network)), "{name}");
    }
    assert_eq!(volumes, compose.volumes.keys().cloned().collect(), "a volume that nobody has");
}

// ---- Commands ----------------------------------------------------------------------------------------------------------------

/// A line of `outcrop`, by its own parser.
fn parses(line: &[String]) {
    if let Err(error) = CommandLine::try_parse_from(std::iter::once("outcrop").chain(line.iter().map(String::as_str))) {
        panic!("outcrop {}: {error}", line.join(" "));
    }
}

#[test]
fn the_gateways_image_serves_and_asks_itself_for_its_health() {
    let stages = dockerfile();
    let gateway = stage(&stages, "gateway");
    assert_eq!(gateway.words("ENTRYPOINT").unwrap(), ["/outcrop"]);
    let command = gateway.words("CMD").unwrap();
    assert_eq!(command, ["serve"]);
    parses(&command);
    let health = gateway.words("HEALTHCHECK").unwrap();
    assert_eq!(health[..2], ["/outcrop", "health"]);
    parses(&health[1..]);
    assert_eq!(words("NONE"), None);
}

#[test]
fn the_gateways_of_the_stack_are_started_with_a_line_they_understand() {
    let compose = Compose::read();
    for twin in [false, true] {
        let gateways = compose.gateways(twin);
        assert_eq!(gateways.len(), 2);
        for service in gateways.values() {
            assert_eq!((service.command[0].as_str(), &service.entrypoint), ("serve", &None));
            parses(&service.command);
            let settings = service.mounted_at("config/replicas.toml").unwrap();
            assert!(service.command.iter().any(|word| word == settings), "the line names what is mounted");
            // Without --config, as the health check of the image: it must find the same file.
            assert!(outcrop::settings::SEARCH.contains(&settings), "{settings}");
        }
    }
}

#[test]
fn the_simulator_is_started_and_asked_with_lines_that_the_programs_understand() {
    let compose = Compose::read();
    let simulator = compose.service("simulator");
    assert_eq!(simulator.entrypoint.as_deref(), Some(&["/outcrop-sim".to_owned()][..]));
    let options = Options::try_parse_from(std::iter::once("outcrop-sim").chain(simulator.command.iter().map(String::as_str))).unwrap();
    assert!(options.bind.is_unspecified(), "the gateways are in other containers");
    let control = options.control_port.unwrap();
    assert_eq!(simulator.ports, [format!("127.0.0.1:{control}:{control}")]);
    let asked = &simulator.healthcheck.as_ref().unwrap().test;
    let stages = dockerfile();
    let programs = programs(stage(&stages, "chaos"));
    assert!(programs.contains("/outcrop-sim") && programs.contains(&asked[1]), "{programs:?} {asked:?}");
    parses(&asked[2..]);
    assert!(asked.contains(&format!("http://127.0.0.1:{control}/")), "{asked:?}");
}

#[test]
fn the_harness_is_started_with_a_line_it_understands() {
    let compose = Compose::read();
    let chaos = compose.service("chaos");
    assert_eq!((chaos.command[0].as_str(), &chaos.entrypoint), ("run", &None));
    let run = RunArgs::augment_args(clap::Command::new("run"));
    let matches = run.try_get_matches_from(&chaos.command).unwrap();
    let named = |id: &str| matches.get_one::<std::path::PathBuf>(id).unwrap().display().to_string();
    assert_eq!(Some(named("scenarios").as_str()), chaos.mounted_at("config/deploy/chaos"));
    let names: Vec<&String> = matches.get_many("names").unwrap().collect();
    assert!(names.iter().all(|name| at(&format!("config/deploy/chaos/{name}.toml")).exists()), "{names:?}");
    // Relative to the image's working directory; reports are kept, and everything else is read only.
    let stages = dockerfile();
    let stage = stage(&stages, "chaos");
    let lab = stage.last("WORKDIR").unwrap();
    let kept = format!("{lab}/{}", named("store"));
    assert!(chaos.mounts().iter().any(|(_, to, mode)| *to == kept && mode.is_none()), "{kept}");
    let copied: Vec<&str> = stage.all("COPY").filter_map(|copy| copy.split_whitespace().last()).collect();
    let here = [format!("{lab}/{}", named("prices")), format!("{lab}/{}", named("gateway")), kept];
    assert!(here.iter().all(|path| copied.contains(&path.as_str())), "{here:?} {copied:?}");
}

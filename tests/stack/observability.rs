//! Prometheus and Grafana: queries that name what there is, and files that find each other.

use std::collections::BTreeSet;

use outcrop::settings::Environment;
use serde::Deserialize;
use serde_json::Value;

use super::{
    agreement::load,
    expect_none,
    files::{Compose, at, read, yaml},
    metrics::{Known, complaints, in_source, shown},
};

const DASHBOARD: &str = "config/observability/grafana/dashboards/outcrop.json";

fn known() -> Known {
    let known = in_source();
    assert!(known.len() >= 25, "{known:?}");
    known
}

// ---- Prometheus --------------------------------------------------------------------------------------------------------------

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Prometheus {
    global: Intervals,
    rule_files: Vec<String>,
    scrape_configs: Vec<Scrape>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Intervals {
    scrape_interval: String,
    #[serde(rename = "evaluation_interval")]
    _evaluation_interval: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scrape {
    job_name: String,
    metrics_path: String,
    static_configs: Vec<Targets>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Targets {
    targets: BTreeSet<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    name: String,
    rules: Vec<Alert>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Alert {
    alert: String,
    expr: String,
    #[serde(rename = "for")]
    _lasting: Option<String>,
    labels: Severity,
    annotations: Words,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Severity {
    severity: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    summary: String,
    description: String,
}

#[test]
fn prometheus_asks_every_gateway_at_its_operators_port() {
    let prometheus: Prometheus = yaml("config/observability/prometheus.yml");
    let compose = Compose::read();
    let settings = load("config/replicas.toml", Environment::from_iter([("OUTCROP_API_KEY", "sk-any")]));
    assert!(settings.metrics.enabled && settings.admin.enabled && settings.admin.bind.is_unspecified());
    let jobs: Vec<&str> = prometheus.scrape_configs.iter().map(|scrape| scrape.job_name.as_str()).collect();
    assert_eq!(jobs, ["outcrop", "outcrop-chaos"]);
    for (scrape, twin) in prometheus.scrape_configs.iter().zip([false, true]) {
        assert_eq!(scrape.metrics_path, settings.admin.metrics_path);
        let wanted: BTreeSet<String> = compose.gateways(twin).keys().map(|name| format!("{name}:{}", settings.admin.port)).collect();
        assert!(scrape.static_configs.len() == 1 && scrape.static_configs[0].targets == wanted, "{:?}", scrape.static_configs);
    }
    let service = compose.service("prometheus");
    let mounted = service.mounted_at("config/observability/prometheus.yml").unwrap();
    assert!(service.command.contains(&format!("--config.file={mounted}")), "{:?}", service.command);
    assert_eq!(prometheus.rule_files, [service.mounted_at("config/observability/rules.yml").unwrap()]);
    let kept = service.mounts().into_iter().find(|(source, ..)| *source == "prometheus").unwrap().1;
    assert!(service.command.contains(&format!("--storage.tsdb.path={kept}")), "{:?}", service.command);
}

#[test]
fn every_name_that_prometheus_asks_means_one_gateway_to_it() {
    let prometheus: Prometheus = yaml("config/observability/prometheus.yml");
    let compose = Compose::read();
    let networks = compose.service("prometheus").networks();
    for target in prometheus.scrape_configs.iter().flat_map(|scrape| &scrape.static_configs[0].targets) {
        let host = target.split(':').next().unwrap();
        // In how many of the networks that Prometheus is in a container answers to the name, by its own or by another one.
        let mut answers = Vec::new();
        for (name, service) in &compose.services {
            let within = service.networks().into_iter().filter(|(network, _)| networks.contains_key(network));
            answers.extend(within.filter(|(_, aliases)| name == host || aliases.iter().any(|alias| alias == host)).map(|_| name.as_str()));
        }
        assert_eq!(answers, [host]);
    }
}

#[test]
fn the_line_that_runs_a_scenario_shows_it_on_the_dashboard() {
    let told = read("docker-compose.yml");
    let line = told.lines().find(|line| line.contains("docker compose --profile chaos up")).unwrap().trim_start_matches(['#', ' ']);
    let started: Vec<&str> = line.split("--exit-code-from chaos ").nth(1).unwrap().split_whitespace().collect();
    assert_eq!(started, ["chaos", "prometheus", "grafana"]);
    assert!(read("README.md").contains(line), "README.md tells another line");
}

#[test]
fn every_alert_asks_for_metrics_and_labels_that_there_are() {
    let rules: Rules = yaml("config/observability/rules.yml");
    let known = known();
    let mut wrong = Vec::new();
    let mut names = BTreeSet::new();
    for alert in rules.groups.iter().flat_map(|group| &group.rules) {
        let words = format!("{} {}", alert.annotations.summary, alert.annotations.description);
        wrong
            .extend(complaints(&alert.expr, &shown(&words, "$labels."), &known).into_iter().map(|told| format!("{}: {told}", alert.alert)));
        // Metrics that the words send people to.
        let quoted = words.split('`').skip(1).step_by(2).filter(|word| word.starts_with("outcrop_"));
        wrong.extend(quoted.filter(|name| !known.contains_key(*name)).map(|name| format!("{}: there is no `{name}`", alert.alert)));
        assert!(names.insert(alert.alert.clone()), "{} is there twice", alert.alert);
        assert!(["page", "ticket"].contains(&alert.labels.severity.as_str()), "{}", alert.alert);
    }
    expect_none(wrong);
    let groups: BTreeSet<&str> = rules.groups.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(groups.len(), rules.groups.len());
    for needed in ["TargetClosed", "AccessDenied", "ThrottlesReachClients", "LedgerRowsLost", "DailyBudget"] {
        assert!(names.contains(&format!("Outcrop{needed}")), "{needed}");
    }
}

#[test]
fn alerts_about_causes_and_errors_name_causes_that_there_are() {
    let classes: BTreeSet<String> =
        read("actors/domain/src/error.rs").split("=> \"").skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect();
    let rules: Rules = yaml("config/observability/rules.yml");
    let exprs = rules.groups.iter().flat_map(|group| &group.rules).map(|alert| alert.expr.as_str());
    let named: BTreeSet<String> = exprs
        .flat_map(|expr| ["cause=~\"", "error=~\""].into_iter().flat_map(|start| expr.split(start).skip(1)).collect::<Vec<_>>())
        .flat_map(|rest| rest.split('"').next().unwrap().split('|').map(str::to_owned).collect::<Vec<_>>())
        .collect();
    assert!(named.len() > 5, "{named:?}");
    expect_none(named.difference(&classes).map(|name| format!("there is no cause or error class `{name}`")).collect());
}

// ---- Grafana -----------------------------------------------------------------------------------------------------------------

fn dashboard() -> Value {
    serde_json::from_str(&read(DASHBOARD)).unwrap()
}

/// Panels, rows included.
fn panels(dashboard: &Value) -> &Vec<Value> {
    dashboard["panels"].as_array().unwrap()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no text `{key}` in {value}"))
}

#[test]
fn every_panel_has_a_number_a_title_and_a_place_of_its_own() {
    let dashboard = dashboard();
    let mut ids = BTreeSet::new();
    let mut titles = BTreeSet::new();
    let mut cells = BTreeSet::new();
    for panel in panels(&dashboard) {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        assert!(titles.insert(text(panel, "title").to_owned()), "{panel}");
        let at = |side: &str| panel["gridPos"][side].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24 && at("h") > 0, "{panel}");
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(cells.insert((x, y)), "{} lies on another panel", text(panel, "title"));
            }
        }
    }
    assert!(ids.len() > 20, "{ids:?}");
}

#[test]
fn every_panel_asks_for_metrics_and_labels_that_there_are() {
    let dashboard = dashboard();
    let known = known();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let mut wrong = Vec::new();
    for panel in panels(&dashboard).iter().filter(|panel| text(panel, "type") != "row") {
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{panel}");
        for target in targets {
            let query = text(target, "expr");
            let told = complaints(query, &shown(text(target, "legendFormat"), ""), &known);
            wrong.extend(told.into_iter().map(|told| format!("{}: {told}", text(panel, "title"))));
            for variable in query
                .split('$')
                .skip(1)
                .map(|rest| rest.trim_start_matches("__").split(|letter: char| !letter.is_alphanumeric()).next().unwrap())
            {
                let is_known = variable == "rate" || variables.iter().any(|known| text(known, "name") == variable);
                assert!(is_known, "`${variable}` is no variable: {query}");
            }
        }
    }
    for variable in variables {
        let query = text(&variable["query"], "query").strip_prefix("label_values(").unwrap().trim_end_matches(')').to_owned();
        let (metric, label) = query.split_once(", ").unwrap();
        wrong.extend(complaints(metric, &[label.to_owned()], &known));
    }
    expect_none(wrong);
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DataSources {
    #[serde(rename = "apiVersion")]
    version: u32,
    datasources: Vec<DataSource>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct DataSource {
    #[serde(rename = "name")]
    _name: String,
    uid: String,
    #[serde(rename = "type")]
    kind: String,
    access: String,
    url: String,
    is_default: bool,
    editable: bool,
    json_data: JsonData,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct JsonData {
    time_interval: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Providers {
    #[serde(rename = "apiVersion")]
    version: u32,
    providers: Vec<Value>,
}

#[test]
fn grafana_finds_its_data_source_and_its_dashboard() {
    let compose = Compose::read();
    let grafana = compose.service("grafana");
    assert_eq!(grafana.mounted_at("config/observability/grafana/provisioning"), Some("/etc/grafana/provisioning"), "where Grafana looks");
    let sources: DataSources = yaml("config/observability/grafana/provisioning/datasources/prometheus.yml");
    let [source] = &sources.datasources[..] else { panic!("one data source") };
    assert_eq!((sources.version, source.kind.as_str(), source.access.as_str()), (1, "prometheus", "proxy"));
    assert!(source.is_default && !source.editable && compose.services.contains_key("prometheus"));
    assert_eq!(source.url, "http://prometheus:9090");
    assert!(compose.service("prometheus").ports[0].ends_with(":9090"));
    let prometheus: Prometheus = yaml("config/observability/prometheus.yml");
    assert_eq!(source.json_data.time_interval, prometheus.global.scrape_interval);
    assert_eq!(prometheus.scrape_configs[0].job_name, "outcrop", "the alerts ask `up` for it");
    let dashboard = dashboard();
    for panel in panels(&dashboard).iter().filter(|panel| text(panel, "type") != "row") {
        assert_eq!(text(&panel["datasource"], "uid"), source.uid, "{}", text(panel, "title"));
    }
    let providers: Providers = yaml("config/observability/grafana/provisioning/dashboards/outcrop.yml");
    assert_eq!(providers.version, 1);
    let folder = text(&providers.providers[0]["options"], "path");
    assert_eq!(grafana.mounted_at("config/observability/grafana/dashboards"), Some(folder));
    let home = &grafana.environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"];
    let file = home.strip_prefix(&format!("{folder}/")).unwrap();
    assert!(at(&format!("config/observability/grafana/dashboards/{file}")).exists(), "{home}");
}

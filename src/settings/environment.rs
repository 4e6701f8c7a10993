//! Environment variables: the only place of the workspace that reads them.

use std::{collections::BTreeMap, ffi::OsString, fmt};

use super::read::{Node, Origin, Reader, Table, Value, insert, untyped};

/// A copy of the environment. `Debug` shows no values: many are secrets.
#[derive(Clone, Default)]
pub struct Environment {
    values: BTreeMap<String, String>,
    not_text: Vec<String>,
}

impl Environment {
    /// The environment of this process.
    #[must_use]
    pub fn of_process() -> Self {
        Self::of_variables(std::env::vars_os())
    }

    fn of_variables(variables: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let mut environment = Self::default();
        for (name, value) in variables {
            let name = name.to_string_lossy().into_owned();
            match value.into_string() {
                Ok(value) => drop(environment.values.insert(name, value)),
                Err(_) => environment.not_text.push(name),
            }
        }
        environment
    }

    /// A variable's value. Empty counts as not set: container tools pass empty variables for absent ones.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.as_str())).filter(|(_, value)| !value.is_empty())
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let values = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { values, not_text: Vec::new() }
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Environment({} variables)", self.values.len())
    }
}

/// Our variables begin with it.
const PREFIX: &str = "OUTCROP_";

/// Names the settings file.
pub const FILE_VARIABLE: &str = "OUTCROP_CONFIG";

/// One gateway key.
const KEY_VARIABLE: &str = "OUTCROP_API_KEY";

/// Several gateway keys, separated by commas.
const KEYS_VARIABLE: &str = "OUTCROP_API_KEYS";

/// Variables of the AWS tools and of proxies, and the settings they stand for. The first that is set counts.
/// Source: AWS SDKs and Tools Reference Guide, "Environment variables list".
const BORROWED: [(&str, &str); 14] = [
    ("AWS_REGION", "aws.regions"),
    ("AWS_DEFAULT_REGION", "aws.regions"),
    ("AWS_PROFILE", "aws.profile"),
    ("AWS_USE_FIPS_ENDPOINT", "aws.fips"),
    ("AWS_USE_DUALSTACK_ENDPOINT", "aws.dual_stack"),
    ("AWS_CA_BUNDLE", "aws.ca_bundle"),
    ("AWS_BEARER_TOKEN_BEDROCK", "aws.bearer_token"),
    // The lower-case forms are what most tools read; upper case is what most people write.
    ("HTTPS_PROXY", "aws.proxy.https"),
    ("https_proxy", "aws.proxy.https"),
    ("HTTP_PROXY", "aws.proxy.http"),
    ("http_proxy", "aws.proxy.http"),
    ("NO_PROXY", "aws.proxy.bypass"),
    ("no_proxy", "aws.proxy.bypass"),
    ("AWS_ENDPOINT_URL", "aws.endpoints.default"),
];

/// Endpoint variables of one service.
const BORROWED_ENDPOINTS: [(&str, &str); 2] =
    [("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "aws.endpoints.bedrock_runtime"), ("AWS_ENDPOINT_URL_BEDROCK", "aws.endpoints.bedrock")];

/// Switches the `AWS_ENDPOINT_URL` variables off.
const IGNORE_ENDPOINTS_VARIABLE: &str = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS";

/// Puts our own variables over the values of the file.
pub(super) fn overlay(table: &mut Table, environment: &Environment, reader: &Reader) {
    for name in environment.not_text.iter().filter(|name| is_ours(name)) {
        reader.problem(Origin::Environment(name.as_str().into()), &path_of(name).join("."), "not valid UTF-8".to_owned());
    }
    overlay_keys(table, environment, reader);
    for (name, value) in environment.iter().filter(|(name, value)| is_setting(name, value)) {
        insert(table, &path_of(name), word(name, value), reader);
    }
}

/// Puts borrowed variables under everything: they only fill what nobody set.
pub(super) fn underlay(table: &mut Table, environment: &Environment, reader: &Reader) {
    let ignored = environment.get(IGNORE_ENDPOINTS_VARIABLE).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    // Our own endpoints replace the variables altogether: a stray one must not redirect a single service.
    let endpoints_given = lookup(table, &["aws", "endpoints"]).is_some();
    let endpoints = BORROWED_ENDPOINTS.iter().filter(|_| !ignored && !endpoints_given);
    let others = BORROWED.iter().filter(|(_, path)| !path.starts_with("aws.endpoints.") || !(ignored || endpoints_given));
    for (name, path) in endpoints.chain(others) {
        let parts: Vec<&str> = path.split('.').collect();
        if let Some(value) = environment.get(name)
            && lookup(table, &parts).is_none()
        {
            let path: Vec<String> = parts.into_iter().map(str::to_owned).collect();
            insert(table, &path, word(name, value), reader);
        }
    }
}

/// The variable of a setting; `None` for paths with names of the user's own.
pub(super) fn variable_of(path: &str) -> Option<String> {
    let plain = path.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_' || letter == '.');
    plain.then(|| format!("{PREFIX}{}", path.replace('.', "__").to_ascii_uppercase()))
}

fn overlay_keys(table: &mut Table, environment: &Environment, reader: &Reader) {
    let mut keys = Vec::new();
    let mut origin = None;
    for (variable, separator) in [(KEY_VARIABLE, None), (KEYS_VARIABLE, Some(','))] {
        let Some(value) = environment.get(variable) else { continue };
        let parts: Vec<&str> = separator.map_or_else(|| vec![value], |separator| value.split(separator).collect());
        keys.extend(parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).map(|part| word(variable, part)));
        origin.get_or_insert_with(|| Origin::Environment(variable.into()));
    }
    if let Some(origin) = origin {
        insert(table, &["keys".to_owned(), "secrets".to_owned()], Node::new(origin, Value::Array(keys)), reader);
    }
}

fn word(variable: &str, value: &str) -> Node {
    untyped(Origin::Environment(variable.into()), value)
}

fn is_ours(name: &str) -> bool {
    name.starts_with(PREFIX)
}

fn is_setting(name: &str, value: &str) -> bool {
    is_ours(name) && ![FILE_VARIABLE, KEY_VARIABLE, KEYS_VARIABLE].contains(&name) && !is_service_link(name, value)
}

/// Kubernetes gives every container variables about every service: one of a service named `outcrop` or `outcrop-...`
/// is none of ours. Source: Kubernetes documentation, "Accessing the Service", environment variables.
fn is_service_link(name: &str, value: &str) -> bool {
    if name.contains("__") {
        return false;
    }
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || (name.ends_with("_PORT") && value.contains("://"))
        || name.split_once("_PORT_").is_some_and(|(_, rest)| {
            let digits = rest.trim_start_matches(|letter: char| letter.is_ascii_digit());
            digits.len() < rest.len() && ["_TCP", "_UDP", "_SCTP"].iter().any(|protocol| digits.starts_with(protocol))
        })
}

/// `OUTCROP_SERVER__PORT` -> `server`, `port`.
fn path_of(name: &str) -> Vec<String> {
    name.strip_prefix(PREFIX).unwrap_or(name).to_ascii_lowercase().split("__").map(str::to_owned).collect()
}

fn lookup<'t>(table: &'t Table, path: &[&str]) -> Option<&'t Node> {
    let (name, rest) = path.split_first()?;
    let node = table.get(*name)?;
    match (&node.value, rest.is_empty()) {
        (_, true) => Some(node),
        (Value::Table(below), false) => lookup(below, rest),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_kubernetes_services_are_not_settings() {
        for (name, value) in [
            ("OUTCROP_SERVICE_HOST", "10.0.0.1"),
            ("OUTCROP_SERVICE_PORT", "8080"),
            ("OUTCROP_SERVICE_PORT_HTTP", "8080"),
            ("OUTCROP_PORT", "tcp://10.0.0.1:8080"),
            ("OUTCROP_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
            ("OUTCROP_PORT_8080_TCP_ADDR", "10.0.0.1"),
            ("OUTCROP_ADMIN_PORT_9090_TCP_PROTO", "tcp"),
        ] {
            assert!(!is_setting(name, value), "{name}");
        }
    }

    #[test]
    fn a_misspelt_variable_is_not_taken_for_one_of_kubernetes() {
        assert!(is_setting("OUTCROP_SERVER_PORT", "9000"));
        assert!(is_setting("OUTCROP_SERVER__PORT", "tcp://10.0.0.1:8080"));
        assert!(is_setting("OUTCROP_PORT_RANGE", "1"));
    }

    #[test]
    fn settings_and_variables_map_both_ways() {
        assert_eq!(path_of("OUTCROP_LANES__CHAT__QUEUE_LIMIT"), ["lanes", "chat", "queue_limit"]);
        assert_eq!(variable_of("lanes.chat.queue_limit").as_deref(), Some("OUTCROP_LANES__CHAT__QUEUE_LIMIT"));
        assert_eq!(variable_of("models.aliases.*"), None);
    }

    #[test]
    fn debug_shows_no_values() {
        let environment: Environment = [("OUTCROP_API_KEY", "sk-very-secret")].into_iter().collect();
        assert_eq!(format!("{environment:?}"), "Environment(1 variables)");
    }

    #[cfg(unix)]
    #[test]
    fn our_variables_must_be_text_and_others_need_not() {
        use std::os::unix::ffi::OsStringExt;

        let broken = || OsString::from_vec(vec![0xff]);
        let environment =
            Environment::of_variables([(OsString::from("OUTCROP_LOG__LEVEL"), broken()), (OsString::from("OTHER"), broken())].into_iter());
        let reader = Reader::default();
        overlay(&mut Table::new(), &environment, &reader);
        let problems: Vec<String> = reader.finish().problems.iter().map(ToString::to_string).collect();
        assert_eq!(problems, ["OUTCROP_LOG__LEVEL: log.level: not valid UTF-8"]);
    }
}

//! The files of the stack, read strictly: what these types do not know is an error.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde::{Deserialize, de::DeserializeOwned};

/// A file of the repository.
pub(crate) fn at(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Its text.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(at(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Its YAML.
pub(crate) fn yaml<T: DeserializeOwned>(path: &str) -> T {
    serde_saphyr::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// `docker-compose.yml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Compose {
    pub(crate) name: String,
    pub(crate) services: BTreeMap<String, Service>,
    pub(crate) networks: BTreeMap<String, Option<()>>,
    pub(crate) volumes: BTreeMap<String, Option<()>>,
    // Templates: what counts is what became of them.
    #[serde(rename = "x-hardened")]
    _hardened: serde::de::IgnoredAny,
    #[serde(rename = "x-gateway")]
    _gateway: serde::de::IgnoredAny,
    #[serde(rename = "x-proxy")]
    _proxy: serde::de::IgnoredAny,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Service {
    pub(crate) image: String,
    pub(crate) build: Option<Build>,
    #[serde(default)]
    pub(crate) profiles: Vec<String>,
    pub(crate) user: Option<String>,
    pub(crate) entrypoint: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) command: Vec<String>,
    #[serde(default)]
    pub(crate) environment: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) volumes: Vec<String>,
    #[serde(default)]
    pub(crate) tmpfs: Vec<String>,
    #[serde(default)]
    pub(crate) ports: Vec<String>,
    pub(crate) networks: Networks,
    pub(crate) healthcheck: Option<HealthCheck>,
    #[serde(default)]
    pub(crate) depends_on: BTreeMap<String, Dependency>,
    pub(crate) restart: String,
    pub(crate) stop_grace_period: Option<String>,
    pub(crate) read_only: bool,
    pub(crate) cap_drop: Vec<String>,
    pub(crate) security_opt: Vec<String>,
    pub(crate) pids_limit: u32,
    pub(crate) cpus: f64,
    pub(crate) mem_limit: String,
    pub(crate) logging: Logging,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Build {
    pub(crate) context: String,
    pub(crate) target: String,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Networks {
    Names(Vec<String>),
    Attached(BTreeMap<String, Attached>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Attached {
    #[serde(default)]
    pub(crate) aliases: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HealthCheck {
    #[serde(default)]
    pub(crate) disable: bool,
    #[serde(default)]
    pub(crate) test: Vec<String>,
    pub(crate) interval: Option<String>,
    pub(crate) timeout: Option<String>,
    #[serde(rename = "start_period")]
    _start_period: Option<String>,
    #[serde(rename = "retries")]
    _retries: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dependency {
    pub(crate) condition: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Logging {
    pub(crate) driver: String,
    pub(crate) options: BTreeMap<String, String>,
}

impl Compose {
    pub(crate) fn read() -> Self {
        yaml("docker-compose.yml")
    }

    pub(crate) fn service(&self, name: &str) -> &Service {
        self.services.get(name).unwrap_or_else(|| panic!("there is no service {name}"))
    }

    /// Services that run the gateway, in the stack itself or in its twin.
    pub(crate) fn gateways(&self, twin: bool) -> BTreeMap<&str, &Service> {
        let named = self.services.iter().map(|(name, service)| (name.as_str(), service));
        named.filter(|(_, service)| service.target() == Some("gateway") && service.profiles.is_empty() != twin).collect()
    }
}

impl Service {
    /// The stage of our Dockerfile, if it is one of ours.
    pub(crate) fn target(&self) -> Option<&str> {
        self.build.as_ref().map(|build| build.target.as_str())
    }

    /// Networks, with the names that this service has there besides its own.
    pub(crate) fn networks(&self) -> BTreeMap<&str, &[String]> {
        match &self.networks {
            Networks::Names(names) => names.iter().map(|name| (name.as_str(), &[][..])).collect(),
            Networks::Attached(all) => all.iter().map(|(name, attached)| (name.as_str(), attached.aliases.as_slice())).collect(),
        }
    }

    /// `source:target:mode` of what is mounted.
    pub(crate) fn mounts(&self) -> Vec<(&str, &str, Option<&str>)> {
        let parts = |text| {
            let mut parts = str::split(text, ':');
            (parts.next().unwrap(), parts.next().unwrap(), parts.next())
        };
        self.volumes.iter().map(|text| parts(text)).collect()
    }

    /// Where a file of the repository lies in the container.
    pub(crate) fn mounted_at(&self, source: &str) -> Option<&str> {
        let source = format!("./{source}");
        self.mounts().into_iter().find(|(from, ..)| *from == source).map(|(_, to, _)| to)
    }
}

//! A gateway that somebody else started, in the place of ours: any scenario whose faults are not of the gateway's own process.

use std::net::IpAddr;

use anyhow::bail;

use crate::scenario::{FaultKind, Scenario, Target, UrlPlan};

/// What a peer is called when nobody says.
const NAMELESS: &str = "elsewhere";

/// What is known of the peer besides its address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peer {
    /// What reports call it, instead of by a routing strategy: letters, digits, `.`, `-` and `_`, as it names a folder too.
    pub name: Option<String>,
    /// Ports of the simulated regions, in the order of the scenario; empty = the scenario's own, or any that are free.
    pub ports: Vec<u16>,
    /// Where the regions listen; `None` = as the scenario says, else this machine only.
    pub bind: Option<IpAddr>,
}

impl Peer {
    /// Why a scenario cannot be run against any peer: kinds of faults that need a process which the harness started.
    #[must_use]
    pub fn out_of_reach(scenario: &Scenario) -> Option<String> {
        let ours = scenario.faults.iter().filter(|fault| matches!(fault.kind, FaultKind::Host(_) | FaultKind::Credentials));
        let mut kinds: Vec<&str> = ours.map(|fault| fault.word.as_str()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        (!kinds.is_empty()).then(|| format!("only a gateway that the harness starts can have: {}", kinds.join(", ")))
    }

    /// The scenario with this peer as its target. Its settings are those of our gateway and do not go with it.
    ///
    /// # Errors
    /// A name that cannot name a folder, fewer ports than regions, and faults that are out of reach.
    pub fn take_over(&self, mut scenario: Scenario, url: &str) -> anyhow::Result<Scenario> {
        if let Some(words) = Self::out_of_reach(&scenario) {
            bail!("{}: {words}", scenario.name);
        }
        let plan = match &scenario.target {
            Target::Url(plan) => plan.clone(),
            Target::Gateway(_) => UrlPlan { url: None, key_env: None, ports: Vec::new(), bind: None },
        };
        let ports = if self.ports.is_empty() { plan.ports } else { self.ports.clone() };
        if !ports.is_empty() && ports.len() < scenario.regions.len() {
            bail!("{}: {} ports for {} regions", scenario.name, ports.len(), scenario.regions.len());
        }
        // A scenario that is written for a peer says itself what its gateways do.
        let name = match (&self.name, &scenario.target) {
            (Some(name), _) => Some(name.as_str()),
            (None, Target::Gateway(_)) => Some(NAMELESS),
            (None, Target::Url(_)) => None,
        };
        if let Some(name) = name {
            if name.is_empty() || name.starts_with('.') || !name.chars().all(|sign| sign.is_ascii_alphanumeric() || "-_.".contains(sign)) {
                bail!("`{name}` names a folder too: letters, digits, `-`, `_` and `.`, which is not the first");
            }
            scenario.run = vec![name.to_owned()];
            scenario.judge = scenario.run.clone();
            scenario.text = format!(
                "# Run against {name} at {url}: the target below, its settings and the strategies are not used.\n{}",
                scenario.text
            );
        }
        scenario.target = Target::Url(UrlPlan { ports, bind: self.bind.or(plan.bind), ..plan });
        Ok(scenario)
    }

    /// How the command line says it.
    pub(super) fn words(&self, url: &str) -> String {
        let ports: Vec<String> = self.ports.iter().map(u16::to_string).collect();
        let ports = if ports.is_empty() { String::new() } else { format!(" --ports {}", ports.join(",")) };
        let bind = self.bind.map_or(String::new(), |bind| format!(" --bind {bind}"));
        let name = self.name.as_ref().map_or(String::new(), |name| format!(" --name {name}"));
        format!(" --url {url}{ports}{bind}{name}")
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::scenario::{find, load_file};

    const URL: &str = "http://127.0.0.1:4000/v1";

    fn shipped() -> Vec<Scenario> {
        let files = find(&Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")).unwrap();
        files.iter().map(|file| load_file(file).unwrap_or_else(|error| panic!("{error}"))).collect()
    }

    fn named(name: &str) -> Scenario {
        shipped().into_iter().find(|scenario| scenario.name == name).unwrap()
    }

    #[test]
    fn a_peer_takes_over_every_scenario_that_does_not_need_our_process() {
        let peer = Peer { name: Some("litellm".to_owned()), ports: vec![4601, 4602, 4603], bind: Some([0, 0, 0, 0].into()) };
        let (mut taken, mut out_of_reach) = (0, Vec::new());
        for scenario in shipped() {
            let name = scenario.name.clone();
            let Ok(scenario) = peer.take_over(scenario, URL) else {
                out_of_reach.push(name);
                continue;
            };
            taken += 1;
            assert_eq!((scenario.run.as_slice(), &scenario.judge), (&["litellm".to_owned()][..], &scenario.run), "{name}");
            let Target::Url(plan) = &scenario.target else { panic!("{name}: {:?}", scenario.target) };
            assert_eq!((plan.ports.as_slice(), plan.bind), (&peer.ports[..], peer.bind), "{name}");
            assert!(scenario.text.starts_with("# Run against litellm"), "{name}");
        }
        assert!(taken >= 35, "{taken}");
        for needed in ["actor-massacre", "sigterm-deploy", "disk-full", "credentials-expire"] {
            assert!(out_of_reach.iter().any(|name| name == needed), "{needed}: {out_of_reach:?}");
        }
    }

    #[test]
    fn what_a_peer_cannot_be_is_told() {
        let quiet = || named("one-region-throttles");
        let told = |peer: Peer, scenario: Scenario| peer.take_over(scenario, URL).unwrap_err().to_string();
        assert!(told(Peer { ports: vec![1, 2], ..Peer::default() }, quiet()).contains("2 ports for 3 regions"));
        for name in ["", "..", "a/b", "a b"] {
            assert!(told(Peer { name: Some(name.to_owned()), ..Peer::default() }, quiet()).contains("names a folder"), "{name}");
        }
        assert!(told(Peer::default(), named("sigkill-and-restart")).contains("sigkill"));
    }

    #[test]
    fn a_peer_without_a_name_is_not_called_by_a_strategy_of_ours() {
        let scenario = Peer::default().take_over(named("one-region-throttles"), URL).unwrap();
        assert_eq!(scenario.judge, [NAMELESS]);
        let Target::Url(plan) = &scenario.target else { panic!("{:?}", scenario.target) };
        assert!(plan.ports.is_empty() && plan.bind.is_none());
    }

    #[test]
    fn a_run_can_be_repeated_from_its_page() {
        let peer = Peer { name: Some("x".to_owned()), ports: vec![1, 2], bind: Some([0, 0, 0, 0].into()) };
        assert_eq!(peer.words(URL), " --url http://127.0.0.1:4000/v1 --ports 1,2 --bind 0.0.0.0 --name x");
        assert_eq!(Peer::default().words(URL), " --url http://127.0.0.1:4000/v1");
    }
}

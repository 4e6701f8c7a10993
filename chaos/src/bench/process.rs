//! Processes under test, and what the operating system says of them.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

/// A server that was started for the benchmark; killed when dropped.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    /// `host:port`.
    pub(super) address: String,
    /// From spawn until it was ready.
    pub(super) started_in: Duration,
}

/// Longest start of a server.
const START_DEADLINE: Duration = Duration::from_secs(20);

impl Server {
    /// Starts one that prints `listening on ADDRESS`.
    pub(super) async fn announced(program: &Path, arguments: &[String]) -> anyhow::Result<Self> {
        let began = Instant::now();
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let stdout = child.stdout.take().context("the server has no output")?;
        let mut lines = BufReader::new(stdout).lines();
        let find = async {
            while let Some(line) = lines.next_line().await? {
                if let Some(address) = line.strip_prefix("listening on ") {
                    return Ok(address.to_owned());
                }
            }
            bail!("the server ended without listening")
        };
        let address = tokio::time::timeout(START_DEADLINE, find).await.context("the server did not start")??;
        Ok(Self { child, address, started_in: began.elapsed() })
    }

    /// Starts one that answers `GET /health/ready` with 200 on a known address.
    pub(super) async fn probed(program: &Path, arguments: &[String], address: String) -> anyhow::Result<Self> {
        let began = Instant::now();
        let child = Command::new(program)
            .args(arguments)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        while began.elapsed() < START_DEADLINE {
            if super::load::is_ready(&address).await {
                return Ok(Self { child, address, started_in: began.elapsed() });
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        bail!("{} was not ready within {START_DEADLINE:?}", program.display())
    }

    /// CPU time of each of its threads so far, to the nanosecond: `/proc/PID/stat` counts hundredths of a second, which is much of a
    /// short measurement.
    pub(super) fn cpu(&self) -> anyhow::Result<CpuTimes> {
        let mut threads = HashMap::new();
        for task in std::fs::read_dir(format!("/proc/{}/task", self.pid()?))? {
            let path = task?.path();
            // One that has just ended has done nothing for ten seconds.
            let Ok(told) = std::fs::read_to_string(path.join("schedstat")) else { continue };
            let on_cpu = told.split_whitespace().next().and_then(|number| number.parse::<u64>().ok());
            threads.insert(path, on_cpu.context("unreadable /proc schedstat")?);
        }
        Ok(CpuTimes(threads))
    }

    /// Resident memory in KiB.
    pub(super) fn rss_kib(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()?))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        line.trim().trim_end_matches(" kB").trim().parse().context("unreadable VmRSS")
    }

    fn pid(&self) -> anyhow::Result<u32> {
        self.child.id().context("the server has ended")
    }
}

/// CPU time of the threads of a process, nanoseconds.
#[derive(Debug, Clone, Default)]
pub(super) struct CpuTimes(HashMap<PathBuf, u64>);

impl CpuTimes {
    /// What the process has used since an earlier reading. A thread that has ended since takes its time along, and would make the
    /// sums of all threads lie: so each is compared with itself.
    pub(super) fn since(&self, earlier: &Self) -> Duration {
        let used = self.0.iter().map(|(thread, now)| now.saturating_sub(earlier.0.get(thread).copied().unwrap_or(0)));
        Duration::from_nanos(used.sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_ends_takes_nothing_away_and_a_new_one_counts_whole() {
        let times = |threads: &[(&str, u64)]| CpuTimes(threads.iter().map(|(thread, time)| (PathBuf::from(thread), *time)).collect());
        let later = times(&[("worker", 150), ("new", 30)]);
        assert_eq!(later.since(&times(&[("worker", 100), ("ended", 900)])), Duration::from_nanos(80));
    }
}

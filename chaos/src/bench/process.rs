//! Processes under test, and what the operating system says of them.

use std::{
    path::Path,
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

    /// CPU time used so far by the threads that it has, user and kernel, to the nanosecond: `/proc/PID/stat` counts hundredths of a
    /// second, which is a thousandth of a short measurement and more. Threads that do blocking work end after ten idle seconds, and
    /// their time with them: measurements keep them busy.
    pub(super) fn cpu(&self) -> anyhow::Result<Duration> {
        let mut total = 0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.pid()?))? {
            // One that has just ended counts nothing.
            let Ok(told) = std::fs::read_to_string(task?.path().join("schedstat")) else { continue };
            let on_cpu = told.split_whitespace().next().and_then(|number| number.parse::<u64>().ok());
            total += on_cpu.context("unreadable /proc schedstat")?;
        }
        Ok(Duration::from_nanos(total))
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

//! A child process, and what the operating system says of it.

use std::{fs, path::Path, process::Stdio, time::Duration};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::{Child, Command},
    time::timeout,
};

/// Memory and descriptors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory, KiB.
    pub rss_kib: u64,
    /// Open descriptors.
    pub fds: u64,
}

impl Usage {
    /// Of two processes together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { rss_kib: self.rss_kib + other.rss_kib, fds: self.fds + other.fds }
    }

    /// Of a running process.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let rss_kib = line.trim().trim_end_matches(" kB").trim().parse().ok()?;
        let fds = u64::try_from(fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count()).ok()?;
        Some(Self { rss_kib, fds })
    }
}

/// A child process; killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pid: u32,
}

impl Process {
    /// Starts it. Every line it writes goes to `lines`: to the standard output (false) or the standard error (true).
    ///
    /// # Errors
    /// A program that cannot be started.
    pub fn start(
        program: &Path,
        arguments: &[String],
        environment: &[(String, String)],
        lines: impl Fn(&str, bool) + Clone + Send + 'static,
    ) -> anyhow::Result<Self> {
        let mut child = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let pid = child.id().context("the process ended at once")?;
        if let Some(out) = child.stdout.take() {
            tokio::spawn(read_lines(out, false, lines.clone()));
        }
        if let Some(err) = child.stderr.take() {
            tokio::spawn(read_lines(err, true, lines));
        }
        Ok(Self { child, pid })
    }

    /// Its id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends a signal to exactly this process.
    ///
    /// # Errors
    /// A process that has ended.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).context("no process id")?;
        kill_process(pid, signal).with_context(|| format!("sending {signal:?} to process {}", self.pid))
    }

    /// Waits for its end; `None` when it has not come within `limit`. The code is `None` after a signal.
    pub async fn ended(&mut self, limit: Duration) -> Option<Option<i32>> {
        match timeout(limit, self.child.wait()).await {
            Ok(Ok(status)) => Some(status.code()),
            Ok(Err(error)) => {
                tracing::warn!(%error, "waiting for a process failed");
                Some(None)
            }
            Err(_) => None,
        }
    }

    /// True while it runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

async fn read_lines(out: impl AsyncRead + Unpin, error: bool, lines: impl Fn(&str, bool)) {
    let mut reader = BufReader::new(out).lines();
    loop {
        match reader.next_line().await {
            Ok(Some(line)) => lines(&line, error),
            Ok(None) => return,
            Err(fault) => {
                tracing::warn!(%fault, "the output of a process cannot be read");
                return;
            }
        }
    }
}

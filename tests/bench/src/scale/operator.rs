//! The operator as a process, as it is in its image.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};

use super::{
    load::AT_A_TIME,
    rig::{Ended, Rig, free_port},
};

/// How long it may take to decide on everything.
const PATIENCE: Duration = Duration::from_mins(5);

/// What is started.
pub(crate) struct Program<'a> {
    pub(crate) operator: &'a Path,
    pub(crate) plugins: &'a Path,
    /// For compiled plugins: kept from one start to the next.
    pub(crate) cache: PathBuf,
}

pub(crate) struct Operator {
    process: Ended,
    began: Instant,
    port: u16,
}

impl Program<'_> {
    /// Starts it.
    ///
    /// # Errors
    /// It cannot be.
    pub(crate) fn start(&self, rig: &Rig, namespace: &str) -> anyhow::Result<Operator> {
        let port = free_port()?;
        let began = Instant::now();
        let process = Command::new(self.operator)
            .args(["run", "--operator-image=operator:bench", "--log=warn"])
            .arg(format!("--plugin-dirs={}", self.plugins.display()))
            .arg(format!("--builtin-plugins={}", self.plugins.display()))
            .arg(format!("--plugin-cache-dir={}", self.cache.display()))
            .arg(format!("--http-address=127.0.0.1:{port}"))
            .arg(format!("--watch-namespace={namespace}"))
            .arg(format!("--concurrency={AT_A_TIME}"))
            .env("KUBECONFIG", rig.kubeconfig())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("where is the operator?")?;
        Ok(Operator { process: Ended(process), began, port })
    }
}

impl Operator {
    /// From its start until so many passes have decided.
    ///
    /// # Errors
    /// It has ended, or does not get there.
    pub(crate) async fn decided(&mut self, passes: u64) -> anyhow::Result<Duration> {
        loop {
            let began = self.began.elapsed();
            if self.passes() >= passes {
                return Ok(began);
            }
            ensure!(self.process.0.try_wait()?.is_none(), "the operator has ended");
            if began > PATIENCE {
                bail!("{} of {passes} passes after {PATIENCE:?}", self.passes());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Passes so far.
    pub(crate) fn passes(&self) -> u64 {
        let metrics = self.metrics().unwrap_or_default();
        let lines = metrics.lines().filter(|line| line.starts_with("db_backup_reconciles_total{"));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }

    /// Resident memory now and at its peak, in MiB.
    pub(crate) fn memory(&self) -> (u64, u64) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.0.id())).unwrap_or_default();
        let value = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_suffix("kB"));
            line.and_then(|kib| kib.trim().parse::<u64>().ok()).unwrap_or_default() / 1024
        };
        (value("VmRSS:"), value("VmHWM:"))
    }

    fn metrics(&self) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

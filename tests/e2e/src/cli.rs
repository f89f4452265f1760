//! `kubectl dbbackup`, as a user runs it: found by kubectl on the search path, its output read by a program.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::world::World;

/// What the command said.
#[derive(Clone, Debug)]
pub struct Said {
    /// Its exit code.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl World {
    /// Runs `kubectl dbbackup` in the test's namespace.
    ///
    /// # Errors
    /// Where it cannot be run: `make e2e-only` builds it.
    pub fn dbbackup(&self, args: &[&str]) -> Result<Said> {
        let own = programs()?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(std::iter::once(own).chain(std::env::split_paths(&path)))?;
        let output = Command::new("kubectl")
            .arg("dbbackup")
            .args(args)
            .args(["--namespace", self.namespace()])
            .env("PATH", path)
            .stdin(Stdio::null())
            .output()
            .context("kubectl cannot be started")?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) })
    }
}

impl Said {
    /// It ended with this exit code.
    ///
    /// # Errors
    /// What it said otherwise.
    pub fn ended(self, code: i32) -> Result<Self> {
        ensure!(self.code == Some(code), "it was to end with {code}: {self:#?}");
        Ok(self)
    }

    /// All of its output as JSON.
    ///
    /// # Errors
    /// Where it is none.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.out).with_context(|| format!("no JSON: {self:#?}"))
    }

    /// Its lines, each of them JSON.
    ///
    /// # Errors
    /// Where one is not.
    pub fn lines(&self) -> Result<Vec<Value>> {
        let line = |line: &str| serde_json::from_str(line).with_context(|| format!("no JSON: {line}"));
        self.out.lines().map(line).collect()
    }
}

/// Where the command line is: beside the folder of this test.
fn programs() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.ancestors().nth(2).context("the test has no folder")?;
    ensure!(folder.join("kubectl-dbbackup").is_file(), "no kubectl-dbbackup in {}", folder.display());
    Ok(folder.to_owned())
}

//! Two replicas of the operator: one works, and the other takes over, whatever becomes of the first.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use dbbackup_e2e::{Operator, Spec, World, run, until};

/// A released Lease is taken within a look of the other replica; one that nobody released takes 15 s.
const RELEASED: Duration = Duration::from_secs(10);

/// Two of it, until this is dropped.
struct Two<'o>(&'o Operator);

impl<'o> Two<'o> {
    fn of(operator: &'o Operator) -> Result<Self> {
        operator.scale(2)?;
        let two = Self(operator);
        until("two ready replicas", || Ok((operator.ready_pods()?.len() == 2).then_some(())))?;
        Ok(two)
    }
}

impl Drop for Two<'_> {
    fn drop(&mut self) {
        let one = self
            .0
            .scale(1)
            .and_then(|()| until("one replica", || Ok((self.0.ready_pods()?.len() == 1).then_some(()))));
        // Whoever needs the operator next waits for it, and says so if it does not come.
        let _ = one.and_then(|()| self.0.pod());
    }
}

/// Runs a backup, and nothing runs twice.
fn works(world: &World, name: &str) -> Result<()> {
    let store = world.claim(name, "64Mi")?;
    let backup = world.backup(name, Spec::generic(&store, &["echo", "dump"]))?;
    backup.run_now()?.ended()?.succeeded()?;
    let jobs = world.kubectl(["get", "jobs", "--output", "name"]).text()?;
    let jobs = jobs.lines().filter(|job| job.contains(name)).count();
    ensure!(jobs == 1, "{jobs} Jobs");
    Ok(())
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn the_second_one_takes_over_at_once_when_the_first_is_told_to_end() -> Result<()> {
    run("leader-ended", |world| {
        let operator = Operator::alone();
        let _two = Two::of(&operator)?;
        let first = operator.pod()?;
        works(world, "before")?;
        let told = Instant::now();
        operator.kubectl(["delete", "pod", &first, "--wait=false"]).text()?;
        until("another holder", || Ok((operator.holder()? != first).then_some(())))?;
        ensure!(told.elapsed() < RELEASED, "it took {:?}: the Lease was not released", told.elapsed());
        // The second one, or the third, which the Deployment starts at once.
        works(world, "after")
    })
}

/// A process on this machine that can be stopped, and goes on when this is dropped.
struct Frozen(String);

impl Frozen {
    /// The operator's process in this pod.
    fn of(pod: &str) -> Result<Self> {
        let variable = format!("POD_NAME={pod}");
        let is_it = |pid: &str| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes())
        };
        let pids = fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let pid = pids.into_iter().find(|pid| is_it(pid));
        let frozen = Self(pid.with_context(|| format!("no process of pod {pod} on this machine"))?);
        frozen.signal("STOP")?;
        Ok(frozen)
    }

    fn signal(&self, signal: &str) -> Result<()> {
        let status = Command::new("kill").args(["-s", signal, &self.0]).status()?;
        ensure!(status.success(), "kill -s {signal} {}", self.0);
        Ok(())
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let _ = self.signal("CONT");
    }
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_frozen_one_is_replaced_and_gives_up_when_it_thaws() -> Result<()> {
    // Only our own cluster has its pods on this machine.
    if std::env::var("CLUSTER").as_deref() == Ok("existing") {
        return Ok(());
    }
    run("leader-frozen", |world| {
        let operator = Operator::alone();
        let _two = Two::of(&operator)?;
        let first = operator.pod()?;
        let frozen = Frozen::of(&first)?;
        until("another holder", || Ok((operator.holder()? != first).then_some(())))?;
        // Before the kubelet, whose probe nobody answers, ends it.
        drop(frozen);
        until("its word that it gives up", || {
            let log = operator.kubectl(["logs", "--previous", &first]).text().unwrap_or_default();
            Ok(log.contains("the Lease was lost").then_some(()))
        })?;
        ensure!(operator.holder()? != first, "it leads again");
        works(world, "thawed")
    })
}

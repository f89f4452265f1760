//! Runs that something ends half-way: none leaves anything that looks like a backup.

use anyhow::Result;
use dbbackup_e2e::{Backup, Engine, Server, Spec, Store, World, run, sha256, until};
use serde_json::json;

/// Asks for the run that is interrupted.
const TOKEN: &str = "half-way";

/// Starts a dump that writes some parts of an upload and then never ends, and waits until bytes are in the store.
fn half_way<'w>(world: &'w World, store: &Store, spec: Spec) -> Result<Backup<'w>> {
    let backup = world.backup("any", spec)?;
    backup.run_by_token(TOKEN)?;
    until("an upload that has begun", || Ok((!store.unfinished()?.is_empty()).then_some(())))?;
    Ok(backup)
}

/// Kills this program in the client of a pod whose image has no shell: one comes from beside it and sees the client's processes.
pub(crate) fn kill_beside(world: &World, pod: &str, program: &str) -> Result<()> {
    let beside =
        ["debug", pod, "--target=client", "--profile=restricted", "--image=db-backup.test/busybox:1"];
    let script = ["--", "sh", "-c", &killer(program)];
    world.kubectl(beside.into_iter().chain(script)).text().map(drop)
}

/// A script that waits for a program of its container and kills it.
fn killer(program: &str) -> String {
    format!(
        "while sleep 0.1; do for p in /proc/[0-9]*; do if read -r name <$p/comm && [ \"$name\" = {program} ]; then \
         kill -9 ${{p#/proc/}}; exit; fi; done; done"
    )
}

fn endless(store: &Store) -> Spec {
    Spec::generic(store, &["sh", "-c", "dd if=/dev/urandom bs=1M count=40 status=none; sleep 3600"])
}

/// A dump of PostgreSQL that is slow enough to be caught: compression holds `pg_dump` up.
fn slow(world: &World, source: &Server, store: &Store) -> Result<Spec> {
    let big = "create table big as select n, md5(n::text) || md5((n + 1)::text) as text from generate_series(1, 900000) n";
    source.sql("postgres", big)?;
    world.login(&source.admin_login())?;
    Ok(Spec::of(source, store)
        .database("postgres")
        .set("compression", json!({"algorithm": "zstd", "level": 19})))
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_dump_tool_that_is_killed() -> Result<()> {
    run("killed-tool", |world| {
        let (source, store) = (world.server(Engine::Postgres18)?, world.s3()?);
        let spec = slow(world, &source, &store)?;
        let backup = half_way(world, &store, spec)?;
        let run = backup.run_of(TOKEN);
        let pod = run.pod_with_running("client")?;
        world.kubectl(["exec", &pod, "--container=client", "--", "sh", "-c", &killer("pg_dump")]).text()?;
        run.ended()?.failed("DumpKilled", &["pg_dump", "SIGKILL"])
    })
}

/// Its container ends and comes back with the same data.
#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_database_that_restarts() -> Result<()> {
    run("restarted", |world| {
        let (source, store) = (world.server(Engine::Postgres18)?, world.s3()?);
        // Without a second attempt, which would go well.
        let spec = slow(world, &source, &store)?.set("backoffLimit", json!(0));
        let backup = half_way(world, &store, spec)?;
        source.exec(["sh", "-c", "kill -INT 1"]).text()?;
        backup.run_of(TOKEN).ended()?.failed("ConnectionLost", &["pg_dump"])
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_mongodump_that_is_killed() -> Result<()> {
    run("killed-mongodump", |world| {
        let (source, store) = (world.server(Engine::FerretDb)?, world.s3()?);
        // What compression cannot make much smaller, and so much of it that mongodump is held up.
        let noise = |document: u32| -> String {
            (0..1024).map(|piece| sha256(format!("{document} {piece}"))).collect()
        };
        let documents: String =
            (0..600).map(|id| json!({"_id": id, "noise": noise(id)}).to_string() + "\n").collect();
        let insert = ["insert", "shop", "big"].map(str::to_owned).to_vec();
        source.exec([source.client("mongoprobe"), insert].concat()).input(documents).text()?;
        world.login(&source.admin_login())?;
        let spec = Spec::of(&source, &store).set("compression", json!({"algorithm": "zstd", "level": 19}));
        let backup = half_way(world, &store, spec)?;
        let run = backup.run_of(TOKEN);
        let pod = run.pod_with_running("client")?;
        kill_beside(world, &pod, "mongodump")?;
        run.ended()?.failed("DumpKilled", &["mongodump", "SIGKILL"])
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_pod_that_is_deleted() -> Result<()> {
    run("killed-pod", |world| {
        let store = world.s3()?;
        let backup = half_way(world, &store, endless(&store))?;
        let run = backup.run_of(TOKEN);
        let pod = run.pod_with_running("mover")?;
        world.kubectl(["delete", "pod", &pod, "--wait=false"]).text()?;
        run.ended()?.failed("Terminated", &[])
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_job_that_is_deleted() -> Result<()> {
    run("killed-job", |world| {
        let store = world.s3()?;
        let backup = half_way(world, &store, endless(&store))?;
        let run = backup.run_of(TOKEN);
        world.kubectl(["delete", "job", &run.job, "--cascade=foreground"]).text()?;
        run.ended()?.failed("Lost", &["vanished", "db.example.io/run-now"])
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_client_that_is_killed() -> Result<()> {
    run("killed-client", |world| {
        let store = world.s3()?;
        let backup = half_way(world, &store, endless(&store))?;
        let run = backup.run_of(TOKEN);
        let pod = run.pod_with_running("client")?;
        // The shim is the first process of its container, which the kernel protects: its children do not answer for it.
        let kill = "kill -9 -1; kill -TERM 1";
        let _ = world.kubectl(["exec", &pod, "--container=client", "--", "sh", "-c", kill]).text();
        let ended = run.ended()?;
        store.holds_nothing()?;
        anyhow::ensure!(ended.record["result"] == "Failed", "{:#}", ended.record);
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_run_that_takes_too_long() -> Result<()> {
    run("killed-late", |world| {
        let store = world.s3()?;
        let spec = endless(&store).set("activeDeadlineSeconds", json!(60));
        let backup = half_way(world, &store, spec)?;
        backup.run_of(TOKEN).ended()?.failed("DeadlineExceeded", &["activeDeadlineSeconds"])
    })
}

//! What the pod of a run sees: the wall between the two secrets.

use anyhow::{Context, Result, ensure};
use dbbackup_e2e::{Engine, Spec, World, run, shared};
use serde_json::{Value, json};

fn array<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Job of a run against a real server and a real store, so that every kind of mount is there.
pub(crate) fn job(world: &World) -> Result<Value> {
    let (server, store) = (shared(Engine::Postgres18)?, world.s3()?);
    world.login(&server.backup_login())?;
    let backup = world.backup("orders", Spec::of(server, &store).database("empty"))?;
    let asked = backup.run_now()?;
    asked.ended()?.succeeded()?;
    world.kubectl(["get", "job", &asked.job]).json()
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn neither_container_sees_the_others_secret() -> Result<()> {
    run("walls", |world| {
        let job = job(world)?;
        let owner = &job["metadata"]["ownerReferences"][0];
        ensure!(owner["kind"] == "DatabaseBackup" && owner["controller"] == true, "{owner}");
        ensure!(job["metadata"]["labels"]["app"] == "db-backup-operator", "{:#}", job["metadata"]);
        ensure!(
            job["metadata"]["labels"]["databasebackup.db.example.io/name"] == "orders",
            "{:#}",
            job["metadata"]
        );
        let pod = &job["spec"]["template"]["spec"];
        ensure!(pod["automountServiceAccountToken"] == false && pod["restartPolicy"] == "Never", "{pod:#}");
        let secrets = |container: &str| -> Result<Vec<String>> {
            let all = array(pod, "/containers").iter().chain(array(pod, "/initContainers"));
            let one = all.clone().find(|one| one["name"] == container).context("no such container")?;
            ensure!(one["securityContext"]["readOnlyRootFilesystem"] == true, "{one:#}");
            let mounts = array(one, "/volumeMounts").iter().map(|mount| &mount["name"]);
            let volumes: Vec<_> = mounts
                .filter_map(|name| array(pod, "/volumes").iter().find(|volume| &volume["name"] == name))
                .collect();
            let sources = volumes.iter().flat_map(|volume| array(volume, "/projected/sources"));
            Ok(sources
                .filter_map(|source| source.pointer("/secret/name")?.as_str().map(str::to_owned))
                .collect())
        };
        ensure!(secrets("client")? == ["login"], "the database's container mounts {:?}", secrets("client")?);
        ensure!(secrets("mover")? == ["store"], "the mover mounts {:?}", secrets("mover")?);
        ensure!(
            secrets("install-agent")?.is_empty(),
            "the init container mounts {:?}",
            secrets("install-agent")?
        );
        for volume in array(pod, "/volumes") {
            let sized = volume.get("emptyDir").is_none_or(|empty| empty.get("sizeLimit").is_some());
            ensure!(sized, "a folder without a limit: {volume}");
        }
        let mover =
            array(pod, "/containers").iter().find(|one| one["name"] == "mover").context("no mover")?;
        let env =
            |name: &str| array(mover, "/env").iter().find(|env| env["name"] == name).map(|env| &env["value"]);
        ensure!(
            env("DB_TYPE") == Some(&json!("postgres")) && env("STORAGE_TYPE") == Some(&json!("s3")),
            "{mover:#}"
        );
        ensure!(env("BUCKET") == Some(&json!("e2e-backups")) && env("PATH").is_none(), "{mover:#}");
        Ok(())
    })
}

//! Who may do and see what: the wall between the two secrets, the operator's rights, the Jobs that it may create.

use anyhow::{Context, Result, ensure};
use dbbackup_e2e::{Engine, OPERATOR_NAMESPACE, Spec, World, kubectl, run, shared};
use serde_json::{Value, json};

fn array<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Job of a run against a real server and a real store, so that every kind of mount is there.
fn job(world: &World) -> Result<Value> {
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

#[test]
#[ignore = "needs a cluster: make e2e"]
fn the_operator_has_no_right_to_secrets() -> Result<()> {
    let operator = format!("--as=system:serviceaccount:{OPERATOR_NAMESPACE}:db-backup-operator");
    for (verb, resource) in [
        ("get", "secrets"),
        ("list", "secrets"),
        ("watch", "secrets"),
        ("create", "secrets"),
        ("create", "pods"),
        ("create", "pods/exec"),
        ("get", "configmaps"),
        ("update", "jobs"),
        ("update", "databasebackups"),
        ("create", "rolebindings"),
        ("impersonate", "users"),
    ] {
        kubectl(["auth", "can-i", verb, resource, "--all-namespaces", &operator]).refusal()?;
    }
    // The question is asked rightly.
    kubectl(["auth", "can-i", "create", "jobs", "--all-namespaces", &operator]).text().map(drop)
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn even_a_subverted_operator_creates_no_dangerous_job() -> Result<()> {
    run("policy", |world| {
        let operator = format!("--as=system:serviceaccount:{OPERATOR_NAMESPACE}:db-backup-operator");
        let real = job(world)?;
        let copy = json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {
                "name": "copy", "labels": {"app": "db-backup-operator", "databasebackup.db.example.io/name": "orders"},
                "ownerReferences": real["metadata"]["ownerReferences"]
            },
            "spec": {"template": {"spec": real["spec"]["template"]["spec"]}}
        });
        let create = |job: &Value| {
            world.kubectl(["create", "--dry-run=server", &operator, "--filename", "-"]).input(job.to_string())
        };
        create(&copy).text()?;
        let pod = "/spec/template/spec";
        let cases = [
            ("/metadata/ownerReferences", json!([]), "controlled by one DatabaseBackup"),
            (&*format!("{pod}/hostNetwork"), json!(true), "shares nothing with its node"),
            (&*format!("{pod}/nodeName"), json!("node"), "shares nothing with its node"),
            (&*format!("{pod}/automountServiceAccountToken"), json!(true), "no token"),
            (
                &*format!("{pod}/volumes/0"),
                json!({"name": "agent", "hostPath": {"path": "/"}}),
                "mounts only",
            ),
            (
                &*format!("{pod}/containers/0/command"),
                json!(["sh", "-c", "id"]),
                "starts the agent and nothing else",
            ),
            (&*format!("{pod}/containers/0/args"), json!(["x"]), "starts the agent and nothing else"),
            (
                &*format!("{pod}/containers/0/envFrom"),
                json!([{"secretRef": {"name": "login"}}]),
                "no Secret in its environment",
            ),
            (
                &*format!("{pod}/containers/0/securityContext/readOnlyRootFilesystem"),
                json!(false),
                "restricted profile",
            ),
        ];
        for (pointer, value, sentence) in cases {
            let mut job = copy.clone();
            let (parent, field) = pointer.rsplit_once('/').context("a pointer")?;
            match job.pointer_mut(parent).context("a place")? {
                Value::Array(items) => items[field.parse::<usize>()?] = value,
                place => place[field] = value,
            }
            let said = create(&job).refusal()?;
            ensure!(said.contains(sentence), "{pointer}: expected {sentence:?}, found: {said}");
        }
        Ok(())
    })
}

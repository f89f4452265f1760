//! The server is asked before it matters: what is wrong shows in `Ready` long before the slot, and keeps no run from starting.

use anyhow::{Result, ensure};
use dbbackup_e2e::{Engine, Login, Spec, World, nasty_secret, run, shared};
use serde_json::{Value, json};

fn login(username: &str) -> Login {
    Login { username: username.into(), password: nasty_secret(username) }
}

fn ready(object: &Value) -> &str {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
    let ready = conditions.clone().find(|condition| condition["type"] == "Ready");
    ready.and_then(|condition| condition["message"].as_str()).unwrap_or_default()
}

fn jobs(world: &World) -> Result<usize> {
    Ok(world.kubectl(["get", "jobs", "--output", "name"]).text()?.lines().count())
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_wrong_password_shows_before_the_slot_and_goes_when_it_is_mended() -> Result<()> {
    run("probe-password", |world| {
        let (server, store) = (shared(Engine::Postgres18)?, world.s3()?);
        world.secret("wrong", &[("username", "postgres"), ("password", &nasty_secret("wrong"))])?;
        world.login(&server.backup_login())?;
        let spec = Spec::of(server, &store).database("empty");
        let wrong = spec.clone().set("connection.credentials.secretName", json!("wrong"));
        let backup = world.backup("orders", wrong)?;
        let object = backup.is_probed("False", "PasswordRejected")?;
        let message = ready(&object);
        ensure!(
            message.contains(&server.host()) && message.contains("spec.connection.credentials"),
            "{message}"
        );
        let status = &object["status"];
        ensure!(status["lastBackupStatus"] == "Pending" && status.get("recentRuns").is_none(), "{status:#}");
        ensure!(status["server"].get("version").is_none(), "{status:#}");
        let events = world.kubectl(["events", "--for=databasebackup/orders"]).text()?;
        ensure!(events.matches("PasswordRejected").count() == 1, "{events}");
        // What a probe finds keeps no run from starting.
        backup.run_now()?.ended()?.failed("PasswordRejected", &["password authentication failed"])?;
        world.apply(&spec.object("orders"))?;
        let object = backup.is_probed("True", "Ready")?;
        ensure!(
            object["status"]["server"]["version"].as_str().is_some_and(|it| it.starts_with("18.")),
            "{object:#}"
        );
        backup.run_now()?.ended()?.succeeded().map(drop)
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn the_client_image_follows_the_servers_version() -> Result<()> {
    run("probe-version", |world| {
        let store = world.s3()?;
        for (engine, version) in [(Engine::Postgres15, "15."), (Engine::Postgres18, "18.")] {
            let server = shared(engine)?;
            let name = engine.name();
            let Login { username, password } = server.backup_login();
            world.secret(name, &[("username", &username), ("password", &password)])?;
            let spec = Spec::of(server, &store).database("empty");
            let backup = world.backup(name, spec.set("connection.credentials.secretName", json!(name)))?;
            let found = backup.is_probed("True", "Ready")?["status"]["server"].clone();
            ensure!(found["version"].as_str().is_some_and(|it| it.starts_with(version)), "{found:#}");
            ensure!(found["sizeMebibytes"].as_u64().is_some_and(|size| size > 0), "{found:#}");
            let manifest = backup.run_now()?.ended()?.succeeded()?.manifest;
            let image = format!("postgres:{}", version.trim_end_matches('.'));
            ensure!(manifest.client_image.ends_with(&image), "{}", manifest.client_image);
        }
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_missing_grant_shows_before_the_slot() -> Result<()> {
    run("probe-grant", |world| {
        let store = world.s3()?;
        for (engine, account, word) in [
            (Engine::Postgres18, "powerless", "may not read"),
            (Engine::MySql, "no_trigger", "TRIGGER"),
            (Engine::MariaDb, "no_routine", "mysql.proc"),
        ] {
            let (server, name) = (shared(engine)?, engine.name());
            let Login { username, password } = login(account);
            world.secret(name, &[("username", &username), ("password", &password)])?;
            let spec = Spec::of(server, &store).database("shop");
            let spec = match engine {
                Engine::MariaDb => spec.settings(json!({"serverVersion": "10.11"})),
                _ => spec,
            };
            let backup = world.backup(name, spec.set("connection.credentials.secretName", json!(name)))?;
            let object = backup.is_probed("False", "GrantMissing")?;
            ensure!(ready(&object).contains(word), "{}", ready(&object));
            ensure!(object["status"]["server"]["version"].is_string(), "{object:#}");
        }
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn servers_that_cannot_be_asked_are_told() -> Result<()> {
    run("probe-nowhere", |world| {
        let (server, store) = (shared(Engine::FerretDb)?, world.s3()?);
        world.login(&server.backup_login())?;
        let found = world.backup("good", Spec::of(server, &store))?.is_probed("True", "Ready")?;
        ensure!(found["status"]["server"]["version"].is_string(), "the archive tells a version: {found:#}");
        let nowhere = Spec::of(server, &store).set("connection.host", json!("no-such-db.e2e-servers.svc"));
        world.backup("nowhere", nowhere)?.is_probed("False", "HostNotFound")?;
        let no_login = Spec::of(shared(Engine::Postgres18)?, &store)
            .set("connection.credentials", json!({"secretName": "no-such-secret"}));
        let object = world.backup("no-secret", no_login)?.is_probed("False", "SecretMissing")?;
        ensure!(ready(&object).contains("no-such-secret"), "{}", ready(&object));
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_command_of_the_users_asks_and_without_one_nothing_is_asked() -> Result<()> {
    run("probe-generic", |world| {
        let store = world.claim("backups", "64Mi")?;
        let settings = |probe: Value| json!({"argv": ["echo", "dump"], "probe": probe});
        let asking =
            Spec::generic(&store, &[]).settings(settings(json!(["sh", "-c", "echo 3.5.1; echo more"])));
        let object = world.backup("asking", asking)?.is_probed("True", "Ready")?;
        ensure!(object["status"]["server"]["version"] == "3.5.1", "{object:#}");
        let failing = settings(json!(["sh", "-c", "echo connect: connection refused >&2; exit 1"]));
        world
            .backup("failing", Spec::generic(&store, &[]).settings(failing))?
            .is_probed("False", "ConnectionRefused")?;
        let quiet = world.backup("quiet", Spec::generic(&store, &["echo", "dump"]))?;
        quiet.run_now()?.ended()?.succeeded()?;
        let status = &quiet.object()?["status"];
        ensure!(status.get("server").is_none() && jobs(world)? == 1, "{status:#}, {} Jobs", jobs(world)?);
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_probe_holds_nothing_of_the_storage_and_is_no_run() -> Result<()> {
    run("probe-walls", |world| {
        let (server, store) = (shared(Engine::Postgres18)?, world.s3()?);
        world.login(&server.backup_login())?;
        let backup = world.backup("orders", Spec::of(server, &store).database("empty"))?;
        let selector = "databasebackup.db.example.io/purpose=probe";
        let job = world.kubectl(["get", "jobs", "--selector", selector]).watch("the probe's Job", |job| {
            let jobs =
                job.get("items").and_then(Value::as_array).cloned().unwrap_or_else(|| vec![job.clone()]);
            Ok(jobs.into_iter().find(|job| job["kind"] == "Job"))
        })?;
        let text = job.to_string();
        ensure!(
            text.contains("\"login\"") && !text.contains("\"store\"") && !text.contains("/credentials"),
            "{job:#}"
        );
        ensure!(job["metadata"]["ownerReferences"][0]["controller"] == true, "{job:#}");
        let object = backup.is_probed("True", "Ready")?;
        ensure!(object["status"].get("recentRuns").is_none() && jobs(world)? == 0, "{object:#}");
        store.holds_nothing()
    })
}

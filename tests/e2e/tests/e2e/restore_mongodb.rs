//! MongoDB's way back by `DatabaseRestore`, with FerretDB.

use anyhow::{Result, ensure};
use dbbackup_e2e::{Engine, Server, Spec, documents, run, shared, until, with};
use serde_json::{Value, json};

use crate::interrupted::kill_beside;

/// Its login is optional, so its keys are named.
fn restore_into(server: &Server) -> Value {
    json!({
        "source": {"backupName": "server"},
        "target": {
            "host": server.host(),
            "credentials": {"secretName": "target", "keys": {"username": "username", "password": "password"}}
        }
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_whole_server_comes_back_and_some_databases_under_other_names() -> Result<()> {
    run("restore-mongo", |world| {
        let (source, store) = (shared(Engine::FerretDb)?, world.claim("backups", "64Mi")?);
        world.login(&source.backup_login())?;
        world.backup("server", Spec::of(source, &store))?.run_now()?.ended()?.succeeded()?;
        let target = world.target(Engine::FerretDb)?;
        let spec = restore_into(&target);
        let with_all = |fields: Value| {
            let mut spec = spec.clone();
            for (field, value) in fields.as_object().into_iter().flatten() {
                spec[field] = value.clone();
            }
            spec
        };
        let held = || target.fingerprint(true);
        let dry = world.restore("look", &with_all(json!({"dryRun": true})))?.succeeded(0)?;
        ensure!(dry["notes"].to_string().contains("would restore server: load "), "{dry:#}");

        let status = world.restore("back", &spec)?.succeeded(1)?;
        ensure!(status["target"] == "Complete", "{status:#}");
        source.fingerprint(true)?.came_back(&held()?)?;

        // Now it is not empty, and nothing changes.
        let again = world.restore("again", &spec)?;
        again.failed("TargetNotEmpty", &["holds collections", "nothing was changed"], "Unchanged")?;
        let shop = with_all(json!({"databases": ["shop"]}));
        world.restore("shop", &shop)?.failed("TargetNotEmpty", &["holds collections"], "Unchanged")?;
        source.fingerprint(true)?.came_back(&held()?)?;

        // Beside what is there, under another name.
        let renamed =
            with_all(json!({"databases": ["shop", "-x"], "renames": {"shop": "--again", "-x": "y"}}));
        world.restore("renamed", &renamed)?.succeeded(1)?;
        let all = held()?;
        source.fingerprint(true)?.only(&["shop"])?.called("--again").came_back(&all.only(&["--again"])?)?;
        source.fingerprint(true)?.only(&["-x"])?.called("y").came_back(&all.only(&["y"])?)?;
        all.only(&["shop", "-x", "--help", "--again", "y"])?.came_back(&all)?;
        // And replaced there.
        let insert = [target.client("mongoprobe"), ["insert", "y", "things"].map(str::to_owned).to_vec()];
        target.exec(insert.concat()).input("{\"_id\": \"mine\"}\n").text()?;
        let replace = with_all(json!({"databases": ["-x"], "renames": {"-x": "y"}, "mode": "Replace"}));
        world.restore("replace", &replace)?.succeeded(1)?;
        all.came_back(&held()?)?;

        // What would be lost in silence.
        let typo = world.restore("typo", &with_all(json!({"databases": ["shpo"]})))?;
        typo.failed("LoadIncomplete", &["finished restoring shpo.", "may not hold"], "Incomplete")?;
        let merged = world.restore("merged", &with_all(json!({"renames": {"shop": "-x"}})))?;
        merged.failed("RenameNotSupported", &["spec.renames", "spec.databases"], "Unchanged")?;

        let object =
            store.keys()?.into_iter().find(|key| !key.ends_with("manifest.json")).unwrap_or_default();
        store.flip_a_byte(&object)?;
        let damaged = with_all(json!({"databases": ["shop"], "renames": {"shop": "damaged"}}));
        world.restore("damaged", &damaged)?.failed("BackupDamaged", &["damaged"], "Unchanged")?;
        all.came_back(&held()?)
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn named_databases_come_back_one_by_one() -> Result<()> {
    run("restore-mongo-named", |world| {
        let (source, store) = (shared(Engine::FerretDb)?, world.claim("backups", "64Mi")?);
        world.login(&source.backup_login())?;
        let names = ["shop", "--help"];
        let spec = Spec::of(source, &store).settings(json!({"databases": names}));
        world.backup("server", spec)?.run_now()?.ended()?.succeeded()?;
        let target = world.target(Engine::FerretDb)?;
        let mut spec = restore_into(&target);
        spec["databases"] = json!(["--help"]);
        world.restore("one", &spec)?.succeeded(1)?;
        source.fingerprint(true)?.only(&["--help"])?.came_back(&target.fingerprint(true)?)?;
        // One of the two is there already: neither is touched.
        spec["databases"] = json!([]);
        let both = world.restore("both", &spec)?;
        both.failed("TargetNotEmpty", &["database-2-help holds collections"], "Unchanged")?;
        source.fingerprint(true)?.only(&["--help"])?.came_back(&target.fingerprint(true)?)
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_restore_that_is_killed_half_way_is_marked_and_done_anew() -> Result<()> {
    run("restore-mongo-killed", |world| {
        const DOCUMENTS: usize = 20_000;
        let (server, store) = (world.target(Engine::FerretDb)?, world.claim("backups", "64Mi")?);
        let ask = |words: &[&str]| {
            server.exec(
                [server.client("mongoprobe"), words.iter().map(|&word| word.to_owned()).collect()].concat(),
            )
        };
        ask(&["insert", "shop", "many"]).input(documents(DOCUMENTS)).text()?;
        world.login(&server.admin_login())?;
        world.backup("server", Spec::of(&server, &store))?.run_now()?.ended()?.succeeded()?;
        let whole = server.fingerprint(true)?;
        server.destroy()?;
        let held = || ask(&["dump", "shop"]).text().map(|all| all.lines().count());
        let remedy = ["do not use it", "spec.mode: Replace"];

        // The tool takes a second for all of it. With so little of a processor there is time to come in between.
        let slow = json!({"resources": {"limits": {"cpu": "30m"}}});
        let spec = with(restore_into(&server), "podTemplate", slow);
        let restore = world.restore("deleted", &spec)?;
        let pod = restore.pod_with_running("client")?;
        until("the first documents", || Ok((held()? > 1).then_some(())))?;
        world.kubectl(["delete", "pod", &pod, "--wait=false"]).text()?;
        restore.failed("Terminated", &[&["terminated"][..], &remedy].concat(), "Incomplete")?;
        ensure!((1..DOCUMENTS).contains(&held()?), "{} of {DOCUMENTS} documents are there", held()?);

        // As it says, and this time the tool dies.
        let spec = with(spec, "mode", json!("Replace"));
        let restore = world.restore("killed", &spec)?;
        kill_beside(world, &restore.pod_with_running("client")?, "mongorestore")?;
        restore.failed("LoadKilled", &[&["mongorestore", "SIGKILL"][..], &remedy].concat(), "Incomplete")?;

        let status = world.restore("again", &with(spec, "podTemplate", json!({})))?.succeeded(1)?;
        ensure!(status["target"] == "Complete", "{status:#}");
        whole.came_back(&server.fingerprint(true)?)
    })
}

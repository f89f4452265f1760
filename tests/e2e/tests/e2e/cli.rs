//! `kubectl dbbackup` against the cluster: a backup by hand, what there is, and the way back.

use anyhow::{Result, ensure};
use dbbackup_e2e::{Engine, Spec, run, shared};
use serde_json::{Value, json};

#[test]
#[ignore = "needs a cluster: make e2e"]
fn by_hand_from_a_backup_to_a_restored_database() -> Result<()> {
    run("cli", |world| {
        let (source, store) = (shared(Engine::Postgres18)?, world.claim("backups", "256Mi")?);
        world.login(&source.backup_login())?;
        let spec = Spec::of(source, &store).database("shop").set("retention", json!({"keepLast": 1}));
        world.backup("orders", spec)?;
        let say = |args: &[&str], code: i32| world.dbbackup(args)?.ended(code);

        let record = say(&["run", "orders", "--wait"], 0)?.json()?;
        ensure!(record["result"] == "Succeeded", "{record:#}");
        let snapshot = record["snapshot"].as_str().unwrap_or_default().to_owned();
        let listed = say(&["list", "orders"], 0)?.json()?;
        ensure!(listed[0]["metadata"]["name"] == snapshot.as_str(), "{listed:#}");
        ensure!(say(&["list", "orders", "--output", "table"], 0)?.out.contains(&snapshot), "no row of it");
        let shown = say(&["show", &snapshot, "--output", "table"], 0)?.out;
        ensure!(shown.contains("Backup") && shown.contains("postgres"), "{shown}");
        let log = say(&["logs", "orders"], 0)?.lines()?;
        ensure!(log.iter().any(|line| line["message"] == "run report"), "{log:#?}");
        let kept = say(&["prune", "orders", "--dry-run"], 0)?.json()?;
        ensure!(kept["snapshots"][0]["because"][0] == "last", "{kept:#}");
        say(&["show", "nothing"], 2)?;
        say(&["run", "nothing"], 2)?;

        let target = world.target(Engine::Postgres18)?;
        let host = target.host();
        let into = ["--host", &host, "--credentials", "target", "--rename", "shop=again"];
        let restore = |args: &[&str], code| say(&[&["restore"], args, &into].concat(), code);

        let yaml = restore(&["orders", "--output", "yaml", "--name", "written"], 0)?.out;
        ensure!(yaml.starts_with("---\n") && yaml.contains("kind: DatabaseRestore"), "{yaml}");
        world.kubectl(["create", "--dry-run=server", "--filename", "-"]).input(yaml).text()?;
        let made = world.kubectl(["get", "databaserestores", "--output", "name"]).text()?;
        ensure!(made.is_empty(), "it was only to be printed: {made}");

        let last = |said: &[Value]| said.last().cloned().unwrap_or_default();
        let dry = last(&restore(&["orders", "--dry-run"], 0)?.lines()?);
        ensure!(dry["status"]["notes"].to_string().contains("would restore"), "{dry:#}");
        let done = restore(&["--snapshot", &snapshot], 0)?.lines()?;
        let status = &last(&done)["status"];
        ensure!(status["target"] == "Complete" && status["snapshot"] == snapshot.as_str(), "{status:#}");
        ensure!(done.iter().any(|line| line["message"] == "run report"), "no word of the mover: {done:#?}");
        let shop = source.fingerprint(false)?.only(&["shop"])?.called("again");
        shop.came_back(&target.fingerprint(false)?.only(&["again"])?)?;

        let refused = restore(&["orders", "--output", "table"], 1)?.out;
        ensure!(refused.contains("Failed: TargetNotEmpty: ") && refused.contains("as it was"), "{refused}");
        let unverified = last(&restore(&["orders", "--verified"], 1)?.lines()?);
        let why = unverified["status"]["failureReason"].to_string();
        ensure!(why.contains("SourceNotVerified"), "{unverified:#}");
        restore(&["nothing"], 2)?;
        Ok(())
    })
}

//! The generic plugin: any command that writes a dump to its output, a file or a folder.

use anyhow::{Result, ensure};
use dbbackup_e2e::{Download, Engine, Spec, World, nasty_secret, run, shared};
use serde_json::{Value, json};

/// Bytes that a text-minded tool would change.
const PAYLOAD: &str = "a'b\"c\\ $(POD_UID) $$ `id`\r\n\u{4e16}\0\n\n";

/// Backs up with these settings; the payload is an argument, so it has to survive the Pod spec as well.
fn backed_up(world: &World, settings: Value) -> Result<Download> {
    let store = world.claim("backups", "64Mi")?;
    let backup = world.backup("any", Spec::generic(&store, &[]).settings(settings))?;
    backup.run_now()?.ended()?.succeeded()
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn standard_output_is_stored_as_it_is() -> Result<()> {
    run("generic-stdout", |world| {
        let store = world.s3()?;
        world.secret("login", &[("token", &nasty_secret("generic-token"))])?;
        let payload = PAYLOAD.replace('\0', "");
        let script = "printf %s \"$1\"; printf %s \"$TOKEN\" | sha256sum; printf '%s\\n' \"$DB_TYPE.$HOST\"";
        let spec = Spec::generic(&store, &[])
            .settings(json!({
                "argv": ["sh", "-c", script, "--", payload], "env": {"HOST": "$(POD_UID)$$"},
                "secretEnv": {"TOKEN": "token"}, "extension": "txt", "header": "a'b"
            }))
            .set(
                "connection",
                json!({"host": "h", "credentials": {"secretName": "login", "keys": {"token": "token"}}}),
            );
        let download = world.backup("any", spec)?.run_now()?.ended()?.succeeded()?;
        let part = &download.manifest.parts[0];
        let bytes = download.unpack(part, "dump.txt")?;
        let token = dbbackup_e2e::sha256(nasty_secret("generic-token"));
        // The process gets no variable but its own: DB_TYPE is the container's.
        let expected = format!("{payload}{token}  -\n.$(POD_UID)$$\n");
        ensure!(bytes == expected.as_bytes(), "stored was {:?}", String::from_utf8_lossy(&bytes));
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_file_is_stored_as_it_is() -> Result<()> {
    run("generic-file", |world| {
        let script = "dd if=/dev/zero bs=1M count=20 of=\"$1\"; printf 'a\\0b\\n' >>\"$1\"; echo noise";
        let download = backed_up(
            world,
            json!({
                "argv": ["sh", "-c", script, "--", "{scratchDir}/sub.file"],
                "output": {"type": "file", "path": "sub.file"}, "scratchMebibytes": 64
            }),
        )?;
        let bytes = download.unpack(&download.manifest.parts[0], "dump.dump")?;
        ensure!(bytes.len() == 20 * 1024 * 1024 + 4 && bytes.ends_with(b"\0a\0b\n"), "{} bytes", bytes.len());
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_folder_is_stored_as_an_archive() -> Result<()> {
    run("generic-folder", |world| {
        let script = "mkdir -p \"$1/in ner\" && cd \"$1\" && printf one >\"--x'\" && printf two >'in ner/y' && ln -s /etc/passwd l";
        let download = backed_up(
            world,
            json!({
                "argv": ["sh", "-c", script, "--", "{scratchDir}/out"],
                "output": {"type": "directory", "path": "out"}
            }),
        )?;
        let tar = download.unpack(&download.manifest.parts[0], "dump.tar")?;
        let files = dbbackup_e2e::untar(&tar)?;
        ensure!(files.contains("--x'=one") && files.contains("in ner/y=two"), "{files}");
        ensure!(!files.contains("root:"), "a link was followed out of the folder: {files}");
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn an_unknown_type_is_handled_visibly_by_generic() -> Result<()> {
    run("generic-fallback", |world| {
        let store = world.claim("backups", "64Mi")?;
        let spec = Spec::generic(&store, &["echo", "dump"]).set("databaseType", json!("cassandra"));
        let ended = world.backup("any", spec)?.run_now()?.ended()?;
        ended.succeeded()?;
        ended.holds("PluginResolved", "True", "Fallback")?;
        let events = world.kubectl(["events", "--for=databasebackup/any"]).text()?;
        ensure!(events.contains("Fallback") && events.contains("cassandra"), "no event says so: {events}");
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn an_unknown_type_without_a_command_names_what_is_missing() -> Result<()> {
    run("generic-unknown", |world| {
        let store = world.claim("backups", "64Mi")?;
        let backup = world.backup("any", Spec::new("cassandra", &store))?;
        backup.is_refused("ArgvMissing", &["spec.settings.argv", "cassandra"])?;
        store.holds_nothing()
    })
}

/// A dump by `pg_dump` of which a shell passes on only so much, and still ends well.
#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_verifier_refuses_what_was_cut() -> Result<()> {
    run("generic-verifier", |world| {
        let (server, store) = (shared(Engine::Postgres18)?, world.s3()?);
        world.login(&server.backup_login())?;
        let spec = |cut: &str| {
            let dump =
                format!("PGHOST=$DB_HOST PGDATABASE=shop pg_dump --format=custom --compress=0 | {cut}");
            Spec::of(server, &store)
                .set("databaseType", json!("generic"))
                .set("image", json!("db-backup.test/postgres:18"))
                .settings(json!({
                    "argv": ["sh", "-c", dump], "secretEnv": {"PGUSER": "username", "PGPASSWORD": "password"},
                    "header": "PGDMP", "verifierArgv": ["pg_restore", "--file=/dev/null"]
                }))
        };
        for (name, cut) in [("a-byte-short", "head -c -1"), ("half", "head -c 300000")] {
            let ended = world.backup(name, spec(cut))?.run_now()?.ended()?;
            ended.failed("VerificationFailed", &["pg_restore", "exited with 1"])?;
        }
        world.backup("whole", spec("cat"))?.run_now()?.ended()?.succeeded().map(drop)
    })
}

/// A command whose output is no dump.
fn no_dump(name: &str, settings: Value, reason: &str, words: &[&str]) -> Result<()> {
    run(name, |world| {
        let store = world.s3()?;
        let ended = world.backup("any", Spec::generic(&store, &[]).settings(settings))?.run_now()?.ended()?;
        ended.failed(reason, words)
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn nothing_is_no_dump() -> Result<()> {
    no_dump("generic-nothing", json!({"argv": ["true"]}), "DumpIncomplete", &["wrote 0 bytes"])
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_command_that_dies_of_a_signal_made_no_dump() -> Result<()> {
    let argv = ["sh", "-c", "dd if=/dev/urandom bs=1M count=12; kill -9 $$"];
    no_dump("generic-signal", json!({"argv": argv, "successExitCodes": [0, 137]}), "DumpKilled", &["SIGKILL"])
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_dump_without_its_end_mark_is_none() -> Result<()> {
    let argv = ["sh", "-c", "dd if=/dev/urandom bs=1M count=12"];
    no_dump("generic-tail", json!({"argv": argv, "tail": "-- the end"}), "DumpIncomplete", &["end"])
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_program_that_is_not_in_the_image_is_named() -> Result<()> {
    no_dump("generic-program", json!({"argv": ["pg_dumpp"]}), "ProgramNotFound", &["pg_dumpp"])
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_failing_commands_own_words_reach_status() -> Result<()> {
    let argv = ["sh", "-c", "echo the disk is on fire >&2; exit 3"];
    no_dump("generic-exit", json!({"argv": argv}), "DumpFailed", &["3", "the disk is on fire"])
}

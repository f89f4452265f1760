//! Plugins come, change and go while the operator runs, by the `ConfigMap` that its Deployment mounts. Each test has its own
//! keys in it, applied under its own field manager, and its own database type.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context, Result, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use dbbackup_e2e::{Backup, OPERATOR_NAMESPACE, Operator, Spec, World, kubectl, run, sha256, until};
use serde_json::{Map, Value, json};

/// The host's test plugin, which does what a test writes into it; without names, because a `ConfigMap` is small.
fn guest() -> Result<Vec<u8>> {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("guests");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--profile", "plugin", "--target", "wasm32-wasip2"])
        .args(["-p", "misbehaving-guest"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_PROFILE_PLUGIN_STRIP", "true")
        .status()?;
    ensure!(status.success(), "the test plugin does not build");
    fs::read(target.join("wasm32-wasip2/plugin/misbehaving_guest.wasm")).context("the test plugin")
}

/// The guest under another name, of some version, with a habit.
#[derive(Clone, Copy)]
struct Plugin<'a> {
    /// Five letters: id and type are made of them.
    name: &'a str,
    version: &'a str,
    habit: &'a str,
}

impl Plugin<'_> {
    fn id(&self) -> String {
        format!("e2e-{}-plugins", self.name)
    }

    fn database_type(&self) -> String {
        format!("e2e-{}-dbtype", self.name)
    }

    fn bytes(&self, guest: &[u8]) -> Result<Vec<u8>> {
        let place = "@as-the-request-says";
        let habit = format!("{:.<width$}", self.habit, width = place.len());
        let replacements = [
            ("misbehaving-guest", self.id()),
            ("misbehaving-type", self.database_type()),
            ("0.1.0-guest", self.version.to_owned()),
            (place, habit),
        ];
        let mut bytes = guest.to_vec();
        for (from, to) in replacements {
            ensure!(from.len() == to.len(), "{from} and {to} differ in length");
            let places: Vec<usize> = bytes
                .windows(from.len())
                .enumerate()
                .filter(|(_, window)| *window == from.as_bytes())
                .map(|(at, _)| at)
                .collect();
            ensure!(!places.is_empty(), "{from} is not in the test plugin");
            for at in places {
                if let Some(place) = bytes.get_mut(at..at + to.len()) {
                    place.copy_from_slice(to.as_bytes());
                }
            }
        }
        Ok(bytes)
    }
}

/// The keys of one test in the operator's `ConfigMap`. They go with it.
pub(crate) struct Volume {
    manager: String,
    files: Map<String, Value>,
}

impl Volume {
    pub(crate) fn new(name: &str) -> Self {
        Self { manager: format!("e2e-{name}"), files: Map::new() }
    }

    pub(crate) fn put(&mut self, file: &str, bytes: &[u8]) -> Result<()> {
        self.files.insert(file.into(), json!(BASE64_STANDARD.encode(bytes)));
        self.apply()
    }

    fn remove(&mut self, file: &str) -> Result<()> {
        self.files.remove(file);
        self.apply()
    }

    /// Then a nudge: the kubelet looks at a pod's volumes when something of the pod changes, otherwise once a minute.
    fn apply(&self) -> Result<()> {
        static NUDGES: AtomicU32 = AtomicU32::new(0);
        // Who applies an empty map owns the whole of it, and then nobody else can add a file.
        let files = (!self.files.is_empty()).then(|| ("binaryData".to_owned(), json!(self.files)));
        let mut object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "db-backup-plugins", "namespace": OPERATOR_NAMESPACE}
        });
        if let Some(object) = object.as_object_mut() {
            object.extend(files);
        }
        let manager = format!("--field-manager={}", self.manager);
        kubectl(["apply", "--server-side", &manager, "--filename", "-"]).input(object.to_string()).text()?;
        let nudge = format!("db-backup.test/{}={}", self.manager, NUDGES.fetch_add(1, Ordering::Relaxed));
        let pods = ["pods", "-n", OPERATOR_NAMESPACE, "-l", "app.kubernetes.io/name=db-backup-operator"];
        kubectl(["annotate", "--overwrite"].into_iter().chain(pods).chain([nudge.as_str()])).text().map(drop)
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        self.files.clear();
        let _ = self.apply();
    }
}

/// Waits for a reason of condition `PluginResolved`, and gives its message.
pub(crate) fn resolved(backup: &Backup<'_>, reason: &str, words: &str) -> Result<String> {
    backup.becomes(&format!("PluginResolved because of {reason}, with {words:?}"), |object| {
        let conditions = object.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
        let found = conditions.clone().find(|one| one["type"] == "PluginResolved" && one["reason"] == reason);
        let message = found.and_then(|found| found["message"].as_str()).map(str::to_owned);
        Ok(message.filter(|message| message.contains(words)))
    })
}

fn is_ready(backup: &Backup<'_>) -> Result<()> {
    backup.becomes("readiness", |object| {
        let conditions = object.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
        Ok(conditions.clone().find(|one| one["type"] == "Ready" && one["status"] == "True").map(drop))
    })
}

/// Events come after the status that they belong to.
fn has_event(world: &World, words: &[&str]) -> Result<()> {
    until(&format!("an event with {words:?}"), || {
        let events = world.kubectl(["events", "--for=databasebackup/any"]).text()?;
        Ok(events.lines().any(|line| words.iter().all(|word| line.contains(word))).then_some(()))
    })
}

fn spec(world: &World, plugin: &Plugin<'_>) -> Result<Spec> {
    let store = world.claim("backups", "64Mi")?;
    world.secret("login", &[("password", "not-used")])?;
    let connection = json!({"host": "nowhere", "credentials": {"secretName": "login"}});
    Ok(Spec::new(&plugin.database_type(), &store).set("connection", connection))
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_plugin_comes_is_replaced_and_goes_without_a_restart() -> Result<()> {
    run("plugin-reload", |world| {
        // Another process would not know the last good version.
        let _operator = Operator::alone();
        let (guest, mut volume) = (guest()?, Volume::new("reload"));
        let first = Plugin { name: "reloa", version: "0.1.0-guest", habit: "clean" };
        let backup = world.backup("any", spec(world, &first)?)?;
        backup.is_refused("ArgvMissing", &[&first.database_type()])?;

        volume.put("reload.wasm", &first.bytes(&guest)?)?;
        let message = resolved(&backup, "Resolved", "0.1.0-guest")?;
        ensure!(message.contains(&first.id()), "{message}");
        is_ready(&backup)?;

        let second = Plugin { version: "0.2.0-guest", ..first };
        volume.put("reload.wasm", &second.bytes(&guest)?)?;
        resolved(&backup, "Resolved", "0.2.0-guest")?;
        has_event(world, &["PluginChanged", "before it was", "0.1.0-guest"])?;
        let digest = format!("sha256:{}", sha256(second.bytes(&guest)?));
        ensure!(backup.object()?["status"]["plugin"]["digest"] == digest.as_str(), "{:#}", backup.object()?);

        // A version that fails always, one that fails on real objects, and half a file: the last good one stays.
        let broken = Plugin { version: "0.3.0-guest", habit: "panic", ..first }.bytes(&guest)?;
        let worse =
            Plugin { version: "0.4.0-guest", habit: "clean-for-self-check", ..first }.bytes(&guest)?;
        let cases = [
            (broken.as_slice(), "the answer is not 42"),
            (worse.as_slice(), "fails (PluginPanicked) on an object"),
            (broken.split_at(broken.len() / 2).0, "truncated"),
        ];
        for (bytes, words) in cases {
            volume.put("reload.wasm", bytes)?;
            let message = resolved(&backup, "LastGoodKept", words)?;
            ensure!(message.contains("0.2.0-guest") && message.contains("reload.wasm"), "{message}");
            is_ready(&backup)?;
        }
        has_event(world, &["LastGoodKept"])?;

        volume.remove("reload.wasm")?;
        backup.is_refused("ArgvMissing", &[&first.database_type()])?;
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn of_two_plugins_neither_wins_and_pinned_objects_go_on() -> Result<()> {
    run("plugin-conflict", |world| {
        let (guest, mut volume) = (guest()?, Volume::new("conflict"));
        let one = Plugin { name: "confl", version: "0.1.0-guest", habit: "clean" };
        let other = Plugin { version: "0.2.0-guest", ..one };
        let spec = spec(world, &one)?;
        volume.put("one.wasm", &one.bytes(&guest)?)?;
        let backup = world.backup("any", spec.clone())?;
        resolved(&backup, "Resolved", "0.1.0-guest")?;
        let digest = format!("sha256:{}", sha256(one.bytes(&guest)?));
        let pinned = world.backup("pinned", spec.clone().set("plugin", json!({"digest": digest})))?;
        resolved(&pinned, "Resolved", "0.1.0-guest")?;

        volume.put("other.wasm", &other.bytes(&guest)?)?;
        backup.is_refused(
            "PluginConflict",
            &["one.wasm", "other.wasm", "0.1.0-guest", "0.2.0-guest", "--plugin-for"],
        )?;
        resolved(&pinned, "Resolved", "0.1.0-guest")?;
        is_ready(&pinned)?;
        // Whoever names one has it.
        world.apply(
            &spec.clone().set("plugin", json!({"id": one.id(), "version": "0.2.0-guest"})).object("any"),
        )?;
        resolved(&backup, "Resolved", "0.2.0-guest")?;
        is_ready(&backup)?;

        volume.remove("one.wasm")?;
        pinned.is_refused("PluginNotFound", &[&digest, "loaded are", "0.2.0-guest"])?;
        is_ready(&backup)
    })
}

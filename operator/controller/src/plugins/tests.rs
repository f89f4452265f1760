use std::{path::PathBuf, process::Command};

use clap::Parser;
use serde_json::json;

use super::*;
use crate::planner::MAX_CALLS;
use dbbackup_plugin_host::MAX_CODE_BYTES;

/// The plugin host's test plugin, where its own tests build it too.
fn guest() -> Vec<u8> {
    let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().join("tmp/guests");
    let status = Command::new(env!("CARGO"))
        .args([
            "build",
            "--quiet",
            "--profile",
            "plugin",
            "--target",
            "wasm32-wasip2",
            "-p",
            "misbehaving-guest",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("CARGO_TARGET_DIR", &target)
        .status()
        .unwrap();
    assert!(status.success());
    fs::read(target.join("wasm32-wasip2/plugin/misbehaving_guest.wasm")).unwrap()
}

/// With some text replaced by other text, filled up with dots.
fn patched(guest: &[u8], replacements: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = guest.to_vec();
    for (from, to) in replacements {
        let to = format!("{to:.<width$}", width = from.len());
        let places: Vec<usize> =
            (0..bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(from.as_bytes())).collect();
        assert!(!places.is_empty() && from.len() == to.len(), "{from} {to}");
        for at in places {
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        }
    }
    bytes
}

const VERSION: &str = "0.1.0-guest";
const HABIT: &str = "@as-the-request-says";
const IMAGE: &str = "docker.io/library/client:1";

struct Operator {
    folder: tempfile::TempDir,
    plugins: Plugins,
    objects: Vec<Arc<Watched>>,
}

impl Operator {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config =
            Config::parse_from(["operator", "--operator-image=o:1", "--allowed-image=docker.io/library/*"]);
        let planner = Arc::new(Planner::new(&config).unwrap());
        let host = Host::new(Limits { deadline: Duration::from_mins(5), ..Limits::default() }).unwrap();
        let loader = Loader::new(host, vec![folder.path().to_owned()], AllowList::default());
        let metrics = Arc::new(Metrics::new());
        let plugins =
            Plugins { loader, planner, metrics, pause: Duration::ZERO, patience: Duration::from_mins(9) };
        Self { folder, plugins, objects: vec![object("orders"), object("bills")] }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("a.wasm")
    }

    /// Looks until nothing changes any more; the names of the objects that are to be looked at again.
    fn look(&mut self) -> Vec<String> {
        let mut affected = self.plugins.look(&self.objects);
        affected.extend(self.plugins.look(&self.objects));
        affected.into_iter().map(|object| object.name).collect()
    }

    /// Version, why it is kept, and what it changed, for the first object.
    fn serves(&self) -> (String, Option<String>, Option<String>) {
        let object = self.objects[0].0.as_ref().unwrap();
        let generation = self.plugins.planner.generation();
        let chosen = self.plugins.planner.choose(object, &generation.registry).unwrap();
        let changed = generation.changes.get(&object.uid().unwrap()).map(|(_, changed)| changed.clone());
        (chosen.plugin.version().to_owned(), chosen.kept.map(str::to_owned), changed)
    }
}

fn object(name: &str) -> Arc<Watched> {
    let object = json!({
        "apiVersion": "db.example.io/v1alpha1", "kind": "DatabaseBackup",
        "metadata": {"name": name, "namespace": "shop", "uid": format!("0b6d3c5e-{name}")},
        "spec": {
            "schedule": "@daily", "databaseType": "misbehaving-type",
            "connection": {"host": "h", "credentials": {"secretName": "login"}},
            "storageDestination": {"type": "s3", "bucket": "backups"},
        },
    });
    Arc::new(serde_json::from_value(object).unwrap())
}

#[test]
fn a_new_version_takes_over_only_if_it_fails_on_no_object() {
    let (guest, mut operator) = (guest(), Operator::new());
    let version = |version: &str, habit: &str, image: &str| {
        patched(&guest, &[(VERSION, version), (HABIT, habit), (IMAGE, image)])
    };
    assert!(!operator.plugins.planner.generation().ready);
    fs::write(operator.file(), version(VERSION, "clean", IMAGE)).unwrap();
    assert_eq!(operator.look(), ["orders", "bills"]);
    assert_eq!(operator.serves(), (VERSION.to_owned(), None, None));

    // It stands its self-check and fails on real objects.
    fs::write(operator.file(), version("0.2.0-guest", "clean-for-self-check", IMAGE)).unwrap();
    assert_eq!(operator.look(), ["orders", "bills"], "they have something new to tell");
    let (serving, kept, _) = operator.serves();
    let kept = kept.unwrap();
    assert_eq!(serving, VERSION);
    assert!(kept.contains("0.2.0-guest") && kept.contains("fails (PluginPanicked)"), "{kept}");
    assert!(
        !kept.contains("orders") && !kept.contains("real objects"),
        "objects of others are no matter: {kept}"
    );

    // What no user can mend.
    fs::write(operator.file(), version("0.2.1-guest", "clean", "quay.io/library/client:1.2")).unwrap();
    operator.look();
    let (serving, kept, _) = operator.serves();
    let kept = kept.unwrap();
    assert!(serving == VERSION && kept.contains("an image that is not allowed"), "{kept}");

    // It refuses everything.
    fs::write(operator.file(), version("0.2.2-guest", "refuse", IMAGE)).unwrap();
    operator.look();
    let (serving, kept, _) = operator.serves();
    let kept = kept.unwrap();
    assert!(serving == VERSION && kept.contains("every object for which the other has a plan"), "{kept}");

    // It takes so long that nobody knows what it changes.
    operator.plugins.patience = Duration::ZERO;
    fs::write(operator.file(), version("0.2.3-guest", "clean", IMAGE)).unwrap();
    operator.look();
    let (serving, kept, _) = operator.serves();
    let kept = kept.unwrap();
    assert!(serving == VERSION && kept.contains("is too slow"), "{kept}");
    operator.plugins.patience = Duration::from_mins(9);

    fs::write(operator.file(), version("0.3.0-guest", "clean", "docker.io/library/client:2")).unwrap();
    assert_eq!(operator.look(), ["orders", "bills"]);
    let changed =
        "its plan differs: /image: \"docker.io/library/client:1\" -> \"docker.io/library/client:2\"";
    assert_eq!(operator.serves(), ("0.3.0-guest".to_owned(), None, Some(changed.to_owned())));
    assert_eq!(operator.look(), [""; 0]);

    fs::remove_file(operator.file()).unwrap();
    assert_eq!(operator.look(), ["orders", "bills"]);
    let generation = operator.plugins.planner.generation();
    assert!(generation.ready && generation.registry.plugins().is_empty());
}

/// The kernel kills a whole container that is out of memory, not the greedy process in it.
#[test]
fn the_pods_memory_limit_covers_the_worst_that_can_come_together() {
    let deployment = include_str!("../../../../deploy/operator/deployment.yaml");
    let number = |before: &str, after: &str| -> usize {
        let (_, rest) = deployment.rsplit_once(before).unwrap();
        rest.split_once(after).unwrap().0.parse().unwrap()
    };
    let limit = number("limits: {memory: ", "Mi}");
    let compiler = number("PLUGIN_COMPILE_MEBIBYTES, value: \"", "\"");
    let limits = Limits::default();
    // One more for the plugin that is being loaded.
    let calls = (MAX_CALLS + 1) * (limits.memory_bytes >> 20);
    // A file as it is read, unpacked, and on its way to the compiler.
    let own = 128 + 3 * (limits.file_bytes >> 20);
    let worst = compiler + calls + (MAX_CODE_BYTES >> 20) + own;
    assert!(worst <= limit, "{worst} MiB can come together, the limit is {limit} MiB");
}

/// Until all files were tried nobody knows who else claims a type, so only those go on that have their plugin already.
#[tokio::test]
async fn while_plugins_are_loaded_an_object_that_has_its_own_goes_on() {
    let mut operator = Operator::new();
    fs::write(operator.file(), patched(&guest(), &[(HABIT, "clean")])).unwrap();
    operator.look();
    let planner = Arc::clone(&operator.plugins.planner);
    let registry = planner.generation().registry.clone();
    let digest = registry.plugins()[0].digest().to_owned();
    planner.publish(Generation { registry, ..Generation::default() });
    let mut object = operator.objects[0].0.clone().unwrap();
    assert!(planner.plan(&object).await.is_none(), "a new one waits");
    for (digest, goes_on) in [(digest.as_str(), true), ("sha256:other", false)] {
        let plugin = json!({"id": "misbehaving", "version": "1.0.0", "digest": digest});
        object.status = Some(serde_json::from_value(json!({"plugin": plugin})).unwrap());
        assert_eq!(planner.plan(&object).await.is_some(), goes_on, "{digest}");
    }
}

#[test]
fn a_list_may_have_comments() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "# ours\nsha256:1  redis.wasm\n\n  sha256:2\n").unwrap();
    assert_eq!(digests(file.path()).unwrap(), ["sha256:1", "sha256:2"]);
    assert!(digests(Path::new("/nowhere")).unwrap_err().to_string().contains("--plugin-allow-file /nowhere"));
}

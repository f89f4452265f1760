//! A `DatabaseBackup` and its runs.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail, ensure};
use dbbackup_protocol::manifest::Manifest;
use serde_json::{Map, Value, json};

use crate::{
    kubectl::until,
    looks::{holds, pod_with_running, says},
    restore::Download,
    server::Server,
    sha256,
    store::Store,
    world::World,
};

/// `spec` of a `DatabaseBackup` in the making.
#[derive(Clone, Debug)]
pub struct Spec {
    value: Map<String, Value>,
    store: Option<Store>,
}

impl Spec {
    /// A spec without a store.
    pub fn bare(database_type: &str) -> Self {
        Self { value: Map::new(), store: None }
            .set("schedule", json!("0 0 1 1 *"))
            .set("databaseType", json!(database_type))
    }

    /// A spec that never starts by itself while tests run, and whose failures are final at once.
    pub fn new(database_type: &str, store: &Store) -> Self {
        let bare = Self { store: Some(store.clone()), ..Self::bare(database_type) };
        bare.set("backoffLimit", json!(0)).set("storageDestination", store.destination())
    }

    /// Of this server, with the keys `username` and `password` of the Secret `login`.
    pub fn of(server: &Server, store: &Store) -> Self {
        Self::new(server.engine().database_type(), store).set(
            "connection",
            json!({
                "host": server.host(),
                "credentials": {"secretName": "login", "keys": {"username": "username", "password": "password"}}
            }),
        )
    }

    /// By the generic plugin: a program in the busybox image.
    pub fn generic(store: &Store, argv: &[&str]) -> Self {
        Self::new("generic", store)
            .set("image", json!("db-backup.test/busybox:1"))
            .set("settings", json!({"argv": argv}))
    }

    /// Sets a field of `spec`; `connection.port` is one inside another.
    #[must_use]
    pub fn set(mut self, path: &str, value: Value) -> Self {
        let (fields, last) = match path.rsplit_once('.') {
            Some((fields, last)) => (fields.split('.').collect(), last),
            None => (vec![], path),
        };
        let mut place = &mut self.value;
        for field in fields {
            let inner = place.entry(field).or_insert_with(|| json!({}));
            match inner.as_object_mut() {
                Some(object) => place = object,
                None => return self,
            }
        }
        place.insert(last.to_owned(), value);
        self
    }

    /// The one database to back up.
    #[must_use]
    pub fn database(self, name: &str) -> Self {
        self.set("connection.database", json!(name))
    }

    /// Settings of the plugin.
    #[must_use]
    pub fn settings(self, settings: Value) -> Self {
        self.set("settings", settings)
    }

    /// The whole object.
    pub fn object(&self, name: &str) -> Value {
        json!({
            "apiVersion": "db.example.io/v1alpha1", "kind": "DatabaseBackup", "metadata": {"name": name},
            "spec": self.value
        })
    }
}

/// A `DatabaseBackup` in the cluster.
#[derive(Debug)]
pub struct Backup<'w> {
    world: &'w World,
    name: String,
    uid: String,
    store: Option<Store>,
}

/// One run of it, by annotation.
#[derive(Debug)]
pub struct Run<'b> {
    backup: &'b Backup<'b>,
    /// Name of its Job.
    pub job: String,
}

/// A run that has ended, and the object as it was then.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The `DatabaseBackup`.
    pub object: Value,
    /// The run's entry in `status.recentRuns`.
    pub record: Value,
    store: Option<Store>,
}

/// Name of the Job of a slot, in seconds since 1970, as the operator's documentation has it.
pub fn job_name(name: &str, uid: &str, slot: i64) -> String {
    format!("{name}-{}-{}", hex8(&[uid]), slot / 60)
}

/// Name of the Job of a manual run, as the operator's documentation has it.
pub fn manual_job_name(name: &str, uid: &str, token: &str) -> String {
    format!("{name}-{}-m{}", hex8(&[uid]), hex8(&[uid, token]))
}

fn hex8(parts: &[&str]) -> String {
    let bytes: Vec<u8> = parts.iter().flat_map(|part| part.bytes().chain([0])).collect();
    format!("{:.8}", sha256(bytes))
}

/// What is at a JSON pointer; null where there is nothing.
fn part<'v>(value: &'v Value, pointer: &str) -> &'v Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

/// A text at a JSON pointer; empty where there is none.
pub(crate) fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

impl<'w> Backup<'w> {
    pub(crate) fn apply(world: &'w World, name: &str, spec: Spec) -> Result<Self> {
        world.apply(&spec.object(name))?;
        let object = world.kubectl(["get", "databasebackup", name]).json()?;
        let uid = text(&object, "/metadata/uid").to_owned();
        Ok(Self { world, name: name.to_owned(), uid, store: spec.store })
    }

    /// Its UID.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// The object as it is now.
    ///
    /// # Errors
    /// Where it is not there.
    pub fn object(&self) -> Result<Value> {
        self.world.kubectl(["get", "databasebackup", &self.name]).json()
    }

    /// Waits until the object is as wished.
    ///
    /// # Errors
    /// After a while, with the status as it was last.
    pub fn becomes<T>(&self, what: &str, found: impl FnMut(&Value) -> Result<Option<T>>) -> Result<T> {
        self.world.kubectl(["get", "databasebackup", &self.name]).watch(what, found)
    }

    /// Asks for a run, with a token that was not used before.
    ///
    /// # Errors
    /// The API server's refusal.
    pub fn run_now(&self) -> Result<Run<'_>> {
        static TOKENS: AtomicU32 = AtomicU32::new(1);
        self.run_by_token(&format!("run-{}", TOKENS.fetch_add(1, Ordering::Relaxed)))
    }

    /// Asks for a run with this token.
    ///
    /// # Errors
    /// The API server's refusal.
    pub fn run_by_token(&self, token: &str) -> Result<Run<'_>> {
        let annotation = format!("db.example.io/run-now={token}");
        self.world.kubectl(["annotate", "--overwrite", "databasebackup", &self.name, &annotation]).text()?;
        Ok(self.run_of(token))
    }

    /// The run that was asked for with this token.
    pub fn run_of(&self, token: &str) -> Run<'_> {
        Run { backup: self, job: manual_job_name(&self.name, &self.uid, token) }
    }

    /// Waits until the operator says that no run can start, and why.
    ///
    /// # Errors
    /// Where it does not, or for another reason.
    pub fn is_refused(&self, reason: &str, words: &[&str]) -> Result<Value> {
        let object = self.becomes("a refusal", |object| {
            let refused = text(object, "/status/lastBackupStatus") == "Error";
            Ok(refused.then(|| object.clone()))
        })?;
        says(text(&object, "/status/failureReason"), reason, words)?;
        holds(&object, "Ready", "False", reason)?;
        Ok(object)
    }

    /// Waits until the server was asked, and the Job that did it is gone; makes sure that `Ready` says what was found.
    ///
    /// # Errors
    /// Where it was not asked, or something else was found.
    pub fn is_probed(&self, status: &str, reason: &str) -> Result<Value> {
        let object = self.becomes("what a probe found", |object| {
            let current = part(object, "/status/observedGeneration") == part(object, "/metadata/generation");
            Ok((current && object.pointer("/status/server/probedAt").is_some()).then(|| object.clone()))
        })?;
        holds(&object, "Ready", status, reason)?;
        let selector = format!(
            "databasebackup.db.example.io/name={},databasebackup.db.example.io/purpose=probe",
            self.name
        );
        until("the end of the probe's Job", || {
            let left = self
                .world
                .kubectl(["get", "jobs,pods", "--output", "name", "--selector", &selector])
                .text()?;
            Ok(left.is_empty().then_some(()))
        })?;
        Ok(object)
    }

    /// Waits until a run of the schedule has ended.
    ///
    /// # Errors
    /// Where none does.
    pub fn next_scheduled_run(&self) -> Result<Ended> {
        self.becomes("the end of a scheduled run", |object| {
            let scheduled = |record: &Value| {
                record.get("manual").is_none()
                    && record.get("job").is_some()
                    && text(record, "/result") != "Running"
            };
            Ok(runs(object).iter().find(|record| scheduled(record)).map(|record| self.ended(object, record)))
        })
    }

    fn ended(&self, object: &Value, record: &Value) -> Ended {
        Ended { object: object.clone(), record: record.clone(), store: self.store.clone() }
    }
}

fn runs(object: &Value) -> &[Value] {
    object.pointer("/status/recentRuns").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

impl Run<'_> {
    /// Waits until status tells how it ended.
    ///
    /// # Errors
    /// Where it does not end, or cannot start.
    pub fn ended(&self) -> Result<Ended> {
        self.backup.becomes("the end of a run", |object| {
            if text(object, "/status/lastBackupStatus") == "Error" {
                bail!("the run cannot start: {}", text(object, "/status/failureReason"));
            }
            Ok(self
                .record(object)
                .filter(|record| text(record, "/result") != "Running")
                .map(|record| self.backup.ended(object, record)))
        })
    }

    /// Waits until its Job runs, and gives the name of its pod once the container in question does.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn pod_with_running(&self, container: &str) -> Result<String> {
        let selector = format!("batch.kubernetes.io/job-name={}", self.job);
        pod_with_running(self.backup.world, &selector, container)
    }

    /// Waits until status says something of this run while it runs.
    ///
    /// # Errors
    /// Where it does not.
    pub fn says_while_running(&self, reason: &str, words: &[&str]) -> Result<()> {
        self.backup.becomes("a word on the running run", |object| {
            let record = self.record(object).filter(|record| text(record, "/reason") == reason);
            let Some(record) = record else { return Ok(None) };
            ensure!(text(record, "/result") == "Running", "the run does not run any more: {record:#}");
            ensure!(text(object, "/status/lastBackupStatus") == "Running", "{:#}", part(object, "/status"));
            says(text(object, "/status/failureReason"), reason, words)?;
            Ok(Some(()))
        })
    }

    fn record<'v>(&self, object: &'v Value) -> Option<&'v Value> {
        runs(object).iter().find(|record| text(record, "/job") == self.job)
    }
}

impl Ended {
    /// It was a success, and every field that a user looks at says so. The manifest is in the store, is what status
    /// says it is, and names what is there.
    ///
    /// # Errors
    /// What is otherwise.
    pub fn succeeded(&self) -> Result<Download> {
        ensure!(text(&self.record, "/result") == "Succeeded", "the run failed: {:#}", self.record);
        let status = part(&self.object, "/status");
        ensure!(text(status, "/lastBackupStatus") == "Succeeded", "{status:#}");
        ensure!(status.get("failureReason").is_none(), "a success with a reason to fail: {status:#}");
        ensure!(status.get("activeBackupJob").is_none(), "an ended run is active: {status:#}");
        ensure!(status.get("lastSuccessfulBackup").is_some(), "no time of the success: {status:#}");
        let generation = part(&self.object, "/metadata/generation");
        ensure!(status.get("observedGeneration") == Some(generation), "{status:#}");
        holds(&self.object, "LastRunSucceeded", "True", "Succeeded")?;
        let store = self.store.as_ref().context("a store")?;
        let key = text(&self.record, "/manifest");
        let bytes = store.read(key).with_context(|| format!("no manifest at {key:?}"))?;
        ensure!(
            text(&self.record, "/manifestSha256") == sha256(&bytes),
            "the manifest is not the one of {:#}",
            self.record
        );
        let manifest = Manifest::parse(&bytes).context("the manifest cannot be read")?;
        ensure!(self.record.get("parts") == Some(&json!(manifest.parts.len())), "{:#}", self.record);
        ensure!(store.unfinished()?.is_empty(), "unfinished uploads: {:?}", store.unfinished()?);
        let prefix = key.trim_end_matches("/manifest.json");
        let mut expected: Vec<_> =
            manifest.parts.iter().map(|part| format!("{prefix}/{}", part.object)).collect();
        expected.push(key.to_owned());
        expected.sort();
        let mut present: Vec<_> = store.keys()?.into_iter().filter(|key| key.starts_with(prefix)).collect();
        present.sort();
        ensure!(expected == present, "the manifest names {expected:?}, the store holds {present:?}");
        Download::fetch(store, prefix, manifest)
    }

    /// Makes sure of a condition.
    ///
    /// # Errors
    /// The condition as it is.
    pub fn holds(&self, type_: &str, status: &str, reason: &str) -> Result<()> {
        holds(&self.object, type_, status, reason)
    }

    /// It failed for this reason, every field that a user looks at says so in these words, and the store holds
    /// nothing of it.
    ///
    /// # Errors
    /// What is otherwise.
    pub fn failed(&self, reason: &str, words: &[&str]) -> Result<()> {
        ensure!(text(&self.record, "/result") == "Failed", "the run did not fail: {:#}", self.record);
        ensure!(text(&self.record, "/reason") == reason, "it failed for another reason: {:#}", self.record);
        let status = part(&self.object, "/status");
        ensure!(text(status, "/lastBackupStatus") == "Failed", "{status:#}");
        ensure!(status.get("activeBackupJob").is_none(), "an ended run is active: {status:#}");
        says(text(status, "/failureReason"), reason, words)?;
        holds(&self.object, "LastRunSucceeded", "False", reason)?;
        self.store.as_ref().map_or(Ok(()), Store::holds_nothing)
    }
}

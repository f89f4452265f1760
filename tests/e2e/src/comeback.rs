//! A `DatabaseRestore` and how it ended.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::{backup::text, looks::says, server::Server, world::World};

/// `spec` of a restore of the DatabaseBackup `backup` into a server, with the keys of the Secret `target`.
pub fn restore_of(backup: &str, server: &Server) -> Value {
    json!({
        "source": {"backupName": backup},
        "target": {"host": server.host(), "credentials": {"secretName": "target"}}
    })
}

/// The same with this field.
#[must_use]
pub fn with(mut spec: Value, field: &str, value: Value) -> Value {
    if let Some(fields) = spec.as_object_mut() {
        fields.insert(field.to_owned(), value);
    }
    spec
}

/// A `DatabaseRestore` in the cluster.
#[derive(Debug)]
pub struct Restore<'w> {
    world: &'w World,
    name: String,
}

impl<'w> Restore<'w> {
    pub(crate) fn apply(world: &'w World, name: &str, spec: &Value) -> Result<Self> {
        world.apply(&json!({
            "apiVersion": "db.example.io/v1alpha1", "kind": "DatabaseRestore", "metadata": {"name": name}, "spec": spec
        }))?;
        Ok(Self { world, name: name.to_owned() })
    }

    /// Name of its pod once this container of it runs.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn pod_with_running(&self, container: &str) -> Result<String> {
        let selector = format!("databaserestore.db.example.io/name={}", self.name);
        crate::looks::pod_with_running(self.world, &selector, container)
    }

    /// Its status when the last word is spoken.
    ///
    /// # Errors
    /// Where it does not end.
    pub fn ended(&self) -> Result<Value> {
        self.world.kubectl(["get", "databaserestore", &self.name]).watch("the end of a restore", |object| {
            let phase = text(object, "/status/phase");
            let ended = matches!(phase, "Succeeded" | "Failed");
            Ok(object.get("status").cloned().filter(|_| ended))
        })
    }

    /// It restored so many parts, and every field that a user looks at says so.
    ///
    /// # Errors
    /// What is otherwise.
    pub fn succeeded(&self, parts: usize) -> Result<Value> {
        let status = self.ended()?;
        ensure!(text(&status, "/phase") == "Succeeded", "{status:#}");
        ensure!(
            status.get("parts") == Some(&json!(parts)) && status.get("failureReason").is_none(),
            "{status:#}"
        );
        ensure!(
            status.get("bytesFetched").and_then(Value::as_i64) > Some(0)
                && status.get("completionTime").is_some(),
            "{status:#}"
        );
        Ok(status)
    }

    /// It failed for this reason, in these words, and says that the target is like this.
    ///
    /// # Errors
    /// What is otherwise.
    pub fn failed(&self, reason: &str, words: &[&str], target: &str) -> Result<Value> {
        let status = self.ended()?;
        ensure!(text(&status, "/phase") == "Failed", "{status:#}");
        says(text(&status, "/failureReason"), reason, words)?;
        ensure!(text(&status, "/target") == target, "the target is to be {target}: {status:#}");
        let conditions = status.get("conditions").and_then(Value::as_array).cloned().unwrap_or_default();
        let marked = conditions.iter().find(|it| text(it, "/type") == "TargetIncomplete");
        let marked = marked.map(|it| text(it, "/status") == "True");
        ensure!(marked == Some(target == "Incomplete"), "{conditions:#?}");
        Ok(status)
    }
}

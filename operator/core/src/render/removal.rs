//! The Job of a removal: the mover alone, with the keys that may delete.

use dbbackup_api::{DatabaseSnapshot, SNAPSHOT_LABEL};
use dbbackup_protocol::{
    removal::{self, RemovalOrder},
    work_order::{EnvValue as _, Limits},
};
use k8s_openapi::api::batch::v1::{Job, JobSpec};

use super::{Owner, RenderConfig, RenderError, destination, pod, pod_failure_policy};
use crate::removing::as_backup;

/// The Job's deadline, for all attempts: deleting a million objects takes less.
const DEADLINE_SECONDS: i64 = 6 * 60 * 60;
/// The agent's own, early enough for a report. Nobody connects and no process runs.
const LIMITS: Limits = Limits { deadline_seconds: 21_000, connect_seconds: 0, grace_seconds: 0 };
/// Further attempts after a failure that may pass. What an attempt has removed stays removed.
const FURTHER_ATTEMPTS: i32 = 2;

/// Everything that the Job of a removal is made of.
#[derive(Clone, Copy, Debug)]
pub struct RemovalInput<'a> {
    /// Whose data goes.
    pub snapshot: &'a DatabaseSnapshot,
    /// Name of the Job.
    pub name: &'a str,
    /// What the administrator wants.
    pub config: &'a RenderConfig,
}

/// Renders the Job of a removal. Equal input gives equal bytes.
///
/// # Errors
/// [`RenderError`]; pointers are those of a `DatabaseBackup` with the snapshot's storage.
pub fn render_removal(input: &RemovalInput<'_>) -> Result<Job, RenderError> {
    let RemovalInput { snapshot, name, config } = *input;
    let owner = Owner::by("DatabaseSnapshot", SNAPSHOT_LABEL, &snapshot.metadata)?;
    let object = as_backup(snapshot).ok_or(RenderError::Incomplete("spec.location.storage"))?;
    let order = RemovalOrder {
        version: removal::VERSION,
        namespace: owner.namespace.to_owned(),
        name: snapshot.spec.backup.name.clone(),
        storage: destination(&object.spec.storage_destination).map_err(RenderError::Refused)?,
        folder: snapshot.spec.location.folder.clone(),
        limits: LIMITS,
    };
    let order = order.to_env_value()?;
    let parts = pod::Parts::without_client((&object.spec, config), &owner, pod::Purpose::Removal, &order);
    Ok(Job {
        metadata: owner.metadata(name),
        spec: Some(JobSpec {
            active_deadline_seconds: Some(DEADLINE_SECONDS),
            backoff_limit: Some(FURTHER_ATTEMPTS),
            pod_replacement_policy: Some("Failed".into()),
            pod_failure_policy: Some(pod_failure_policy()),
            template: pod::template(&parts),
            ..JobSpec::default()
        }),
        status: None,
    })
}

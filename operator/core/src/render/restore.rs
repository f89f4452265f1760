//! The Job of a restore: the pod of a run, which reads the storage and writes the database.

use dbbackup_api::{
    DatabaseRestore, RESTORE_LABEL,
    restore::{PrivateKey, RestoreMode},
    storage::SecretKeyRef,
};
use dbbackup_protocol::{
    contract::Issue,
    restore::{self, Mode, Rename, RestoreOrder},
    work_order::{EnvValue as _, SecretKey},
};
use k8s_openapi::{
    api::batch::v1::{Job, JobSpec},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::{Owner, RenderConfig, RenderError, by_plugin, deadline, destination, limits, pod, volumes};
use crate::{planning::PlannedRestore, restoring::Source, secrets};

/// Everything that the Job of a restore is made of.
#[derive(Clone, Copy, Debug)]
pub struct RestoreInput<'a> {
    /// Whose Job it is.
    pub restore: &'a DatabaseRestore,
    /// Name of the Job.
    pub name: &'a str,
    /// Where the backup is.
    pub source: &'a Source,
    /// What the plugin wants, already policed, and where its secrets are.
    pub planned: &'a PlannedRestore,
    /// What the administrator wants.
    pub config: &'a RenderConfig,
}

/// Renders the Job of a restore. Equal input gives equal bytes. It is tried once: a second attempt would find what the first
/// one has left in the target.
///
/// # Errors
/// [`RenderError`]; pointers are those of the backup that [`Source::object`] looks like.
pub fn render_restore(input: &RestoreInput<'_>) -> Result<Job, RenderError> {
    let RestoreInput { restore, name, source, planned, config } = *input;
    let owner = Owner::by("DatabaseRestore", RESTORE_LABEL, &restore.metadata)?;
    let spec = &source.object.spec;
    let tls = volumes::database_tls(spec).map_err(RenderError::Refused)?;
    let private_key = private_key(restore).map_err(RenderError::Refused)?;
    let order = RestoreOrder { private_key: private_key.clone(), ..order(&owner, input)? }.to_env_value()?;
    let parts = pod::Parts {
        spec,
        config,
        owner: &owner,
        image: &planned.image,
        bindings: &planned.bindings,
        scratch_mebibytes: planned.plan.scratch_mebibytes,
        purpose: pod::Purpose::Restore,
        order: &order,
        tls,
        private_key: private_key.iter().map(volumes::private_key).collect(),
        mover_mebibytes: 0,
    };
    Ok(Job {
        metadata: ObjectMeta { annotations: Some(by_plugin(&planned.plugin)), ..owner.metadata(name) },
        spec: Some(JobSpec {
            active_deadline_seconds: Some(deadline(spec).cast_signed()),
            backoff_limit: Some(0),
            pod_replacement_policy: Some("Failed".into()),
            // No failure policy: one that ignores disruptions would start a second pod.
            template: pod::template(&parts),
            ..JobSpec::default()
        }),
        status: None,
    })
}

fn order(owner: &Owner<'_>, input: &RestoreInput<'_>) -> Result<RestoreOrder, RenderError> {
    let RestoreInput { restore, name: _, source, planned, config: _ } = *input;
    Ok(RestoreOrder {
        version: restore::VERSION,
        namespace: owner.namespace.to_owned(),
        name: owner.name.to_owned(),
        plugin: planned.plugin.clone(),
        client_image: planned.image.clone(),
        plan: planned.plan.clone(),
        bindings: planned.bindings.clone(),
        storage: destination(&source.object.spec.storage_destination).map_err(RenderError::Refused)?,
        folder: source.folder.clone(),
        manifest_sha256: source.manifest_sha256.clone(),
        databases: restore.spec.databases.clone(),
        renames: renames(restore),
        mode: mode(restore.spec.mode),
        dry_run: restore.spec.dry_run,
        limits: limits(&source.object.spec),
        private_key: None,
        notes: source.notes.clone(),
    })
}

fn private_key(restore: &DatabaseRestore) -> Result<Option<SecretKey>, Vec<Issue>> {
    let Some(PrivateKey { secret_name, key }) = &restore.spec.decryption else { return Ok(None) };
    let reference = SecretKeyRef { name: secret_name.clone(), key: key.clone() };
    let issues = secrets::reference_issues("/decryption", &reference);
    if issues.is_empty() {
        Ok(Some(SecretKey { secret: secret_name.clone(), key: key.clone() }))
    } else {
        Err(issues)
    }
}

/// In the contract's words.
pub(crate) fn renames(restore: &DatabaseRestore) -> Vec<Rename> {
    let rename =
        |(source, target): (&String, &String)| Rename { source: source.clone(), target: target.clone() };
    restore.spec.renames.iter().map(rename).collect()
}

/// In the contract's words.
pub(crate) fn mode(mode: RestoreMode) -> Mode {
    match mode {
        RestoreMode::Refuse => Mode::Refuse,
        RestoreMode::Replace => Mode::Replace,
    }
}

//! The Job of a look into storage: the mover alone, and a claim that it cannot write.

use dbbackup_api::{CATALOGUE, DatabaseBackup, PURPOSE_LABEL};
use dbbackup_protocol::{
    catalogue::{self, CatalogueOrder},
    work_order::{EnvValue as _, Limits},
};
use k8s_openapi::api::batch::v1::Job;

use super::{Owner, RenderConfig, RenderError, destination, pod};
use crate::decide::NewCatalogue;

/// The Job's deadline. What one page takes is bounded, but for a folder full of what is none of ours.
const DEADLINE_SECONDS: i64 = 30 * 60;
/// The agent's own, early enough for a report. Nobody connects and no process runs.
const LIMITS: Limits = Limits { deadline_seconds: 1740, connect_seconds: 0, grace_seconds: 0 };

/// Everything that the Job of a look into storage is made of.
#[derive(Clone, Copy, Debug)]
pub struct CatalogueInput<'a> {
    /// Whose backups are looked for.
    pub object: &'a DatabaseBackup,
    /// Which of them, and the name of the Job.
    pub new: &'a NewCatalogue,
    /// What the administrator wants.
    pub config: &'a RenderConfig,
}

/// Renders the Job of a look into storage. Equal input gives equal bytes.
///
/// # Errors
/// [`RenderError`].
pub fn render_catalogue(input: &CatalogueInput<'_>) -> Result<Job, RenderError> {
    let CatalogueInput { object, new, config } = *input;
    let owner = Owner::of(object)?;
    let order = CatalogueOrder {
        version: catalogue::VERSION,
        namespace: owner.namespace.to_owned(),
        name: owner.name.to_owned(),
        storage: destination(&object.spec.storage_destination).map_err(RenderError::Refused)?,
        scope: new.scope.clone(),
        limits: LIMITS,
    };
    let order = order.to_env_value()?;
    let parts = pod::Parts::without_client((&object.spec, config), &owner, pod::Purpose::Catalogue, &order);
    let mut metadata = owner.metadata(&new.name);
    metadata.labels.get_or_insert_default().insert(PURPOSE_LABEL.into(), CATALOGUE.into());
    Ok(Job { metadata, spec: Some(pod::errand(&parts, DEADLINE_SECONDS)), status: None })
}

//! Lets snapshots go that `spec.retention` does not keep: each is told to take its data along, and deleted. What then happens is in
//! [`crate::removals`], as for one that a user deletes.

use dbbackup_api::DatabaseSnapshot;
use dbbackup_core::decide::{Decision, Prune};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
};
use serde_json::json;
use tracing::info;

use crate::{act::FIELD_MANAGER, context::Context, reconcile::Error, removals::with_finalizer};

/// Lets go what was decided, which has to have been decided on a live list. Each request carries UID and version: one that changed
/// since is looked at again by the next pass.
///
/// # Errors
/// A request that failed.
pub(crate) async fn prune(namespace: &str, decision: &Decision, context: &Context) -> Result<(), Error> {
    let api: Api<DatabaseSnapshot> = Api::namespaced(context.client.clone(), namespace);
    for one in &decision.prune {
        if let Some(marked) = unless_changed(mark(&api, one).await, "mark a DatabaseSnapshot")?
            && unless_changed(delete(&api, &marked).await, "delete a DatabaseSnapshot")?.is_some()
        {
            info!(snapshot = marked.name_any(), location = marked.spec.location.url, "snapshot pruned");
            context.metrics.snapshot("pruned");
        }
    }
    Ok(())
}

/// From here on its data goes with it.
async fn mark(
    api: &Api<DatabaseSnapshot>,
    Prune { snapshot, secret }: &Prune,
) -> kube::Result<DatabaseSnapshot> {
    let mut spec = json!({"deletionPolicy": "Delete"});
    if let (Some(secret), Some(spec)) = (secret, spec.as_object_mut()) {
        spec.insert("deletionSecretName".into(), json!(secret));
    }
    let patch = json!({"metadata": with_finalizer(snapshot, true), "spec": spec});
    let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
    api.patch(&snapshot.name_any(), &parameters, &Patch::Merge(patch)).await
}

async fn delete(api: &Api<DatabaseSnapshot>, marked: &DatabaseSnapshot) -> kube::Result<()> {
    let preconditions = Preconditions { uid: marked.uid(), resource_version: marked.resource_version() };
    let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
    api.delete(&marked.name_any(), &parameters).await.map(drop)
}

/// None: somebody else wrote or removed it meanwhile.
fn unless_changed<T>(answer: kube::Result<T>, attempt: &'static str) -> Result<Option<T>, Error> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(None),
        Err(error) => Err(Error::on(attempt)(error)),
    }
}

//! The only writer of snapshots. A snapshot's name is its Job's: it is created, never applied.

use std::sync::Arc;

use dbbackup_api::DatabaseSnapshot;
use dbbackup_core::{decide::Decision, observed::RefusedCreate, snapshot::conflict};
use kube::{Api, ResourceExt, api::PostParams};
use tracing::info;

use crate::{
    act::{FIELD_MANAGER, classify, refused},
    context::{Context, WatchedSnapshot},
    observe::Seen,
    reconcile::Error,
};

/// Creates what was decided, and adds to what was seen what came of it: the snapshots, or a refusal that the user must know
/// of. Says whether there is anything to decide anew.
///
/// # Errors
/// A request that failed without an answer on the matter.
pub(crate) async fn create(seen: &mut Seen, decision: &Decision, context: &Context) -> Result<bool, Error> {
    let namespace = seen.object.namespace().unwrap_or_default();
    let api: Api<DatabaseSnapshot> = Api::namespaced(context.client.clone(), &namespace);
    let parameters = PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
    let mut news = false;
    for new in decision.snapshots.iter().filter_map(|new| new.snapshot.as_deref()) {
        let created = match api.create(&parameters, new).await {
            Ok(created) => {
                info!(
                    snapshot = created.name_any(),
                    location = created.spec.location.url,
                    "snapshot created"
                );
                context.metrics.snapshot("created");
                Ok(created)
            }
            Err(kube::Error::Api(status)) if status.code == 409 && status.is_already_exists() => {
                adopt(new, &namespace, context).await?
            }
            Err(kube::Error::Api(status)) if matches!(status.code, 400 | 403 | 413 | 422) => {
                let reason = match classify(status.code, &status.message) {
                    "JobRejected" => "SnapshotRejected",
                    other => other,
                };
                Err(refused(&new.name_any(), reason, status.message.clone(), false, context))
            }
            Err(error) => return Err(Error::on("create the DatabaseSnapshot")(error)),
        };
        news = true;
        match created {
            Ok(created) => seen.snapshots.push(Arc::new(created)),
            Err(refused) => seen.refused_snapshots.push(refused),
        }
    }
    Ok(news)
}

/// The name is taken: a snapshot of the same object means that an earlier pass got through, any other is a conflict.
async fn adopt(
    new: &DatabaseSnapshot,
    namespace: &str,
    context: &Context,
) -> Result<Result<DatabaseSnapshot, RefusedCreate>, Error> {
    let name = new.name_any();
    let api: Api<WatchedSnapshot> = Api::namespaced(context.client.clone(), namespace);
    let found = api.get_opt(&name).await.map_err(Error::on("get the DatabaseSnapshot that has the name"))?;
    let found = found.and_then(|found| found.0.ok());
    Ok(match found {
        Some(found) if found.spec.backup.uid == new.spec.backup.uid => Ok(found),
        found => {
            let (reason, message) = conflict(&name, found.as_ref());
            Err(refused(&name, reason, message, true, context))
        }
    })
}

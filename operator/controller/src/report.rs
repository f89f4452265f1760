//! Tell the user: status by server-side apply, only when it differs; events, only about changes.

use std::fmt::Debug;

use dbbackup_api::{DatabaseBackup, DatabaseSnapshot};
use dbbackup_core::decide::{Decision, Event, Mark};
use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams},
    runtime::{
        controller::Error as ControllerError,
        events::{Event as KubeEvent, EventType, Recorder, Reporter},
        watcher,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;
use tracing::{field::display, info, warn};

use crate::{act::FIELD_MANAGER, context::Context, reconcile::Error};

/// Longest note of an event (Kubernetes' own limit is 1024 bytes).
const MAX_NOTE: usize = 1000;

/// Whether there is anything to write.
pub(crate) fn differs(object: &DatabaseBackup, decision: &Decision) -> bool {
    decision.status.is_some() && decision.status != object.status
}

/// Writes the status, if it differs.
///
/// # Errors
/// A request that failed.
pub(crate) async fn status(
    object: &DatabaseBackup,
    decision: &Decision,
    context: &Context,
) -> Result<(), Error> {
    if !differs(object, decision) {
        return Ok(());
    }
    let backups = Api::namespaced(context.client.clone(), &object.namespace().unwrap_or_default());
    apply_status(&backups, object, &decision.status, &()).await
}

/// Writes what is known of snapshots by now. One that is gone or was written meanwhile is looked at again.
///
/// # Errors
/// A request that failed.
pub(crate) async fn marks(
    object: &DatabaseBackup,
    decision: &Decision,
    context: &Context,
) -> Result<(), Error> {
    let snapshots: Api<DatabaseSnapshot> =
        Api::namespaced(context.client.clone(), &object.namespace().unwrap_or_default());
    for Mark { snapshot, status } in &decision.marks {
        apply_status(&snapshots, snapshot, status, &()).await?;
    }
    Ok(())
}

/// The one write of a status. The patch carries the UID: an object that was deleted and made again meanwhile does not
/// get its predecessor's past. It carries the version that was decided on, too: a second operator that is not yet gone
/// cannot overwrite an outcome that it has not seen; the pass is repeated.
///
/// # Errors
/// The request failed.
pub(crate) async fn apply_status<K>(
    api: &Api<K>,
    object: &K,
    status: &impl Serialize,
    kind: &K::DynamicType,
) -> Result<(), Error>
where
    K: Resource + Clone + Debug + DeserializeOwned,
{
    let patch = json!({
        "apiVersion": K::api_version(kind),
        "kind": K::kind(kind),
        "metadata": {
            "name": object.name_any(), "uid": object.uid(), "resourceVersion": object.resource_version(),
        },
        "status": status,
    });
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    api.patch_status(&object.name_any(), &parameters, &Patch::Apply(patch))
        .await
        .map_err(Error::on("write the status"))?;
    Ok(())
}

/// Publishes what changed. An event that cannot be written is logged and lost: status has the same facts.
pub(crate) async fn events<K: Resource<DynamicType = ()>>(object: &K, events: &[Event], context: &Context) {
    for event in events {
        let (slot, job) = (event.slot.map(display), event.job.as_deref());
        info!(reason = event.reason, warning = event.warning, note = event.message, slot, job, "told");
        context.metrics.told(&event.reason);
        publish(object, event, context).await;
    }
}

/// Logs what became of a watch. A pass that failed was logged with its object, and an object that is gone is no news.
pub(crate) fn watched<T>(what: &str, outcome: Result<T, ControllerError<Error, watcher::Error>>) {
    if let Err(error) = outcome
        && !matches!(error, ControllerError::ReconcilerFailed(..) | ControllerError::ObjectNotFound(_))
    {
        warn!(error = %error, "{what}");
    }
}

/// A recorder of its own for each event: a shared one merges events by reason and would show the first note for ever.
pub(crate) async fn publish<K: Resource<DynamicType = ()>>(object: &K, event: &Event, context: &Context) {
    let reporter = Reporter { controller: FIELD_MANAGER.into(), instance: None };
    let published = Recorder::new(context.client.clone(), reporter)
        .publish(
            &KubeEvent {
                type_: if event.warning { EventType::Warning } else { EventType::Normal },
                reason: event.reason.clone(),
                note: Some(note(&event.message)),
                action: "Reconcile".into(),
                secondary: None,
            },
            &object.object_ref(&()),
        )
        .await;
    if let Err(error) = published {
        warn!(reason = event.reason, error = %error, "an event could not be written");
    }
}

fn note(message: &str) -> String {
    let mut note = String::new();
    for c in message.chars() {
        if note.len() + c.len_utf8() > MAX_NOTE {
            note.push('…');
            break;
        }
        note.push(c);
    }
    note
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_fit_whatever_the_characters() {
        assert!(note(&"ä".repeat(2000)).len() <= 1024);
        assert_eq!(note("short"), "short");
    }
}

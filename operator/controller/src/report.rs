//! Tell the user: status by server-side apply, only when it differs; events, only about changes.

use std::fmt::Debug;

use dbbackup_api::{DatabaseBackup, DatabaseSnapshot};
use dbbackup_core::{
    decide::{Decision, Event, Mark},
    names,
};
use jiff::Timestamp;
use k8s_openapi::{
    api::events::v1::Event as KubeEvent,
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams, PostParams},
    runtime::{controller::Error as ControllerError, watcher},
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

/// Writes the status, if it differs. The version that the object has then.
///
/// # Errors
/// A request that failed.
pub(crate) async fn status(
    object: &DatabaseBackup,
    decision: &Decision,
    context: &Context,
) -> Result<Option<String>, Error> {
    if !differs(object, decision) {
        return Ok(object.resource_version());
    }
    let backups = Api::namespaced(context.client.clone(), &object.namespace().unwrap_or_default());
    apply_status(&backups, object, &decision.status, &()).await
}

/// Writes what is known of snapshots by now. One that is gone or was written meanwhile fails the pass, and the next one looks again.
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

/// The one write of a status. Gives the version that the object has then. The patch carries the UID: an object that was deleted and made again meanwhile does not
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
) -> Result<Option<String>, Error>
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
    let written = api.patch_status(&object.name_any(), &parameters, &Patch::Apply(patch)).await;
    written.map(|object| object.resource_version()).map_err(Error::on("write the status"))
}

/// Publishes what changed, before the status is written that says the same: whoever crashes in between tells it again, and the API
/// server knows the event by its name. An event that cannot be written is logged and lost: status has the same facts.
pub(crate) async fn events<K: Resource<DynamicType = ()>>(object: &K, events: &[Event], context: &Context) {
    for event in events {
        if publish(object, event, context).await {
            let (slot, job) = (event.slot.map(display), event.job.as_deref());
            info!(reason = event.reason, warning = event.warning, note = event.message, slot, job, "told");
            context.metrics.told(&event.reason, event.slots);
        }
    }
}

/// Logs what else goes wrong. A pass that failed was logged with its object, a watch that failed by itself, and an object that is gone is
/// no news.
pub(crate) fn watched<T>(what: &str, outcome: Result<T, ControllerError<Error, watcher::Error>>) {
    if let Err(error) = outcome
        && !matches!(error, ControllerError::ReconcilerFailed(..) | ControllerError::ObjectNotFound(_))
    {
        warn!(error = %error, "{what}");
    }
}

/// Writes one event. False: it was there before.
pub(crate) async fn publish<K: Resource<DynamicType = ()>>(
    object: &K,
    event: &Event,
    context: &Context,
) -> bool {
    let events: Api<KubeEvent> =
        Api::namespaced(context.client.clone(), object.namespace().as_deref().unwrap_or("default"));
    let published = events.create(&PostParams::default(), &of(object, event, context.clock.now())).await;
    match published {
        Err(kube::Error::Api(status)) if status.is_already_exists() => return false,
        Err(error) => warn!(reason = event.reason, error = %error, "an event could not be written"),
        Ok(_) => {}
    }
    true
}

/// Its name is made of what it tells: told twice it is the same. What is of no run, such as a condition, may come and go: there it is
/// of a version of the object as well.
fn of<K: Resource<DynamicType = ()>>(object: &K, event: &Event, now: Timestamp) -> KubeEvent {
    let (name, version) = (object.name_any(), object.resource_version().unwrap_or_default());
    let of_run = event.slot.map(|slot| slot.to_string()).or_else(|| event.job.clone());
    let what = of_run.as_deref().unwrap_or(&version);
    let parts = [what, &event.reason, event.job.as_deref().unwrap_or_default(), &event.message];
    let name = names::event_name(&name, &object.uid().unwrap_or_default(), &parts);
    KubeEvent {
        metadata: ObjectMeta { name: Some(name), namespace: object.namespace(), ..ObjectMeta::default() },
        type_: Some(if event.warning { "Warning" } else { "Normal" }.into()),
        reason: Some(event.reason.clone()),
        note: Some(note(&event.message)),
        action: Some("Reconcile".into()),
        regarding: Some(object.object_ref(&())),
        reporting_controller: Some(FIELD_MANAGER.into()),
        reporting_instance: Some(FIELD_MANAGER.into()),
        event_time: Some(MicroTime(now)),
        ..KubeEvent::default()
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

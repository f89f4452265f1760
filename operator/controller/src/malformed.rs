//! An object that does not fit the types, for example one written before a rule of the CRD was tightened: the watch
//! goes on, and the object itself says what is wrong.

use dbbackup_api::DatabaseBackup;
use dbbackup_core::decide::Event;
use kube::{
    Api, ResourceExt,
    api::{ApiResource, DynamicObject},
};
use serde_json::{Value, json};
use tracing::warn;

use crate::{
    context::Context,
    reconcile::{Error, Watched},
    report,
};

/// Says so in `lastBackupStatus` and `failureReason`, keeps the rest of the status. Whether there is such an object.
///
/// # Errors
/// A request that failed.
pub(crate) async fn report(watched: &Watched, error: &str, context: &Context) -> Result<bool, Error> {
    let kind = ApiResource::erase::<DatabaseBackup>(&());
    let api: Api<DynamicObject> =
        Api::namespaced_with(context.client.clone(), &watched.namespace().unwrap_or_default(), &kind);
    let Some(found) =
        api.get_opt(&watched.name_any()).await.map_err(Error::on("get the malformed object"))?
    else {
        return Ok(false);
    };
    let message = format!("the object cannot be read: {error}; correct it with kubectl edit");
    let old = found.data.get("status").cloned().unwrap_or_else(|| json!({}));
    let mut status = old.clone();
    if let Value::Object(fields) = &mut status {
        fields.insert("lastBackupStatus".into(), json!("Error"));
        fields.insert("failureReason".into(), json!(format!("MalformedObject: {message}")));
    }
    if status == old {
        return Ok(true);
    }
    warn!(error, "malformed object");
    let event =
        Event { warning: true, reason: "MalformedObject".into(), message, slot: None, job: None, slots: 1 };
    report::publish(watched, &event, context).await;
    report::apply_status(&api, &found, &status, &kind).await?;
    Ok(true)
}

//! The only writer of Jobs. A Job's name is the lock of its slot: it is created, never applied.

use dbbackup_api::DatabaseBackup;
use dbbackup_core::{
    decide::{Decision, LONGEST_WAIT, NewCatalogue, NewJob, OldJob},
    observed::RefusedCreate,
    planning::{Planned, Planning, Probing, Refused},
};
use jiff::SignedDuration;
use k8s_openapi::api::batch::v1::Job;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, PostParams, Preconditions},
};
use tracing::info;

use crate::{context::Context, reconcile::Error};

/// Owner of the fields that we write.
pub(crate) const FIELD_MANAGER: &str = "db-backup-operator";
/// How long to wait after the API server refused a Job for a reason that passes by itself, such as a full quota.
const RETRY_REFUSED: SignedDuration = SignedDuration::from_secs(30);
/// And where somebody has to change something first: the object, whose edit wakes it anyway, or a rule of the cluster.
const RETRY_REJECTED: SignedDuration = LONGEST_WAIT;

/// Creates what was decided. The inner error is a refusal that the user must know of.
///
/// # Errors
/// A request that failed without an answer on the matter.
pub(crate) async fn create(
    object: &DatabaseBackup,
    decision: &Decision,
    planning: &Planning,
    context: &Context,
) -> Result<Result<(), RefusedCreate>, Error> {
    // `decide` makes no run without a plan.
    if let Planning::Planned(planned) = planning {
        for new in &decision.create {
            if let Err(refused) = create_run(object, new, planned, context).await? {
                return Ok(Err(refused));
            }
        }
    }
    if let Some(new) = &decision.catalogue
        && let Err(refused) = create_catalogue(object, new, context).await?
    {
        return Ok(Err(refused));
    }
    let Planning::Planned(planned) = planning else { return Ok(Ok(())) };
    match (&decision.probe, &planned.probing) {
        (Some(name), Probing::Planned(probe)) => {
            let job = context.planner.render_probe(object, name, &planned.plugin, probe);
            let created = create_one(object, name, job, context).await?;
            if created.is_ok() {
                info!(job = name, plugin = planned.plugin.id, "probe created");
            }
            Ok(created)
        }
        (None, _) | (Some(_), Probing::Nothing | Probing::Refused(..)) => Ok(Ok(())),
    }
}

async fn create_catalogue(
    object: &DatabaseBackup,
    new: &NewCatalogue,
    context: &Context,
) -> Result<Result<(), RefusedCreate>, Error> {
    let mut job = context.planner.render_catalogue(object, new);
    if let Ok(job) = &mut job {
        job.annotations_mut().extend(context.gate.uses_to_look(object).annotations());
    }
    let created = create_one(object, &new.name, job, context).await?;
    if created.is_ok() {
        info!(job = new.name, scope = ?new.scope, "catalogue created");
    }
    Ok(created)
}

async fn create_run(
    object: &DatabaseBackup,
    new: &NewJob,
    planned: &Planned,
    context: &Context,
) -> Result<Result<(), RefusedCreate>, Error> {
    let mut job = context.planner.render(object, new, planned);
    if let Ok(job) = &mut job {
        job.annotations_mut().extend(context.gate.uses(object).annotations());
    }
    let created = create_one(object, &new.name, job, context).await?;
    if created.is_ok() {
        info!(job = new.name, slot = %new.slot, plugin = planned.plugin.id, digest = planned.plugin.digest, "Job created");
    }
    Ok(created)
}

/// Creates one Job of `object`.
///
/// # Errors
/// As [`create`].
pub(crate) async fn create_one(
    object: &DatabaseBackup,
    name: &str,
    rendered: Result<Job, Refused>,
    context: &Context,
) -> Result<Result<(), RefusedCreate>, Error> {
    let job = match rendered {
        Ok(job) => job,
        Err(why) => return Ok(Err(refused(name, why.reason, why.message, false, context))),
    };
    let jobs: Api<Job> = Api::namespaced(context.client.clone(), &object.namespace().unwrap_or_default());
    let parameters = PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
    match jobs.create(&parameters, &job).await {
        Ok(_) => Ok(Ok(())),
        Err(kube::Error::Api(status)) if status.code == 409 && status.is_already_exists() => {
            adopt(&jobs, object, name, context).await
        }
        Err(kube::Error::Api(status)) if matches!(status.code, 400 | 403 | 413 | 422) => {
            let reason = classify(status.code, &status.message);
            Ok(Err(refused(name, reason, status.message.clone(), false, context)))
        }
        Err(error) => Err(Error::on("create the Job")(error)),
    }
}

/// The name is taken: ours means that an earlier pass got through, somebody else's is a conflict.
async fn adopt(
    jobs: &Api<Job>,
    object: &DatabaseBackup,
    name: &str,
    context: &Context,
) -> Result<Result<(), RefusedCreate>, Error> {
    let Some(job) = jobs.get_opt(name).await.map_err(Error::on("get the Job that has the name"))? else {
        // Gone in between: the next pass tries again.
        let message = format!("a Job {name} was in the way and is going away");
        return Ok(Err(refused(name, "NameConflict", message, false, context)));
    };
    let uid = object.uid();
    let owners = job.metadata.owner_references.as_deref().unwrap_or_default();
    if owners.iter().any(|owner| owner.controller == Some(true) && Some(&owner.uid) == uid.as_ref()) {
        return Ok(Ok(()));
    }
    let message = format!(
        "a Job named {name} exists that this object does not control, so the run was skipped: delete that Job, or find out \
         who creates it"
    );
    Ok(Err(refused(name, "NameConflict", message, true, context)))
}

pub(crate) fn refused(
    name: &str,
    reason: impl Into<String>,
    message: String,
    permanent: bool,
    context: &Context,
) -> RefusedCreate {
    let reason = reason.into();
    let retry_at = context.clock.now() + retry_after(&reason);
    RefusedCreate { job: name.to_owned(), reason, message, permanent, retry_at }
}

/// The same again is refused again where the Job itself is wrong, or where its namespace is on its way out.
fn retry_after(reason: &str) -> SignedDuration {
    match reason {
        "JobRejected" | "PodSecurityViolation" | "NamespaceTerminating" => RETRY_REJECTED,
        _ => RETRY_REFUSED,
    }
}

/// The API server's own words decide which reason the user sees; an unknown one is a plain rejection.
pub(crate) fn classify(code: u16, message: &str) -> &'static str {
    match code {
        403 if message.contains("exceeded quota") => "QuotaExceeded",
        403 if message.contains("being terminated") => "NamespaceTerminating",
        403 if message.contains("violates PodSecurity") => "PodSecurityViolation",
        403 => "Forbidden",
        _ => "JobRejected",
    }
}

/// Deletes what was decided, pods first. Whoever is gone already is fine; another Job of the same name stays.
///
/// # Errors
/// A request that failed.
pub(crate) async fn delete(
    object: &DatabaseBackup,
    decision: &Decision,
    context: &Context,
) -> Result<(), Error> {
    let namespace = object.namespace().unwrap_or_default();
    for old in &decision.delete {
        delete_job(&namespace, old, context).await?;
    }
    Ok(())
}

/// Deletes one Job, as [`delete`].
///
/// # Errors
/// The request failed.
pub(crate) async fn delete_job(
    namespace: &str,
    OldJob { name, uid, slot }: &OldJob,
    context: &Context,
) -> Result<(), Error> {
    let jobs: Api<Job> = Api::namespaced(context.client.clone(), namespace);
    let parameters = DeleteParams {
        preconditions: Some(Preconditions { uid: Some(uid.clone()), resource_version: None }),
        ..DeleteParams::foreground()
    };
    match jobs.delete(name, &parameters).await {
        Ok(_) => info!(job = name, slot = slot.map(display), "Job deleted"),
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
        Err(error) => return Err(Error::on("delete an old Job")(error)),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_their_own_reasons() {
        let quota = "jobs.batch \"x\" is forbidden: exceeded quota: q, requested: count/jobs.batch=1";
        assert_eq!(classify(403, quota), "QuotaExceeded");
        assert_eq!(
            classify(403, "unable to create new content in namespace a because it is being terminated"),
            "NamespaceTerminating"
        );
        assert_eq!(classify(403, "User \"x\" cannot create resource"), "Forbidden");
        assert_eq!(classify(422, "Job.batch is invalid"), "JobRejected");
        for (reason, wait) in
            [("QuotaExceeded", RETRY_REFUSED), ("Forbidden", RETRY_REFUSED), ("JobRejected", RETRY_REJECTED)]
        {
            assert_eq!(retry_after(reason), wait, "{reason}");
        }
    }
}

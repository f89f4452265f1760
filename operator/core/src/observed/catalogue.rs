//! A Job that looks into storage. Its report is as hostile as a run's: what it says of each backup is looked at by whoever takes it in.

use std::borrow::Borrow;

use dbbackup_api::CATALOGUE;
use dbbackup_protocol::{
    catalogue::{CatalogueFailure, CatalogueReport},
    report::ReportError,
};

use super::{Errand, JobState, ObservedJob, ObservedPod, Trouble};

/// A look into storage, as far as it matters.
pub type ObservedCatalogue = Errand<CatalogueState>;

/// Where a look into storage stands.
#[derive(Clone, Debug, PartialEq)]
pub enum CatalogueState {
    /// Not ended.
    Active,
    /// What it found.
    Found(Box<CatalogueReport>),
    /// It could not be made.
    Failed {
        /// Stable word.
        reason: String,
        /// Cause and remedy.
        message: String,
        /// Another attempt may end otherwise.
        retryable: bool,
    },
}

impl ObservedCatalogue {
    /// Whether a Job is one.
    pub fn is_one(job: &ObservedJob) -> bool {
        job.purpose.as_deref() == Some(CATALOGUE)
    }

    /// Reads the Job and the pods of a look into storage. Pods of other Jobs are ignored.
    pub fn read(job: &ObservedJob, pods: &[impl Borrow<ObservedPod>]) -> Self {
        Self::of(job, pods, state)
    }
}

fn state(job: &JobState, pod: Option<&ObservedPod>) -> CatalogueState {
    let trouble = pod.and_then(|pod| pod.trouble.clone());
    let ended = pod.and_then(|pod| pod.ended.as_ref());
    let report = ended.map(|ended| (CatalogueReport::parse(&ended.message), ended.exit_code));
    match (report, job) {
        (Some((Ok(CatalogueReport { failure: Some(failure), .. }), _)), _) => {
            let CatalogueFailure { reason, message } = failure;
            CatalogueState::Failed { reason: format!("{reason:?}"), message, retryable: reason.retryable() }
        }
        (Some((Ok(report), 0)), _) => CatalogueState::Found(Box::new(report)),
        (Some((Ok(_), _)), _) => {
            lost(trouble, &ReportError::Inconsistent("success, but the mover failed").to_string())
        }
        (Some((Err(error), _)), _) => lost(trouble, &error.to_string()),
        (None, JobState::Failed { reason, message, .. }) => lost(trouble, &format!("{reason}: {message}")),
        (None, JobState::Complete(_)) => lost(trouble, &ReportError::Empty.to_string()),
        (None, JobState::Active) => CatalogueState::Active,
    }
}

/// It left no report that can be used: that says nothing about what is in storage.
fn lost(trouble: Option<Trouble>, why: &str) -> CatalogueState {
    let (reason, message) = match trouble {
        Some(Trouble { reason, message }) => (reason.to_owned(), message),
        None => ("CatalogueLost".to_owned(), format!("nobody could look into storage: {why}")),
    };
    CatalogueState::Failed { reason, message, retryable: true }
}

#[cfg(test)]
mod tests {
    use dbbackup_api::PURPOSE_LABEL;
    use dbbackup_protocol::report::Reason;
    use serde_json::{Value, json};

    use super::*;

    fn look(job_status: &Value, ended: Option<(&str, i32)>) -> CatalogueState {
        let owner = |uid: &str| json!([{"apiVersion": "v1", "kind": "K", "name": "n", "uid": uid, "controller": true}]);
        let job = json!({
            "metadata": {
                "name": "orders-1-c2", "uid": "job", "labels": {PURPOSE_LABEL: CATALOGUE}, "ownerReferences": owner("me")
            },
            "status": job_status
        });
        let job = ObservedJob::read(&serde_json::from_value(job).unwrap());
        assert!(ObservedCatalogue::is_one(&job) && !super::super::ObservedProbe::is_one(&job));
        let pod = |(message, code): (&str, i32), owner: Value| {
            let state = json!({"terminated": {"exitCode": code, "message": message}});
            let mover = json!({"name": "mover", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state});
            let pod = json!({"metadata": {"name": "p", "ownerReferences": owner}, "status": {"containerStatuses": [mover]}});
            ObservedPod::read(&serde_json::from_value(pod).unwrap())
        };
        let foreign = pod((&CatalogueReport::nothing().to_termination_message(), 0), owner("another"));
        let pods: Vec<_> = ended.map(|ended| pod(ended, owner("job"))).into_iter().chain([foreign]).collect();
        ObservedCatalogue::read(&job, &pods).state
    }

    #[test]
    fn only_a_report_of_its_own_says_what_is_in_storage() {
        let nothing = CatalogueReport::nothing().to_termination_message();
        let denied = CatalogueReport::failed(Reason::StorageDenied, "no".into()).to_termination_message();
        let (active, complete) = (json!({}), json!({"conditions": [{"type": "Complete", "status": "True"}]}));
        let dead =
            json!({"conditions": [{"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}]});
        assert_eq!(look(&active, None), CatalogueState::Active);
        assert_eq!(
            look(&active, Some((&nothing, 0))),
            CatalogueState::Found(Box::new(CatalogueReport::nothing()))
        );
        for (job, ended, expected) in [
            (&active, Some((denied.as_str(), 1)), ("StorageDenied", false)),
            (&active, Some((nothing.as_str(), 1)), ("CatalogueLost", true)),
            (&complete, Some(("Killed", 0)), ("CatalogueLost", true)),
            (&complete, None, ("CatalogueLost", true)),
            (&dead, None, ("CatalogueLost", true)),
        ] {
            match look(job, ended) {
                CatalogueState::Failed { reason, retryable, .. } => {
                    assert_eq!((reason.as_str(), retryable), expected);
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

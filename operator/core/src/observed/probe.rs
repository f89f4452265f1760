//! A Job that asks the server. Its report is as hostile as a run's.

use std::borrow::Borrow;

use dbbackup_api::PROBE;
use dbbackup_protocol::{
    optional::{Answer, Findings},
    probe::{ProbeFailure, ProbeReport},
    report::{Reason, ReportError},
};

use super::{Errand, JobState, ObservedJob, ObservedPod, Trouble};

/// A probe, as far as it matters.
pub type ObservedProbe = Errand<ProbeState>;

/// Where a probe stands.
#[derive(Clone, Debug, PartialEq)]
pub enum ProbeState {
    /// Not ended.
    Active,
    /// The server's answers. Who observes asks the plugin what they mean.
    Answered(Vec<Answer>),
    /// What they mean.
    Found(Findings),
    /// It could not be made.
    Failed {
        /// Stable word.
        reason: String,
        /// Cause and remedy.
        message: String,
        /// A backup would fail for the same reason.
        blocking: bool,
    },
}

impl ObservedProbe {
    /// Whether a Job is a probe.
    pub fn is_one(job: &ObservedJob) -> bool {
        job.purpose.as_deref() == Some(PROBE)
    }

    /// Reads the Job and the pods of a probe. Pods of other Jobs are ignored.
    pub fn read(job: &ObservedJob, pods: &[impl Borrow<ObservedPod>]) -> Self {
        Self::of(job, pods, state)
    }
}

fn state(job: &JobState, pod: Option<&ObservedPod>) -> ProbeState {
    let trouble = pod.and_then(|pod| pod.trouble.clone());
    let report = pod.and_then(|pod| pod.ended.as_ref()).map(|ended| ProbeReport::parse(&ended.message));
    match (report, job) {
        (Some(Ok(ProbeReport { failure: None, answers, .. })), _) => ProbeState::Answered(answers),
        (Some(Ok(ProbeReport { failure: Some(failure), .. })), _) => failed(failure, trouble),
        (Some(Err(error)), _) => lost(trouble, &error.to_string()),
        (None, JobState::Active) => ProbeState::Active,
        (None, JobState::Failed { reason, message, .. }) => lost(trouble, &format!("{reason}: {message}")),
        (None, JobState::Complete(_)) => lost(trouble, &ReportError::Empty.to_string()),
    }
}

/// What the agent says; what Kubernetes says of a client that never came explains more.
fn failed(ProbeFailure { reason, message }: ProbeFailure, trouble: Option<Trouble>) -> ProbeState {
    let blocking = match reason {
        Reason::SecretMissing
        | Reason::SecretNotEncodable
        | Reason::ProgramNotFound
        | Reason::ClientNotStarted
        | Reason::WorkOrderInvalid => true,
        Reason::ClientLost
        | Reason::CheckFailed
        | Reason::ListingFailed
        | Reason::NothingToBackUp
        | Reason::DumpFailed
        | Reason::DumpKilled
        | Reason::DumpIncomplete
        | Reason::VerificationFailed
        | Reason::StorageDenied
        | Reason::StorageNotFound
        | Reason::StorageFull
        | Reason::StorageUnavailable
        | Reason::ManifestConflict
        | Reason::DeadlineExceeded
        | Reason::Terminated
        | Reason::Internal
        | Reason::RecipientInvalid
        | Reason::Stalled
        // Of restores and removals only.
        | Reason::ObjectLocked
        | Reason::BackupNotFound
        | Reason::BackupDamaged
        | Reason::BackupNotSuitable
        | Reason::TargetNotEmpty
        | Reason::StepFailed
        | Reason::LoadFailed
        | Reason::LoadKilled
        | Reason::LoadIncomplete
        | Reason::PrivateKeyWrong => false,
    };
    match trouble {
        Some(Trouble { reason, message }) => ProbeState::Failed { reason: reason.into(), message, blocking },
        None => ProbeState::Failed { reason: format!("{reason:?}"), message, blocking },
    }
}

/// It left no report that can be used: that says nothing about backups.
fn lost(trouble: Option<Trouble>, why: &str) -> ProbeState {
    match trouble {
        Some(Trouble { reason, message }) => {
            ProbeState::Failed { reason: reason.into(), message, blocking: false }
        }
        None => ProbeState::Failed {
            reason: "ProbeLost".into(),
            message: format!("the server could not be asked: {why}"),
            blocking: false,
        },
    }
}

#[cfg(test)]
mod tests {
    use dbbackup_api::PURPOSE_LABEL;
    use serde_json::{Value, json};

    use super::*;

    fn probe(job_status: &Value, pod_status: Option<Value>) -> ObservedProbe {
        let job = json!({
            "metadata": {
                "name": "orders-1-p2", "uid": "job", "labels": {PURPOSE_LABEL: PROBE},
                "ownerReferences": [{"apiVersion": "v1", "kind": "K", "name": "n", "uid": "me", "controller": true}]
            },
            "status": job_status
        });
        let job = ObservedJob::read(&serde_json::from_value(job).unwrap());
        assert!(ObservedProbe::is_one(&job));
        let pods: Vec<_> = pod_status
            .into_iter()
            .map(|status| {
                let owner =
                    json!({"apiVersion": "v1", "kind": "Job", "name": "n", "uid": "job", "controller": true});
                let pod = json!({"metadata": {"name": "p", "ownerReferences": [owner]}, "status": status});
                ObservedPod::read(&serde_json::from_value(pod).unwrap())
            })
            .collect();
        ObservedProbe::read(&job, &pods)
    }

    fn ended(message: &str) -> Value {
        let state = json!({"terminated": {"exitCode": 0, "message": message}});
        json!({"containerStatuses": [
            {"name": "mover", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state}
        ]})
    }

    fn reason(probe: &ObservedProbe) -> (&str, bool) {
        match &probe.state {
            ProbeState::Failed { reason, blocking, .. } => (reason, *blocking),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_report_counts_before_the_jobs_verdict_and_nonsense_is_none() {
        let answered = r#"{"version":1,"answers":[{"name":"version","exitCode":0,"stdout":"17.2"}]}"#;
        let failure =
            |reason: &str| format!(r#"{{"version":1,"failure":{{"reason":"{reason}","message":"x"}}}}"#);
        let dead =
            json!({"conditions": [{"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}]});
        let complete = json!({"conditions": [{"type": "Complete", "status": "True"}]});
        let active = json!({});
        assert!(
            matches!(probe(&active, Some(ended(answered))).state, ProbeState::Answered(answers) if answers.len() == 1)
        );
        assert_eq!(probe(&active, None).state, ProbeState::Active);
        assert_eq!(probe(&active, Some(json!({"phase": "Pending"}))).state, ProbeState::Active);
        for (job, pod, expected) in [
            (&active, Some(ended(&failure("SecretMissing"))), ("SecretMissing", true)),
            (&active, Some(ended(&failure("Terminated"))), ("Terminated", false)),
            (&active, Some(ended("Killed")), ("ProbeLost", false)),
            (&dead, None, ("ProbeLost", false)),
            (&dead, Some(ended("")), ("ProbeLost", false)),
            (&complete, None, ("ProbeLost", false)),
        ] {
            assert_eq!(reason(&probe(job, pod)), expected);
        }
    }

    #[test]
    fn an_image_that_cannot_be_pulled_is_named() {
        let mut pod = ended(r#"{"version":1,"failure":{"reason":"ClientNotStarted","message":"late"}}"#);
        let client = json!({
            "name": "client", "image": "nowhere/x:1", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such host"}}
        });
        pod["containerStatuses"].as_array_mut().unwrap().push(client);
        assert_eq!(reason(&probe(&json!({}), Some(pod))), ("ImagePullFailed", true));
    }
}

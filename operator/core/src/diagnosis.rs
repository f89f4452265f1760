//! Failures whose meaning a plugin may know. Deciding asks nobody: who observes asks the plugin about [`questions`] and
//! attaches what it says, then a run's record speaks its words.

use dbbackup_api::{
    DatabaseBackup, DatabaseBackupSpec,
    status::{PluginIdentity, RunResult},
};
use dbbackup_protocol::{
    contract::Fact,
    optional::{Diagnosis, Failure},
    report::{FailedProcess, Outcome, RunReport},
};

use crate::observed::{ObservedJob, PodFate};

/// Something to ask a plugin.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// Who planned the run.
    pub plugin: Option<PluginIdentity>,
    /// What failed; its facts are still to come, see [`facts`].
    pub failure: Failure,
    job: String,
    pod: String,
}

/// All failures of this object's runs whose end status does not hold yet: at rest there are none.
pub fn questions(object: &DatabaseBackup, jobs: &[ObservedJob]) -> Vec<Question> {
    let uid = object.metadata.uid.as_deref();
    let ours = jobs.iter().filter(|job| job.owner.is_some() && job.owner.as_deref() == uid);
    let open = ours.filter(|job| !is_settled(object, &job.name));
    let question = |job: &ObservedJob, pod: &PodFate| {
        Some(Question {
            plugin: job.plugin.clone(),
            failure: failure(pod)?,
            job: job.name.clone(),
            pod: pod.name.clone(),
        })
    };
    open.flat_map(|job| job.pods.iter().filter_map(move |pod| question(job, pod))).collect()
}

/// Puts an answer to where its question came from.
pub fn attach(jobs: &mut [ObservedJob], question: &Question, diagnosis: Diagnosis) {
    let job = jobs.iter_mut().find(|job| job.name == question.job);
    if let Some(pod) = job.and_then(|job| job.pods.iter_mut().find(|pod| pod.name == question.pod)) {
        pod.diagnosis = Some(diagnosis);
    }
}

/// What a plugin is told of the server besides the failure.
pub fn facts(spec: &DatabaseBackupSpec, default_port: Option<u16>) -> Vec<Fact> {
    let Some(connection) = &spec.connection else { return vec![] };
    let known = [
        ("host", Some(connection.host.clone())),
        ("port", connection.port.or(default_port).map(|port| port.to_string())),
        ("database", connection.database.clone()),
    ];
    known.into_iter().filter_map(|(key, value)| Some(Fact { key: key.into(), value: value? })).collect()
}

/// Reason and sentence of a diagnosed failure; the tool's own words stay.
pub(crate) fn say(diagnosis: &Diagnosis, report: &RunReport) -> (String, String) {
    let Diagnosis { reason, message, hint, retryable } = diagnosis;
    let hint = if hint.is_empty() { String::new() } else { format!("; {hint}") };
    let passes = if *retryable { "; the next run may go well without any change" } else { "" };
    (reason.clone(), format!("{message}{hint}{passes} ({})", report.message))
}

fn is_settled(object: &DatabaseBackup, job: &str) -> bool {
    let records = object.status.iter().flat_map(|status| &status.recent_runs);
    let mut of_job = records.filter(|record| record.job.as_deref() == Some(job));
    of_job.any(|record| record.result != RunResult::Running)
}

fn failure(pod: &PodFate) -> Option<Failure> {
    let Some(Ok(report)) = &pod.report else { return None };
    let FailedProcess { phase, part, exit_code, signal } = report.process.clone()?;
    (report.outcome == Outcome::Failed).then(|| Failure {
        phase: phase.as_str().into(),
        part,
        exit_code,
        signal,
        stderr: report.stderr_tail.clone(),
        facts: vec![],
    })
}

#[cfg(test)]
mod tests {
    use dbbackup_protocol::report::Phase;
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::observed::{JobState, fixture};

    fn object() -> DatabaseBackup {
        let spec = json!({
            "schedule": "@daily", "databaseType": "postgres", "connection": {"host": "db", "database": "shop"},
            "storageDestination": {"type": "pvc", "pvcName": "backups"}
        });
        let mut object = DatabaseBackup::new("orders", serde_json::from_value(spec).unwrap());
        object.metadata.uid = Some("me".into());
        object
    }

    fn report() -> RunReport {
        serde_json::from_value(json!({
            "version": 1, "outcome": "Failed", "reason": "DumpFailed", "message": "pg_dump exited with 1",
            "stderrTail": "FATAL: no", "process": {"phase": "dump", "part": "database", "exitCode": 1},
            "parts": 0, "bytesRead": 0, "bytesStored": 0,
            "startedAt": "2026-11-24T00:00:00Z", "finishedAt": "2026-11-24T00:00:01Z"
        }))
        .unwrap()
    }

    fn job(owner: &str, report: RunReport) -> ObservedJob {
        let at = Timestamp::UNIX_EPOCH;
        let pods = vec![fixture::pod(at, Some(Ok(report)))];
        ObservedJob { pods, ..fixture::job("orders-1-2", owner, at, JobState::Active) }
    }

    #[test]
    fn a_failure_is_asked_about_until_status_has_it() {
        let (mut object, mut jobs) = (object(), vec![job("me", report())]);
        let asked = questions(&object, &jobs);
        let [question] = &asked[..] else { panic!("{asked:?}") };
        let Failure { phase, part, exit_code, stderr, .. } = &question.failure;
        assert_eq!(
            (phase.as_str(), part.as_deref(), *exit_code, stderr.as_str()),
            ("dump", Some("database"), Some(1), "FATAL: no")
        );
        let said =
            Diagnosis { reason: "X".into(), message: "y".into(), hint: String::new(), retryable: false };
        attach(&mut jobs, question, said.clone());
        assert_eq!(jobs[0].pods[0].diagnosis, Some(said));
        let record = |result: &str| json!({"recentRuns": [{"slot": "2026-11-24T00:00:00Z", "result": result, "job": "orders-1-2"}]});
        for (result, count) in [("Running", 1), ("Failed", 0)] {
            object.status = Some(serde_json::from_value(record(result)).unwrap());
            assert_eq!(questions(&object, &jobs).len(), count, "{result}");
        }
    }

    #[test]
    fn what_no_process_did_or_is_not_ours_is_not_asked_about() {
        let check = |process| RunReport { plugin_reason: Some("GrantMissing".into()), process, ..report() };
        let no_process = RunReport { process: None, ..report() };
        for jobs in [job("me", check(None)), job("me", no_process), job("somebody", report())] {
            assert_eq!(questions(&object(), &[jobs]), []);
        }
        let failed_check = job("me", check(report().process));
        assert_eq!(questions(&object(), &[failed_check]).len(), 1);
    }

    #[test]
    fn facts_are_what_the_user_wrote_and_the_usual_port() {
        let told: Vec<_> =
            facts(&object().spec, Some(5432)).into_iter().map(|fact| (fact.key, fact.value)).collect();
        let expected = [("host", "db"), ("port", "5432"), ("database", "shop")];
        assert_eq!(told, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert_eq!(Phase::Verify.as_str(), "verify");
    }
}

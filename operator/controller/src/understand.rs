//! Ask plugins what was observed: what the answers of a probe mean, and what a failure means. At rest there is nothing to
//! ask. A plugin that cannot say it properly is not waited for: the operator's own words stand.

use std::sync::Arc;

use dbbackup_api::DatabaseBackup;
use dbbackup_core::{
    diagnosis::{self, Question},
    observed::{ObservedJob, ObservedProbe, ProbeState},
    planning,
};
use dbbackup_protocol::optional::{Answer, Diagnosis, Failure};
use tracing::warn;

use crate::{observe::Seen, planner::Planner};

/// Puts the plugins' words to what was seen.
pub(crate) async fn understand(seen: Seen, planner: &Arc<Planner>) -> Seen {
    let uid = seen.object.metadata.uid.clone();
    let answered = |probe: &ObservedProbe| {
        probe.owner == uid && uid.is_some() && matches!(probe.state, ProbeState::Answered(_))
    };
    let questions = diagnosis::questions(&seen.object, &seen.jobs);
    if questions.is_empty() && !seen.probes.iter().any(answered) {
        return seen;
    }
    let (planner, mut asked) = (Arc::clone(planner), seen.clone());
    let permit = planner.permit().await;
    // Off the async threads: a plugin may take its whole deadline.
    let understood = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        for question in questions {
            if let Some(diagnosis) = explain(&asked.object, &question, &planner) {
                diagnosis::attach(&mut asked.jobs, &question, diagnosis);
            }
        }
        for probe in &mut asked.probes {
            if let ProbeState::Answered(answers) = &probe.state {
                probe.state = read(&asked.object, answers, &planner);
            }
        }
        asked
    });
    understood.await.unwrap_or_else(|panic| {
        warn!(error = %panic, "understanding ended unexpectedly");
        seen
    })
}

/// Puts the plugins' words to the Job of a restore, which is seen as `object`.
pub(crate) async fn explain_job(
    object: DatabaseBackup,
    job: ObservedJob,
    planner: &Arc<Planner>,
) -> ObservedJob {
    let questions = diagnosis::questions(&object, std::slice::from_ref(&job));
    if questions.is_empty() {
        return job;
    }
    let (planner, mut asked) = (Arc::clone(planner), job.clone());
    let explained = tokio::task::spawn_blocking(move || {
        for question in questions {
            if let Some(diagnosis) = explain(&object, &question, &planner) {
                diagnosis::attach(std::slice::from_mut(&mut asked), &question, diagnosis);
            }
        }
        asked
    });
    explained.await.unwrap_or_else(|panic| {
        warn!(error = %panic, "understanding ended unexpectedly");
        job
    })
}

/// By the plugin that planned the run, or else the one that serves now.
fn explain(object: &DatabaseBackup, question: &Question, planner: &Planner) -> Option<Diagnosis> {
    let digest = question.plugin.as_ref().map(|plugin| plugin.digest.as_str());
    let plugin = planner.plugin(object, digest)?;
    let facts = diagnosis::facts(&object.spec, plugin.description().default_port);
    let failure = Failure { facts, ..question.failure.clone() };
    planning::explain(&plugin, &failure).unwrap_or_else(|error| {
        warn!(plugin = plugin.id(), error, "a plugin cannot explain a failure");
        None
    })
}

fn read(object: &DatabaseBackup, answers: &[Answer], planner: &Planner) -> ProbeState {
    let Some(plugin) = planner.plugin(object, None) else {
        return ProbeState::Failed {
            reason: "PluginNotFound".into(),
            message: "the plugin that asked the server is not loaded any more".into(),
            blocking: false,
        };
    };
    match planning::findings(object, &plugin, answers) {
        Ok(findings) => ProbeState::Found(findings),
        Err((reason, message)) => ProbeState::Failed { reason, message, blocking: false },
    }
}

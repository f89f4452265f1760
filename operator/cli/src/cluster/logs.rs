//! `kubectl dbbackup logs`: what the mover of a run says.

use std::time::{Duration, Instant};

use clap::Args;
use dbbackup_api::DatabaseBackup;
use dbbackup_protocol::pod::MOVER;
use futures::{AsyncBufReadExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    ResourceExt,
    api::{ListParams, LogParams},
};

use super::{
    Cluster, Named, PAUSE,
    progress::{Shown, show},
};
use crate::{
    ending::{Ending, Unusable},
    output::{Format, print},
};

/// A pod that has not started by then is in trouble, which status tells.
const STARTING: Duration = Duration::from_mins(5);

/// Whose log.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    named: Named,
    /// Go on until the run has ended
    #[arg(short, long)]
    follow: bool,
    /// Another run than the one under way or the last: name of its Job
    #[arg(long)]
    job: Option<String>,
}

pub(super) async fn run(arguments: &Arguments) -> Result<Ending, Unusable> {
    let Arguments { named, follow, job } = arguments;
    let cluster = named.common.connect().await?;
    let object = named.get(&cluster).await?;
    let job = job.clone().or_else(|| latest(&object)).ok_or_else(|| {
        Unusable::Input(format!("DatabaseBackup {:?} has had no run yet: start one by `run`", named.name))
    })?;
    print_log(&cluster, &job, *follow, named.common.format()).await?;
    Ok(Ending::Good)
}

/// Prints what the mover of the Job's newest pod says.
pub(super) async fn print_log(
    cluster: &Cluster,
    job: &str,
    follow: bool,
    format: Format,
) -> Result<(), Unusable> {
    let pod = pod(cluster, job, follow).await?;
    let parameters = LogParams { container: Some(MOVER.into()), follow, ..LogParams::default() };
    let log = cluster.api::<Pod>().log_stream(&pod, &parameters).await;
    let mut lines = log.map_err(Unusable::api(format!("read the log of pod {pod}")))?.lines();
    let mut moving = false;
    while let Some(line) = lines.try_next().await? {
        match format {
            Format::Json => print(&format!("{line}\n"))?,
            Format::Table => {
                let shown = show(&line);
                print(&on_terminal(&shown, moving))?;
                moving = matches!(shown, Shown::Progress(_));
            }
        }
    }
    print(if moving { "\n" } else { "" })
}

/// `moving`: the line before is progress and may be written over.
fn on_terminal(shown: &Shown, moving: bool) -> String {
    // Back to the beginning of the line, and clear it.
    let begin = if moving { "\r\u{1b}[K" } else { "" };
    match shown {
        Shown::Progress(text) => format!("{begin}{text}"),
        Shown::Line(text) => format!("{begin}{text}\n"),
    }
}

fn latest(object: &DatabaseBackup) -> Option<String> {
    let status = object.status.as_ref()?;
    let last = status.last_run.as_ref().and_then(|run| run.job.clone());
    status.active_backup_job.clone().or(last)
}

/// Name of the Job's newest pod, once its mover has begun.
async fn pod(cluster: &Cluster, job: &str, wait: bool) -> Result<String, Unusable> {
    let selector = ListParams::default().labels(&format!("batch.kubernetes.io/job-name={job}"));
    let begin = Instant::now();
    loop {
        let pods = cluster.api::<Pod>().list(&selector).await;
        let pods = pods.map_err(Unusable::api(format!("list the pods of Job {job}")))?.items;
        let newest = pods.iter().max_by_key(|pod| pod.creation_timestamp().map(|at| at.0));
        match newest {
            Some(pod) if has_begun(pod) => return Ok(pod.name_any()),
            _ if wait && begin.elapsed() < STARTING => tokio::time::sleep(PAUSE).await,
            Some(pod) => {
                let message =
                    format!("the mover of pod {} has not started: see `kubectl describe`", pod.name_any());
                return Err(Unusable::Input(message));
            }
            None => {
                let message = format!("Job {job} has no pod any more: its log went with it");
                return Err(Unusable::Input(message));
            }
        }
    }
}

fn has_begun(pod: &Pod) -> bool {
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let state = statuses.filter(|one| one.name == MOVER).find_map(|one| one.state.as_ref());
    state.is_some_and(|state| state.running.is_some() || state.terminated.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_written_over_and_nothing_else_is() {
        let (progress, line) = (Shown::Progress("p".into()), Shown::Line("l".into()));
        let shown = [(&progress, false), (&progress, true), (&line, true), (&line, false)];
        let text: String = shown.iter().map(|(shown, moving)| on_terminal(shown, *moving)).collect();
        assert_eq!(text, "p\r\u{1b}[Kp\r\u{1b}[Kl\nl\n");
    }
}

//! The mover of a probe: asks the queries one after the other and hands the answers on. It stores and judges nothing; what
//! the answers mean only the plugin knows.

use std::time::Duration;

use dbbackup_protocol::{
    optional::{Answer, Query},
    probe::{self, ProbeFailure, ProbeOrder, ProbeReport},
    report::Reason,
};
use tokio::time::sleep;

use super::{
    client::{Client, Door},
    terminated,
};
use crate::{
    failure::Failure,
    paths::PodPaths,
    text::TextTail,
    wire::{End, Ended, Failed, Reply, Request},
};

/// So much of each answer is kept, of standard output its beginning: the report has room for little more.
const ANSWER_BYTES: usize = 3072;

/// Carries out the order and reports; never fails otherwise. `stop` completes when the pod is being terminated.
pub async fn run(order: &ProbeOrder, paths: &PodPaths, stop: impl Future<Output = ()>) -> ProbeReport {
    let limit = Duration::from_secs(order.limits.deadline_seconds);
    let asked = tokio::select! {
        biased;
        () = stop => Err(terminated("backup")),
        () = sleep(limit) => Err(too_late(limit)),
        asked = ask_all(order, paths) => asked,
    };
    match asked {
        Ok(answers) => ProbeReport { version: probe::VERSION, answers, failure: None },
        Err(failure) => failure_report(failure),
    }
}

/// The report of an order that could not be carried out.
pub fn failure_report(failure: Failure) -> ProbeReport {
    let Failure { reason, message, .. } = failure;
    ProbeReport { version: probe::VERSION, answers: vec![], failure: Some(ProbeFailure { reason, message }) }
}

async fn ask_all(order: &ProbeOrder, paths: &PodPaths) -> Result<Vec<Answer>, Failure> {
    let door = Door::open(paths)?;
    let within = Duration::from_secs(order.limits.connect_seconds);
    let mut client = door.admit(within, &order.client_image).await?;
    let mut answers = Vec::with_capacity(order.plan.queries.len());
    for (index, query) in order.plan.queries.iter().enumerate() {
        client.ask(&Request::Query { index }).await?;
        answers.push(answer(&mut client, query).await?);
    }
    client.dismiss().await;
    if answers.is_empty() { Err(Failure::plan("it asks nothing")) } else { Ok(answers) }
}

/// What one query gives. A program that is not in the image is an answer, too: the others may have it.
async fn answer(client: &mut Client, query: &Query) -> Result<Answer, Failure> {
    let (mut stdout, mut stderr, mut truncated) = (Vec::new(), TextTail::default(), false);
    let done = loop {
        match client.next().await? {
            Reply::Data(piece) => {
                let room = ANSWER_BYTES - stdout.len();
                truncated |= piece.len() > room;
                stdout.extend(piece.into_iter().take(room));
            }
            Reply::Stderr(piece) => stderr.push(&piece),
            Reply::Done(done) => break done,
        }
    };
    let exit_code = match done {
        Ok(Ended { end: End::Exited(code), .. }) => Some(code),
        Ok(Ended { end: End::Signalled(_), .. }) => None,
        Err(Failed { reason: Reason::ProgramNotFound, message }) => {
            stderr.push(message.as_bytes());
            None
        }
        Err(failed) => return Err(failed.into()),
    };
    let stdout = String::from_utf8_lossy(&stdout).into_owned();
    Ok(Answer { name: query.name.clone(), exit_code, stdout, stderr: stderr.text(), truncated })
}

fn too_late(limit: Duration) -> Failure {
    Failure::new(
        Reason::DeadlineExceeded,
        format!("the server was not asked everything within {} s", limit.as_secs()),
    )
}

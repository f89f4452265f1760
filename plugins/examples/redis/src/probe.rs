//! What the server says before the first backup.

use crate::{
    IMAGE,
    client::Client,
    db_backup::plugin::types::{Fact, Issue, Request, Server},
    diagnose,
    exports::db_backup::plugin::probe::{Answer, Findings, ProbePlan, Problem, Query},
    settings::Settings,
};

const SERVER: &str = "server";
const CLUSTER: &str = "cluster";
const GRANTS: &str = "grants";

/// # Errors
/// Everything that is wrong with the request.
pub(crate) fn plan(request: &Request) -> Result<ProbePlan, Vec<Issue>> {
    let client = Client::of(request, &Settings::of(request)?)?;
    let query = |name: &str, command: &[&str]| Query {
        name: name.to_owned(),
        process: client.process(&[&["-e"], command].concat()),
    };
    let queries = vec![
        query(SERVER, &["INFO", "server"]),
        query(CLUSTER, &["INFO", "cluster"]),
        // Stands for SYNC, which cannot be tried without doing it: whoever may do the one may in general do the other.
        query(GRANTS, &["REPLCONF", "capa", "eof"]),
    ];
    Ok(ProbePlan { image: Some(IMAGE.to_owned()), queries })
}

/// What the answers mean.
pub(crate) fn read(request: &Request, answers: &[Answer]) -> Findings {
    let answer = |name: &str| answers.iter().find(|answer| answer.name == name);
    let server = answer(SERVER).and_then(|answer| server(&answer.stdout));
    // One failure has the same cause as the next: the first one is told.
    let failure = answers.iter().find(|answer| answer.exit_code != Some(0)).map(failed);
    let shard = answer(CLUSTER).is_some_and(|answer| info(&answer.stdout, "cluster_enabled") == Some("1"));
    let wanted = Settings::of(request).unwrap_or_default().cluster_shard;
    let cluster = (shard && !wanted).then(|| Problem {
        reason: "ClusterNotCovered".to_owned(),
        message: "The server is a shard of a Redis Cluster, whose other keys this backup would not have."
            .to_owned(),
        hint: "Make one DatabaseBackup for each shard and set settings.clusterShard in them.".to_owned(),
        blocking: true,
    });
    Findings { server, size_mebibytes: None, problems: failure.into_iter().chain(cluster).collect() }
}

fn server(stdout: &str) -> Option<Server> {
    let version = info(stdout, "redis_version")?.to_owned();
    let facts = ["server_name", "redis_mode"]
        .into_iter()
        .filter_map(|key| Some(Fact { key: key.replace('_', "-"), value: info(stdout, key)?.to_owned() }));
    Some(Server { version, facts: facts.collect() })
}

fn failed(answer: &Answer) -> Problem {
    match diagnose::known(&answer.stderr) {
        Some(known) => Problem {
            reason: known.reason.to_owned(),
            message: known.message.to_owned(),
            hint: known.hint.to_owned(),
            blocking: !known.retryable,
        },
        None => Problem {
            reason: "ServerNotAsked".to_owned(),
            message: "The server could not be asked: redis-cli failed.".to_owned(),
            hint: String::new(),
            blocking: false,
        },
    }
}

/// A value of `INFO`: lines of `key:value`.
fn info<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
}

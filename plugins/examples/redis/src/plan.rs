//! What makes a dump, and how to know that it is whole.

use crate::{
    IMAGE,
    client::{Client, program},
    db_backup::plugin::types::{
        BackupPlan, Check, Completion, Expectation, Issue, Output, Part, PartSource, Request,
    },
    settings::Settings,
};

/// `INFO cluster` of a server that stands alone, without its last line feed.
const STANDS_ALONE: &str = "# Cluster\r\ncluster_enabled:0\r";

/// The reader of the manifest has nothing else at hand.
const RESTORE: &str = "cat > \"$TARGET_DIRECTORY/dump.rdb\" # TARGET_DIRECTORY: data folder of a stopped redis-server, \
                       empty, with `appendonly no`; it loads the file when it starts";

/// # Errors
/// Everything that is wrong with the request.
pub(crate) fn plan(request: &Request) -> Result<BackupPlan, Vec<Issue>> {
    let settings = Settings::of(request)?;
    let client = Client::of(request, &settings)?;
    let cluster = (!settings.cluster_shard).then(|| Check {
        name: "stands-alone".to_owned(),
        process: client.process(&["-e", "INFO", "cluster"]),
        expectation: Expectation::StdoutEquals(STANDS_ALONE.to_owned()),
        reason: "ClusterNotCovered".to_owned(),
        message:
            "the server is a shard of a Redis Cluster, whose other keys this backup would not have: make one \
                  DatabaseBackup for each shard and set settings.clusterShard in them"
                .to_owned(),
    });
    Ok(BackupPlan {
        image: Some(IMAGE.to_owned()),
        checks: cluster.into_iter().collect(),
        parts: vec![PartSource::One(part(&client))],
        scratch_mebibytes: None,
    })
}

/// Streamed: `-` needs no disk. Of a server with diskless replication the stream ends with 40 bytes that are no part of
/// the dump; Redis and `redis-check-rdb` read up to its own end and no further.
fn part(client: &Client) -> Part {
    Part {
        name: "server".to_owned(),
        extension: "rdb".to_owned(),
        media_type: "application/octet-stream".to_owned(),
        process: client.process(&["--rdb", "-"]),
        output: Output::Stdout,
        completion: Completion {
            exit_codes: vec![0],
            header: Some(b"REDIS".to_vec()),
            tail: None,
            // Reads every key and the checksum at the end.
            verifier: Some(program(&["redis-check-rdb", "/dev/stdin"])),
            stderr_required: Some("Transfer finished with success".to_owned()),
            // Version, end mark and checksum.
            minimum_bytes: 18,
        },
        restore_command: Some(RESTORE.to_owned()),
    }
}

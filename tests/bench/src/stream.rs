//! From a dump tool to a folder, against the plainest pipeline that does the same work: two SHA-256, zstd at the same level, a
//! synced file.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::ensure;
use dbbackup_protocol::work_order::{Compression, Storage};
use tempfile::TempDir;

use crate::{
    agent::{backup, write_dump},
    median,
};

const MEBIBYTES: u32 = 512;
const ROUNDS: u32 = 3;
/// Level of both sides.
const LEVEL: i32 = 3;

pub(crate) fn run(agent: &Path) -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let dump = folder.path().join("dump");
    write_dump(&dump, MEBIBYTES)?;
    let floor = median((0..ROUNDS).map(|_| pipeline(folder.path(), &dump)).collect::<anyhow::Result<_>>()?);
    let argv = ["cat", &dump.to_string_lossy()];
    let claim = || (Storage::Pvc { claim: "bench".into(), path: String::new() }, &[][..]);
    let own = || Ok(backup(agent, &argv, claim(), Compression::Zstd { level: LEVEL })?.time);
    let own = median((0..ROUNDS).map(|_| own()).collect::<anyhow::Result<_>>()?);
    let rate = |time: Duration| f64::from(MEBIBYTES) / time.as_secs_f64();
    println!("stream, {MEBIBYTES} MiB of rows to a folder, zstd {LEVEL}");
    println!("  cat | SHA-256, zstd, SHA-256      {floor:>8.2?}  {:>5.0} MiB/s", rate(floor));
    println!(
        "  mover and shim                    {own:>8.2?}  {:>5.0} MiB/s    ratio {:.2}",
        rate(own),
        own.div_duration_f64(floor)
    );
    Ok(())
}

fn pipeline(folder: &Path, dump: &Path) -> anyhow::Result<Duration> {
    let script = format!(
        "set -euo pipefail; hash() {{ openssl dgst -sha256 >\"$1\"; }}; \
         cat \"$0\" | tee >(hash plain) | zstd -q -{LEVEL} -T1 --check | tee >(hash stored) >out; sync out"
    );
    let began = Instant::now();
    let status = Command::new("bash").args(["-c", &script]).arg(dump).current_dir(folder).status()?;
    ensure!(status.success(), "the pipeline failed: is zstd installed?");
    Ok(began.elapsed())
}

//! Mover and shim as two real processes, from a dump tool to a folder, against the plainest pipeline that does the same
//! work: two SHA-256, zstd at the same level, a synced file.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use dbbackup_protocol::{
    layout,
    plan::{Argument, ArgumentPiece, BackupPlan, Completion, Output, Part, PartSource, Process},
    pod,
    work_order::{Compression, Effort, Limits, PluginRef, Run, Storage, Trigger, VERSION, WorkOrder},
};
use jiff::Timestamp;
use tempfile::TempDir;

use crate::median;

const MEBIBYTES: u32 = 512;
const ROUNDS: u32 = 3;
/// Level of both sides.
const LEVEL: i32 = 3;

pub(crate) fn run(agent: &Path) -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let dump = folder.path().join("dump");
    write_dump(&dump)?;
    let floor = median((0..ROUNDS).map(|_| pipeline(folder.path(), &dump)).collect::<anyhow::Result<_>>()?);
    let own = median((0..ROUNDS).map(|round| backup(agent, &dump, round)).collect::<anyhow::Result<_>>()?);
    let rate = |time: Duration| f64::from(MEBIBYTES) / time.as_secs_f64();
    println!("stream, {MEBIBYTES} MiB of rows to a folder, zstd {LEVEL}");
    println!("  cat | sha256sum, zstd, sha256sum  {floor:>8.2?}  {:>5.0} MiB/s", rate(floor));
    println!(
        "  mover and shim                    {own:>8.2?}  {:>5.0} MiB/s    ratio {:.2}",
        rate(own),
        own.div_duration_f64(floor)
    );
    Ok(())
}

/// Rows as a database dumps them: half text, half numbers of a small linear congruence, so every run has the same.
fn write_dump(path: &Path) -> anyhow::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let (mut written, mut state) = (0, 1_u64);
    while written < u64::from(MEBIBYTES) << 20 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let row =
            format!("{}\tcustomer {}\t{:016x}\tpaid in full, delivered\n", state >> 40, state >> 52, state);
        file.write_all(row.as_bytes())?;
        written += row.len() as u64;
    }
    file.flush().context("cannot write the rows")
}

fn pipeline(folder: &Path, dump: &Path) -> anyhow::Result<Duration> {
    let script = format!(
        "set -euo pipefail; cat \"$0\" | tee >(sha256sum >plain) | zstd -q -{LEVEL} -T1 --check | tee >(sha256sum >stored) >out; \
         sync out"
    );
    let began = Instant::now();
    let status = Command::new("bash").args(["-c", &script]).arg(dump).current_dir(folder).status()?;
    ensure!(status.success(), "the pipeline failed: is zstd installed?");
    Ok(began.elapsed())
}

fn backup(agent: &Path, dump: &Path, round: u32) -> anyhow::Result<Duration> {
    let root = TempDir::new()?;
    for folder in
        [pod::SOCKET_DIR, pod::CONFIG_DIR, pod::SCRATCH_DIR, pod::BINDINGS_DIR, pod::BACKUPS_DIR, "/dev"]
    {
        fs::create_dir_all(root.path().join(folder.trim_start_matches('/')))?;
    }
    let order = serde_json::to_string(&order(dump)?)?;
    let start = |role: &str| {
        Command::new(agent)
            .args([role, "--root"])
            .arg(root.path())
            .env(pod::ENV_WORK_ORDER, &order)
            .env(pod::ENV_POD_UID, format!("{round:08}"))
            .stderr(Stdio::null())
            .spawn()
    };
    let began = Instant::now();
    let (mut mover, mut shim) = (start("move")?, start("shim")?);
    ensure!(mover.wait()?.success() && shim.wait()?.success(), "the backup failed");
    Ok(began.elapsed())
}

fn order(dump: &Path) -> anyhow::Result<WorkOrder> {
    let text = |text: &str| Argument { pieces: vec![ArgumentPiece::Text(text.to_owned())] };
    let process =
        Process { argv: vec![text("cat"), text(&dump.to_string_lossy())], env: vec![], files: vec![] };
    let part = Part {
        name: "rows".into(),
        extension: "txt".into(),
        media_type: "text/plain".into(),
        process,
        output: Output::Stdout,
        completion: Completion {
            exit_codes: vec![0],
            header: None,
            tail: None,
            verifier: None,
            stderr_required: None,
            minimum_bytes: 1,
        },
        restore_command: None,
    };
    let slot: Timestamp = "2026-01-01T00:00:00Z".parse()?;
    Ok(WorkOrder {
        version: VERSION,
        run: Run {
            namespace: "bench".into(),
            name: "bench".into(),
            uid: "bench".into(),
            job: "bench".into(),
            slot,
            id: layout::run_id(slot, "bench"),
            trigger: Trigger::Manual,
        },
        database_type: "bench".into(),
        plugin: PluginRef { id: "bench".into(), version: "0.0.0".into(), digest: "sha256:00".into() },
        client_image: "none".into(),
        plan: BackupPlan {
            image: None,
            checks: vec![],
            parts: vec![PartSource::One(part)],
            scratch_mebibytes: None,
        },
        bindings: vec![],
        storage: Storage::Pvc { claim: "bench".into(), path: String::new() },
        compression: Compression::Zstd { level: LEVEL },
        limits: Limits { deadline_seconds: 600, connect_seconds: 30, grace_seconds: 5 },
        encryption: None,
        effort: Effort::default(),
        expected_bytes: None,
    })
}

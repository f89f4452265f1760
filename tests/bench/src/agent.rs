//! Mover and shim as two real processes.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
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

/// What a backup took.
pub(crate) struct Taken {
    pub(crate) time: Duration,
    /// The mover's peak of resident memory, in KiB.
    pub(crate) peak: u64,
}

/// Backs up what `argv` writes. `secrets` are the files of the storage's Secret.
///
/// # Errors
/// It did not succeed.
pub(crate) fn backup(
    agent: &Path,
    argv: &[&str],
    (storage, secrets): (Storage, &[(&str, &str)]),
    compression: Compression,
) -> anyhow::Result<Taken> {
    let root = TempDir::new()?;
    let at = |folder: &str| root.path().join(folder.trim_start_matches('/'));
    for folder in [
        pod::SOCKET_DIR,
        pod::CONFIG_DIR,
        pod::SCRATCH_DIR,
        pod::BINDINGS_DIR,
        pod::BACKUPS_DIR,
        pod::STORAGE_CREDENTIALS_DIR,
        "/dev",
    ] {
        fs::create_dir_all(at(folder))?;
    }
    for (key, value) in secrets {
        fs::write(at(pod::STORAGE_CREDENTIALS_DIR).join(key), value)?;
    }
    let order = serde_json::to_string(&order(argv, storage, compression)?)?;
    let start = |role: &str| {
        Command::new(agent)
            .args([role, "--root"])
            .arg(root.path())
            .env(pod::ENV_WORK_ORDER, &order)
            .env(pod::ENV_POD_UID, "0badcafe")
            .stderr(Stdio::null())
            .spawn()
    };
    let began = Instant::now();
    let (mut mover, mut shim) = (start("move")?, start("shim")?);
    let peak = watch(&mut mover)?;
    let succeeded = mover.wait()?.success() && shim.wait()?.success();
    let time = began.elapsed();
    let report = fs::read_to_string(at(pod::TERMINATION_LOG)).unwrap_or_default();
    ensure!(succeeded, "the backup failed: {report}");
    Ok(Taken { time, peak })
}

/// Peak of a process that is watched until its end.
fn watch(process: &mut Child) -> anyhow::Result<u64> {
    let status = format!("/proc/{}/status", process.id());
    let mut peak = 0;
    while process.try_wait()?.is_none() {
        let now = fs::read_to_string(&status).unwrap_or_default();
        let line = now.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB"));
        peak = line.and_then(|kib| kib.trim().parse().ok()).unwrap_or(peak);
        thread::sleep(Duration::from_millis(20));
    }
    Ok(peak)
}

/// Rows as a database dumps them: half text, half numbers of a small linear congruence, so every run has the same.
pub(crate) fn write_dump(path: &Path, mebibytes: u32) -> anyhow::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let (mut written, mut state) = (0, 1_u64);
    while written < u64::from(mebibytes) << 20 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let row =
            format!("{}\tcustomer {}\t{:016x}\tpaid in full, delivered\n", state >> 40, state >> 52, state);
        file.write_all(row.as_bytes())?;
        written += row.len() as u64;
    }
    file.flush().context("cannot write the rows")
}

fn order(argv: &[&str], storage: Storage, compression: Compression) -> anyhow::Result<WorkOrder> {
    let text = |text: &str| Argument { pieces: vec![ArgumentPiece::Text(text.to_owned())] };
    let process = Process { argv: argv.iter().copied().map(text).collect(), env: vec![], files: vec![] };
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
        storage,
        compression,
        limits: Limits { deadline_seconds: 3600, connect_seconds: 30, grace_seconds: 5 },
        encryption: None,
        effort: Effort::default(),
        expected_bytes: None,
        server_version: None,
    })
}

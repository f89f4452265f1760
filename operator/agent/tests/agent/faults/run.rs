//! One run with one fault, and the next attempt without.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output},
    thread,
    time::{Duration, Instant},
};

use dbbackup_protocol::{
    layout::{self, MANIFEST},
    manifest::Manifest,
    plan::PartSource,
    pod,
    report::{Outcome as Reported, RunReport},
    work_order::{Compression, S3, Storage},
};
use tempfile::TempDir;

use super::{
    Scenario,
    proxy::{At, Fault, Proxy, Victim},
    server::{Bucket, KEY, KEY_ID, Server},
};
use crate::fixture::{Pod, part, s3, sh};

/// Longer than any of them should take: it hangs.
const PATIENCE: Duration = Duration::from_mins(2);

/// What the dumps of all runs are: three chunks of noise, and a second part.
pub(super) struct Dump {
    folder: TempDir,
}

/// How many times a slow dump pauses.
pub(super) const PIECES: usize = 34;
const PIECE: usize = 512 * 1024;

const SECOND: &[u8] = b"of the second part\n";

impl Dump {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut noise = vec![0_u8; PIECES * PIECE];
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        for eight in noise.chunks_exact_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            eight.copy_from_slice(&state.to_le_bytes());
        }
        fs::write(folder.path().join("noise"), noise).unwrap();
        fs::write(folder.path().join("second"), SECOND).unwrap();
        Self { folder }
    }

    fn pod(&self, bucket: &str, proxy: &Proxy, fault: Fault) -> Pod {
        let slow =
            matches!(fault, Fault::Kill(Victim::Tool) | Fault::KillAfter(Victim::Tool) | Fault::Die(_));
        let die = if let Fault::Die(piece) = fault { piece } else { usize::MAX };
        let dump = |file: &str| {
            let file = self.folder.path().join(file).display().to_string();
            let slowly = format!(
                "for i in $(seq 0 {PIECES}); do [ $i != {die} ] || kill -9 $$; \
                 dd if={file} bs={PIECE} skip=$i count=1 status=none; sleep 0.01; done"
            );
            format!("echo $$ > \"$HOME/pid\"; {}", if slow { slowly } else { format!("exec cat {file}") })
        };
        let named = |name: &str, file: &str| {
            let part = part("");
            PartSource::One(dbbackup_protocol::plan::Part {
                name: name.into(),
                process: sh(&dump(file)),
                ..part
            })
        };
        let mut pod = Pod::new(vec![named("first", "noise"), named("second", "second")]);
        pod.order.compression = Compression::None;
        let endpoint = format!("http://127.0.0.1:{}", proxy.port);
        pod.order.storage = Storage::S3(S3 { bucket: bucket.into(), ..s3(&endpoint) });
        let credentials = pod.path(pod::STORAGE_CREDENTIALS_DIR);
        fs::create_dir_all(&credentials).unwrap();
        fs::write(credentials.join(pod::S3_ACCESS_KEY_ID), KEY_ID).unwrap();
        fs::write(credentials.join(pod::S3_SECRET_ACCESS_KEY), KEY).unwrap();
        pod
    }
}

/// How a run went.
pub(super) struct Outcome {
    /// Whether the fault happened at all.
    pub(super) hit: bool,
    /// What it reported, if it did.
    pub(super) succeeded: Option<bool>,
    /// Objects and files of uploads that no manifest names.
    pub(super) left: usize,
    /// Requests, and the agent's bytes.
    pub(super) counted: (usize, u64),
}

/// Runs it.
///
/// # Errors
/// What must hold and does not.
pub(super) fn run(
    server: &Server,
    dump: &Dump,
    bucket: &str,
    scenario: &Scenario,
) -> Result<Outcome, String> {
    let folder = server.bucket(bucket);
    let proxy = Proxy::start(server.port, scenario.at.clone(), scenario.fault);
    let pod = dump.pod(bucket, &proxy, scenario.fault);
    let (report, logs) = attempt(&pod, Some(&proxy))?;
    let (requests, bytes, hit) = proxy.counted();
    let dies = matches!(scenario.fault, Fault::Die(_));
    let hit = hit || dies;
    let told = |why: String| format!("{why}\n{report:?}\n{logs}");
    let succeeded = report.as_ref().map(|report| report.outcome == Reported::Succeeded);
    let (whole, left) = look(&pod, &folder, dump).map_err(told)?;
    match succeeded {
        Some(true) if dies => return Err(told("a killed dump is no success".into())),
        Some(true) if !whole => return Err(told("a success without a manifest".into())),
        Some(false) if scenario.survives => return Err(told("it should have survived that".into())),
        Some(false) if hit && !scenario.may_leave_objects() && left.objects > 0 => {
            return Err(told(format!("{} objects are left although nobody was killed", left.objects)));
        }
        None if !scenario.kills() => return Err(told("there is no report".into())),
        _ => {}
    }

    proxy.calm();
    let mut pod = pod.again("87654321-x");
    pod.order.plan = dump.pod(bucket, &proxy, Fault::Nothing).order.plan;
    let (report, logs) = attempt(&pod, None)?;
    let told = |why: String| format!("the next attempt: {why}\n{report:?}\n{logs}");
    match &report {
        Some(report) if report.outcome == Reported::Succeeded && report.found == whole => {}
        _ => return Err(told("it should have succeeded, and found what was there".into())),
    }
    let (whole, _) = look(&pod, &folder, dump).map_err(told)?;
    if !whole {
        return Err(told("a success without a manifest".into()));
    }
    fs::remove_dir_all(&folder).map_err(|error| error.to_string())?;
    Ok(Outcome { hit, succeeded, left: left.objects + left.uploads, counted: (requests, bytes) })
}

/// One pod, to its end: its report, if it left one, and what it said.
fn attempt(pod: &Pod, armed: Option<&Proxy>) -> Result<(Option<RunReport>, String), String> {
    let running = pod.start();
    if let Some(proxy) = armed {
        let (mover, shim, pid) =
            (running.mover.id(), running.shim.id(), pod.path(pod::SCRATCH_DIR).join("pid"));
        let tool = move || fs::read_to_string(&pid).is_ok_and(|pid| kill(pid.trim()));
        proxy.armed(Box::new(move |victim| match victim {
            Victim::Tool => tool(),
            Victim::Mover => kill(&mover.to_string()),
            Victim::Shim => kill(&shim.to_string()),
            Victim::Pod => [kill(&mover.to_string()), kill(&shim.to_string()), tool()].contains(&true),
        }));
    }
    let shim = thread::spawn(|| ended(running.shim));
    let (mover, shim) = (ended(running.mover)?, shim.join().map_err(|_| "the shim's thread")??);
    let message = fs::read_to_string(pod.path(pod::TERMINATION_LOG)).unwrap_or_default();
    let report = (!message.is_empty()).then(|| RunReport::parse(&message)).transpose();
    let report = report.map_err(|error| format!("{error}: {message}"))?;
    let text = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    Ok((report, format!("--- mover\n{}--- shim\n{}", text(&mover), text(&shim))))
}

/// What killed attempts have left goes with the first run after a day; what manifests name stays.
///
/// # Errors
/// What must hold and does not.
pub(super) fn swept(server: &Server, dump: &Dump) -> Result<(), String> {
    let (name, fault) = ("bucket-swept", Fault::Kill(Victim::Pod));
    let folder = server.bucket(name);
    let mut left = 0;
    for (request, slot) in [(5, "20261124T020000Z"), (7, "20261124T023000Z"), (10, "20261124T030000Z")] {
        let proxy = Proxy::start(server.port, At::Requests(request..request + 1), fault);
        let mut pod = dump.pod(name, &proxy, fault);
        pod.order.run.id = format!("{slot}-0badcafe");
        attempt(&pod, Some(&proxy))?;
        left += look(&pod, &folder, dump)?.1.uploads;
    }
    let killed = Bucket::look(&folder);
    if left == 0 || killed.objects.is_empty() {
        return Err(format!("nobody has left both kinds: {killed:?}"));
    }
    let aged = Command::new("find")
        .arg(&folder)
        .args(["-exec", "touch", "-h", "-d", "2 days ago", "{}", "+"])
        .status();
    if !aged.is_ok_and(|status| status.success()) {
        return Err("the files could not be made older".into());
    }
    let proxy = Proxy::start(server.port, At::Requests(0..0), Fault::Nothing);
    let mut pod = dump.pod(name, &proxy, Fault::Nothing);
    pod.order.run.id = "20261125T030000Z-0badcafe".into();
    let (report, logs) = attempt(&pod, None)?;
    let (whole, after) = look(&pod, &folder, dump).map_err(|why| format!("{why}\n{report:?}\n{logs}"))?;
    match after {
        Left { objects: 0, uploads: 0 } if whole => Ok(()),
        Left { objects, uploads } => Err(format!("left: {objects} objects, {uploads} uploads\n{logs}")),
    }
}

fn kill(pid: &str) -> bool {
    Command::new("kill").args(["-KILL", pid]).output().is_ok_and(|output| output.status.success())
}

fn ended(process: Child) -> Result<Output, String> {
    let (pid, begun) = (process.id(), Instant::now());
    let watch = thread::spawn(move || process.wait_with_output());
    while !watch.is_finished() {
        if begun.elapsed() > PATIENCE {
            kill(&pid.to_string());
            return Err(format!("process {pid} hangs"));
        }
        thread::sleep(Duration::from_millis(10));
    }
    watch.join().map_err(|_| "a thread broke".to_owned())?.map_err(|error| error.to_string())
}

/// What is there beside what a manifest names.
struct Left {
    objects: usize,
    uploads: usize,
}

/// Whether there is a whole backup, and what else there is.
fn look(pod: &Pod, folder: &Path, dump: &Dump) -> Result<(bool, Left), String> {
    let prefix = layout::run_prefix(&pod.order.storage, &pod.order.run);
    let Bucket { objects, uploads } = Bucket::look(folder);
    let run = folder.join(&prefix);
    let manifest = run.join(MANIFEST);
    let mut named = vec![];
    if manifest.exists() {
        let bytes = fs::read(&manifest).map_err(|error| error.to_string())?;
        let parsed = Manifest::parse(&bytes)
            .map_err(|error| format!("a manifest of {} bytes: {error}", bytes.len()))?;
        named.push(format!("{prefix}/{MANIFEST}"));
        named.extend(parsed.parts.iter().map(|part| format!("{prefix}/{}", part.object)));
        compare(&parsed, &run, dump)?;
    }
    let left: Vec<_> = objects.iter().filter(|key| !named.contains(key)).collect();
    // As the sweep knows them: `<run>/<attempt>/<object>`.
    let of_object = layout::object_prefix(&pod.order.storage, &pod.order.run.namespace, &pod.order.run.name);
    let sweeps = |key: &&&String| {
        let below = key.strip_prefix(&of_object).unwrap_or_default();
        matches!(*below.split('/').collect::<Vec<_>>(), ["", _, "12345678" | "87654321", _])
    };
    if let Some(stray) = left.iter().find(|key| !sweeps(key)) {
        return Err(format!("no sweep would remove {stray}"));
    }
    Ok((!named.is_empty(), Left { objects: left.len(), uploads }))
}

/// Restores by the manifest's own commands.
fn compare(manifest: &Manifest, run: &Path, dump: &Dump) -> Result<(), String> {
    let copy = tempfile::tempdir().map_err(|error| error.to_string())?;
    let place: PathBuf = copy.path().join("run");
    let copied = Command::new("cp").arg("-r").arg(run).arg(&place).status();
    if !copied.is_ok_and(|status| status.success()) {
        return Err("the run could not be copied".into());
    }
    if manifest.parts.len() != 2 {
        return Err(format!("the manifest has {} parts instead of 2", manifest.parts.len()));
    }
    for (part, file) in manifest.parts.iter().zip(["noise", "second"]) {
        for command in &part.restore {
            let output = Command::new("bash").args(["-c", command]).current_dir(&place).output();
            let output = output.map_err(|error| error.to_string())?;
            if !output.status.success() {
                return Err(format!("{command}: {}", String::from_utf8_lossy(&output.stderr)));
            }
        }
        let (restored, dumped) = (fs::read(place.join("restored")), fs::read(dump.folder.path().join(file)));
        if restored.map_err(|error| error.to_string())? != dumped.map_err(|error| error.to_string())? {
            return Err(format!("part {} is restored as something else", part.name));
        }
    }
    Ok(())
}

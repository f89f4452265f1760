//! A pod without Kubernetes: a folder as the root of all paths, both containers as child processes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use dbbackup_protocol::{
    layout,
    manifest::Manifest,
    plan::{
        Argument, ArgumentPiece, BackupPlan, Check, Completion, Encoding, EnvVar, Expectation, Fragment,
        Output as Dump, Part, PartSource, PerItem, Process, SecretRef, Separator,
    },
    pod,
    report::{Outcome, Reason, RunReport},
    work_order::{
        BoundSecret, Compression, Effort, Limits, PluginRef, Run, S3, Storage, Trigger, VERSION, WorkOrder,
    },
};
use tempfile::TempDir;

pub(crate) const PASSWORD: &str = "s3cr3t/pass\"word";

/// A process that runs `script`.
pub(crate) fn sh(script: &str) -> Process {
    Process { argv: ["sh", "-c", script].map(text).into(), env: vec![], files: vec![] }
}

pub(crate) fn text(text: &str) -> Argument {
    Argument { pieces: vec![ArgumentPiece::Text(text.into())] }
}

/// Gives the process the password in the environment variable `PW`.
pub(crate) fn with_password(mut process: Process) -> Process {
    let secret = SecretRef { binding: "password".into(), encoding: Encoding::Raw };
    process.env.push(EnvVar { name: "PW".into(), value: vec![Fragment::Secret(secret)] });
    process
}

/// Gives the process the item in the environment variable `ITEM`.
pub(crate) fn with_item(mut process: Process) -> Process {
    process.env.push(EnvVar { name: "ITEM".into(), value: vec![Fragment::Item] });
    process
}

pub(crate) fn completion() -> Completion {
    Completion {
        exit_codes: vec![0],
        header: None,
        tail: None,
        verifier: None,
        stderr_required: None,
        minimum_bytes: 1,
    }
}

/// A part named `dump` from a script's standard output.
pub(crate) fn part(script: &str) -> Part {
    Part {
        name: "dump".into(),
        extension: "sql".into(),
        media_type: "application/sql".into(),
        process: sh(script),
        output: Dump::Stdout,
        completion: completion(),
        restore_command: Some("cat > restored".into()),
    }
}

pub(crate) fn per_item(items: &str, separator: Separator, each: Part) -> PartSource {
    PartSource::PerItem(PerItem { items: sh(items), separator, each })
}

pub(crate) fn check(script: &str, expectation: Expectation) -> Check {
    Check {
        name: "grants".into(),
        process: sh(script),
        expectation,
        reason: "GrantMissing".into(),
        message: "grant TRIGGER to the user".into(),
    }
}

/// A bucket behind a server that speaks S3.
pub(crate) fn s3(endpoint: &str) -> S3 {
    S3 {
        bucket: "b".into(),
        path: "prod".into(),
        endpoint: Some(endpoint.into()),
        region: None,
        force_path_style: true,
        secret: Some("store".into()),
        ca: None,
        maximum_parts: None,
        web_identity: None,
    }
}

/// A pod of the plan, not yet started.
pub(crate) struct Pod {
    pub(crate) root: TempDir,
    pub(crate) order: WorkOrder,
    /// More of the mover's environment.
    pub(crate) variables: Vec<(&'static str, String)>,
    uid: String,
}

/// A pod that runs.
pub(crate) struct Running {
    pub(crate) mover: Child,
    pub(crate) shim: Child,
    root: PathBuf,
}

/// What a pod left.
pub(crate) struct Ended {
    pub(crate) report: RunReport,
    pub(crate) mover: Output,
    pub(crate) shim: Output,
}

impl Pod {
    pub(crate) fn new(parts: Vec<PartSource>) -> Self {
        let root = tempfile::tempdir().unwrap();
        for folder in [pod::BINDINGS_DIR, pod::BACKUPS_DIR, "/dev"] {
            fs::create_dir_all(at(root.path(), folder)).unwrap();
        }
        fs::write(at(root.path(), pod::BINDINGS_DIR).join("password"), PASSWORD).unwrap();
        let slot = "2026-11-24T02:30:00Z".parse().unwrap();
        let order = WorkOrder {
            version: VERSION,
            run: Run {
                namespace: "shop".into(),
                name: "orders".into(),
                uid: "0badcafe-1".into(),
                job: "orders-0badcafe-1".into(),
                slot,
                id: layout::run_id(slot, "0badcafe"),
                trigger: Trigger::Schedule,
            },
            database_type: "fake".into(),
            plugin: PluginRef { id: "fake".into(), version: "1.0.0".into(), digest: "sha256:00".into() },
            client_image: "fake:1".into(),
            plan: BackupPlan { image: None, checks: vec![], parts, scratch_mebibytes: None },
            bindings: vec![BoundSecret { name: "password".into(), secret: "db".into(), key: "pass".into() }],
            storage: Storage::Pvc { claim: "backups".into(), path: "prod".into() },
            compression: Compression::Zstd { level: 3 },
            limits: Limits { deadline_seconds: 60, connect_seconds: 20, grace_seconds: 1 },
            encryption: None,
            effort: Effort::default(),
            expected_bytes: None,
            server_version: None,
        };
        Self { root, order, variables: vec![], uid: "12345678-aaaa-bbbb".into() }
    }

    /// A pod whose dump is one script.
    pub(crate) fn of(part: Part) -> Self {
        Self::new(vec![PartSource::One(part)])
    }

    /// The next attempt of the same run.
    pub(crate) fn again(self, uid: &str) -> Self {
        // A killed mover has left none.
        let _ = fs::remove_file(at(self.root.path(), pod::TERMINATION_LOG));
        fs::remove_dir_all(at(self.root.path(), pod::SOCKET_DIR)).unwrap();
        Self { uid: uid.into(), ..self }
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        at(self.root.path(), path)
    }

    /// Folder of the run on the claim.
    pub(crate) fn run_folder(&self) -> PathBuf {
        self.path(pod::BACKUPS_DIR).join(layout::run_prefix(&self.order.storage, &self.order.run))
    }

    pub(crate) fn start(&self) -> Running {
        Running { mover: self.agent("move"), shim: self.agent("shim"), root: self.root.path().into() }
    }

    /// As when the client's image cannot be pulled.
    pub(crate) fn start_mover_alone(&self) -> Running {
        let nobody = Command::new("true").stderr(Stdio::piped()).spawn().unwrap();
        Running { mover: self.agent("move"), shim: nobody, root: self.root.path().into() }
    }

    fn agent(&self, command: &str) -> Child {
        Command::new(env!("CARGO_BIN_EXE_agent"))
            .args([command, "--root"])
            .arg(self.root.path())
            .env_clear()
            .env(pod::ENV_WORK_ORDER, serde_json::to_string(&self.order).unwrap())
            .env(pod::ENV_POD_UID, &self.uid)
            // Must not reach the plan's processes.
            .env("LEAK", "leaked")
            .envs(self.variables.iter().cloned())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    pub(crate) fn run(&self) -> Ended {
        self.start().wait()
    }

    /// Runs and expects a failure that leaves nothing.
    pub(crate) fn fails(&self, reason: Reason, words: &[&str]) -> Ended {
        let ended = self.run();
        ended.failed(reason, words);
        self.nothing_left();
        ended
    }

    /// Runs and expects a success.
    pub(crate) fn succeeds(&self) -> (Ended, Manifest) {
        let ended = self.run();
        assert_eq!(ended.report.outcome, Outcome::Succeeded, "{:?}\n{}", ended.report, ended.logs());
        assert_eq!(
            (ended.mover.status.code(), ended.shim.status.code()),
            (Some(0), Some(0)),
            "{}",
            ended.logs()
        );
        let manifest = Manifest::parse(&fs::read(self.run_folder().join(layout::MANIFEST)).unwrap()).unwrap();
        (ended, manifest)
    }

    pub(crate) fn nothing_left(&self) {
        let left = files(&self.path(pod::BACKUPS_DIR));
        assert!(left.is_empty(), "{left:?}");
        assert!(!self.run_folder().exists(), "an empty folder looks like a run");
        assert!(files(&self.path(pod::CONFIG_DIR)).is_empty(), "config files hold secrets");
    }

    /// The plain bytes of the part `index`, restored as the manifest says.
    pub(crate) fn restored(&self, manifest: &Manifest, index: usize) -> Vec<u8> {
        for command in &manifest.parts[index].restore {
            let status =
                Command::new("bash").arg("-c").arg(command).current_dir(self.run_folder()).output().unwrap();
            assert!(status.status.success(), "{command}: {}", String::from_utf8_lossy(&status.stderr));
        }
        fs::read(self.run_folder().join("restored")).unwrap()
    }
}

impl Running {
    pub(crate) fn wait(self) -> Ended {
        let log = at(&self.root, pod::TERMINATION_LOG);
        // Both at once: a full pipe of one must not hold up the other.
        let shim = std::thread::spawn(|| self.shim.wait_with_output().unwrap());
        let mover = self.mover.wait_with_output().unwrap();
        let shim = shim.join().unwrap();
        let message = fs::read_to_string(log).unwrap_or_default();
        let report = RunReport::parse(&message)
            .unwrap_or_else(|error| panic!("{error}: {message}\n{}", String::from_utf8_lossy(&mover.stderr)));
        Ended { report, mover, shim }
    }

    /// Waits for the end of a mover that was killed.
    pub(crate) fn wait_unreported(mut self) {
        self.mover.wait().unwrap();
        self.shim.wait().unwrap();
    }

    /// Waits until a process of the plan has made the file `name` in its scratch folder.
    pub(crate) fn until(&self, name: &str) {
        let path = at(&self.root, pod::SCRATCH_DIR).join(name);
        let begin = Instant::now();
        while !path.exists() {
            assert!(begin.elapsed() < Duration::from_secs(30), "{} never appeared", path.display());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Ended {
    pub(crate) fn failed(&self, reason: Reason, words: &[&str]) {
        assert_eq!(self.report.reason, Some(reason), "{:?}\n{}", self.report, self.logs());
        let message = &self.report.message;
        assert!(words.iter().all(|word| message.contains(word)), "{words:?} in {message:?}");
        let code = if reason.retryable() { pod::EXIT_RETRYABLE } else { pod::EXIT_PERMANENT };
        assert_eq!(self.mover.status.code(), Some(code), "{}", self.logs());
    }

    pub(crate) fn logs(&self) -> String {
        let text = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
        format!("--- mover\n{}--- shim\n{}", text(&self.mover), text(&self.shim))
    }
}

/// All files below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries
        .flat_map(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() { files(&path) } else { vec![path] }
        })
        .collect()
}

fn at(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

//! A probe: the same two processes, an order without storage, a report of answers.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use dbbackup_protocol::{
    optional::{ProbePlan, Query},
    plan::Process,
    pod,
    probe::{ProbeOrder, ProbeReport, VERSION},
    report::Reason,
    work_order::{BoundSecret, Limits, PluginRef},
};
use tempfile::TempDir;

use crate::fixture::{PASSWORD, files, sh, with_password};

struct Probe {
    root: TempDir,
    order: ProbeOrder,
}

impl Probe {
    fn of(processes: Vec<Process>) -> Self {
        let root = tempfile::tempdir().unwrap();
        for folder in [pod::BINDINGS_DIR, "/dev"] {
            fs::create_dir_all(root.path().join(folder.trim_start_matches('/'))).unwrap();
        }
        let query = |(at, process)| Query { name: format!("query-{at}"), process };
        let order = ProbeOrder {
            version: VERSION,
            namespace: "shop".into(),
            name: "orders".into(),
            plugin: PluginRef { id: "fake".into(), version: "1.0.0".into(), digest: "sha256:00".into() },
            client_image: "fake:1".into(),
            plan: ProbePlan { image: None, queries: processes.into_iter().enumerate().map(query).collect() },
            bindings: vec![BoundSecret { name: "password".into(), secret: "db".into(), key: "pass".into() }],
            limits: Limits { deadline_seconds: 30, connect_seconds: 20, grace_seconds: 1 },
        };
        let probe = Self { root, order };
        fs::write(probe.path(pod::BINDINGS_DIR).join("password"), PASSWORD).unwrap();
        probe
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    fn agent(&self, command: &str) -> Child {
        Command::new(env!("CARGO_BIN_EXE_agent"))
            .args([command, "--root"])
            .arg(self.root.path())
            .env_clear()
            .env(pod::ENV_PROBE_ORDER, serde_json::to_string(&self.order).unwrap())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// The report, and whether the mover called it a success.
    fn run(&self) -> (ProbeReport, bool) {
        let (mover, shim) = (self.agent("move"), self.agent("shim"));
        let shim = std::thread::spawn(|| shim.wait_with_output().unwrap());
        let mover = mover.wait_with_output().unwrap();
        let log = String::from_utf8_lossy(&[mover.stderr, shim.join().unwrap().stderr].concat()).into_owned();
        assert!(!log.contains(PASSWORD), "{log}");
        let message = fs::read_to_string(self.path(pod::TERMINATION_LOG)).unwrap_or_default();
        let report = ProbeReport::parse(&message).unwrap_or_else(|error| panic!("{error}: {message}\n{log}"));
        assert!(files(&self.path(pod::CONFIG_DIR)).is_empty(), "config files hold secrets");
        (report, mover.status.success())
    }
}

#[test]
fn every_query_is_answered_whatever_earlier_ones_gave() {
    let nowhere = Process { argv: vec![crate::fixture::text("no-such-program")], ..sh("") };
    let (report, success) = Probe::of(vec![
        sh("echo 17.2; echo chatter >&2"),
        sh("echo half; echo no such table >&2; exit 3"),
        nowhere,
        sh("kill -9 $$"),
        sh("printf 'a\\0\\377b'"),
    ])
    .run();
    assert!(success);
    let [version, failed, missing, killed, bytes] = &report.answers[..] else { panic!("{report:?}") };
    assert_eq!(
        (version.exit_code, version.stdout.as_str(), version.stderr.as_str()),
        (Some(0), "17.2\n", "chatter\n")
    );
    assert_eq!((failed.exit_code, failed.stderr.as_str()), (Some(3), "no such table\n"));
    assert!(missing.exit_code.is_none() && missing.stderr.contains("no-such-program"), "{missing:?}");
    assert_eq!(killed.exit_code, None);
    assert_eq!(bytes.stdout, "a\0\u{fffd}b");
    assert!(report.answers.iter().all(|answer| !answer.truncated));
}

#[test]
fn what_a_query_prints_holds_no_secret_and_has_an_end() {
    let (report, _) = Probe::of(vec![
        with_password(sh("echo \"it is $PW\"; echo \"$PW\" >&2")),
        sh("seq 100000"),
        sh("seq 100000 >&2; exit 1"),
    ])
    .run();
    let [secret, long, errors] = &report.answers[..] else { panic!("{report:?}") };
    assert_eq!(secret.stdout, "it is [redacted:password]\n");
    assert_eq!(secret.stderr, "[redacted:password]\n");
    assert!(long.truncated && long.stdout.starts_with("1\n2\n"), "{long:?}");
    assert!(errors.truncated && errors.stderr.ends_with("100000\n"), "{errors:?}");
}

#[test]
fn a_probe_that_cannot_ask_says_why() {
    let probe = Probe::of(vec![with_password(sh("echo 1"))]);
    fs::remove_file(probe.path(pod::BINDINGS_DIR).join("password")).unwrap();
    let (report, success) = probe.run();
    let failure = report.failure.unwrap();
    assert_eq!((failure.reason, success), (Reason::SecretMissing, false));
    assert!(failure.message.contains("Secret \"db\""), "{}", failure.message);

    let mut slow = Probe::of(vec![sh("sleep 60")]);
    slow.order.limits.deadline_seconds = 1;
    assert_eq!(slow.run().0.failure.unwrap().reason, Reason::DeadlineExceeded);
}

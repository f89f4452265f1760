//! The way back: a real backup on a claim, restored by both processes into folders that stand for databases.

mod formats;
mod rounds;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use dbbackup_protocol::{
    manifest::Manifest,
    plan::{Output, PartSource, Separator},
    pod,
    report::{Outcome, Reason, RunReport},
    restore::{
        Effect, Input, Listing, Load, Mode, PartRestore, Rename, RestoreOrder, RestorePlan, Signs, Step,
        Target, VERSION,
    },
    work_order::{Encryption, Limits, PluginRef, SecretKey},
};

use crate::fixture::{Pod, files, part, per_item, sh, with_item, with_password};

/// Items as a server has them, hostile ones too.
const ITEMS: &str = "printf 'shop\\na b\\n--help\\n'";
/// A part of 300 kB that says whose it is, so that it does not fit into what is held back.
const DUMP: &str = "echo \"begin $ITEM\"; seq 1 50000; echo \"end $ITEM\"";
/// Loads as a tool in one transaction does: what it read is there only once it has read the end. It takes its time to die.
const TRANSACTION: &str =
    "trap '' TERM; cat > \"$HOME/pending\" && mv \"$HOME/pending\" \"$HOME/../db/$ITEM/data\"";
/// Loads as a tool without transactions does.
const STREAM: &str = "cat > \"$HOME/../db/$ITEM/data\"";

/// A backup, and a pod that restores it.
struct Restore {
    pod: Pod,
    order: RestoreOrder,
}

fn step(purpose: &str, script: &str) -> Step {
    Step { purpose: purpose.into(), process: with_item(sh(script)), exit_codes: vec![0] }
}

fn loading(script: &str, effect: Effect) -> PartRestore {
    PartRestore {
        part: "dump".into(),
        required: true,
        contents: Some(with_item(sh("ls \"$HOME/../db/$ITEM\""))),
        create: vec![step("make the folder", "mkdir \"$HOME/../db/$ITEM\"")],
        clear: vec![step("empty the folder", "rm -r \"$HOME/../db/$ITEM/\"*")],
        signs: None,
        load: Load {
            process: with_item(sh(script)),
            input: Input::Stdin,
            effect,
            exit_codes: vec![0],
            stderr_required: vec![],
        },
        finish: vec![step("count", "echo counted >> \"$HOME/../db/$ITEM/finished\"")],
    }
}

impl Restore {
    /// Of a backup with these parts.
    fn of(parts: Vec<PartSource>, plan: PartRestore) -> Self {
        Self::of_pod(Pod::new(parts), plan)
    }

    fn of_pod(pod: Pod, plan: PartRestore) -> Self {
        let (_, manifest) = pod.succeeds();
        assert!(!manifest.parts.is_empty());
        let pod = pod.again("87654321-aaaa-bbbb");
        fs::create_dir_all(pod.path("/run/db-backup/db")).unwrap();
        let folder = dbbackup_protocol::layout::run_prefix(&pod.order.storage, &pod.order.run);
        let order = RestoreOrder {
            version: VERSION,
            namespace: "shop".into(),
            name: "back".into(),
            plugin: PluginRef { id: "fake".into(), version: "1.0.0".into(), digest: "sha256:00".into() },
            client_image: "fake:1".into(),
            plan: RestorePlan {
                image: None,
                existing: Some(Listing { items: sh("ls -1 \"$HOME/../db\""), separator: Separator::Newline }),
                parts: vec![plan],
                skipped: vec![],
                scratch_mebibytes: None,
            },
            bindings: pod.order.bindings.clone(),
            storage: pod.order.storage.clone(),
            folder,
            manifest_sha256: None,
            databases: vec![],
            renames: vec![],
            mode: Mode::Refuse,
            dry_run: false,
            limits: Limits { deadline_seconds: 60, connect_seconds: 20, grace_seconds: 1 },
            private_key: None,
            notes: vec![],
        };
        Self { pod, order }
    }

    /// Of three items.
    fn of_items(script: &str, effect: Effect) -> Self {
        let each = dbbackup_protocol::plan::Part { process: with_item(sh(DUMP)), ..part("") };
        Self::of(vec![per_item(ITEMS, Separator::Newline, each)], loading(script, effect))
    }

    /// Of one item, named `shop`.
    fn of_one(script: &str, effect: Effect) -> Self {
        let each = dbbackup_protocol::plan::Part { process: with_item(sh(DUMP)), ..part("") };
        Self::of(vec![per_item("echo shop", Separator::Newline, each)], loading(script, effect))
    }

    fn databases(&self) -> PathBuf {
        self.pod.path("/run/db-backup/db")
    }

    fn holds(&self, name: &str, item: &str) {
        let data = fs::read_to_string(self.databases().join(name).join("data")).unwrap();
        assert!(data.starts_with(&format!("begin {item}\n1\n2\n")), "{name}");
        assert!(data.ends_with(&format!("49999\n50000\nend {item}\n")), "{name}");
        assert_eq!(fs::read_to_string(self.databases().join(name).join("finished")).unwrap(), "counted\n");
    }

    fn object(&self) -> PathBuf {
        let is_part = |path: &PathBuf| !path.ends_with("manifest.json");
        files(&self.pod.run_folder()).into_iter().find(is_part).unwrap()
    }

    /// Flips one bit of the first part.
    fn damage(&self) {
        let path = self.object();
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).unwrap();
    }

    fn agent(&self, command: &str) -> Child {
        Command::new(env!("CARGO_BIN_EXE_agent"))
            .args([command, "--root"])
            .arg(self.pod.root.path())
            .env_clear()
            .env(pod::ENV_RESTORE_ORDER, serde_json::to_string(&self.order).unwrap())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// The report, and both logs.
    fn run(&self) -> (RunReport, String) {
        // Of an earlier pod.
        let _ = fs::remove_dir_all(self.pod.path(pod::SOCKET_DIR));
        let (mover, shim) = (self.agent("move"), self.agent("shim"));
        let shim = std::thread::spawn(|| shim.wait_with_output().unwrap());
        let mover = mover.wait_with_output().unwrap();
        let log = String::from_utf8_lossy(&[mover.stderr, shim.join().unwrap().stderr].concat()).into_owned();
        let message = fs::read_to_string(self.pod.path(pod::TERMINATION_LOG)).unwrap_or_default();
        let report = RunReport::parse(&message).unwrap_or_else(|error| panic!("{error}: {message}\n{log}"));
        let code = match report.reason {
            None => 0,
            Some(reason) if reason.retryable() => pod::EXIT_RETRYABLE,
            Some(_) => pod::EXIT_PERMANENT,
        };
        assert_eq!(mover.status.code(), Some(code), "{log}");
        (report, log)
    }

    fn succeeds(&self) -> RunReport {
        let (report, log) = self.run();
        assert_eq!(report.outcome, Outcome::Succeeded, "{report:?}\n{log}");
        report
    }

    fn fails(&self, reason: Reason, target: Target, words: &[&str]) -> (RunReport, String) {
        let (report, log) = self.run();
        assert_eq!(report.reason, Some(reason), "{report:?}\n{log}");
        assert!(words.iter().all(|word| report.message.contains(word)), "{words:?} in {}", report.message);
        assert_eq!(report.restored.as_ref().unwrap().target, target, "{report:?}");
        (report, log)
    }
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

#[test]
fn everything_comes_back_and_what_is_renamed_under_its_new_name() {
    let mut restore = Restore::of_items(TRANSACTION, Effect::AtEnd);
    restore.order.renames = vec![Rename { source: "--help".into(), target: "new name".into() }];
    let report = restore.succeeds();
    restore.holds("shop", "shop");
    restore.holds("a b", "a b");
    restore.holds("new name", "--help");
    assert_eq!((report.parts, report.restored.as_ref().unwrap().target), (3, Target::Complete));
    assert!(report.bytes_read > 800_000 && report.bytes_stored > 0, "{report:?}");
    let notes = report.restored.unwrap().notes;
    assert!(
        notes[2].contains("\"--help\" as \"new name\", which is not there: make the folder, load"),
        "{notes:?}"
    );
    // The same again finds them.
    let (report, _) =
        restore.fails(Reason::TargetNotEmpty, Target::Unchanged, &["\"shop\" holds data, finished"]);
    assert_eq!(report.parts, 0);
    restore.order.mode = Mode::Replace;
    restore.succeeds();
    restore.holds("shop", "shop");
}

#[test]
fn some_of_it_can_be_restored() {
    let mut restore = Restore::of_items(TRANSACTION, Effect::AtEnd);
    restore.order.databases = vec!["a b".into()];
    assert_eq!(restore.succeeds().parts, 1);
    let names: Vec<_> =
        fs::read_dir(restore.databases()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(names, ["a b"]);
    restore.order.databases = vec!["shpo".into()];
    restore.fails(Reason::BackupNotSuitable, Target::Unchanged, &["\"shpo\"", "\"shop\""]);
}

#[test]
fn a_damaged_backup_commits_nothing() {
    // By itself it gets everything but the end.
    let restore = Restore::of_one(TRANSACTION, Effect::AtEnd);
    restore.damage();
    restore.fails(Reason::BackupDamaged, Target::Unchanged, &["damaged"]);
    assert!(is_empty(&restore.databases().join("shop")));
    // What works bit by bit is not even started, nor is anything made for it.
    for restore in [Restore::of_one(STREAM, Effect::Gradual), Restore::of_items(TRANSACTION, Effect::AtEnd)] {
        restore.damage();
        restore.fails(Reason::BackupDamaged, Target::Unchanged, &["damaged"]);
        assert!(is_empty(&restore.databases()), "{:?}", files(&restore.databases()));
    }
    // What is to be replaced stays.
    let mut restore = Restore::of_one(TRANSACTION, Effect::AtEnd);
    restore.succeeds();
    restore.damage();
    restore.order.mode = Mode::Replace;
    restore.fails(Reason::BackupDamaged, Target::Unchanged, &["damaged"]);
    restore.holds("shop", "shop");
}

#[test]
fn a_backup_that_is_not_there_or_not_the_one_is_refused() {
    let mut restore = Restore::of_one(TRANSACTION, Effect::AtEnd);
    let folder = std::mem::replace(&mut restore.order.folder, "prod/elsewhere".into());
    restore.fails(Reason::BackupNotFound, Target::Unchanged, &["prod/elsewhere/manifest.json"]);
    restore.order.folder = folder;
    restore.order.manifest_sha256 = Some("00".into());
    restore.fails(Reason::BackupDamaged, Target::Unchanged, &["SHA-256"]);
    restore.order.manifest_sha256 = None;
    fs::remove_file(restore.object()).unwrap();
    restore.fails(Reason::BackupDamaged, Target::Unchanged, &["is not there"]);
    // A manifest that leads elsewhere.
    let manifest = restore.pod.run_folder().join("manifest.json");
    let mut hostile = Manifest::parse(&fs::read(&manifest).unwrap()).unwrap();
    hostile.parts[0].object = "../../../../etc/passwd".into();
    fs::write(&manifest, serde_json::to_vec(&hostile).unwrap()).unwrap();
    restore.fails(Reason::BackupDamaged, Target::Unchanged, &["names an object"]);
}

#[test]
fn a_dry_run_says_what_it_would_do_and_does_nothing() {
    let mut restore = Restore::of_items(STREAM, Effect::Gradual);
    restore.order.dry_run = true;
    restore.order.notes = vec!["a newer one was passed over".into()];
    fs::create_dir(restore.databases().join("shop")).unwrap();
    let report = restore.succeeds();
    let told = report.restored.unwrap();
    assert_eq!((report.parts, told.target), (0, Target::Unchanged));
    assert!(
        told.notes[0] == "a newer one was passed over"
            && told.notes[1].starts_with("would restore dump \"shop\": load "),
        "{:?}",
        told.notes
    );
    assert!(told.notes[2].contains("which is not there: make the folder, load "), "{:?}", told.notes);
    assert!(told.notes[2].ends_with("by sh, count"), "{:?}", told.notes);
    assert!(is_empty(&restore.databases().join("shop")) && !restore.databases().join("a b").exists());
    restore.damage();
    restore.fails(Reason::BackupDamaged, Target::Unchanged, &[]);
}

#[test]
fn a_tool_that_fails_is_told_without_rows_and_the_target_is_what_it_is() {
    let script = "head -c 1000 > /dev/null; echo 'ERROR:  duplicate key \"people_pkey\"' >&2; \
                  echo 'DETAIL:  Key (name)=(Ada) already exists.' >&2; exit 3";
    let restore = Restore::of_one(script, Effect::AtEnd);
    let words = ["dump \"shop\" was not restored: sh exited with 3: ERROR:  duplicate key"];
    let (report, log) = restore.fails(Reason::LoadFailed, Target::Unchanged, &words);
    let all = format!("{report:?}{log}");
    assert!(!all.contains("Ada") && !all.contains("people_pkey"), "{all}");
    assert_eq!(report.process.unwrap().phase.as_str(), "load");
    Restore::of_one(script, Effect::Gradual).fails(Reason::LoadFailed, Target::Incomplete, &[]);
    // Without reading anything, and well: nobody can tell what it has done.
    Restore::of_one("exit 0", Effect::Gradual).fails(Reason::LoadIncomplete, Target::Incomplete, &[]);
    // After everything, of a signal: it may have come to its end.
    let killed = "cat > /dev/null; kill -9 $$";
    Restore::of_one(killed, Effect::AtEnd).fails(Reason::LoadKilled, Target::Incomplete, &["SIGKILL"]);
    // A step.
    let mut restore = Restore::of_one(TRANSACTION, Effect::AtEnd);
    restore.order.plan.parts[0].finish = vec![step("gather statistics", "exit 4")];
    let words = ["could not gather statistics for dump \"shop\": sh exited with 4"];
    restore.fails(Reason::StepFailed, Target::Incomplete, &words);
}

#[test]
fn secrets_are_in_nothing_that_is_told() {
    let mut restore = Restore::of_one(TRANSACTION, Effect::AtEnd);
    restore.order.plan.parts[0].load.process =
        with_password(with_item(sh("echo \"error: $PW\" >&2; cat > /dev/null; exit 1")));
    let (report, log) = restore.fails(Reason::LoadFailed, Target::Unchanged, &[]);
    assert!(!format!("{report:?}{log}").contains(crate::fixture::PASSWORD));
    restore.order.plan.parts[0].contents = Some(with_password(with_item(sh("echo \"$PW\""))));
    let (report, _) = restore.fails(Reason::TargetNotEmpty, Target::Unchanged, &["[redacted:password]"]);
    assert!(!report.message.contains(crate::fixture::PASSWORD));
}

/// A tool that takes the end of its input for the end of the dump must not see one when somebody gives up. This one ignores
/// SIGTERM, and 5 MB do not fit into what lies between it and the mover.
#[test]
fn whoever_gives_up_kills_the_tool_before_its_input_ends() {
    let script = "trap '' TERM; touch \"$HOME/begun\"; (head -c 1000; sleep 0.3; cat) > /dev/null; sleep 0.3; \
                  touch \"$HOME/../db/committed\"";
    let large = dbbackup_protocol::plan::Part { process: with_item(sh("seq 1 700000")), ..part("") };
    for victims in [&["mover"][..], &["shim"], &["mover", "shim"]] {
        let parts = vec![per_item("echo shop", Separator::Newline, large.clone())];
        let mut restore = Restore::of(parts, loading(script, Effect::AtEnd));
        // Between the first look and the last bytes there is time enough: the tool has to wait for them.
        let slow = script.replace("sleep 0.3; cat", "sleep 0.3; head -c 100000; sleep 0.5; cat");
        restore.order.plan.parts[0].load.process = with_item(sh(&slow));
        let (mut mover, mut shim) = (restore.agent("move"), restore.agent("shim"));
        let begun = restore.pod.path(pod::SCRATCH_DIR).join("begun");
        let since = std::time::Instant::now();
        while !begun.exists() {
            assert!(since.elapsed().as_secs() < 30, "it never began");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        // Both: as when the pod is being deleted. The mover alone: as when it is out of memory.
        for victim in victims {
            let (child, signal) = match (*victim, victims.len()) {
                ("mover", 1) => (&mover, rustix::process::Signal::KILL),
                ("mover", _) => (&mover, rustix::process::Signal::TERM),
                _ => (&shim, rustix::process::Signal::TERM),
            };
            let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
            rustix::process::kill_process(pid, signal).unwrap();
        }
        mover.wait().unwrap();
        shim.wait().unwrap();
        std::thread::sleep(std::time::Duration::from_secs(2));
        assert!(!restore.databases().join("committed").exists(), "{victims:?}");
        if victims.len() == 2 {
            let message = fs::read_to_string(restore.pod.path(pod::TERMINATION_LOG)).unwrap();
            assert_eq!(RunReport::parse(&message).unwrap().reason, Some(Reason::Terminated));
        }
    }
}

//! What fails: the reason, its words, and that nothing is left.

use std::fs;

use dbbackup_protocol::{
    plan::{Completion, Encoding, Expectation, Part, PartSource, Process, Separator, Tail},
    pod,
    report::Reason,
    work_order::{Encryption, Storage},
};

use crate::fixture::{PASSWORD, Pod, check, completion, part, per_item, sh, text, with_item, with_password};

#[test]
fn a_wrong_recipient_is_told_before_the_dump_starts() {
    for (recipients, words) in
        [(vec![], "recipients is empty"), (vec!["age1oops".to_owned()], "recipients[0] is no")]
    {
        let mut pod = Pod::of(part("touch \"$HOME/started\"; seq 9"));
        pod.order.encryption = Some(Encryption { recipients });
        pod.fails(Reason::RecipientInvalid, &["spec.encryption.", words]);
        assert!(!pod.path(pod::SCRATCH_DIR).join("started").exists());
    }
}

/// It was told after the last dump, and all of them were made once more.
#[test]
fn more_items_than_a_manifest_can_describe_are_refused_before_the_first_dump() {
    let script = "touch \"$HOME/started\"; echo x";
    let each = Part { restore_command: Some("x".repeat(4096)), process: with_item(sh(script)), ..part("") };
    let pod = Pod::new(vec![per_item("seq 1 5000", Separator::Newline, each)]);
    let words = ["lists 5000 items", "more than 16 MiB", "split the backup"];
    pod.fails(Reason::ListingFailed, &words);
    assert!(!pod.path(pod::SCRATCH_DIR).join("started").exists());
}

#[test]
fn a_dump_that_is_not_whole_is_no_backup() {
    let with = |script: &str, completion: Completion| Part { completion, ..part(script) };
    let tail = Some(Tail { bytes: b"-- done".to_vec(), within: 10 });
    for (part, reason, words) in [
        (part("true"), Reason::DumpIncomplete, &["0 bytes"][..]),
        (part("seq 9; echo boom >&2; exit 1"), Reason::DumpFailed, &["sh exited with 1: boom"]),
        (part("seq 100000; kill -9 $$"), Reason::DumpKilled, &["SIGKILL"]),
        (part("seq 100000; kill -PIPE $$"), Reason::DumpKilled, &["SIGPIPE"]),
        (
            with("echo x", Completion { minimum_bytes: 3, ..completion() }),
            Reason::DumpIncomplete,
            &["2 bytes"],
        ),
        (
            with("seq 9", Completion { header: Some(b"PGDMP".to_vec()), ..completion() }),
            Reason::DumpIncomplete,
            &["begin"],
        ),
        (
            with("echo -- done; seq 100", Completion { tail, ..completion() }),
            Reason::DumpIncomplete,
            &["end as"],
        ),
        (
            with(
                "seq 9; echo dumped >&2",
                Completion { stderr_required: Some("done".into()), ..completion() },
            ),
            Reason::DumpIncomplete,
            &["\"done\""],
        ),
        (
            with("seq 9", Completion { verifier: Some(sh("cat >&2; echo bad >&2; exit 3")), ..completion() }),
            Reason::VerificationFailed,
            &["exited with 3", "bad"],
        ),
        (
            with("seq 9", Completion { verifier: Some(sh("cat >/dev/null; kill -9 $$")), ..completion() }),
            Reason::VerificationFailed,
            &["SIGKILL"],
        ),
        (
            Part { process: Process { argv: vec![text("pg_dumb")], env: vec![], files: vec![] }, ..part("") },
            Reason::ProgramNotFound,
            &["pg_dumb", "fake:1"],
        ),
        (
            Part { output: dbbackup_protocol::plan::Output::File("none".into()), ..part("true") },
            Reason::DumpIncomplete,
            &["none"],
        ),
        (
            Part { output: dbbackup_protocol::plan::Output::File("../x".into()), ..part("true") },
            Reason::WorkOrderInvalid,
            &["../x"],
        ),
    ] {
        Pod::of(part).fails(reason, words);
    }
}

#[test]
fn a_check_that_does_not_hold_speaks_with_the_plans_words() {
    for (script, expectation, reason, words) in [
        ("echo no", Expectation::StdoutEquals("yes".into()), Reason::CheckFailed, &["grant TRIGGER"][..]),
        ("exit 1", Expectation::ExitZero, Reason::CheckFailed, &["grant TRIGGER"]),
        (
            "echo no route >&2; exit 2",
            Expectation::StdoutEquals("yes".into()),
            Reason::DumpFailed,
            &["check grants", "exited with 2", "no route"],
        ),
    ] {
        let mut pod = Pod::of(part("touch \"$HOME/dumped\"; seq 9"));
        pod.order.plan.checks = vec![check("true", Expectation::ExitZero), check(script, expectation)];
        let ended = pod.fails(reason, words);
        let plugin_reason = (reason == Reason::CheckFailed).then_some("GrantMissing");
        assert_eq!(ended.report.plugin_reason.as_deref(), plugin_reason);
        assert!(!pod.path(pod::SCRATCH_DIR).join("dumped").exists(), "checks come first");
    }
}

#[test]
fn lists_that_are_none_fail() {
    let each = || {
        let mut each = part("printf %s \"$ITEM\"");
        each.process = with_item(each.process);
        each
    };
    for (script, reason, words) in [
        ("true", Reason::NothingToBackUp, &["lists nothing"][..]),
        ("printf 'a\\0'; echo refused >&2; exit 1", Reason::ListingFailed, &["refused"]),
        ("printf '\\377\\0'", Reason::ListingFailed, &["UTF-8"]),
        ("head -c 5000000 /dev/zero | tr '\\0' x", Reason::ListingFailed, &["4194304 bytes"]),
    ] {
        Pod::new(vec![per_item(script, Separator::Nul, each())]).fails(reason, words);
    }
}

#[test]
fn a_later_part_that_fails_takes_the_earlier_ones_with_it() {
    let mut each = part("seq 9; test \"$ITEM\" != three");
    each.process = with_item(each.process);
    let pod = Pod::new(vec![
        PartSource::One(Part { name: "globals".into(), ..part("seq 9") }),
        per_item("echo one; echo two; echo three", Separator::Newline, each),
    ]);
    let ended = pod.fails(Reason::DumpFailed, &["exited with 1"]);
    assert_eq!(ended.report.parts, 3, "finished before");
    assert_eq!(ended.shim.status.code(), Some(0), "the shim did what it was asked");
}

#[test]
fn a_secret_that_is_missing_or_cannot_be_written_is_named_and_never_shown() {
    let mut dump = part("seq 9");
    dump.process = with_password(dump.process);
    let pod = Pod::of(dump.clone());
    fs::remove_file(pod.path(pod::BINDINGS_DIR).join("password")).unwrap();
    pod.fails(Reason::SecretMissing, &["\"db\"", "\"pass\""]);

    let pod = Pod::of(dump.clone());
    fs::write(pod.path(pod::BINDINGS_DIR).join("password"), "s3cr3t\0").unwrap();
    let ended = pod.fails(Reason::SecretNotEncodable, &["PW", "U+0000"]);
    assert!(!ended.logs().contains("s3cr3t"));

    let escape = dbbackup_protocol::plan::Escape { substitutions: vec![], refuse: "/".into(), max: None };
    for fragment in dump.process.env.iter_mut().flat_map(|variable| &mut variable.value) {
        if let dbbackup_protocol::plan::Fragment::Secret(secret) = fragment {
            secret.encoding = Encoding::Escaped(escape.clone());
        }
    }
    let ended = Pod::of(dump).fails(Reason::SecretNotEncodable, &["U+002F", "password"]);
    assert!(!ended.logs().contains(PASSWORD) && !ended.report.message.contains(PASSWORD));
}

#[test]
fn a_tool_that_prints_the_password_does_not_leak_it() {
    let script = "echo \"cannot open mongodb://u:$PW@h\" >&2; printf '%s' \"$PW\" | base64 >&2; \
                  printf '%.5s' \"$PW\" >&2; sleep 0.3; printf '%s\\n' \"${PW#?????}\" >&2; exit 1";
    let mut dump = part(script);
    dump.process = with_password(dump.process);
    let mut verifier = sh("cat >/dev/null; echo \"$PW\" >&2; exit 1");
    verifier = with_password(verifier);
    let mut second = part("seq 9");
    second.completion.verifier = Some(verifier);
    let mut printing = check("echo \"$PW\"", Expectation::StdoutEquals("yes".into()));
    printing.process = with_password(printing.process);
    for (dump, checks, reason) in [
        (dump, vec![], Reason::DumpFailed),
        (second, vec![], Reason::VerificationFailed),
        (part("seq 9"), vec![printing], Reason::CheckFailed),
    ] {
        let mut pod = Pod::of(dump);
        pod.order.plan.checks = checks;
        let ended = pod.fails(reason, &["[redacted:password]"]);
        let termination = fs::read_to_string(pod.path(pod::TERMINATION_LOG)).unwrap();
        for place in [ended.logs(), termination, ended.report.stderr_tail] {
            for secret in [PASSWORD, "s3cr3t/pass\\\"word", "s3cr3t", "czNjcjN0L3Bhc3Mid29yZA=="] {
                assert!(!place.contains(secret), "{secret} in {place}");
            }
        }
    }
}

#[test]
fn a_tool_that_writes_without_end_to_stderr_is_reported_within_bounds() {
    let pod = Pod::of(part("head -c 20000000 /dev/zero | tr '\\0' x >&2; echo the end >&2; exit 1"));
    let ended = pod.fails(Reason::DumpFailed, &["the end"]);
    assert!(fs::metadata(pod.path(pod::TERMINATION_LOG)).unwrap().len() <= 2048);
    assert!(ended.report.stderr_tail.ends_with("the end\n"));
}

#[test]
fn a_claim_that_is_not_there_or_not_writable_fails_before_the_dump() {
    let pod = Pod::of(part("touch \"$HOME/dumped\"; seq 9"));
    fs::remove_dir_all(pod.path(pod::BACKUPS_DIR)).unwrap();
    let ended = pod.run();
    ended.failed(Reason::StorageNotFound, &["\"backups\""]);
    assert_eq!(ended.shim.status.code(), Some(0), "a shim that is not needed ends at once");

    let mut pod = Pod::of(part("touch \"$HOME/dumped\"; seq 9"));
    // A file where a folder should be: even root cannot write there.
    fs::write(pod.path(pod::BACKUPS_DIR).join("file"), "").unwrap();
    pod.order.storage = Storage::Pvc { claim: "backups".into(), path: "file".into() };
    let ended = pod.run();
    ended.failed(Reason::StorageUnavailable, &["\"backups\""]);
    assert!(!pod.path(pod::SCRATCH_DIR).join("dumped").exists());
}

#[test]
fn a_work_order_that_cannot_be_read_is_reported() {
    let mut pod = Pod::of(part("seq 9"));
    pod.order.version = 99;
    let ended = pod.run();
    ended.failed(Reason::WorkOrderInvalid, &["99"]);
}

use dbbackup_protocol::plan::Tail;
use proptest::prelude::*;

use super::*;
use crate::wire::VerifierEnd;

fn completion() -> Completion {
    Completion {
        exit_codes: vec![0, 3],
        header: None,
        tail: None,
        verifier: None,
        stderr_required: None,
        minimum_bytes: 1,
    }
}

fn observe(completion: &Completion, pieces: &[&[u8]]) -> Observed {
    let mut watch = Watch::new(completion);
    for piece in pieces {
        watch.push(piece);
    }
    watch.observed()
}

#[test]
fn header_and_tail_are_found_across_pieces() {
    let declared = Completion {
        header: Some(b"PGDMP".to_vec()),
        tail: Some(Tail { bytes: b"-- done".to_vec(), within: 9 }),
        ..completion()
    };
    for (pieces, header, tail) in [
        (&[&b"PGDMP"[..], b"x", b"-- done\n"][..], true, true),
        (&[b"PG", b"DM", b"Pxx-- d", b"one\n"], true, true),
        (&[b"PGDMX-- done"], false, true),
        (&[b"PGD"], false, false),
        (&[b"xPGDMP-- done 12"], false, false),
        (&[b"PGDMP-- done", b"123"], true, false),
        (&[], false, false),
    ] {
        let observed = observe(&declared, pieces);
        assert_eq!((observed.header, observed.tail), (header, tail), "{pieces:?}");
    }
    assert_eq!(observe(&completion(), &[b"ab", b"c"]), Observed { bytes: 3, header: true, tail: true });
}

#[test]
fn everything_declared_must_hold() {
    let verifier = Process { argv: vec![], env: vec![], files: vec![] };
    let fine = Observed { bytes: 5, header: true, tail: true };
    let ended = |end| Ended { end, stderr_required_found: true, verifier: None, input_taken: true };
    let judged = |end| Ended {
        verifier: Some(VerifierEnd { end, stderr_tail: "bad block".into() }),
        ..ended(End::Exited(0))
    };
    let with_verifier = Completion { verifier: Some(verifier), ..completion() };
    let large = Completion { minimum_bytes: 6, ..completion() };
    let none_declared = Completion { minimum_bytes: 0, ..completion() };
    for (completion, observed, ended, expected) in [
        (&completion(), fine, ended(End::Exited(3)), Ok(())),
        (
            &completion(),
            fine,
            ended(End::Exited(1)),
            Err((Reason::DumpFailed, "pg_dump exited with 1: a; b")),
        ),
        (
            &completion(),
            fine,
            ended(End::Signalled(9)),
            Err((Reason::DumpKilled, "SIGKILL (out of memory?)")),
        ),
        (&large, fine, ended(End::Exited(0)), Err((Reason::DumpIncomplete, "5 bytes"))),
        (
            &none_declared,
            Observed { bytes: 0, ..fine },
            ended(End::Exited(0)),
            Err((Reason::DumpIncomplete, "0 bytes")),
        ),
        (
            &completion(),
            Observed { header: false, ..fine },
            ended(End::Exited(0)),
            Err((Reason::DumpIncomplete, "begin")),
        ),
        (
            &completion(),
            Observed { tail: false, ..fine },
            ended(End::Exited(0)),
            Err((Reason::DumpIncomplete, "end as")),
        ),
        (
            &completion(),
            fine,
            Ended { stderr_required_found: false, ..ended(End::Exited(0)) },
            Err((Reason::DumpIncomplete, "never said")),
        ),
        (&with_verifier, fine, judged(End::Exited(0)), Ok(())),
        (&with_verifier, fine, judged(End::Exited(1)), Err((Reason::VerificationFailed, "bad block"))),
        (&with_verifier, fine, judged(End::Signalled(11)), Err((Reason::VerificationFailed, "SIGSEGV"))),
        (&with_verifier, fine, ended(End::Exited(0)), Err((Reason::VerificationFailed, "did not say"))),
    ] {
        match (judge(("all", "pg_dump"), completion, observed, &ended, "a\nb\n"), expected) {
            (Ok(()), Ok(())) => {}
            (Err(failure), Err((reason, words))) => {
                // Who did not say how it ended is no process.
                let process = failure.process.as_ref().map(|process| process.part.as_deref());
                let known = !failure.message.contains("did not say");
                assert_eq!(process, known.then_some(Some("all")), "{failure}");
                assert_eq!(failure.reason, reason, "{failure}");
                assert!(failure.message.contains(words), "{failure}");
            }
            (found, expected) => panic!("{found:?}, expected {expected:?}"),
        }
    }
}

#[test]
fn a_check_tells_a_broken_expectation_from_a_broken_process() {
    let check = |expectation| Check {
        name: "grants".into(),
        process: Process { argv: vec![], env: vec![], files: vec![] },
        expectation,
        reason: "GrantMissing".into(),
        message: "grant TRIGGER".into(),
    };
    let equals = || Expectation::StdoutEquals("ok".into());
    for (expectation, end, stdout, expected) in [
        (Expectation::ExitZero, End::Exited(0), "any", None),
        (Expectation::ExitZero, End::Exited(2), "", Some((Reason::CheckFailed, true))),
        (Expectation::ExitZero, End::Signalled(9), "", Some((Reason::DumpKilled, false))),
        (equals(), End::Exited(0), "ok\n", None),
        (equals(), End::Exited(0), "ok\n\n", Some((Reason::CheckFailed, true))),
        (equals(), End::Exited(0), "", Some((Reason::CheckFailed, true))),
        (equals(), End::Exited(1), "ok\n", Some((Reason::DumpFailed, false))),
        (Expectation::StdoutAtLeast(2), End::Exited(0), "2\n", None),
        (Expectation::StdoutAtLeast(2), End::Exited(0), "10", None),
        (Expectation::StdoutAtLeast(2), End::Exited(0), "1", Some((Reason::CheckFailed, true))),
        (Expectation::StdoutAtLeast(0), End::Exited(0), "many", Some((Reason::CheckFailed, true))),
    ] {
        let result = judge_check("mysql", &check(expectation), end, stdout.as_bytes(), "no route\n");
        let found =
            result.as_ref().err().map(|f| (f.reason, f.plugin_reason.as_deref() == Some("GrantMissing")));
        assert_eq!(found, expected, "{result:?}");
        if let Err(failure) = result {
            assert_eq!(failure.process.is_some(), end != End::Exited(0), "{failure}");
            assert!(failure.message.contains("grant TRIGGER") || failure.message.contains("no route"));
            assert_eq!(failure.message.contains("(found: ok)"), stdout == "ok\n\n", "{failure}");
        }
    }
}

proptest! {
    #[test]
    fn the_pieces_do_not_matter(bytes: Vec<u8>, cut: u8, header in "[ab]{0,3}", tail in "[ab]{0,3}") {
        let declared = Completion {
            header: Some(header.into_bytes()),
            tail: Some(Tail { bytes: tail.into_bytes(), within: 4 }),
            ..completion()
        };
        let (one, two) = bytes.split_at(usize::from(cut) % (bytes.len() + 1));
        prop_assert_eq!(observe(&declared, &[one, two]), observe(&declared, &[&bytes]));
    }
}

//! Whether a dump is whole: pure, from what was observed and what the plan declares.

use std::collections::VecDeque;

use dbbackup_protocol::{
    plan::{ArgumentPiece, Check, Completion, Expectation, Process},
    report::{Phase, Reason},
};

use crate::{
    failure::{Failure, failed_process},
    text::last_lines,
    wire::{End, Ended},
};

/// Longest `within` of a tail, as the contract has it.
const MAX_WITHIN: usize = 65_536;

/// Watches the plain bytes of a dump go by.
#[derive(Debug)]
pub(crate) struct Watch {
    header: Vec<u8>,
    header_seen: usize,
    header_differs: bool,
    tail: Vec<u8>,
    within: usize,
    last: VecDeque<u8>,
    bytes: u64,
}

/// What was watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Observed {
    /// Plain bytes.
    pub(crate) bytes: u64,
    /// The output started with the header, if one is declared.
    pub(crate) header: bool,
    /// The tail occurred near the end, if one is declared.
    pub(crate) tail: bool,
}

impl Watch {
    pub(crate) fn new(completion: &Completion) -> Self {
        let (tail, within) = match &completion.tail {
            Some(tail) => (tail.bytes.clone(), usize::try_from(tail.within).unwrap_or(MAX_WITHIN)),
            None => (Vec::new(), 0),
        };
        Self {
            header: completion.header.clone().unwrap_or_default(),
            header_seen: 0,
            header_differs: false,
            within: within.min(MAX_WITHIN),
            tail,
            last: VecDeque::new(),
            bytes: 0,
        }
    }

    pub(crate) fn push(&mut self, piece: &[u8]) {
        let expected = self.header.iter().skip(self.header_seen).take(piece.len());
        self.header_differs |= expected.zip(piece).any(|(expected, found)| expected != found);
        self.header_seen = self.header.len().min(self.header_seen + piece.len());
        self.last.extend(piece.iter().skip(piece.len().saturating_sub(self.within)));
        let excess = self.last.len().saturating_sub(self.within);
        self.last.drain(..excess);
        self.bytes += piece.len() as u64;
    }

    pub(crate) fn observed(mut self) -> Observed {
        let last = self.last.make_contiguous();
        Observed {
            bytes: self.bytes,
            header: self.header_seen == self.header.len() && !self.header_differs,
            tail: self.tail.is_empty() || last.windows(self.tail.len()).any(|window| window == self.tail),
        }
    }
}

/// All of a completion must hold.
///
/// # Errors
/// The first thing that does not.
pub(crate) fn judge(
    (part, program): (&str, &str),
    completion: &Completion,
    observed: Observed,
    ended: &Ended,
    stderr: &str,
) -> Result<(), Failure> {
    let dump = || failed_process(Phase::Dump, Some(part), ended.end);
    exit(program, ended.end, &completion.exit_codes, Reason::DumpFailed, stderr)
        .map_err(|failure| failure.of(dump()))?;
    let incomplete = |what: String| {
        Err(Failure::new(Reason::DumpIncomplete, format!("{program} ended well, but {what}"))
            .with_stderr(stderr)
            .of(dump()))
    };
    let minimum = u64::from(completion.minimum_bytes.max(1));
    if observed.bytes < minimum {
        let verb = format!("wrote {} bytes, fewer than the {minimum} of the smallest dump", observed.bytes);
        return incomplete(verb);
    }
    if !observed.header {
        return incomplete("what it wrote does not begin as a dump of this kind does".into());
    }
    if !observed.tail {
        return incomplete("what it wrote does not end as a complete dump does".into());
    }
    if !ended.stderr_required_found {
        let required = completion.stderr_required.as_deref().unwrap_or_default();
        return incomplete(format!("it never said {required:?}, as it does when it has dumped everything"));
    }
    match (&completion.verifier, &ended.verifier) {
        (None, _) => Ok(()),
        (Some(process), Some(verifier)) => {
            let name = program_of(process);
            exit(&name, verifier.end, &[0], Reason::VerificationFailed, &verifier.stderr_tail).map_err(
                |failure| Failure {
                    reason: Reason::VerificationFailed,
                    message: format!("the dump does not pass its verification: {}", failure.message),
                    process: Some(failed_process(Phase::Verify, Some(part), verifier.end)),
                    ..failure
                },
            )
        }
        (Some(_), None) => {
            Err(Failure::new(Reason::VerificationFailed, "the client did not say how the verifier ended"))
        }
    }
}

/// A process that died of a signal never succeeded.
pub(super) fn exit(
    program: &str,
    end: End,
    success: &[i32],
    reason: Reason,
    stderr: &str,
) -> Result<(), Failure> {
    let failed = |reason, what: String| {
        let lines = last_lines(stderr);
        let colon = if lines.is_empty() { "" } else { ": " };
        Err(Failure::new(reason, format!("{program} {what}{colon}{lines}")).with_stderr(stderr))
    };
    match end {
        End::Exited(code) if success.contains(&code) => Ok(()),
        End::Exited(code) => failed(reason, format!("exited with {code}")),
        End::Signalled(signal) => {
            failed(Reason::DumpKilled, format!("was killed by {}", signal_name(signal)))
        }
    }
}

fn signal_name(signal: i32) -> String {
    match signal {
        4 => "SIGILL".into(),
        6 => "SIGABRT".into(),
        7 => "SIGBUS".into(),
        9 => "SIGKILL (out of memory?)".into(),
        11 => "SIGSEGV".into(),
        13 => "SIGPIPE".into(),
        15 => "SIGTERM".into(),
        other => format!("signal {other}"),
    }
}

/// The end of a lister.
///
/// # Errors
/// It failed: always [`Reason::ListingFailed`].
pub(crate) fn judge_listing(program: &str, end: End, stderr: &str) -> Result<(), Failure> {
    exit(program, end, &[0], Reason::ListingFailed, stderr).map_err(|failure| Failure {
        reason: Reason::ListingFailed,
        message: format!("what to back up could not be listed: {}", failure.message),
        process: Some(failed_process(Phase::List, None, end)),
        ..failure
    })
}

/// Whether a check holds. A process that could not even ask, for example because the server does not answer, is no
/// broken expectation: a second attempt may help.
///
/// # Errors
/// [`Reason::CheckFailed`] with the plan's own words, or how the process failed.
pub(crate) fn judge_check(
    program: &str,
    check: &Check,
    end: End,
    stdout: &[u8],
    stderr: &str,
) -> Result<(), Failure> {
    let broken = |detail: String| Failure {
        reason: Reason::CheckFailed,
        plugin_reason: Some(check.reason.clone()),
        message: format!("{}{detail}", check.message),
        stderr_tail: stderr.to_owned(),
        process: None,
    };
    // Where a process failed, the plugin's diagnosis may know better than the plan what it means.
    let process = || Some(failed_process(Phase::Check, None, end));
    let exited = exit(program, end, &[0], Reason::DumpFailed, stderr);
    if let (Err(failure), Expectation::ExitZero, End::Exited(_)) = (&exited, &check.expectation, end) {
        return Err(Failure { process: process(), ..broken(format!(" ({})", failure.message)) });
    }
    exited.map_err(|failure| Failure {
        message: format!("check {}: {}", check.name, failure.message),
        process: process(),
        ..failure
    })?;
    let stdout = String::from_utf8_lossy(stdout);
    let stdout = stdout.strip_suffix('\n').unwrap_or(&stdout);
    let holds = match &check.expectation {
        Expectation::ExitZero => true,
        Expectation::StdoutEquals(expected) => stdout == expected,
        Expectation::StdoutAtLeast(least) => {
            stdout.trim().parse::<i128>().is_ok_and(|number| number >= i128::from(*least))
        }
    };
    let detail = match (&check.expectation, last_lines(stdout)) {
        (Expectation::StdoutEquals(_), found) if !found.is_empty() => format!(" (found: {found})"),
        _ => String::new(),
    };
    if holds { Ok(()) } else { Err(broken(detail)) }
}

/// The name by which messages call a process.
pub(crate) fn program_of(process: &Process) -> String {
    let pieces = process.argv.first().map(|argument| argument.pieces.as_slice()).unwrap_or_default();
    let path: String = pieces
        .iter()
        .map(|piece| match piece {
            ArgumentPiece::Text(text) => text.as_str(),
            ArgumentPiece::Item => "",
        })
        .collect();
    path.rsplit('/').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
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
        let ended = |end| Ended { end, stderr_required_found: true, verifier: None };
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
}

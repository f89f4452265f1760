//! Whether a dump is whole: pure, from what was observed and what the plan declares.

#[cfg(test)]
mod tests;

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

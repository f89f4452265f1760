//! Reports as they arrive, whole and not.

use super::*;

fn failed() -> RunReport {
    RunReport {
        reason: Some(Reason::DumpFailed),
        message: "pg_dump exited with 1".into(),
        ..RunReport::nothing(Timestamp::UNIX_EPOCH)
    }
}

#[test]
fn a_long_report_keeps_the_end_of_stderr_and_fits() {
    let mut report = failed();
    report.stderr_tail = format!("{}the end", "ä\n\"".repeat(4000));
    let process = FailedProcess {
        phase: Phase::Dump,
        part: Some("p".repeat(40)),
        exit_code: Some(i32::MIN),
        signal: Some(i32::MIN),
    };
    report.process = Some(process.clone());
    let message = report.to_termination_message();
    assert!(message.len() <= MAX_BYTES, "{}", message.len());
    let back = RunReport::parse(&message).unwrap();
    assert!(back.stderr_tail.ends_with("the end") && back.stderr_tail.len() > 500);
    assert_eq!(back.process, Some(process));
    report.message = "m".repeat(9000);
    assert!(report.to_termination_message().len() <= MAX_BYTES);
    assert!(RunReport::parse(&report.to_termination_message()).is_ok());
}

#[test]
fn contradictions_are_no_report() {
    let mut report = failed();
    report.reason = None;
    let text = serde_json::to_string(&report).unwrap();
    assert!(matches!(RunReport::parse(&text), Err(ReportError::Inconsistent(_))));
    report.outcome = Outcome::Succeeded;
    let text = serde_json::to_string(&report).unwrap();
    assert!(matches!(RunReport::parse(&text), Err(ReportError::Inconsistent(_))));
    assert_eq!(RunReport::parse(" \n"), Err(ReportError::Empty));
    assert_eq!(RunReport::parse("Killed"), Err(ReportError::Malformed));
}

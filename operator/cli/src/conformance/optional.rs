//! The optional interfaces, where the plugin has them.

use dbbackup_core::police;
use dbbackup_protocol::{
    contract::{Fact, Request},
    optional::{Answer, Failure},
    plan::PartSource,
    restore::{Mode, Rename, RestoreRequest},
};

use super::{
    examiner::Examiner,
    report::{Id, Report},
    samples::Seed,
};

/// What servers and tools print.
const PRINTED: [&str; 6] =
    ["", "\n", "17.2\n", "c4n4ry\u{fffd}\0\"'", "9999999999999999999999", "{\"a\": [1"];

/// Asks `probe`, `diagnose` and `restore` for what they would be asked.
pub(super) fn examine(examiner: &mut Examiner<'_>, seeds: &[Seed], exported: &[String], report: &mut Report) {
    let exports = |name: &str| exported.iter().any(|export| export == name);
    if exports("probe") {
        let (faults, plans) = probe(examiner, seeds);
        report.settle(Id::Probe, faults, format!("{plans} probes, each answer is understood"));
    } else {
        report.skipped(Id::Probe, "the plugin does not export it".to_owned());
    }
    if exports("diagnose") {
        let faults = diagnose(examiner);
        report.settle(Id::Diagnose, faults, "every failure gets an answer, or none".to_owned());
    } else {
        report.skipped(Id::Diagnose, "the plugin does not export it".to_owned());
    }
    if exports("restore") {
        let (faults, plans) = restore(examiner, seeds);
        report.settle(Id::Restore, faults, format!("{plans} restores planned"));
    } else {
        report.skipped(Id::Restore, "the plugin does not export it".to_owned());
    }
}

/// Everything of a backup, and a part of it under other names: plans that the operator accepts, the same each time, with a
/// word about every part that the plugin's own backup would have.
fn restore(examiner: &mut Examiner<'_>, seeds: &[Seed]) -> (Vec<String>, usize) {
    let mut faults = Vec::new();
    let mut plans = 0;
    for seed in seeds {
        let settings = seed.object.spec.settings.clone().unwrap_or_default();
        let Ok(target) = seed.request(examiner.plugin, &settings) else { continue };
        let all = RestoreRequest {
            target: target.clone(),
            databases: vec![],
            renames: vec![],
            mode: Mode::Refuse,
            facts: vec![],
        };
        let renames = vec![Rename { source: "--help".to_owned(), target: "host=x; $(y) `z`".to_owned() }];
        let databases = vec!["--help".to_owned(), "a b".to_owned()];
        let some = RestoreRequest { databases, renames, mode: Mode::Replace, ..all.clone() };
        for (what, request) in [("all", all), ("some", some)] {
            let about = format!("restore of {what}, {}", seed.about);
            let ask = |plugin: &dbbackup_plugin_host::Plugin| plugin.restore_plan(&request).transpose();
            let first = examiner.call(&about, ask);
            if examiner.call(&about, ask) != first {
                faults.push(format!("{about}: the second answer is another one than the first"));
            }
            let Some(Some(Ok(plan))) = first else { continue };
            plans += 1;
            let violations = police::check_restore(&plan, examiner.plugin.description(), &target.bindings);
            faults.extend(violations.iter().map(|violation| format!("{about}: {violation}")));
            let Some(Ok(backup)) = examiner.call(&about, |plugin| plugin.plan(&target)) else { continue };
            for part in backup.parts.iter().map(PartSource::part) {
                let known =
                    plan.parts.iter().map(|it| &it.part).chain(&plan.skipped).any(|it| *it == part.name);
                if !known {
                    faults.push(format!("{about}: it has no word about part {} of the backup", part.name));
                }
            }
        }
    }
    (faults, plans)
}

fn probe(examiner: &mut Examiner<'_>, seeds: &[Seed]) -> (Vec<String>, usize) {
    let mut faults = Vec::new();
    let mut plans = 0;
    for seed in seeds {
        let settings = seed.object.spec.settings.clone().unwrap_or_default();
        let Ok(request) = seed.request(examiner.plugin, &settings) else { continue };
        let Some(Some(Ok(plan))) =
            examiner.call(&seed.about, |plugin| plugin.probe_plan(&request).transpose())
        else {
            continue;
        };
        plans += 1;
        let about = format!("probe, {}", seed.about);
        let violations = police::check_probe(&plan, examiner.plugin.description(), &request.bindings);
        faults.extend(violations.iter().map(|violation| format!("{about}: {violation}")));
        if plan.queries.is_empty() {
            // There is nothing to ask, so nothing is answered.
            continue;
        }
        for printed in PRINTED {
            for exit_code in [Some(0), Some(1), None] {
                let answer = |name: &str| Answer {
                    name: name.to_owned(),
                    exit_code,
                    stdout: printed.to_owned(),
                    stderr: printed.to_owned(),
                    truncated: printed.is_empty(),
                };
                let answers: Vec<_> = plan.queries.iter().map(|query| answer(&query.name)).collect();
                read(
                    examiner,
                    &request,
                    &answers,
                    &format!("{about}, all answers {printed:?} and {exit_code:?}"),
                    &mut faults,
                );
            }
        }
    }
    (faults, plans)
}

fn read(
    examiner: &mut Examiner<'_>,
    request: &Request,
    answers: &[Answer],
    about: &str,
    faults: &mut Vec<String>,
) {
    let findings = examiner.call(about, |plugin| plugin.probe_read(request, answers).transpose());
    let failed = answers.iter().all(|answer| answer.exit_code != Some(0));
    if let Some(Some(findings)) = findings
        && failed
        && findings.server.is_none()
        && findings.problems.is_empty()
    {
        faults.push(format!("{about}: no question was answered, and the findings name no problem"));
    }
}

fn diagnose(examiner: &mut Examiner<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    for phase in ["probe", "check", "list", "dump", "verify", "load", "no-such-phase"] {
        for stderr in PRINTED {
            let failure = Failure {
                phase: phase.to_owned(),
                part: Some("database".to_owned()),
                exit_code: Some(1),
                signal: None,
                stderr: stderr.to_owned(),
                facts: vec![Fact { key: "no-such-fact".to_owned(), value: "x".to_owned() }],
            };
            let about = format!("diagnose, phase {phase}, standard error {stderr:?}");
            let first = examiner.call(&about, |plugin| plugin.explain(&failure));
            if examiner.call(&about, |plugin| plugin.explain(&failure)) != first {
                faults.push(format!("{about}: the second answer is another one than the first"));
            }
        }
    }
    faults
}

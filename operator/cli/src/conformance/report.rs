//! What was checked and what was found: one report, for people and for programs.

use std::{collections::BTreeMap, path::Path};

use serde::Serialize;

use crate::{
    ending::{Ending, Unusable},
    output::{self, Format},
};

/// Most faults of one check that are told.
const TOLD: usize = 5;

/// A check, in the order of reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Id {
    /// Everybody may read the file.
    FileMode,
    /// It is not too long.
    Size,
    /// It is a component that compiles.
    Component,
    /// It asks for nothing that plugins do not get.
    Imports,
    /// It has the contract's interfaces, in their shape.
    Exports,
    /// It can say who it is.
    Describe,
    /// What it says can be, its settings schema too.
    Description,
    /// There is a request that it answers with a plan.
    Plans,
    /// No request is without an answer.
    Answers,
    /// Every plan keeps the operator's rules.
    Police,
    /// `check` and `plan` say the same.
    CheckAgrees,
    /// Equal requests get equal answers.
    SameAnswer,
    /// The order of what has none does not matter.
    Order,
    /// What the contract does not know yet changes nothing.
    UnknownFacts,
    /// Foreign text does no harm wherever it comes back.
    HostileStrings,
    /// What is marked secret never comes back.
    Secrets,
    /// Every setting can be used.
    SettingsReachable,
    /// Every invalid setting is refused at its place.
    SettingsInvalid,
    /// Every refusal points to a place of the object.
    IssuePointers,
    /// Calls are cheap.
    Fuel,
    /// Calls are small.
    Memory,
    /// The optional interface keeps the contract.
    Probe,
    /// The optional interface keeps the contract.
    Diagnose,
    /// The optional interface keeps the contract.
    Restore,
}

impl Id {
    /// All of them.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 24] = [
        Self::FileMode,
        Self::Size,
        Self::Component,
        Self::Imports,
        Self::Exports,
        Self::Describe,
        Self::Description,
        Self::Plans,
        Self::Answers,
        Self::Police,
        Self::CheckAgrees,
        Self::SameAnswer,
        Self::Order,
        Self::UnknownFacts,
        Self::HostileStrings,
        Self::Secrets,
        Self::SettingsReachable,
        Self::SettingsInvalid,
        Self::IssuePointers,
        Self::Fuel,
        Self::Memory,
        Self::Probe,
        Self::Diagnose,
        Self::Restore,
    ];

    /// Its stable name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::FileMode => "file-mode",
            Self::Size => "size",
            Self::Component => "component",
            Self::Imports => "imports",
            Self::Exports => "exports",
            Self::Describe => "describe",
            Self::Description => "description",
            Self::Plans => "plans",
            Self::Answers => "answers",
            Self::Police => "police",
            Self::CheckAgrees => "check-agrees",
            Self::SameAnswer => "same-answer",
            Self::Order => "order",
            Self::UnknownFacts => "unknown-facts",
            Self::HostileStrings => "hostile-strings",
            Self::Secrets => "secrets",
            Self::SettingsReachable => "settings-reachable",
            Self::SettingsInvalid => "settings-invalid",
            Self::IssuePointers => "issue-pointers",
            Self::Fuel => "fuel",
            Self::Memory => "memory",
            Self::Probe => "probe",
            Self::Diagnose => "diagnose",
            Self::Restore => "restore",
        }
    }
}

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// What it asks for holds.
    Passed,
    /// It does not.
    Failed,
    /// It could not be tried.
    Skipped,
}

#[derive(Clone, Debug)]
struct Finding {
    outcome: Outcome,
    message: String,
    faults: Vec<String>,
}

/// The checks that were made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    findings: BTreeMap<Id, Finding>,
}

impl Report {
    /// A check went well; what was seen.
    pub(crate) fn passed(&mut self, id: Id, message: String) {
        self.findings.insert(id, Finding { outcome: Outcome::Passed, message, faults: vec![] });
    }

    /// A check could not be made.
    pub(crate) fn skipped(&mut self, id: Id, why: String) {
        self.findings.insert(id, Finding { outcome: Outcome::Skipped, message: why, faults: vec![] });
    }

    /// A check failed: each fault is a sentence.
    pub(crate) fn failed(&mut self, id: Id, faults: Vec<String>) {
        let message = match faults.len() {
            1 => String::new(),
            count => format!("{count} faults"),
        };
        self.findings.insert(id, Finding { outcome: Outcome::Failed, message, faults });
    }

    /// A check that failed with these faults, or passed if there are none.
    pub(crate) fn settle(&mut self, id: Id, faults: Vec<String>, message: String) {
        if faults.is_empty() { self.passed(id, message) } else { self.failed(id, faults) }
    }

    /// Prints it, with the sum on the last line.
    pub(crate) fn print(&self, file: &Path, format: Format) -> Result<Ending, Unusable> {
        match format {
            Format::Table => output::print(&self.table())?,
            Format::Json => output::print_json(&self.document(file))?,
        }
        Ok(Ending::faults_if(self.count(Outcome::Failed) > 0))
    }

    fn count(&self, outcome: Outcome) -> usize {
        self.findings.values().filter(|finding| finding.outcome == outcome).count()
    }

    fn table(&self) -> String {
        let mut rows = Vec::new();
        for (id, Finding { outcome, message, faults }) in &self.findings {
            let mark = match outcome {
                Outcome::Passed => "ok",
                Outcome::Failed => "FAULT",
                Outcome::Skipped => "skipped",
            };
            let row =
                |mark: &str, name: &str, text: &str| vec![mark.to_owned(), name.to_owned(), text.to_owned()];
            if !message.is_empty() || faults.is_empty() {
                rows.push(row(mark, id.name(), message));
            }
            for (at, fault) in told(faults).iter().enumerate() {
                let first = at == 0 && message.is_empty();
                // A crash has several lines to say.
                let fault = &fault.replace('\n', " | ");
                rows.push(row(if first { mark } else { "" }, if first { id.name() } else { "" }, fault));
            }
        }
        let skipped = self.count(Outcome::Skipped);
        format!(
            "{}{} passed, {} failed{}\n",
            output::table(&rows),
            self.count(Outcome::Passed),
            self.count(Outcome::Failed),
            if skipped == 0 { String::new() } else { format!(", {skipped} skipped") }
        )
    }

    fn document(&self, file: &Path) -> Document {
        let checks = self.findings.iter().map(|(id, finding)| Check {
            id: id.name(),
            outcome: finding.outcome,
            message: finding.message.clone(),
            faults: told(&finding.faults),
        });
        Document {
            file: file.display().to_string(),
            checks: checks.collect(),
            passed: self.count(Outcome::Passed),
            failed: self.count(Outcome::Failed),
            skipped: self.count(Outcome::Skipped),
        }
    }
}

/// The first few of them.
fn told(faults: &[String]) -> Vec<String> {
    let mut told: Vec<_> = faults.iter().take(TOLD).cloned().collect();
    if faults.len() > TOLD {
        told.push(format!("and {} more", faults.len() - TOLD));
    }
    told
}

/// A report for programs.
#[derive(Debug, Serialize)]
struct Document {
    file: String,
    checks: Vec<Check>,
    passed: usize,
    failed: usize,
    skipped: usize,
}

#[derive(Debug, Serialize)]
struct Check {
    id: &'static str,
    outcome: Outcome,
    message: String,
    faults: Vec<String>,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_check_is_on_the_authors_page() {
        let page = include_str!("../../../../plugins/README.md");
        let names: BTreeSet<_> = Id::ALL.iter().map(|id| id.name()).collect();
        assert_eq!(names.len(), Id::ALL.len());
        for name in names {
            assert!(page.contains(&format!("`{name}`")), "{name} is not in plugins/README.md");
        }
    }

    #[test]
    fn one_line_for_each_check_and_each_fault() {
        let mut report = Report::default();
        report.passed(Id::Size, "7 KiB".into());
        report.failed(Id::Police, vec!["one".into()]);
        report.failed(Id::Fuel, (1..=7).map(|n| n.to_string()).collect());
        report.skipped(Id::Probe, "none".into());
        let expected = "\
ok       size    7 KiB
FAULT    police  one
FAULT    fuel    7 faults
                 1
                 2
                 3
                 4
                 5
                 and 2 more
skipped  probe   none
1 passed, 2 failed, 1 skipped
";
        assert_eq!(report.table(), expected);
        let document = serde_json::to_value(report.document(Path::new("x.wasm"))).unwrap();
        assert_eq!(document["checks"][1]["outcome"], "failed");
        assert_eq!((&document["failed"], &document["skipped"]), (&2.into(), &1.into()));
    }
}

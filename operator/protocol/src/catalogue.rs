//! A look into storage: a pod of its own that lists the finished backups of one object, and changes nothing. Its order travels
//! like a work order, its report in the termination message, a page at a time.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    layout::is_run_id,
    report::{Reason, ReportError, keep_start},
    work_order::{EnvValue, Limits, Storage},
};

/// Version of both documents.
pub const VERSION: u32 = 1;
/// Longest report in bytes: the kubelet gives 4096 to a container.
pub const MAX_REPORT_BYTES: usize = 4000;
/// So many things that are no backups are named, at most.
pub const MAX_NAMED: usize = 5;
/// Longest name and longest reason of one of them, in characters.
pub const MAX_TOLD: usize = 100;
/// More backups than these fit into no report.
const MAX_RUNS: usize = 100;

/// A look, completely described.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogueOrder {
    /// [`VERSION`].
    pub version: u32,
    /// Namespace of the `DatabaseBackup`.
    pub namespace: String,
    /// Name of the `DatabaseBackup`.
    pub name: String,
    /// Where to look.
    pub storage: Storage,
    /// Which runs.
    pub scope: Scope,
    /// How long.
    pub limits: Limits,
}

/// Which runs of an object are looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// All of them, or those whose folders come after this one.
    All {
        /// Last folder of a run.
        after: Option<String>,
    },
    /// This one.
    Run(String),
}

impl EnvValue for CatalogueOrder {
    const VERSION: u32 = VERSION;

    fn version(&self) -> u32 {
        self.version
    }
}

/// What many backups have in common; once for all of a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// UID of the `DatabaseBackup` that made them.
    pub uid: String,
    /// Its `spec.databaseType`.
    pub database_type: String,
    /// Version of the server, where it was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_version: Option<String>,
    /// Id, version and digest of the plugin.
    pub plugin: (String, String, String),
    /// The image whose tools made the dump.
    pub image: String,
    /// Whether it takes a private key to read them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub encrypted: bool,
    /// Public keys, of which each one's private key opens them; none where they are too long for a report.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<String>,
}

/// A finished backup. It travels as a list: names of fields would take the place of backups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Row", into = "Row")]
pub struct Found {
    /// Last folder of its run.
    pub run: String,
    /// SHA-256 of its manifest, hex.
    pub manifest_sha256: String,
    /// Which of [`CatalogueReport::origins`].
    pub origin: usize,
    /// Begin of the attempt, in seconds since 1970.
    pub started_at: i64,
    /// When the last part was complete, in seconds since 1970.
    pub finished_at: i64,
    /// Plain bytes.
    pub bytes_read: u64,
    /// Bytes in storage.
    pub bytes_stored: u64,
    /// Objects in storage besides the manifest.
    pub parts: u32,
}

type Row = (String, String, usize, i64, i64, u64, u64, u32);

impl From<Row> for Found {
    fn from(row: Row) -> Self {
        let (run, manifest_sha256, origin, started_at, finished_at, bytes_read, bytes_stored, parts) = row;
        Self { run, manifest_sha256, origin, started_at, finished_at, bytes_read, bytes_stored, parts }
    }
}

impl From<Found> for Row {
    fn from(found: Found) -> Self {
        let Found { run, manifest_sha256, origin, started_at, finished_at, bytes_read, bytes_stored, parts } =
            found;
        (run, manifest_sha256, origin, started_at, finished_at, bytes_read, bytes_stored, parts)
    }
}

/// Something in the object's folder that is no backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Odd {
    /// Its name, below that folder.
    pub name: String,
    /// Why it is none.
    pub why: String,
}

/// Why nobody could look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CatalogueFailure {
    /// From the closed list of runs.
    pub reason: Reason,
    /// A sentence with cause and remedy.
    pub message: String,
}

/// What a look found: one page of it, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CatalogueReport {
    /// [`VERSION`].
    pub version: u32,
    /// Finished backups in the order of their slots.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<Found>,
    /// What these have in common.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<Origin>,
    /// How many things of this page are no backups.
    #[serde(default)]
    pub odd: u64,
    /// The first of them, at most [`MAX_NAMED`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub named: Vec<Odd>,
    /// Last folder of a run: more may follow after this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Given instead of everything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<CatalogueFailure>,
}

impl CatalogueReport {
    /// A page on which nothing stands yet.
    pub fn nothing() -> Self {
        Self {
            version: VERSION,
            runs: vec![],
            origins: vec![],
            odd: 0,
            named: vec![],
            next: None,
            failure: None,
        }
    }

    /// That nobody could look.
    pub fn failed(reason: Reason, message: String) -> Self {
        Self { failure: Some(CatalogueFailure { reason, message }), ..Self::nothing() }
    }

    /// Puts a backup on the page; false: it has no room for it.
    pub fn add(&mut self, found: Found, origin: Origin) -> bool {
        let known = self.origins.iter().position(|known| *known == origin);
        let index = known.unwrap_or(self.origins.len());
        if known.is_none() {
            self.origins.push(origin);
        }
        self.runs.push(Found { origin: index, ..found });
        // Names of what is none give way to backups; where the next page begins does not.
        let bare = Self { named: vec![], next: Some("x".repeat(26)), ..self.clone() };
        if serde_json::to_string(&bare).is_ok_and(|json| json.len() <= MAX_REPORT_BYTES) {
            return true;
        }
        self.runs.pop();
        if known.is_none() {
            self.origins.pop();
        }
        false
    }

    /// The termination message: JSON within [`MAX_REPORT_BYTES`]. What is no backup gives way, the last one named first; of a
    /// failure the message's end.
    pub fn to_termination_message(&self) -> String {
        let mut report = self.clone();
        loop {
            let json = serde_json::to_string(&report).unwrap_or_default();
            let Some(excess) = json.len().checked_sub(MAX_REPORT_BYTES).filter(|excess| *excess > 0) else {
                return json;
            };
            match &mut report.failure {
                // JSON writes a byte in six at most: more than this share may be more than is needed.
                Some(failure) if !failure.message.is_empty() => {
                    let keep = failure.message.len().saturating_sub(excess.div_ceil(6));
                    failure.message = keep_start(&failure.message, keep);
                }
                _ if report.named.pop().is_some() => {}
                _ => return json,
            }
        }
    }

    /// Reads a termination message: hostile input. Whose the runs are, and what of them can be, is for whoever takes them in.
    ///
    /// # Errors
    /// [`ReportError`]; never a panic.
    pub fn parse(message: &str) -> Result<Self, ReportError> {
        if message.trim().is_empty() {
            return Err(ReportError::Empty);
        }
        let report: Self = serde_json::from_str(message.trim()).map_err(|_| ReportError::Malformed)?;
        let empty = report.runs.is_empty() && report.odd == 0 && report.next.is_none();
        let names: BTreeSet<_> = report.runs.iter().map(|found| found.run.as_str()).collect();
        let wrong = if report.version != VERSION {
            Some("unknown version")
        } else if report.failure.is_some() && !empty {
            Some("a failure with a page")
        } else if report.runs.len() > MAX_RUNS || report.named.len() > MAX_NAMED {
            Some("more than there can be")
        } else if names.len() < report.runs.len() || !names.iter().all(|name| is_run_id(name)) {
            Some("runs without folders of their own")
        } else if report.runs.iter().any(|found| found.origin >= report.origins.len()) {
            Some("a backup of nobody")
        } else if report.next.as_deref().is_some_and(|next| !is_run_id(next)) {
            Some("a next page that begins nowhere")
        } else {
            None
        };
        wrong.map_or(Ok(report), |why| Err(ReportError::Inconsistent(why)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        Origin {
            uid: "0b6d3c5e-0000-4000-8000-000000000001".into(),
            database_type: "postgres".into(),
            server_version: Some("18.1".into()),
            plugin: ("postgres".into(), "0.1.0".into(), format!("sha256:{}", "0".repeat(64))),
            image: "docker.io/library/postgres:18".into(),
            encrypted: true,
            recipients: vec!["age1jk2xcsutwv89d63cp0xqgk2hqsdmkrj2fg439qjwde6u0hg6qd4s6ux672".into()],
        }
    }

    fn found(day: u32) -> Found {
        Found {
            run: format!("2026{:02}{:02}T023000Z-0b8f7a1e", day / 28 + 1, day % 28 + 1),
            manifest_sha256: "0".repeat(64),
            origin: 0,
            started_at: 1_795_487_400,
            finished_at: 1_795_487_460,
            bytes_read: 123_456_789_012,
            bytes_stored: 12_345_678_901,
            parts: 12,
        }
    }

    #[test]
    fn a_page_holds_some_twenty_backups_and_comes_back_as_it_was() {
        let mut page = CatalogueReport::nothing();
        page.odd = 7;
        page.named = vec![Odd { name: "n".repeat(MAX_TOLD), why: "\"".repeat(MAX_TOLD) }; MAX_NAMED];
        let fits = (0..60).take_while(|day| page.add(found(*day), origin())).count();
        assert!((20..40).contains(&fits), "{fits}");
        assert_eq!((page.runs.len(), page.origins.len()), (fits, 1));
        page.next = page.runs.last().map(|found| found.run.clone());
        let message = page.to_termination_message();
        assert!(message.len() <= MAX_REPORT_BYTES, "{}", message.len());
        let back = CatalogueReport::parse(&message).unwrap();
        assert_eq!(
            (&back.runs, &back.origins, back.odd, &back.next),
            (&page.runs, &page.origins, 7, &page.next)
        );
    }

    #[test]
    fn what_takes_a_page_of_its_own_is_put_on_none() {
        let mut page = CatalogueReport::nothing();
        assert!(page.add(found(0), origin()));
        let before = page.clone();
        assert!(!page.add(found(1), Origin { image: "i".repeat(MAX_REPORT_BYTES), ..origin() }));
        assert_eq!(page, before);
        assert!(page.add(found(1), origin()));
    }

    #[test]
    fn a_long_failure_fits() {
        let failed = CatalogueReport::failed(Reason::StorageDenied, "ä\n\"".repeat(3000));
        let message = failed.to_termination_message();
        assert!(message.len() <= MAX_REPORT_BYTES);
        let back = CatalogueReport::parse(&message).unwrap();
        assert_eq!(back.failure.unwrap().reason, Reason::StorageDenied);
    }

    #[test]
    fn contradictions_and_nonsense_are_no_report() {
        let mut page = CatalogueReport::nothing();
        assert!(page.add(found(0), origin()) && page.add(found(1), origin()));
        let changed = |change: &dyn Fn(&mut CatalogueReport)| {
            let mut report = page.clone();
            change(&mut report);
            serde_json::to_string(&report).unwrap()
        };
        assert!(CatalogueReport::parse(&changed(&|_| ())).is_ok());
        for message in [
            changed(&|report| report.version = 2),
            changed(&|report| report.failure = CatalogueReport::failed(Reason::Internal, "x".into()).failure),
            changed(&|report| report.runs = (0..200).map(found).collect()),
            changed(&|report| report.named = vec![Odd { name: "n".into(), why: "w".into() }; MAX_NAMED + 1]),
            changed(&|report| report.runs[1].run = report.runs[0].run.clone()),
            changed(&|report| report.runs[1].run = "../20261124T023000Z-0b8f7a1e".into()),
            changed(&|report| report.runs[1].origin = 1),
            changed(&|report| report.next = Some("..".into())),
        ] {
            assert!(
                matches!(CatalogueReport::parse(&message), Err(ReportError::Inconsistent(_))),
                "{message}"
            );
        }
        assert_eq!(CatalogueReport::parse("Killed"), Err(ReportError::Malformed));
        assert_eq!(CatalogueReport::parse(" "), Err(ReportError::Empty));
    }
}

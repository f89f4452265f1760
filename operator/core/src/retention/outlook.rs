//! What `spec.retention` comes to: for the operator, which acts on it, and for whoever wants to see it beforehand.

use dbbackup_api::{ALLOW_REMOVALS_ANNOTATION, DatabaseBackup};
use jiff::tz::TimeZone;

use super::{Candidate, Fate, breaker, plan};
use crate::snapshot::Known;

/// What would become of each backup, and what is in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// Newest first.
    pub fates: Vec<Fate>,
    /// Why nothing may be removed although something is not kept: a stable word and a sentence.
    pub blocked: Option<(String, String)>,
}

/// Looks at all backups of the object that are not being removed yet, in any order.
pub fn outlook(object: &DatabaseBackup, known: &[Known], zone: &TimeZone) -> Outlook {
    let rules = object.spec.retention.clone().unwrap_or_default();
    let fates = plan(&rules, &known.iter().map(Candidate::from).collect::<Vec<_>>(), zone);
    if fates.iter().all(|fate| !fate.because.is_empty()) {
        return Outlook { fates, blocked: None };
    }
    let annotations = object.metadata.annotations.as_ref();
    let allowed = annotations.and_then(|all| all.get(ALLOW_REMOVALS_ANNOTATION)).map(String::as_str);
    let uid = object.metadata.uid.as_deref().unwrap_or_default();
    let newest = known.iter().max_by_key(|one| (one.at, &one.name));
    let blocked = newest
        .and_then(doubtful)
        .or_else(|| object.spec.suspend.then(suspended))
        .or_else(|| breaker::stopped(&rules, &fates, uid, allowed).map(|(reason, why)| (reason.into(), why)));
    Outlook { fates, blocked }
}

/// Why nothing may be removed, if this is the newest backup.
fn doubtful(newest: &Known) -> Option<(String, String)> {
    let (reason, message) = newest.doubt.as_ref()?;
    let name = &newest.name;
    Some((
        reason.clone(),
        format!("{message}; nothing is removed until a good backup follows snapshot {name}"),
    ))
}

fn suspended() -> (String, String) {
    ("Suspended".into(), "spec.suspend is true: no backup follows, so none is removed".into())
}

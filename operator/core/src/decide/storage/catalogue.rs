//! The catalogue that a user asks for: each finished backup in storage gets its snapshot, a page at a time, the oldest first.

use dbbackup_api::{
    CATALOGUE_NOW_ANNOTATION, DatabaseBackupStatus, FOUND_ANNOTATION, status::CatalogueStatus,
};
use dbbackup_protocol::{
    catalogue::{CatalogueReport, MAX_NAMED, Scope},
    contract::Issue,
    work_order::Storage,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{ATTEMPTS, NewCatalogue, Standing, What, Wish, settle, stand, wait_after};
use crate::{
    decide::{Draft, Event, report},
    names, snapshot,
};

/// A token that was not used before begins anew, whatever the one before has come to.
pub(super) fn accept(draft: &mut Draft<'_>) {
    let annotations = draft.object.metadata.annotations.as_ref();
    let Some(token) = annotations.and_then(|all| all.get(CATALOGUE_NOW_ANNOTATION)) else { return };
    let known = draft.status.catalogue.as_ref().is_some_and(|catalogue| catalogue.token == *token);
    if known || token.is_empty() {
        return;
    }
    draft.status.catalogue = Some(CatalogueStatus {
        token: token.clone(),
        start_time: Time(draft.now),
        completion_time: None,
        failure_reason: None,
        message: None,
        found: 0,
        recorded: 0,
        refused: 0,
        odd: 0,
        named: vec![],
        after: None,
        failures: 0,
        retry_time: None,
    });
}

pub(super) fn wish(draft: &Draft<'_>) -> Option<Wish> {
    let catalogue =
        draft.status.catalogue.as_ref().filter(|catalogue| catalogue.completion_time.is_none())?;
    let CatalogueStatus { token, after, failures, retry_time, .. } = catalogue;
    let what = ["all", token, after.as_deref().unwrap_or_default(), &failures.to_string()];
    let name = names::catalogue_job_name(draft.name(), draft.uid(), &what);
    let new = NewCatalogue { name, scope: Scope::All { after: after.clone() } };
    let at = retry_time.as_ref().map_or(draft.now, |time| time.0);
    Some(Wish { new, what: What::All, at })
}

/// Takes a page in; false: some of its snapshots are to be made first.
pub(super) fn take_in(draft: &mut Draft<'_>, storage: &Storage, page: &CatalogueReport) -> bool {
    let Some(mut catalogue) = draft.status.catalogue.clone() else { return true };
    if page.next.is_some() && page.next <= catalogue.after {
        could_not(draft, ("CatalogueLost", "the report does not go on where the one before has ended"), true);
        return true;
    }
    let mut pending = false;
    let mut known = vec![];
    for found in &page.runs {
        let Some(origin) = page.origins.get(found.origin) else { continue };
        let token = Some(catalogue.token.as_str());
        let standing = match snapshot::of_storage(draft.object, storage, (found, origin), token, draft.now) {
            Ok(new) => stand(draft, new),
            Err(why) => {
                catalogue.odd += 1;
                name(&mut catalogue, &found.run, &why);
                continue;
            }
        };
        catalogue.found += 1;
        match standing {
            Standing::Pending => pending = true,
            Standing::Recorded(snapshot) => {
                let annotations = snapshot.metadata.annotations.as_ref();
                let by = annotations.and_then(|all| all.get(FOUND_ANNOTATION));
                catalogue.recorded += i64::from(by == Some(&catalogue.token));
                known.push((&found.run, snapshot));
            }
            Standing::Refused(why) => {
                catalogue.refused += 1;
                name(&mut catalogue, &found.run, &why);
            }
        }
    }
    if pending {
        return false;
    }
    for (run, snapshot) in known {
        settle::found(draft, run, &snapshot);
    }
    catalogue.odd = catalogue.odd.saturating_add(i64::try_from(page.odd).unwrap_or(i64::MAX));
    for odd in &page.named {
        name(&mut catalogue, &odd.name, &odd.why);
    }
    (catalogue.failures, catalogue.retry_time) = (0, None);
    if page.next.is_some() {
        catalogue.after.clone_from(&page.next);
    } else {
        catalogue.completion_time = Some(Time(draft.now));
        catalogue.message = Some(report::cut(&summary(&catalogue)));
    }
    draft.status.catalogue = Some(catalogue);
    true
}

fn name(catalogue: &mut CatalogueStatus, what: &str, why: &str) {
    if catalogue.named.len() < MAX_NAMED {
        catalogue.named.push(format!("{what}: {why}"));
    }
}

fn summary(catalogue: &CatalogueStatus) -> String {
    let CatalogueStatus { found, recorded, refused, odd, named, .. } = catalogue;
    let had = found - recorded - refused;
    let of_them = format!("{recorded} got a DatabaseSnapshot, {had} had one");
    let none = if *refused > 0 { format!(", {refused} can have none") } else { String::new() };
    let mut told = vec![format!("{found} finished backups are in storage: {of_them}{none}")];
    if *odd > 0 {
        told.push(format!("{odd} other things are there that are no backups"));
    }
    told.extend(named.iter().cloned());
    told.join("; ")
}

pub(super) fn could_not(draft: &mut Draft<'_>, (reason, message): (&str, &str), retryable: bool) {
    let now = draft.now;
    let Some(catalogue) = &mut draft.status.catalogue else { return };
    catalogue.failures = catalogue.failures.saturating_add(1);
    if retryable && catalogue.failures < ATTEMPTS {
        let at = now + wait_after(catalogue.failures);
        catalogue.retry_time = Some(Time(at));
        return draft.wake_by(at);
    }
    catalogue.retry_time = None;
    catalogue.completion_time = Some(Time(now));
    catalogue.failure_reason = Some(report::cut(&format!("{reason}: {message}")));
}

/// The destination itself is wrong.
pub(super) fn cannot(draft: &mut Draft<'_>, issues: &[Issue]) {
    if super::is_under_way(&draft.status) {
        could_not(draft, ("StorageInvalid", &Issue::sentence(issues)), false);
    }
}

pub(super) fn told(old: &DatabaseBackupStatus, new: &DatabaseBackupStatus) -> Option<Event> {
    let catalogue = new.catalogue.as_ref().filter(|catalogue| catalogue.completion_time.is_some())?;
    let same = |old: &CatalogueStatus| old.token == catalogue.token && old.completion_time.is_some();
    if old.catalogue.as_ref().is_some_and(same) {
        return None;
    }
    let (warning, reason, message) = if let Some(why) = &catalogue.failure_reason {
        (true, "CatalogueFailed", format!("storage was not looked through: {why}"))
    } else {
        let doubtful = catalogue.odd > 0 || catalogue.refused > 0;
        (doubtful, "CatalogueComplete", catalogue.message.clone().unwrap_or_default())
    };
    Some(Event {
        warning,
        reason: reason.into(),
        message: report::cut(&message),
        slot: None,
        job: None,
        slots: 1,
    })
}

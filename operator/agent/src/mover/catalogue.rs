//! The mover of a look into storage: says which finished backups of one object are there. It writes nothing and removes nothing.
//! Whatever it meets is hostile: names, manifests, how much of it there is.
//!
//! It goes through the object's folder in the order of names, so slots come oldest first, and ends where the report is full. Memory
//! is bounded by one manifest; how much it walks through by [`LOOKED_AT`], and by the deadline.

use std::time::Duration;

use dbbackup_protocol::{
    catalogue::{CatalogueOrder, CatalogueReport, Found, MAX_NAMED, MAX_TOLD, Odd, Origin, Scope},
    layout::{self, is_run_id, parse_run_id},
    manifest::{self, Manifest, ManifestError},
    report::Reason,
    speech::fit,
    work_order::Trigger,
};
use futures::TryStreamExt as _;
use object_store::path::Path;
use sha2::{Digest as _, Sha256};
use tokio::time::sleep;

use super::{
    commit, folder,
    store::{Entry, Patience, Store},
    terminated,
};
use crate::{failure::Failure, paths::PodPaths, text::hex};

/// So many folders of runs are looked into for one page, whatever is in them.
const LOOKED_AT: usize = 500;
/// Recipients that are longer together are left out of the report: they would take the place of everything else.
const RECIPIENTS_BYTES: usize = 640;

/// Carries out the order and reports; never fails otherwise. `stop` completes when the pod is being terminated.
pub async fn run(
    order: &CatalogueOrder,
    paths: &PodPaths,
    stop: impl Future<Output = ()>,
) -> CatalogueReport {
    let limit = Duration::from_secs(order.limits.deadline_seconds);
    let looked = tokio::select! {
        biased;
        () = stop => Err(terminated("look into storage")),
        () = sleep(limit) => Err(too_late(limit)),
        looked = open_and_look(order, paths) => looked,
    };
    looked.unwrap_or_else(failure_report)
}

/// The report of an order that could not be carried out.
pub fn failure_report(failure: Failure) -> CatalogueReport {
    let Failure { reason, message, .. } = failure;
    CatalogueReport::failed(reason, message)
}

async fn open_and_look(order: &CatalogueOrder, paths: &PodPaths) -> Result<CatalogueReport, Failure> {
    let CatalogueOrder { namespace, name, storage, scope, .. } = order;
    let store = Store::open(storage, paths, Patience::Look)?;
    let object = folder(&layout::object_prefix(storage, namespace, name))?;
    look(&store, &Whose { namespace, name, folder: object }, scope).await
}

/// Of which object.
struct Whose<'a> {
    namespace: &'a str,
    name: &'a str,
    folder: Path,
}

async fn look(store: &Store, whose: &Whose<'_>, scope: &Scope) -> Result<CatalogueReport, Failure> {
    let mut page = Page { report: CatalogueReport::nothing(), mark: None, looked_at: 0 };
    let after = match scope {
        Scope::Run(run) if is_run_id(run) => {
            page.take(store, whose, run).await?;
            return Ok(page.report);
        }
        Scope::All { after } if after.as_deref().is_none_or(is_run_id) => after.as_deref(),
        Scope::Run(run) | Scope::All { after: Some(run) } => {
            let message = format!("{run:?} is not the folder of a run");
            return Err(Failure::new(Reason::WorkOrderInvalid, message));
        }
        Scope::All { after: None } => None,
    };
    let mut entries = store.entries(&whose.folder, after);
    let mut before = after.map(|after| Entry::Folder(after.to_owned()).key());
    while let Some(entry) = entries.try_next().await? {
        // A folder shows once for each object in it, and what an earlier page has told may come once more.
        let key = Some(entry.key());
        if key <= before {
            continue;
        }
        before = key;
        match &entry {
            Entry::Folder(run) if is_run_id(run) => {
                if !page.take(store, whose, run).await? {
                    return Ok(page.cut());
                }
            }
            Entry::Folder(name) => page.odd(name, "no run has such a folder"),
            Entry::Object(name) => page.odd(name, "it lies beside the folders of runs"),
        }
    }
    Ok(page.report)
}

/// The report in the making.
struct Page {
    report: CatalogueReport,
    /// The last run that was looked at, and what had been told of oddities then.
    mark: Option<(String, u64, usize)>,
    looked_at: usize,
}

impl Page {
    /// Looks at a run; false: the page is full, and nothing was said of it.
    async fn take(&mut self, store: &Store, whose: &Whose<'_>, run: &str) -> Result<bool, Failure> {
        if self.looked_at >= LOOKED_AT {
            return Ok(false);
        }
        match look_at(store, whose, run).await? {
            Look::Backup(backup) => {
                let (found, origin) = *backup;
                let alone = CatalogueReport::nothing().add(found.clone(), origin.clone());
                if !alone {
                    self.odd(run, "its manifest says more than a report can carry");
                } else if !self.report.add(found, origin) {
                    return Ok(false);
                }
            }
            Look::Odd(why) => self.odd(run, &why),
        }
        self.looked_at += 1;
        self.mark = Some((run.to_owned(), self.report.odd, self.report.named.len()));
        Ok(true)
    }

    /// Up to the last run: what comes after that is told by the next page.
    fn cut(mut self) -> CatalogueReport {
        if let Some((run, odd, named)) = self.mark {
            self.report.odd = odd;
            self.report.named.truncate(named);
            self.report.next = Some(run);
        }
        self.report
    }

    fn odd(&mut self, name: &str, why: &str) {
        self.report.odd += 1;
        if self.report.named.len() < MAX_NAMED {
            self.report.named.push(Odd { name: fit(name, MAX_TOLD), why: fit(why, MAX_TOLD) });
        }
    }
}

/// What the folder of a run is.
enum Look {
    Backup(Box<(Found, Origin)>),
    Odd(String),
}

/// Nobody is taken for absent who cannot be seen: what a listing shows and cannot be read is a failure.
async fn look_at(store: &Store, whose: &Whose<'_>, run: &str) -> Result<Look, Failure> {
    let folder = whose.folder.clone().join(run);
    let path = commit::manifest_path(&folder);
    if !store.may_be_read(&path) {
        return Ok(Look::Odd("its manifest is no file".into()));
    }
    let bytes = match store.read(&path, manifest::MAX_BYTES).await {
        Ok(bytes) => bytes,
        Err(Failure { reason: Reason::ManifestConflict, .. }) => {
            return Ok(Look::Odd(format!("its manifest has more than {} bytes", manifest::MAX_BYTES)));
        }
        Err(failure) => return Err(failure),
    };
    let Some(bytes) = bytes else {
        if store.lists(&path).await? {
            let message =
                format!("{path} in {} is there and cannot be read: the keys need that right", store.place());
            return Err(Failure::new(Reason::StorageDenied, message));
        }
        return Ok(Look::Odd("it has no manifest: not finished, or left over".into()));
    };
    let manifest = match Manifest::parse(&bytes) {
        Ok(manifest) => manifest,
        Err(error) => return Ok(Look::Odd(unreadable(&error))),
    };
    if let Some(why) = of_another(&manifest, whose, run).or_else(|| unspeakable(&manifest)) {
        return Ok(Look::Odd(why));
    }
    if let Some((object, wrong)) = commit::damage(store, &folder, &manifest).await? {
        return Ok(Look::Odd(format!("its object {object:?} {wrong}")));
    }
    let sum = |bytes: fn(&manifest::StoredPart) -> u64| {
        manifest.parts.iter().map(bytes).fold(0, u64::saturating_add)
    };
    let found = Found {
        run: run.to_owned(),
        manifest_sha256: hex(&Sha256::digest(&bytes)),
        origin: 0,
        started_at: manifest.started_at.as_second(),
        finished_at: manifest.finished_at.as_second(),
        bytes_read: sum(|part| part.bytes),
        bytes_stored: sum(|part| part.stored_bytes),
        parts: u32::try_from(manifest.parts.len()).unwrap_or(u32::MAX),
    };
    Ok(Look::Backup(Box::new((found, origin(manifest)))))
}

fn origin(manifest: Manifest) -> Origin {
    let Manifest { uid, database_type, server_version, plugin, client_image, encryption, .. } = manifest;
    let encrypted = encryption.is_some();
    let recipients = encryption.map(|age| age.recipients).unwrap_or_default();
    let short = recipients.iter().map(String::len).sum::<usize>() <= RECIPIENTS_BYTES;
    Origin {
        uid,
        database_type,
        server_version,
        plugin: (plugin.id, plugin.version, plugin.digest),
        image: client_image,
        encrypted,
        recipients: if short { recipients } else { vec![] },
    }
}

/// A parser's words quote what it has read: not from here.
fn unreadable(error: &ManifestError) -> String {
    match error {
        ManifestError::Malformed(error) => {
            format!("its manifest is none (line {}, column {})", error.line(), error.column())
        }
        ManifestError::Version(version) => format!("its manifest has version {version}"),
        ManifestError::Empty => "its manifest names no part".into(),
        ManifestError::Foreign(_) => "its manifest is of another run".into(),
    }
}

/// A manifest lies in the folder of its own run, or it was put there.
fn of_another(manifest: &Manifest, whose: &Whose<'_>, run: &str) -> Option<String> {
    let Some((slot, discriminator)) = parse_run_id(run) else { return Some("no slot has its name".into()) };
    let manual = discriminator.starts_with('m');
    let what = if manifest.namespace != whose.namespace {
        "namespace"
    } else if manifest.name != whose.name {
        "name"
    } else if manifest.slot.as_second() != slot.as_second() {
        "slot"
    } else if (manifest.trigger == Trigger::Manual) != manual {
        "trigger"
    } else {
        return None;
    };
    Some(format!("its manifest has the {what} of another run"))
}

/// Words and versions are short and of plain characters.
fn unspeakable(manifest: &Manifest) -> Option<String> {
    let Manifest { uid, database_type, server_version, plugin, client_image, encryption, .. } = manifest;
    let recipients = encryption.iter().flat_map(|age| &age.recipients);
    let short = [uid, database_type, &plugin.id, &plugin.version, &plugin.digest, client_image];
    let plain = |text: &&String| text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let all = short.into_iter().chain(server_version).chain(recipients);
    (!all.into_iter().all(|text| plain(&text)))
        .then(|| "its manifest holds characters that no word of it has".into())
}

fn too_late(limit: Duration) -> Failure {
    let message = format!("the storage was not looked through within {} s", limit.as_secs());
    Failure::new(Reason::DeadlineExceeded, message)
}

#[cfg(test)]
mod tests;

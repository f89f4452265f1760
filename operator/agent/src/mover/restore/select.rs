//! What of a backup is restored, how and under which name: pure, from the manifest and the order. Both come from elsewhere: the
//! manifest out of the storage, the names of the order from a user.

use std::collections::{BTreeMap, BTreeSet};

use dbbackup_protocol::{
    manifest::{Manifest, StoredPart},
    report::Reason,
    restore::{Effect, Input, PartRestore, RestoreOrder},
};

use crate::failure::Failure;

/// One part to restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chosen<'a> {
    pub(super) stored: &'a StoredPart,
    /// Index of what is done with it in the plan.
    pub(super) index: usize,
    pub(super) plan: &'a PartRestore,
    /// The name that its item gets in the target.
    pub(super) item: Option<String>,
}

impl Chosen<'_> {
    /// For people, for example `database "shop"`.
    pub(super) fn what(&self) -> String {
        match &self.stored.item {
            Some(item) => format!("{} {item:?}", self.stored.name),
            None => self.stored.name.clone(),
        }
    }

    /// The process has to have all bytes, proved, before it does anything that stays.
    pub(super) fn proves_itself(&self) -> bool {
        self.plan.load.effect == Effect::AtEnd || self.plan.load.input != Input::Stdin
    }
}

/// The parts to restore, in the order of the manifest.
///
/// # Errors
/// [`Reason::BackupNotSuitable`] says what does not fit.
pub(super) fn choose<'a>(
    manifest: &'a Manifest,
    order: &'a RestoreOrder,
) -> Result<Vec<Chosen<'a>>, Failure> {
    let items: BTreeSet<&str> = manifest.parts.iter().filter_map(|part| part.item.as_deref()).collect();
    let renames: BTreeMap<&str, &str> =
        order.renames.iter().map(|rename| (rename.source.as_str(), rename.target.as_str())).collect();
    if !items.is_empty() {
        let asked = order.databases.iter().map(String::as_str).chain(renames.keys().copied());
        if let Some(unknown) = asked.into_iter().find(|name| !items.contains(name)) {
            let known: Vec<_> = items.iter().take(10).collect();
            return Err(unsuitable(format!("it does not hold {unknown:?}; it holds {known:?}")));
        }
    }
    let wanted = |item: &str| order.databases.is_empty() || order.databases.iter().any(|name| name == item);
    let mut chosen = Vec::new();
    let mut targets = BTreeSet::new();
    for stored in &manifest.parts {
        if order.plan.skipped.contains(&stored.name) || !stored.item.as_deref().is_none_or(wanted) {
            continue;
        }
        let Some((index, plan)) =
            order.plan.parts.iter().enumerate().find(|(_, plan)| plan.part == stored.name)
        else {
            return Err(unsuitable(format!(
                "it has a part {:?}, which plugin {} does not know how to restore with these settings",
                stored.name, order.plugin.id
            )));
        };
        let item = stored.item.as_deref().map(|item| (*renames.get(item).unwrap_or(&item)).to_owned());
        if let Some(item) = &item {
            if item.is_empty() || item.contains('\0') {
                return Err(unsuitable(format!("{item:?} is no name that a process could be given")));
            }
            if !targets.insert((index, item.clone())) {
                return Err(unsuitable(format!(
                    "two of its parts would become {item:?}: rename one of them"
                )));
            }
        }
        chosen.push(Chosen { stored, index, plan, item });
    }
    let lacks = |plan: &&PartRestore| plan.required && !chosen.iter().any(|it| it.stored.name == plan.part);
    if let Some(missing) = order.plan.parts.iter().find(lacks) {
        return Err(unsuitable(format!(
            "it has no part {:?}, without which plugin {} does not restore with these settings: give the restore the \
             settings of the backup",
            missing.part, order.plugin.id
        )));
    }
    if chosen.is_empty() {
        return Err(unsuitable("nothing of it is wanted"));
    }
    Ok(chosen)
}

fn unsuitable(why: impl std::fmt::Display) -> Failure {
    Failure::new(Reason::BackupNotSuitable, format!("the backup cannot be restored like this: {why}"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn manifest(parts: &[(&str, Option<&str>)]) -> Manifest {
        let parts: Vec<_> = parts
            .iter()
            .map(|(name, item)| {
                json!({
                    "name": name, "item": item, "object": "a/p", "mediaType": "m", "bytes": 1, "sha256": "s",
                    "storedBytes": 1, "storedSha256": "s", "compression": {"algorithm": "none"}, "restore": [],
                })
            })
            .collect();
        serde_json::from_value(json!({
            "version": 1, "namespace": "n", "name": "o", "uid": "u", "job": "j", "slot": "2026-11-24T02:30:00Z",
            "trigger": "schedule", "databaseType": "x", "clientImage": "i", "parts": parts, "restoreByHand": [],
            "plugin": {"id": "p", "version": "1", "digest": "d"},
            "startedAt": "2026-11-24T02:30:00Z", "finishedAt": "2026-11-24T02:30:00Z",
        }))
        .unwrap()
    }

    fn order(change: impl FnOnce(&mut Value)) -> RestoreOrder {
        let load = json!({
            "process": {"argv": [], "env": [], "files": []}, "input": "stdin", "effect": "at-end", "exit_codes": [0]
        });
        let part = |name: &str, required: bool| {
            json!({
                "part": name, "required": required, "contents": null, "create": [], "clear": [], "load": load,
                "finish": []
            })
        };
        let mut order = json!({
            "version": 1, "namespace": "n", "name": "r", "client_image": "i", "bindings": [], "folder": "f",
            "plugin": {"id": "p", "version": "1", "digest": "d"}, "manifest_sha256": null,
            "plan": {
                "image": null, "existing": null, "skipped": ["globals"], "scratch_mebibytes": null,
                "parts": [part("database", true), part("extra", false)],
            },
            "storage": {"type": "pvc", "claim": "c", "path": ""}, "databases": [], "renames": [], "mode": "refuse",
            "dry_run": false, "limits": {"deadline_seconds": 1, "connect_seconds": 1, "grace_seconds": 1}, "private_key": null,
        });
        change(&mut order);
        serde_json::from_value(order).unwrap()
    }

    #[test]
    fn what_is_chosen_and_what_it_is_called() {
        type Case = (fn(&mut Value), &'static [(&'static str, Option<&'static str>)]);
        let server = [("globals", None), ("database", Some("a")), ("database", Some("b")), ("extra", None)];
        let cases: [Case; 4] = [
            (|_| {}, &[("database", Some("a")), ("database", Some("b")), ("extra", None)]),
            (|order| order["databases"] = json!(["b"]), &[("database", Some("b")), ("extra", None)]),
            (
                |order| order["renames"] = json!([{"source": "a", "target": "--c"}]),
                &[("database", Some("--c")), ("database", Some("b")), ("extra", None)],
            ),
            (
                |order| {
                    order["renames"] =
                        json!([{"source": "a", "target": "b"}, {"source": "b", "target": "a"}]);
                },
                &[("database", Some("b")), ("database", Some("a")), ("extra", None)],
            ),
        ];
        for (change, expected) in cases {
            let (manifest, order) = (manifest(&server), order(change));
            let chosen = choose(&manifest, &order).unwrap();
            let found: Vec<_> =
                chosen.iter().map(|it| (it.stored.name.as_str(), it.item.as_deref())).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_with_a_sentence() {
        type Case = (&'static [(&'static str, Option<&'static str>)], fn(&mut Value), &'static str);
        let cases: [Case; 8] = [
            (&[("database", Some("a")), ("secret", None)], |_| {}, "part \"secret\""),
            (&[("database", Some("a"))], |order| order["databases"] = json!(["b"]), "does not hold \"b\""),
            (
                &[("database", Some("a"))],
                |order| order["renames"] = json!([{"source": "b", "target": "c"}]),
                "does not hold \"b\"",
            ),
            (
                &[("database", Some("a")), ("database", Some("b"))],
                |order| order["renames"] = json!([{"source": "a", "target": "b"}]),
                "two of its parts",
            ),
            (&[("database", Some("a\0b"))], |_| {}, "no name"),
            (&[("database", Some(""))], |_| {}, "no name"),
            (&[("extra", None)], |_| {}, "no part \"database\""),
            (
                &[("globals", None)],
                |order| order["plan"]["parts"][0]["required"] = json!(false),
                "nothing of it is wanted",
            ),
        ];
        for (parts, change, words) in cases {
            let failure = choose(&manifest(parts), &order(change)).unwrap_err();
            assert_eq!(failure.reason, Reason::BackupNotSuitable);
            assert!(failure.message.contains(words), "{failure}");
        }
    }
}

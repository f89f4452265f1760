//! Which runs may start now, under caps on how many run at a time: pure. One gate asks it for all objects, so catching up
//! after an outage passes the same caps as everything else.

use std::{collections::BTreeMap, fmt};

use dbbackup_api::{
    CLAIM_ANNOTATION, DESTINATION_ANNOTATION, DatabaseBackup, SERVER_ANNOTATION, storage::StorageType,
};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;

/// What a run uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// Its namespace.
    pub namespace: String,
    /// The bucket, or the claim in its namespace.
    pub destination: Option<String>,
    /// The database server.
    pub server: Option<String>,
    /// The claim, where it takes one run at a time.
    pub claim: Option<String>,
}

/// How many runs may run at a time; none: any number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caps {
    /// In the whole operator.
    pub all: Option<usize>,
    /// Of one namespace.
    pub namespace: Option<usize>,
    /// To one destination.
    pub destination: Option<usize>,
    /// From one database server.
    pub server: Option<usize>,
}

/// A run that wants to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiter {
    /// Its slot: who is due first comes first.
    pub slot: Timestamp,
    /// Namespace and name of its Job, for an order among those of one slot.
    pub job: (String, String),
    /// What it would use.
    pub uses: Uses,
}

/// The cap in whose way a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cap {
    /// [`Caps::all`].
    All,
    /// [`Caps::namespace`].
    Namespace,
    /// [`Caps::destination`].
    Destination,
    /// [`Caps::server`].
    Server,
    /// A claim that cannot be mounted on several nodes.
    Claim,
}

/// What becomes of a waiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may start.
    Start,
    /// It waits.
    Wait {
        /// For a place under this cap.
        cap: Cap,
        /// How many run under it.
        running: usize,
        /// Its place among those that wait for the same, from 1 on.
        place: usize,
    },
}

/// One verdict for each waiter, in their order. Waiters are served by slot, and who waits for one thing holds up nobody who
/// needs another. Time: waiters × caps, with a sort.
pub fn admit(waiting: &[Waiter], running: &[Uses], caps: &Caps) -> Vec<Verdict> {
    let mut taken: BTreeMap<(Cap, &str), usize> = BTreeMap::new();
    for uses in running {
        for key in keys(uses) {
            *taken.entry(key).or_default() += 1;
        }
    }
    let mut queued: BTreeMap<(Cap, &str), usize> = BTreeMap::new();
    let mut order: Vec<(usize, &Waiter)> = waiting.iter().enumerate().collect();
    order.sort_by_key(|(_, waiter)| (waiter.slot, &waiter.job));
    let mut verdicts = vec![Verdict::Start; waiting.len()];
    for (index, waiter) in order {
        let count = |key: &(Cap, &str)| taken.get(key).copied().unwrap_or_default();
        let full = keys(&waiter.uses).find(|key| caps.of(key.0).is_some_and(|cap| count(key) >= cap));
        match full {
            None => keys(&waiter.uses).for_each(|key| *taken.entry(key).or_default() += 1),
            Some(key) => {
                let place = queued.entry(key).or_default();
                *place += 1;
                if let Some(verdict) = verdicts.get_mut(index) {
                    *verdict = Verdict::Wait { cap: key.0, running: count(&key), place: *place };
                }
            }
        }
    }
    verdicts
}

/// What is nearest to the user comes first, because it says most.
fn keys(uses: &Uses) -> impl Iterator<Item = (Cap, &str)> {
    let named =
        [(Cap::Claim, &uses.claim), (Cap::Server, &uses.server), (Cap::Destination, &uses.destination)];
    let named = named.into_iter().filter_map(|(cap, name)| Some((cap, name.as_deref()?)));
    named.chain([(Cap::Namespace, uses.namespace.as_str()), (Cap::All, "")])
}

impl Caps {
    fn of(&self, cap: Cap) -> Option<usize> {
        match cap {
            Cap::All => self.all,
            Cap::Namespace => self.namespace,
            Cap::Destination => self.destination,
            Cap::Server => self.server,
            Cap::Claim => Some(1),
        }
    }
}

impl Uses {
    /// Of a run of this object. `exclusive`: its claim takes one run at a time.
    pub fn of(object: &DatabaseBackup, exclusive: bool) -> Self {
        let namespace = object.metadata.namespace.clone().unwrap_or_default();
        let storage = &object.spec.storage_destination;
        let destination = match storage.type_ {
            StorageType::Pvc => {
                format!("pvc:{namespace}/{}", storage.pvc_name.as_deref().unwrap_or_default())
            }
            // The account is in the Secret, and two accounts have containers of one name.
            StorageType::Azure if storage.endpoint.is_none() => {
                let secret = storage.secret_name.as_deref().unwrap_or_default();
                format!("azure:{namespace}/{secret}/{}", storage.bucket.as_deref().unwrap_or_default())
            }
            kind => {
                let endpoint = storage.endpoint.as_deref().unwrap_or_default().trim_end_matches('/');
                format!("{}:{endpoint}/{}", kind.as_str(), storage.bucket.as_deref().unwrap_or_default())
            }
        };
        let server = object.spec.connection.as_ref().map(|connection| {
            let host = connection.host.to_ascii_lowercase();
            // A Service's short name means another one in each namespace.
            let host = if host.contains(['.', ':']) { host } else { format!("{host}.{namespace}.svc") };
            let port = connection.port.map(|port| format!(":{port}")).unwrap_or_default();
            format!("{}://{host}{port}", object.spec.database_type)
        });
        let claim = exclusive.then(|| destination.clone()).filter(|_| storage.type_ == StorageType::Pvc);
        Self { namespace, destination: Some(destination), server, claim }
    }

    /// Of a Job that runs, by its annotations. A Job without them counts for its namespace and for all.
    pub fn of_job(job: &Job) -> Self {
        let annotation = |key: &str| {
            job.metadata.annotations.as_ref().and_then(|annotations| annotations.get(key)).cloned()
        };
        Self {
            namespace: job.metadata.namespace.clone().unwrap_or_default(),
            destination: annotation(DESTINATION_ANNOTATION),
            server: annotation(SERVER_ANNOTATION),
            claim: annotation(CLAIM_ANNOTATION),
        }
    }

    /// By which [`Uses::of_job`] finds it again.
    pub fn annotations(&self) -> impl Iterator<Item = (String, String)> {
        let named = [
            (DESTINATION_ANNOTATION, &self.destination),
            (SERVER_ANNOTATION, &self.server),
            (CLAIM_ANNOTATION, &self.claim),
        ];
        named.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.clone()?)))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Wait { cap, running, place } = self else { return f.write_str("it may start") };
        let (under, remedy) = match cap {
            Cap::All => ("in this operator", "the administrator's --max-runs"),
            Cap::Namespace => ("in this namespace", "the administrator's --max-runs-per-namespace"),
            Cap::Destination => ("to this destination", "the administrator's --max-runs-per-destination"),
            Cap::Server => ("from this database server", "the administrator's --max-runs-per-server"),
            Cap::Claim => ("on this claim", "the claim is not ReadWriteMany"),
        };
        let verb = if *running == 1 { "runs" } else { "run" };
        write!(f, "{running} {verb} already {under} ({remedy}); it has place {place}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn uses(namespace: &str, server: &str) -> Uses {
        let server = Some(server.to_owned()).filter(|server| !server.is_empty());
        Uses { namespace: namespace.into(), destination: Some("s3:/b".into()), server, claim: None }
    }

    fn waiter(second: i64, namespace: &str, server: &str) -> Waiter {
        let slot = Timestamp::from_second(second).unwrap();
        Waiter { slot, job: (namespace.into(), format!("job-{second}")), uses: uses(namespace, server) }
    }

    #[test]
    fn who_is_due_first_comes_first_and_holds_up_nobody_else() {
        let caps = Caps { all: Some(3), server: Some(1), ..Caps::default() };
        let waiting = [
            waiter(4, "a", "x"),
            waiter(2, "a", "x"),
            waiter(1, "a", "x"),
            waiter(3, "b", "y"),
            waiter(5, "b", ""),
        ];
        let wait = |cap, running, place| Verdict::Wait { cap, running, place };
        let (start, server) = (Verdict::Start, Cap::Server);
        let nothing_runs = [wait(server, 1, 2), wait(server, 1, 1), start, start, start];
        assert_eq!(admit(&waiting, &[], &caps), nothing_runs);
        let running = [uses("c", "x"), uses("c", "z")];
        let expected =
            [wait(server, 1, 3), wait(server, 1, 2), wait(server, 1, 1), start, wait(Cap::All, 3, 1)];
        assert_eq!(admit(&waiting, &running, &caps), expected);
        assert_eq!(admit(&waiting, &running, &Caps::default()), [start; 5]);
    }

    #[test]
    fn a_claim_that_is_not_shared_takes_one() {
        let on_claim = |claim: Option<&str>| Uses { claim: claim.map(Into::into), ..uses("a", "") };
        let waiting = [Waiter { uses: on_claim(Some("pvc:a/b")), ..waiter(1, "a", "") }];
        let admitted = |running: &[Uses]| admit(&waiting, running, &Caps::default());
        assert_eq!(admitted(&[on_claim(None)]), [Verdict::Start]);
        let verdicts = admitted(&[on_claim(Some("pvc:a/b"))]);
        assert!(verdicts[0].to_string().contains("the claim is not ReadWriteMany"), "{}", verdicts[0]);
    }

    #[test]
    fn what_a_run_uses_is_found_again_on_its_job() {
        let object: DatabaseBackup = serde_json::from_value(json!({
            "apiVersion": "db.example.io/v1alpha1", "kind": "DatabaseBackup",
            "metadata": {"name": "orders", "namespace": "shop"},
            "spec": {"schedule": "@daily", "databaseType": "postgres", "connection": {"host": "DB", "port": 5432},
                     "storageDestination": {"type": "pvc", "pvcName": "backups"}}
        }))
        .unwrap();
        let uses = Uses::of(&object, true);
        assert_eq!(uses.server.as_deref(), Some("postgres://db.shop.svc:5432"));
        assert_eq!(uses.claim.as_deref(), Some("pvc:shop/backups"));
        let mut job = Job::default();
        job.metadata.namespace = Some("shop".into());
        job.metadata.annotations = Some(uses.annotations().collect());
        assert_eq!(Uses::of_job(&job), uses);
        assert_eq!(Uses::of(&object, false).claim, None);
    }

    fn any_uses() -> impl Strategy<Value = Uses> {
        ("[ab]", "[ab]?", "[xy]?", "[c]?").prop_map(|(namespace, destination, server, claim)| {
            let some = |text: String| Some(text).filter(|text| !text.is_empty());
            Uses { namespace, destination: some(destination), server: some(server), claim: some(claim) }
        })
    }

    proptest! {
        #[test]
        fn no_cap_is_broken_and_nobody_waits_for_nothing(
            running in prop::collection::vec(any_uses(), 0..6),
            waiting in prop::collection::vec((0_i64..4, any_uses()), 0..10),
            (all, namespace, destination, server) in (0_usize..6, 1_usize..4, 1_usize..4, 1_usize..3),
        ) {
            let caps = Caps {
                all: (all > 0).then_some(all),
                namespace: Some(namespace),
                destination: Some(destination),
                server: Some(server),
            };
            let waiting: Vec<_> = waiting
                .into_iter()
                .enumerate()
                .map(|(index, (second, uses))| Waiter {
                    slot: Timestamp::from_second(second).unwrap(),
                    job: ("n".into(), index.to_string()),
                    uses,
                })
                .collect();
            let verdicts = admit(&waiting, &running, &caps);
            let mut after = running.clone();
            after.extend(waiting.iter().zip(&verdicts).filter(|(_, v)| **v == Verdict::Start).map(|(w, _)| w.uses.clone()));
            let count = |all: &[Uses], key: (Cap, &str)| all.iter().filter(|uses| keys(uses).any(|k| k == key)).count();
            for uses in &after {
                for key in keys(uses) {
                    let before = count(&running, key);
                    let bound = caps.of(key.0).map_or(usize::MAX, |cap| cap.max(before));
                    prop_assert!(count(&after, key) <= bound, "{key:?}");
                }
            }
            for (waiter, verdict) in waiting.iter().zip(&verdicts) {
                if let Verdict::Wait { cap, .. } = verdict {
                    let key = keys(&waiter.uses).find(|key| key.0 == *cap).unwrap();
                    prop_assert!(count(&after, key) >= caps.of(*cap).unwrap());
                }
            }
        }
    }
}

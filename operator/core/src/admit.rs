//! Which runs may start now, under caps on how many run at a time: pure. One gate asks it for all objects, so catching up
//! after an outage passes the same caps as everything else.

mod queue;
#[cfg(test)]
mod tests;

use std::fmt;

use dbbackup_api::{
    CLAIM_ANNOTATION, DESTINATION_ANNOTATION, DatabaseBackup, PURPOSE_LABEL, RESTORE_LABEL,
    SERVER_ANNOTATION, storage::StorageType,
};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;

pub use queue::{LAPSE, Queue};

/// What a run uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uses {
    /// It counts under every cap. What only reads the storage is in nobody's way but where it has a claim that others wait for.
    pub is_run: bool,
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

/// Namespace and name.
pub type Name = (String, String);

/// A cap, and of what.
type Key = (Cap, String);

/// A run that wants to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiter {
    /// Its slot: who is due first comes first.
    pub slot: Timestamp,
    /// Its Job, also for an order among those of one slot.
    pub job: Name,
    /// Whose run it is.
    pub object: Name,
    /// What it would use.
    pub uses: Uses,
    /// Jobs that are ended for it: it takes their places over.
    pub replaces: Vec<Name>,
}

/// The cap in whose way a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// What a run counts under, of what has a cap. What is nearest to the user comes first, because it says most.
fn keys<'a>(uses: &'a Uses, caps: &'a Caps) -> impl Iterator<Item = Key> + use<'a> {
    let named = [
        (Cap::Claim, uses.claim.as_deref()),
        (Cap::Server, uses.server.as_deref()),
        (Cap::Destination, uses.destination.as_deref()),
        (Cap::Namespace, Some(&*uses.namespace)),
        (Cap::All, Some("")),
    ];
    let capped = move |(cap, _): &(Cap, _)| caps.of(*cap).is_some() && (uses.is_run || *cap == Cap::Claim);
    named.into_iter().filter(capped).filter_map(|(cap, name)| Some((cap, name?.to_owned())))
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
        Self { is_run: true, namespace, destination: Some(destination), server, claim }
    }

    /// Of what only reads this storage.
    #[must_use]
    pub fn to_read(self) -> Self {
        Self { is_run: false, destination: None, server: None, ..self }
    }

    /// Of a Job that runs, by its annotations. A run's without them counts for its namespace and for all.
    pub fn of_job(job: &Job) -> Self {
        let labels = job.metadata.labels.as_ref();
        let reads = |label: &&str| labels.is_some_and(|labels| labels.contains_key(*label));
        let annotation = |key: &str| {
            job.metadata.annotations.as_ref().and_then(|annotations| annotations.get(key)).cloned()
        };
        Self {
            is_run: ![PURPOSE_LABEL, RESTORE_LABEL].iter().any(reads),
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

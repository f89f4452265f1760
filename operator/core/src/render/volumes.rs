//! Volumes and who mounts them: the wall between the database's secrets and the storage's.

use std::collections::BTreeMap;

use dbbackup_api::{DatabaseBackupSpec, backup::DatabaseTls, storage::StorageType};
use dbbackup_protocol::{
    contract::Issue,
    pod::{
        AGENT_DIR, AZURE_ACCOUNT, AZURE_KEY, AZURE_SAS_TOKEN, BACKUPS_DIR, BINDINGS_DIR, CONFIG_DIR,
        DATABASE_TLS_DIR, GCS_CREDENTIALS, PRIVATE_KEY_DIR, S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY,
        S3_SESSION_TOKEN, SCRATCH_DIR, SOCKET_DIR, STORAGE_CA_DIR, STORAGE_CREDENTIALS_DIR,
        WEB_IDENTITY_AUDIENCE, WEB_IDENTITY_DIR,
    },
    work_order::SecretKey,
};
use k8s_openapi::{
    api::core::v1::{
        EmptyDirVolumeSource, KeyToPath, PersistentVolumeClaimVolumeSource, ProjectedVolumeSource,
        SecretProjection, ServiceAccountTokenProjection, Volume, VolumeMount, VolumeProjection,
    },
    apimachinery::pkg::api::resource::Quantity,
};

use super::pod::{Parts, Purpose};
use crate::secrets;

/// Readable by the group (`fsGroup`), by nobody else.
const SECRET_MODE: i32 = 0o440;
/// The agent is a static binary of some 10 MB.
const AGENT_MEBIBYTES: u32 = 64;
/// A socket has no size; config files are a part of a plan.
const SMALL_MEBIBYTES: u32 = 1;
/// Scratch where the plan asks for none: `HOME` and `TMPDIR` of its processes.
const SCRATCH_MEBIBYTES: u32 = 64;

/// File names below [`DATABASE_TLS_DIR`] and [`STORAGE_CA_DIR`], as `protocol::pod` has them.
const CA: &str = "ca.crt";
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";
/// Below [`WEB_IDENTITY_DIR`].
const TOKEN: &str = "token";
/// The least that Kubernetes allows. The kubelet renews it long before, and whoever reads it reads it anew.
const TOKEN_SECONDS: i64 = 600;
/// Below [`PRIVATE_KEY_DIR`].
const IDENTITY: &str = "identity";

/// Who mounts a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mounter {
    /// Copies the agent.
    Install,
    /// Runs the plan.
    Client,
    /// Holds the storage keys.
    Mover,
}

/// A volume and its mounts.
#[derive(Clone, Debug)]
pub(super) struct Mounted {
    pub(super) volume: Volume,
    path: &'static str,
    writers: &'static [Mounter],
    readers: &'static [Mounter],
}

impl Mounted {
    /// The mount of one container, if it has one.
    pub(super) fn mount(&self, by: Mounter) -> Option<VolumeMount> {
        let writes = self.writers.contains(&by);
        (writes || self.readers.contains(&by)).then(|| VolumeMount {
            name: self.volume.name.clone(),
            mount_path: self.path.to_owned(),
            read_only: (!writes).then_some(true),
            ..VolumeMount::default()
        })
    }
}

/// Keys of one Secret and the files that they become.
#[derive(Clone, Debug)]
pub(super) struct SecretFiles {
    secret: String,
    /// Key and file name.
    files: Vec<(String, String)>,
}

/// All volumes of a pod.
pub(super) fn all(parts: &Parts<'_>) -> Vec<Mounted> {
    use Mounter::{Client, Install, Mover};
    let scratch = parts.scratch_mebibytes.unwrap_or_default().max(SCRATCH_MEBIBYTES);
    let mut all = match parts.purpose {
        Purpose::Removal | Purpose::Catalogue => vec![],
        Purpose::Backup | Purpose::Probe | Purpose::Restore => vec![
            empty("agent", AGENT_DIR, AGENT_MEBIBYTES, None, (&[Install], &[Client])),
            empty("socket", SOCKET_DIR, SMALL_MEBIBYTES, Some("Memory"), (&[Client, Mover], &[])),
            empty("config", CONFIG_DIR, SMALL_MEBIBYTES, Some("Memory"), (&[Client], &[])),
            empty("scratch", SCRATCH_DIR, scratch, None, (&[Client], &[])),
        ],
    };
    all.extend(projected("bindings", BINDINGS_DIR, bindings(parts), &[Client]));
    all.extend(projected("database-tls", DATABASE_TLS_DIR, parts.tls.clone(), &[Client]));
    if parts.purpose == Purpose::Probe {
        return all;
    }
    all.extend(projected("storage-credentials", STORAGE_CREDENTIALS_DIR, credentials(parts.spec), &[Mover]));
    all.extend(projected("storage-ca", STORAGE_CA_DIR, storage_ca(parts.spec), &[Mover]));
    all.extend(web_identity(parts.spec));
    all.extend(claim(parts.spec, parts.purpose));
    all.extend(projected("private-key", PRIVATE_KEY_DIR, parts.private_key.clone(), &[Mover]));
    all
}

/// The files of `connection.tls`.
///
/// # Errors
/// Names that cannot be.
pub(super) fn database_tls(spec: &DatabaseBackupSpec) -> Result<Vec<SecretFiles>, Vec<Issue>> {
    let Some(DatabaseTls { mode: _, ca_secret, client_secret_name }) =
        spec.connection.as_ref().and_then(|connection| connection.tls.as_ref())
    else {
        return Ok(vec![]);
    };
    let mut issues = vec![];
    let mut files = vec![];
    if let Some(ca) = ca_secret {
        issues.extend(secrets::reference_issues("/connection/tls/caSecret", ca));
        files.push(SecretFiles { secret: ca.name.clone(), files: vec![(ca.key.clone(), CA.into())] });
    }
    if let Some(secret) = client_secret_name {
        issues.extend(secrets::name_issue("/connection/tls/clientSecretName", secret));
        let same = [CERTIFICATE, KEY].map(|key| (key.to_owned(), key.to_owned()));
        files.push(SecretFiles { secret: secret.clone(), files: same.into() });
    }
    if issues.is_empty() { Ok(files) } else { Err(issues) }
}

/// The file of a private key.
pub(super) fn private_key(key: &SecretKey) -> SecretFiles {
    SecretFiles { secret: key.secret.clone(), files: vec![(key.key.clone(), IDENTITY.into())] }
}

/// One file for each binding, named like it, whatever the key is called.
fn bindings(parts: &Parts<'_>) -> Vec<SecretFiles> {
    let mut by_secret: BTreeMap<&str, Vec<(String, String)>> = BTreeMap::new();
    for bound in parts.bindings {
        by_secret.entry(&bound.secret).or_default().push((bound.key.clone(), bound.name.clone()));
    }
    by_secret.into_iter().map(|(secret, files)| SecretFiles { secret: secret.to_owned(), files }).collect()
}

fn credentials(spec: &DatabaseBackupSpec) -> Vec<SecretFiles> {
    let keys: &[&str] = match spec.storage_destination.type_ {
        StorageType::S3 => &[S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY, S3_SESSION_TOKEN],
        StorageType::Gcs => &[GCS_CREDENTIALS],
        StorageType::Azure => &[AZURE_ACCOUNT, AZURE_KEY, AZURE_SAS_TOKEN],
        StorageType::Pvc => return vec![],
    };
    let files: Vec<_> = keys.iter().map(|&key| (key.to_owned(), key.to_owned())).collect();
    let secret = spec.storage_destination.secret_name.iter();
    secret.map(|secret| SecretFiles { secret: secret.clone(), files: files.clone() }).collect()
}

fn storage_ca(spec: &DatabaseBackupSpec) -> Vec<SecretFiles> {
    let destination = &spec.storage_destination;
    let ca = destination.ca_secret.iter().filter(|_| destination.type_ != StorageType::Pvc);
    ca.map(|ca| SecretFiles { secret: ca.name.clone(), files: vec![(ca.key.clone(), CA.into())] }).collect()
}

/// The one token of a service account that a pod may have: the mover's, and for the store's token service only. The volume's
/// name is what `deploy/policies/jobs.yaml` knows it by.
fn web_identity(spec: &DatabaseBackupSpec) -> Option<Mounted> {
    let destination = &spec.storage_destination;
    destination.web_identity.as_ref().filter(|_| destination.type_ == StorageType::S3)?;
    let token = ServiceAccountTokenProjection {
        audience: Some(WEB_IDENTITY_AUDIENCE.into()),
        expiration_seconds: Some(TOKEN_SECONDS),
        path: TOKEN.into(),
    };
    Some(Mounted {
        volume: Volume {
            name: "web-identity".into(),
            projected: Some(ProjectedVolumeSource {
                default_mode: Some(SECRET_MODE),
                sources: Some(vec![VolumeProjection {
                    service_account_token: Some(token),
                    ..VolumeProjection::default()
                }]),
            }),
            ..Volume::default()
        },
        path: WEB_IDENTITY_DIR,
        writers: &[],
        readers: &[Mounter::Mover],
    })
}

fn claim(spec: &DatabaseBackupSpec, purpose: Purpose) -> Option<Mounted> {
    let (writers, readers): Mounters = match purpose {
        Purpose::Restore | Purpose::Catalogue => (&[], &[Mounter::Mover]),
        Purpose::Backup | Purpose::Removal | Purpose::Probe => (&[Mounter::Mover], &[]),
    };
    let destination = &spec.storage_destination;
    let claim_name = destination.pvc_name.clone().filter(|_| destination.type_ == StorageType::Pvc)?;
    Some(Mounted {
        volume: Volume {
            name: "backups".into(),
            persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                claim_name,
                ..PersistentVolumeClaimVolumeSource::default()
            }),
            ..Volume::default()
        },
        path: BACKUPS_DIR,
        writers,
        readers,
    })
}

type Mounters = (&'static [Mounter], &'static [Mounter]);

fn empty(
    name: &str,
    path: &'static str,
    mebibytes: u32,
    medium: Option<&str>,
    (writers, readers): Mounters,
) -> Mounted {
    Mounted {
        volume: Volume {
            name: name.into(),
            empty_dir: Some(EmptyDirVolumeSource {
                medium: medium.map(Into::into),
                size_limit: Some(Quantity(format!("{mebibytes}Mi"))),
            }),
            ..Volume::default()
        },
        path,
        writers,
        readers,
    }
}

/// Optional throughout: a pod whose Secret is missing would wait for it without a word; the agent names it.
fn projected(
    name: &str,
    path: &'static str,
    files: Vec<SecretFiles>,
    readers: &'static [Mounter],
) -> Option<Mounted> {
    if files.is_empty() {
        return None;
    }
    let sources = files.into_iter().map(|SecretFiles { secret, files }| VolumeProjection {
        secret: Some(SecretProjection {
            name: secret,
            items: Some(files.into_iter().map(|(key, path)| KeyToPath { key, path, mode: None }).collect()),
            optional: Some(true),
        }),
        ..VolumeProjection::default()
    });
    Some(Mounted {
        volume: Volume {
            name: name.into(),
            projected: Some(ProjectedVolumeSource {
                default_mode: Some(SECRET_MODE),
                sources: Some(sources.collect()),
            }),
            ..Volume::default()
        },
        path,
        writers: &[],
        readers,
    })
}

//! `DatabaseBackup`: what to back up, when, where to.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    retention::{Objectives, Retention},
    status::DatabaseBackupStatus,
    storage::{SecretKeyRef, StorageDestination},
    template::PodTemplate,
};

/// A schedule of verified backups of one database server.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "db.example.io",
    version = "v1alpha1",
    kind = "DatabaseBackup",
    namespaced,
    status = "DatabaseBackupStatus",
    shortname = "dbb",
    category = "db-backup",
    doc = "A schedule of verified backups of one database server.",
    derive = "PartialEq",
    validation = Rule::new("self.metadata.name.matches('^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$')")
        .message("metadata.name must be a DNS label of at most 40 characters (lower case letters, digits and '-'), \
                  because the names of Jobs are made from it"),
    printcolumn(name = "Type", type_ = "string", json_path = ".spec.databaseType"),
    printcolumn(name = "Schedule", type_ = "string", json_path = ".spec.schedule"),
    printcolumn(name = "Suspend", type_ = "boolean", json_path = ".spec.suspend", priority = 1),
    printcolumn(name = "Last Status", type_ = "string", json_path = ".status.lastBackupStatus"),
    printcolumn(name = "Last Success", type_ = "date", json_path = ".status.lastSuccessfulBackup"),
    printcolumn(name = "Next", type_ = "string", json_path = ".status.nextScheduledBackup"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.failureReason", priority = 1)
)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseBackupSpec {
    /// When to back up, as five cron fields: minute, hour, day of month, month, day of week (0 or 7 is Sunday);
    /// or one of `@hourly @daily @midnight @weekly @monthly @yearly @annually`. Where both day fields are
    /// restricted, either is enough.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(
        validation = Rule::new("!self.contains('TZ=')").message(
            "a time zone does not belong into spec.schedule: use spec.timeZone"
        ),
        validation = Rule::new(
            "self.matches('^\\\\s*(@(hourly|daily|midnight|weekly|monthly|yearly|annually)|[^@\\\\s]\\\\S*(\\\\s+\\\\S+){4})\\\\s*$')"
        ).message(
            "spec.schedule needs exactly five fields (minute hour day-of-month month day-of-week), or one of \
             @hourly @daily @midnight @weekly @monthly @yearly @annually; seconds, @every and @reboot are not supported"
        )
    )]
    pub schedule: String,

    /// IANA time zone of `schedule`, for example `Europe/Berlin`. A time that daylight saving skips runs at the
    /// first instant after the gap; one that it repeats runs once, at the first.
    #[serde(default = "utc")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = Rule::new("self != 'Local'").message(
        "spec.timeZone must name a zone, for example Europe/Berlin: what is local to the operator is nobody's business"
    ))]
    pub time_zone: String,

    /// Start no scheduled run. Slots that pass meanwhile are not made up. A run by annotation works all the same.
    #[serde(default)]
    pub suspend: bool,

    /// Delays the start of every slot by a fixed part of this window, chosen by namespace and name, so that many objects
    /// with one schedule do not start at once: for example `30m` or `6h`, at most `24h`. The slot does not move, and with
    /// it the names of the Job and of the backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 16))]
    #[x_kube(validation = Rule::new(
        "self.matches('^([0-9]{1,5}h)?([0-9]{1,4}m)?([0-9]{1,5}s)?$') && duration(self) <= duration('24h')"
    ).message("spec.spread is a duration of at most 24h in hours, minutes and seconds, for example 30m or 1h30m"))]
    pub spread: Option<String>,

    /// What happens to a slot that comes due while an earlier run has not ended. `Forbid`: it waits until the earlier
    /// run has ended. `Allow`: both run. `Replace`: the earlier run is ended, then the slot starts.
    #[serde(default)]
    pub concurrency_policy: ConcurrencyPolicy,

    /// A slot that could not start within this many seconds is missed instead of late. Unset: however late, the
    /// latest missed slot is made up, once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 10, max = 31_536_000))]
    pub starting_deadline_seconds: Option<i64>,

    /// How many succeeded Jobs to keep. The backups in storage are not touched.
    #[serde(default = "default_successful_history")]
    #[schemars(range(min = 0, max = 100))]
    pub successful_jobs_history_limit: i32,

    /// How many failed Jobs to keep.
    #[serde(default = "default_failed_history")]
    #[schemars(range(min = 0, max = 100))]
    pub failed_jobs_history_limit: i32,

    /// A run that takes longer has failed. Default: 6 hours.
    #[serde(default = "default_active_deadline")]
    #[schemars(range(min = 60, max = 604_800))]
    pub active_deadline_seconds: i64,

    /// How often a failed attempt of a run is repeated, where repeating can help.
    #[serde(default = "default_backoff_limit")]
    #[schemars(range(min = 0, max = 6))]
    pub backoff_limit: i32,

    /// Kind of database: a type that a loaded plugin serves, such as `postgres`, `mysql`, `mariadb`, `mongodb` or
    /// `generic`. An unknown type is handled by the `generic` plugin, and a condition says so.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')").message(
        "spec.databaseType is a word of lower case letters, digits, '-' and '.', for example postgres"
    ))]
    pub database_type: String,

    /// The server. `generic` can do without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<Connection>,

    /// Settings of the plugin, checked against its JSON Schema; `condition PluginResolved` names what is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free_object")]
    pub settings: Option<Map<String, Value>>,

    /// Another client image than the plugin's. It must match the administrator's allow-list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub image: Option<String>,

    /// Which plugin plans, where it is not to be chosen by `databaseType`. Whatever is given has to fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<PluginPin>,

    /// Where the backups go.
    pub storage_destination: StorageDestination,

    /// How the stored bytes are compressed.
    #[serde(default)]
    pub compression: Compression,

    /// Whose keys open the backups. Unset: they are stored as they are, and the store may encrypt them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,

    /// What your cluster needs of the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_template: Option<PodTemplate>,

    /// Which backups to keep. Unset: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,

    /// What backups have to be like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objectives: Option<Objectives>,
}

/// Which plugin plans. Whatever is given has to fit; a digest alone names one exactly.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("has(self.id) || has(self.digest)").message(
    "spec.plugin needs an id or a digest: a version alone names no plugin"
))]
#[serde(rename_all = "camelCase")]
pub struct PluginPin {
    /// Id of the plugin, for example `postgres` or `redis.example.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub id: Option<String>,
    /// Exactly this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub version: Option<String>,
    /// Exactly these bytes: `sha256:` and 64 hex digits, as `status.plugin.digest` has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 71))]
    #[x_kube(validation = Rule::new("self.matches('^sha256:[0-9a-f]{64}$')").message(
        "spec.plugin.digest is sha256: and 64 hex digits in lower case"
    ))]
    pub digest: Option<String>,
}

/// What happens to a slot that comes due while an earlier run has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConcurrencyPolicy {
    /// The slot waits until the earlier run has ended.
    #[default]
    Forbid,
    /// Both run.
    Allow,
    /// The earlier run is ended, then the slot starts.
    Replace,
}

/// Where the database server is and how to log in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    /// Host name, Service name or address.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9._:-]+$') && !self.startsWith('-')").message(
        "connection.host is a host name, a Service name or an IP address, without port, scheme or spaces"
    ))]
    pub host: String,
    /// Port; unset: the engine's usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,
    /// The one database to back up; unset: all, unless `settings` say otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub database: Option<String>,
    /// A Secret with what is needed to log in. The operator never reads it: the pod mounts the named keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// Encryption of the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<DatabaseTls>,
}

/// A Secret with what is needed to log in. The operator never reads it: the pod mounts the named keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    /// Name of a Secret in the same namespace.
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: String,
    /// Maps names of the plugin's bindings (`username`, `password`, …) to keys of the Secret. A binding that the
    /// plugin requires and that is not named here is taken from the key of its own name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub keys: BTreeMap<String, String>,
}

/// Encryption of the connection to the database, in the words of libpq.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// Never TLS.
    Disable,
    /// TLS, without a look at the server's certificate.
    Require,
    /// TLS, and the certificate is signed by a known authority.
    VerifyCa,
    /// TLS, the certificate is signed by a known authority and names the host.
    VerifyFull,
}

/// Encryption of the connection to the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("!self.mode.startsWith('verify-') || has(self.caSecret)").message(
    "connection.tls.caSecret is needed to verify the server: name a Secret with the authority's certificate"
))]
#[serde(rename_all = "camelCase")]
pub struct DatabaseTls {
    /// `disable`: never TLS. `require`: TLS, without a look at the server's certificate. `verify-ca`: the certificate is
    /// signed by an authority of `caSecret`. `verify-full`: it also names the host.
    pub mode: TlsMode,
    /// PEM certificates of the authorities to trust.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret: Option<SecretKeyRef>,
    /// Name of a Secret of type `kubernetes.io/tls` with the client's certificate and key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub client_secret_name: Option<String>,
}

/// How the stored bytes are compressed. What a plan says to be compressed already is stored as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("!(self.longWindow && self.threads > 1)").message(
    "compression.longWindow takes one thread: leave compression.threads at 1"
))]
#[serde(rename_all = "camelCase")]
pub struct Compression {
    /// `zstd` (RFC 8878, with content checksum) or `none`.
    #[serde(default)]
    pub algorithm: CompressionAlgorithm,
    /// 1 (fast) to 19 (small).
    #[serde(default = "default_level")]
    #[schemars(range(min = 1, max = 19))]
    pub level: i32,
    /// Threads that compress, where one is slower than dump and store. The mover's memory limit grows by 16 MiB for
    /// each at level 5, 64 MiB at level 9 and 112 MiB above.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 8))]
    pub threads: i32,
    /// Look for repetitions within 128 MiB, not a few: smaller where a dump repeats itself at a distance. Costs
    /// 144 MiB of memory in the pod, and 128 MiB to restore.
    #[serde(default)]
    pub long_window: bool,
}

impl Default for Compression {
    fn default() -> Self {
        Self {
            algorithm: CompressionAlgorithm::default(),
            level: default_level(),
            threads: one(),
            long_window: false,
        }
    }
}

/// Whose keys open the backups: the format of age (age-encryption.org/v1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Encryption {
    /// Public keys, of which each one's private key opens the backups: `age1…` (as `age-keygen` prints it), `ssh-ed25519 …`
    /// or `ssh-rsa …` (a line of a `.pub` file), or `age1tag1…` and `age1tagpq1…` (hardware keys, the second one hybrid
    /// post-quantum). Private keys have no place in the cluster: it writes backups that it cannot read.
    #[schemars(length(min = 1, max = 16), inner(length(max = 2100)))]
    #[x_kube(validation = Rule::new(
        "self.all(key, key.matches('^(age1[0-9a-z]+|ssh-(ed25519|rsa) [A-Za-z0-9+/]+=*( [ -~]*)?)$'))"
    ).message(
        "spec.encryption.recipients are public keys: age1…, ssh-ed25519 … or ssh-rsa …, each without a space or line \
         break at its ends; a private key (AGE-SECRET-KEY-1…) must never be here"
    ))]
    pub recipients: Vec<String>,
}

/// Algorithms of [`Compression`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CompressionAlgorithm {
    /// RFC 8878.
    #[default]
    Zstd,
    /// Stored as the dump tool writes it.
    None,
}

fn utc() -> String {
    "UTC".into()
}
fn default_successful_history() -> i32 {
    3
}
fn default_failed_history() -> i32 {
    1
}
/// 6 hours: long enough for a big dump, short enough that a hung one is seen the same day.
pub(crate) fn default_active_deadline() -> i64 {
    6 * 60 * 60
}
/// 1: a dump is not tried seven times against a server in trouble.
fn default_backoff_limit() -> i32 {
    1
}
fn one() -> i32 {
    1
}
/// zstd's own default: about the speed of a disk.
fn default_level() -> i32 {
    3
}

/// `settings` is whatever the plugin's schema allows: the API server keeps it as it is.
pub(crate) fn free_object(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "nullable": true,
        "x-kubernetes-preserve-unknown-fields": true
    })
}

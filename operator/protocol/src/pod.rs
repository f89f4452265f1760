//! Where things are in a run's pod: agreed between the renderer of the Job and the agent.

/// Name of the container that holds the storage keys, moves the bytes and judges.
pub const MOVER: &str = "mover";
/// Name of the container that runs the plan's processes in the plan's image.
pub const CLIENT: &str = "client";
/// Name of the init container that copies the agent for the client container.
pub const INSTALL: &str = "install-agent";

/// Path of the agent inside the operator's image.
pub const AGENT_IN_IMAGE: &str = "/bin/agent";
/// Folder (emptyDir) into which [`INSTALL`] copies the agent; in `INSTALL` and, read-only, in [`CLIENT`].
pub const AGENT_DIR: &str = "/run/db-backup/agent";
/// The copied agent.
pub const AGENT: &str = "/run/db-backup/agent/agent";
/// Folder (emptyDir) of the socket, in both containers.
pub const SOCKET_DIR: &str = "/run/db-backup/socket";
/// Unix socket on which the mover listens.
pub const SOCKET: &str = "/run/db-backup/socket/mover.sock";

/// In-memory folder of the client for rendered config files: the plugin's `config-dir`.
pub const CONFIG_DIR: &str = "/run/db-backup/config";
/// Writable folder of the client: the plugin's `scratch-dir`, also `HOME` and `TMPDIR` of its processes.
pub const SCRATCH_DIR: &str = "/run/db-backup/scratch";
/// Folder of the client with one file for each binding, named like it.
pub const BINDINGS_DIR: &str = "/run/db-backup/bindings";
/// Folder of the client with [`DATABASE_CA`] and the like.
pub const DATABASE_TLS_DIR: &str = "/run/db-backup/database-tls";
/// Authorities for the database's certificate.
pub const DATABASE_CA: &str = "/run/db-backup/database-tls/ca.crt";
/// The client's certificate.
pub const DATABASE_CERTIFICATE: &str = "/run/db-backup/database-tls/tls.crt";
/// The client's key.
pub const DATABASE_KEY: &str = "/run/db-backup/database-tls/tls.key";

/// Folder of the mover with the storage secret's keys.
pub const STORAGE_CREDENTIALS_DIR: &str = "/credentials";
/// Folder of the mover with [`STORAGE_CA`].
pub const STORAGE_CA_DIR: &str = "/run/db-backup/storage-ca";
/// Authorities for the storage endpoint's certificate.
pub const STORAGE_CA: &str = "/run/db-backup/storage-ca/ca.crt";
/// Folder of the mover with [`WEB_IDENTITY_TOKEN`].
pub const WEB_IDENTITY_DIR: &str = "/run/db-backup/web-identity";
/// A service account's token for [`WEB_IDENTITY_AUDIENCE`], which the kubelet renews.
pub const WEB_IDENTITY_TOKEN: &str = "/run/db-backup/web-identity/token";
/// For whom the token is, and for nobody else: the API server takes it for nothing.
pub const WEB_IDENTITY_AUDIENCE: &str = "sts.amazonaws.com";
/// Folder of the mover of a restore with [`PRIVATE_KEY`].
pub const PRIVATE_KEY_DIR: &str = "/run/db-backup/private-key";
/// The private key that opens the backup.
pub const PRIVATE_KEY: &str = "/run/db-backup/private-key/identity";
/// Where the claim of a `pvc` destination is mounted in the mover.
pub const BACKUPS_DIR: &str = "/backups";

/// Environment variable with the work order, in both containers.
pub const ENV_WORK_ORDER: &str = "WORK_ORDER";
/// Environment variable with the order of a probe, in both containers, instead of [`ENV_WORK_ORDER`].
pub const ENV_PROBE_ORDER: &str = "PROBE_ORDER";
/// Environment variable with the order of a restore, in both containers, instead of [`ENV_WORK_ORDER`].
pub const ENV_RESTORE_ORDER: &str = "RESTORE_ORDER";
/// Environment variable with the order of a removal, in the mover, which is alone, instead of [`ENV_WORK_ORDER`].
pub const ENV_REMOVAL_ORDER: &str = "REMOVAL_ORDER";
/// Environment variable with the order of a look into storage, in the mover, which is alone, instead of [`ENV_WORK_ORDER`].
pub const ENV_CATALOGUE_ORDER: &str = "CATALOGUE_ORDER";
/// Environment variable with the pod's UID (downward API), in the mover: parts of different attempts never
/// share a key.
pub const ENV_POD_UID: &str = "POD_UID";
/// Original variable: `spec.databaseType`.
pub const ENV_DB_TYPE: &str = "DB_TYPE";
/// Original variable: `spec.storageDestination.type`.
pub const ENV_STORAGE_TYPE: &str = "STORAGE_TYPE";
/// Original variable: `spec.storageDestination.bucket`.
pub const ENV_BUCKET: &str = "BUCKET";
/// `spec.storageDestination.path`; the original's `PATH` would destroy the container's search path.
pub const ENV_BACKUP_PATH: &str = "BACKUP_PATH";

/// Keys of an S3 storage secret.
pub const S3_ACCESS_KEY_ID: &str = "AWS_ACCESS_KEY_ID";
/// Keys of an S3 storage secret.
pub const S3_SECRET_ACCESS_KEY: &str = "AWS_SECRET_ACCESS_KEY";
/// Optional key of an S3 storage secret.
pub const S3_SESSION_TOKEN: &str = "AWS_SESSION_TOKEN";
/// Key of a storage secret for Google Cloud Storage: the JSON key file of a service account.
pub const GCS_CREDENTIALS: &str = "GOOGLE_APPLICATION_CREDENTIALS";
/// Key of a storage secret for Azure: name of the storage account.
pub const AZURE_ACCOUNT: &str = "AZURE_STORAGE_ACCOUNT";
/// Key of a storage secret for Azure: the account's key; or else [`AZURE_SAS_TOKEN`].
pub const AZURE_KEY: &str = "AZURE_STORAGE_KEY";
/// Key of a storage secret for Azure: a shared access signature.
pub const AZURE_SAS_TOKEN: &str = "AZURE_STORAGE_SAS_TOKEN";

/// The file that the kubelet reads a termination message from.
pub const TERMINATION_LOG: &str = "/dev/termination-log";

/// Exit code of the mover for a failure that a second attempt could cure: the Job's backoff applies.
pub const EXIT_RETRYABLE: i32 = 1;
/// Exit code of the mover for a failure that a second attempt would repeat: the pod failure policy fails the
/// Job at once.
pub const EXIT_PERMANENT: i32 = 64;

//! Where things are: the paths of [`dbbackup_protocol::pod`], optionally below another root.

use std::path::{Path, PathBuf};

use dbbackup_protocol::pod;

/// All paths that the agent touches.
#[derive(Clone, Debug)]
pub struct PodPaths {
    /// Unix socket of the mover.
    pub socket: PathBuf,
    /// Left by the mover when it takes no client any more: a shim that comes later need not wait.
    pub done: PathBuf,
    /// Rendered config files.
    pub config: PathBuf,
    /// Writable folder of the processes.
    pub scratch: PathBuf,
    /// One file for each binding.
    pub bindings: PathBuf,
    /// One file for each key of the storage secret.
    pub credentials: PathBuf,
    /// The token of a service account, for the store's token service.
    pub web_identity_token: PathBuf,
    /// Authorities of the storage endpoint.
    pub storage_ca: PathBuf,
    /// The private key of a restore.
    pub private_key: PathBuf,
    /// Root of the claim.
    pub backups: PathBuf,
    /// The run report goes here.
    pub termination_log: PathBuf,
}

impl Default for PodPaths {
    fn default() -> Self {
        Self::under(Path::new("/"))
    }
}

impl PodPaths {
    /// The same tree below `root`: for tests, and to try the agent without a cluster.
    pub fn under(root: &Path) -> Self {
        let at = |path: &str| root.join(path.trim_start_matches('/'));
        Self {
            socket: at(pod::SOCKET),
            done: at(pod::SOCKET_DIR).join("mover.done"),
            config: at(pod::CONFIG_DIR),
            scratch: at(pod::SCRATCH_DIR),
            bindings: at(pod::BINDINGS_DIR),
            credentials: at(pod::STORAGE_CREDENTIALS_DIR),
            web_identity_token: at(pod::WEB_IDENTITY_TOKEN),
            storage_ca: at(pod::STORAGE_CA),
            private_key: at(pod::PRIVATE_KEY),
            backups: at(pod::BACKUPS_DIR),
            termination_log: at(pod::TERMINATION_LOG),
        }
    }
}

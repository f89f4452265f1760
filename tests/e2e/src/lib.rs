//! What the end-to-end tests are written with: a namespace for each test, servers, stores, backups and restores,
//! all of it through `kubectl`, as a user would.
//!
//! The tests need a cluster with the operator in it (`make e2e`) and are ignored otherwise. `KUBECONFIG` names the
//! cluster. `E2E_KEEP=1` keeps the servers for the next run; everything else is removed when the tests have ended.

mod backup;
mod certificates;
mod cli;
mod clouds;
mod comeback;
mod everything;
mod folder;
mod kubectl;
mod leaks;
mod looks;
mod operator;
mod restore;
mod seed;
mod server;
mod servers;
mod store;
mod world;

pub use backup::{Backup, Ended, Run, Spec, job_name, manual_job_name};
pub use certificates::Certificates;
pub use cli::Said;
pub use clouds::{Cloud, Vendor, borrowed, key_file};
pub use comeback::{Restore, restore_of, with};
pub use everything::documents;
pub use kubectl::{Call, DEADLINE, kubectl, until};
pub use operator::Operator;
pub use restore::{Download, untar};
pub use seed::{DIFFERENT, Fingerprint, HOSTILE_NAMES, Login};
pub use server::{Engine, Server};
pub use servers::{SERVERS_NAMESPACE, shared};
pub use store::Store;
pub use world::{OPERATOR_NAMESPACE, World, run};

use sha2::{Digest, Sha256};

/// SHA-256, as hexadecimal digits.
pub fn sha256(bytes: impl AsRef<[u8]>) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

/// A value that stands for a secret in tests: everything that bites, around a core by which [`World`] finds it again
/// in whatever encoding. Each test's are its own.
pub fn nasty_secret(purpose: &str) -> String {
    format!("{} '\"\\`$(POD_UID) $HOME %41 &:/@?#\n\u{e9}\u{4e16}\u{1f600}\t;--", leaks::core(purpose))
}

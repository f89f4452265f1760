//! The way back: the plan of `wit/restore.wit`, and the order that a restore's pod carries out. Its report is a run report
//! with [`Restored`] in it.

use serde::{Deserialize, Serialize};

use crate::{
    contract::{Fact, Request},
    plan::{Process, Separator},
    work_order::{BoundSecret, EnvValue, Limits, PluginRef, SecretKey, Storage},
};

/// Version of the order.
pub const VERSION: u32 = 1;

/// What happens to a target that is not empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// It stays as it is, and the restore fails.
    Refuse,
    /// It is cleared.
    Replace,
}

/// One item under another name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rename {
    /// Its name in the backup.
    pub source: String,
    /// Its name in the target.
    pub target: String,
}

/// What a plugin is told of one restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreRequest {
    /// The server to restore into.
    pub target: Request,
    /// Items to restore; none: all.
    pub databases: Vec<String>,
    /// Items that get another name.
    pub renames: Vec<Rename>,
    /// What happens to a target that is not empty.
    pub mode: Mode,
    /// Unknown keys are ignored.
    pub facts: Vec<Fact>,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What it does, for the user.
    pub purpose: String,
    /// What runs.
    pub process: Process,
    /// Exit codes that mean success.
    pub exit_codes: Vec<i32>,
}

/// How a process gets the plain bytes of a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Input {
    /// On standard input.
    Stdin,
    /// As a file of this path under the scratch folder.
    File(String),
    /// As a folder of this path under the scratch folder.
    Directory(String),
}

/// When what a process does is there to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// At its end, once it has read all bytes.
    AtEnd,
    /// Bit by bit.
    Gradual,
}

/// Takes the bytes of a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// What runs.
    pub process: Process,
    /// How it gets the bytes.
    pub input: Input,
    /// When its work is there to stay.
    pub effect: Effect,
    /// Exit codes that mean success.
    pub exit_codes: Vec<i32>,
    /// Texts that must occur in standard error.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stderr_required: Vec<String>,
}

/// How a process tells what is in the target whose output has no lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signs {
    /// One of these in the output: the target holds something, …
    pub any_of: Vec<Vec<u8>>,
    /// … unless one of these follows it at once.
    pub but_not_before: Vec<Vec<u8>>,
    /// What they tell of, for the user.
    pub meaning: String,
    /// Nothing behind these is looked at, and the process is ended there.
    pub until: Option<Vec<u8>>,
}

/// What is done with the parts of one name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartRestore {
    /// Name of the part.
    pub part: String,
    /// A backup without it is refused.
    pub required: bool,
    /// Prints what is in the target.
    pub contents: Option<Process>,
    /// None: it prints lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signs: Option<Signs>,
    /// Done where the target is not there.
    pub create: Vec<Step>,
    /// Done where it is not empty and may be replaced.
    pub clear: Vec<Step>,
    /// Takes the bytes.
    pub load: Load,
    /// Done after the bytes.
    pub finish: Vec<Step>,
}

/// How to find out what is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// Prints the names.
    pub items: Process,
    /// How it separates them.
    pub separator: Separator,
}

/// The plan of one restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestorePlan {
    /// Name of an image of the descriptor; none: the user's.
    pub image: Option<String>,
    /// Lists targets that are there; none: all are.
    pub existing: Option<Listing>,
    /// What is done with which parts.
    pub parts: Vec<PartRestore>,
    /// Parts that are left out on purpose.
    pub skipped: Vec<String>,
    /// Size of the scratch folder.
    pub scratch_mebibytes: Option<u32>,
}

impl PartRestore {
    /// Its processes but for the one that takes the bytes, as the wire counts them.
    pub fn steps(&self, stage: Stage) -> &[Step] {
        match stage {
            Stage::Create => &self.create,
            Stage::Clear => &self.clear,
            Stage::Finish => &self.finish,
        }
    }
}

/// When a step is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Where the target is not there.
    Create,
    /// Where it is not empty.
    Clear,
    /// After the bytes.
    Finish,
}

/// A restore, completely described.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreOrder {
    /// [`VERSION`].
    pub version: u32,
    /// Namespace of the `DatabaseRestore`.
    pub namespace: String,
    /// Name of the `DatabaseRestore`.
    pub name: String,
    /// Who planned it.
    pub plugin: PluginRef,
    /// Reference of the client image, for messages.
    pub client_image: String,
    /// What to do.
    pub plan: RestorePlan,
    /// Supplied bindings.
    pub bindings: Vec<BoundSecret>,
    /// Where the backup is. The path in it is not used: [`Self::folder`] is whole.
    pub storage: Storage,
    /// Folder of the run, from the root of the bucket or claim, without slashes at its ends.
    pub folder: String,
    /// SHA-256 of the manifest, where it is known: a manifest that was exchanged since is refused.
    pub manifest_sha256: Option<String>,
    /// Items to restore; none: all.
    pub databases: Vec<String>,
    /// Items that get another name.
    pub renames: Vec<Rename>,
    /// What happens to a target that is not empty.
    pub mode: Mode,
    /// Only say what would be done.
    pub dry_run: bool,
    /// How long.
    pub limits: Limits,
    /// Secret and key of [`crate::pod::PRIVATE_KEY`], for backups that are encrypted.
    pub private_key: Option<SecretKey>,
    /// What the user has to know of the source: the first notes of the report.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl EnvValue for RestoreOrder {
    const VERSION: u32 = VERSION;

    fn version(&self) -> u32 {
        self.version
    }
}

/// What a restore has made of its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// As it was, but perhaps for an empty database.
    Unchanged,
    /// It has everything that was asked for.
    Complete,
    /// It was changed, and something is missing.
    Incomplete,
}

/// What a run report says of a restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Restored {
    /// What the target is now.
    pub target: Target,
    /// What was done, or for a dry run what would be; a sentence each, the first ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

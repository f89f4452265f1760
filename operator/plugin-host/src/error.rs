//! Everything that can go wrong, by cause. The texts are for the administrator and the plugin's author; they go
//! into conditions as they are.

use std::fmt;
use std::time::Duration;

/// The host itself could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The CPU or the operating system lacks something that compiled WebAssembly needs.
    #[error("cannot set up the WebAssembly engine: {0}")]
    Engine(String),
    /// No thread for the wall-clock limit.
    #[error("cannot start the thread that keeps plugins to their deadline: {0}")]
    Thread(#[from] std::io::Error),
}

/// Why bytes are not a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAComponent {
    /// No bytes at all.
    #[error("the file is empty")]
    Empty,
    /// Something else altogether.
    #[error("the file is not WebAssembly: it does not begin with `\\0asm`")]
    NotWasm,
    /// A core module.
    #[error(
        "the file is a core module, not a component: build for `wasm32-wasip2`, or turn it into one with \
         `wasm-tools component new`"
    )]
    CoreModule,
    /// The binary format of another time.
    #[error("the file has a WebAssembly version that this host does not know (header {0:02x?})")]
    UnknownVersion([u8; 4]),
    /// It ends in the middle of a section.
    #[error("the file is truncated: a section that begins at byte {at} goes beyond its end")]
    Truncated {
        /// Where the section begins.
        at: usize,
    },
}

/// What is wrong with one field of a plugin's description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The field, for example `images[1].reference`.
    pub field: String,
    /// What is wrong, and what is wanted.
    pub why: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.why)
    }
}

/// Why a file is not a plugin.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It could not be read.
    #[error("cannot read the file: {0}")]
    Read(#[from] std::io::Error),
    /// Longer than allowed.
    #[error("the file is longer than the {max} bytes that are allowed")]
    TooLarge {
        /// The limit.
        max: usize,
    },
    /// Not a component.
    #[error(transparent)]
    NotAComponent(#[from] NotAComponent),
    /// The bytes break the rules of WebAssembly, or need a proposal that is switched off.
    #[error("the component is not valid: {0}")]
    Invalid(String),
    /// It wants something that this host does not offer.
    #[error("the component imports `{name}`, which plugins do not get: {remedy}")]
    UnknownImport {
        /// Name of the import.
        name: String,
        /// How to get rid of it.
        remedy: &'static str,
    },
    /// Made for another version of the contract.
    #[error(
        "the component was made for `{interface}` {found}, this operator knows {wanted}: rebuild it with the \
         operator's wit/ folder, or use an operator that knows {found}"
    )]
    Incompatible {
        /// Name of the interface without its version.
        interface: String,
        /// The component's.
        found: String,
        /// Ours.
        wanted: String,
    },
    /// It is a component, but not a plugin.
    #[error(
        "the component does not export `{0}`: its world must include \
         `db-backup:plugin/database-plugin`"
    )]
    MissingExport(String),
    /// An interface of the right name with other functions or types.
    #[error("the component's `{interface}` has another shape than the contract's: {why}")]
    WrongShape {
        /// Name of the interface.
        interface: String,
        /// What differs.
        why: String,
    },
    /// It could not say who it is.
    #[error("`describe` failed: {0}")]
    Describe(#[source] CallError),
    /// What it says of itself cannot be.
    #[error("the plugin's description is not valid: {}", join(.0))]
    Description(Vec<Fault>),
}

fn join(faults: &[Fault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Why a call gave no answer. None of these is the user's fault; each is the plugin's or its author's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The guest gave up, with these last words.
    #[error("the plugin panicked: {0}")]
    Panic(String),
    /// It asked for more memory than it may have.
    #[error("the plugin wanted more than the {limit} bytes of memory that it may have")]
    OutOfMemory {
        /// The limit in bytes.
        limit: usize,
    },
    /// It executed more instructions than it may.
    #[error("the plugin used up its {fuel} units of fuel: it probably loops")]
    OutOfFuel {
        /// The limit.
        fuel: u64,
    },
    /// It took too long.
    #[error("the plugin did not answer within {0:?}")]
    Deadline(Duration),
    /// Another trap, without a word from the guest.
    #[error("the plugin trapped: {0}")]
    Trap(String),
    /// It broke another bound.
    #[error("the plugin went beyond a limit: {0}")]
    Limit(String),
    /// What it gave cannot be read or means nothing.
    #[error("the plugin gave a bad answer at {at}: {why}")]
    BadOutput {
        /// JSON pointer into the answer, or what was handed over.
        at: String,
        /// What is wrong with it.
        why: String,
    },
}

impl CallError {
    /// Stable CamelCase word for conditions, events and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Panic(_) => "PluginPanicked",
            Self::OutOfMemory { .. } => "PluginOutOfMemory",
            Self::OutOfFuel { .. } => "PluginOutOfFuel",
            Self::Deadline(_) => "PluginDeadlineExceeded",
            Self::Trap(_) => "PluginTrapped",
            Self::Limit(_) => "PluginLimitExceeded",
            Self::BadOutput { .. } => "PluginBadOutput",
        }
    }
}

/// Why our own side ended a call: travels through wasmtime as the cause of its error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stop {
    #[error("more than {limit} bytes of memory")]
    OutOfMemory { limit: usize },
    #[error("more than {limit} elements in tables")]
    OutOfTable { limit: usize },
    #[error("it left by `wasi:cli/exit`")]
    Exit,
    #[error("it called `{0}`, which has nothing to give here")]
    Nothing(String),
    #[error("it asked for {0} random bytes at once")]
    Random(u64),
}

//! Everything that can go wrong, by cause. The texts are for the administrator and the plugin's author; they go
//! into conditions as they are.

use std::time::Duration;
use std::{fmt, io};

/// The host itself could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The CPU or the operating system lacks something that compiled WebAssembly needs.
    #[error("cannot set up the WebAssembly engine: {0}")]
    Engine(String),
    /// No thread for the wall-clock limit.
    #[error("cannot start the thread that keeps plugins to their deadline: {0}")]
    Thread(#[from] io::Error),
}

/// Why bytes are not a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAComponent {
    /// No bytes at all.
    #[error("the file is empty: copy the plugin again")]
    Empty,
    /// Something else altogether.
    #[error(
        "the file is not WebAssembly: it does not begin with `\\0asm`; name only components `*.wasm`, such as `cargo build \
         --target wasm32-wasip2` makes"
    )]
    NotWasm,
    /// A core module.
    #[error(
        "the file is a core module, not a component: build for `wasm32-wasip2`, or turn it into one with \
         `wasm-tools component new`"
    )]
    CoreModule,
    /// The binary format of another time.
    #[error(
        "the file has a WebAssembly version that this host does not know (header {0:02x?}): build it with tools for WASI 0.2"
    )]
    UnknownVersion([u8; 4]),
    /// It ends in the middle of a section.
    #[error(
        "the file is truncated: a section that begins at byte {at} goes beyond its end; copy the plugin again, whole"
    )]
    Truncated {
        /// Where the section begins.
        at: usize,
    },
    /// What zstd made of it cannot be undone.
    #[error("the file is compressed by zstd, and it is truncated or damaged: compress and copy it again")]
    Packed,
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

/// Why a component could not be compiled, although it may be valid.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// No child process.
    #[error("cannot start the compiler's process: {0}")]
    Start(io::Error),
    /// It took too much memory.
    #[error(
        "compiling it takes more than the {} MiB of memory that a compiler may have: make its largest functions smaller, \
         or give the operator more by --plugin-compile-mebibytes",
        .limit >> 20
    )]
    Memory {
        /// The limit in bytes.
        limit: u64,
    },
    /// It took too much CPU time.
    #[error(
        "compiling it takes more than the {seconds} s of CPU time that a compiler may have: make its functions smaller"
    )]
    Cpu {
        /// The limit.
        seconds: u64,
    },
    /// It took too long, which may be the machine's fault.
    #[error("compiling it was not done within {0:?}: the operator tries again later")]
    Wall(Duration),
    /// The machine code is too long.
    #[error("compiled, it is longer than the {max} bytes that are allowed")]
    CodeTooLarge {
        /// The limit.
        max: usize,
    },
    /// The compiler failed in another way.
    #[error("the compiler failed ({how}): {words}")]
    Failed {
        /// How it ended.
        how: String,
        /// The end of what it printed.
        words: String,
        /// Whether the same may go well another time.
        transient: bool,
    },
}

impl CompileError {
    /// Whether the same file may compile another time: the machine was at fault, not the file.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Start(_) | Self::Wall(_) => true,
            Self::Failed { transient, .. } => *transient,
            Self::Memory { .. } | Self::Cpu { .. } | Self::CodeTooLarge { .. } => false,
        }
    }
}

/// Why a file is not a plugin.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It could not be read.
    #[error("cannot read the file: {0}")]
    Read(#[from] io::Error),
    /// Longer than allowed.
    #[error(
        "the file is longer than the {max} bytes that are allowed: strip it of debugging information, or optimise it for size"
    )]
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
    /// The administrator does not know it.
    #[error(
        "its digest {digest} is not on the operator's allow-list: look at the plugin, then add the digest by --plugin-allow"
    )]
    NotAllowed {
        /// The file's.
        digest: String,
    },
    /// The compiler gave up.
    #[error(transparent)]
    Compile(#[from] CompileError),
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
    /// It does not work even on a request that is made up for it.
    #[error("the plugin fails its self-check, {call}: {error}")]
    SelfCheck {
        /// What was called.
        call: &'static str,
        /// The cause.
        #[source]
        error: CallError,
    },
    /// There is no room for it.
    #[error("the plugin is not loaded: {0}")]
    NoRoom(String),
}

impl LoadError {
    /// Stable CamelCase word for logs and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Read(_) => "FileUnreadable",
            Self::TooLarge { .. } => "FileTooLarge",
            Self::NotAComponent(_) => "NotAComponent",
            Self::Invalid(_) => "ComponentInvalid",
            Self::NotAllowed { .. } => "PluginNotAllowed",
            Self::Compile(_) => "CompileFailed",
            Self::UnknownImport { .. } => "ImportRefused",
            Self::Incompatible { .. } => "ContractIncompatible",
            Self::MissingExport(_) => "ExportMissing",
            Self::WrongShape { .. } => "InterfaceShape",
            Self::Describe(_) => "DescribeFailed",
            Self::Description(_) => "DescriptionInvalid",
            Self::SelfCheck { .. } => "SelfCheckFailed",
            Self::NoRoom(_) => "NoRoom",
        }
    }

    /// Whether the same file may load another time: the machine was at fault, not the file.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Read(_) | Self::NoRoom(_) => true,
            Self::Compile(error) => error.is_transient(),
            Self::Describe(error) | Self::SelfCheck { error, .. } => matches!(error, CallError::Deadline(_)),
            _ => false,
        }
    }
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
    /// Every value of [`CallError::reason`].
    pub const REASONS: [&str; 7] = [
        "PluginPanicked",
        "PluginOutOfMemory",
        "PluginOutOfFuel",
        "PluginDeadlineExceeded",
        "PluginTrapped",
        "PluginLimitExceeded",
        "PluginBadOutput",
    ];

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_reasons_are_listed() {
        let text = String::new;
        let all = [
            CallError::Panic(text()),
            CallError::OutOfMemory { limit: 0 },
            CallError::OutOfFuel { fuel: 0 },
            CallError::Deadline(Duration::ZERO),
            CallError::Trap(text()),
            CallError::Limit(text()),
            CallError::BadOutput { at: text(), why: text() },
        ];
        assert_eq!(all.map(|error| error.reason()), CallError::REASONS);
    }
}

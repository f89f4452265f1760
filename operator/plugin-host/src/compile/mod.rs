//! From a component to machine code, in quarantine.
//!
//! To compile a hostile file of some hundred kilobytes can take gigabytes and minutes, and a compiler cannot be
//! interrupted. So the operator compiles in a child process with limits that the kernel keeps. The result is kept in a
//! private folder ([`crate::CodeCache`]), so that a restart compiles nothing.

mod child;
mod sealed;
mod worker;

use std::time::Duration;

use wasmtime::Engine;
use wasmtime::component::Component;

pub use child::Quarantine;
pub(crate) use sealed::{Digest, Seal, hex};
pub use worker::compile_worker;

/// What one compilation may use. The default fits the worst honest component that was measured (a whole JavaScript
/// engine: 13 s and 320 MiB) with room to spare; the memory limit of the operator's pod counts on `address_space`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    /// Address space of the child in bytes (`RLIMIT_AS`), the program itself included.
    pub address_space: u64,
    /// Seconds of CPU time (`RLIMIT_CPU`).
    pub cpu_seconds: u64,
    /// Wall-clock time, for a child that hangs. Far above the CPU time: on a busy node honest plugins have to wait for theirs.
    pub wall: Duration,
    /// Longest result in bytes.
    pub code_bytes: usize,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self {
            address_space: 768 << 20,
            cpu_seconds: 60,
            wall: Duration::from_mins(5),
            code_bytes: 128 << 20,
        }
    }
}

/// Where components are compiled.
#[derive(Clone, Debug, Default)]
pub enum Compiler {
    /// In this process, as long as it takes and with whatever it takes: for a tool whose user waits beside it.
    #[default]
    InProcess,
    /// In a child process with limits.
    Quarantine(Quarantine),
}

/// Makes machine code executable.
///
/// # Errors
/// It is none, or not of this engine.
#[expect(unsafe_code, reason = "the one place: the argument stands at the block")]
pub(crate) fn adopt(engine: &Engine, code: &sealed::Opened<'_>) -> wasmtime::Result<Component> {
    // SAFETY: `deserialize` needs bytes that `precompile_component` of the same wasmtime made and nobody changed since.
    // An `Opened` exists only where the seal over component, engine and code was right, and it is only asked for bytes
    // that came through the pipe of our own child process or from the private cache, a folder that nobody but this user
    // can enter, who could change this process as well. The bytes are copied: what happens to a file later is no matter.
    unsafe { Component::deserialize(engine, code.bytes()) }
}

//! The engine: one for all plugins.

use std::borrow::Cow;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tracing::warn;
use wasmtime::component::Component;
use wasmtime::{Config, Engine};

use crate::cache::CodeCache;
use crate::compile::{Compiler, Digest, Seal, adopt};
use crate::error::{CompileError, HostError, LoadError};
use crate::limits::Limits;
use crate::stats::{CallStats, Observer};
use crate::unpack::unpacked;
use crate::{Plugin, load};

/// How often the deadline is looked at.
const TICK: Duration = Duration::from_millis(10);
/// Address space that is set aside for each memory. More than the default limit of all of them would be wasted;
/// wasmtime's own default is 4 GiB, which small address spaces cannot give often.
const RESERVATION: u64 = 64 << 20;
/// Unmapped space behind a memory that catches small offsets without a check.
const GUARD: u64 = 64 << 10;

/// How a host works. The default is that of a tool: it compiles in its own process and keeps nothing.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The bounds of every call.
    pub limits: Limits,
    /// Where components are compiled.
    pub compiler: Compiler,
    /// Where compiled code is kept.
    pub cache: Option<CodeCache>,
    /// Who hears of every call.
    pub observer: Option<Arc<dyn Observer>>,
}

/// Loads plugins. Thread-safe, cheap to clone.
#[derive(Clone)]
pub struct Host {
    engine: Engine,
    options: Arc<Options>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Host {
    /// A host with these limits that compiles in this process and keeps nothing.
    ///
    /// # Errors
    /// [`HostError`].
    pub fn new(limits: Limits) -> Result<Self, HostError> {
        Self::with(Options { limits, ..Options::default() })
    }

    /// Sets up the engine and the one thread that keeps plugins to their deadline. The thread ends by itself when
    /// the host and all its plugins are gone. Code in the cache that this engine cannot use is removed.
    ///
    /// # Errors
    /// [`HostError`].
    pub fn with(options: Options) -> Result<Self, HostError> {
        let engine =
            Engine::new(&config()).map_err(|error| HostError::Engine(error.root_cause().to_string()))?;
        tick(&engine)?;
        if let Some(Err(error)) = options.cache.as_ref().map(|cache| cache.tidy(&engine)) {
            warn!(error = %error, "the cache of compiled plugins cannot be tidied");
        }
        Ok(Self { engine, options: Arc::new(options) })
    }

    /// The component in a plugin file, which may be compressed by zstd.
    ///
    /// # Errors
    /// It is too large, or damaged.
    pub fn unpack<'a>(&self, file: &'a [u8]) -> Result<Cow<'a, [u8]>, LoadError> {
        let max = self.limits().file_bytes;
        if file.len() > max { Err(LoadError::TooLarge { max }) } else { unpacked(file, max) }
    }

    /// Turns the bytes of a component into a plugin: compiles it, checks its imports and exports, asks who it is
    /// and validates the answer. Takes from milliseconds (Rust) to seconds (interpreters); blocks.
    /// `source` says in logs where the bytes came from.
    ///
    /// # Errors
    /// [`LoadError`] names the cause.
    pub fn load(&self, bytes: &[u8], source: &str) -> Result<Plugin, LoadError> {
        load::load(self, bytes, source)
    }

    /// The bounds of every call.
    pub fn limits(&self) -> &Limits {
        &self.options.limits
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn observe(&self, stats: &CallStats<'_>) {
        if let Some(observer) = &self.options.observer {
            observer.called(stats);
        }
    }

    /// The one place where bytes become code: out of the cache, or compiled.
    pub(crate) fn compile(&self, bytes: &[u8], digest: Digest) -> Result<Component, LoadError> {
        let seal = Seal::new(digest, &self.engine);
        let Some(cache) = &self.options.cache else {
            return match &self.options.compiler {
                Compiler::InProcess => {
                    Component::from_binary(&self.engine, bytes).map_err(|error| invalid(&error))
                }
                Compiler::Quarantine(quarantine) => self.adopt(&seal, &quarantine.compile(bytes, digest)?),
            };
        };
        if let Some(sealed) = cache.get(&seal) {
            match self.adopt(&seal, &sealed) {
                Ok(component) => return Ok(component),
                Err(error) => {
                    warn!(file = seal.file_name(), error = %error, "a cached plugin is compiled anew");
                }
            }
        }
        let sealed = match &self.options.compiler {
            Compiler::InProcess => {
                seal.close(self.engine.precompile_component(bytes).map_err(|error| invalid(&error))?)
            }
            Compiler::Quarantine(quarantine) => quarantine.compile(bytes, digest)?,
        };
        let component = self.adopt(&seal, &sealed)?;
        // A cache that is full or broken costs time at the next start and nothing else.
        if let Err(error) = cache.discard(&seal).and_then(|()| cache.put(&seal, &sealed)) {
            warn!(error = %error, "a compiled plugin cannot be kept");
        }
        Ok(component)
    }

    fn adopt(&self, seal: &Seal, sealed: &[u8]) -> Result<Component, LoadError> {
        let unusable = |words: &str| CompileError::Failed {
            how: "its result is of no use".to_owned(),
            words: words.to_owned(),
            transient: false,
        };
        let code = seal.open(sealed).ok_or_else(|| unusable("the seal is broken, or another build's"))?;
        Ok(adopt(&self.engine, &code).map_err(|error| unusable(&error.root_cause().to_string()))?)
    }

    /// A call's deadline in ticks: rounded up, and one more because the first tick may come at once.
    pub(crate) fn ticks(&self) -> u64 {
        let ticks = self.options.limits.deadline.as_millis().div_ceil(TICK.as_millis());
        u64::try_from(ticks).unwrap_or(u64::MAX / 2).saturating_add(1)
    }
}

fn invalid(error: &wasmtime::Error) -> LoadError {
    LoadError::Invalid(error.root_cause().to_string())
}

/// The compiler's process has the same.
pub(crate) fn config() -> Config {
    let mut config = Config::new();
    config
        // Limits: one deterministic, one by the clock.
        .consume_fuel(true)
        .epoch_interruption(true)
        // Equal bytes for equal requests, on every CPU.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        // The contract is synchronous; every proposal that is off is code that cannot be attacked.
        .concurrency_support(false)
        .wasm_memory64(false)
        .wasm_backtrace_max_frames(None)
        // musl's unwinder reads the tables that glibc's would want as nonsense. Nothing unwinds through guests.
        .native_unwind_info(!cfg!(target_env = "musl"))
        .memory_reservation(RESERVATION)
        .memory_guard_size(GUARD);
    config
}

/// An operating system's thread and not an async task: a task starves together with the runtime that it protects.
/// It sleeps after every tick, so that a stalled machine does not send a burst of them afterwards.
fn tick(engine: &Engine) -> Result<(), HostError> {
    let engine = engine.weak();
    thread::Builder::new().name("plugin-deadline".into()).spawn(move || {
        loop {
            thread::sleep(TICK);
            match engine.upgrade() {
                Some(engine) => engine.increment_epoch(),
                None => return,
            }
        }
    })?;
    Ok(())
}

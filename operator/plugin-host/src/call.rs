//! One call: a fresh store, which is dropped whatever happens, the cause of a failure, and what it took.

use std::sync::OnceLock;
use std::time::Instant;

use dbbackup_protocol::speech::fit;
use wasmtime::component::{Instance, InstancePre};
use wasmtime::{Store, Trap};

use crate::Host;
use crate::bindings::db_backup::plugin::types;
use crate::bindings::exports::db_backup::plugin::{backup, descriptor, diagnose, probe, restore};
use crate::error::{CallError, LoadError, Stop};
use crate::guest::Guest;
use crate::imports;
use crate::stats::{CallStats, Function};

/// Handles that a guest may hold at once; each costs memory of ours.
const MAX_HANDLES: usize = 10_000;

/// A linked component and where its functions are.
#[derive(Clone)]
pub(crate) struct Callee {
    pub(crate) pre: InstancePre<Guest>,
    pub(crate) descriptor: descriptor::GuestIndices,
    pub(crate) backup: backup::GuestIndices,
    pub(crate) probe: Option<probe::GuestIndices>,
    pub(crate) diagnose: Option<diagnose::GuestIndices>,
    pub(crate) restore: Option<restore::GuestIndices>,
    pub(crate) host: Host,
    pub(crate) source: String,
    /// Bytes of compiled code.
    pub(crate) code_bytes: usize,
    /// The plugin's id, once it has said it.
    pub(crate) id: OnceLock<String>,
    /// Where a guest's clock and random numbers begin.
    pub(crate) start: u64,
}

impl Callee {
    /// Every interface has exactly the contract's functions and types. Only an instance can tell.
    pub(crate) fn require_shapes(&self) -> Result<(), LoadError> {
        let mut store = self.store();
        let instance = self.instantiate(&mut store).map_err(LoadError::Describe)?;
        self.descriptor.load(&mut store, &instance).map_err(|error| imports::shape("descriptor", &error))?;
        self.backup.load(&mut store, &instance).map_err(|error| imports::shape("backup", &error))?;
        if let Some(probe) = &self.probe {
            probe.load(&mut store, &instance).map_err(|error| imports::shape("probe", &error))?;
        }
        if let Some(diagnose) = &self.diagnose {
            diagnose.load(&mut store, &instance).map_err(|error| imports::shape("diagnose", &error))?;
        }
        if let Some(restore) = &self.restore {
            restore.load(&mut store, &instance).map_err(|error| imports::shape("restore", &error))?;
        }
        Ok(())
    }

    pub(crate) fn describe(&self) -> Result<descriptor::Description, CallError> {
        self.call(Function::Describe, |store, instance| {
            self.descriptor.load(&mut *store, instance)?.call_describe(store)
        })
    }

    pub(crate) fn check(&self, request: &types::Request) -> Result<Vec<types::Issue>, CallError> {
        self.call(Function::Check, |store, instance| {
            self.backup.load(&mut *store, instance)?.call_check(store, request)
        })
    }

    pub(crate) fn plan(
        &self,
        request: &types::Request,
    ) -> Result<Result<types::BackupPlan, types::Refusal>, CallError> {
        self.call(Function::Plan, |store, instance| {
            self.backup.load(&mut *store, instance)?.call_plan(store, request)
        })
    }

    /// None: it has no probe.
    pub(crate) fn probe_plan(
        &self,
        request: &types::Request,
    ) -> Option<Result<Result<probe::ProbePlan, types::Refusal>, CallError>> {
        let probe = self.probe.as_ref()?;
        Some(self.call(Function::ProbePlan, |store, instance| {
            probe.load(&mut *store, instance)?.call_plan(store, request)
        }))
    }

    /// None: it has no probe.
    pub(crate) fn probe_read(
        &self,
        request: &types::Request,
        answers: &[probe::Answer],
    ) -> Option<Result<probe::Findings, CallError>> {
        let probe = self.probe.as_ref()?;
        Some(self.call(Function::ProbeRead, |store, instance| {
            probe.load(&mut *store, instance)?.call_read(store, request, answers)
        }))
    }

    /// None: it explains nothing.
    pub(crate) fn explain(
        &self,
        failure: &diagnose::Failure,
    ) -> Option<Result<Option<diagnose::Diagnosis>, CallError>> {
        let diagnose = self.diagnose.as_ref()?;
        Some(self.call(Function::Explain, |store, instance| {
            diagnose.load(&mut *store, instance)?.call_explain(store, failure)
        }))
    }

    /// None: it cannot restore.
    pub(crate) fn restore_plan(
        &self,
        request: &restore::RestoreRequest,
    ) -> Option<Result<Result<restore::RestorePlan, types::Refusal>, CallError>> {
        let restore = self.restore.as_ref()?;
        Some(self.call(Function::RestorePlan, |store, instance| {
            restore.load(&mut *store, instance)?.call_plan(store, request)
        }))
    }

    fn call<T>(
        &self,
        name: Function,
        function: impl FnOnce(&mut Store<Guest>, &Instance) -> wasmtime::Result<T>,
    ) -> Result<T, CallError> {
        let began = Instant::now();
        let mut store = self.store();
        let answer = self.instantiate(&mut store).and_then(|instance| {
            let answer = function(&mut store, &instance);
            answer.map_err(|error| self.cause(&error, store.data(), Phase::Call))
        });
        store.data().flush();
        self.host.observe(&CallStats {
            plugin: self.id.get().map(String::as_str),
            function: name,
            time: began.elapsed(),
            fuel: self.host.limits().fuel.saturating_sub(store.get_fuel().unwrap_or_default()),
            peak_memory: store.data().limiter.peak_memory(),
            refused_growth: store.data().limiter.refused_growth(),
            failure: answer.as_ref().err().map(CallError::reason),
        });
        answer
    }

    fn store(&self) -> Store<Guest> {
        let limits = self.host.limits();
        let mut store = Store::new(self.host.engine(), Guest::new(self.source.clone(), *limits, self.start));
        store.limiter(|guest| &mut guest.limiter);
        store.set_epoch_deadline(self.host.ticks());
        store.set_hostcall_fuel(limits.answer_bytes);
        store.set_max_component_handles(MAX_HANDLES);
        // Fails only where fuel is switched off; then there is none, and the call ends at once.
        let _ = store.set_fuel(limits.fuel);
        store
    }

    fn instantiate(&self, store: &mut Store<Guest>) -> Result<Instance, CallError> {
        self.pre.instantiate(&mut *store).map_err(|error| self.cause(&error, store.data(), Phase::Start))
    }

    /// Wasmtime's own text of an error is a backtrace; the cause is inside.
    fn cause(&self, error: &wasmtime::Error, guest: &Guest, phase: Phase) -> CallError {
        let limits = self.host.limits();
        if let Some(stop) = error.downcast_ref::<Stop>() {
            return match stop {
                Stop::OutOfMemory { limit } => CallError::OutOfMemory { limit: *limit },
                Stop::OutOfTable { .. } | Stop::Random(_) => CallError::Limit(stop.to_string()),
                Stop::Exit | Stop::Nothing(_) => died(guest, &stop.to_string()),
            };
        }
        if let Some(trap) = error.downcast_ref::<Trap>() {
            return match trap {
                Trap::OutOfFuel => CallError::OutOfFuel { fuel: limits.fuel },
                Trap::Interrupt => CallError::Deadline(limits.deadline),
                Trap::UnreachableCodeReached => died(guest, "it executed `unreachable`"),
                Trap::StringOutOfBounds
                | Trap::ListOutOfBounds
                | Trap::InvalidDiscriminant
                | Trap::InvalidChar
                | Trap::UnalignedPointer => bad_output(&trap.to_string()),
                Trap::StackOverflow => {
                    CallError::Trap("its stack overflowed: it recursed too deeply".to_owned())
                }
                // A guest's own stack lies at the low end of its memory.
                Trap::MemoryOutOfBounds => CallError::Trap(
                    "out of bounds memory access: it recursed too deeply, or has a defect in unsafe code"
                        .to_owned(),
                ),
                trap => CallError::Trap(trap.to_string().trim_start_matches("wasm trap: ").to_owned()),
            };
        }
        let why = error.root_cause().to_string();
        // These two have no public type; the tests notice when their words change.
        if why.contains("fuel allocated for hostcalls") {
            let limit = limits.answer_bytes;
            return CallError::Limit(format!("it handed over more than {limit} bytes at once"));
        }
        match phase {
            Phase::Start => CallError::Limit(why),
            Phase::Call => bad_output(&why),
        }
    }
}

/// Where a call was when it failed.
#[derive(Clone, Copy)]
enum Phase {
    Start,
    Call,
}

/// A guest that ended itself: in its own words if it left any.
fn died(guest: &Guest, otherwise: &str) -> CallError {
    let words = guest.last_words().map(|words| fit(&words, words.len()));
    words.map_or_else(|| CallError::Trap(otherwise.to_owned()), CallError::Panic)
}

fn bad_output(why: &str) -> CallError {
    CallError::BadOutput { at: "what it handed over".to_owned(), why: why.to_owned() }
}

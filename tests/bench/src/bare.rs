//! wasmtime alone: the least that a call of a component costs. The engine is set as the operator's is where that changes
//! what code is compiled (fuel, epochs), so that the same instructions run; there are no limits of memory or answer, no
//! measuring, no checking, no conversion, and imports that a plan does not need are traps.

use dbbackup_protocol::contract;
use wasmtime::component::{Component, HasSelf, InstancePre, Linker};
use wasmtime::{Config, Engine, Store};

use db_backup::plugin::{host, types};
use exports::db_backup::plugin::backup;

#[allow(clippy::pedantic, clippy::use_self, missing_docs, unreachable_pub, reason = "generated")]
mod bindings {
    wasmtime::component::bindgen!({ path: "../../wit", world: "database-plugin" });
}
use bindings::{DatabasePlugin, db_backup, exports};

struct Nothing;

impl types::Host for Nothing {}

impl host::Host for Nothing {
    fn log(&mut self, _: host::Level, _: String) {}
}

/// A component, ready to be instantiated.
pub(crate) struct Bare {
    engine: Engine,
    pre: InstancePre<Nothing>,
    backup: backup::GuestIndices,
}

impl Bare {
    pub(crate) fn load(bytes: &[u8]) -> anyhow::Result<Self> {
        let mut config = Config::new();
        config
            .consume_fuel(true)
            .epoch_interruption(true)
            .cranelift_nan_canonicalization(true)
            .relaxed_simd_deterministic(true)
            .concurrency_support(false)
            .native_unwind_info(!cfg!(target_env = "musl"))
            .memory_reservation(64 << 20)
            .memory_guard_size(64 << 10);
        let load = || -> wasmtime::Result<Self> {
            let engine = Engine::new(&config)?;
            let component = Component::from_binary(&engine, bytes)?;
            let mut linker = Linker::new(&engine);
            DatabasePlugin::add_to_linker::<_, HasSelf<Nothing>>(&mut linker, |nothing| nothing)?;
            linker.define_unknown_imports_as_traps(&component)?;
            let pre = linker.instantiate_pre(&component)?;
            let backup = backup::GuestIndices::new(&pre)?;
            Ok(Self { engine, pre, backup })
        };
        load().map_err(|error| anyhow::anyhow!("{error:?}"))
    }

    pub(crate) fn plan(&self, request: &types::Request) -> wasmtime::Result<types::BackupPlan> {
        let mut store = Store::new(&self.engine, Nothing);
        store.set_epoch_deadline(u64::MAX / 2);
        store.set_fuel(u64::MAX)?;
        let instance = self.pre.instantiate(&mut store)?;
        let answer = self.backup.load(&mut store, &instance)?.call_plan(&mut store, request)?;
        answer.map_err(|refusal| wasmtime::Error::msg(format!("{refusal:?}")))
    }

    /// The same request in this module's types.
    pub(crate) fn request(request: &contract::Request) -> types::Request {
        told!(types, request)
    }
}

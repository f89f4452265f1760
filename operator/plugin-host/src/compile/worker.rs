//! The child's side: reads an order and a component, limits itself, compiles, writes sealed code.

use std::io::{self, Read, Write};
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, setrlimit};
use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::error::OutOfMemory;

use super::sealed::{Digest, Seal};
use crate::host;

/// Exit code: the component is not valid; standard error has the cause. Programs that do not know the command they are
/// called with end with 1 or 2.
pub(super) const INVALID: u8 = 20;
/// Exit code: there is not enough memory for it.
pub(super) const MEMORY: u8 = 21;
/// Exit code: anything else; standard error has the cause.
const FAILED: u8 = 22;

/// What comes first on standard input; the component follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) address_space: u64,
    pub(super) cpu_seconds: u64,
    pub(super) component: Digest,
}

impl Order {
    const LENGTH: usize = 8 + 8 + 32;

    pub(super) fn write(&self) -> Vec<u8> {
        let Self { address_space, cpu_seconds, component } = self;
        [&address_space.to_le_bytes()[..], &cpu_seconds.to_le_bytes(), component].concat()
    }

    fn read(bytes: &[u8; Self::LENGTH]) -> Option<Self> {
        let (address_space, rest) = bytes.split_first_chunk::<8>()?;
        let (cpu_seconds, component) = rest.split_first_chunk::<8>()?;
        Some(Self {
            address_space: u64::from_le_bytes(*address_space),
            cpu_seconds: u64::from_le_bytes(*cpu_seconds),
            component: component.try_into().ok()?,
        })
    }
}

/// Serves one compilation for a [`super::Quarantine`]: the whole of what the child process does. To be called first
/// thing, while the process has one thread and nothing that a hostile component could reach.
pub fn compile_worker() -> ExitCode {
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, why)) => {
            // The parent is the only reader; if it is gone, nobody misses it.
            let _ = io::stderr().write_all(why.as_bytes());
            ExitCode::from(code)
        }
    }
}

fn work() -> Result<(), (u8, String)> {
    let failed = |error: &dyn std::fmt::Display| (FAILED, error.to_string());
    let mut input = io::stdin().lock();
    let mut order = [0; Order::LENGTH];
    input.read_exact(&mut order).map_err(|error| failed(&error))?;
    let order = Order::read(&order).ok_or((FAILED, "the order cannot be read".to_owned()))?;
    limit(&order).map_err(|error| failed(&error))?;
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    if Digest::from(Sha256::digest(&bytes)) != order.component {
        return Err((FAILED, "the component arrived with another digest".to_owned()));
    }
    let engine = Engine::new(&host::config()).map_err(|error| failed(&error.root_cause()))?;
    let code = engine.precompile_component(&bytes).map_err(|error| {
        let code = if error.is::<OutOfMemory>() { MEMORY } else { INVALID };
        (code, error.root_cause().to_string())
    })?;
    let seal = Seal::new(order.component, &engine).over(&code);
    let mut output = io::stdout().lock();
    output
        .write_all(&seal)
        .and_then(|()| output.write_all(&code))
        .and_then(|()| output.flush())
        .map_err(|error| failed(&error))
}

/// Bounds that the kernel keeps. A few seconds lie between the signal that says "CPU time" and the kill. No core dump:
/// it would be larger than what was limited.
fn limit(order: &Order) -> rustix::io::Result<()> {
    let set = |resource, soft: u64, hard: u64| {
        setrlimit(resource, Rlimit { current: Some(soft), maximum: Some(hard) })
    };
    set(Resource::As, order.address_space, order.address_space)?;
    set(Resource::Cpu, order.cpu_seconds, order.cpu_seconds.saturating_add(5))?;
    set(Resource::Core, 0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_arrives_as_it_was_sent() {
        let order = Order { address_space: 7 << 40, cpu_seconds: 3, component: [9; 32] };
        let bytes: [u8; Order::LENGTH] = order.write().try_into().unwrap();
        assert_eq!(Order::read(&bytes), Some(order));
    }
}

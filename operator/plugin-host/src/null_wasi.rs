//! A WASI 0.2 that has nothing to give: standard libraries import it whether a plugin needs it or not.
//!
//! No environment, arguments, folders or network; standard input is closed; output is kept in small measure for
//! error messages. Time stands still but for a guest's own sleeping, which takes none: every pollable is ready, and
//! the clock jumps to where it would have waited. Random numbers are the same in every call. So nothing here can
//! block, and equal requests find equal worlds.
//!
//! All handles are of one type and mean nothing; whatever takes a handle that nobody can have (files) is refused when
//! it is called.

use wasmtime::component::types::{ComponentInstance, ComponentItem};
use wasmtime::component::{
    ComponentNamedList, ComponentType, Lift, LinkerInstance, Lower, Resource, ResourceType, Val,
};
use wasmtime::{Engine, StoreContextMut};

use crate::error::Stop;
use crate::guest::Guest;

/// What is linked. The rest (sockets, HTTP, …) is refused when a component is loaded, so that its author hears of it.
const INTERFACES: [&str; 20] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
];
/// Most bytes that a guest gets or writes at once: more is of no use to an honest one.
const CHUNK: u64 = 64 << 10;
const NANOSECONDS: u64 = 1_000_000_000;

/// What every handle stands for.
struct Nothing;

#[derive(ComponentType, Lower)]
#[component(variant)]
#[expect(dead_code, reason = "the contract has the case, we never give it")]
enum StreamError {
    #[component(name = "last-operation-failed")]
    LastOperationFailed(Resource<Nothing>),
    #[component(name = "closed")]
    Closed,
}

#[derive(ComponentType, Lower)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

/// Whether an interface (without its version) is offered.
pub(crate) fn offers(interface: &str) -> bool {
    INTERFACES.contains(&interface)
}

/// Defines everything that a component imports of one interface; the types are compared when it is instantiated.
pub(crate) fn link(
    engine: &Engine,
    linker: &mut LinkerInstance<'_, Guest>,
    interface: &str,
    imported: &ComponentInstance,
) -> wasmtime::Result<()> {
    for (name, item) in imported.exports(engine) {
        match item.ty {
            ComponentItem::Resource(_) => {
                linker.resource(name, ResourceType::host::<Nothing>(), |_, _| Ok(()))?;
            }
            ComponentItem::ComponentFunc(_) => define(linker, interface, name)?,
            _ => {}
        }
    }
    Ok(())
}

/// One function of the guest's world.
fn function<P, R>(
    linker: &mut LinkerInstance<'_, Guest>,
    name: &str,
    body: fn(&mut Guest, P) -> wasmtime::Result<R>,
) -> wasmtime::Result<()>
where
    P: ComponentNamedList + Lift + 'static,
    R: ComponentNamedList + Lower + 'static,
{
    linker.func_wrap(name, move |mut store: StoreContextMut<'_, Guest>, params: P| {
        body(store.data_mut(), params)
    })
}

fn handle() -> Resource<Nothing> {
    Resource::new_own(0)
}

type Handle = (Resource<Nothing>,);
type Written = (Result<(), StreamError>,);

fn define(linker: &mut LinkerInstance<'_, Guest>, interface: &str, name: &str) -> wasmtime::Result<()> {
    let Some((_, short)) = interface.split_once(':') else { return Ok(()) };
    match (short, name) {
        ("cli/environment", "get-environment") => {
            function(linker, name, |_, (): ()| Ok((Vec::<(String, String)>::new(),)))
        }
        ("cli/environment", "get-arguments") => {
            function(linker, name, |_, (): ()| Ok((Vec::<String>::new(),)))
        }
        ("cli/environment", "initial-cwd") => function(linker, name, |_, (): ()| Ok((None::<String>,))),
        ("cli/exit", "exit") => {
            function(linker, name, |_, _: (Result<(), ()>,)| Err::<(), _>(Stop::Exit.into()))
        }
        ("cli/exit", "exit-with-code") => {
            function(linker, name, |_, _: (u8,)| Err::<(), _>(Stop::Exit.into()))
        }
        ("cli/stdin", "get-stdin") | ("cli/stdout", "get-stdout") | ("cli/stderr", "get-stderr") => {
            function(linker, name, |_, (): ()| Ok((handle(),)))
        }
        (
            "cli/terminal-stdin" | "cli/terminal-stdout" | "cli/terminal-stderr",
            "get-terminal-stdin" | "get-terminal-stdout" | "get-terminal-stderr",
        ) => function(linker, name, |_, (): ()| Ok((None::<Resource<Nothing>>,))),
        ("filesystem/preopens", "get-directories") => {
            function(linker, name, |_, (): ()| Ok((Vec::<(Resource<Nothing>, String)>::new(),)))
        }
        ("filesystem/types", "filesystem-error-code") => linker.func_new(name, |_, _, _, results| {
            results.fill(Val::Option(None));
            Ok(())
        }),
        ("clocks/monotonic-clock" | "clocks/wall-clock", _) => clocks(linker, short, name),
        ("random/random" | "random/insecure" | "random/insecure-seed", _) => random(linker, interface, name),
        ("io/error" | "io/poll" | "io/streams", _) => io(linker, interface, name),
        _ => nothing(linker, interface, name),
    }
}

fn clocks(linker: &mut LinkerInstance<'_, Guest>, interface: &str, name: &str) -> wasmtime::Result<()> {
    match (interface, name) {
        // Never 0: Go's runtime does not start there.
        ("clocks/monotonic-clock", "now") => {
            function(linker, name, |guest, (): ()| Ok((guest.slept.saturating_add(1),)))
        }
        ("clocks/monotonic-clock", "resolution") => function(linker, name, |_, (): ()| Ok((1_u64,))),
        ("clocks/monotonic-clock", "subscribe-duration") => {
            function(linker, name, |guest, (duration,): (u64,)| {
                guest.slept = guest.slept.saturating_add(duration);
                Ok((handle(),))
            })
        }
        ("clocks/monotonic-clock", "subscribe-instant") => {
            function(linker, name, |guest, (instant,): (u64,)| {
                guest.slept = guest.slept.max(instant);
                Ok((handle(),))
            })
        }
        ("clocks/wall-clock", "now") => function(linker, name, |guest, (): ()| {
            let nanoseconds = u32::try_from(guest.slept % NANOSECONDS).unwrap_or_default();
            Ok((Datetime { seconds: guest.slept / NANOSECONDS, nanoseconds },))
        }),
        ("clocks/wall-clock", "resolution") => {
            function(linker, name, |_, (): ()| Ok((Datetime { seconds: 0, nanoseconds: 1 },)))
        }
        _ => nothing(linker, interface, name),
    }
}

fn random(linker: &mut LinkerInstance<'_, Guest>, interface: &str, name: &str) -> wasmtime::Result<()> {
    match name {
        "get-random-u64" | "get-insecure-random-u64" => {
            function(linker, name, |guest, (): ()| Ok((guest.random(),)))
        }
        "insecure-seed" => function(linker, name, |guest, (): ()| Ok(((guest.random(), guest.random()),))),
        "get-random-bytes" | "get-insecure-random-bytes" => {
            function(linker, name, |guest, (length,): (u64,)| {
                if length > CHUNK {
                    return Err(Stop::Random(length).into());
                }
                Ok(((0..length).map(|_| guest.random().to_le_bytes()[0]).collect::<Vec<u8>>(),))
            })
        }
        _ => nothing(linker, interface, name),
    }
}

fn io(linker: &mut LinkerInstance<'_, Guest>, interface: &str, name: &str) -> wasmtime::Result<()> {
    match name {
        "[method]error.to-debug-string" => {
            function(linker, name, |_, _: Handle| Ok(("there is nothing here".to_owned(),)))
        }
        "[method]pollable.ready" => function(linker, name, |_, _: Handle| Ok((true,))),
        "[method]pollable.block" => function(linker, name, |_, _: Handle| Ok(())),
        "poll" => function(linker, name, |_, (pollables,): (Vec<Resource<Nothing>>,)| {
            let count = u32::try_from(pollables.len()).unwrap_or(u32::MAX);
            Ok(((0..count).collect::<Vec<u32>>(),))
        }),
        "[method]input-stream.subscribe" | "[method]output-stream.subscribe" => {
            function(linker, name, |_, _: Handle| Ok((handle(),)))
        }
        "[method]input-stream.read" | "[method]input-stream.blocking-read" => {
            function(linker, name, |_, _: (Resource<Nothing>, u64)| {
                Ok((Err::<Vec<u8>, _>(StreamError::Closed),))
            })
        }
        "[method]input-stream.skip" | "[method]input-stream.blocking-skip" => {
            function(linker, name, |_, _: (Resource<Nothing>, u64)| Ok((Err::<u64, _>(StreamError::Closed),)))
        }
        "[method]output-stream.check-write" => {
            function(linker, name, |_, _: Handle| Ok((Ok::<u64, StreamError>(CHUNK),)))
        }
        "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush" => {
            function(linker, name, |guest, (_, bytes): (Resource<Nothing>, Vec<u8>)| {
                guest.print(&bytes);
                Ok::<Written, _>((Ok(()),))
            })
        }
        "[method]output-stream.flush" | "[method]output-stream.blocking-flush" => {
            function(linker, name, |_, _: Handle| Ok::<Written, _>((Ok(()),)))
        }
        _ => nothing(linker, interface, name),
    }
}

/// A function that ends the call, with its name.
fn nothing(linker: &mut LinkerInstance<'_, Guest>, interface: &str, name: &str) -> wasmtime::Result<()> {
    let called = format!("{interface}.{name}");
    linker.func_new(name, move |_, _, _, _| Err(Stop::Nothing(called.clone()).into()))
}

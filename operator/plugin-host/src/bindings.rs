//! The contract as wasmtime sees it, generated from `wit/`. Nothing outside this crate sees these types:
//! `convert` turns them into the plain ones of `dbbackup_protocol`.

#![allow(clippy::pedantic, clippy::use_self, unreachable_pub, reason = "generated")]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "complete-plugin",
});

//! Mover and shim as real processes, `sh` scripts as database tools, a folder as the claim.

mod failing;
mod fixture;
mod finding;
mod stopping;
mod storing;

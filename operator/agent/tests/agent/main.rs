//! Mover and shim as real processes, `sh` scripts as database tools, a folder as the claim.

mod failing;
mod finding;
mod fixture;
mod stopping;
mod storing;

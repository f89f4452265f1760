//! What becomes of a `DatabaseRestore`: where its backup is, whether its Job starts, and how it ended. A restore is carried out
//! once; nothing repeats it, because a second attempt would meet what the first one has left.

mod choose;
mod decide;
mod source;
#[cfg(test)]
mod tests;

pub use decide::{Decision, Observed, Plan, decide, is_final};
pub use source::{NoSource, Source, Sources, asked, resolve};

//! The decision table: each case is a sentence. The dimensions are those of CronJob's own table (policy, suspension,
//! schedule, deadline, ran before, still active, now), the answers are ours where they differ.

mod fixture;
mod plugins;
mod probe;
mod runs;
mod start;

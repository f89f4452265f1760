//! `table` is the decision table, the others are what does not fit into a row: what follows from what.

mod catalogue;
mod fixture;
mod more;
mod plugins;
mod probe;
mod replace;
mod retention;
mod rows;
mod runs;
mod settling;
mod start;
mod storage;
mod table;
mod told;

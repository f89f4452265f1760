//! What is proved by running it for a long time. Each proof has a short run that `make unit` makes and a long one that
//! `make proofs` makes; see the README beside this folder.

#![cfg(test)]

mod fuzz;
mod random;
mod simulation;

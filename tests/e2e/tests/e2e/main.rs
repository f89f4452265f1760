//! A `DatabaseBackup` becomes a verified dump in storage, or a sentence that says why not: on a real cluster, with
//! real servers. `make e2e` installs the operator and runs them.
#![allow(missing_docs, reason = "a test's name says what it is about")]

mod admission;
mod bucket;
mod catalogue;
mod cli;
mod clouds;
mod controller;
mod databases;
mod encryption;
mod generic;
mod identity;
mod images;
mod interrupted;
mod itself;
mod leader;
mod matrix;
mod mongodb;
mod mysql;
mod naming;
mod operator;
mod plugins;
mod policies;
mod postgres;
mod posture;
mod probe;
mod prune;
mod restore;
mod restore_mongodb;
mod restore_sources;
mod schedule;
mod secrets;
mod storage;
mod third_party;
mod tls;

//! Redis for db-backup-operator: `redis-cli --rdb`, checked by `redis-check-rdb`.
//!
//! Made of the contract in `wit/deps/db-backup-plugin` and nothing else of the operator. Each module is one question
//! that the contract asks.

wit_bindgen::generate!({ path: "wit", world: "plugin", generate_all });

mod client;
mod diagnose;
mod plan;
mod probe;
mod settings;
#[cfg(test)]
mod tests;

use std::{panic, sync::Once};

use db_backup::plugin::{
    host::{Level, log},
    types::{BackupPlan, Issue, Refusal, Request},
};
use exports::db_backup::plugin::{
    backup,
    descriptor::{self, Binding, Description, Image},
    diagnose::{self as diagnosing, Diagnosis, Failure},
    probe::{self as probing, Answer, Findings, ProbePlan},
};

/// Where Redis listens.
const DEFAULT_PORT: u16 = 6379;
/// Name of the one secret value.
const PASSWORD: &str = "password";
/// Name of the one image.
const IMAGE: &str = "redis";

struct Redis;

impl descriptor::Guest for Redis {
    fn describe() -> Description {
        report_panics();
        Description {
            id: "redis.example.com".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "Redis by redis-cli --rdb: every database of one server".to_owned(),
            database_types: vec!["redis".to_owned()],
            default_port: Some(DEFAULT_PORT),
            bindings: vec![Binding {
                name: PASSWORD.to_owned(),
                // A server may have none, and then the user needs no Secret.
                required: false,
                summary: "password of the user, or of the server".to_owned(),
            }],
            images: vec![Image {
                name: IMAGE.to_owned(),
                reference: "docker.io/library/redis:8".to_owned(),
                // A newer server writes files that its redis-check-rdb does not know.
                server_versions: Some(">=4, <9".to_owned()),
            }],
            settings_schema: include_str!("../settings.schema.json").to_owned(),
            labels: vec![],
        }
    }
}

impl backup::Guest for Redis {
    fn check(request: Request) -> Vec<Issue> {
        Self::plan(request).err().map(|refusal| refusal.issues).unwrap_or_default()
    }

    fn plan(request: Request) -> Result<BackupPlan, Refusal> {
        report_panics();
        plan::plan(&request).map_err(|issues| Refusal { issues })
    }
}

impl probing::Guest for Redis {
    fn plan(request: Request) -> Result<ProbePlan, Refusal> {
        report_panics();
        probe::plan(&request).map_err(|issues| Refusal { issues })
    }

    fn read(request: Request, answers: Vec<Answer>) -> Findings {
        report_panics();
        probe::read(&request, &answers)
    }
}

impl diagnosing::Guest for Redis {
    fn explain(failure: Failure) -> Option<Diagnosis> {
        report_panics();
        diagnose::explain(&failure)
    }
}

/// One thing that is wrong with a request.
fn issue(path: &str, reason: &str, message: &str) -> Issue {
    Issue { path: path.to_owned(), reason: reason.to_owned(), message: message.to_owned() }
}

/// A trap carries no text: the panic hook hands it to the operator before the trap happens.
fn report_panics() {
    static HOOK: Once = Once::new();
    if cfg!(target_family = "wasm") {
        HOOK.call_once(|| panic::set_hook(Box::new(|info| log(Level::Panic, &info.to_string()))));
    }
}

// A linker of the machine that runs the tests does not take the names of a component's exports.
#[cfg(target_family = "wasm")]
export!(Redis);

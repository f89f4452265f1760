//! Write a plugin for db-backup-operator: a trait and one macro.
//!
//! A plugin turns a [`Request`] into a [`BackupPlan`]: which processes make a dump of this one server, and how to
//! know that they worked. It runs nothing, reads nothing and never sees a secret; `wit/` is the contract behind
//! these types, and the place where every field is explained.
//!
//! ```
//! use db_backup_plugin_sdk::{BackupPlan, Binding, Description, Image, Part, Plugin, Process, Refusal, Request, secret};
//!
//! /// `spec.settings` as the user may write it. What does not fit is refused with a JSON pointer.
//! #[derive(serde::Deserialize)]
//! #[serde(default, deny_unknown_fields)]
//! struct Settings {
//!     database: u8,
//! }
//!
//! impl Default for Settings {
//!     fn default() -> Self {
//!         Self { database: 0 }
//!     }
//! }
//!
//! struct Redis;
//!
//! impl Plugin for Redis {
//!     type Settings = Settings;
//!
//!     fn describe() -> Description {
//!         Description::new("redis.example.com", "0.1.0", "Redis by redis-cli --rdb")
//!             .database_types(["redis"])
//!             .default_port(6379)
//!             .binding(Binding::required("password", "password of the default user"))
//!             .image(Image::new("8", "docker.io/library/redis:8"))
//!             .settings_schema(
//!                 r#"{"type": "object", "additionalProperties": false, "properties": {
//!                     "database": {"type": "integer", "minimum": 0, "maximum": 255, "default": 0,
//!                                  "description": "Number of the database."}}}"#,
//!             )
//!     }
//!
//!     fn plan(request: &Request, settings: &Settings) -> Result<BackupPlan, Refusal> {
//!         let connection = request.server_connection()?;
//!         let dump = Process::new("redis-cli")
//!             .args(["-h", &connection.host, "-p", &connection.port_or(6379).to_string()])
//!             .args(["-n", &settings.database.to_string(), "--rdb", "-"])
//!             .env("REDISCLI_AUTH", secret("password"));
//!         let part = Part::new("server", "rdb", "application/octet-stream", dump).header("REDIS");
//!         Ok(BackupPlan::new().image("8").part(part))
//!     }
//! }
//!
//! db_backup_plugin_sdk::export!(Redis);
//! ```
//!
//! Optional interfaces do more: [`Probe`] asks the server before the first backup and once a day, so that
//! what is wrong shows before the backup is due, and [`Diagnose`] says in words what a failure means ([`Cause`] has those of
//! the usual ones), [`Restore`] plans the way back. `export!(Redis: Probe, Diagnose, Restore);` exports them.
//!
//! The crate is a `cdylib` (add `rlib` for tests) and becomes a component by
//! `cargo build --release --target wasm32-wasip2`. On the host the same crate compiles and its tests call the
//! trait; [`testing`] has requests to try and checks that every plugin should pass.

#[doc(hidden)]
pub mod bindings;
mod cause;
#[doc(hidden)]
pub mod component;
mod description;
mod diagnose;
mod issue;
mod plan;
mod plugin;
mod probe;
mod process;
mod request;
mod restore;
mod settings;
pub mod testing;
mod text;

pub use bindings::{
    db_backup::plugin::{
        host::Level,
        types::{
            Argument, ArgumentPiece, BackupPlan, Check, Completion, ConfigFile, Connection, Encoding, EnvVar,
            Escape, Expectation, Fact, Fragment, Issue, Output, Part, PartSource, PerItem, Process, Refusal,
            Request, Secret, Separator, Server, Substitution, Tail, Tls, TlsMode,
        },
    },
    exports::db_backup::plugin::descriptor::{Binding, Description, Image},
    with_diagnose::exports::db_backup::plugin::diagnose::{Diagnosis, Failure},
    with_probe::exports::db_backup::plugin::probe::{Answer, Findings, ProbePlan, Problem, Query},
    with_restore::exports::db_backup::plugin::restore::{
        Effect, Input, Listing, Load, Mode, PartRestore, Rename, RestorePlan, RestoreRequest, Signs, Step,
    },
};
pub use cause::Cause;
pub use diagnose::{Diagnose, Symptom, diagnose};
pub use issue::{Issues, both, pointer};
pub use plugin::{Plugin, check, log, plan};
pub use probe::{Probe, probe, problem, read};
pub use process::{Value, secret};
pub use restore::{Restore, restore};
pub use settings::Text;
pub use text::{percent, slug};

/// Makes the crate a plugin: exports the given [`Plugin`] as a component, and what it has besides: `export!(Redis: Probe,
/// Diagnose);`. Once in a crate. On the host, where the linker does not take the names of a component's exports, it only
/// makes sure that the type is what is said.
#[macro_export]
macro_rules! export {
    ($plugin:ty $(: $($optional:ident),+)?) => {
        const _: fn() -> $crate::Description = <$plugin as $crate::Plugin>::describe;
        #[cfg(target_family = "wasm")]
        const _: () = {
            type Exported = $crate::component::Component<$plugin>;
            $crate::bindings::export_component!(Exported with_types_in $crate::bindings);
        };
        $($($crate::export_optional!($optional for $plugin);)+)?
    };
}

/// For [`export!`]: a name that is not here is no interface.
#[doc(hidden)]
#[macro_export]
macro_rules! export_optional {
    (Probe for $plugin:ty) => {
        const _: fn(&$crate::Request) -> Result<$crate::ProbePlan, $crate::Refusal> =
            $crate::probe::<$plugin>;
        #[cfg(target_family = "wasm")]
        const _: () = {
            type Exported = $crate::component::Component<$plugin>;
    $crate::bindings::with_probe::export_probe!(Exported with_types_in $crate::bindings::with_probe);
        };
    };
    (Restore for $plugin:ty) => {
        const _: fn(&$crate::RestoreRequest) -> Result<$crate::RestorePlan, $crate::Refusal> =
            $crate::restore::<$plugin>;
        #[cfg(target_family = "wasm")]
        const _: () = {
            type Exported = $crate::component::Component<$plugin>;
            $crate::bindings::with_restore::export_restore!(
                Exported with_types_in $crate::bindings::with_restore
            );
        };
    };
    (Diagnose for $plugin:ty) => {
        const _: fn(&$crate::Failure) -> Option<$crate::Diagnosis> = <$plugin as $crate::Diagnose>::explain;
        #[cfg(target_family = "wasm")]
        const _: () = {
            type Exported = $crate::component::Component<$plugin>;
            $crate::bindings::with_diagnose::export_diagnose!(
                Exported with_types_in $crate::bindings::with_diagnose
            );
        };
    };
}

//! What the tests of this folder begin with.

use dbbackup_protocol::{
    plan::{
        Argument, ArgumentPiece, BackupPlan, Completion, EnvVar, Fragment, Output, Part, PartSource, Process,
    },
    work_order::{BoundSecret, PluginRef},
};

use super::{Planned, Probing};

/// As text.
pub(crate) fn argument(text: impl Into<String>) -> Argument {
    Argument { pieces: vec![ArgumentPiece::Text(text.into())] }
}

/// A plan of one part: `dump --all --jobs=4 --quiet`.
pub(crate) fn planned() -> Planned {
    let process = Process {
        argv: ["dump", "--all", "--jobs=4", "--quiet"].map(argument).into(),
        env: vec![EnvVar { name: "HOST".into(), value: vec![Fragment::Text("db".into())] }],
        files: vec![],
    };
    let completion = Completion {
        exit_codes: vec![0],
        header: None,
        tail: None,
        verifier: None,
        stderr_required: None,
        minimum_bytes: 1,
    };
    let part = Part {
        name: "all".into(),
        extension: "sql".into(),
        media_type: "application/sql".into(),
        process,
        output: Output::Stdout,
        completion,
        restore_command: None,
    };
    let bound = |name: &str| BoundSecret { name: name.into(), secret: "orders".into(), key: name.into() };
    Planned {
        plugin: PluginRef { id: "x".into(), version: "1.0.0".into(), digest: "sha256:0".into() },
        fallback: false,
        plan: BackupPlan {
            image: Some("client".into()),
            checks: vec![],
            parts: vec![PartSource::One(part)],
            scratch_mebibytes: None,
        },
        image: "example.com/client:1".into(),
        bindings: vec![bound("username"), bound("password")],
        probing: Probing::Nothing,
    }
}

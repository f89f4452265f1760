//! How commands end.

use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

/// A command did its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// All is well.
    Good,
    /// It found faults, or differences, and told them.
    Faults,
}

impl Ending {
    /// [`Ending::Faults`] where there are some.
    pub(crate) fn faults_if(any: bool) -> Self {
        if any { Self::Faults } else { Self::Good }
    }
}

/// Why a command could not do its work. Its text says what was attempted on what, and what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    /// Input that cannot be used, or an environment in which nothing works.
    #[error("{0}")]
    Input(String),
    /// A file or folder could not be read or written.
    #[error("cannot {what} {file}: {error}")]
    File {
        /// `read`, `write`, …
        what: &'static str,
        /// Which.
        file: String,
        /// Why.
        error: io::Error,
    },
    /// A schedule without a slot.
    #[error("spec.schedule never comes due: {0}; no day fits both its day of month and its month")]
    NeverFires(String),
    /// The API server refused a request, or did not answer.
    #[error("cannot {attempt}: {error}")]
    Api {
        /// What was attempted, on what.
        attempt: String,
        /// Why not.
        error: Box<kube::Error>,
    },
    /// Nobody takes what is printed.
    #[error("cannot print: {0}")]
    Output(#[from] io::Error),
}

impl Unusable {
    /// To be mapped over an error of the API server: what was attempted, on what.
    pub(crate) fn api(attempt: String) -> impl FnOnce(kube::Error) -> Self {
        move |error| Self::Api { attempt, error: Box::new(error) }
    }

    /// To be mapped over an I/O error: `what` on `file` went wrong.
    pub(crate) fn on(what: &'static str, file: &Path) -> impl Fn(io::Error) -> Self {
        let file = file.display().to_string();
        move |error| Self::File { what, file: file.clone(), error }
    }
}

/// 0 to 3, see the crate's documentation. A reader that went away, such as `head`, is no fault.
pub(crate) fn exit_code(ending: Result<Ending, Unusable>) -> ExitCode {
    match ending {
        Ok(Ending::Good) => ExitCode::SUCCESS,
        Ok(Ending::Faults) => ExitCode::from(1),
        Err(Unusable::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(unusable) => {
            // Where not even this can be told the exit code has to do.
            let _ = writeln!(io::stderr().lock(), "error: {unusable}");
            ExitCode::from(if matches!(unusable, Unusable::NeverFires(_)) { 3 } else { 2 })
        }
    }
}

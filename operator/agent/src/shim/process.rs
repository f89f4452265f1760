//! Starts processes in groups of their own and ends whole groups: a dump tool may have children.

use std::{
    io,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dbbackup_protocol::report::Reason;
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::{
    process::{Child, ChildStderr, ChildStdout},
    time::Instant,
};

use super::render::Command;
use crate::{failure::Failure, wire::End};

/// How often a group that was asked to end is looked at.
const POLL: Duration = Duration::from_millis(50);

/// The groups that run. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Groups(Arc<Mutex<Vec<Pid>>>);

impl Groups {
    /// Starts a process without a shell; standard output and error are pipes.
    ///
    /// # Errors
    /// The system refuses to execute it.
    pub(crate) fn spawn(&self, command: &Command, stdin: Stdio) -> Result<Child, Failure> {
        let mut os_command = std::process::Command::new(&command.program);
        if let Some((name, arguments)) = command.argv.split_first() {
            os_command.arg0(name).args(arguments);
        }
        os_command.env_clear().envs(&command.env);
        os_command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let child = tokio::process::Command::from(os_command)
            .spawn()
            .map_err(|error| not_started(&command.program.display().to_string(), &error))?;
        self.lock().extend(group(&child));
        Ok(child)
    }

    /// To be called when the process has ended: its stragglers end as well.
    pub(crate) fn ended(&self, group: Option<Pid>) {
        if let Some(group) = group {
            // No such group is what is hoped for.
            let _ = kill_process_group(group, Signal::KILL);
            self.lock().retain(|other| *other != group);
        }
    }

    /// Asks all groups to end and kills what is still there after `grace`: mongodump ignores SIGTERM for minutes
    /// while it looks for a server.
    pub(crate) async fn stop(&self, grace: Duration) {
        let mut groups = std::mem::take(&mut *self.lock());
        for group in &groups {
            let _ = kill_process_group(*group, Signal::TERM);
        }
        let end = Instant::now() + grace;
        loop {
            groups.retain(|group| test_kill_process_group(*group).is_ok());
            if groups.is_empty() || Instant::now() >= end {
                break;
            }
            tokio::time::sleep(POLL).await;
        }
        for group in groups {
            tracing::warn!(group = group.as_raw_nonzero().get(), "killed after the grace period");
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Pid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Standard output and error of a child that [`Groups::spawn`] has started.
///
/// # Errors
/// They were taken before: a defect.
pub(crate) fn pipes(child: &mut Child) -> Result<(ChildStdout, ChildStderr), Failure> {
    let pipes = child.stdout.take().zip(child.stderr.take());
    pipes.ok_or_else(|| Failure::new(Reason::Internal, "a process was started without pipes"))
}

/// Waits for the end.
///
/// # Errors
/// The system cannot say: a defect.
pub(crate) async fn wait(child: &mut Child) -> Result<End, Failure> {
    child.wait().await.map(end_of).map_err(|error| {
        Failure::new(Reason::Internal, format!("the end of a process could not be awaited: {error}"))
    })
}

/// The group of a child that has not been waited for yet.
pub(crate) fn group(child: &Child) -> Option<Pid> {
    child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
}

fn not_started(program: &str, error: &io::Error) -> Failure {
    let reason = match error.kind() {
        // ENOEXEC has no kind of its own.
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => Reason::ProgramNotFound,
        _ if error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error()) => {
            Reason::ProgramNotFound
        }
        _ => Reason::Internal,
    };
    Failure::new(reason, format!("the program {program} could not be started: {error}"))
}

/// How a process ended, in the words of the wire.
fn end_of(status: ExitStatus) -> End {
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Exited(code),
        (None, Some(signal)) => End::Signalled(signal),
        // `wait` reports nothing else; -1 is no exit code of success.
        (None, None) => End::Exited(-1),
    }
}

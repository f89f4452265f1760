//! The operator's side: starts the child, feeds it, waits, and says exactly why it failed.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::CompileLimits;
use super::sealed::{Digest, SEAL};
use super::worker::{INVALID, MEMORY, Order};
use crate::error::{CompileError, LoadError};
use crate::text;

/// How often the child is looked at.
const PAUSE: Duration = Duration::from_millis(2);
/// What is read of the child's standard error, in bytes.
const MAX_WORDS: usize = 4096;
/// What is told of it, in bytes.
const TOLD_WORDS: usize = 512;

/// Of the allocator mimalloc, should the program have it: usually it takes a gigabyte of addresses before `main`, which are more
/// than the child may have.
const NOTHING_AHEAD: (&str, &str) = ("MIMALLOC_ARENA_RESERVE", "0");

/// A way to compile in a child process.
#[derive(Clone, Debug)]
pub struct Quarantine {
    program: PathBuf,
    arguments: Vec<OsString>,
    limits: CompileLimits,
}

impl Quarantine {
    /// `program`, called with `arguments`, must do nothing but [`super::compile_worker`], and be of the same build as
    /// this program: `/proc/self/exe` is the best choice. The output of another program, or of another build, is found
    /// out by its seal.
    pub fn new(
        program: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
        limits: CompileLimits,
    ) -> Self {
        let arguments = arguments.into_iter().map(Into::into).collect();
        Self { program: program.into(), arguments, limits }
    }

    /// Sealed code. Blocks, for at most the wall-clock limit.
    pub(crate) fn compile(&self, bytes: &[u8], component: Digest) -> Result<Vec<u8>, LoadError> {
        let CompileLimits { address_space, cpu_seconds, wall, code_bytes } = self.limits;
        let order = Order { address_space, cpu_seconds, component };
        let outcome = self.run(&order, bytes).map_err(CompileError::Start)?;
        let Some(status) = outcome.status else { return Err(CompileError::Wall(wall).into()) };
        if outcome.output.len() > code_bytes.saturating_add(SEAL) {
            return Err(CompileError::CodeTooLarge { max: code_bytes }.into());
        }
        self.judge(status, outcome)
    }

    fn run(&self, order: &Order, bytes: &[u8]) -> io::Result<Outcome> {
        let child = Command::new(&self.program)
            .args(&self.arguments)
            // Nothing of our environment is its business.
            .env_clear()
            .envs([NOTHING_AHEAD])
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut child = Killed(child);
        let pipes = (child.0.stdin.take(), child.0.stdout.take(), child.0.stderr.take());
        let (Some(mut stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(io::Error::other("a pipe to it is missing"));
        };
        let (longest, wall) = (self.limits.code_bytes.saturating_add(SEAL + 1), self.limits.wall);
        // The child goes with the closure, so that no thread waits for a pipe of one that nobody waits for.
        thread::scope(move |scope| {
            let feeder = thread::Builder::new().spawn_scoped(scope, move || {
                // A child that died does not read on; its status says why.
                let _ = stdin.write_all(&order.write()).and_then(|()| stdin.write_all(bytes));
            })?;
            let output = thread::Builder::new().spawn_scoped(scope, move || read(stdout, longest))?;
            let words = thread::Builder::new().spawn_scoped(scope, move || read(stderr, MAX_WORDS))?;
            let status = child.wait(wall)?;
            joined(feeder)?;
            Ok(Outcome { status, output: joined(output)??, words: joined(words)?? })
        })
    }

    fn judge(&self, status: ExitStatus, outcome: Outcome) -> Result<Vec<u8>, LoadError> {
        let words = String::from_utf8_lossy(&outcome.words);
        let words = text::end(words.trim(), TOLD_WORDS).to_owned();
        let memory = CompileError::Memory { limit: self.limits.address_space };
        let failed = |how: String, transient| CompileError::Failed { how, words: words.clone(), transient };
        let signal = |wanted: Signal| status.signal() == Some(wanted.as_raw());
        Err(match status.code() {
            Some(0) => return Ok(outcome.output),
            Some(code) if code == i32::from(INVALID) => LoadError::Invalid(words),
            Some(code) if code == i32::from(MEMORY) => memory.into(),
            Some(code) => failed(format!("exit code {code}"), false).into(),
            None if signal(Signal::XCPU) => CompileError::Cpu { seconds: self.limits.cpu_seconds }.into(),
            // How Rust ends when it gets no memory.
            None if signal(Signal::ABORT) && words.contains("memory allocation of") => memory.into(),
            // From outside, for example because the whole machine is short of memory.
            None if signal(Signal::KILL) => failed("it was killed".to_owned(), true).into(),
            None => failed(format!("signal {}", status.signal().unwrap_or_default()), false).into(),
        })
    }
}

/// What a child left.
struct Outcome {
    /// none: it was ended because it took too long.
    status: Option<ExitStatus>,
    output: Vec<u8>,
    words: Vec<u8>,
}

/// A child that does not outlive our interest in it.
struct Killed(Child);

impl Killed {
    fn wait(&mut self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(Some(status));
            }
            if began.elapsed() >= limit {
                self.0.kill()?;
                self.0.wait()?;
                return Ok(None);
            }
            thread::sleep(PAUSE);
        }
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        // Whoever has ended needs neither.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// At most so many bytes; then the pipe is closed, which ends a writer.
fn read(pipe: impl Read, max: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    pipe.take(u64::try_from(max).unwrap_or(u64::MAX)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> io::Result<T> {
    thread.join().map_err(|_| io::Error::other("a thread that served it panicked"))
}

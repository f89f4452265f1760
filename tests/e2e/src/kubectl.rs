//! Calls of `kubectl`, and waiting for what they show.

use std::{
    io::Write,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// How long anything may take that takes seconds: generous, because the machine is shared by everything that runs.
pub const DEADLINE: Duration = Duration::from_mins(4);
/// Longest silence of a watch before it is begun again: one that missed a change was seen, and would wait for ever.
const SILENCE: Duration = Duration::from_secs(10);
/// Pause before a watch that ended is begun again.
const PAUSE: Duration = Duration::from_millis(300);

/// One call of `kubectl`.
#[derive(Debug)]
pub struct Call {
    args: Vec<String>,
    input: Option<Vec<u8>>,
}

/// A call with these arguments.
pub fn kubectl<S: Into<String>>(args: impl IntoIterator<Item = S>) -> Call {
    Call { args: args.into_iter().map(Into::into).collect(), input: None }
}

/// What a process left.
struct Outcome {
    success: bool,
    stdout: Vec<u8>,
    stderr: String,
}

impl Call {
    /// Gives it bytes on standard input.
    #[must_use]
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self
    }

    /// Standard output of a call that succeeds.
    ///
    /// # Errors
    /// The call and what it said, where it fails.
    pub fn bytes(self) -> Result<Vec<u8>> {
        let outcome = self.outcome()?;
        ensure!(outcome.success, "{}\nfailed: {}", self.shown(), outcome.stderr);
        Ok(outcome.stdout)
    }

    /// Standard output of a call that succeeds, as text.
    ///
    /// # Errors
    /// As [`Call::bytes`].
    pub fn text(self) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.bytes()?).into_owned())
    }

    /// The same, read as JSON.
    ///
    /// # Errors
    /// As [`Call::bytes`], or what is no JSON.
    pub fn json(mut self) -> Result<Value> {
        self.args.extend(["--output".into(), "json".into()]);
        let shown = self.shown();
        serde_json::from_slice(&self.bytes()?).with_context(|| format!("{shown}\nprinted no JSON"))
    }

    /// Standard error of a call that must fail.
    ///
    /// # Errors
    /// Where it succeeds.
    pub fn refusal(self) -> Result<String> {
        let outcome = self.outcome()?;
        ensure!(
            !outcome.success,
            "{}\nwas to be refused, but it printed: {}",
            self.shown(),
            String::from_utf8_lossy(&outcome.stdout)
        );
        Ok(outcome.stderr)
    }

    fn outcome(&self) -> Result<Outcome> {
        let stdin = if self.input.is_some() { Stdio::piped() } else { Stdio::null() };
        let mut child = self.spawn(stdin)?;
        let (input, pipe) = (self.input.as_deref().unwrap_or_default(), child.stdin.take());
        thread::scope(|scope| {
            // A process that does not read its input has said why on standard error.
            let writer = scope.spawn(move || pipe.map(|mut pipe| pipe.write_all(input)));
            let output = child.wait_with_output()?;
            let _ = writer.join();
            Ok(Outcome {
                success: output.status.success(),
                stdout: output.stdout,
                stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            })
        })
    }

    fn spawn(&self, stdin: Stdio) -> Result<Child> {
        Command::new("kubectl")
            .args(&self.args)
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("kubectl cannot be started")
    }

    fn shown(&self) -> String {
        let mut text = self.args.join(" ");
        if let Some((at, _)) = text.char_indices().nth(400) {
            text.truncate(at);
        }
        format!("kubectl {text}")
    }

    /// Watches what the call (a `get`) shows until `found` finds what it looks for.
    ///
    /// # Errors
    /// After [`DEADLINE`], with the last state seen; or the error that `found` returns, at once.
    pub fn watch<T>(mut self, what: &str, mut found: impl FnMut(&Value) -> Result<Option<T>>) -> Result<T> {
        self.args.extend(["--watch".into(), "--output".into(), "json".into()]);
        let deadline = Instant::now() + DEADLINE;
        let mut last = None;
        while Instant::now() < deadline {
            let stream = Watch::begin(&self)?;
            while let Some(state) = stream.next() {
                if let Some(found) = found(&state)? {
                    return Ok(found);
                }
                last = Some(state);
                if Instant::now() >= deadline {
                    break;
                }
            }
            thread::sleep(PAUSE);
        }
        let last = last
            .map_or_else(|| "nothing".into(), |state| format!("{:#}", state.get("status").unwrap_or(&state)));
        bail!("waited {} s for {what}; {} showed last: {last}", DEADLINE.as_secs(), self.shown())
    }
}

/// A running `get --watch`; dropped, it is ended.
struct Watch {
    child: Child,
    states: mpsc::Receiver<Value>,
}

impl Watch {
    fn begin(call: &Call) -> Result<Self> {
        let mut child = call.spawn(Stdio::null())?;
        let (sender, states) = mpsc::channel();
        let stdout = child.stdout.take().context("a pipe")?;
        thread::spawn(move || {
            let stream = serde_json::Deserializer::from_reader(stdout).into_iter::<Value>();
            // It ends with the process, or when nobody listens any more.
            let _ = stream.map_while(Result::ok).try_for_each(|state| sender.send(state));
        });
        Ok(Self { child, states })
    }

    /// None: the watch ended, or was silent for too long.
    fn next(&self) -> Option<Value> {
        self.states.recv_timeout(SILENCE).ok()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks again and again until there is an answer, for what cannot be watched.
///
/// # Errors
/// After [`DEADLINE`], or the first error.
pub fn until<T>(what: &str, mut found: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + DEADLINE;
    while Instant::now() < deadline {
        if let Some(found) = found()? {
            return Ok(found);
        }
        thread::sleep(PAUSE);
    }
    bail!("waited {} s for {what}", DEADLINE.as_secs())
}

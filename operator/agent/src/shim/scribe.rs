//! What becomes of a process's standard error: searched raw, redacted, logged line by line, kept and passed on.

use dbbackup_protocol::report::Reason;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    sync::mpsc,
};

use super::{
    blank::Blanking,
    redact::{RedactingStream, Redactor},
};
use crate::{
    failure::Failure,
    text::TextTail,
    wire::{DATA_BYTES, Reply},
};

/// Longer lines are logged in pieces.
const LOG_LINE_BYTES: usize = 2048;

/// Follows one stream.
pub(crate) struct Scribe {
    program: String,
    finders: Vec<Finder>,
    redacting: RedactingStream,
    blanking: Option<Blanking>,
    line: Vec<u8>,
    tail: TextTail,
}

impl Scribe {
    /// `required` are the texts to look for.
    pub(crate) fn new(program: &str, redactor: &Redactor, required: &[impl AsRef<str>]) -> Self {
        Self {
            program: program.to_owned(),
            finders: required.iter().map(|text| Finder::new(text.as_ref())).collect(),
            redacting: redactor.stream(),
            blanking: None,
            line: Vec::new(),
            tail: TextTail::default(),
        }
    }

    /// The same without what may be rows.
    pub(crate) fn without(self, blanking: Blanking) -> Self {
        Self { blanking: Some(blanking), ..self }
    }

    /// Reads to the end; `replies` gets what may be seen.
    ///
    /// # Errors
    /// The pipe breaks, or the mover has gone.
    pub(crate) async fn follow(
        &mut self,
        mut from: impl AsyncRead + Unpin,
        replies: Option<&mpsc::Sender<Reply>>,
    ) -> Result<(), Failure> {
        let mut buffer = vec![0; 8 * 1024];
        loop {
            let count = from.read(&mut buffer).await.map_err(|error| {
                Failure::new(
                    Reason::Internal,
                    format!("could not read what {} prints: {error}", self.program),
                )
            })?;
            let piece = buffer.get(..count).unwrap_or_default();
            self.finders.iter_mut().for_each(|finder| finder.push(piece));
            let visible = if piece.is_empty() { self.redacting.finish() } else { self.redacting.push(piece) };
            let visible = match &mut self.blanking {
                Some(blanking) => blanking.push(&visible, piece.is_empty()),
                None => visible,
            };
            self.tail.push(&visible);
            self.log(&visible, piece.is_empty());
            if let Some(replies) = replies {
                for piece in visible.chunks(DATA_BYTES) {
                    send(replies, Reply::Stderr(piece.to_vec())).await?;
                }
            }
            if piece.is_empty() {
                return Ok(());
            }
        }
    }

    /// Whether all required texts occurred; true when there are none.
    pub(crate) fn found(&self) -> bool {
        self.finders.iter().all(|finder| finder.found)
    }

    /// End of what was printed, redacted.
    pub(crate) fn tail(&self) -> String {
        self.tail.text()
    }

    fn log(&mut self, visible: &[u8], at_end: bool) {
        for byte in visible {
            if *byte == b'\n' || self.line.len() >= LOG_LINE_BYTES {
                self.log_line();
            }
            if *byte != b'\n' {
                self.line.push(*byte);
            }
        }
        if at_end {
            self.log_line();
        }
    }

    fn log_line(&mut self) {
        if !self.line.is_empty() {
            tracing::info!(program = self.program, line = %String::from_utf8_lossy(&self.line), "tool");
            self.line.clear();
        }
    }
}

/// Hands a reply to the writer of the socket, which waits when the mover is slower.
///
/// # Errors
/// The mover has gone.
pub(crate) async fn send(replies: &mpsc::Sender<Reply>, reply: Reply) -> Result<(), Failure> {
    let gone = |_| Failure::new(Reason::ClientLost, "the mover has closed the connection");
    replies.send(reply).await.map_err(gone)
}

/// Looks for a text in a stream.
struct Finder {
    wanted: Vec<u8>,
    held: Vec<u8>,
    found: bool,
}

impl Finder {
    fn new(wanted: &str) -> Self {
        Self { wanted: wanted.into(), held: Vec::new(), found: wanted.is_empty() }
    }

    fn push(&mut self, piece: &[u8]) {
        if self.found {
            return;
        }
        self.held.extend_from_slice(piece);
        self.found = self.held.windows(self.wanted.len()).any(|window| window == self.wanted);
        let done = self.held.len().saturating_sub(self.wanted.len() - 1);
        self.held.drain(..done);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_across_pieces() {
        for (wanted, pieces, found) in [
            ("done dumping", &["do", "ne", " dump", "ing"][..], true),
            ("done dumping", &["done", "dumping"], false),
            ("aab", &["aa", "ab"], true),
            ("x", &[], false),
            ("", &[], true),
        ] {
            let mut finder = Finder::new(wanted);
            for piece in pieces {
                finder.push(piece.as_bytes());
            }
            assert_eq!(finder.found, found, "{wanted} in {pieces:?}");
        }
    }

    #[tokio::test]
    async fn long_output_is_passed_on_in_frames_that_fit() {
        let (replies, mut frames) = mpsc::channel(1000);
        let mut scribe = Scribe::new("tool", &Redactor::default(), &["end"]);
        let text = format!("{}\nend", "x".repeat(300_000));
        scribe.follow(text.as_bytes(), Some(&replies)).await.unwrap();
        drop(replies);
        let mut all = Vec::new();
        while let Some(Reply::Stderr(bytes)) = frames.recv().await {
            assert!(bytes.len() <= DATA_BYTES);
            all.extend(bytes);
        }
        assert_eq!(all, text.as_bytes());
        assert!(scribe.found() && scribe.tail().ends_with("x\nend"));
    }
}

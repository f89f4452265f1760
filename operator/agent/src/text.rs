//! Small things about text that both sides need.

use std::{collections::VecDeque, fmt::Write as _};

/// So much of a process's standard error is kept.
pub(crate) const TAIL_BYTES: usize = 4096;

/// The last [`TAIL_BYTES`] of what was pushed.
#[derive(Debug, Default)]
pub(crate) struct TextTail(VecDeque<u8>);

impl TextTail {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let skip = bytes.len().saturating_sub(TAIL_BYTES);
        self.0.extend(bytes.iter().skip(skip));
        let excess = self.0.len().saturating_sub(TAIL_BYTES);
        self.0.drain(..excess);
    }

    /// What is kept, as text; bytes that are no UTF-8 become U+FFFD.
    pub(crate) fn text(&self) -> String {
        let (front, back) = self.0.as_slices();
        String::from_utf8_lossy(&[front, back].concat()).into_owned()
    }
}

/// The most telling of what a tool wrote: its last lines, on one line, in at most about 500 characters.
pub(crate) fn last_lines(stderr: &str) -> String {
    const LINES: usize = 3;
    const CHARACTERS: usize = 500;
    let mut lines: Vec<&str> =
        stderr.lines().rev().map(str::trim).filter(|line| !line.is_empty()).take(LINES).collect();
    lines.reverse();
    let text = lines.join("; ");
    let excess = text.chars().count().saturating_sub(CHARACTERS);
    if excess == 0 { text } else { format!("…{}", text.chars().skip(excess).collect::<String>()) }
}

/// Lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_keeps_the_end() {
        let mut tail = TextTail::default();
        tail.push(b"begin");
        for _ in 0..1000 {
            tail.push(b"0123456789");
        }
        tail.push(&[b'x'; 10_000]);
        tail.push(b"the end");
        let text = tail.text();
        assert_eq!(text.len(), TAIL_BYTES);
        assert!(text.starts_with('x') && text.ends_with("xthe end"));
    }

    #[test]
    fn last_lines_skip_blank_ones_and_keep_the_end() {
        assert_eq!(last_lines("a\nb\n\nc\n  d  \n\n"), "b; c; d");
        assert_eq!(last_lines(""), "");
        let long = last_lines(&format!("{}end", "ä".repeat(900)));
        assert!(long.starts_with('…') && long.ends_with("äend") && long.chars().count() == 501);
    }

    #[test]
    fn hex_has_two_digits_for_each_byte() {
        assert_eq!(hex(&[0, 15, 255]), "000fff");
    }
}

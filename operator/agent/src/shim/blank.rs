//! What the tools of a restore say of errors, without the rows that they quote: codes, names of what failed, and nothing that
//! may be data.

/// Longer lines lose their end.
const MAX_LINE: usize = 4096;
/// So much of the beginning of a line has to hold one of [`MARKS`].
const MARK_WITHIN: usize = 120;
/// A line without one of these is data or chatter.
const MARKS: [&str; 10] =
    ["error", "fatal", "panic", "warning", "failed", "could not", "cannot", "denied", "refused", "restored"];
/// Lines that quote: rows, statements, positions in a file.
const QUOTING: [&str; 8] =
    ["detail:", "context:", "statement:", "query:", "where:", "command was:", "copy ", "insert "];

/// Works on a stream, line by line.
#[derive(Debug, Default)]
pub(crate) struct Blanking {
    line: Vec<u8>,
}

impl Blanking {
    /// The lines that are whole by now, as they may be seen.
    pub(crate) fn push(&mut self, bytes: &[u8], at_end: bool) -> Vec<u8> {
        let mut seen = Vec::new();
        for byte in bytes {
            if *byte == b'\n' {
                self.end_line(&mut seen);
            } else if self.line.len() < MAX_LINE {
                self.line.push(*byte);
            }
        }
        if at_end {
            self.end_line(&mut seen);
        }
        seen
    }

    fn end_line(&mut self, seen: &mut Vec<u8>) {
        let line = std::mem::take(&mut self.line);
        if let Some(visible) = visible(&String::from_utf8_lossy(&line)) {
            seen.extend(visible.as_bytes());
            seen.push(b'\n');
        }
    }
}

/// A line without what it quotes; none: all of it may be data.
fn visible(line: &str) -> Option<String> {
    let begin: String = line.chars().take(MARK_WITHIN).collect::<String>().to_lowercase();
    let text = begin.trim_start();
    let quoting = QUOTING.iter().any(|word| {
        // Also behind the name of the tool, as in `pg_restore: detail: …`.
        text.starts_with(word) || text.contains(&format!(": {word}"))
    });
    let marked = MARKS.iter().any(|mark| begin.contains(mark));
    (marked && !quoting).then(|| without_quotes(line))
}

/// `"…"`, `'…'`, `` `…` `` and `{…}` lose what is in them; what is not closed loses everything up to the end.
fn without_quotes(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut until = None;
    for c in line.chars() {
        match until {
            Some(close) if c == close => {
                out.push('…');
                out.push(c);
                until = None;
            }
            Some(_) => {}
            None => {
                out.push(c);
                until = match c {
                    '"' | '\'' | '`' => Some(c),
                    '{' => Some('}'),
                    _ => None,
                };
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_stay_and_rows_go() {
        for (line, expected) in [
            (
                "pg_restore: error: could not execute query: ERROR:  relation \"t\" already exists",
                Some("pg_restore: error: could not execute query: ERROR:  relation \"…\" already exists"),
            ),
            ("DETAIL:  Key (email)=(a@example.com) already exists.", None),
            ("CONTEXT:  COPY people, line 3: \"7\terror@example.com\"", None),
            ("pg_restore: detail: error in row (1, 2)", None),
            ("Command was: INSERT INTO t VALUES ('error');", None),
            ("INSERT INTO t VALUES (1, error);", None),
            (
                "ERROR 1062 (23000) at line 3: Duplicate entry 'it''s me' for key 'PRIMARY'",
                Some("ERROR 1062 (23000) at line 3: Duplicate entry '…''…' for key '…'"),
            ),
            (
                "Failed: shop.a: E11000 duplicate key error collection: shop.a dup key: { _id: \"x\" }",
                Some("Failed: shop.a: E11000 duplicate key error collection: shop.a dup key: {…}"),
            ),
            (
                "ERROR:  invalid input syntax for type integer: \"never closed",
                Some("ERROR:  invalid input syntax for type integer: \""),
            ),
            (
                "FATAL:  password authentication failed for user \"x\"",
                Some("FATAL:  password authentication failed for user \"…\""),
            ),
            ("1\tAda\tLovelace", None),
            ("", None),
        ] {
            assert_eq!(visible(line).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn pieces_do_not_matter_and_long_lines_end() {
        let mut blanking = Blanking::default();
        let mut seen = blanking.push(b"ERR", false);
        seen.extend(blanking.push(b"OR: a\nrow\nerror: ", false));
        seen.extend(blanking.push(&[b'x'; 10_000], true));
        let text = String::from_utf8(seen).unwrap();
        assert!(text.starts_with("ERROR: a\nerror: xx") && text.len() < 5000, "{} bytes", text.len());
    }
}

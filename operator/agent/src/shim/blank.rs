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

/// Constant words of servers and clients, which stay wherever they stand: they tell nothing but what went wrong, and a plugin knows them.
const KEPT: [&str; 43] = [
    "FATAL:  role \"",
    "FATAL:  database \"",
    "FATAL:",
    "ERROR:",
    "password authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "is not permitted to log in",
    "is not currently accepting connections",
    "too many connections for",
    "too many clients already",
    "connection slots are reserved",
    "the database system is",
    "could not translate host name",
    "timeout expired",
    "does not support SSL",
    "SSL error",
    "certificate verify failed",
    "terminating connection",
    "server closed the connection unexpectedly",
    "permission denied for",
    "must be owner of",
    "does not exist",
    "doesn't exist",
    "already exists",
    "violates foreign key constraint",
    "violates unique constraint",
    "violates check constraint",
    "for key",
    "for table",
    "to database",
    "command denied to user",
    "Access denied for user",
    "ccount is locked",
    "cannot be loaded",
    "references invalid table",
    "onnection refused",
    "no such host",
    "server misbehaving",
    "first record does not look like a TLS handshake",
    "failed to verify certificate",
    "x509: ",
    "ReplicaSetNoPrimary",
];

/// Loses what stands between the first and the last quote of a kind, brace or parenthesis, and what is not closed up to the end of
/// the line: tools do not escape what they quote, so nothing else tells the end of a value from a character in it.
fn without_quotes(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let behind = rest.get(c.len_utf8()..).unwrap_or_default();
        let end = match c {
            '"' | '\'' | '`' if !is_contraction(&out, behind) => last_quote(behind, c),
            '{' => last_bracket(behind, c, '}'),
            '(' if !is_code(&out, behind) => last_bracket(behind, c, ')'),
            _ => {
                out.push(c);
                rest = behind;
                continue;
            }
        };
        let (inside, after) = behind.split_at_checked(end.unwrap_or(behind.len())).unwrap_or((behind, ""));
        out.push(c);
        if !inside.is_empty() {
            out.push_str(&kept(inside));
        }
        // What closes it, a byte long.
        out.push_str(after.get(..1).unwrap_or_default());
        rest = after.get(1..).unwrap_or_default();
    }
    out
}

/// What of a value may be seen: that there is something, and [`KEPT`].
fn kept(inside: &str) -> String {
    let mut out = String::from("…");
    let mut rest = inside;
    let first = |rest: &str| {
        let found = KEPT.iter().filter_map(|words| rest.find(words).map(|at| (at, *words)));
        found.min_by_key(|(at, words)| (*at, std::cmp::Reverse(words.len())))
    };
    while let Some((at, words)) = first(rest) {
        out.extend([" ", words, " …"]);
        rest = rest.get(at + words.len()..).unwrap_or_default();
    }
    out
}

/// As in `doesn't`: neither opens nor closes anything.
fn is_contraction(before: &str, behind: &str) -> bool {
    let mut next = behind.chars();
    before.ends_with('n') && next.next() == Some('t') && !next.next().is_some_and(char::is_alphanumeric)
}

fn last_quote(behind: &str, quote: char) -> Option<usize> {
    let is_quote = |at: &usize| {
        let (before, from) = behind.split_at_checked(*at).unwrap_or_default();
        !is_contraction(before, from.get(1..).unwrap_or_default())
    };
    behind.rmatch_indices(quote).map(|(at, _)| at).find(is_quote)
}

/// None: a bracket of these is left open.
fn last_bracket(behind: &str, open: char, close: char) -> Option<usize> {
    let end = behind.rfind(close)?;
    let inside = behind.get(..end)?;
    (inside.matches(open).count() <= inside.matches(close).count()).then_some(end)
}

/// What in parentheses is no value: an SQLSTATE, an error's number at the end of the line, its name, and whether there was a password.
fn is_code(before: &str, behind: &str) -> bool {
    let Some((inside, after)) = behind.split_once(')') else { return false };
    let mut words = before.trim_end().rsplit(' ');
    let number = |text: &str| !text.is_empty() && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit());
    let is_state = inside.len() == 5
        && inside.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
        && words.next().is_some_and(number)
        && words.next() == Some("ERROR");
    let is_number = number(inside.trim_start_matches('-')) && after.trim_end_matches('.').is_empty();
    // As MongoDB names its errors.
    let capitals = inside.bytes().filter(u8::is_ascii_uppercase).count();
    let is_name = inside == "Unauthorized"
        || (inside.len() >= 10 && capitals >= 2 && inside.bytes().all(|b| b.is_ascii_alphabetic()));
    let is_password = matches!(inside, "using password: YES" | "using password: NO");
    inside.is_empty() || is_state || is_number || is_name || is_password
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
                "ERROR 1062 (23000) at line 3: Duplicate entry 'O'Brien 555-1234' for key 'PRIMARY'",
                Some("ERROR 1062 (23000) at line 3: Duplicate entry '… for key …'"),
            ),
            (
                "ERROR 1062 (23000) at line 3: Duplicate entry 'it' (4912345) 's' for key 'a' for key 'PRIMARY'",
                Some("ERROR 1062 (23000) at line 3: Duplicate entry '… for key … for key …'"),
            ),
            (
                "ERROR:  invalid input syntax for type integer: \"a\"b 555\" at character 7",
                Some("ERROR:  invalid input syntax for type integer: \"…\" at character 7"),
            ),
            (
                "ERROR 1146 (42S02) at line 22: Table 'b.t' doesn't exist",
                Some("ERROR 1146 (42S02) at line 22: Table '…' doesn't exist"),
            ),
            (
                "ERROR 1356 (HY000) at line 9: View 'a.v' references invalid table(s) or column(s) of view",
                Some("ERROR 1356 (HY000) at line 9: View '…' references invalid table(…) of view"),
            ),
            (
                "ERROR 1045 (28000): Access denied for user 'x'@'10.0.0.1' (using password: YES)",
                Some("ERROR 1045 (28000): Access denied for user '…' (using password: YES)"),
            ),
            (
                "ERROR 2003 (HY000): Can't connect to MySQL server on 'db' (111)",
                Some("ERROR 2003 (HY000): Can't connect to MySQL server on '…' (111)"),
            ),
            (
                "psql: error: connection to server at \"db\" (10.0.0.1), port 5432 failed: FATAL:  password \
                 authentication failed for user \"x\"",
                Some("psql: error: connection to server at \"… FATAL: … password authentication failed …\""),
            ),
            (
                "psql: error: connection to server at \"db\", port 5432 failed: FATAL:  role \"x\" does not exist",
                Some("psql: error: connection to server at \"… FATAL:  role \" …\" does not exist"),
            ),
            (
                "error: E11000 duplicate key error dup key: { loc: { type: \"a } b\" }, phone: 4912345 }",
                Some("error: E11000 duplicate key error dup key: {…}"),
            ),
            ("error: dup key: { loc: { type: 1 }, phone: 4912345", Some("error: dup key: {…")),
            ("error: dup key: { loc: { type: 1, phone: } 4912345", Some("error: dup key: {…")),
            ("ERROR:  (1, (Ada), 555) and (7", Some("ERROR:  (…) and (…")),
            ("ERROR:  row contains (Ada)", Some("ERROR:  row contains (…)")),
            (
                "error: (Unauthorized) not authorized on shop",
                Some("error: (Unauthorized) not authorized on shop"),
            ),
            (
                "Failed: shop.a: E11000 duplicate key error collection: shop.a dup key: { _id: \"x\" }",
                Some("Failed: shop.a: E11000 duplicate key error collection: shop.a dup key: {…}"),
            ),
            (
                "ERROR:  invalid input syntax for type integer: \"never closed",
                Some("ERROR:  invalid input syntax for type integer: \"…"),
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

//! What the tools of a restore say of errors, without the rows that they quote: codes, constant words, and nothing that may be data.

use super::words::KEPT;

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
/// How messages of servers and tools begin, besides the name of the program that runs: it may run others. A line between them may be
/// the next one of a value.
const BEGINNINGS: [&str; 9] = [
    "ERROR:  ",
    "FATAL:  ",
    "PANIC:  ",
    "WARNING:  ",
    "pg_restore: ",
    "pg_dump: ",
    "psql:",
    "mysql: ",
    "mariadb: ",
];

/// Works on a stream, line by line.
#[derive(Debug)]
pub(crate) struct Blanking {
    /// How a line begins that is the tool's own.
    prefix: String,
    line: Vec<u8>,
    /// The line is longer than it may be.
    cut: bool,
    /// What comes may belong to a value that a line before has begun.
    in_value: bool,
}

impl Blanking {
    /// For what `program` says.
    pub(crate) fn of(program: &str) -> Self {
        Self { prefix: format!("{program}:"), line: Vec::new(), cut: false, in_value: false }
    }

    /// The lines that are whole by now, as they may be seen.
    pub(crate) fn push(&mut self, bytes: &[u8], at_end: bool) -> Vec<u8> {
        let mut seen = Vec::new();
        for byte in bytes {
            if *byte == b'\n' {
                self.end_line(&mut seen);
            } else if self.line.len() < MAX_LINE {
                self.line.push(*byte);
            } else {
                self.cut = true;
            }
        }
        if at_end {
            self.end_line(&mut seen);
        }
        seen
    }

    fn end_line(&mut self, seen: &mut Vec<u8>) {
        let line = std::mem::take(&mut self.line);
        let cut = std::mem::take(&mut self.cut);
        if let Some(visible) = self.visible(&String::from_utf8_lossy(&line), cut) {
            seen.extend(visible.as_bytes());
            seen.push(b'\n');
        }
    }

    /// A line without what it quotes; none: all of it may be data. Tools escape neither quotes nor newlines in what they quote, so
    /// nothing tells where a value ends: what follows its beginning are only [`KEPT`] words, and up to the next message nothing.
    fn visible(&mut self, line: &str, cut: bool) -> Option<String> {
        if self.in_value && !self.is_beginning(line) {
            return None;
        }
        let begin: String = line.chars().take(MARK_WITHIN).collect::<String>().to_lowercase();
        // What `pg_restore` says of a table is no statement.
        let text = begin.trim_start().replace("copy failed for table", "");
        let quoting = QUOTING.iter().any(|word| {
            // Also behind the name of the tool, as in `pg_restore: detail: …`.
            text.starts_with(word) || text.contains(&format!(": {word}"))
        });
        let marked = MARKS.iter().any(|mark| begin.contains(mark));
        let value = value(line);
        self.in_value = cut || quoting || value.is_some();
        if !marked || quoting {
            return None;
        }
        let Some((before, inside)) = value.and_then(|at| line.split_at_checked(at)) else {
            return Some(line.to_owned());
        };
        Some(format!("{before}{}", kept(inside)))
    }

    /// Whether a line is a message's first one: no value that is likely looks like this.
    fn is_beginning(&self, line: &str) -> bool {
        let number = |text: &str| text.bytes().next().is_some_and(|byte| byte.is_ascii_digit());
        // As in `ERROR 1062 (23000) at line 3: …` of MySQL and MariaDB, and the times of MongoDB's tools.
        let is_time =
            || line.split_once('\t').is_some_and(|(time, _)| time.parse::<jiff::Timestamp>().is_ok());
        line.starts_with(&self.prefix)
            || BEGINNINGS.iter().any(|beginning| line.starts_with(beginning))
            || line.strip_prefix("ERROR ").is_some_and(number)
            || is_time()
    }
}

/// Where the first value begins: at a quote, a brace or a parenthesis.
fn value(line: &str) -> Option<usize> {
    let begins = |(at, c): &(usize, char)| {
        let (before, from) = line.split_at_checked(*at).unwrap_or_default();
        let behind = from.get(c.len_utf8()..).unwrap_or_default();
        match c {
            '"' | '`' | '{' | '«' | '»' | '„' | '“' => true,
            '\'' => !is_contraction(before, behind),
            '(' => !is_code(before, behind),
            _ => false,
        }
    };
    line.char_indices().find(begins).map(|(at, _)| at)
}

/// What may be seen from a value's beginning on: [`KEPT`], and that there is something.
fn kept(inside: &str) -> String {
    let mut chars = inside.chars();
    let mut out: String = chars.next().into_iter().collect();
    let lower = chars.as_str().to_ascii_lowercase();
    let mut rest = lower.as_str();
    let first = |rest: &str| {
        let found =
            KEPT.iter().filter_map(|words| rest.find(&words.to_ascii_lowercase()).map(|at| (at, *words)));
        found.min_by_key(|(at, words)| (*at, std::cmp::Reverse(words.len())))
    };
    while let Some((at, words)) = first(rest) {
        if at > 0 {
            out.push_str("… ");
        }
        out.push_str(words.trim_end());
        out.push(' ');
        rest = rest.get(at + words.len()..).unwrap_or_default();
    }
    if !rest.is_empty() {
        out.push('…');
    }
    out.truncate(out.trim_end().len());
    out
}

/// As in `doesn't`: begins nothing.
fn is_contraction(before: &str, behind: &str) -> bool {
    let mut next = behind.chars();
    before.ends_with('n') && next.next() == Some('t') && !next.next().is_some_and(char::is_alphanumeric)
}

/// What in parentheses is no value: an SQLSTATE, an error's number at the end of the line, and its name.
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
    let is_name = before.ends_with(": ")
        && (inside == "Unauthorized"
            || (inside.len() >= 10 && capitals >= 2 && inside.bytes().all(|b| b.is_ascii_alphabetic())));
    inside.is_empty() || is_state || is_number || is_name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_stay_and_rows_go() {
        for (line, expected) in [
            (
                "pg_restore: error: could not execute query: ERROR:  relation \"t\" already exists",
                Some("pg_restore: error: could not execute query: ERROR:  relation \"… already exists"),
            ),
            ("DETAIL:  Key (email)=(a@example.com) already exists.", None),
            ("CONTEXT:  COPY people, line 3: \"7\terror@example.com\"", None),
            ("pg_restore: detail: error in row (1, 2)", None),
            ("Command was: INSERT INTO t VALUES ('error');", None),
            ("INSERT INTO t VALUES (1, error);", None),
            (
                "ERROR 1062 (23000) at line 3: Duplicate entry 'O'Brien 555-1234' for key 'PRIMARY'",
                Some("ERROR 1062 (23000) at line 3: Duplicate entry '… for key …"),
            ),
            (
                "ERROR 1062 (23000) at line 3: Duplicate entry 'it' (4912345) 's' for key 'a' for key 'PRIMARY'",
                Some("ERROR 1062 (23000) at line 3: Duplicate entry '… for key … for key …"),
            ),
            (
                "ERROR:  invalid input syntax for type integer: \"a\"b 555\" at character 7",
                Some("ERROR:  invalid input syntax for type integer: \"… at character …"),
            ),
            (
                "ERROR 1146 (42S02) at line 22: Table 'b.t' doesn't exist",
                Some("ERROR 1146 (42S02) at line 22: Table '… doesn't exist"),
            ),
            (
                "ERROR 1356 (HY000) at line 9: View 'a.v' references invalid table(s) or column(s) of view",
                Some("ERROR 1356 (HY000) at line 9: View '… references invalid table …"),
            ),
            (
                "ERROR 1045 (28000): Access denied for user 'x'@'10.0.0.1' (using password: YES)",
                Some("ERROR 1045 (28000): Access denied for user '… using password: YES …"),
            ),
            (
                "ERROR 2003 (HY000): Can't connect to MySQL server on 'db' (111)",
                Some("ERROR 2003 (HY000): Can't connect to MySQL server on '… (111)"),
            ),
            (
                "psql: error: connection to server at \"db\" (10.0.0.1), port 5432 failed: FATAL:  password \
                 authentication failed for user \"x\"",
                Some("psql: error: connection to server at \"… FATAL: password authentication failed …"),
            ),
            (
                "psql: error: connection to server at \"db\", port 5432 failed: FATAL:  role \"x\" does not exist",
                Some("psql: error: connection to server at \"… FATAL:  role \" … does not exist"),
            ),
            (
                "error: E11000 duplicate key error dup key: { loc: { type: \"a } b\" }, phone: 4912345 }",
                Some("error: E11000 duplicate key error dup key: {…"),
            ),
            ("error: dup key: { loc: { type: 1 }, phone: 4912345", Some("error: dup key: {…")),
            ("error: dup key: { loc: { type: 1, phone: } 4912345", Some("error: dup key: {…")),
            ("ERROR:  (1, (Ada), 555) and (7", Some("ERROR:  (…")),
            ("ERROR:  row contains (Ada)", Some("ERROR:  row contains (…")),
            (
                "error: (Unauthorized) not authorized on shop",
                Some("error: (Unauthorized) not authorized on shop"),
            ),
            (
                "Failed: shop.a: E11000 duplicate key error collection: shop.a dup key: { _id: \"x\" }",
                Some("Failed: shop.a: E11000 duplicate key error collection: shop.a dup key: {…"),
            ),
            (
                "ERROR:  invalid input syntax for type integer: \"never closed",
                Some("ERROR:  invalid input syntax for type integer: \"…"),
            ),
            (
                "FATAL:  password authentication failed for user \"x\"",
                Some("FATAL:  password authentication failed for user \"…"),
            ),
            (
                "pg_restore: error: COPY failed for table \"people\": ERROR:  invalid input syntax for type integer: \"Ada",
                Some("pg_restore: error: COPY failed for table \"… ERROR: …"),
            ),
            ("ERROR:  invalid: \"a\": \"open", Some("ERROR:  invalid: \"…")),
            ("ERROR:  ungültig: »Ada«", Some("ERROR:  ungültig: »…")),
            ("ERROR:  row (AdaLovelace)", Some("ERROR:  row (…")),
            (
                "psql: error: connection to server at \"db\" (10.0.0.1), port 5432 failed: server does not support SSL, but",
                Some("psql: error: connection to server at \"… server does not support SSL …"),
            ),
            (
                "2026-11-24T20:59:53.232+0000\tFailed: server selection error: server selection timeout, current topology: { \
                 Servers: [{ Addr: db:1, Last error: dial tcp: lookup db: no such host }, ] }",
                Some(
                    "2026-11-24T20:59:53.232+0000\tFailed: server selection error: server selection timeout, current \
                     topology: {… no such host …",
                ),
            ),
            ("1\tAda\tLovelace", None),
            ("", None),
        ] {
            assert_eq!(Blanking::of("sh").visible(line, false).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn pieces_do_not_matter_and_long_lines_end() {
        let mut blanking = Blanking::of("sh");
        let mut seen = blanking.push(b"ERR", false);
        seen.extend(blanking.push(b"OR: a\nrow\nerror: ", false));
        seen.extend(blanking.push(&[b'x'; 10_000], true));
        let text = String::from_utf8(seen).unwrap();
        assert!(text.starts_with("ERROR: a\nerror: xx") && text.len() < 5000, "{} bytes", text.len());
    }

    #[test]
    fn the_next_lines_of_a_value_go_until_a_message_begins() {
        let seen = |text: &str| {
            String::from_utf8(Blanking::of("/opt/load").push(text.as_bytes(), true)).unwrap_or_default()
        };
        for beginning in [
            "/opt/load: error: next",
            "pg_restore: error: next",
            "ERROR:  next",
            "ERROR 1062 (23000) at line 3: next",
            "2026-11-24T20:59:53.232+0000\tFailed: next",
        ] {
            for value in [
                // What it quotes looks whole, is not closed, is on a line of its own, or stands behind a bracket.
                "ERROR:  invalid: \"a\": \"b\"\n",
                "ERROR:  invalid: \"first line\n",
                "DETAIL:  Key (name)=(Ada\n",
                "ERROR:  invalid (a\n",
                &format!("ERROR:  {}\n", "x".repeat(2 * MAX_LINE)),
            ] {
                let text =
                    format!("{value}could not deliver to ada@example.com\nerror: Ada\n\n{beginning}\n");
                let seen = seen(&text);
                assert!(
                    seen.ends_with(&format!("{beginning}\n")) && !seen.to_lowercase().contains("ada"),
                    "{seen}"
                );
            }
        }
        // Nothing is quoted.
        assert_eq!(seen("error: a\ncould not b\n"), "error: a\ncould not b\n");
    }
}

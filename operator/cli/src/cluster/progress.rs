//! A mover's log line, for people.

use dbbackup_core::snapshot::size;
use serde_json::{Map, Value};

/// What a line is on a terminal.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// It takes the place of the one before, if that is progress, too.
    Progress(String),
    /// It stays.
    Line(String),
}

/// Fields that every line has, and that say nothing to a user.
const NOISE: [&str; 4] = ["timestamp", "level", "target", "message"];

/// Reads a line; what is no JSON stays as it is. Control characters never reach the terminal.
pub(super) fn show(line: &str) -> Shown {
    let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(line) else {
        return Shown::Line(plain(line));
    };
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    if text("message") == "progress" {
        return Shown::Progress(plain(&progress(&fields)));
    }
    let time = text("timestamp").get(11..19).unwrap_or_default();
    let rest = fields.iter().filter(|(name, _)| !NOISE.contains(&name.as_str()));
    let rest = rest.map(|(name, value)| match value {
        Value::String(text) => format!("  {name}={text}"),
        other => format!("  {name}={other}"),
    });
    Shown::Line(plain(&format!("{time}  {}{}", text("message"), rest.collect::<String>())))
}

fn progress(fields: &Map<String, Value>) -> String {
    let number = |name: &str| fields.get(name).and_then(Value::as_i64).unwrap_or_default();
    let part = fields.get("part").and_then(Value::as_str).unwrap_or_default();
    let known = |name: &str| fields.get(name).and_then(Value::as_i64);
    let bar = known("percent").map_or_else(String::new, |percent| format!("{} ", bar(percent)));
    let left = known("remaining_seconds").map_or_else(String::new, |left| format!(", about {left} s to go"));
    format!(
        "{bar}{part}: {} read, {} stored, {}/s, {} s{left}",
        size(number("bytes_read")),
        size(number("bytes_stored")),
        size(number("bytes_per_second")),
        number("seconds")
    )
}

/// For example `[########............]  42 %`.
fn bar(percent: i64) -> String {
    const WIDTH: usize = 20;
    let filled = usize::try_from(percent.clamp(0, 100)).unwrap_or_default() * WIDTH / 100;
    format!("[{}{}] {percent:>3} %", "#".repeat(filled), ".".repeat(WIDTH - filled))
}

fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_one_moving_line_and_the_rest_stays() {
        let line = r#"{"timestamp":"2026-11-24T02:30:05Z","level":"INFO","message":"progress","part":"database.shop","bytes_read":1048576,"bytes_stored":2048,"bytes_per_second":1024,"seconds":5,"target":"x"}"#;
        assert_eq!(
            show(line),
            Shown::Progress("database.shop: 1.0 MiB read, 2.0 KiB stored, 1.0 KiB/s, 5 s".into())
        );
        let line = r#"{"message":"progress","part":"loading a","bytes_stored":1024,"percent":42,"remaining_seconds":7}"#;
        assert_eq!(
            show(line),
            Shown::Progress(
                "[########............]  42 % loading a: 0 B read, 1.0 KiB stored, 0 B/s, 0 s, about 7 s to go".into()
            )
        );
        for (percent, filled) in [(-5, 0), (0, 0), (99, 19), (100, 20), (i64::MAX, 20)] {
            assert_eq!(bar(percent).matches('#').count(), filled);
        }
        let line = r#"{"timestamp":"2026-11-24T02:30:05.1Z","level":"INFO","message":"run report","parts":2,"outcome":"Succeeded","target":"x"}"#;
        assert_eq!(show(line), Shown::Line("02:30:05  run report  outcome=Succeeded  parts=2".into()));
        assert_eq!(show("no \u{1b}[31mJSON"), Shown::Line("no  [31mJSON".into()));
    }
}

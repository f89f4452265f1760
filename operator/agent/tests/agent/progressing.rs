//! What a run says of itself while it lasts: the lines that `kubectl dbbackup logs` and `kubectl logs` show.

use dbbackup_protocol::work_order::Compression;
use serde_json::{Map, Value};

use crate::fixture::{Pod, part};

/// The mover's lines, in order.
fn lines(log: &str) -> Vec<Map<String, Value>> {
    log.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

fn figure(line: &Map<String, Value>, name: &str) -> u64 {
    line.get(name).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {name} in {line:?}"))
}

/// 20 MB at once; two lines of progress; the rest.
#[test]
fn every_five_seconds_a_line_says_how_far_it_is_and_the_last_one_how_it_ended() {
    const FIRST: u64 = 20_000_000;
    let mut pod = Pod::of(part(&format!("head -c {FIRST} /dev/urandom; sleep 11; seq 1 100000")));
    // What zstd has taken in and not given out yet is nobody's to say.
    pod.order.compression = Compression::None;
    pod.order.expected_bytes = Some(2 * FIRST);
    let (ended, manifest) = pod.succeeds();
    let lines = lines(&String::from_utf8(ended.mover.stderr).unwrap());
    let said = |line: &&Map<String, Value>| line["message"] == "progress";
    let progress: Vec<_> = lines.iter().filter(said).collect();
    let [first, second] = progress[..] else { panic!("{lines:?}") };
    for line in [first, second] {
        assert!(line["level"] == "INFO" && line["timestamp"].is_string(), "{line:?}");
        assert_eq!(line["part"], "dump.sql");
        assert_eq!(figure(line, "bytes_read"), FIRST);
        // Two chunks of 8 MiB; the third is not full.
        assert_eq!(figure(line, "bytes_stored"), 16 << 20);
        assert_eq!((figure(line, "expected_bytes"), figure(line, "percent")), (2 * FIRST, 50));
        // As long again as until here.
        assert_eq!(figure(line, "remaining_seconds"), figure(line, "seconds"));
    }
    let rates = [first, second].map(|line| figure(line, "bytes_per_second"));
    assert_eq!(rates, [FIRST / 5, 0]);
    let elapsed = [first, second].map(|line| figure(line, "seconds"));
    assert!(elapsed[0] >= 5 && elapsed[1] >= elapsed[0] + 5, "{elapsed:?}");
    let last = lines.last().unwrap();
    assert_eq!((&last["message"], &last["outcome"]), (&"run report".into(), &"Succeeded".into()));
    assert_eq!(figure(last, "bytes_read"), manifest.parts[0].bytes);
    assert!(figure(last, "seconds") >= elapsed[1] && figure(last, "bytes_per_second") > 0, "{last:?}");
}

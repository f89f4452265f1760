//! The parser under random schedules: made by the grammar, then damaged. A generator in the process makes millions of
//! them a minute. Any string gives a timetable or an error that names what is wrong; a timetable answers in order.

use std::{collections::BTreeMap, fmt::Write as _, path::Path, time::Instant};

use dbbackup_core::timetable::{MAX_CHARS, ScheduleError, Timetable};
use jiff::Timestamp;

use crate::random::{Random, setting};

const ZONES: [&str; 6] =
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Apia"];
/// What a damaged byte becomes, more often than any other.
const LIKELY: &[u8] = b"0123456789*/,-?@ \tLW#+TZ=azSUNjan\0\x7f\xc3\xa9\xff";

/// A schedule of the grammar, right or nearly so.
fn schedule(random: &mut Random) -> String {
    if random.once_in(24) {
        let macros = [
            "@hourly",
            "@daily",
            "@midnight",
            "@weekly",
            "@monthly",
            "@yearly",
            "@annually",
            "@every 1h",
            "@reboot",
            "@",
        ];
        return random.pick(&macros).to_owned();
    }
    let kinds: [(i64, i64, &[&str]); 5] = [
        (0, 59, &[]),
        (0, 23, &[]),
        (1, 31, &[]),
        (1, 12, &["JAN", "feb", "Mar", "DEC"]),
        (0, 7, &["SUN", "mon", "Fri", "SAT"]),
    ];
    let count = if random.once_in(40) { random.below(8) } else { 5 };
    let mut text = String::new();
    for at in 0..count {
        let (min, max, names) = kinds[usize::try_from(at % 5).unwrap()];
        field(random, &mut text, min, max, names);
        text.push_str(random.pick(&[" ", " ", " ", " ", " ", "  ", "\t", ""]));
    }
    text
}

fn field(random: &mut Random, text: &mut String, min: i64, max: i64, names: &[&str]) {
    for at in 0..=random.below(12) / 8 {
        text.push_str(if at > 0 { "," } else { "" });
        // Now and then one beyond the end.
        let value = |random: &mut Random| random.between(min, max) + i64::from(random.once_in(50));
        match random.below(8) {
            0..=2 => text.push_str(random.pick(&["*", "*", "*", "?"])),
            3 | 4 => write!(text, "{}", value(random)).unwrap(),
            5 if !names.is_empty() => text.push_str(random.pick(names)),
            5 | 6 => write!(text, "{}-{}", value(random), value(random)).unwrap(),
            _ => write!(text, "{:02}", value(random)).unwrap(),
        }
        if random.once_in(4) {
            let smallest = i64::from(!random.once_in(30));
            write!(text, "/{}", random.between(smallest, max.min(12))).unwrap();
        }
    }
}

fn damage(random: &mut Random, text: String) -> String {
    let mut bytes = text.into_bytes();
    for _ in 0..random.below(4) {
        let at = usize::try_from(random.below(bytes.len() as u64 + 1)).unwrap();
        let likely = LIKELY[usize::try_from(random.below(LIKELY.len() as u64)).unwrap()];
        match random.below(6) {
            0 | 1 => bytes.insert(at, likely),
            2 if at < bytes.len() => bytes[at] = likely,
            3 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            4 if at < bytes.len() => drop(bytes.remove(at)),
            5 => bytes.extend_from_within(at..),
            _ => bytes.truncate(at),
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// What became of a string: a stable word, for the corpus.
fn verdict(schedule: &str) -> String {
    match Timetable::parse(schedule, "UTC") {
        Ok(_) => "ok".to_owned(),
        Err(ScheduleError::Field { field, .. }) => format!("refused: {field}"),
        Err(error) => {
            let name = format!("{error:?}");
            format!("refused: {}", name.split(['(', ' ']).next().unwrap_or_default())
        }
    }
}

/// Whatever the string, the answer is sane.
fn check(schedule: &str, zone: &str, from: Timestamp, thoroughly: bool) -> bool {
    match Timetable::parse(schedule, zone) {
        Ok(timetable) => {
            assert!(schedule.chars().count() <= MAX_CHARS);
            if thoroughly {
                let next = timetable.next_after(from);
                assert!(
                    next.is_none_or(|next| next > from && next.as_second() % 60 == 0),
                    "{schedule:?} {next:?}"
                );
                let then = next.and_then(|next| timetable.next_after(next));
                assert!(then.is_none_or(|then| Some(then) > next), "{schedule:?} {next:?} {then:?}");
                if let (Some(next), Some(then)) = (next, then) {
                    assert_eq!(timetable.latest_due(from, next).count, 1, "{schedule:?} {next}");
                    assert_eq!(timetable.latest_due(from, then).latest, Some(then), "{schedule:?} {then}");
                }
            }
            true
        }
        Err(error) => {
            assert!(!matches!(error, ScheduleError::NotEvaluated(_)), "{schedule:?}: {error}");
            if thoroughly {
                let text = error.to_string();
                assert!(
                    text.starts_with("spec.schedule") || text.contains("spec.timeZone"),
                    "{schedule:?}: {text}"
                );
                assert!(text.len() < 1000, "{schedule:?}: {text}");
            }
            false
        }
    }
}

fn fuzz(seed: u64, inputs: u64) {
    let began = Instant::now();
    let mut random = Random::new(seed);
    let (mut accepted, mut verdicts) = (0_u64, BTreeMap::<String, u64>::new());
    for at in 0..inputs {
        let text = schedule(&mut random);
        let text = if random.once_in(2) { damage(&mut random, text) } else { text };
        let zone = random.pick(&ZONES);
        // 1970 to 2100, on both sides of what there is to know.
        let from = Timestamp::from_second(random.between(-100_000_000, 4_200_000_000)).unwrap();
        let thoroughly = at % 64 == 0;
        accepted += u64::from(check(&text, zone, from, thoroughly));
        if thoroughly {
            *verdicts.entry(verdict(&text)).or_default() += 1;
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{inputs} schedules from seed {seed} in {seconds:.0} s, {accepted} of them accepted; of every 64th: {verdicts:?}"
    );
}

/// `verdict`, a tab, the schedule as a JSON string; a line each.
#[test]
fn the_corpus_is_read_as_before() {
    let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/schedules.txt"));
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.lines().count() > 100);
    for line in text.lines() {
        let (expected, json) = line.split_once('\t').unwrap();
        let schedule: String = serde_json::from_str(json).unwrap();
        assert_eq!(verdict(&schedule), expected, "{schedule:?}");
        for zone in ZONES {
            check(&schedule, zone, Timestamp::UNIX_EPOCH, true);
            check(&schedule, zone, Timestamp::from_second(1_774_746_000).unwrap(), true);
        }
    }
}

#[test]
fn random_schedules() {
    fuzz(1, setting("FUZZ_INPUTS", 200_000));
}

#[test]
#[ignore = "minutes in release mode: make proofs"]
fn a_hundred_million_random_schedules() {
    fuzz(setting("FUZZ_SEED", 2), setting("FUZZ_INPUTS", 100_000_000));
}

/// Prints candidates for the corpus: the first strings of each verdict and shape.
#[test]
#[ignore = "a tool: cargo test -p dbbackup-core --test it -- --ignored --nocapture candidates"]
fn candidates_for_the_corpus() {
    let mut random = Random::new(setting("FUZZ_SEED", 3));
    let mut shapes = BTreeMap::<(String, String), String>::new();
    for _ in 0..setting("FUZZ_INPUTS", 1_000_000) {
        let text = schedule(&mut random);
        let text = damage(&mut random, text);
        let shape: String = text.chars().filter(|c| !c.is_ascii_alphanumeric()).collect();
        let key = (verdict(&text), shape.chars().take(3).collect());
        shapes.entry(key).or_insert(text);
    }
    for ((verdict, _), text) in shapes {
        println!("{verdict}\t{}", serde_json::to_string(&text).unwrap());
    }
}

//! Which backups `spec.retention` keeps, and why: a pure, total function.
//!
//! What it promises, and its tests show with random input:
//! - without a rule everything is kept, and another rule beside the others never lets more go;
//! - the newest good backup is kept whatever the rules say;
//! - a doubtful backup never takes a good one's place, and is itself kept at least as long as if it were good.

mod breaker;
mod outlook;
mod within;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use dbbackup_api::retention::Retention;
use jiff::{Timestamp, Zoned, tz::TimeZone};

pub use outlook::{Outlook, outlook};

use crate::snapshot::Known;

/// A backup, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Name of its snapshot.
    pub name: String,
    /// How old its data is.
    pub at: Timestamp,
    /// Nothing speaks against it. A doubtful one is suspicious, or a trial restore of it has failed.
    pub good: bool,
}

impl From<&Known> for Candidate {
    fn from(known: &Known) -> Self {
        Self { name: known.name.clone(), at: known.at, good: known.is_good() }
    }
}

/// What becomes of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fate {
    /// Name of its snapshot.
    pub name: String,
    /// The rules that keep it; none: it is not kept.
    pub because: Vec<String>,
}

/// A rule for periods: its word, how many, and the period of an instant.
type Periods = (&'static str, Option<u32>, fn(&Zoned) -> String);

/// Says what becomes of each backup, newest first. The order of `candidates` does not matter.
pub fn plan(retention: &Retention, candidates: &[Candidate], zone: &TimeZone) -> Vec<Fate> {
    let mut all: Vec<&Candidate> = candidates.iter().collect();
    all.sort_by(|a, b| (b.at, &b.name).cmp(&(a.at, &a.name)));
    let good: Vec<&Candidate> = all.iter().copied().filter(|one| one.good).collect();
    let mut kept = Kept::default();
    // Once for the good ones alone, so that no other takes a place; once for all, so that a doubtful one stays as long.
    for ranked in [&good, &all] {
        by_rules(retention, ranked, zone, &mut kept);
    }
    if let Some(newest) = good.first() {
        kept.keep(newest, "the newest good one".into());
    } else {
        // Nothing proves that any of them is better than the others.
        for one in &all {
            kept.keep(one, "there is no good one".into());
        }
    }
    let because = |one: &Candidate| kept.0.get(one.name.as_str()).cloned().unwrap_or_default();
    all.iter().map(|one| Fate { name: one.name.clone(), because: because(one) }).collect()
}

/// Names and reasons.
#[derive(Default)]
struct Kept<'a>(BTreeMap<&'a str, Vec<String>>);

impl<'a> Kept<'a> {
    fn keep(&mut self, one: &'a Candidate, reason: String) {
        let reasons = self.0.entry(&one.name).or_default();
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
}

/// `ranked`: newest first.
fn by_rules<'a>(retention: &Retention, ranked: &[&'a Candidate], zone: &TimeZone, kept: &mut Kept<'a>) {
    let Retention {
        keep_last,
        keep_hourly,
        keep_daily,
        keep_weekly,
        keep_monthly,
        keep_yearly,
        keep_within,
        maximum_removals: _,
        maximum_removal_percent: _,
        secret_name: _,
    } = retention;
    let numbers = [keep_last, keep_hourly, keep_daily, keep_weekly, keep_monthly, keep_yearly];
    if keep_within.is_none() && numbers.iter().all(|number| number.is_none()) {
        for one in ranked {
            kept.keep(one, "no rule".into());
        }
    }
    for one in ranked.iter().take(count(*keep_last)) {
        kept.keep(one, "last".into());
    }
    let periods: [Periods; 5] = [
        // With the offset: an hour that comes twice is two.
        ("hourly", *keep_hourly, |at| at.strftime("%Y-%m-%dT%H%z").to_string()),
        ("daily", *keep_daily, |at| at.strftime("%Y-%m-%d").to_string()),
        ("weekly", *keep_weekly, |at| at.strftime("%G-W%V").to_string()),
        ("monthly", *keep_monthly, |at| at.strftime("%Y-%m").to_string()),
        ("yearly", *keep_yearly, |at| at.strftime("%Y").to_string()),
    ];
    for (word, number, period) in periods {
        let mut last = None;
        let mut left = count(number);
        for one in ranked {
            let current = period(&one.at.to_zoned(zone.clone()));
            if left == 0 {
                break;
            }
            if last.as_ref() != Some(&current) {
                kept.keep(one, format!("{word} {current}"));
                left -= 1;
                last = Some(current);
            }
        }
    }
    let Some(within) = keep_within else { return };
    let newest = ranked.iter().find(|one| one.good).or(ranked.first());
    // What cannot be read keeps everything.
    let since = within::parse(within).zip(newest);
    let since = since.map_or(Timestamp::MIN, |(span, newest)| within::since(newest.at, span, zone));
    for one in ranked.iter().filter(|one| one.at >= since) {
        kept.keep(one, format!("within {within}"));
    }
}

fn count(number: Option<u32>) -> usize {
    number.map_or(0, |number| usize::try_from(number).unwrap_or(usize::MAX))
}

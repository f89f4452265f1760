//! Names made from an object and one of its runs. They are the lock: equal runs have equal names, so whoever
//! creates twice is told by the API server.

use std::fmt::Write as _;

use dbbackup_protocol::layout;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

/// Longest `metadata.name` of a `DatabaseBackup`, by CEL in its definition.
pub const MAX_NAME: usize = 40;
/// Longest name of a Job: its pods carry it as a label.
pub const MAX_JOB_NAME: usize = 63;

/// Name of the Job of a slot: `<name>-<uid hash 8>-<slot in minutes since 1970>`.
///
/// At most [`MAX_JOB_NAME`] characters: a longer object name than [`MAX_NAME`], which the API server does not let
/// through, is cut; the hash of the UID keeps Jobs of different objects apart.
pub fn job_name(name: &str, uid: &str, slot: Timestamp) -> String {
    // Slots lie on whole minutes. Ten digits are enough until the year 9999.
    format!("{}-{}-{}", cut(name), uid_hash8(uid), slot.as_second().div_euclid(60).max(0))
}

/// Name of the Job of a run that a user asked for: `<name>-<uid hash 8>-m<token hash 8>`; one for each token.
pub fn manual_job_name(name: &str, uid: &str, token: &str) -> String {
    format!("{}-{}-{}", cut(name), uid_hash8(uid), manual_discriminator(uid, token))
}

/// Name of the Job of a probe: `<name>-<uid hash 8>-p<hash 8>`; one for what is asked and the instant at which it is due.
pub fn probe_job_name(name: &str, uid: &str, inputs: &str, due: Timestamp) -> String {
    format!("{}-{}-p{}", cut(name), uid_hash8(uid), hex8(&[uid, inputs, &due.as_second().to_string()]))
}

/// Name of the Job that looks into storage: `<name>-<uid hash 8>-c<hash 8>`; one for what is looked for, and how often it was.
pub fn catalogue_job_name(name: &str, uid: &str, what: &[&str]) -> String {
    let all: Vec<_> = [uid].iter().chain(what).copied().collect();
    format!("{}-{}-c{}", cut(name), uid_hash8(uid), hex8(&all))
}

/// Name of the Job of the run whose last folder in storage has this discriminator; none: the object of this UID has made no such run.
pub fn job_of(name: &str, uid: &str, slot: Timestamp, discriminator: &str) -> Option<String> {
    if discriminator.starts_with('m') {
        return Some(format!("{}-{}-{discriminator}", cut(name), uid_hash8(uid)));
    }
    (discriminator == uid_hash8(uid)).then(|| job_name(name, uid, slot))
}

/// Name of the Job of a restore: `<name>-<uid hash 8>-r`; there is never more than one.
pub fn restore_job_name(name: &str, uid: &str) -> String {
    format!("{}-{}-r", cut(name), uid_hash8(uid))
}

/// Name of the Job that removes the data of a snapshot: `<name of the backup>-<hash 8 of the snapshot's UID>-d`; there is never
/// more than one at a time.
pub fn removal_job_name(backup: &str, uid: &str) -> String {
    format!("{}-{}-d", cut(backup), uid_hash8(uid))
}

/// Name of an event that tells `what` of an object: `<name>.<uid hash 8><hash 8>`.
pub fn event_name(name: &str, uid: &str, what: &[&str]) -> String {
    format!("{name}.{}{}", uid_hash8(uid), hex8(what))
}

/// 8 hex digits that stand for these names.
pub(crate) fn hash8_of(names: &[&str]) -> String {
    hex8(names)
}

/// A number below `limit` that is always the same for an object, so that not all of them do something at once.
pub fn spread(uid: &str, limit: SignedDuration) -> SignedDuration {
    let hash = i64::from_str_radix(&uid_hash8(uid), 16).unwrap_or_default();
    SignedDuration::from_secs(hash.checked_rem(limit.as_secs()).unwrap_or_default())
}

/// Last folder of a slot's run in storage, see [`layout::run_id`].
pub fn run_id(uid: &str, slot: Timestamp) -> String {
    layout::run_id(slot, &uid_hash8(uid))
}

/// Last folder of a manual run in storage: `accepted` is the instant at which its token was accepted.
pub fn manual_run_id(uid: &str, token: &str, accepted: Timestamp) -> String {
    layout::run_id(accepted, &manual_discriminator(uid, token))
}

/// 8 hex digits that tell an object from another one of the same name.
pub fn uid_hash8(uid: &str) -> String {
    hex8(&[uid])
}

/// `m` and 8 hex digits. The UID is in it because the same token may be given to many objects, and in storage
/// nothing else tells an object from its deleted namesake.
fn manual_discriminator(uid: &str, token: &str) -> String {
    format!("m{}", hex8(&[uid, token]))
}

/// First 32 bits of SHA-256 over the parts, each ended by NUL, which neither a UID nor an annotation's value of
/// ours holds.
fn hex8(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().iter().take(4).fold(String::with_capacity(8), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn cut(name: &str) -> String {
    name.chars().take(MAX_NAME).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const UID: &str = "0b8f7a1e-58a6-4c6e-9c1b-3f3f0d1f2a77";

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn every_name_fits_a_label_at_the_limit() {
        let name = "a".repeat(MAX_NAME);
        for slot in [at("1970-01-01T00:00:00Z"), at("2026-11-24T02:30:00Z"), at("9999-12-30T00:00:00Z")] {
            let job = job_name(&name, UID, slot);
            assert!(job.len() <= MAX_JOB_NAME, "{job} {}", job.len());
        }
        let manual = manual_job_name(&name, UID, &"token\n".repeat(1000));
        let probe = probe_job_name(&name, UID, &"i".repeat(64), at("9999-12-30T00:00:00Z"));
        let look = catalogue_job_name(&name, UID, &["token", ""]);
        for job in [manual, probe, look] {
            assert!(job.len() <= MAX_JOB_NAME, "{job}");
        }
        // What CEL refuses is cut, not passed on.
        assert_eq!(job_name(&"a".repeat(90), UID, at("2026-11-24T02:30:00Z")).len(), 58);
    }

    #[test]
    fn names_say_object_and_slot() {
        assert_eq!(
            job_name("orders", UID, at("2026-11-24T02:30:00Z")),
            format!("orders-{}-29924790", uid_hash8(UID))
        );
        assert_eq!(run_id(UID, at("2026-11-24T02:30:00Z")), format!("20261124T023000Z-{}", uid_hash8(UID)));
        assert_eq!(uid_hash8(UID).len(), 8);
    }

    #[test]
    fn different_runs_have_different_names() {
        let slot = at("2026-11-24T02:30:00Z");
        let names = [
            job_name("a", UID, slot),
            job_name("a", UID, at("2026-11-24T02:31:00Z")),
            job_name("a", "other", slot),
            manual_job_name("a", UID, ""),
            manual_job_name("a", UID, "1"),
            manual_job_name("a", "other", "1"),
            probe_job_name("a", UID, "1", slot),
            probe_job_name("a", UID, "2", slot),
            probe_job_name("a", "other", "1", slot),
            probe_job_name("a", UID, "1", at("2026-11-24T02:30:01Z")),
            restore_job_name("a", UID),
            restore_job_name("a", "other"),
            catalogue_job_name("a", UID, &["1", "2"]),
            catalogue_job_name("a", UID, &["12", ""]),
            catalogue_job_name("a", "other", &["1", "2"]),
        ];
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
        let ids = [
            run_id(UID, slot),
            run_id("other", slot),
            manual_run_id(UID, "1", slot),
            manual_run_id(UID, "2", slot),
            manual_run_id("other", "1", slot),
        ];
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
    }

    #[test]
    fn a_folder_in_storage_says_which_job_has_made_it() {
        let slot = at("2026-11-24T02:30:00Z");
        let of = |id: &str| {
            let (slot, discriminator) = layout::parse_run_id(id)?;
            job_of("orders", UID, slot, discriminator)
        };
        assert_eq!(of(&run_id(UID, slot)), Some(job_name("orders", UID, slot)));
        assert_eq!(of(&manual_run_id(UID, "now", slot)), Some(manual_job_name("orders", UID, "now")));
        assert_eq!(of(&run_id("other", slot)), None);
    }

    #[test]
    fn names_are_labels() {
        let names = [
            job_name("a-1", UID, at("1969-12-31T00:00:00Z")),
            manual_job_name("a-1", UID, "Ünïcode / \u{0} $(X)"),
        ];
        for name in names {
            assert!(
                name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
                    && !name.ends_with('-'),
                "{name}"
            );
        }
    }

    #[test]
    fn an_event_is_named_by_what_it_tells() {
        let name = event_name("orders", UID, &["BackupFailed", "a"]);
        let hash = name.strip_prefix(&format!("orders.{}", uid_hash8(UID))).unwrap();
        assert!(hash.len() == 8 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
        let others = [
            event_name("orders", UID, &["BackupFailed", "b"]),
            event_name("orders", UID, &["BackupFaileda"]),
            event_name("orders", "other", &["BackupFailed", "a"]),
        ];
        assert!(!others.contains(&name), "{others:?}");
    }

    #[test]
    fn objects_are_spread_over_all_of_the_time_there_is() {
        let limit = SignedDuration::from_mins(5);
        let all: Vec<_> = (0..1000).map(|uid| spread(&uid.to_string(), limit)).collect();
        assert!(all.iter().all(|one| !one.is_negative() && *one < limit));
        let upper = all.iter().filter(|one| **one >= limit / 2).count();
        assert!((400..600).contains(&upper), "{upper} of 1000 come in the second half");
        assert_eq!(spread("a", limit), spread("a", limit));
        assert_eq!(spread("a", SignedDuration::ZERO), SignedDuration::ZERO);
    }
}

//! The breaker: a slip in `spec.retention`, or a clock that was wrong, must not take many backups at once.

use dbbackup_api::{ALLOW_REMOVALS_ANNOTATION, retention::Retention};

use super::Fate;
use crate::names::hash8_of;

/// More at once are many.
const REMOVALS: u32 = 10;
/// More of all are many.
const PERCENT: u8 = 50;
/// So few are never many by their share: who keeps one has two every day, and some more after a doubtful backup or two.
const FEW: usize = 3;

/// Why these many may not go at once, unless `allowed` is the token that the sentence names. `fates` are those of all backups of
/// the object with this UID.
///
/// The token stands for the object and for what *stays*: that does not change while the others go one by one, so a crash in between
/// asks nobody again, and it does change with the next backup.
pub(super) fn stopped(
    rules: &Retention,
    fates: &[Fate],
    uid: &str,
    allowed: Option<&str>,
) -> Option<(&'static str, String)> {
    let going = fates.iter().filter(|fate| fate.because.is_empty()).count();
    let limit = exceeded(rules, going, fates.len())?;
    let token = token(fates, uid);
    if allowed == Some(&token) {
        return None;
    }
    let message = format!(
        "{going} of {} backups would be removed at once, more than {limit}: none is. Look at status.retention.removing; if this is \
         what you want, annotate the DatabaseBackup with {ALLOW_REMOVALS_ANNOTATION}={token}, which holds for just that, or raise \
         the setting",
        fates.len()
    );
    Some(("MassRemoval", message))
}

/// The limit that is exceeded, in words.
fn exceeded(rules: &Retention, going: usize, all: usize) -> Option<String> {
    let number = rules.maximum_removals.unwrap_or(REMOVALS);
    let percent = rules.maximum_removal_percent.unwrap_or(PERCENT);
    if going > usize::try_from(number).unwrap_or(usize::MAX) {
        Some(format!("{number} (spec.retention.maximumRemovals)"))
    } else if going > FEW && going.saturating_mul(100) > all.saturating_mul(usize::from(percent)) {
        Some(format!("{percent} % (spec.retention.maximumRemovalPercent)"))
    } else {
        None
    }
}

fn token(fates: &[Fate], uid: &str) -> String {
    let stays = fates.iter().filter(|fate| !fate.because.is_empty()).map(|fate| fate.name.as_str());
    hash8_of(&[uid].into_iter().chain(stays).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    /// `all` backups, newest first, of which the oldest go.
    fn fates(all: usize, going: usize) -> Vec<Fate> {
        let because = |at| if at < all - going { vec!["last".to_owned()] } else { vec![] };
        (0..all).map(|at| Fate { name: format!("orders-{at}"), because: because(at) }).collect()
    }

    fn limits(number: Option<u32>, percent: Option<u8>) -> Retention {
        Retention { maximum_removals: number, maximum_removal_percent: percent, ..Retention::default() }
    }

    #[rstest]
    #[case::nothing(None, None, 5, 0, None)]
    #[case::keep_last_one_of_two(None, None, 2, 1, None)]
    #[case::keep_last_one_of_three(None, None, 3, 2, None)]
    #[case::after_a_doubtful_one(None, None, 4, 3, None)]
    #[case::four_of_five(None, None, 5, 4, Some("50 %"))]
    #[case::just_half(None, None, 8, 4, None)]
    #[case::ten_of_many(None, None, 100, 10, None)]
    #[case::eleven_of_many(None, None, 100, 11, Some("10 (spec.retention.maximumRemovals)"))]
    #[case::one_at_most(Some(1), None, 100, 2, Some("1 (spec"))]
    #[case::raised(Some(50), None, 100, 50, None)]
    #[case::raised_not_enough(Some(99), None, 100, 51, Some("50 %"))]
    #[case::both_raised(Some(99), Some(100), 100, 99, None)]
    fn many_are_many(
        #[case] number: Option<u32>,
        #[case] percent: Option<u8>,
        #[case] all: usize,
        #[case] going: usize,
        #[case] expected: Option<&str>,
    ) {
        let stopped = stopped(&limits(number, percent), &fates(all, going), "u", None);
        match expected {
            None => assert_eq!(stopped, None),
            Some(words) => {
                let (reason, message) = stopped.unwrap();
                assert!(reason == "MassRemoval" && message.contains(words), "{message}");
            }
        }
    }

    /// The token that the sentence names.
    fn named(message: &str) -> String {
        message.split_once("allow-removals=").unwrap().1.chars().take(8).collect()
    }

    proptest! {
        #[test]
        fn a_token_holds_for_just_what_was_shown(all in 13_usize..60, going in 11_usize..60, gone in 0_usize..60) {
            let going = going.min(all - 1);
            let rules = limits(None, None);
            let before = fates(all, going);
            let token = named(&stopped(&rules, &before, "u", None).unwrap().1);
            prop_assert_eq!(stopped(&rules, &before, "u", Some(&token)), None);
            // A crash while they go one by one.
            let rest = &before[..all - gone.min(going)];
            prop_assert_eq!(stopped(&rules, rest, "u", Some(&token)), None);
            // Another object, another choice, or one more backup: to be asked anew.
            prop_assert!(stopped(&rules, &before, "v", Some(&token)).is_some());
            let mut more = before.clone();
            more.insert(0, Fate { name: "new".into(), because: vec!["last".into()] });
            if let Some((_, message)) = stopped(&rules, &more, "u", Some(&token)) {
                prop_assert_ne!(named(&message), token.clone());
            }
            if going + 1 < all {
                let other = fates(all, going + 1);
                prop_assert!(stopped(&rules, &other, "u", Some(&token)).is_some());
            }
        }

        #[test]
        fn fewer_never_stop_where_more_do_not(all in 1_usize..60, going in 0_usize..60, number: Option<u32>, percent in 1_u8..=100) {
            let (going, rules) = (going.min(all), limits(number, Some(percent)));
            if stopped(&rules, &fates(all, going), "u", None).is_none() {
                for gone in 0..=going {
                    prop_assert_eq!(stopped(&rules, &fates(all - gone, going - gone), "u", None), None);
                }
            }
        }
    }
}

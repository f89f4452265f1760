//! Whether a dump is as large as those before it. One that is not may be whole all the same; but a backup of an empty, a wrong or a
//! half-deleted database is green by every other measure, and must not push out the good ones.

/// Most predecessors that a dump is compared with.
const PREDECESSORS: usize = 5;

/// A dump before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Predecessor {
    /// Plain bytes.
    pub bytes: i64,
    /// Nothing speaks against it.
    pub good: bool,
    /// A user has said that this size is right: what was before counts no more.
    pub accepted: bool,
}

/// What a dump's size says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is nothing to compare it with.
    First,
    /// It is about as large as this median, or larger.
    Plausible(i64),
    /// It has less than the wanted share of this median.
    MuchSmaller(i64),
}

/// Compares with the median of the latest good predecessors, oldest first; `percent` 0 lets everything pass.
pub fn judge(bytes: i64, predecessors: &[Predecessor], percent: u8) -> Verdict {
    let mut sizes = vec![];
    for one in predecessors.iter().rev().filter(|one| one.good).take(PREDECESSORS) {
        sizes.push(one.bytes);
        if one.accepted {
            break;
        }
    }
    sizes.sort_unstable();
    // Of an even number the smaller middle one: in doubt for the dump.
    let Some(median) = sizes.get(sizes.len().saturating_sub(1) / 2).copied() else { return Verdict::First };
    if i128::from(bytes) * 100 < i128::from(median) * i128::from(percent) {
        Verdict::MuchSmaller(median)
    } else {
        Verdict::Plausible(median)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn good(bytes: i64) -> Predecessor {
        Predecessor { bytes, good: true, accepted: false }
    }

    #[rstest]
    #[case::nothing(&[], 50, Verdict::First)]
    #[case::none_good(&[Predecessor { good: false, ..good(1000) }], 50, Verdict::First)]
    #[case::half(&[good(200)], 50, Verdict::Plausible(200))]
    #[case::less_than_half(&[good(201)], 50, Verdict::MuchSmaller(201))]
    #[case::one_outlier(&[good(100), good(100), good(9000)], 50, Verdict::Plausible(100))]
    #[case::in_doubt_for_it(&[good(100), good(9000)], 50, Verdict::Plausible(100))]
    #[case::five_at_most(&[good(9000), good(9000), good(90), good(90), good(90), good(9000), good(9000)], 50, Verdict::Plausible(90))]
    #[case::doubtful_ones_do_not_count(&[good(9000), Predecessor { good: false, ..good(1) }], 50, Verdict::MuchSmaller(9000))]
    #[case::accepted(&[good(9000), Predecessor { accepted: true, ..good(90) }], 50, Verdict::Plausible(90))]
    #[case::switched_off(&[good(i64::MAX)], 0, Verdict::Plausible(i64::MAX))]
    #[case::huge(&[good(i64::MAX)], 100, Verdict::MuchSmaller(i64::MAX))]
    #[case::empty_ones(&[good(0)], 100, Verdict::Plausible(0))]
    fn a_dump_of_100_bytes(#[case] before: &[Predecessor], #[case] percent: u8, #[case] expected: Verdict) {
        assert_eq!(judge(100, before, percent), expected);
    }
}

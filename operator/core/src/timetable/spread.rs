//! `spec.spread`: a delay between slot and start, so that midnight is not a stampede.

use jiff::SignedDuration;
use sha2::{Digest, Sha256};

/// Longest window.
pub const MAX_WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// How long after its slot a run of this object starts: at least nothing and less than the window, in whole seconds.
/// Always the same for the same object, and independent of the delays of others. The slot, and with it the Job's name,
/// does not move.
pub fn delay(namespace: &str, name: &str, window: SignedDuration) -> SignedDuration {
    let mut hash = Sha256::new();
    for part in [namespace, "/", name] {
        hash.update(part.as_bytes());
    }
    // All 64 bits are scaled over the window: taking remainders for hours and minutes of one hash would leave most of
    // the minutes of a day unused.
    let first = hash.finalize().iter().take(8).fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
    let window = window.clamp(SignedDuration::ZERO, MAX_WINDOW).as_secs().unsigned_abs();
    let seconds = (u128::from(first) * u128::from(window)) >> 64;
    SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(0))
}

/// Reads `spec.spread`, such as `30m` or `1h30m`. `None` for what the API server does not let through: such an object
/// is older than the rule, and a delay that cannot be read is no reason to miss a backup.
pub fn window(text: &str) -> Option<SignedDuration> {
    let window: SignedDuration = text.parse().ok()?;
    (SignedDuration::ZERO..=MAX_WINDOW).contains(&window).then_some(window)
}

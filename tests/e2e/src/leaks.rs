//! Looking for secrets where none may be.
//!
//! Every secret of a test holds a core of letters and digits, which percent-encoding, JSON, quoting and the like leave
//! as it is; base64 has three forms of it, by its distance from the beginning.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::{
    kubectl::{kubectl, until},
    sha256,
    world::OPERATOR_NAMESPACE,
};

/// Begin of each core: also what tells a secret in a failing test's output.
const MARK: &str = "S3cret";

/// The core of a secret: equal for equal purposes, so that servers which are kept know their passwords.
pub(crate) fn core(purpose: &str) -> String {
    format!("{MARK}{:.16}", sha256(purpose))
}

/// What may hold secrets of others, or of itself.
const KINDS: &str = "pods,jobs,configmaps,databasebackups,databasesnapshots,databaserestores,persistentvolumeclaims,events,\
    events.events.k8s.io";

/// Fails if anything in a namespace that was made so long ago but its Secrets, or the operator's log since then, holds a part of
/// any secret.
///
/// # Errors
/// Where one was found, and in what form.
pub(crate) fn none_in(namespace: &str, age: Duration) -> Result<()> {
    let objects = kubectl(["get", KINDS, "-n", namespace, "-o", "json"]).text()?;
    // Of all pods: none has the label. Of containers that never started there is no log.
    let logs = ["logs", "-n", namespace, "--selector=!no-such-label", "--tail=-1", "--max-log-requests=99"];
    let logs = kubectl(logs.into_iter().chain(["--prefix", "--all-containers", "--ignore-errors"])).text()?;
    // A test may just have killed it.
    let since = format!("--since={}s", age.as_secs() + 10);
    let operator =
        ["logs", "-n", OPERATOR_NAMESPACE, "deployment/db-backup-operator", "--all-containers", &since];
    let log = until("the operator's log", || Ok(kubectl(operator).text().ok()))?;
    let places = [("an object", objects), ("the log of a pod", logs), ("the operator's log", log)];
    let forms = forms();
    for (place, text) in places {
        for form in &forms {
            if let Some(at) = text.find(form.as_str()) {
                let from = text.floor_char_boundary(at.saturating_sub(300));
                let to = text.ceil_char_boundary(at + 200);
                let around = text.get(from..to).unwrap_or_default();
                ensure!(false, "{place} in namespace {namespace} holds a secret, as {form}: …{around}…");
            }
        }
    }
    Ok(())
}

/// The mark as it is, and as base64 has it behind 0, 1 and 2 other bytes: without the characters at the edges, which
/// depend on the neighbours.
fn forms() -> Vec<String> {
    let inner = [0_usize, 1, 2].map(|distance| {
        let bytes: Vec<u8> = std::iter::repeat_n(b'x', distance).chain(MARK.bytes()).collect();
        let whole = bytes.len() * 8;
        let sextets: Vec<char> = (0..whole.div_euclid(6)).map(|at| base64_digit(&bytes, at * 6)).collect();
        sextets.iter().skip((distance * 8).div_ceil(6)).collect::<String>()
    });
    std::iter::once(MARK.to_owned()).chain(inner).collect()
}

/// The base64 digit of the six bits from bit `at` on.
fn base64_digit(bytes: &[u8], at: usize) -> char {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bit = |at: usize| bytes.get(at / 8).map_or(0, |byte| byte >> (7 - at % 8) & 1);
    let value = (at..at + 6).fold(0_u8, |value, at| value << 1 | bit(at));
    DIGITS.get(usize::from(value)).copied().map_or('=', char::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_base64_is_found() {
        // printf 'S3cret' | base64, and behind one and two other bytes.
        for text in ["UzNjcmV0MDA=", "eFMzY3JldDAw", "eHhTM2NyZXQwMA=="] {
            assert!(forms().iter().any(|form| text.contains(form.as_str())), "{text} {:?}", forms());
        }
        assert!(forms().iter().all(|form| form.len() >= 6), "{:?}", forms());
    }
}

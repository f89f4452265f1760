//! Names and keys of Secrets as users write them. A wrong one passes the API server in a Pod spec; then the kubelet
//! waits for it for ever. So it is refused here, with a sentence.

use dbbackup_api::storage::SecretKeyRef;
use dbbackup_protocol::contract::Issue;

/// What is wrong with the name of a Secret or claim: it must be a DNS subdomain (RFC 1123).
pub(crate) fn name_issue(pointer: &str, name: &str) -> Option<Issue> {
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let valid = name.len() <= 253
        && name.split('.').all(|label| {
            edge(label.bytes().next())
                && edge(label.bytes().next_back())
                && label.bytes().all(|byte| edge(Some(byte)) || byte == b'-')
        });
    (!valid).then(|| Issue {
        path: pointer.to_owned(),
        reason: "NameInvalid".into(),
        message: format!(
            "{name:?} is no name of a Kubernetes object: lower case letters, digits, '-' and '.'"
        ),
    })
}

/// What is wrong with a name and a key.
pub(crate) fn reference_issues(pointer: &str, reference: &SecretKeyRef) -> Vec<Issue> {
    let SecretKeyRef { name, key } = reference;
    let wrong_key = (!is_key(key)).then(|| key_issue(&format!("{pointer}/key"), key));
    name_issue(&format!("{pointer}/name"), name).into_iter().chain(wrong_key).collect()
}

/// Says that a key is none.
pub(crate) fn key_issue(pointer: &str, key: &str) -> Issue {
    Issue {
        path: pointer.to_owned(),
        reason: "SecretKeyInvalid".into(),
        message: format!("{key:?} is no key of a Secret: letters, digits, '-', '_' and '.'"),
    }
}

/// What the API server accepts as a key of a Secret.
pub(crate) fn is_key(key: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (1..=253).contains(&key.len()) && key.chars().all(allowed) && key != "." && !key.starts_with("..")
}

/// A word as a segment of a JSON pointer (RFC 6901).
pub(crate) fn pointer_segment(word: &str) -> String {
    word.replace('~', "~0").replace('/', "~1")
}

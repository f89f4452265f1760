//! `spec.encryption` as the work order has it. What is no public key is told long before the slot; the agent, which
//! knows the curves, has the last word before the dump starts.

use dbbackup_api::DatabaseBackupSpec;
use dbbackup_protocol::{contract::Issue, work_order::Encryption};

/// Characters of a Bech32 text behind its last `1`, by their value (BIP 173).
const BECH32: &str = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
/// Bech32 characters of 32 bytes and the checksum: an X25519 key.
const X25519_CHARACTERS: usize = 52 + 6;
/// What the 51 bytes of an Ed25519 key begin with in Base64: length and name of the algorithm, length of the key.
const SSH_ED25519: &str = "AAAAC3NzaC1lZDI1NTE5AAAAI";
const SSH_ED25519_CHARACTERS: usize = 68;
/// The same for RSA.
const SSH_RSA: &str = "AAAAB3NzaC1yc2EAAAA";
/// With a modulus of 2048 bits, the shortest that is taken.
const SSH_RSA_CHARACTERS: usize = 372;

/// Reads `spec.encryption`.
///
/// # Errors
/// Each key that is none, by its index; never empty, and without the text of what may be a private key.
pub(super) fn encryption(spec: &DatabaseBackupSpec) -> Result<Option<Encryption>, Vec<Issue>> {
    let Some(encryption) = &spec.encryption else { return Ok(None) };
    let recipients = &encryption.recipients;
    let mut issues: Vec<_> = recipients
        .iter()
        .enumerate()
        .filter_map(|(index, key)| Some(issue(Some(index), problem(key)?)))
        .collect();
    if recipients.is_empty() {
        issues.push(issue(None, "is empty: name a public key, or leave spec.encryption out"));
    }
    if issues.is_empty() { Ok(Some(Encryption { recipients: recipients.clone() })) } else { Err(issues) }
}

fn issue(index: Option<usize>, message: &str) -> Issue {
    let (path, name) = match index {
        Some(index) => (format!("/{index}"), format!("[{index}]")),
        None => (String::new(), String::new()),
    };
    Issue {
        path: format!("/encryption/recipients{path}"),
        reason: "RecipientInvalid".into(),
        message: format!("spec.encryption.recipients{name} {message}"),
    }
}

/// What is wrong with a public key; none: it may be one.
fn problem(key: &str) -> Option<&'static str> {
    let shout = key.to_ascii_uppercase();
    if shout.contains("AGE-SECRET-KEY") || shout.contains("-----BEGIN") {
        return Some(
            "is a private key: whoever reads this object can read the backups. Make another pair, and write its public \
             key (age-keygen -y prints it)",
        );
    }
    if let Some((algorithm, rest)) = key.split_once(' ') {
        return ssh_problem(algorithm, rest.split(' ').next().unwrap_or_default());
    }
    let Some((kind, data)) = key.rsplit_once('1').filter(|_| key.starts_with("age1")) else {
        return Some("is no public key: it begins with age1, ssh-ed25519 or ssh-rsa");
    };
    match kind {
        "age" if data.len() != X25519_CHARACTERS => {
            Some("is too short or too long: an age1… key has 62 characters")
        }
        "age" | "age1tag" | "age1tagpq" => {
            (!checksum_holds(kind, data)).then_some("is mistyped: its checksum does not hold; copy it whole")
        }
        _ => Some(
            "is of a kind that this version cannot encrypt to: use age1…, age1tag1…, age1tagpq1… or an SSH key",
        ),
    }
}

fn ssh_problem(algorithm: &str, key: &str) -> Option<&'static str> {
    let base64 =
        key.trim_end_matches('=').bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte));
    let whole = match algorithm {
        "ssh-ed25519" => key.starts_with(SSH_ED25519) && key.len() == SSH_ED25519_CHARACTERS,
        "ssh-rsa" => key.starts_with(SSH_RSA) && key.len() >= SSH_RSA_CHARACTERS,
        _ => return Some("is of a kind that cannot encrypt: use an ssh-ed25519 or ssh-rsa key"),
    };
    if !whole || !base64 {
        return Some("is no whole SSH key (RSA needs 2048 bits): copy the line of the .pub file");
    }
    let number = key.trim_end_matches(['A', '=']).len();
    let zeros = if algorithm == "ssh-rsa" { number < key.len() / 2 } else { number <= SSH_ED25519.len() };
    zeros.then_some("is made of zeros: nobody has a private key for it")
}

/// Bech32's checksum of 30 bits, for a text of any length as age has it (BIP 173, "Checksum").
fn checksum_holds(kind: &str, data: &str) -> bool {
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let values: Option<Vec<u32>> = data.chars().map(|c| u32::try_from(BECH32.find(c)?).ok()).collect();
    let Some(values) = values else { return false };
    let high = kind.bytes().map(|byte| u32::from(byte >> 5));
    let low = kind.bytes().map(|byte| u32::from(byte & 31));
    let sum = high.chain([0]).chain(low).chain(values).fold(1, |sum: u32, value| {
        let top = sum >> 25;
        let shifted = (sum & 0x01ff_ffff) << 5 ^ value;
        GENERATOR
            .iter()
            .enumerate()
            .filter(|(bit, _)| top >> bit & 1 == 1)
            .fold(shifted, |sum, (_, generator)| sum ^ generator)
    });
    sum == 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const X25519: &str = "age1n75wkqrd3xhxmtdn78ervq6ww6sy7fzxzmuv7far0tz23zpfwatq0nypwa";
    const ED25519: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGkIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA ops@example.com";

    #[test]
    fn public_keys_pass_and_the_rest_has_a_sentence() {
        let rsa = |characters: usize| format!("ssh-rsa {SSH_RSA}{}", "Q".repeat(characters - SSH_RSA.len()));
        let mistyped = X25519.replace("75wk", "57wk");
        for (key, words) in [
            (X25519, None),
            (ED25519, None),
            (&*rsa(372), None),
            (&*rsa(716), None),
            (&*rsa(200), Some("2048 bits")),
            (&*format!("ssh-rsa {SSH_RSA}DAQABAAABAQ{}", "A".repeat(342)), Some("made of zeros")),
            (&*format!("ssh-ed25519 {SSH_ED25519}{}", "A".repeat(43)), Some("made of zeros")),
            (&*mistyped, Some("mistyped")),
            (X25519.trim_end_matches('a'), Some("62 characters")),
            (&*X25519.to_uppercase(), Some("begins with age1")),
            (&*format!("{X25519}\n"), Some("62 characters")),
            ("age1pq1qqqqqqqqqqqqqqqqqqqqqqq", Some("cannot encrypt to")),
            ("age1yubikey1qqqqqqqqqqqqqqqqqq", Some("cannot encrypt to")),
            ("age1tag1qqqqqqqqqqqqqqqqqqqqqqqqqq", Some("mistyped")),
            ("AGE-SECRET-KEY-1QQQQQQ", Some("is a private key")),
            ("age-secret-key-1qqqqqq", Some("is a private key")),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaA==", Some("is a private key")),
            ("ssh-dss AAAAB3NzaC1kc3M", Some("cannot encrypt")),
            (&*ED25519.replace("AA ops", "A ops"), Some("no whole SSH key")),
            ("backup@example.com", Some("begins with age1")),
            ("", Some("begins with age1")),
        ] {
            let found = problem(key);
            assert_eq!(found.is_some(), words.is_some(), "{key}: {found:?}");
            assert!(words.is_none_or(|words| found.unwrap_or_default().contains(words)), "{key}: {found:?}");
        }
    }

    proptest! {
        /// What the checksum is for: no single mistyped character, no two swapped ones.
        #[test]
        fn one_wrong_character_is_found(at in 5_usize..62, wrong in "[02-9ac-hj-np-z]") {
            let mut key = X25519.to_owned();
            prop_assume!(X25519.chars().nth(at) != wrong.chars().next());
            key.replace_range(at..=at, &wrong);
            prop_assert!(problem(&key).is_some());
        }

        #[test]
        fn any_text_has_an_answer(key: String) {
            let _ = problem(&key);
        }
    }
}

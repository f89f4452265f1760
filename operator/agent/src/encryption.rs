//! Whose keys open what is stored, and the way back: the format is age's (age-encryption.org/v1), so that the `age`
//! program is all that a human needs.

use std::{
    fmt,
    io::{self, BufReader, Read},
};

use age::{
    DecryptError, Decryptor, EncryptError, Encryptor, IdentityFile, Recipient, ssh, tag, tagpq, x25519,
};
use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};
use dbbackup_protocol::{
    manifest::Cipher,
    report::Reason,
    work_order::{Compression, Encryption},
};

use crate::failure::Failure;

/// What encrypts one object, with a file key of its own; none: nothing is encrypted.
///
/// # Errors
/// [`Reason::RecipientInvalid`] names the key that is none, never its text: it may be a private one.
pub(crate) fn encryptor(encryption: Option<&Encryption>) -> Result<Option<Encryptor>, Failure> {
    let Some(Encryption { recipients }) = encryption else { return Ok(None) };
    let refused =
        |what: String| Failure::new(Reason::RecipientInvalid, format!("spec.encryption.recipients{what}"));
    let keys = recipients.iter().enumerate().map(|(index, key)| {
        recipient(key)
            .map_err(|why| refused(format!("[{index}] is no public key to encrypt to: {why}; copy it whole")))
    });
    let keys = keys.collect::<Result<Vec<_>, _>>()?;
    let encryptor = Encryptor::with_recipients(keys.iter().map(|key| &**key as &dyn Recipient));
    encryptor.map(Some).map_err(|error| match error {
        EncryptError::MissingRecipients => refused(" is empty: name a public key, or leave spec.encryption out".into()),
        EncryptError::IncompatibleRecipients { .. } => refused(
            " mixes post-quantum keys (age1tagpq1…) with others, and the weakest decides: use keys of one kind".into(),
        ),
        error => refused(format!(" cannot be used: {error}")),
    })
}

/// How the objects of an order are encrypted.
pub(crate) fn cipher(encryption: Option<&Encryption>) -> Cipher {
    if encryption.is_some() { Cipher::Age } else { Cipher::None }
}

fn recipient(key: &str) -> Result<Box<dyn Recipient>, String> {
    fn boxed<R: Recipient + 'static>(parsed: Result<R, &'static str>) -> Result<Box<dyn Recipient>, String> {
        parsed.map(|recipient| Box::new(recipient) as _).map_err(str::to_owned)
    }
    if key.starts_with("ssh-") {
        if has_zero(key) {
            return Err("a number in it is zero, which no key has".into());
        }
        return key.parse::<ssh::Recipient>().map(|recipient| Box::new(recipient) as _).map_err(ssh_problem);
    }
    match key.rsplit_once('1').map(|(kind, _)| kind) {
        Some("age1tag") => boxed(key.parse::<tag::Recipient>()),
        Some("age1tagpq") => boxed(key.parse::<tagpq::Recipient>()),
        _ => boxed(key.parse::<x25519::Recipient>()),
    }
}

/// Whether a field of an SSH key holds zero written out, which has no bytes (RFC 4251, "mpint"). What reads numbers would panic at
/// it, and to an Ed25519 key of zeros anybody could open what is encrypted.
fn has_zero(key: &str) -> bool {
    let encoded = key.split(' ').nth(1).unwrap_or_default().trim_end_matches('=');
    let bytes = BASE64_STANDARD_NO_PAD.decode(encoded).unwrap_or_default();
    let mut rest = &bytes[..];
    while let Some((length, behind)) = rest.split_first_chunk() {
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let Some((field, behind)) = behind.split_at_checked(length) else { return false };
        if !field.is_empty() && field.iter().all(|byte| *byte == 0) {
            return true;
        }
        rest = behind;
    }
    false
}

fn ssh_problem(error: ssh::ParseRecipientKeyError) -> String {
    use ssh::ParseRecipientKeyError::{Invalid, RsaModulusTooLarge, RsaModulusTooSmall, Unsupported};
    match error {
        Invalid(why) => why.to_owned(),
        RsaModulusTooSmall => "RSA needs 2048 bits".into(),
        RsaModulusTooLarge => "RSA has too many bits".into(),
        Unsupported(algorithm) => format!("keys of type {algorithm} cannot encrypt"),
        _ => "this SSH key cannot encrypt".into(),
    }
}

/// Private keys: what one file holds.
pub struct Identities(Vec<Box<dyn age::Identity + Send + Sync>>);

/// Why stored bytes cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// No private key was given.
    #[error("it is encrypted, and there is no private key")]
    KeyMissing,
    /// What was given is no private key.
    #[error("the private key cannot be used: {0}")]
    KeyInvalid(String),
    /// It was encrypted for others.
    #[error("it is encrypted, and none of the private keys opens it")]
    KeyWrong,
    /// It is not what was stored.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// The bytes could not be fetched.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} private keys", self.0.len())
    }
}

impl Identities {
    /// None.
    pub fn none() -> Self {
        Self(Vec::new())
    }

    /// Reads a file as `age-keygen` writes it (one private key a line, comments), or an SSH private key without a passphrase.
    ///
    /// # Errors
    /// [`UnpackError::KeyInvalid`], without a word of what the file holds.
    pub fn parse(file: &[u8]) -> Result<Self, UnpackError> {
        let invalid = |error: io::Error| UnpackError::KeyInvalid(error.to_string());
        let keys = if file.trim_ascii_start().starts_with(b"-----BEGIN") {
            match ssh::Identity::from_buffer(file.trim_ascii_start(), None).map_err(invalid)? {
                key @ ssh::Identity::Unencrypted(_) => vec![Box::new(key) as _],
                ssh::Identity::Encrypted(_) => {
                    return Err(UnpackError::KeyInvalid(
                        "it is locked by a passphrase, which nobody can type here".into(),
                    ));
                }
                ssh::Identity::Unsupported(_) => {
                    return Err(UnpackError::KeyInvalid("SSH keys of this type cannot decrypt".into()));
                }
            }
        } else {
            let file = IdentityFile::from_buffer(file).map_err(invalid)?;
            file.into_identities().map_err(|error| UnpackError::KeyInvalid(error.to_string()))?
        };
        if keys.is_empty() {
            Err(UnpackError::KeyInvalid("the file holds none".into()))
        } else {
            Ok(Self(keys))
        }
    }
}

/// The plain bytes of an object: fetched, decrypted, decompressed as they are read, in bounded memory. What was cut or
/// changed ends in an error and not in an early end: age authenticates every 64 KiB and the end, zstd has a checksum.
///
/// # Errors
/// No key that opens it, or a beginning that is none. While reading: [`io::ErrorKind::InvalidData`] and the like for damage.
pub fn plain<'r>(
    stored: impl Read + 'r,
    compression: Compression,
    encryption: Cipher,
    identities: &Identities,
) -> Result<Box<dyn Read + 'r>, UnpackError> {
    let opened: Box<dyn Read + 'r> = match encryption {
        Cipher::None => Box::new(stored),
        Cipher::Age if identities.0.is_empty() => return Err(UnpackError::KeyMissing),
        Cipher::Age => {
            let keys = identities.0.iter().map(|key| &**key as &dyn age::Identity);
            let decrypted = Decryptor::new_buffered(BufReader::new(stored)).and_then(|age| age.decrypt(keys));
            Box::new(decrypted.map_err(|error| match error {
                DecryptError::NoMatchingKeys => UnpackError::KeyWrong,
                DecryptError::Io(error) => UnpackError::Io(error),
                error => UnpackError::Damaged(error.to_string()),
            })?)
        }
    };
    Ok(match compression {
        Compression::None => opened,
        Compression::Zstd { .. } => Box::new(zstd::stream::read::Decoder::new(opened)?),
    })
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::Write as _,
        process::{Command, Stdio},
    };

    use age::secrecy::ExposeSecret as _;

    use super::*;

    const SSH: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAlpqzaIA7JnRYN4lcDYqpLhTOwaJ3nReIpjUATgt3Dv ops@example.com";

    fn order(recipients: &[&str]) -> Encryption {
        Encryption { recipients: recipients.iter().map(|key| (*key).to_owned()).collect() }
    }

    fn pair() -> (String, Identities) {
        let key = x25519::Identity::generate();
        let file = format!("# a comment\n{}\r\n", key.to_string().expose_secret());
        (key.to_public().to_string(), Identities::parse(file.as_bytes()).unwrap())
    }

    fn sealed(recipients: &[&str], plain: &[u8]) -> Vec<u8> {
        let encryptor = encryptor(Some(&order(recipients))).unwrap().unwrap();
        let mut writer = encryptor.wrap_output(Vec::new()).unwrap();
        writer.write_all(&zstd::encode_all(plain, 1).unwrap()).unwrap();
        writer.finish().unwrap()
    }

    fn opened(stored: &[u8], identities: &Identities) -> Result<Vec<u8>, UnpackError> {
        let mut out = Vec::new();
        plain(stored, Compression::Zstd { level: 1 }, Cipher::Age, identities)?.read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn each_recipient_opens_it_and_nobody_else() {
        let dump: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let ((ours, our_key), (theirs, their_key), (_, stranger)) = (pair(), pair(), pair());
        let stored = sealed(&[&ours, SSH, &theirs], &dump);
        for key in [&our_key, &their_key] {
            assert_eq!(opened(&stored, key).unwrap(), dump);
        }
        assert!(matches!(opened(&stored, &stranger), Err(UnpackError::KeyWrong)));
        assert!(matches!(opened(&stored, &Identities::none()), Err(UnpackError::KeyMissing)));
    }

    /// Keys of the programs that users make them with; opened by `age` itself as well, which is all that a human has.
    #[test]
    fn every_kind_of_key_opens_what_age_opens() {
        let folder = tempfile::tempdir().unwrap();
        let run = |program: &str, arguments: &[&str], input: &[u8]| {
            let mut child = Command::new(program)
                .args(arguments)
                .current_dir(folder.path())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap_or_else(|error| panic!("{program}: {error}: tests/setup installs it"));
            child.stdin.take().unwrap().write_all(input).unwrap();
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{program} {arguments:?}");
            output.stdout
        };
        run("age-keygen", &["-o", "x25519"], b"");
        fs::write(folder.path().join("x25519.pub"), run("age-keygen", &["-y", "x25519"], b"")).unwrap();
        for (kind, bits) in [("ed25519", "256"), ("rsa", "2048"), ("rsa", "3072")] {
            let file = format!("{kind}{bits}");
            run("ssh-keygen", &["-q", "-t", kind, "-b", bits, "-N", "", "-C", "a comment", "-f", &file], b"");
        }
        let dump = b"a dump".repeat(20_000);
        let public = |name: &str| fs::read_to_string(folder.path().join(format!("{name}.pub"))).unwrap();
        let kinds = ["x25519", "ed25519256", "rsa2048", "rsa3072"];
        let all: Vec<_> = kinds.iter().map(|name| public(name).trim().to_owned()).collect();
        let all: Vec<_> = all.iter().map(String::as_str).collect();
        for (name, own) in kinds.iter().zip(&all) {
            let key = Identities::parse(&fs::read(folder.path().join(name)).unwrap()).unwrap();
            for recipients in [&[*own][..], &all] {
                let stored = sealed(recipients, &dump);
                assert_eq!(opened(&stored, &key).unwrap(), dump, "{name}");
                let by_age = run("age", &["--decrypt", "--identity", name], &stored);
                assert_eq!(zstd::decode_all(&by_age[..]).unwrap(), dump, "{name}");
            }
            // And the other way round.
            let theirs = run("age", &["--recipient", own], &zstd::encode_all(&dump[..], 1).unwrap());
            assert_eq!(opened(&theirs, &key).unwrap(), dump, "{name}");
        }
    }

    #[test]
    fn no_damage_is_read_as_a_dump() {
        let dump: Vec<u8> =
            (0..60_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let (public, key) = pair();
        let stored = sealed(&[&public], &dump);
        for at in (0..stored.len()).step_by(9973).chain([stored.len() - 1]) {
            let mut flipped = stored.clone();
            flipped[at] ^= 1;
            assert!(opened(&flipped, &key).is_err(), "bit flipped at {at}");
            assert!(opened(&stored[..at], &key).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn what_is_no_key_is_named_and_not_repeated() {
        let (public, _) = pair();
        for (recipients, words) in [
            (vec![], "recipients is empty"),
            (vec![&*public, "AGE-SECRET-KEY-1QQ"], "recipients[1] is no public key"),
            (vec!["ssh-dss AAAA"], "recipients[0]"),
            (vec!["ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAQQ=="], "recipients[0]"),
            // All zeros, of 2048 bits: one modulus, one Ed25519 key.
            (
                vec![&*public, &*format!("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ{}", "A".repeat(342))],
                "recipients[1] is no public key to encrypt to: a number in it is zero",
            ),
            (
                vec![&*format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{}", "A".repeat(43))],
                "recipients[0] is no public key to encrypt to: a number in it is zero",
            ),
            (vec!["age1tag1qq"], "recipients[0]"),
            (vec!["age1tagpq1qq"], "recipients[0]"),
        ] {
            let failure = encryptor(Some(&order(&recipients))).map(drop).unwrap_err();
            assert_eq!(failure.reason, Reason::RecipientInvalid);
            assert!(failure.message.contains(words) && !failure.message.contains("KEY-1"), "{failure}");
        }
        assert!(encryptor(None).unwrap().is_none());
        for file in
            [&b""[..], b"# nothing\n", b"oops", b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3\n", &[0xff, 0xfe]]
        {
            assert!(matches!(Identities::parse(file), Err(UnpackError::KeyInvalid(_))), "{file:?}");
        }
    }
}

//! Whose keys open what is stored, and the way back: the format is age's (age-encryption.org/v1), so that the `age`
//! program is all that a human needs.

use std::{
    fmt,
    io::{self, BufReader, Read},
};

use age::{
    DecryptError, Decryptor, EncryptError, Encryptor, IdentityFile, Recipient, ssh, tag, tagpq, x25519,
};
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
        return key.parse::<ssh::Recipient>().map(|recipient| Box::new(recipient) as _).map_err(ssh_problem);
    }
    match key.rsplit_once('1').map(|(kind, _)| kind) {
        Some("age1tag") => boxed(key.parse::<tag::Recipient>()),
        Some("age1tagpq") => boxed(key.parse::<tagpq::Recipient>()),
        _ => boxed(key.parse::<x25519::Recipient>()),
    }
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
    use std::io::Write as _;

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

//! Secrets in the encodings of `wit/types.wit`. What cannot be encoded is refused, never written wrongly, and no
//! refusal repeats a value.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use dbbackup_protocol::plan::{Encoding, Escape};

/// Why a value cannot be written.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EncodeError {
    #[error("it is not UTF-8, which this encoding needs")]
    NotUtf8,
    #[error("it holds the character U+{0:04X}, which this file format cannot hold")]
    Refused(u32),
    #[error("it has {found} bytes once encoded, more than the {max} that this file format can hold")]
    TooLong { found: usize, max: u32 },
}

/// The value as `encoding` writes it. `Raw`, `Percent` and `Base64` take any bytes.
pub(crate) fn encode(value: &[u8], encoding: &Encoding) -> Result<Vec<u8>, EncodeError> {
    match encoding {
        Encoding::Raw => Ok(value.to_vec()),
        Encoding::Percent => Ok(percent(value, b"-._~").into_bytes()),
        Encoding::Base64 => Ok(STANDARD.encode(value).into_bytes()),
        Encoding::JsonString => Ok(json_string(text(value)?).into_bytes()),
        Encoding::Escaped(escape) => escaped(text(value)?, escape),
    }
}

fn text(value: &[u8]) -> Result<&str, EncodeError> {
    std::str::from_utf8(value).map_err(|_| EncodeError::NotUtf8)
}

/// Every byte but letters, digits and `also` as `%XX`.
pub(crate) fn percent(value: &[u8], also: &[u8]) -> String {
    value
        .iter()
        .map(|byte| match byte {
            byte if byte.is_ascii_alphanumeric() || also.contains(byte) => char::from(*byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

/// A JSON string with its quotes. Serialising a string cannot fail.
pub(crate) fn json_string(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}

fn escaped(value: &str, escape: &Escape) -> Result<Vec<u8>, EncodeError> {
    let mut out = String::with_capacity(value.len());
    for character in value.chars() {
        if escape.refuse.contains(character) {
            return Err(EncodeError::Refused(character.into()));
        }
        match escape.substitutions.iter().find(|substitution| substitution.character == character) {
            Some(substitution) => out.push_str(&substitution.replacement),
            None => out.push(character),
        }
    }
    match escape.max {
        Some(max) if out.len() > max as usize => Err(EncodeError::TooLong { found: out.len(), max }),
        _ => Ok(out.into_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use dbbackup_protocol::plan::Substitution;
    use proptest::prelude::*;

    use super::*;

    fn my_cnf() -> Encoding {
        let substitutions = [('\\', "\\\\"), ('"', "\\\""), ('\n', "\\n")]
            .map(|(character, replacement)| Substitution { character, replacement: replacement.into() });
        Encoding::Escaped(Escape {
            substitutions: substitutions.into(),
            refuse: "\r\0".into(),
            max: Some(20),
        })
    }

    #[test]
    fn each_encoding_writes_what_its_standard_says() {
        for (encoding, value, expected) in [
            (Encoding::Raw, "p\u{0}\n".as_bytes(), "p\u{0}\n"),
            (Encoding::Percent, "aZ0-._~ /:@%ä\n".as_bytes(), "aZ0-._~%20%2F%3A%40%25%C3%A4%0A"),
            (Encoding::Percent, b"\xff\x00", "%FF%00"),
            (Encoding::Base64, b"\xff\xfe\xfd\xfc", "//79/A=="),
            (Encoding::JsonString, "a\"\\\n\u{1}ä".as_bytes(), "\"a\\\"\\\\\\n\\u0001ä\""),
            (my_cnf(), "a\\\"\n".as_bytes(), "a\\\\\\\"\\n"),
        ] {
            assert_eq!(encode(value, &encoding).unwrap(), expected.as_bytes(), "{encoding:?}");
        }
    }

    #[test]
    fn what_cannot_be_written_is_refused_without_its_value() {
        for (encoding, value, expected) in [
            (Encoding::JsonString, &b"s3cret\xff"[..], EncodeError::NotUtf8),
            (my_cnf(), &b"s3cret\xff"[..], EncodeError::NotUtf8),
            (my_cnf(), b"s3cret\r", EncodeError::Refused(13)),
            (my_cnf(), &[b'"'; 11], EncodeError::TooLong { found: 22, max: 20 }),
        ] {
            let error = encode(value, &encoding).unwrap_err();
            assert_eq!(error, expected);
            assert!(!error.to_string().contains("s3cret"));
        }
        assert!(EncodeError::Refused(13).to_string().contains("U+000D"));
    }

    proptest! {
        #[test]
        fn percent_can_be_read_back(value: Vec<u8>) {
            let encoded = encode(&value, &Encoding::Percent).unwrap();
            let mut decoded = Vec::new();
            let mut rest = encoded.as_slice();
            while let Some((first, after)) = rest.split_first() {
                if *first == b'%' {
                    let digits = std::str::from_utf8(&after[..2]).unwrap();
                    decoded.push(u8::from_str_radix(digits, 16).unwrap());
                    rest = &after[2..];
                } else {
                    decoded.push(*first);
                    rest = after;
                }
            }
            prop_assert_eq!(decoded, value);
        }

        #[test]
        fn a_json_string_can_be_read_back(value: String) {
            let encoded = encode(value.as_bytes(), &Encoding::JsonString).unwrap();
            prop_assert_eq!(serde_json::from_slice::<String>(&encoded).unwrap(), value);
        }
    }
}

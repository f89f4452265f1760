//! Takes secrets out of what processes print, before it leaves the shim.
//!
//! Every supplied binding but `username` is replaced by `[redacted:<binding>]`, wherever it stands in a stream:
//! raw, in each encoding that the plan asks for, and in the common ones in which tools repeat what they were
//! given. Values shorter than [`MIN_BYTES`] stay: replacing every `a` would hide no secret and all of the message.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use dbbackup_protocol::plan::{Encoding, Fragment, Process};

use super::{
    encode::{encode, json_string, percent},
    secrets::Secrets,
};
use crate::text::hex;

/// Shortest value that is redacted.
pub(crate) const MIN_BYTES: usize = 3;
/// Shortest single line of a longer secret, for example of a private key, that is redacted by itself.
const MIN_LINE_BYTES: usize = 8;
/// The one binding that is no secret: without it "access denied for user" could not be understood.
const PUBLIC: &str = "username";

/// What to look for. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Redactor(Arc<Patterns>);

#[derive(Default)]
struct Patterns {
    /// Longest first, so that a value that contains another one wins.
    sorted: Vec<(Vec<u8>, String)>,
    /// First bytes: most bytes begin no secret.
    first: BTreeSet<u8>,
}

impl Redactor {
    /// Looks for all `secrets` in all renditions that `processes` ask for.
    pub(crate) fn new(secrets: &Secrets, processes: &[&Process]) -> Self {
        let mut found: BTreeMap<Vec<u8>, String> = BTreeMap::new();
        for (name, value) in secrets.values().filter(|(name, _)| *name != PUBLIC) {
            for pattern in renditions(value, name, processes) {
                if pattern.len() >= MIN_BYTES {
                    found.entry(pattern).or_insert_with(|| name.to_owned());
                }
            }
        }
        let first = found.keys().filter_map(|pattern| pattern.first().copied()).collect();
        let mut sorted: Vec<_> = found.into_iter().collect();
        sorted.sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.len()));
        Self(Arc::new(Patterns { sorted, first }))
    }

    /// A stream to push bytes through.
    pub(crate) fn stream(&self) -> RedactingStream {
        RedactingStream { redactor: self.clone(), held: Vec::new() }
    }
}

fn renditions(value: &[u8], name: &str, processes: &[&Process]) -> Vec<Vec<u8>> {
    let trimmed = value.trim_ascii_end();
    let mut all = vec![value.to_vec(), trimmed.to_vec()];
    all.extend(
        trimmed.split(|byte| *byte == b'\n').filter(|l| l.len() >= MIN_LINE_BYTES).map(<[u8]>::to_vec),
    );
    for value in [value, trimmed] {
        // Padding may be left out; where it is not, it stays and tells nothing.
        all.extend([STANDARD_NO_PAD.encode(value), URL_SAFE_NO_PAD.encode(value)].map(String::into_bytes));
        let digits = hex(value);
        all.extend([digits.to_ascii_uppercase(), digits].map(String::into_bytes));
        // RFC 3986 strictly, and with the sub-delimiters that many URL libraries leave alone; upper and lower case.
        for also in [&b"-._~"[..], b"-._~$&+,;=", b"-._~!$&'()*+,;="] {
            let encoded = percent(value, also);
            all.push(lower_hex(&encoded).into_bytes());
            all.push(encoded.into_bytes());
        }
        if let Ok(text) = std::str::from_utf8(value) {
            all.extend(quoted(text).map(String::into_bytes));
        }
        let encodings = secret_encodings(processes).into_iter().filter(|(binding, _)| *binding == name);
        all.extend(encodings.filter_map(|(_, encoding)| encode(value, encoding).ok()));
    }
    all
}

/// As languages and shells write a text between quotes.
fn quoted(text: &str) -> [String; 5] {
    let json = json_string(text);
    let json = json.strip_prefix('"').and_then(|json| json.strip_suffix('"')).unwrap_or_default().to_owned();
    // `\u003c` and the like: Go's encoder does it, and browsers' templates.
    let html = ['<', '>', '&']
        .iter()
        .fold(json.clone(), |json, c| json.replace(*c, &format!("\\u{:04x}", u32::from(*c))));
    let doubled = |quote: char| text.replace(quote, &quote.to_string().repeat(2));
    [json, html, text.replace('\'', r"'\''"), doubled('\''), doubled('"')]
}

fn lower_hex(percent_encoded: &str) -> String {
    let mut digits = 0;
    percent_encoded
        .chars()
        .map(|c| {
            let lower = digits > 0;
            digits = if c == '%' { 2 } else { i32::max(digits - 1, 0) };
            if lower { c.to_ascii_lowercase() } else { c }
        })
        .collect()
}

/// Every secret that one of the processes gets, with its encoding.
fn secret_encodings<'a>(processes: &[&'a Process]) -> Vec<(&'a str, &'a Encoding)> {
    let values = processes.iter().flat_map(|process| {
        let env = process.env.iter().map(|variable| &variable.value);
        env.chain(process.files.iter().map(|file| &file.content))
    });
    values
        .flatten()
        .filter_map(|fragment| match fragment {
            Fragment::Secret(secret) => Some((secret.binding.as_str(), &secret.encoding)),
            Fragment::Text(_) | Fragment::Item => None,
        })
        .collect()
}

/// Redacts a stream whatever the pieces in which it comes: what may still become a secret is held back.
pub(crate) struct RedactingStream {
    redactor: Redactor,
    held: Vec<u8>,
}

impl RedactingStream {
    /// Takes the next piece and gives what is certain by now.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(piece);
        self.advance(false)
    }

    /// The rest, at the end of the stream.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        self.advance(true)
    }

    fn advance(&mut self, at_end: bool) -> Vec<u8> {
        let patterns = Arc::clone(&self.redactor.0);
        let mut out = Vec::with_capacity(self.held.len());
        let mut rest = self.held.as_slice();
        while let Some((first, after)) = rest.split_first() {
            if !patterns.first.contains(first) {
                out.push(*first);
                rest = after;
                continue;
            }
            let may_become = |pattern: &[u8]| pattern.len() > rest.len() && pattern.starts_with(rest);
            if !at_end && patterns.sorted.iter().any(|(pattern, _)| may_become(pattern)) {
                break;
            }
            let found = patterns
                .sorted
                .iter()
                .find_map(|(pattern, name)| Some((name, rest.strip_prefix(pattern.as_slice())?)));
            if let Some((name, behind)) = found {
                out.extend_from_slice(format!("[redacted:{name}]").as_bytes());
                rest = behind;
            } else {
                out.push(*first);
                rest = after;
            }
        }
        self.held = rest.to_vec();
        out
    }
}

#[cfg(test)]
mod tests {
    use dbbackup_protocol::{
        plan::{ConfigFile, Escape, SecretRef, Substitution},
        work_order::BoundSecret,
    };
    use proptest::prelude::*;

    use super::*;

    fn redactor(secrets: &[(&str, &[u8])]) -> Redactor {
        redactor_for(secrets, &[])
    }

    fn redactor_for(secrets: &[(&str, &[u8])], processes: &[&Process]) -> Redactor {
        let dir = tempfile::tempdir().unwrap();
        let bound: Vec<_> = secrets
            .iter()
            .map(|(name, value)| {
                std::fs::write(dir.path().join(name), value).unwrap();
                BoundSecret { name: (*name).into(), secret: "s".into(), key: "k".into() }
            })
            .collect();
        Redactor::new(&Secrets::read(dir.path(), &bound).unwrap(), processes)
    }

    fn redact(redactor: &Redactor, pieces: &[&[u8]]) -> String {
        let mut stream = redactor.stream();
        let mut out: Vec<u8> = pieces.iter().flat_map(|piece| stream.push(piece)).collect();
        out.extend(stream.finish());
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn every_rendition_is_found() {
        let redactor = redactor(&[("password", b"p@ss/w\"rd+\n"), ("username", b"admin"), ("pin", b"12")]);
        for (text, expected) in [
            ("x p@ss/w\"rd+ y", "x [redacted:password] y"),
            ("x p@ss/w\"rd+\ny", "x [redacted:password]y"),
            ("mongodb://admin:p%40ss%2Fw%22rd%2B@h", "mongodb://admin:[redacted:password]@h"),
            ("p%40ss%2fw%22rd%2b@h", "[redacted:password]@h"),
            ("p%40ss%2Fw%22rd+@h", "[redacted:password]@h"),
            ("{\"p\":\"p@ss/w\\\"rd+\"}", "{\"p\":\"[redacted:password]\"}"),
            ("cEBzcy93InJkKw==", "[redacted:password]=="),
            ("cEBzcy93InJkKw", "[redacted:password]"),
            ("cEBzcy93InJkKwo=", "[redacted:password]="),
            ("704073732f772272642b", "[redacted:password]"),
            ("704073732F772272642B", "[redacted:password]"),
            ("identified by \"p@ss/w\"\"rd+\"", "identified by \"[redacted:password]\""),
            ("admin 12 p@ss", "admin 12 p@ss"),
        ] {
            assert_eq!(redact(&redactor, &[text.as_bytes()]), expected);
        }
    }

    #[test]
    fn what_was_quoted_is_found() {
        let redactor = redactor(&[("password", "it's <a&b>? ÿ\u{7ff}".as_bytes())]);
        for text in [
            "PASSWORD 'it''s <a&b>? ÿ\u{7ff}'",
            r"'it'\''s <a&b>? ÿ\u{7ff}'".replace(r"\u{7ff}", "\u{7ff}").as_str(),
            "{\"p\":\"it's \\u003ca\\u0026b\\u003e? ÿ\u{7ff}\"}",
            "aXQncyA8YSZiPj8gw7_fvw",
            "aXQncyA8YSZiPj8gw7/fvw",
        ] {
            let told = redact(&redactor, &[text.as_bytes()]);
            assert!(told.contains("[redacted:password]") && !told.contains("a&b"), "{text} became {told}");
        }
    }

    /// Whatever a plan may ask for is found again where a process repeats it.
    #[test]
    fn every_encoding_of_a_plan_is_found() {
        let value = b"p\"a:s\\s\n";
        let escape = Escape {
            substitutions: vec![Substitution { character: ':', replacement: "\\072".into() }],
            refuse: String::new(),
            max: None,
        };
        for encoding in [
            Encoding::Raw,
            Encoding::Percent,
            Encoding::Base64,
            Encoding::JsonString,
            Encoding::Escaped(escape),
        ] {
            let secret = SecretRef { binding: "password".into(), encoding: encoding.clone() };
            let content = vec![Fragment::Text("password=".into()), Fragment::Secret(secret)];
            let file = ConfigFile { name: "my.cnf".into(), content };
            let process = Process { argv: vec![], env: vec![], files: vec![file] };
            let redactor = redactor_for(&[("password", value)], &[&process]);
            let rendered = encode(value, &encoding).unwrap();
            let told = redact(&redactor, &[b"in my.cnf: ", &rendered, b" at line 1"]);
            assert!(told.contains("[redacted:password]"), "{encoding:?}: {told}");
            assert!(!told.contains(&*String::from_utf8_lossy(rendered.trim_ascii())), "{encoding:?}: {told}");
        }
    }

    #[test]
    fn the_longest_value_wins_and_lines_of_a_key_are_found() {
        let redactor =
            redactor(&[("a", b"abc"), ("b", b"abcdef"), ("key", b"-----BEGIN\nMIIEvQIBADAN\nx\n")]);
        assert_eq!(redact(&redactor, &[b"abcde abcdef abc"]), "[redacted:a]de [redacted:b] [redacted:a]");
        assert_eq!(redact(&redactor, &[b"line MIIEvQIBADAN!"]), "line [redacted:key]!");
        assert_eq!(redact(&redactor, &[b"xab"]), "xab");
    }

    proptest! {
        #[test]
        fn no_cut_lets_a_secret_through(
            before in "[a-c\n]{0,20}", after in "[a-c\n]{0,20}", secret in "[a-c\n]{3,9}", cuts: [u8; 3]
        ) {
            let redactor = redactor(&[("password", secret.as_bytes())]);
            let text = format!("{before}{secret}{after}");
            let mut cuts = cuts.map(|cut| usize::from(cut) % (text.len() + 1));
            cuts.sort_unstable();
            let [a, b, c] = cuts;
            let text = text.as_bytes();
            let whole = redact(&redactor, &[text]);
            prop_assert_eq!(&redact(&redactor, &[&text[..a], &text[a..b], &text[b..c], &text[c..]]), &whole);
            prop_assert!(whole.contains("[redacted:password]"));
            prop_assert!(!whole.replace("[redacted:password]", "|").contains(&secret));
        }
    }
}

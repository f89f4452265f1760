//! Reads the output of a lister: what a server printed is hostile.

use std::collections::BTreeSet;

use dbbackup_protocol::{plan::Separator, report::Reason};

use crate::failure::Failure;

/// Longest output of a lister in bytes.
pub(crate) const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Most items.
const MAX_ITEMS: usize = 10_000;

/// The items in the order in which they were printed, each once. The last one may lack its separator.
///
/// # Errors
/// Too many items, or one that cannot be handed to a process; [`Reason::NothingToBackUp`] for none.
pub(crate) fn items(output: &[u8], separator: Separator) -> Result<Vec<String>, Failure> {
    let end = if separator == Separator::Nul { 0 } else { b'\n' };
    let output = output.strip_suffix(&[end]).unwrap_or(output);
    let mut seen = BTreeSet::new();
    let mut items = Vec::new();
    if output.is_empty() {
        return Err(Failure::new(
            Reason::NothingToBackUp,
            "the server lists nothing that could be backed up with these settings",
        ));
    }
    for raw in output.split(|byte| *byte == end) {
        let raw = if separator == Separator::BackslashNewline { unescape(raw)? } else { raw.to_vec() };
        let item = String::from_utf8(raw)
            .map_err(|error| refused(&error.to_string(), "is not UTF-8; exclude it in spec.settings"))?;
        if item.is_empty() || item.contains('\0') {
            return Err(refused(&item, "is empty or holds NUL"));
        }
        if seen.insert(item.clone()) {
            items.push(item);
        }
        if items.len() > MAX_ITEMS {
            return Err(refused("", &format!("is one of more than {MAX_ITEMS}; split the backup")));
        }
    }
    Ok(items)
}

fn refused(item: &str, why: &str) -> Failure {
    let item: String = item.chars().take(200).collect();
    Failure::new(Reason::ListingFailed, format!("an item that the server lists {why}: {item:?}"))
}

fn unescape(raw: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'\\' => match bytes.next() {
                Some(b'n') => b'\n',
                Some(b't') => b'\t',
                Some(b'0') => 0,
                Some(b'\\') => b'\\',
                _ => return Err(refused(&String::from_utf8_lossy(raw), "has an unknown escape")),
            },
            byte => *byte,
        });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_separator_gives_whole_items() {
        for (separator, output, expected) in [
            (Separator::Nul, &b"a\0b\nc\0--help\0"[..], &["a", "b\nc", "--help"][..]),
            (Separator::Newline, b"a\nhost=x port=1\nlast", &["a", "host=x port=1", "last"]),
            (Separator::BackslashNewline, b"a\\nb\nc\\\\n\n\\t\n", &["a\nb", "c\\n", "\t"]),
            (Separator::Newline, b"b\na\nb\n", &["b", "a"]),
            (Separator::Newline, "ä\\\n".as_bytes(), &["ä\\"]),
        ] {
            assert_eq!(items(output, separator).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_no_list_is_refused() {
        let many: Vec<u8> = (0..=MAX_ITEMS).flat_map(|n| format!("{n}\n").into_bytes()).collect();
        for (separator, output, reason) in [
            (Separator::Newline, &b""[..], Reason::NothingToBackUp),
            (Separator::Newline, b"\n", Reason::NothingToBackUp),
            (Separator::Nul, b"\0", Reason::NothingToBackUp),
            (Separator::Nul, b"a\0\0b\0", Reason::ListingFailed),
            (Separator::Newline, b"a\xff\n", Reason::ListingFailed),
            (Separator::Newline, b"a\0b\n", Reason::ListingFailed),
            (Separator::BackslashNewline, b"a\\0b\n", Reason::ListingFailed),
            (Separator::BackslashNewline, b"a\\x\n", Reason::ListingFailed),
            (Separator::BackslashNewline, b"a\\", Reason::ListingFailed),
            (Separator::Newline, &many, Reason::ListingFailed),
        ] {
            assert_eq!(items(output, separator).unwrap_err().reason, reason, "{output:?}");
        }
    }

    proptest! {
        #[test]
        fn any_output_gives_an_answer(output: Vec<u8>) {
            for separator in [Separator::Nul, Separator::Newline, Separator::BackslashNewline] {
                if let Ok(items) = items(&output, separator) {
                    prop_assert!(items.iter().all(|item| !item.is_empty() && !item.contains('\0')));
                }
            }
        }
    }
}

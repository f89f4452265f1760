//! Where a run's objects are, the same for every store:
//! `<path>/<namespace>/<name>/<run id>/manifest.json` and
//! `<…>/<run id>/<attempt>/<part>.<extension>[.zst][.age]`.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

use crate::{
    manifest::Cipher,
    work_order::{Compression, Run, Storage},
};

/// Name of the commit point.
pub const MANIFEST: &str = "manifest.json";

/// Last folder of a scheduled run: its slot in basic ISO 8601 without colons, and 8 hex digits of a hash of the
/// object's UID, so that an object that was deleted and made again does not meet its own past.
pub fn run_id(slot: Timestamp, discriminator: &str) -> String {
    format!("{}-{discriminator}", slot.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ"))
}

/// Folder of a run, without a slash at its ends. Namespace, name and run id are DNS labels or made by us;
/// `path` was validated by the operator (no empty, `.` or `..` segment).
pub fn run_prefix(storage: &Storage, run: &Run) -> String {
    folder(storage, &run.namespace, &run.name, &run.id)
}

/// Folder of the run `id` of an object, without a slash at its ends; as [`run_prefix`].
pub fn folder(storage: &Storage, namespace: &str, name: &str, id: &str) -> String {
    format!("{}/{id}", object_prefix(storage, namespace, name))
}

/// Folder of all runs of an object, without a slash at its ends.
pub fn object_prefix(storage: &Storage, namespace: &str, name: &str) -> String {
    let path = storage.path();
    let mut prefix = String::new();
    if !path.is_empty() {
        prefix.push_str(path);
        prefix.push('/');
    }
    prefix.push_str(namespace);
    prefix.push('/');
    prefix.push_str(name);
    prefix
}

/// Last folder of a run's folder; none: `folder` is not that of one run of this object, whatever it is. Hostile input: whoever
/// removes a folder asks this first.
pub fn run_of<'f>(storage: &Storage, namespace: &str, name: &str, folder: &'f str) -> Option<&'f str> {
    let plain = |part: &str| !part.is_empty() && !part.contains('/') && part != "." && part != "..";
    let id = folder.strip_prefix(&object_prefix(storage, namespace, name))?.strip_prefix('/')?;
    (plain(namespace) && plain(name) && is_run_id(id)).then_some(id)
}

/// Slot and discriminator of a run's last folder: the reverse of [`run_id`]. None: it is no such folder. Hostile input.
pub fn parse_run_id(id: &str) -> Option<(Timestamp, &str)> {
    let (slot, discriminator) = id.split_once('-').filter(|_| is_run_id(id))?;
    let civil = DateTime::strptime("%Y%m%dT%H%M%SZ", slot).ok()?;
    Some((TimeZone::UTC.to_timestamp(civil).ok()?, discriminator))
}

/// A slot and a discriminator as [`run_id`] puts them together: 8 hex digits, `m` before those of a manual run.
pub fn is_run_id(id: &str) -> bool {
    let Some((slot, discriminator)) = id.split_once('-') else { return false };
    let hex = discriminator.strip_prefix('m').unwrap_or(discriminator);
    let digit = |(at, byte): (usize, u8)| match at {
        8 => byte == b'T',
        15 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    };
    slot.len() == 16
        && slot.bytes().enumerate().all(digit)
        && hex.len() == 8
        && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// File name of a part: `<name>[.<percent-encoded item>].<extension>[.zst][.age]`. Items come from a server and may
/// hold anything; long ones are cut and completed by a hash so that no file system's limit is met.
pub fn part_file(
    name: &str,
    item: Option<&str>,
    extension: &str,
    compression: Compression,
    encryption: Cipher,
) -> String {
    let mut file = name.to_owned();
    if let Some(item) = item {
        file.push('.');
        file.push_str(&encode_item(item));
    }
    file.push('.');
    file.push_str(extension);
    if matches!(compression, Compression::Zstd { .. }) {
        file.push_str(".zst");
    }
    if encryption == Cipher::Age {
        file.push_str(".age");
    }
    file
}

/// Longest encoded item: with a part's name and extensions it stays under the 255 bytes of a file name.
const MAX_ITEM: usize = 160;

/// RFC 3986 unreserved characters but for `.` and `~` stay, every other byte becomes `%XX`: the result can be
/// neither `.` nor `..`, nor hold a slash. More than [`MAX_ITEM`] bytes are cut at a whole character. An item that was
/// cut or has an upper-case letter is completed by its 64-bit FNV-1a hash, which tells cut names apart, and `Shop` from
/// `shop` in storage that ignores case. It is no defence: the agent refuses to write two objects of one name.
fn encode_item(item: &str) -> String {
    let hashed = |out: &str| format!("{out}-{:016x}", fnv1a(item.as_bytes()));
    let mut out = String::with_capacity(item.len());
    for byte in item.bytes() {
        let whole = match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        };
        if out.len() + whole.len() > MAX_ITEM {
            return hashed(&out);
        }
        out.push_str(&whole);
    }
    if item.bytes().any(|byte| byte.is_ascii_uppercase()) { hashed(&out) } else { out }
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_items_stay_inside_the_folder() {
        for item in ["..", ".", "a/b", "../../etc", "x\ny", "--help", "%2e", "ä", "host=1 port=2"] {
            let file =
                part_file("database", Some(item), "dump", Compression::Zstd { level: 3 }, Cipher::None);
            assert!(
                !file.contains('/') && file.starts_with("database.") && file.ends_with(".dump.zst"),
                "{file}"
            );
            assert!(!file.contains(".."), "{file}");
        }
    }

    #[test]
    fn different_items_have_different_names() {
        let long = "x".repeat(500);
        let longer = "x".repeat(501);
        let items = ["a", "A", "a ", "%61", "a/", "shop", "Shop", "sHop", long.as_str(), longer.as_str()];
        // Also where case is ignored.
        let names: std::collections::BTreeSet<_> =
            items.iter().map(|item| encode_item(item).to_lowercase()).collect();
        assert_eq!(names.len(), items.len());
        assert!(names.iter().all(|name| name.len() < 200));
        assert_eq!(encode_item("shop_1 ä"), "shop_1%20%C3%A4", "readable as far as it can be");
    }

    #[test]
    fn the_name_tells_how_the_bytes_were_made() {
        let zstd = Compression::Zstd { level: 3 };
        for (compression, encryption, expected) in [
            (Compression::None, Cipher::None, "globals.sql"),
            (zstd, Cipher::None, "globals.sql.zst"),
            (Compression::None, Cipher::Age, "globals.sql.age"),
            (zstd, Cipher::Age, "globals.sql.zst.age"),
        ] {
            assert_eq!(part_file("globals", None, "sql", compression, encryption), expected);
        }
    }

    #[test]
    fn only_one_runs_folder_is_a_runs_folder() {
        let slot: Timestamp = "2026-11-24T02:30:00Z".parse().unwrap();
        for path in ["", "prod", "prod/eu"] {
            let storage = Storage::Pvc { claim: "c".into(), path: path.into() };
            for discriminator in ["0badcafe", "m0badcafe"] {
                let id = run_id(slot, discriminator);
                let whole = folder(&storage, "shop", "orders", &id);
                assert_eq!(run_of(&storage, "shop", "orders", &whole), Some(&*id));
                for (namespace, name) in
                    [("shop", "order"), ("sho", "orders"), ("other", "orders"), ("..", "orders")]
                {
                    assert_eq!(run_of(&storage, namespace, name, &whole), None, "{namespace} {name}");
                }
                for hostile in [
                    String::new(),
                    object_prefix(&storage, "shop", "orders"),
                    format!("{}/", object_prefix(&storage, "shop", "orders")),
                    format!("{whole}/"),
                    format!("/{whole}"),
                    format!("{whole}/0badcafe"),
                    format!("x/{whole}"),
                    format!("{whole}/../20261124T023000Z-deadbeef"),
                    whole.replace("0badcafe", "0BADCAFE"),
                    whole.replace("0badcafe", ""),
                    whole.replace("20261124T", "2026112XT"),
                    whole.replace('Z', "z"),
                    folder(&storage, "shop", "orders", ".."),
                    folder(&storage, "shop", "orders", "keep"),
                ] {
                    assert_eq!(run_of(&storage, "shop", "orders", &hostile), None, "{hostile}");
                }
            }
        }
    }

    #[test]
    fn run_ids_have_no_colon() {
        let slot: Timestamp = "2026-11-24T02:30:00Z".parse().unwrap();
        assert_eq!(run_id(slot, "0badcafe"), "20261124T023000Z-0badcafe");
    }

    #[test]
    fn a_run_id_says_its_slot() {
        let slot: Timestamp = "2026-11-24T02:30:07Z".parse().unwrap();
        for discriminator in ["0badcafe", "m0badcafe"] {
            assert_eq!(parse_run_id(&run_id(slot, discriminator)), Some((slot, discriminator)));
        }
        for hostile in [
            "",
            "-",
            "20261324T023000Z-0badcafe",
            "20261124T253000Z-0badcafe",
            "20261124T023000Z-x",
            "..",
            "ä-ä",
        ] {
            assert_eq!(parse_run_id(hostile), None, "{hostile}");
        }
    }
}

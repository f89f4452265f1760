//! How a human restores a backup with nothing but the storage and common tools: goes into the manifest.

use dbbackup_protocol::work_order::{Compression, Storage};

/// Shell commands that check and restore one object, to be run in the folder of the manifest.
///
/// Without a `restore_command` of the plan the object is unpacked to `plain_name`.
pub(crate) fn commands(
    object: &str,
    stored_sha256: &str,
    compression: Compression,
    restore_command: Option<&str>,
    plain_name: &str,
) -> Vec<String> {
    let object = quoted(object);
    let read = match compression {
        Compression::None => format!("cat {object}"),
        Compression::Zstd { .. } => format!("zstd -dc {object}"),
    };
    let restore = match restore_command {
        Some(command) => format!("set -o pipefail; {read} | {command}"),
        None => format!("{read} > {}", quoted(plain_name)),
    };
    vec![format!("printf '%s  %s\\n' {stored_sha256} {object} | sha256sum -c -"), restore]
}

/// One word for a POSIX shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// The steps, a sentence each.
pub(crate) fn steps(storage: &Storage, run_prefix: &str) -> Vec<String> {
    let fetch = match storage {
        Storage::S3(s3) => format!(
            "Download everything under {run_prefix}/ of bucket {} with any S3 client, keeping the folders.",
            s3.bucket
        ),
        Storage::Pvc { claim, .. } => {
            format!("Mount PersistentVolumeClaim {claim} and go to the folder {run_prefix}/, or copy it.")
        }
    };
    vec![
        fetch,
        "Open a bash in that folder, the one with manifest.json; sha256sum and zstd must be installed.".into(),
        "For each entry of parts, in their order, run its restore commands one after the other.".into(),
        "The first command checks the bytes. If it does not print OK, stop: the object is damaged.".into(),
        "The second command restores. Before, set the variable that it names and export it: TARGET_DATABASE is the \
         name of an empty database, TARGET_URI the connection string of the new server. If the name holds = or ://, \
         write TARGET_DATABASE=\"dbname='NAME'\". Any exit code but 0 means that the restore is not complete."
            .into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA: &str = "00ff";
    const ZSTD: Compression = Compression::Zstd { level: 3 };

    #[test]
    fn commands_check_before_they_restore() {
        assert_eq!(
            commands("a/db.x.dump.zst", SHA, ZSTD, Some("pg_restore -d \"$TARGET_DATABASE\""), "db.x.dump"),
            [
                "printf '%s  %s\\n' 00ff 'a/db.x.dump.zst' | sha256sum -c -",
                "set -o pipefail; zstd -dc 'a/db.x.dump.zst' | pg_restore -d \"$TARGET_DATABASE\"",
            ]
        );
        let plain = commands("a/db", SHA, Compression::None, None, "db");
        assert_eq!(plain.last().map(String::as_str), Some("cat 'a/db' > 'db'"));
    }

    #[test]
    fn the_steps_name_the_variables_of_the_commands() {
        let claim = Storage::Pvc { claim: "backups".into(), path: String::new() };
        let steps = steps(&claim, "shop/orders/1").concat();
        for words in ["TARGET_DATABASE", "TARGET_URI", "dbname='NAME'", "backups", "shop/orders/1/"] {
            assert!(steps.contains(words), "{words} in {steps}");
        }
    }

    #[test]
    fn a_hostile_name_stays_one_word() {
        let name = "a'; rm -rf $HOME `x` \"";
        let output =
            std::process::Command::new("sh").arg("-c").arg(format!("printf %s {}", quoted(name))).output();
        assert_eq!(output.unwrap().stdout, name.as_bytes());
    }
}

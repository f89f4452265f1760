//! How a human restores a backup with nothing but the storage and common tools: goes into the manifest.

use dbbackup_protocol::{
    manifest::Cipher,
    work_order::{Compression, Storage},
};

/// Shell commands that check and restore one object, to be run in the folder of the manifest.
///
/// Without a `restore_command` of the plan the object is unpacked to `plain_name`.
pub(crate) fn commands(
    object: &str,
    stored_sha256: &str,
    (compression, encryption): (Compression, Cipher),
    restore_command: Option<&str>,
    plain_name: &str,
) -> Vec<String> {
    let object = quoted(object);
    let decrypted = format!("age -d -i \"${{AGE_KEY_FILE:-key.txt}}\" {object}");
    let read = match (compression, encryption) {
        (Compression::None, Cipher::None) => format!("cat {object}"),
        (Compression::Zstd { .. }, Cipher::None) => format!("zstd -dc {object}"),
        (Compression::None, Cipher::Age) => decrypted,
        (Compression::Zstd { .. }, Cipher::Age) => format!("{decrypted} | zstd -dc"),
    };
    let restore = match restore_command {
        Some(command) => format!("set -o pipefail; {read} | {command}"),
        // Of two programs the first one's failure counts as well.
        None => format!("set -o pipefail; {read} > {}", quoted(plain_name)),
    };
    vec![format!("printf '%s  %s\\n' {stored_sha256} {object} | sha256sum -c -"), restore]
}

/// One word for a POSIX shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// The steps, a sentence each.
pub(crate) fn steps(storage: &Storage, run_prefix: &str, encryption: Cipher) -> Vec<String> {
    let fetch = match storage {
        Storage::S3(s3) => format!(
            "Download everything under {run_prefix}/ of bucket {} with any S3 client, keeping the folders.",
            s3.bucket
        ),
        Storage::Pvc { claim, .. } => {
            format!("Mount PersistentVolumeClaim {claim} and go to the folder {run_prefix}/, or copy it.")
        }
        Storage::Gcs(gcs) => format!(
            "Download everything under {run_prefix}/ of bucket {0}, keeping the folders: gcloud storage rsync --recursive \
             gs://{0}/{run_prefix} . does it.",
            gcs.bucket
        ),
        Storage::Azure(azure) => format!(
            "Download everything under {run_prefix}/ of container {0}, keeping the folders: az storage blob download-batch \
             --source {0} --pattern '{run_prefix}/*' --destination . does it, and the folder is then below that one.",
            azure.container
        ),
    };
    let key = match encryption {
        Cipher::None => None,
        Cipher::Age => Some(
            "The parts are encrypted: install age as well (https://age-encryption.org), set AGE_KEY_FILE to the path of \
             the private key of one of the recipients under encryption, and export it. Unset, it is key.txt in that \
             folder."
                .to_owned(),
        ),
    };
    let mut steps = vec![
        fetch,
        "Open a bash in that folder, the one with manifest.json; sha256sum and zstd must be installed."
            .into(),
    ];
    steps.extend(key);
    steps.extend([
        "For each entry of parts, in their order, run its restore commands one after the other.".into(),
        "The first command checks the bytes. If it does not print OK, stop: the object is damaged.".into(),
        "The second command restores. Before, set the variable that it names and export it: TARGET_DATABASE is the \
         name of an empty database, TARGET_URI the connection string of the new server. If the name holds = or ://, \
         write TARGET_DATABASE=\"dbname='NAME'\". Any exit code but 0 means that the restore is not complete."
            .into(),
    ]);
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA: &str = "00ff";
    const ZSTD: Compression = Compression::Zstd { level: 3 };

    #[test]
    fn commands_check_before_they_restore() {
        assert_eq!(
            commands(
                "a/db.x.dump.zst",
                SHA,
                (ZSTD, Cipher::None),
                Some("pg_restore -d \"$TARGET_DATABASE\""),
                "db.x.dump"
            ),
            [
                "printf '%s  %s\\n' 00ff 'a/db.x.dump.zst' | sha256sum -c -",
                "set -o pipefail; zstd -dc 'a/db.x.dump.zst' | pg_restore -d \"$TARGET_DATABASE\"",
            ]
        );
        for (made, read) in [
            ((Compression::None, Cipher::None), "cat 'a/db'"),
            ((ZSTD, Cipher::None), "zstd -dc 'a/db'"),
            ((Compression::None, Cipher::Age), "age -d -i \"${AGE_KEY_FILE:-key.txt}\" 'a/db'"),
            ((ZSTD, Cipher::Age), "age -d -i \"${AGE_KEY_FILE:-key.txt}\" 'a/db' | zstd -dc"),
        ] {
            let plain = commands("a/db", SHA, made, None, "db");
            assert_eq!(plain.last(), Some(&format!("set -o pipefail; {read} > 'db'")));
        }
    }

    #[test]
    fn the_steps_name_the_variables_of_the_commands() {
        let claim = Storage::Pvc { claim: "backups".into(), path: String::new() };
        let encrypted = steps(&claim, "shop/orders/1", Cipher::Age).concat();
        assert!(encrypted.contains("AGE_KEY_FILE") && encrypted.contains("key.txt"), "{encrypted}");
        let steps = steps(&claim, "shop/orders/1", Cipher::None).concat();
        assert!(!steps.contains("AGE_KEY_FILE"), "{steps}");
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

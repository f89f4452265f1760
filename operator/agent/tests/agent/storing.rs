//! What succeeds, and what is in storage then.

use std::fs;

use age::{secrecy::ExposeSecret as _, x25519};
use dbbackup_protocol::{
    manifest::Cipher,
    plan::{
        Argument, ArgumentPiece, ConfigFile, Expectation, Fragment, Output, Part, PartSource, Separator, Tail,
    },
    pod,
    work_order::{Compression, Encryption},
};

use crate::fixture::{
    PASSWORD, Pod, check, completion, files, part, per_item, sh, text, with_item, with_password,
};

#[test]
fn a_dump_is_stored_described_and_restored_by_its_own_instructions() {
    let mut pod = Pod::of(Part {
        completion: dbbackup_protocol::plan::Completion {
            header: Some(b"-- dump".to_vec()),
            tail: Some(Tail { bytes: b"-- done".to_vec(), within: 10 }),
            stderr_required: Some("done dumping".into()),
            minimum_bytes: 10,
            verifier: Some(sh("exec cat >/dev/null")),
            ..completion()
        },
        ..part("echo -- dump; seq 200000; echo -- done; echo done dumping >&2")
    });
    pod.order.plan.checks = vec![
        check("true", Expectation::ExitZero),
        check("echo yes", Expectation::StdoutEquals("yes".into())),
        check("echo 7", Expectation::StdoutAtLeast(7)),
    ];
    let (ended, manifest) = pod.succeeds();
    let plain: String =
        std::iter::once("-- dump\n".to_owned()).chain((1..=200_000).map(|n| format!("{n}\n"))).collect();
    let plain = plain + "-- done\n";
    assert_eq!(pod.restored(&manifest, 0), plain.as_bytes());
    let stored = &manifest.parts[0];
    assert_eq!(stored.object, "12345678/dump.sql.zst");
    assert_eq!(stored.bytes, plain.len() as u64);
    assert_eq!(fs::metadata(pod.run_folder().join(&stored.object)).unwrap().len(), stored.stored_bytes);
    let report = ended.report;
    assert_eq!(
        (report.parts, report.bytes_read, report.bytes_stored),
        (1, stored.bytes, stored.stored_bytes)
    );
    let key = report.manifest.unwrap().key;
    assert!(pod.path(pod::BACKUPS_DIR).join(key).exists());
    assert!(!report.found);
}

#[test]
fn what_is_damaged_stops_the_restore_by_hand() {
    let flip = |bytes: &mut Vec<u8>| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    };
    let cut = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() - 1);
    for compression in [Compression::None, Compression::Zstd { level: 3 }] {
        for damage in [&flip as &dyn Fn(&mut Vec<u8>), &cut] {
            let mut pod = Pod::of(part("seq 1000"));
            pod.order.compression = compression;
            let (_, manifest) = pod.succeeds();
            let object = pod.run_folder().join(&manifest.parts[0].object);
            let mut bytes = fs::read(&object).unwrap();
            damage(&mut bytes);
            fs::write(&object, bytes).unwrap();
            let command = &manifest.parts[0].restore[0];
            let mut bash = std::process::Command::new("bash");
            let checked = bash.arg("-c").arg(command).current_dir(pod.run_folder()).output().unwrap();
            assert!(!checked.status.success(), "{compression:?}");
        }
    }
}

#[test]
fn only_the_private_key_opens_an_encrypted_dump() {
    for compression in [Compression::None, Compression::Zstd { level: 3 }] {
        let mut pod = Pod::of(part("seq 100000"));
        let key = x25519::Identity::generate();
        pod.order.compression = compression;
        pod.order.encryption = Some(Encryption { recipients: vec![key.to_public().to_string()] });
        let (_, manifest) = pod.succeeds();
        let stored = &manifest.parts[0];
        assert_eq!((stored.encryption, &manifest.encryption), (Cipher::Age, &pod.order.encryption));
        assert!(stored.object.ends_with("age"), "{}", stored.object);
        let bytes = fs::read(pod.run_folder().join(&stored.object)).unwrap();
        assert!(bytes.starts_with(b"age-encryption.org/v1\n") && bytes.len() as u64 == stored.stored_bytes);
        let restore = |key: &x25519::Identity| {
            fs::write(pod.run_folder().join("key.txt"), key.to_string().expose_secret()).unwrap();
            let mut bash = std::process::Command::new("bash");
            bash.arg("-c").arg(&stored.restore[1]).current_dir(pod.run_folder()).output().unwrap()
        };
        let refused = restore(&x25519::Identity::generate());
        assert!(!refused.status.success() && refused.stdout.is_empty(), "{refused:?}");
        assert!(restore(&key).status.success(), "{stored:?}");
        let plain = (1..=100_000).flat_map(|n| format!("{n}\n").into_bytes()).collect::<Vec<_>>();
        assert_eq!(pod.restored(&manifest, 0), plain);
    }
}

#[test]
fn a_process_has_only_what_the_plan_gives() {
    let mut dump = part("env | sort; cat \"$HOME/../config/my.cnf\"; stat -c %a \"$HOME/../config/my.cnf\"");
    dump.process = with_password(dump.process);
    dump.process
        .files
        .push(ConfigFile { name: "my.cnf".into(), content: vec![Fragment::Text("in-file\n".into())] });
    let pod = Pod::of(dump);
    let (_, manifest) = pod.succeeds();
    let output = String::from_utf8(pod.restored(&manifest, 0)).unwrap();
    let scratch = pod.path(pod::SCRATCH_DIR);
    for line in [
        format!("HOME={}", scratch.display()),
        format!("PW={PASSWORD}"),
        "LANG=C.UTF-8".into(),
        "in-file".into(),
        "400".into(),
    ] {
        assert!(output.lines().any(|found| found == line), "{line} in {output}");
    }
    assert!(!output.contains("LEAK") && !output.contains("WORK_ORDER"), "{output}");
    assert!(files(&pod.path(pod::CONFIG_DIR)).is_empty());
}

#[test]
fn hostile_items_are_data_everywhere() {
    let items =
        ["--help", "host=127.0.0.9 port=1", "a/b", "..", "line\nbreak", "$(touch pwned)", "ünïcode", "q'\"`"];
    let script = format!(
        "printf '%s\\0' {}",
        items.map(|item| format!("'{}'", item.replace('\'', "'\\''"))).join(" ")
    );
    let mut each = part("");
    each.process = with_item(each.process);
    let script_of_each = "printf '%s|%s' \"$ITEM\" \"$2\"";
    each.process.argv = vec![
        text("sh"),
        text("-c"),
        text(script_of_each),
        text("sh"),
        text("--"),
        Argument { pieces: vec![ArgumentPiece::Item] },
    ];
    let pod = Pod::new(vec![per_item(&script, Separator::Nul, each)]);
    let (ended, manifest) = pod.succeeds();
    assert_eq!(ended.report.parts, 8);
    for (index, item) in items.iter().enumerate() {
        let stored = &manifest.parts[index];
        assert_eq!(stored.item.as_deref(), Some(*item));
        assert!(pod.run_folder().join(&stored.object).exists());
        assert_eq!(String::from_utf8(pod.restored(&manifest, index)).unwrap(), format!("{item}|{item}"));
    }
    assert_eq!(
        files(&pod.path(pod::BACKUPS_DIR)).len(),
        items.len() + 2,
        "parts, manifest and the restored file"
    );
}

#[test]
fn files_and_folders_are_dumps_too() {
    let file = Part {
        output: Output::File("out/db.bak".into()),
        ..part("seq 5 > \"$HOME/out/db.bak\"; echo chatter")
    };
    let folder = Part {
        name: "folder".into(),
        extension: "tar".into(),
        output: Output::Directory("tree".into()),
        ..part("mkdir -p \"$HOME/tree/sub\"; echo data > \"$HOME/tree/sub/file\"")
    };
    let mut pod = Pod::new(vec![PartSource::One(file), PartSource::One(folder)]);
    pod.order.compression = Compression::None;
    let (_, manifest) = pod.succeeds();
    assert_eq!(pod.restored(&manifest, 0), b"1\n2\n3\n4\n5\n");
    assert!(pod.restored(&manifest, 1).windows(8).any(|window| window == b"sub/file"));
    assert!(files(&pod.path(pod::SCRATCH_DIR)).is_empty(), "the next part needs the room");
}

#[test]
fn a_verifier_may_stop_reading_early() {
    let mut dump = part("seq 3000000");
    dump.completion.verifier = Some(sh("head -c 10 >/dev/null"));
    let (_, manifest) = Pod::of(dump).succeeds();
    assert!(manifest.parts[0].bytes > 20_000_000);
}

#[test]
fn a_large_dump_needs_little_memory() {
    let mut pod = Pod::of(part("head -c 300000000 /dev/urandom"));
    pod.order.limits.deadline_seconds = 300;
    let running = pod.start();
    let status = format!("/proc/{}/status", running.mover.id());
    let peak = std::thread::spawn(move || {
        let mut peak = 0;
        while let Ok(status) = fs::read_to_string(&status) {
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let Some(kib) = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok())
            else {
                break;
            };
            peak = peak.max(kib);
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        peak
    });
    let ended = running.wait();
    assert_eq!(ended.report.bytes_read, 300_000_000, "{:?}\n{}", ended.report, ended.logs());
    let peak = peak.join().unwrap();
    println!("peak of the mover: {} MiB", peak / 1024);
    assert!(peak > 0 && peak < 128 * 1024, "{peak} KiB");
}

//! What does not stand in storage as the tool reads it.

use super::*;

#[test]
fn what_is_encrypted_comes_back_with_its_private_key_only() {
    use age::secrecy::ExposeSecret as _;
    let (key, other) = (age::x25519::Identity::generate(), age::x25519::Identity::generate());
    let each = dbbackup_protocol::plan::Part { process: with_item(sh(DUMP)), ..part("") };
    let mut pod = Pod::new(vec![per_item("echo shop", Separator::Newline, each)]);
    pod.order.encryption = Some(Encryption { recipients: vec![key.to_public().to_string()] });
    let mut restore = Restore::of_pod(pod, loading(TRANSACTION, Effect::AtEnd));
    let public = key.to_public().to_string();
    restore.fails(Reason::PrivateKeyWrong, Target::Unchanged, &[&public, "spec.decryption"]);
    restore.order.private_key = Some(SecretKey { secret: "key".into(), key: "identity".into() });
    restore.fails(Reason::SecretMissing, Target::Unchanged, &["\"identity\" of Secret \"key\""]);
    let file = restore.pod.path(pod::PRIVATE_KEY);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "no key").unwrap();
    restore.fails(Reason::PrivateKeyWrong, Target::Unchanged, &["Secret \"key\""]);
    fs::write(&file, other.to_string().expose_secret()).unwrap();
    restore.fails(Reason::PrivateKeyWrong, Target::Unchanged, &["none of the private keys opens it"]);
    fs::write(&file, key.to_string().expose_secret()).unwrap();
    restore.succeeds();
    restore.holds("shop", "shop");
    fs::remove_dir_all(restore.databases().join("shop")).unwrap();
    restore.damage();
    restore.fails(Reason::BackupDamaged, Target::Unchanged, &["damaged"]);
    assert!(is_empty(&restore.databases().join("shop")));
}

#[test]
fn a_file_and_a_folder_come_back_as_such() {
    let file = dbbackup_protocol::plan::Part {
        output: Output::File("out/dump".into()),
        ..part("mkdir -p \"$HOME/out\"; seq 1 50000 > \"$HOME/out/dump\"")
    };
    let mut plan = loading(
        "test \"$(tail -n 1 \"$HOME/in/dump\")\" = 50000 && cp \"$HOME/in/dump\" \"$HOME/../db/file\"",
        Effect::Gradual,
    );
    plan.load.input = Input::File("in/dump".into());
    for process in [&mut plan.load.process, plan.contents.as_mut().unwrap()] {
        process.env.clear();
    }
    plan.contents = None;
    plan.finish.clear();
    let restore = Restore::of(vec![PartSource::One(file)], plan.clone());
    restore.succeeds();
    assert!(fs::read_to_string(restore.databases().join("file")).unwrap().ends_with("\n50000\n"));

    let folder = dbbackup_protocol::plan::Part {
        output: Output::Directory("out".into()),
        ..part("mkdir -p \"$HOME/out/deep\"; echo one > \"$HOME/out/deep/a\"; echo two > \"$HOME/out/b\"")
    };
    plan.load.process = sh("cp -r \"$HOME/in\" \"$HOME/../db/folder\"");
    plan.load.input = Input::Directory("in".into());
    let restore = Restore::of(vec![PartSource::One(folder)], plan);
    restore.succeeds();
    assert_eq!(fs::read_to_string(restore.databases().join("folder/deep/a")).unwrap(), "one\n");
    assert!(files(&restore.pod.path(pod::SCRATCH_DIR)).is_empty(), "the plain bytes are not left behind");
}

/// As `mongodump` does: a list that ends, and behind it whatever there is, without an end.
#[test]
fn a_tool_that_prints_no_lines_is_understood_by_signs_and_ended() {
    let lists = |names: &str| format!("printf '{names}\\377\\377'; exec sleep 1000");
    let mut restore = Restore::of_one(STREAM, Effect::Gradual);
    let empty = "db:admin;db:config;";
    restore.order.plan.parts[0].contents = Some(sh(&lists(empty)));
    restore.order.plan.parts[0].signs = Some(Signs {
        any_of: vec![b"db:".to_vec()],
        but_not_before: vec![b"admin;".to_vec(), b"config;".to_vec()],
        meaning: "collections".into(),
        until: Some(vec![0xff, 0xff]),
    });
    fs::create_dir(restore.databases().join("shop")).unwrap();
    restore.succeeds();
    restore.holds("shop", "shop");
    restore.order.plan.parts[0].contents = Some(sh(&lists(&format!("{empty}db:shop;"))));
    let words = ["dump \"shop\" holds collections", "nothing was changed"];
    restore.fails(Reason::TargetNotEmpty, Target::Unchanged, &words);
    // One that ends by itself has to end well.
    restore.order.plan.parts[0].contents = Some(sh("printf 'db:adm'; exit 3"));
    restore.fails(Reason::StepFailed, Target::Unchanged, &["exited with 3"]);
}

#[test]
fn a_tool_that_does_nothing_and_is_content_has_not_restored() {
    let said = "cat > \"$HOME/../db/$ITEM/data\"; echo 'finished restoring shop.a' >&2; echo 'row 1' >&2";
    let mut restore = Restore::of_one(said, Effect::Gradual);
    restore.order.plan.parts[0].load.stderr_required = vec!["finished restoring shop.".into()];
    restore.succeeds();
    restore.order.mode = Mode::Replace;
    restore.order.plan.parts[0].load.stderr_required.push("finished restoring shpo.".into());
    let words = ["did not say", "finished restoring shpo.", "may not hold"];
    restore.fails(Reason::LoadIncomplete, Target::Incomplete, &words);
}

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

//! A client that does not speak as it should: the database's image is foreign code.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use dbbackup_protocol::{pod, report::Reason};

use crate::fixture::{Ended, Pod, part};

/// A frame: type, length, payload.
fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[kind], length.as_slice(), payload].concat()
}

/// Runs a mover whose client sends these bytes and goes away.
fn mover_hears(pod: &Pod, bytes: &[u8]) -> Ended {
    let running = pod.start_mover_alone();
    let begin = Instant::now();
    let mut client = loop {
        match UnixStream::connect(pod.path(pod::SOCKET)) {
            Ok(client) => break client,
            Err(error) => assert!(begin.elapsed() < Duration::from_secs(20), "{error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    // The first request, so that the answer does not come before it.
    let mut head = [0; 5];
    client.read_exact(&mut head).unwrap();
    client.read_exact(&mut vec![0; usize::from(head[4])]).unwrap();
    // A mover that has heard enough closes; that is what is wanted.
    let _ = client.write_all(bytes);
    drop(client);
    running.wait()
}

#[test]
fn whatever_a_client_says_no_backup_comes_of_it() {
    let ended = |json: &str| frame(4, json.as_bytes());
    for (bytes, reason, words) in [
        (vec![], Reason::ClientLost, "went away"),
        (frame(2, b"half a dump"), Reason::ClientLost, "went away"),
        (vec![2, 0xff, 0xff, 0xff, 0xff], Reason::ClientLost, "announces 4294967295 bytes"),
        (frame(7, b""), Reason::ClientLost, "unknown type 7"),
        (ended("{"), Reason::ClientLost, "cannot be read"),
        (
            ended(r#"{"end":{"exited":0},"stderrRequiredFound":true,"verifier":null,"inputTaken":true}"#),
            Reason::DumpIncomplete,
            "0 bytes",
        ),
        (frame(5, br#"{"reason":"SecretMissing","message":"no"}"#), Reason::SecretMissing, "no"),
        (frame(5, br#"{"reason":"Succeeded","message":"yes"}"#), Reason::ClientLost, "cannot be read"),
    ] {
        let pod = Pod::of(part("seq 9"));
        mover_hears(&pod, &bytes).failed(reason, &[words]);
        pod.nothing_left();
    }
}

#[test]
fn a_second_client_is_not_let_in() {
    let pod = Pod::of(part("touch \"$HOME/begun\"; sleep 1; seq 9"));
    let running = pod.start();
    running.until("begun");
    assert!(UnixStream::connect(pod.path(pod::SOCKET)).is_err());
    assert!(running.wait().report.manifest.is_some());
}

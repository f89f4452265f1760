//! A real S3 server whose buckets are folders of this machine: what is in them can be seen without asking it.

use std::{
    env, fs,
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::fixture::files;

pub(super) const KEY_ID: &str = "admin";
pub(super) const KEY: &str = "not/a+secret";

pub(super) struct Server {
    pub(super) port: u16,
    root: TempDir,
    process: Child,
}

/// What is in a bucket.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    /// Keys of objects.
    pub(super) objects: Vec<String>,
    /// Files of unfinished uploads.
    pub(super) uploads: usize,
}

impl Server {
    pub(super) fn start() -> Self {
        let cache = env::var("DBBACKUP_CACHE").map(PathBuf::from);
        let cache = cache
            .unwrap_or_else(|_| PathBuf::from(env::var("HOME").unwrap()).join(".cache/db-backup-operator"));
        let program = cache.join("bin/versitygw");
        assert!(program.exists(), "there is no {}: run tests/images/build s3", program.display());
        let root = tempfile::tempdir().unwrap();
        // A port that was free a moment ago.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let process = Command::new(program)
            .args(["--quiet", "--port", &format!("127.0.0.1:{port}"), "posix"])
            .arg(root.path())
            .env("ROOT_ACCESS_KEY", KEY_ID)
            .env("ROOT_SECRET_KEY", KEY)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "the S3 server does not start");
            thread::sleep(Duration::from_millis(50));
        }
        Self { port, root, process }
    }

    /// The folder of a bucket, which is made.
    pub(super) fn bucket(&self, name: &str) -> PathBuf {
        let folder = self.root.path().join(name);
        fs::create_dir_all(&folder).unwrap();
        folder
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Bucket {
    pub(super) fn look(folder: &Path) -> Self {
        let mut seen = Self::default();
        for file in files(folder) {
            let key = file.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            if key.starts_with(".sgwtmp/") { seen.uploads += 1 } else { seen.objects.push(key) }
        }
        seen.objects.sort();
        seen
    }
}

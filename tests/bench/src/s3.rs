//! From a dump tool into a bucket of a real S3 server on this machine, against what people use for it, and against its own
//! slowest stage; and the mover's memory.

use std::{
    cell::Cell,
    fs,
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use dbbackup_protocol::{
    pod,
    work_order::{Compression, S3, Storage},
};
use tempfile::TempDir;

use crate::{
    agent::{backup, write_dump},
    median,
};

const MEBIBYTES: u32 = 1024;
const ROUNDS: u32 = 3;
/// Level of all sides; restic has no levels, and zstd inside.
const LEVEL: i32 = 3;
const KEY_ID: &str = "bench";
const KEY: &str = "not-a-secret";

/// Rivals and stages, as scripts for bash: what comes before each round, and what is timed. `$0` is the dump, `$S3` the server,
/// `$TMPDIR` the folder of its buckets.
const RIVALS: [(&str, &str, &str); 5] = [
    (
        "cat | zstd | aws s3 cp -",
        "",
        "cat \"$0\" | zstd -q -3 -T1 | aws --endpoint-url \"$S3\" s3 cp --quiet - s3://bench/rows.zst",
    ),
    (
        "restic backup --stdin",
        // It would find all of the last round's data there.
        "rm -rf \"$TMPDIR\"/{buckets/bench/restic,cache}; restic -q -r \"s3:$S3/bench/restic\" init",
        "cat \"$0\" | restic -q -r \"s3:$S3/bench/restic\" --compression auto --cache-dir \"$TMPDIR/cache\" backup --stdin",
    ),
    ("  stage: zstd alone", "", "zstd -q -3 -T1 <\"$0\" >/dev/null"),
    ("  stage: SHA-256 alone", "", "openssl dgst -sha256 \"$0\" >/dev/null"),
    (
        "  stage: aws s3 cp alone",
        "",
        "aws --endpoint-url \"$S3\" s3 cp --quiet - s3://bench/packed <\"$0.zst\"",
    ),
];

pub(crate) fn throughput(agent: &Path, server: &Path) -> anyhow::Result<()> {
    let server = Server::start(server)?;
    let dump = server.root.path().join("dump");
    write_dump(&dump, MEBIBYTES)?;
    server.shell(&dump, "zstd -q -3 -f \"$0\"")?;
    println!("into a bucket, {MEBIBYTES} MiB of rows, zstd {LEVEL}");
    let argv = ["cat", &dump.to_string_lossy()];
    let mut peak = 0;
    let mut own = || {
        let taken = backup(agent, &argv, server.storage(), Compression::Zstd { level: LEVEL })?;
        server.forget()?;
        peak = peak.max(taken.peak);
        anyhow::Ok(taken.time)
    };
    let own = median((0..ROUNDS).map(|_| own()).collect::<anyhow::Result<_>>()?);
    let rate = |time: Duration| f64::from(MEBIBYTES) / time.as_secs_f64();
    let peak = peak / 1024;
    println!("  {:<28} {own:>8.2?}  {:>5.0} MiB/s    {peak} MiB of memory", "mover and shim", rate(own));
    for (name, before, script) in RIVALS {
        let round = || {
            server.shell(&dump, before)?;
            server.shell(&dump, script)
        };
        let times = (0..ROUNDS).map(|_| round()).collect::<anyhow::Result<_>>()?;
        let time = median(times);
        println!(
            "  {name:<28} {time:>8.2?}  {:>5.0} MiB/s    mover and shim take {:.2} of it",
            rate(time),
            own.div_duration_f64(time)
        );
    }
    fs::remove_file(&dump)?;
    Ok(fs::remove_file(dump.with_extension("zst"))?)
}

/// Zeros that are not compressed: what is stored decides how large the chunks in memory are.
pub(crate) fn memory(agent: &Path, server: &Path) -> anyhow::Result<()> {
    let server = Server::start(server)?;
    println!("the mover's peak of memory, into a bucket, not compressed");
    for gigabytes in ["1", "10"] {
        let argv = ["head", "-c", &format!("{gigabytes}GB"), "/dev/zero"];
        let taken = backup(agent, &argv, server.storage(), Compression::None)?;
        server.forget()?;
        println!("  {gigabytes:>2} GB {:>32} MiB   {:>8.2?}", taken.peak / 1024, taken.time);
    }
    Ok(())
}

/// versitygw over a folder.
struct Server {
    root: TempDir,
    endpoint: String,
    process: Child,
    /// Each backup has a folder of its own: none finds its run done.
    backups: Cell<u32>,
}

impl Server {
    fn start(program: &Path) -> anyhow::Result<Self> {
        let root = TempDir::new()?;
        fs::create_dir_all(root.path().join("buckets/bench"))?;
        fs::create_dir_all(root.path().join("notes"))?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let process = Command::new(program)
            .args(["--quiet", "--port", &format!("127.0.0.1:{port}"), "posix", "--sidecar"])
            // What it notes of a thousand parts does not fit into a file's attributes.
            .args([root.path().join("notes"), root.path().join("buckets")])
            .envs([("ROOT_ACCESS_KEY", KEY_ID), ("ROOT_SECRET_KEY", KEY)])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("where is versitygw? run make bench")?;
        let server =
            Self { root, endpoint: format!("http://127.0.0.1:{port}"), process, backups: Cell::new(0) };
        let began = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            ensure!(began.elapsed() < Duration::from_secs(20), "the S3 server does not start");
            thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }

    fn folder(&self) -> String {
        format!("own-{}", self.backups.get())
    }

    fn storage(&self) -> (Storage, &'static [(&'static str, &'static str)]) {
        let s3 = S3 {
            bucket: "bench".into(),
            path: self.folder(),
            endpoint: Some(self.endpoint.clone()),
            region: None,
            force_path_style: true,
            secret: Some("bench".into()),
            ca: None,
            maximum_parts: None,
            web_identity: None,
        };
        (Storage::S3(s3), &[(pod::S3_ACCESS_KEY_ID, KEY_ID), (pod::S3_SECRET_ACCESS_KEY, KEY)])
    }

    /// Room for the next round.
    fn forget(&self) -> anyhow::Result<()> {
        fs::remove_dir_all(self.root.path().join("buckets/bench").join(self.folder()))?;
        self.backups.set(self.backups.get() + 1);
        Ok(())
    }

    fn shell(&self, dump: &Path, script: &str) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", script])
            .arg(dump)
            .envs([
                ("S3", self.endpoint.as_str()),
                ("AWS_ACCESS_KEY_ID", KEY_ID),
                ("AWS_SECRET_ACCESS_KEY", KEY),
            ])
            .envs([("AWS_DEFAULT_REGION", "us-east-1"), ("RESTIC_PASSWORD", "bench")])
            .env("TMPDIR", self.root.path())
            .output()?;
        ensure!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(began.elapsed())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

//! From the plan's words to what a process is started with: arguments, environment, config files.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::{ffi::OsStringExt as _, fs::OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use dbbackup_protocol::{
    plan::{Argument, ArgumentPiece, ConfigFile, EnvVar, Fragment, Process},
    report::Reason,
};

use super::secrets::Secrets;
use crate::failure::Failure;

/// Where programs are looked up: the usual folders of images.
const SEARCH_PATH: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// A process ready to start.
#[derive(Debug)]
pub(crate) struct Command {
    /// Absolute path.
    pub(crate) program: PathBuf,
    /// All arguments; the first one is the program's name as the plan has it.
    pub(crate) argv: Vec<OsString>,
    /// The whole environment.
    pub(crate) env: BTreeMap<OsString, OsString>,
    /// Its files, there until this is dropped.
    pub(crate) _files: ConfigFiles,
}

/// What rendering needs to know.
#[derive(Debug)]
pub(crate) struct Renderer<'a> {
    pub(crate) secrets: &'a Secrets,
    pub(crate) config_dir: &'a Path,
    pub(crate) scratch_dir: &'a Path,
    /// For messages.
    pub(crate) image: &'a str,
}

impl Renderer<'_> {
    /// Renders everything and writes the config files.
    ///
    /// # Errors
    /// A missing or unwritable secret, a program that the image does not have, or a plan that the operator should
    /// not have let through.
    pub(crate) fn command(&self, process: &Process, item: Option<&str>) -> Result<Command, Failure> {
        let argv = arguments(&process.argv, item)?;
        let name = argv.first().ok_or_else(|| Failure::plan("a process has no program"))?;
        Ok(Command {
            program: self.find(name)?,
            env: self.environment(&process.env, item)?,
            _files: self.files(&process.files, item)?,
            argv,
        })
    }

    fn find(&self, name: &OsStr) -> Result<PathBuf, Failure> {
        let path = Path::new(name);
        let candidates: Vec<PathBuf> = if path.is_absolute() {
            vec![path.to_owned()]
        } else if path.components().count() == 1 && !name.is_empty() {
            SEARCH_PATH.iter().map(|folder| Path::new(folder).join(path)).collect()
        } else {
            return Err(Failure::plan(format!("the program {} is a relative path", path.display())));
        };
        let executable =
            |path: &PathBuf| path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok();
        candidates.into_iter().find(executable).ok_or_else(|| {
            Failure::new(
                Reason::ProgramNotFound,
                format!(
                    "the image {} has no program {} (looked in {}): choose an image that has it",
                    self.image,
                    path.display(),
                    if path.is_absolute() { "its place".to_owned() } else { SEARCH_PATH.join(":") }
                ),
            )
        })
    }

    fn environment(
        &self,
        variables: &[EnvVar],
        item: Option<&str>,
    ) -> Result<BTreeMap<OsString, OsString>, Failure> {
        let scratch = self.scratch_dir.as_os_str();
        let mut env = BTreeMap::from([
            ("HOME".into(), scratch.into()),
            ("TMPDIR".into(), scratch.into()),
            ("PATH".into(), SEARCH_PATH.join(":").into()),
            ("LANG".into(), "C.UTF-8".into()),
        ]);
        for EnvVar { name, value } in variables {
            if name.is_empty() || name.contains(['=', '\0']) {
                return Err(Failure::plan(format!("{name:?} is no name of an environment variable")));
            }
            let bytes = self.value(value, item)?;
            if bytes.contains(&0) {
                return Err(self.nul(name, value));
            }
            env.insert(name.into(), OsString::from_vec(bytes));
        }
        Ok(env)
    }

    /// Who is to blame for a NUL in a variable.
    fn nul(&self, name: &str, value: &[Fragment]) -> Failure {
        let why = format!("it holds NUL (U+0000), which the environment variable {name} cannot hold");
        let secret = value.iter().find_map(|fragment| match fragment {
            Fragment::Secret(secret) if self.secrets.render(secret).is_ok_and(|value| value.contains(&0)) => {
                Some(&secret.binding)
            }
            _ => None,
        });
        match secret {
            Some(binding) => self.secrets.not_encodable(binding, why),
            None => Failure::plan(format!("the environment variable {name} would hold NUL")),
        }
    }

    fn value(&self, fragments: &[Fragment], item: Option<&str>) -> Result<Vec<u8>, Failure> {
        let mut out = Vec::new();
        for fragment in fragments {
            match fragment {
                Fragment::Text(text) => out.extend_from_slice(text.as_bytes()),
                Fragment::Secret(secret) => out.extend(self.secrets.render(secret)?),
                Fragment::Item => out.extend_from_slice(some_item(item)?.as_bytes()),
            }
        }
        Ok(out)
    }

    fn files(&self, files: &[ConfigFile], item: Option<&str>) -> Result<ConfigFiles, Failure> {
        let mut written = ConfigFiles(Vec::new());
        for ConfigFile { name, content } in files {
            if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
                return Err(Failure::plan(format!("{name:?} is no name of a config file")));
            }
            let path = self.config_dir.join(name);
            let content = self.value(content, item)?;
            match write_new(&path, &content) {
                Ok(()) => written.0.push(path),
                // Dump and verifier may share a file; whoever wrote it removes it.
                Err(error)
                    if error.kind() == io::ErrorKind::AlreadyExists
                        && fs::read(&path).is_ok_and(|there| there == content) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    return Err(Failure::plan(format!(
                        "two processes that run together have different config files of the name {name:?}"
                    )));
                }
                Err(error) => {
                    return Err(Failure::new(
                        Reason::Internal,
                        format!("could not write the config file {}: {error}", path.display()),
                    ));
                }
            }
        }
        Ok(written)
    }
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o400).open(path)?.write_all(content)
}

/// The operator refuses such a plan already; an item is hostile enough to look twice.
fn arguments(argv: &[Argument], item: Option<&str>) -> Result<Vec<OsString>, Failure> {
    let mut behind_dashes = false;
    let mut out = Vec::with_capacity(argv.len());
    for Argument { pieces } in argv {
        let mut text = String::new();
        for piece in pieces {
            match piece {
                ArgumentPiece::Text(piece) => text.push_str(piece),
                ArgumentPiece::Item if behind_dashes => text.push_str(some_item(item)?),
                ArgumentPiece::Item => {
                    return Err(Failure::plan("an item stands in an argument that no `--` precedes"));
                }
            }
        }
        if text.contains('\0') {
            return Err(Failure::plan("an argument holds NUL"));
        }
        behind_dashes |= pieces.iter().all(|piece| matches!(piece, ArgumentPiece::Text(_))) && text == "--";
        out.push(text.into());
    }
    Ok(out)
}

fn some_item(item: Option<&str>) -> Result<&str, Failure> {
    item.ok_or_else(|| Failure::plan("it uses an item where there is none"))
}

/// Config files that go with their process.
#[derive(Debug)]
pub(crate) struct ConfigFiles(Vec<PathBuf>);

impl Drop for ConfigFiles {
    fn drop(&mut self) {
        for path in &self.0 {
            if let Err(error) = fs::remove_file(path) {
                tracing::warn!(file = %path.display(), %error, "a config file could not be removed");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use dbbackup_protocol::{
        plan::{Encoding, SecretRef},
        work_order::BoundSecret,
    };

    use super::*;

    struct Fixture {
        dir: tempfile::TempDir,
        secrets: Secrets,
    }

    fn fixture(password: Option<&[u8]>) -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        if let Some(password) = password {
            fs::write(dir.path().join("password"), password).unwrap();
        }
        let bound = BoundSecret { name: "password".into(), secret: "db".into(), key: "pass".into() };
        let secrets = Secrets::read(dir.path(), &[bound]).unwrap();
        Fixture { dir, secrets }
    }

    impl Fixture {
        fn render(&self, process: &Process, item: Option<&str>) -> Result<Command, Failure> {
            let (config_dir, scratch_dir) = (self.dir.path(), Path::new("/scratch"));
            Renderer { secrets: &self.secrets, config_dir, scratch_dir, image: "img:1" }
                .command(process, item)
        }
    }

    fn text(text: &str) -> Argument {
        Argument { pieces: vec![ArgumentPiece::Text(text.into())] }
    }

    fn item() -> Argument {
        Argument { pieces: vec![ArgumentPiece::Item] }
    }

    fn password() -> Fragment {
        Fragment::Secret(SecretRef { binding: "password".into(), encoding: Encoding::Raw })
    }

    fn sh(env: Vec<EnvVar>, files: Vec<ConfigFile>) -> Process {
        Process { argv: vec![text("sh")], env, files }
    }

    fn var(name: &str, value: Fragment) -> EnvVar {
        EnvVar { name: name.into(), value: vec![value] }
    }

    fn file(name: &str, value: Fragment) -> ConfigFile {
        ConfigFile { name: name.into(), content: vec![Fragment::Text("p=".into()), value] }
    }

    #[test]
    fn a_process_gets_its_words_and_nothing_else() {
        let fixture = fixture(Some(b"\xff pass\n"));
        let process =
            sh(vec![var("PW", password()), var("LANG", Fragment::Item)], vec![file("my.cnf", password())]);
        let path = fixture.dir.path().join("my.cnf");
        {
            let command = fixture.render(&process, Some("x y")).unwrap();
            assert!(command.program.is_absolute() && command.argv == ["sh"]);
            let names: Vec<_> = command.env.keys().map(|name| name.to_str().unwrap()).collect();
            assert_eq!(names, ["HOME", "LANG", "PATH", "PW", "TMPDIR"]);
            assert_eq!(command.env[OsStr::new("PW")], OsString::from_vec(b"\xff pass\n".to_vec()));
            assert_eq!(command.env[OsStr::new("LANG")], "x y");
            assert_eq!(fs::read(&path).unwrap(), b"p=\xff pass\n");
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o400);
            let second = fixture.render(&process, Some("x y")).unwrap();
            drop(second);
            assert!(path.exists(), "a shared file stays until its writer has ended");
        }
        assert!(!path.exists());
    }

    #[test]
    fn an_item_stands_only_behind_dashes() {
        let with = |argv: Vec<Argument>| arguments(&argv, Some("--evil"));
        assert_eq!(with(vec![text("p"), text("--"), item()]).unwrap(), ["p", "--", "--evil"]);
        for argv in [
            vec![text("p"), item()],
            vec![item()],
            vec![text("p"), text("-- "), item()],
            vec![
                text("p"),
                Argument { pieces: vec![ArgumentPiece::Text("--x=".into()), ArgumentPiece::Item] },
                text("--"),
            ],
        ] {
            assert_eq!(with(argv).unwrap_err().reason, Reason::WorkOrderInvalid);
        }
        // An item that is `--` itself opens nothing.
        let item_dashes = Argument { pieces: vec![ArgumentPiece::Text(String::new()), ArgumentPiece::Item] };
        assert!(arguments(&[text("p"), item_dashes, item()], Some("--")).is_err());
        assert!(arguments(&[text("p"), text("--"), item()], None).is_err());
    }

    #[test]
    fn what_cannot_be_rendered_says_why() {
        let absolute = Process { argv: vec![text("/no/such")], env: vec![], files: vec![] };
        let relative = Process { argv: vec![text("bin/tool")], env: vec![], files: vec![] };
        let unknown = Process { argv: vec![text("no-such-tool")], env: vec![], files: vec![] };
        let missing = SecretRef { binding: "token".into(), encoding: Encoding::Raw };
        let json = SecretRef { binding: "password".into(), encoding: Encoding::JsonString };
        for (value, process, reason, words) in [
            (
                None,
                sh(vec![var("PW", password())], vec![]),
                Reason::SecretMissing,
                &["\"db\"", "\"pass\""][..],
            ),
            (
                Some(&b"s3c\0"[..]),
                sh(vec![var("PW", password())], vec![]),
                Reason::SecretNotEncodable,
                &["PW", "\"db\""],
            ),
            (
                Some(b"s3c\xff"),
                sh(vec![], vec![file("f", Fragment::Secret(json))]),
                Reason::SecretNotEncodable,
                &["UTF-8"],
            ),
            (
                None,
                sh(vec![var("PW", Fragment::Secret(missing))], vec![]),
                Reason::WorkOrderInvalid,
                &["token"],
            ),
            (None, sh(vec![], vec![file("../f", Fragment::Item)]), Reason::WorkOrderInvalid, &["../f"]),
            (None, sh(vec![var("A=B", Fragment::Item)], vec![]), Reason::WorkOrderInvalid, &["A=B"]),
            (None, absolute, Reason::ProgramNotFound, &["img:1", "/no/such"]),
            (None, unknown, Reason::ProgramNotFound, &["img:1", "no-such-tool", "/usr/bin"]),
            (None, relative, Reason::WorkOrderInvalid, &["bin/tool"]),
        ] {
            let failure = fixture(value).render(&process, Some("i")).unwrap_err();
            assert_eq!(failure.reason, reason, "{failure}");
            assert!(words.iter().all(|word| failure.message.contains(word)), "{failure}");
            assert!(!failure.message.contains("s3c"), "{failure}");
        }
    }

    #[test]
    fn files_of_one_name_and_different_content_are_refused() {
        let fixture = fixture(Some(b"one"));
        let _first = fixture.render(&sh(vec![], vec![file("f", password())]), None).unwrap();
        let second = fixture.render(&sh(vec![], vec![file("f", Fragment::Text("two".into()))]), None);
        assert_eq!(second.unwrap_err().reason, Reason::WorkOrderInvalid);
    }
}

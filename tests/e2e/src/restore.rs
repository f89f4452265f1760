//! Restoring by hand, as the manifest says: the commands in it are run by a shell, in the folder of the manifest,
//! on a machine with common tools and the database's client programs.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use dbbackup_protocol::manifest::{Manifest, StoredPart};

use crate::{
    folder::Folder,
    server::{Engine, Server},
    store::Store,
};

/// A backup on this machine.
#[derive(Debug)]
pub struct Download {
    /// What it is.
    pub manifest: Manifest,
    folder: Folder,
}

impl Download {
    pub(crate) fn fetch(store: &Store, prefix: &str, manifest: Manifest) -> Result<Self> {
        let folder = Folder::make()?;
        store.fetch(prefix, folder.path())?;
        Ok(Self { manifest, folder })
    }

    /// Items of the parts that have one, in the order of the manifest: names of databases.
    pub fn items(&self) -> Vec<&str> {
        self.manifest.parts.iter().filter_map(|part| part.item.as_deref()).collect()
    }

    /// The bytes of a part's object.
    ///
    /// # Errors
    /// Where it was not downloaded.
    pub fn stored(&self, part: &StoredPart) -> Result<Vec<u8>> {
        fs::read(self.folder.path().join(&part.object)).with_context(|| format!("no {}", part.object))
    }

    /// Puts a private key to where the commands look for it.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn with_key(&self, key: &str) -> Result<()> {
        fs::write(self.folder.path().join("key.txt"), key).context("no place for the key")
    }

    /// Restores all parts into a server.
    ///
    /// # Errors
    /// The command that failed, with what it said.
    pub fn restore_into(&self, server: &Server) -> Result<()> {
        self.restore_parts(server, |_| true)
    }

    /// Restores some parts into a server.
    ///
    /// # Errors
    /// The command that failed, with what it said.
    pub fn restore_parts(&self, server: &Server, wanted: impl Fn(&StoredPart) -> bool) -> Result<()> {
        let tools = Folder::make()?;
        server.tools(tools.path())?;
        for part in self.manifest.parts.iter().filter(|part| wanted(part)) {
            let variable = match (&part.item, server.engine) {
                (_, Engine::FerretDb) => ("TARGET_URI", server.mongo_uri(&server.host())),
                (_, Engine::Redis) => ("TARGET_DIRECTORY", tools.path().to_string_lossy().into_owned()),
                (_, Engine::Etcd) => ("TARGET_DIRECTORY", ETCD_RESTORED.into()),
                (Some(database), _) => ("TARGET_DATABASE", server.make_database(database)?),
                (None, _) => ("TARGET_DATABASE", String::new()),
            };
            self.run_commands(part, Some((variable, tools.path())))?;
        }
        // These read their folder when they start.
        match server.engine {
            Engine::Redis => {
                let dump = fs::read(tools.path().join("dump.rdb")).context("no dump.rdb was restored")?;
                server.restart_after("cat >/data/dump.rdb", dump)
            }
            Engine::Etcd => server.restart_after(&format!("test -d {ETCD_RESTORED}"), vec![]),
            _ => Ok(()),
        }
    }

    /// Runs the commands of a part that need no server, and gives what lies in the folder afterwards under this name.
    ///
    /// # Errors
    /// The command that failed, with what it said.
    pub fn unpack(&self, part: &StoredPart, result: &str) -> Result<Vec<u8>> {
        self.run_commands(part, None)?;
        let file = self.folder.path().join(result);
        fs::read(&file).with_context(|| {
            format!(
                "{:?} do not leave {result}; there is {:?}",
                part.restore,
                fs::read_dir(self.folder.path())
            )
        })
    }

    /// `with`: a variable that the commands name, and a folder of programs.
    fn run_commands(&self, part: &StoredPart, with: Option<((&str, String), &Path)>) -> Result<()> {
        ensure!(part.restore.len() == 2, "check and restore, expected of {part:#?}");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let tools = with.as_ref().map(|(_, tools)| tools.to_path_buf());
        let path = std::env::join_paths(tools.into_iter().chain(std::env::split_paths(&path)))?;
        let variable = with.map(|(variable, _)| variable);
        for command in &part.restore {
            let output = Command::new("bash")
                .args(["-c", command])
                .current_dir(self.folder.path())
                .env("PATH", &path)
                .envs(variable.clone())
                .output()
                .context("bash cannot be started")?;
            let said = String::from_utf8_lossy(&output.stdout);
            let complained = without_noise(&String::from_utf8_lossy(&output.stderr));
            let tolerated = command.contains(ROLES) && complained.lines().all(is_about_a_known_role);
            ensure!(
                output.status.success() && (complained.is_empty() || tolerated || is_harmless(&complained)),
                "{command}\nended with {}: {said}{complained}",
                output.status
            );
        }
        Ok(())
    }
}

/// What a tar archive holds, as lines of name, equal sign and content; links by their target.
///
/// # Errors
/// Where `tar` finds that it is none.
pub fn untar(archive: &[u8]) -> Result<String> {
    let folder = Folder::make()?;
    let (file, out) = (folder.path().join("archive.tar"), folder.path().join("out"));
    fs::write(&file, archive)?;
    fs::create_dir(&out)?;
    let show = "tar -xf \"$1\" && find . ! -type d | sort | while IFS= read -r f; do \
                if [ -L \"$f\" ]; then echo \"${f#./}->$(readlink \"$f\")\"; else echo \"${f#./}=$(cat \"$f\")\"; fi; done";
    let output = Command::new("sh")
        .args(["-c", show, "sh"])
        .arg(&file)
        .current_dir(&out)
        .output()
        .context("sh cannot be started")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// In the pod of the etcd to restore into, which takes it for its data when it starts.
const ETCD_RESTORED: &str = "/data/restored";

/// In the command that restores roles.
const ROLES: &str = "| psql ";

/// The administrator exists before every restore.
fn is_about_a_known_role(line: &str) -> bool {
    line.contains("role \"postgres\" already exists") || line.trim().is_empty()
}

/// What kubectl says of its own connections is not the tool's word.
fn without_noise(complaints: &str) -> String {
    complaints.split_inclusive('\n').filter(|line| !line.contains("websocket.go:")).collect()
}

/// `mongorestore` and `etcdutl` tell their progress on standard error; kubectl tells that a container is gone.
fn is_harmless(complaints: &str) -> bool {
    complaints.contains("document(s) restored successfully. 0 document(s) failed to restore.")
        || complaints.contains("\trestored snapshot\t")
}

impl Server {
    /// Programs that reach this server's clients, inside its pod, under their own names.
    fn tools(&self, into: &Path) -> Result<()> {
        let programs: &[&str] = match self.engine {
            Engine::Postgres15 | Engine::Postgres18 | Engine::PostgresTls => &["psql", "pg_restore"],
            Engine::MariaDb => &["mariadb"],
            Engine::MySql => &["mysql"],
            Engine::FerretDb => &["mongorestore"],
            Engine::Etcd => &["etcdutl"],
            Engine::S3 | Engine::Redis => &[],
        };
        for program in programs {
            let file = into.join(program);
            fs::write(&file, self.tool(program))?;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
        }
        Ok(())
    }

    fn tool(&self, program: &str) -> String {
        let quoted = |words: &[String]| {
            words
                .iter()
                .map(|word| format!("'{}'", word.replace('\'', "'\\''")))
                .collect::<Vec<_>>()
                .join(" ")
        };
        if self.engine == Engine::FerretDb {
            return self.mongorestore();
        }
        let deployment = format!("deployment/{}", self.engine.name());
        let exec = format!("kubectl exec -i -n {} {deployment} -c server --", self.namespace);
        if self.engine == Engine::Etcd {
            // It reads a file, which has to get into the pod: snapshot restore FILE --data-dir FOLDER.
            let inside = quoted(&[format!(
                "cat >/tmp/restored && {program} \"$1\" \"$2\" /tmp/restored \"$4\" \"$5\""
            )]);
            return format!("#!/bin/sh\nexec {exec} sh -c {inside} sh \"$@\" <\"$3\"\n");
        }
        format!("#!/bin/sh\nexec {exec} {} \"$@\"\n", quoted(&self.client(program)))
    }

    /// The server's image has no `mongorestore`; its own image has nothing else, so it runs as a pod. What FerretDB
    /// cannot take (README of tests/images): its own users.
    fn mongorestore(&self) -> String {
        let overrides = r#"{"spec": {
            "automountServiceAccountToken": false,
            "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{"name": "NAME", "securityContext":
              {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}]}}"#;
        format!(
            "#!/bin/sh\nname=mongorestore-$$\nexec kubectl run \"$name\" -n {} --image=db-backup.test/mongo:8 \
             --image-pull-policy=Never --restart=Never --stdin --rm --quiet --override-type=strategic \
             --overrides=\"$(printf %s '{overrides}' | sed \"s/NAME/$name/\")\" --command -- \
             mongorestore --nsExclude='admin.*' \"$@\"\n",
            self.namespace
        )
    }

    /// Makes an empty database to restore into, and gives what `TARGET_DATABASE` has to be for it.
    fn make_database(&self, name: &str) -> Result<String> {
        let is_postgres =
            matches!(self.engine, Engine::Postgres15 | Engine::Postgres18 | Engine::PostgresTls);
        if is_postgres && name != "postgres" {
            let quoted = format!("\"{}\"", name.replace('"', "\"\""));
            self.sql("postgres", &format!("create database {quoted} template template0;"))?;
        }
        // libpq takes a name with an equal sign in it for a list of settings, so write one.
        Ok(format!("dbname='{}'", name.replace('\\', "\\\\").replace('\'', "\\'")))
    }
}

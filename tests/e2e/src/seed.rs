//! What the shared servers hold, and a text that says what a server holds.

use std::collections::BTreeMap;

use anyhow::{Result, bail, ensure};
use serde_json::Value;

use crate::{
    kubectl::{Call, until},
    nasty_secret,
    server::{Engine, Server},
};

/// Databases whose name is what bites: connection strings, options, paths, quotes, expansion, controls.
pub const HOSTILE_NAMES: [&str; 9] = [
    "host=127.0.0.9 port=1 dbname=zz",
    "--help",
    "..",
    "a/../b",
    "new\nline",
    "quote'\"s \\ back",
    "$(POD_UID) `id` $HOME",
    "\u{dc}n\u{ef} \u{4e16}\u{2603}",
    "postgresql://evil/zz?sslmode=disable",
];

const POSTGRES_ROLES: &str = include_str!("../data/postgres-roles.sql");
const POSTGRES_SHOP: &str = include_str!("../data/postgres-shop.sql");
const POSTGRES_SMALL: &str = include_str!("../data/postgres-small.sql");
const POSTGRES_FINGERPRINT: &str = include_str!("../data/postgres-fingerprint.sql");
const MYSQL_SHOP: &str = include_str!("../data/mysql-shop.sql");
const MYSQL_SMALL: &str = include_str!("../data/mysql-small.sql");
const MYSQL_FINGERPRINT: &str = include_str!("../data/mysql-fingerprint.sql");
const MONGO: &str = include_str!("../data/mongo.jsonl");
const REDIS: &str = include_str!("../data/redis-data.lua");
const REDIS_FINGERPRINT: &str = include_str!("../data/redis-fingerprint.lua");
const ETCD: &str = include_str!("../data/etcd-data.sh");

/// What a test says of data that did not come back as it was. `tests/e2e/run` looks for it: such a test gets no second try, because
/// no slow machine changes data.
pub const DIFFERENT: &str = "NOT THE SAME DATA";

/// A role or account of the shared servers.
#[derive(Clone, Debug)]
pub struct Login {
    /// Its name.
    pub username: String,
    /// Its password.
    pub password: String,
}

/// What a server holds, by database: equal texts for equal content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint(BTreeMap<String, String>);

impl Fingerprint {
    /// These databases of it.
    ///
    /// # Errors
    /// Where one is not there.
    pub fn only(&self, databases: &[&str]) -> Result<Self> {
        let wanted = |name: &&String| databases.contains(&name.as_str());
        let found: BTreeMap<_, _> = self
            .0
            .iter()
            .filter(|(name, _)| wanted(name))
            .map(|(name, text)| (name.clone(), text.clone()))
            .collect();
        ensure!(found.len() == databases.len(), "of {databases:?} there are {:?}", found.keys());
        Ok(Self(found))
    }

    /// The same of a single database that has another name by now.
    #[must_use]
    pub fn called(self, name: &str) -> Self {
        Self(self.0.into_values().map(|text| (name.to_owned(), text)).collect())
    }

    /// Names of its databases.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// And this, which belongs to no database.
    pub(crate) fn and(mut self, what: &str, text: String) -> Self {
        self.0.insert(what.to_owned(), text);
        self
    }

    /// Makes sure that a restored server holds the same as this one.
    ///
    /// # Errors
    /// The first difference.
    pub fn came_back(&self, restored: &Self) -> Result<()> {
        let names = |of: &Self| of.0.keys().cloned().collect::<Vec<_>>();
        ensure!(
            names(self) == names(restored),
            "{DIFFERENT}: of {:?} came back {:?}",
            names(self),
            names(restored)
        );
        for (name, text) in &self.0 {
            let other = restored.0.get(name).map(String::as_str).unwrap_or_default();
            // A comparison of nothing would prove nothing.
            ensure!(!text.trim().is_empty(), "database {name:?} shows nothing to compare");
            let (mut was, mut is) = (text.lines(), other.lines());
            loop {
                match (was.next(), is.next()) {
                    (None, None) => break,
                    (was, is) if was == is => {}
                    (was, is) => {
                        bail!("{DIFFERENT}: database {name:?} did not come back.\nwas: {was:?}\nis:  {is:?}")
                    }
                }
            }
        }
        Ok(())
    }
}

impl Server {
    /// The account that may read everything and nothing more.
    pub fn backup_login(&self) -> Login {
        let (username, password) = match self.engine() {
            Engine::Postgres15 | Engine::Postgres18 | Engine::PostgresTls => {
                ("r'\u{f4}\\le $(POD_UID) \"x\"", nasty_secret("postgres-backup"))
            }
            Engine::MariaDb | Engine::MySql => ("b'a\"c\\k $(u)", nasty_secret("mysql-backup")),
            Engine::Redis => ("backup", nasty_secret("redis-backup")),
            // Only `root` may take a snapshot.
            Engine::FerretDb | Engine::S3 | Engine::Etcd => return self.admin_login(),
        };
        Login { username: username.into(), password }
    }

    /// The administrator.
    pub fn admin_login(&self) -> Login {
        let engine = self.engine();
        Login { username: engine.admin().into(), password: engine.admin_password() }
    }

    /// What the server holds, as text: equal for equal content. Parts of it by database, the whole under no name.
    ///
    /// # Errors
    /// The server's.
    pub fn fingerprint(&self, owners: bool) -> Result<Fingerprint> {
        self.shown(owners, "")
    }

    /// The same, and what this SQL shows.
    pub(crate) fn shown(&self, owners: bool, more: &str) -> Result<Fingerprint> {
        let databases = match self.engine() {
            Engine::Postgres15 | Engine::Postgres18 | Engine::PostgresTls => self
                .databases()?
                .into_iter()
                .map(|name| {
                    let sql = format!("\\set owners {owners}\n{POSTGRES_FINGERPRINT}\n{more}");
                    self.sql(&name, &sql).map(|text| (name, text))
                })
                .collect::<Result<_>>()?,
            Engine::MariaDb | Engine::MySql => {
                by_database(&self.sql("", &format!("{MYSQL_FINGERPRINT}\n{more}"))?)
            }
            Engine::FerretDb => {
                by_database(&self.exec([self.client("mongoprobe"), vec!["dump".into()]].concat()).text()?)
            }
            Engine::Redis => {
                let lines = self.redis(&["EVAL", REDIS_FINGERPRINT, "0"]).text()?;
                let digest = self.redis(&["DEBUG", "DIGEST"]).text()?;
                let functions = self.redis(&["FUNCTION", "LIST", "WITHCODE"]).text()?.replace('\n', " ");
                by_database(&format!("{lines}all\t{digest}functions\t{functions}"))
            }
            Engine::Etcd => self.etcd_fingerprint()?,
            Engine::S3 => BTreeMap::new(),
        };
        Ok(Fingerprint(databases))
    }

    fn redis(&self, arguments: &[&str]) -> Call {
        let arguments = arguments.iter().map(|&word| word.to_owned()).collect();
        self.exec([self.client("redis-cli"), arguments].concat())
    }

    /// Every key with its revisions, and who may do what. Identities of the cluster and its members are of the server.
    fn etcd_fingerprint(&self) -> Result<BTreeMap<String, String>> {
        let ask = |words: &[&str]| {
            let words = words.iter().map(|&word| word.to_owned()).collect();
            self.exec([self.client("etcdctl"), words].concat()).text()
        };
        let keys: Value = serde_json::from_str(&ask(&["get", "", "--prefix", "--write-out=json"])?)?;
        let lines =
            keys.get("kvs").and_then(Value::as_array).into_iter().flatten().map(|key| format!("{key}\n"));
        let revision = keys.pointer("/header/revision").map(Value::to_string).unwrap_or_default();
        let others: [&[&str]; 4] =
            [&["user", "list"], &["role", "list"], &["role", "get", "reader"], &["user", "get", "reader"]];
        let others = others.map(|words| Ok((words.concat(), ask(words)?)));
        let own = [("keys".into(), lines.collect()), ("revision".into(), revision)].map(Ok);
        own.into_iter().chain(others).collect()
    }

    /// Databases of a PostgreSQL server that can be connected to, without templates.
    pub fn databases(&self) -> Result<Vec<String>> {
        let sql = "select encode(convert_to(datname, 'UTF8'), 'hex') from pg_database where datallowconn and not datistemplate";
        let names = self.sql("postgres", sql)?;
        Ok(names.lines().map(from_hex).collect())
    }
}

pub(crate) fn from_hex(hex: &str) -> String {
    let digits: Vec<u8> =
        hex.chars().filter_map(|c| c.to_digit(16)).filter_map(|d| u8::try_from(d).ok()).collect();
    let bytes = digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
    String::from_utf8(bytes).unwrap_or_default()
}

/// Lines that begin with a database's name and a tab; or, once the databases are known, with the name of a table and
/// a point between the two.
fn by_database(text: &str) -> BTreeMap<String, String> {
    let mut all = BTreeMap::<String, String>::new();
    for line in text.lines() {
        let (first, rest) = line.split_once('\t').unwrap_or((line, ""));
        let holds =
            |name: &&String| first.strip_prefix(name.as_str()).is_some_and(|table| table.starts_with('.'));
        let (database, rest) = match all.keys().filter(holds).max_by_key(|name| name.len()).cloned() {
            Some(name) if !all.contains_key(first) => (name, line),
            _ => (first.to_owned(), rest),
        };
        let place = all.entry(database).or_default();
        place.push_str(rest);
        place.push('\n');
    }
    all
}

/// What a server is filled with: another content means another server.
pub(crate) fn source(engine: Engine) -> Vec<String> {
    let texts: &[&str] = match engine {
        Engine::Postgres15 | Engine::Postgres18 | Engine::PostgresTls => {
            &[POSTGRES_ROLES, POSTGRES_SHOP, POSTGRES_SMALL]
        }
        Engine::MariaDb | Engine::MySql => &[MYSQL_SHOP, MYSQL_SMALL],
        Engine::FerretDb => &[MONGO],
        Engine::Redis => &[REDIS],
        Engine::Etcd => &[ETCD],
        Engine::S3 => &[],
    };
    let common = [nasty_secret(""), HOSTILE_NAMES.concat(), include_str!("seed.rs").to_owned()];
    texts.iter().map(|&text| text.to_owned()).chain(common).collect()
}

/// Fills a new server.
pub(crate) fn fill(server: &Server) -> Result<()> {
    match server.engine() {
        Engine::Postgres15 | Engine::Postgres18 | Engine::PostgresTls => fill_postgres(server),
        Engine::MariaDb | Engine::MySql => fill_mysql(server),
        Engine::FerretDb => fill_mongo(server),
        Engine::Redis => fill_redis(server),
        Engine::Etcd => {
            server.exec([server.client("bash"), vec!["-s".into()]].concat()).input(ETCD).text().map(drop)
        }
        Engine::S3 => Ok(()),
    }
}

fn fill_postgres(server: &Server) -> Result<()> {
    let set = |name: &str, value: &str| format!("\\set {name}_password '{}'\n", escaped(value));
    let lacking = ["powerless", "no_bypass", "no_large"].map(|role| set(role, &nasty_secret(role)));
    let passwords = set("backup", &server.backup_login().password) + &lacking.concat();
    server.sql("postgres", &format!("{passwords}{POSTGRES_ROLES}"))?;
    let names = ["shop", "empty"].into_iter().chain(HOSTILE_NAMES);
    let create: Vec<_> =
        names.map(|name| format!("create database \"{}\";\n", name.replace('"', "\"\""))).collect();
    server.sql("postgres", &create.concat())?;
    server.sql("shop", POSTGRES_SHOP)?;
    HOSTILE_NAMES.iter().try_for_each(|name| server.sql(name, POSTGRES_SMALL).map(drop))
}

/// Between quotes of psql's `\set`.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n").replace('\t', "\\t")
}

fn fill_mysql(server: &Server) -> Result<()> {
    let string = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
    let account = |name: &str, password: &str, grants: &str, on: &str| {
        let name = string(name);
        let password = string(password);
        format!("create user {name}@'%' identified by {password};\ngrant {grants} on {on} to {name}@'%';\n")
    };
    let login = server.backup_login();
    let all = match server.engine() {
        Engine::MySql => "select, show view, trigger, event, lock tables, process, execute, show_routine",
        _ => "select, show view, trigger, event, lock tables, process, execute",
    };
    let lacking = [
        ("no_trigger", "select, show view, event"),
        ("no_event", "select, show view, trigger"),
        ("no_view", "select, trigger, event"),
        ("no_routine", "select, show view, trigger, event"),
    ];
    let lacking = lacking.map(|(name, grants)| account(name, &nasty_secret(name), grants, "shop.*"));
    let accounts = [account(&login.username, &login.password, all, "*.*"), lacking.concat()];
    let databases = ["shop", "empty"].into_iter().chain(HOSTILE_NAMES).map(|name| {
        let content = match name {
            "shop" => MYSQL_SHOP.to_owned(),
            "empty" => String::new(),
            _ => MYSQL_SMALL.to_owned(),
        };
        let name = name.replace('`', "``");
        format!("create database `{name}`;\nuse `{name}`;\n{content}")
    });
    server.sql("", &accounts.into_iter().chain(databases).collect::<String>()).map(drop)
}

fn fill_mongo(server: &Server) -> Result<()> {
    let many: Vec<_> =
        (0..10_000).map(|id| format!("{{\"_id\": {id}, \"square\": {}}}\n", id * id)).collect();
    let many = many.concat();
    for (database, collection, documents) in [
        ("shop", "orders", MONGO),
        ("shop", "a.b-c_d", MONGO),
        ("shop", "many", &many),
        ("-x", "things", MONGO),
        ("--help", "x", MONGO),
    ] {
        let insert = ["insert", database, collection].map(str::to_owned).to_vec();
        server.exec([server.client("mongoprobe"), insert].concat()).input(documents).text()?;
    }
    // What was written can be read.
    until("documents", || Ok(server.fingerprint(false)?.only(&["shop"]).ok())).map(drop)
}

fn fill_redis(server: &Server) -> Result<()> {
    server.redis(&["EVAL", REDIS, "0"]).text()?;
    let library =
        "#!lua name=e2e\nredis.register_function('twice', function(_, args) return args[1] * 2 end)";
    server.redis(&["FUNCTION", "LOAD", library]).text()?;
    let Login { username, password } = server.backup_login();
    let copy = ["+sync", "+psync", "+replconf", "+info"];
    for (name, password, commands) in
        [(username, password, copy.as_slice()), ("weak".into(), nasty_secret("redis-weak"), &["+info"])]
    {
        let user = ["ACL", "SETUSER", &name, "on", &format!(">{password}")];
        server.redis(&[&user, commands].concat()).text()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_come_back_is_never_called_flaky() {
        let of = |name: &str, text: &str| Fingerprint([(name.to_owned(), text.to_owned())].into());
        for restored in [of("shop", "1\n"), of("shop", "2\n1\n"), of("other", "2\n")] {
            let difference = of("shop", "2\n").came_back(&restored).unwrap_err().to_string();
            assert!(difference.starts_with(DIFFERENT), "{difference}");
        }
        assert!(include_str!("../run").contains(&format!("'{DIFFERENT}'")), "tests/e2e/run looks for it");
    }
}

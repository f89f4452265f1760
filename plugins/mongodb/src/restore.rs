//! The way back: an archive to `mongorestore`, which stops at the first error. What it has inserted by then stays.
//!
//! The image has no shell that could list what is in the target, but `mongodump` lists every collection at the beginning of an
//! archive, before any document: it is asked for one and ended behind that list.

use std::collections::{BTreeMap, BTreeSet};

use db_backup_plugin_sdk::{
    Issue, Mode, PartRestore, Process, Refusal, Rename, Restore, RestorePlan, RestoreRequest, Signs,
};

use crate::{IMAGE, MongoDb, TERMINATOR, part_name, settings::Settings, tool};

/// Databases of the server itself. They are in the archive of a whole server and never come back from it: users would get the
/// passwords that they had then, whoever restores among them.
const SERVERS_OWN: [&str; 3] = ["admin", "config", "local"];

/// The first key of every collection in an archive's list (BSON: type, key, NUL; then length in four bytes, text, NUL).
const DATABASE: &[u8] = b"\x02db\0";

impl Restore for MongoDb {
    fn restore(request: &RestoreRequest, settings: &Settings) -> Result<RestorePlan, Refusal> {
        let named = settings.databases(&request.target)?;
        // What is written is looked at where it is written.
        let client = Client { request, settings: Settings { read_preference: None, ..settings.clone() } };
        let plan = RestorePlan::new().image(IMAGE);
        if named.is_empty() {
            return Ok(plan.part(client.server()?));
        }
        client.named(plan, &named)
    }
}

struct Client<'a> {
    request: &'a RestoreRequest,
    settings: Settings,
}

impl Client<'_> {
    /// All databases of one archive, or some of them.
    fn server(&self) -> Result<PartRestore, Refusal> {
        let RestoreRequest { databases, renames, .. } = self.request;
        if let (true, Some(rename)) = (databases.is_empty(), renames.first()) {
            let message = format!(
                "name {:?} and what else is to be restored in spec.databases: the archive may hold a database {:?} as well, and both \
                 would become one",
                rename.source, rename.target
            );
            return Err(Issue::new("/renames", "RenameNotSupported", message).into());
        }
        let own = |name: &String| SERVERS_OWN.contains(&name.as_str());
        if let Some(name) = databases.iter().find(|name| own(name)) {
            let message = format!("{name} belongs to the server: users and roles come back by hand only");
            return Err(Issue::new("/databases", "SelectionNotSupported", message).into());
        }
        let load = SERVERS_OWN
            .iter()
            .fold(self.mongorestore()?, |load, name| load.arg(format!("--nsExclude={}", pattern(name))));
        if databases.is_empty() {
            let load = load.args(self.settings.oplog.then_some("--oplogReplay"));
            let contents = self.mongodump()?;
            return Ok(PartRestore::new("server", load)
                .required()
                .contents_by_signs(contents, any_of_users()));
        }
        let targets = self.targets(databases)?;
        let load =
            databases.iter().fold(load, |load, name| load.arg(format!("--nsInclude={}", pattern(name))));
        self.part("server", renamed(load, &targets), &targets)
    }

    /// One archive for each database.
    fn named(&self, plan: RestorePlan, named: &[String]) -> Result<RestorePlan, Refusal> {
        let chosen: Vec<_> = match &self.request.databases[..] {
            [] => named.to_vec(),
            some => some.to_vec(),
        };
        if let Some(unknown) = chosen.iter().find(|name| !named.contains(name)) {
            let message = format!("the backup's settings name {named:?}, and not {unknown:?}");
            return Err(Issue::new("/databases", "SelectionNotSupported", message).into());
        }
        let targets = self.targets(&chosen)?;
        named.iter().enumerate().try_fold(plan, |plan, (index, name)| {
            let part = part_name(index, name);
            let Some((name, target)) = targets.get_key_value(name) else { return Ok(plan.skip(part)) };
            let only = BTreeMap::from([(name.clone(), target.clone())]);
            Ok(plan.part(self.part(&part, renamed(self.mongorestore()?, &only), &only)?))
        })
    }

    /// A part that has certain databases: they have to be absent in the target, and be there in the end.
    fn part(
        &self,
        name: &str,
        load: Process,
        targets: &BTreeMap<String, String>,
    ) -> Result<PartRestore, Refusal> {
        // Whoever may look into one database only may look into that.
        let dump = self.mongodump()?;
        let dump = match targets.values().collect::<Vec<_>>().as_slice() {
            [only] => dump.arg(format!("--db={only}")),
            _ => dump,
        };
        Ok(PartRestore::new(name, load)
            .required()
            .contents_by_signs(dump, any_of(targets.values()))
            .stderr_required(targets.values().map(|target| format!("finished restoring {target}."))))
    }

    /// What each of these databases is called in the target.
    fn targets(&self, databases: &[String]) -> Result<BTreeMap<String, String>, Refusal> {
        let renames = &self.request.renames;
        let other = renames.iter().find(|rename| !databases.contains(&rename.source));
        if let Some(Rename { source, .. }) = other {
            let message = format!("{source:?} is not among the databases that are restored: {databases:?}");
            return Err(Issue::new("/renames", "RenameNotSupported", message).into());
        }
        let target = |name: &String| {
            let rename = renames.iter().find(|rename| rename.source == *name);
            rename.map_or_else(|| name.clone(), |rename| rename.target.clone())
        };
        let targets: BTreeMap<_, _> = databases.iter().map(|name| (name.clone(), target(name))).collect();
        if let Some(bad) =
            targets.iter().flat_map(|(name, target)| [name, target]).find(|name| !is_name(name))
        {
            let message = format!("{bad:?} is no name of a database: it is empty, or has '.' or '$' in it");
            return Err(Issue::new("/renames", "RenameNotSupported", message).into());
        }
        if targets.values().collect::<BTreeSet<_>>().len() < targets.len() {
            let message = "two databases would become one: give them different names";
            return Err(Issue::new("/renames", "RenameNotSupported", message).into());
        }
        Ok(targets)
    }

    /// Documents that exist already would be skipped in silence, and the exit code be 0, if it did not stop.
    fn mongorestore(&self) -> Result<Process, Refusal> {
        let load = tool("mongorestore", &self.request.target, &self.settings)?.arg("--stopOnError");
        Ok(load.args((self.request.mode == Mode::Replace).then_some("--drop")))
    }

    fn mongodump(&self) -> Result<Process, Refusal> {
        tool("mongodump", &self.request.target, &self.settings)
    }
}

/// Such a name is one segment of a namespace and no variable of a pattern.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['.', '$', '\0'])
}

/// All collections of a database, as `--nsInclude` and its like name them.
fn pattern(database: &str) -> String {
    format!("{}.*", database.replace('\\', "\\\\").replace('*', "\\*"))
}

fn renamed(load: Process, targets: &BTreeMap<String, String>) -> Process {
    targets.iter().filter(|(name, target)| name != target).fold(load, |load, (name, target)| {
        load.arg(format!("--nsFrom={}", pattern(name))).arg(format!("--nsTo={}", pattern(target)))
    })
}

/// A collection of one of these databases.
fn any_of<'n>(databases: impl Iterator<Item = &'n String>) -> Signs {
    let sign = |name: &String| [DATABASE, &text(name)].concat();
    Signs { any_of: databases.map(sign).collect(), but_not_before: vec![], ..of_list() }
}

/// A collection of any database but the server's own.
fn any_of_users() -> Signs {
    let own = SERVERS_OWN.iter().map(|name| text(name)).collect();
    Signs { any_of: vec![DATABASE.to_vec()], but_not_before: own, ..of_list() }
}

/// In the list at the beginning of an archive, which ends as every block does.
fn of_list() -> Signs {
    Signs {
        any_of: vec![],
        but_not_before: vec![],
        meaning: "collections".to_owned(),
        until: Some(TERMINATOR.to_vec()),
    }
}

/// A text as BSON has it.
fn text(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len() + 1).unwrap_or(u32::MAX);
    [&length.to_le_bytes(), text.as_bytes(), &[0]].concat()
}

#[cfg(test)]
mod tests {
    use db_backup_plugin_sdk::{
        Connection, Effect, Request,
        testing::{argv, restore_of},
    };
    use serde_json::{Value as Json, json};

    use super::*;

    fn request(settings: &Json, databases: &[&str], renames: &[(&str, &str)]) -> RestoreRequest {
        let target = Request::example("mongodb")
            .with_connection(Connection::example("db"))
            .with_bindings(&["username", "password"])
            .with_settings(settings);
        RestoreRequest {
            databases: databases.iter().map(|name| (*name).to_owned()).collect(),
            renames: renames
                .iter()
                .map(|(source, target)| Rename { source: (*source).into(), target: (*target).into() })
                .collect(),
            ..RestoreRequest::example(target)
        }
    }

    const BEGIN: [&str; 5] = [
        "mongorestore",
        "--config=/run/db-backup/config/mongorestore.yaml",
        "--archive",
        "--serverSelectionTimeout=30",
        "--stopOnError",
    ];
    const OWN: [&str; 3] = ["--nsExclude=admin.*", "--nsExclude=config.*", "--nsExclude=local.*"];

    #[test]
    fn a_whole_server_comes_back_without_what_is_the_servers_own() {
        let plan = restore_of::<MongoDb>(&request(&json!({}), &[], &[]));
        let [part] = &plan.parts[..] else { panic!("{plan:?}") };
        assert_eq!((part.part.as_str(), part.required, part.load.effect), ("server", true, Effect::Gradual));
        assert_eq!(argv(&part.load.process), [&BEGIN[..], &OWN].concat());
        let signs = part.signs.as_ref().unwrap();
        assert_eq!(signs.any_of, [b"\x02db\0"]);
        assert_eq!(signs.but_not_before[0], b"\x06\0\0\0admin\0");
        assert_eq!(signs.until.as_deref(), Some(&[0xff; 4][..]));
        let asks = argv(part.contents.as_ref().unwrap());
        assert!(asks[0] == "mongodump" && !asks.iter().any(|word| word.starts_with("--db")), "{asks:?}");
        let oplog = restore_of::<MongoDb>(&request(&json!({"oplog": true, "replicaSet": "r"}), &[], &[]));
        assert!(argv(&oplog.parts[0].load.process).contains(&"--oplogReplay".to_owned()));
        // The primary is asked, which is written to.
        let read = json!({"readPreference": "secondary"});
        assert_eq!(restore_of::<MongoDb>(&request(&read, &[], &[])), plan);
        let replace = RestoreRequest { mode: Mode::Replace, ..request(&json!({}), &[], &[]) };
        assert_eq!(argv(&restore_of::<MongoDb>(&replace).parts[0].load.process)[5], "--drop");
    }

    #[test]
    fn some_databases_come_back_under_other_names_and_have_to_be_there() {
        let plan = restore_of::<MongoDb>(&request(&json!({}), &["shop", "a*\\"], &[("shop", "--x")]));
        let part = &plan.parts[0];
        let chosen = ["--nsInclude=shop.*", "--nsInclude=a\\*\\\\.*", "--nsFrom=shop.*", "--nsTo=--x.*"];
        assert_eq!(argv(&part.load.process), [&BEGIN[..], &OWN, &chosen].concat());
        assert_eq!(part.load.stderr_required, ["finished restoring a*\\.", "finished restoring --x."]);
        let signs = part.signs.as_ref().unwrap();
        assert_eq!(signs.any_of, [&b"\x02db\0\x04\0\0\0a*\\\0"[..], b"\x02db\0\x04\0\0\0--x\0"]);
        let one = restore_of::<MongoDb>(&request(&json!({}), &["shop"], &[]));
        assert_eq!(argv(one.parts[0].contents.as_ref().unwrap()).last().unwrap(), "--db=shop");
    }

    #[test]
    fn named_databases_are_parts_of_their_own() {
        let named = json!({"databases": ["shop", "books"]});
        let plan = restore_of::<MongoDb>(&request(&named, &["books"], &[("books", "shop")]));
        assert_eq!(plan.skipped, ["database-1-shop"]);
        let [part] = &plan.parts[..] else { panic!("{plan:?}") };
        assert_eq!(part.part, "database-2-books");
        assert_eq!(argv(&part.load.process), [&BEGIN[..], &["--nsFrom=books.*", "--nsTo=shop.*"]].concat());
        assert_eq!(part.load.stderr_required, ["finished restoring shop."]);
        let all = restore_of::<MongoDb>(&request(&named, &[], &[("shop", "books"), ("books", "shop")]));
        assert_eq!((all.parts.len(), all.skipped.len()), (2, 0));
    }

    #[test]
    fn what_could_lose_something_in_silence_is_refused() {
        let named = json!({"databases": ["a", "b"]});
        for (settings, databases, renames, path) in [
            // It may hold b as well.
            (json!({}), &[][..], &[("a", "b")][..], "/renames"),
            (json!({}), &["admin"], &[], "/databases"),
            (json!({}), &["a", "b"], &[("a", "b")], "/renames"),
            (json!({}), &["a"], &[("b", "c")], "/renames"),
            (json!({}), &["a.b"], &[], "/renames"),
            (json!({}), &["a"], &[("a", "$x$")], "/renames"),
            (json!({}), &["a"], &[("a", "")], "/renames"),
            (named.clone(), &["c"], &[], "/databases"),
            (named.clone(), &[], &[("c", "d")], "/renames"),
            (named, &[], &[("a", "b")], "/renames"),
        ] {
            let refused = db_backup_plugin_sdk::restore::<MongoDb>(&request(&settings, databases, renames));
            assert_eq!(refused.unwrap_err().issues[0].path, path, "{databases:?} {renames:?}");
        }
    }
}

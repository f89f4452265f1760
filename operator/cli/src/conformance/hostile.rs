//! Foreign text does no harm: whatever a user or a server wrote comes back as one whole argument or fragment, or not as
//! it is.

use std::collections::BTreeMap;

use dbbackup_protocol::{
    contract::{Fact, Request, Server},
    plan::BackupPlan,
};
use serde_json::{Map, Value};

use super::{
    examiner::{Answer, Examiner},
    plans::{self, Placed},
    report::{Id, Report},
    schema::escape,
    settings::Planned,
};

/// What a shell, an option parser, a configuration file, a template or a path would take for its own.
const HOSTILE: [&str; 12] = [
    "$(touch c4n4ry)",
    "`c4n4ry`",
    "c4n4ry; rm -rf / #",
    "' OR \"c4n4ry\"=\\'",
    "--c4n4ry=x",
    "-c4n4ry",
    "c4n4ry\n[client]\nx=y",
    "${IFS}c4n4ry|&<>*?",
    "%(c4n4ry)s%n{0}{{x}}",
    "../../c4n4ry",
    "\u{202e}c4n4ry ä😀",
    "c4n4ry\0x",
];

/// Programs whose `-c` takes a script.
const SHELLS: [&str; 8] = ["sh", "ash", "bash", "dash", "ksh", "zsh", "fish", "busybox"];

/// Puts hostile text into every field of a request that foreign text can reach, one at a time.
pub(super) fn examine(examiner: &mut Examiner<'_>, planned: &[Planned], report: &mut Report) {
    let mut faults = Vec::new();
    let mut tried = 0;
    for (place, request, hostile, own_word) in requests(examiner, planned) {
        tried += 1;
        let about = format!("{place} = {hostile:?}");
        if let Answer::Plan(plan) = examiner.ask(&request, &about) {
            let found = judge(&plan, hostile, own_word.as_ref());
            faults.extend(found.into_iter().map(|fault| format!("{about}: {fault}")));
        }
    }
    report.settle(
        Id::HostileStrings,
        faults,
        format!("{tried} requests, nothing stands where it could do harm"),
    );
}

type Hostile = (String, Request, &'static str, Option<Word>);

/// Place, request, the text, and which word of a list it is.
fn requests(examiner: &Examiner<'_>, planned: &[Planned]) -> Vec<Hostile> {
    let mut requests = Vec::new();
    if let Some(first) = planned.first() {
        for (place, put) in FIELDS {
            for hostile in HOSTILE {
                let mut request = first.request.clone();
                if put(&mut request, hostile) {
                    requests.push((place.to_owned(), request, hostile, None));
                }
            }
        }
    }
    let mut seen = BTreeMap::new();
    for sample in planned {
        for place in texts(&Value::Object(sample.settings.clone())) {
            seen.entry(place.pattern.clone()).or_insert((sample, place));
        }
    }
    for (sample, place) in seen.values() {
        for hostile in HOSTILE {
            let settings = place.replaced(&sample.settings, hostile);
            // What the schema refuses does not get as far as the plugin.
            if let Ok(request) = sample.seed.request(examiner.plugin, &settings) {
                let name = format!("settings{}", place.pattern);
                requests.push((name, request, hostile, place.word(&settings)));
            }
        }
    }
    requests
}

type Put = fn(&mut Request, &str) -> bool;

/// Fields apart from settings; false: this request does not have it.
const FIELDS: [(&str, Put); 7] = [
    ("namespace", |request, text| put(Some(&mut request.namespace), text)),
    ("name", |request, text| put(Some(&mut request.name), text)),
    ("connection.host", |request, text| put(request.connection.as_mut().map(|c| &mut c.host), text)),
    ("connection.database", |request, text| {
        put(request.connection.as_mut().map(|c| c.database.get_or_insert_default()), text)
    }),
    ("server.version", |request, text| {
        request.server = Some(Server { version: text.to_owned(), facts: vec![] });
        true
    }),
    ("a fact of the server", |request, text| {
        let fact = Fact { key: "no-such-fact".to_owned(), value: text.to_owned() };
        request.server = Some(Server { version: "1.2.3".to_owned(), facts: vec![fact] });
        true
    }),
    ("a fact", |request, text| {
        request.facts.push(Fact { key: "no-such-fact".to_owned(), value: text.to_owned() });
        true
    }),
];

fn put(field: Option<&mut String>, text: &str) -> bool {
    field.map(|field| text.clone_into(field)).is_some()
}

/// A text in settings: a value, or a name where names are free.
struct Place {
    /// Where, with `*` for items of lists.
    pattern: String,
    /// Where exactly.
    path: Vec<String>,
    is_name: bool,
}

impl Place {
    fn replaced(&self, settings: &Map<String, Value>, text: &str) -> Map<String, Value> {
        let mut settings = settings.clone();
        let Some((last, parents)) = self.path.split_last() else { return settings };
        let Some((first, inner)) = self.path.split_first() else { return settings };
        if parents.is_empty() && self.is_name {
            return settings;
        }
        let inner = if self.is_name { inner.split_last().map_or(inner, |(_, inner)| inner) } else { inner };
        let target = inner.iter().try_fold(settings.get_mut(first), |target, segment| match target {
            Some(Value::Array(items)) => Some(segment.parse::<usize>().ok().and_then(|at| items.get_mut(at))),
            Some(Value::Object(members)) => Some(members.get_mut(segment)),
            _ => None,
        });
        match (target.flatten(), self.is_name) {
            (Some(Value::Object(members)), true) => {
                if let Some(value) = members.remove(last) {
                    members.insert(text.to_owned(), value);
                }
            }
            (Some(target), false) => *target = text.into(),
            _ => {}
        }
        settings
    }

    /// None: it is no item of a list.
    fn word(&self, settings: &Map<String, Value>) -> Option<Word> {
        let [list, at] = self.path.as_slice() else { return None };
        let program = settings.get(list)?.get(0)?.as_str()?.to_owned();
        Some(Word { program, at: at.parse().ok()? })
    }
}

/// One of a list of words of the user's. Where the list is the command to run, all of it is the user's own choice.
struct Word {
    /// The first one.
    program: String,
    at: usize,
}

impl Word {
    fn is_argument(&self, at: usize, argv: &[String]) -> bool {
        self.at == at && argv.first() == Some(&self.program)
    }
}

/// All texts of a document.
fn texts(settings: &Value) -> Vec<Place> {
    fn walk(value: &Value, pattern: &str, path: &[String], found: &mut Vec<Place>) {
        let below = |segment: &str| [path, &[segment.to_owned()]].concat();
        match value {
            Value::String(_) => {
                found.push(Place { pattern: pattern.to_owned(), path: path.to_vec(), is_name: false });
            }
            Value::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    walk(item, &format!("{pattern}/*"), &below(&at.to_string()), found);
                }
            }
            Value::Object(members) => {
                for (name, member) in members {
                    let pattern = format!("{pattern}/{}", escape(name));
                    found.push(Place {
                        pattern: format!("{pattern} (its name)"),
                        path: below(name),
                        is_name: true,
                    });
                    walk(member, &pattern, &below(name), found);
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(settings, "", &[], &mut found);
    found
}

/// Where the text stands and should not.
fn judge(plan: &BackupPlan, hostile: &str, own_word: Option<&Word>) -> Vec<String> {
    let mut faults = Vec::new();
    for placed in plans::processes(plan) {
        let argv = placed.argv();
        let found = in_arguments(&argv, hostile)
            .filter(|(at, _)| !own_word.is_some_and(|word| word.is_argument(*at, &argv)));
        faults.extend(found.map(|(_, fault)| format!("{} {fault}", placed.at)));
        faults.extend(in_fragments(&placed, hostile));
    }
    for (part, command) in plans::restore_commands(plan) {
        if command.contains(hostile) {
            faults.push(format!("the restore command of part {} repeats it, for a human's shell", part.name));
        }
    }
    faults
}

/// Which argument, and what is wrong with it.
fn in_arguments<'a>(argv: &'a [String], hostile: &'a str) -> impl Iterator<Item = (usize, String)> + 'a {
    let options_end = argv.iter().position(|argument| argument == "--").unwrap_or(argv.len());
    let containing = argv.iter().enumerate().filter(move |(_, argument)| argument.contains(hostile));
    containing.filter_map(move |(at, argument)| {
        let before = at.checked_sub(1).and_then(|before| argv.get(before)).map(String::as_str);
        if at == 0 {
            return Some((at, "lets it choose the program".to_owned()));
        }
        if is_shell(argv) && before.is_some_and(takes_script) {
            let fault =
                "puts it into a shell's script; give it as an argument of its own, or in the environment";
            return Some((at, fault.to_owned()));
        }
        let fault = match argument.strip_suffix(hostile) {
            Some("") if !hostile.starts_with('-') || at > options_end => return None,
            Some("") if before.is_some_and(takes_value) => return None,
            Some("") => {
                format!("argument {at} could be read as an option: put it behind a literal -- or --option=")
            }
            Some(prefix) if is_option(prefix) => return None,
            _ => format!("argument {at} mixes it with other text: {argument:?}"),
        };
        Some((at, fault))
    })
}

fn in_fragments(placed: &Placed<'_>, hostile: &str) -> Vec<String> {
    let names = placed.names().filter(|name| name.contains(hostile));
    let names = names.map(|_| format!("{} names a variable or a file by it", placed.at));
    let fragments =
        placed.fragments().into_iter().filter(|(_, text)| text.contains(hostile) && *text != hostile);
    let mixed = fragments.filter_map(|(at, text)| {
        // How the format of a file is escaped only the plugin knows, but none stands a foreign line.
        (!at.contains(" file ") || hostile.contains('\n')).then(|| {
            format!("{at} mixes it with other text: {text:?}; make it a fragment of its own, or escape it")
        })
    });
    names.chain(mixed).collect()
}

fn is_shell(argv: &[String]) -> bool {
    let program = argv.first().and_then(|program| program.rsplit('/').next());
    program.is_some_and(|program| SHELLS.contains(&program))
}

/// `-c`, also as the last of several letters.
fn takes_script(argument: &str) -> bool {
    argument.starts_with('-') && !argument.starts_with("--") && argument.ends_with('c')
}

/// `-h` or `--host`, which may be followed by their value.
fn takes_value(argument: &str) -> bool {
    argument.starts_with('-') && argument != "--" && !argument.contains('=')
}

/// `--option=`, `--option=key=`, `-o`, `key=`: what follows is its value, whatever it holds.
fn is_option(prefix: &str) -> bool {
    let word =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    match prefix.strip_suffix('=') {
        Some(names) => names.trim_start_matches('-').split('=').all(word),
        None => prefix.len() == 2 && prefix.starts_with('-') && word(prefix.trim_start_matches('-')),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn argv(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    #[rstest]
    #[case::whole("$x", &["dump", "$x"], None)]
    #[case::value("$x", &["dump", "--database=$x"], None)]
    #[case::variable("$x", &["psql", "--set=name=$x"], None)]
    #[case::short("$x", &["dump", "-d$x"], None)]
    #[case::key("$x", &["dd", "of=$x"], None)]
    #[case::value_apart("-x", &["dump", "-h", "-x"], None)]
    #[case::behind_dashes("-x", &["dump", "--", "a", "-x"], None)]
    #[case::shell_argument("$x", &["sh", "-c", "dump \"$1\"", "sh", "$x"], None)]
    #[case::loose("-x", &["dump", "all", "-x"], Some("could be read as an option"))]
    #[case::loose_behind_an_option("-x", &["dump", "--jobs=1", "-x"], Some("could be read as an option"))]
    #[case::program("$x", &["$x"], Some("choose the program"))]
    #[case::script("$x", &["/bin/sh", "-c", "$x"], Some("shell's script"))]
    #[case::in_script("$x", &["bash", "-euc", "dump '$x'"], Some("shell's script"))]
    #[case::query("$x", &["mysql", "-e", "SELECT '$x'"], Some("mixes it"))]
    #[case::sentence("$x", &["dump", "dump of $x"], Some("mixes it"))]
    fn where_an_argument_may_hold_it(
        #[case] hostile: &str,
        #[case] words: &[&str],
        #[case] expected: Option<&str>,
    ) {
        let argv = argv(words);
        let found: Vec<_> = in_arguments(&argv, hostile).map(|(_, fault)| fault).collect();
        match expected {
            None => assert_eq!(found, [""; 0]),
            Some(expected) => assert!(found.len() == 1 && found[0].contains(expected), "{found:?}"),
        }
    }

    #[test]
    fn a_command_that_the_user_wrote_is_the_users_own() {
        let word = Word { program: "sh".into(), at: 2 };
        assert!(word.is_argument(2, &argv(&["sh", "-c", "$x"])));
        assert!(
            !word.is_argument(1, &argv(&["sh", "$x"])) && !word.is_argument(2, &argv(&["dump", "-c", "$x"]))
        );
    }

    #[test]
    fn every_text_of_settings_is_a_place() {
        let settings = json!({"a": "x", "b": {"c/d": ["y", {"e": "z"}]}, "f": 1});
        let found = texts(&settings);
        let patterns: Vec<_> = found.iter().map(|place| place.pattern.as_str()).collect();
        assert_eq!(
            patterns,
            [
                "/a (its name)",
                "/a",
                "/b (its name)",
                "/b/c~1d (its name)",
                "/b/c~1d/*",
                "/b/c~1d/*/e (its name)",
                "/b/c~1d/*/e",
                "/f (its name)"
            ]
        );
        let settings = settings.as_object().unwrap();
        let replaced: Vec<_> =
            found.iter().map(|place| Value::Object(place.replaced(settings, "!"))).collect();
        assert_eq!(replaced[0], Value::Object(settings.clone()), "the schema's own names stay");
        assert_eq!(replaced[1]["a"], "!");
        assert_eq!(replaced[3]["b"]["!"], json!(["y", {"e": "z"}]));
        assert_eq!(replaced[4]["b"]["c/d"][0], "!");
        assert_eq!(replaced[5]["b"]["c/d"][1], json!({"!": "z"}));
        assert_eq!(replaced[6]["b"]["c/d"][1]["e"], "!");
    }
}

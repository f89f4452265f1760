//! What is loaded next: a pure function of what is loaded, what the files hold, and what became of their contents.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::Failure;
use super::files::Content;

/// A plugin that is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry<P> {
    pub(super) plugin: P,
    /// The files that hold it, or held it last.
    pub(super) files: BTreeSet<PathBuf>,
    /// Its file holds something else now that cannot be used: why the last good one stays.
    pub(super) kept: Option<String>,
}

/// What became of a file's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome<P> {
    /// It is a plugin.
    Good(P),
    /// It cannot be used. Besides what its file held before, these digests stay loaded in its place.
    Bad { why: String, instead_of: BTreeSet<String> },
}

/// Content that is neither good nor bad has not been looked at yet: its file counts as what it was.
pub(super) fn next<P: Clone>(
    old: &[Entry<P>],
    files: &BTreeMap<PathBuf, Content>,
    outcomes: &BTreeMap<String, Outcome<P>>,
    digest: impl Fn(&P) -> &str,
) -> (Vec<Entry<P>>, Vec<Failure>) {
    let mut entries: Vec<Entry<P>> = Vec::new();
    let mut failures = Vec::new();
    let mut add = |plugin: &P, file: &Path, kept: Option<String>| {
        match entries.iter_mut().find(|entry| digest(&entry.plugin) == digest(plugin)) {
            Some(entry) => {
                entry.files.insert(file.to_owned());
                // One file that holds it is enough.
                entry.kept = entry.kept.take().filter(|_| kept.is_some());
            }
            None => {
                entries.push(Entry { plugin: plugin.clone(), files: [file.to_owned()].into(), kept });
            }
        }
    };
    for (file, content) in files {
        let was = || old.iter().filter(|entry| entry.files.contains(file));
        let (why, instead_of) = match content {
            Err(why) => (why, None),
            Ok(content) => match outcomes.get(content) {
                Some(Outcome::Good(plugin)) => {
                    add(plugin, file, None);
                    continue;
                }
                Some(Outcome::Bad { why, instead_of }) => (why, Some(instead_of)),
                None => {
                    was().for_each(|entry| add(&entry.plugin, file, entry.kept.clone()));
                    continue;
                }
            },
        };
        failures.push(Failure { file: file.clone(), error: why.clone() });
        let replaced =
            |entry: &&Entry<P>| instead_of.is_some_and(|digests| digests.contains(digest(&entry.plugin)));
        for entry in old.iter().filter(|entry| entry.files.contains(file) || replaced(entry)) {
            let kept = format!("{} holds another one now, which is not used: {why}", file.display());
            add(&entry.plugin, file, Some(kept));
        }
    }
    (entries, failures)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `file=content`, separated by blanks; `?` is a file that cannot be read.
    fn files(text: &str) -> BTreeMap<PathBuf, Content> {
        text.split_whitespace()
            .map(|pair| pair.split_once('=').unwrap())
            .map(|(file, content)| {
                let content =
                    if content == "?" { Err("unreadable".to_owned()) } else { Ok(content.to_owned()) };
                (file.into(), content)
            })
            .collect()
    }

    /// Contents in capital letters are plugins; `b…` is bad; `r…` is refused in favour of `A`; others are not known yet.
    fn outcomes() -> BTreeMap<String, Outcome<String>> {
        let bad = |instead_of: &[&str]| Outcome::Bad {
            why: "broken".to_owned(),
            instead_of: instead_of.iter().map(|digest| (*digest).to_owned()).collect(),
        };
        let good = |name: &str| (name.to_owned(), Outcome::Good(name.to_owned()));
        [good("A"), good("B"), good("C"), ("b".into(), bad(&[])), ("r".into(), bad(&["A"]))].into()
    }

    fn shown((entries, failures): &(Vec<Entry<String>>, Vec<Failure>)) -> String {
        let entry = |entry: &Entry<String>| {
            let files: Vec<_> = entry.files.iter().map(|file| file.display().to_string()).collect();
            format!("{}:{}{}", entry.plugin, files.join("+"), if entry.kept.is_some() { "!" } else { "" })
        };
        let entries: Vec<_> = entries.iter().map(entry).collect();
        let failures: Vec<_> = failures.iter().map(|failure| failure.file.display().to_string()).collect();
        format!("{} | {}", entries.join(" "), failures.join(" "))
    }

    /// A history of the files, and what is loaded (`!`: kept against its file) and failed after each step.
    #[test]
    fn the_last_good_one_stays_until_its_file_goes() {
        let cases: [&[(&str, &str)]; 12] = [
            // Files come, the same content twice, and go.
            &[("x=A", "A:x | "), ("x=A y=B z=A", "A:x+z B:y | "), ("z=A", "A:z | "), ("", " | ")],
            // A new version, and the next.
            &[("x=A", "A:x | "), ("x=B", "B:x | "), ("x=C", "C:x | ")],
            // A broken version; then it is mended.
            &[("x=A", "A:x | "), ("x=b", "A:x! | x"), ("x=b", "A:x! | x"), ("x=C", "C:x | ")],
            // A broken version; then the old one comes back.
            &[("x=A", "A:x | "), ("x=b", "A:x! | x"), ("x=A", "A:x | ")],
            // A broken version; then the file goes.
            &[("x=A", "A:x | "), ("x=b", "A:x! | x"), ("", " | ")],
            // Broken from the beginning.
            &[("x=b y=B", "B:y | x"), ("x=A y=B", "A:x B:y | ")],
            // A file that cannot be read for a while unloads nothing.
            &[("x=A", "A:x | "), ("x=?", "A:x! | x"), ("x=A", "A:x | ")],
            // Not looked at yet: as before.
            &[("x=A", "A:x | "), ("x=new y=new", "A:x | "), ("x=B y=B", "B:x+y | ")],
            // A version that was refused comes under another name, and the old file has gone.
            &[("x=A", "A:x | "), ("y=r", "A:y! | y"), ("y=r", "A:y! | y"), ("y=B", "B:y | ")],
            // The same in a file that is still there: nothing is kept against it.
            &[("x=A", "A:x | "), ("x=A y=r", "A:x+y | y")],
            // A deletion and a broken new file are just that: nobody can say that they belong together.
            &[("x=A", "A:x | "), ("y=b", " | y")],
            // Two files change places.
            &[("x=A y=B", "A:x B:y | "), ("x=B y=A", "B:x A:y | ")],
        ];
        for history in cases {
            let mut loaded = (Vec::new(), Vec::new());
            for (now, expected) in history {
                loaded = next(&loaded.0, &files(now), &outcomes(), String::as_str);
                assert_eq!(shown(&loaded), *expected, "{history:?} at {now:?}");
            }
        }
    }

    #[test]
    fn what_is_kept_says_why() {
        let (old, _) = next(&[], &files("x=A"), &outcomes(), String::as_str);
        let (new, failures) = next(&old, &files("x=b"), &outcomes(), String::as_str);
        let expected = "x holds another one now, which is not used: broken";
        assert_eq!(new[0].kept.as_deref(), Some(expected));
        assert_eq!(failures, [Failure { file: "x".into(), error: "broken".into() }]);
    }
}

//! Every text of a plan, and what kind of place it stands in.

use dbbackup_protocol::plan::{
    ArgumentPiece, BackupPlan, ConfigFile, EnvVar, Fragment, Part, PartSource, PerItem, Process,
};

/// A process of a plan and where it is, for faults.
pub(super) struct Placed<'a> {
    pub at: String,
    pub process: &'a Process,
}

impl Placed<'_> {
    /// Its arguments as text, an item as `{item}`.
    pub(super) fn argv(&self) -> Vec<String> {
        let text = |piece: &ArgumentPiece| match piece {
            ArgumentPiece::Text(text) => text.clone(),
            ArgumentPiece::Item => "{item}".to_owned(),
        };
        self.process.argv.iter().map(|argument| argument.pieces.iter().map(text).collect()).collect()
    }

    /// The texts of its environment's and its files' values, each one whole fragment.
    pub(super) fn fragments(&self) -> Vec<(String, &str)> {
        let Process { argv: _, env, files } = self.process;
        let env = env.iter().map(|EnvVar { name, value }| (format!("{} env {name}", self.at), value));
        let files =
            files.iter().map(|ConfigFile { name, content }| (format!("{} file {name}", self.at), content));
        env.chain(files)
            .flat_map(|(at, fragments)| {
                fragments.iter().filter_map(move |fragment| match fragment {
                    Fragment::Text(text) => Some((at.clone(), text.as_str())),
                    Fragment::Secret(_) | Fragment::Item => None,
                })
            })
            .collect()
    }

    /// Names of its variables and files.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let Process { argv: _, env, files } = self.process;
        env.iter().map(|variable| variable.name.as_str()).chain(files.iter().map(|file| file.name.as_str()))
    }
}

/// All processes, in the plan's order.
pub(super) fn processes(plan: &BackupPlan) -> Vec<Placed<'_>> {
    let checks = plan.checks.iter().map(|check| (format!("check {}", check.name), &check.process));
    let listings = plan.parts.iter().filter_map(|source| match source {
        PartSource::One(_) => None,
        PartSource::PerItem(PerItem { items, separator: _, each }) => {
            Some((format!("items of {}", each.name), items))
        }
    });
    let parts = parts(plan).into_iter().flat_map(|part| {
        let verifier = part.completion.verifier.as_ref();
        let verifier = verifier.map(|verifier| (format!("verifier of {}", part.name), verifier));
        [Some((format!("part {}", part.name), &part.process)), verifier].into_iter().flatten()
    });
    checks.chain(listings).chain(parts).map(|(at, process)| Placed { at, process }).collect()
}

/// All parts, in the plan's order.
pub(super) fn parts(plan: &BackupPlan) -> Vec<&Part> {
    fn part(source: &PartSource) -> &Part {
        match source {
            PartSource::One(part) => part,
            PartSource::PerItem(PerItem { items: _, separator: _, each }) => each,
        }
    }
    plan.parts.iter().map(part).collect()
}

/// For a human's shell: nothing of a user's or a server's belongs into them. What else a plugin names (parts, checks, images)
/// the operator's rules keep harmless.
pub(super) fn restore_commands(plan: &BackupPlan) -> impl Iterator<Item = (&Part, &str)> {
    parts(plan).into_iter().filter_map(|part| Some((part, part.restore_command.as_deref()?)))
}

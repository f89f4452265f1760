//! Rules for the plan of a restore. Its items come out of the storage and are as hostile as a server's.

use std::collections::BTreeSet;

use dbbackup_protocol::{
    contract::Description,
    restore::{Input, Listing, Load, PartRestore, RestorePlan, Signs, Step},
};

use super::{
    Empty, Items, MAX_COUNT, MAX_SCRATCH_MEBIBYTES, NAME_RULE, Police, Rule, Violation, is_name, is_relative,
};

/// Everything that is wrong with the plan of a restore; as [`super::check`].
pub fn check_restore(plan: &RestorePlan, description: &Description, supplied: &[String]) -> Vec<Violation> {
    let mut police = Police::new(description, supplied);
    let RestorePlan { image, existing, parts, skipped, scratch_mebibytes } = plan;
    if !police.size(&serde_json::to_vec(plan)) {
        return police.violations;
    }
    police.image(image.as_deref(), description);
    let scratch = scratch_mebibytes.unwrap_or_default();
    police.require(scratch <= MAX_SCRATCH_MEBIBYTES, Rule::Scratch, "/scratch_mebibytes", || {
        format!("at most {MAX_SCRATCH_MEBIBYTES}")
    });
    if let Some(Listing { items, separator: _ }) = existing {
        police.process(items, "/existing/items", Items::None);
    }
    police.require(!parts.is_empty(), Rule::NoPart, "/parts", || "a restore has at least one part".into());
    for (count, pointer) in [(parts.len(), "/parts"), (skipped.len(), "/skipped")] {
        police.require(count <= MAX_COUNT, Rule::Count, pointer, || {
            format!("there are {count}, at most {MAX_COUNT} are allowed")
        });
    }
    let mut names = BTreeSet::new();
    for (at, part) in parts.iter().enumerate() {
        let pointer = format!("/parts/{at}");
        police.part_name(&part.part, &format!("{pointer}/part"), &mut names);
        police.part_restore(part, &pointer);
    }
    for (at, name) in skipped.iter().enumerate() {
        police.part_name(name, &format!("/skipped/{at}"), &mut names);
    }
    police.violations
}

impl Police<'_> {
    fn part_name<'n>(&mut self, name: &'n str, pointer: &str, names: &mut BTreeSet<&'n str>) {
        self.require(is_name(name), Rule::PartName, pointer, || NAME_RULE.into());
        self.require(names.insert(name), Rule::PartNameTwice, pointer, || {
            "the plan says already what is done with parts of this name".into()
        });
    }

    fn part_restore(&mut self, part: &PartRestore, pointer: &str) {
        let PartRestore { part: _, required: _, contents, signs, create, clear, load, finish } = part;
        if let Some(process) = contents {
            self.process(process, &format!("{pointer}/contents"), Items::Some);
        }
        if let Some(signs) = signs {
            self.signs(signs, &format!("{pointer}/signs"));
        }
        for (field, steps) in [("create", create), ("clear", clear), ("finish", finish)] {
            self.require(steps.len() <= MAX_COUNT, Rule::Count, &format!("{pointer}/{field}"), || {
                format!("there are {}, at most {MAX_COUNT} are allowed", steps.len())
            });
            for (at, Step { purpose, process, exit_codes }) in steps.iter().enumerate() {
                let place = format!("{pointer}/{field}/{at}");
                self.sentence(purpose, &format!("{place}/purpose"));
                self.process(process, &format!("{place}/process"), Items::Some);
                self.exit_codes(exit_codes, &format!("{place}/exit_codes"));
            }
        }
        let Load { process, input, effect: _, exit_codes, stderr_required } = load;
        self.process(process, &format!("{pointer}/load/process"), Items::Some);
        self.exit_codes(exit_codes, &format!("{pointer}/load/exit_codes"));
        for (at, text) in stderr_required.iter().enumerate() {
            let place = format!("{pointer}/load/stderr_required/{at}");
            self.mark(text.as_bytes(), &place, Empty::Refused);
            self.no_nul(text, &place);
        }
        if let Input::File(path) | Input::Directory(path) = input {
            self.require(is_relative(path), Rule::OutputPath, &format!("{pointer}/load/input"), || {
                "a path under scratch-dir: relative, at most 255 bytes, without empty, '.' or '..' segments"
                    .into()
            });
        }
    }

    fn signs(&mut self, Signs { any_of, but_not_before, meaning, until }: &Signs, pointer: &str) {
        self.require(!any_of.is_empty(), Rule::Mark, &format!("{pointer}/any_of"), || {
            "without a sign everything looks empty".into()
        });
        for (field, marks) in [("any_of", any_of), ("but_not_before", but_not_before)] {
            for (at, bytes) in marks.iter().enumerate() {
                self.mark(bytes, &format!("{pointer}/{field}/{at}"), Empty::Refused);
            }
        }
        if let Some(bytes) = until {
            self.mark(bytes, &format!("{pointer}/until"), Empty::Refused);
        }
        self.sentence(meaning, &format!("{pointer}/meaning"));
    }
}

#[cfg(test)]
mod tests {
    use dbbackup_protocol::{
        plan::{Argument, ArgumentPiece, EnvVar, Fragment, Process, Separator},
        restore::Effect,
    };

    use super::*;

    fn argument(piece: ArgumentPiece) -> Argument {
        Argument { pieces: vec![piece] }
    }

    fn process(words: &[&str]) -> Process {
        let argv = words.iter().map(|word| argument(ArgumentPiece::Text((*word).into()))).collect();
        Process { argv, env: vec![], files: vec![] }
    }

    fn step() -> Step {
        Step { purpose: "create it".into(), process: process(&["create"]), exit_codes: vec![0] }
    }

    fn plan() -> RestorePlan {
        let item = EnvVar { name: "NAME".into(), value: vec![Fragment::Item] };
        let load = Process { env: vec![item], ..process(&["load"]) };
        RestorePlan {
            image: None,
            existing: Some(Listing { items: process(&["list"]), separator: Separator::Nul }),
            parts: vec![PartRestore {
                part: "database".into(),
                required: true,
                contents: Some(process(&["look"])),
                create: vec![step()],
                clear: vec![step()],
                signs: Some(Signs {
                    any_of: vec![vec![2]],
                    but_not_before: vec![],
                    meaning: "things".into(),
                    until: None,
                }),
                load: Load {
                    process: load,
                    input: Input::Stdin,
                    effect: Effect::AtEnd,
                    exit_codes: vec![0],
                    stderr_required: vec!["done".into()],
                },
                finish: vec![step()],
            }],
            skipped: vec!["globals".into()],
            scratch_mebibytes: Some(64),
        }
    }

    fn description() -> Description {
        Description {
            id: "x".into(),
            version: "1.0.0".into(),
            summary: "x".into(),
            database_types: vec!["x".into()],
            default_port: None,
            bindings: vec![],
            images: vec![],
            settings_schema: "{}".into(),
            labels: vec![],
        }
    }

    #[test]
    fn every_place_of_a_restore_is_looked_at() {
        type Break = fn(&mut RestorePlan);
        let with_item = |words: &[&str]| {
            let mut process = process(words);
            process.argv.push(argument(ArgumentPiece::Item));
            process
        };
        assert_eq!(check_restore(&plan(), &description(), &[]), []);
        let mut behind = plan();
        behind.parts[0].create[0].process = with_item(&["createdb", "--"]);
        assert_eq!(check_restore(&behind, &description(), &[]), [], "behind -- an item may stand");
        let cases: [(Rule, &str, Break); 18] = [
            (Rule::NoPart, "/parts", |plan| plan.parts.clear()),
            (Rule::Image, "/image", |plan| plan.image = Some("none".into())),
            (Rule::Scratch, "/scratch_mebibytes", |plan| plan.scratch_mebibytes = Some(u32::MAX)),
            (Rule::ItemScope, "/existing/items/env/0/value/0", |plan| {
                plan.existing.as_mut().unwrap().items.env =
                    vec![EnvVar { name: "A".into(), value: vec![Fragment::Item] }];
            }),
            (Rule::PartName, "/parts/0/part", |plan| plan.parts[0].part = "A b".into()),
            (Rule::PartNameTwice, "/skipped/0", |plan| plan.skipped = vec!["database".into()]),
            (Rule::Program, "/parts/0/contents/argv/0", |plan| plan.parts[0].contents = Some(process(&[]))),
            (Rule::Text, "/parts/0/create/0/purpose", |plan| plan.parts[0].create[0].purpose.clear()),
            (Rule::ExitCodes, "/parts/0/clear/0/exit_codes", |plan| {
                plan.parts[0].clear[0].exit_codes.clear();
            }),
            (Rule::ExitCodes, "/parts/0/load/exit_codes", |plan| plan.parts[0].load.exit_codes = vec![-1]),
            (Rule::Mark, "/parts/0/signs/any_of", |plan| {
                plan.parts[0].signs.as_mut().unwrap().any_of.clear();
            }),
            (Rule::Mark, "/parts/0/signs/until", |plan| {
                plan.parts[0].signs.as_mut().unwrap().until = Some(vec![]);
            }),
            (Rule::Text, "/parts/0/signs/meaning", |plan| {
                plan.parts[0].signs.as_mut().unwrap().meaning.clear();
            }),
            (Rule::Mark, "/parts/0/load/stderr_required/1", |plan| {
                plan.parts[0].load.stderr_required.push(String::new());
            }),
            (Rule::EnvName, "/parts/0/finish/0/process/env/0/name", |plan| {
                plan.parts[0].finish[0].process.env =
                    vec![EnvVar { name: "LD_PRELOAD".into(), value: vec![] }];
            }),
            (Rule::OutputPath, "/parts/0/load/input", |plan| {
                plan.parts[0].load.input = Input::File("../x".into());
            }),
            (Rule::ItemPosition, "/parts/0/load/process/argv/1/pieces/0", |plan| {
                plan.parts[0].load.process.argv.push(argument(ArgumentPiece::Item));
            }),
            (Rule::BindingDeclared, "/parts/0/load/process/env/0/value/0/secret/binding", |plan| {
                plan.parts[0].load.process.env[0].value =
                    vec![Fragment::Secret(dbbackup_protocol::plan::SecretRef {
                        binding: "other".into(),
                        encoding: dbbackup_protocol::plan::Encoding::Raw,
                    })];
            }),
        ];
        for (rule, pointer, break_it) in cases {
            let mut plan = plan();
            break_it(&mut plan);
            let found = check_restore(&plan, &description(), &[]);
            let found: Vec<_> = found.iter().map(|it| (it.rule, it.pointer.as_str())).collect();
            assert_eq!(found, [(rule, pointer)]);
        }
    }
}

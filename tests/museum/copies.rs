//! What authors are given as a copy is the contract.

use std::fs;

use crate::{entries, name, repository};

#[test]
fn the_examples_have_the_contract_as_it_is() {
    let contract = entries(&repository("wit"));
    for example in entries(&repository("plugins/examples")).into_iter().filter(|path| path.is_dir()) {
        let copy = example.join("wit/deps/db-backup-plugin");
        let names: Vec<_> = entries(&copy).iter().map(|path| name(path)).collect();
        assert_eq!(names, contract.iter().map(|path| name(path)).collect::<Vec<_>>(), "{}", copy.display());
        for file in &contract {
            let same = fs::read(file).unwrap() == fs::read(copy.join(name(file))).unwrap();
            assert!(same, "{} differs: cp wit/*.wit {}", name(file), copy.display());
        }
    }
}

//! Lists the files that `plugin new` writes, so that a new one cannot be forgotten: the templates, the contract, and the
//! SDK, of which Rust projects get a copy.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
};

/// Name of the list, and its folder relative to this crate.
const LISTS: [(&str, &str); 3] =
    [("TEMPLATES", "templates"), ("CONTRACT", "../../wit"), ("SDK", "../../plugins/sdk/src")];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let lists: Vec<_> =
        LISTS.iter().map(|(name, folder)| code(name, &root.join(folder))).collect::<Result<_, _>>()?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join("embedded.rs"), lists.concat())?;
    Ok(())
}

/// A list of all files under a folder, as Rust.
fn code(name: &str, folder: &Path) -> Result<String, Box<dyn Error>> {
    let folder = folder.canonicalize()?;
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files = Vec::new();
    list(&folder, &mut files)?;
    files.sort();
    let entry = |file: &PathBuf| -> Result<String, Box<dyn Error>> {
        let path = file.strip_prefix(&folder)?.display().to_string();
        Ok(format!("    ({path:?}, include_str!({:?})),\n", file.display().to_string()))
    };
    let entries: Vec<_> = files.iter().map(entry).collect::<Result<_, _>>()?;
    let entries = entries.concat();
    Ok(format!("/// Path and content.\npub(crate) const {name}: &[(&str, &str)] = &[\n{entries}];\n"))
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { list(&path, files)? } else { files.push(path) }
    }
    Ok(())
}

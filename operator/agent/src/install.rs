//! `agent install <dir>`: the agent copies itself to where the client container starts it from.

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

/// Why the agent could not be installed.
#[derive(Debug, thiserror::Error)]
#[error("could not copy the agent {from} to {to}: {source}")]
pub struct InstallError {
    from: String,
    to: String,
    source: io::Error,
}

/// Copies `binary` to `<dir>/agent`, executable for everybody: the client's image may run as any user.
/// The name appears only when the whole file is there.
///
/// # Errors
/// [`InstallError`] names both files.
pub fn install(binary: &Path, dir: &Path) -> Result<(), InstallError> {
    let target = dir.join("agent");
    copy(binary, &dir.join(".agent.new"), &target).map_err(|source| InstallError {
        from: binary.display().to_string(),
        to: target.display().to_string(),
        source,
    })
}

fn copy(binary: &Path, staged: &Path, target: &Path) -> io::Result<()> {
    let mut source = fs::File::open(binary)?;
    // A restarted container finds what its predecessor left half done.
    match fs::remove_file(staged) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut copy = OpenOptions::new().write(true).create_new(true).mode(0o755).open(staged)?;
    io::copy(&mut source, &mut copy)?;
    copy.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    copy.sync_all()?;
    fs::rename(staged, target)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_copy_is_whole_executable_and_replaces_an_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let binary = dir.path().join("source");
        fs::write(&binary, "new").unwrap();
        let into = dir.path().join("volume");
        fs::create_dir(&into).unwrap();
        fs::write(into.join("agent"), "old").unwrap();
        fs::write(into.join(".agent.new"), "half").unwrap();
        install(&binary, &into).unwrap();
        assert_eq!(fs::read(into.join("agent")).unwrap(), b"new");
        assert_eq!(fs::metadata(into.join("agent")).unwrap().permissions().mode() & 0o777, 0o755);
        assert_eq!(fs::read_dir(&into).unwrap().count(), 1);
    }

    #[test]
    fn an_error_names_both_files() {
        let error = install(Path::new("/nowhere/agent"), Path::new("/elsewhere")).unwrap_err().to_string();
        assert!(error.contains("/nowhere/agent") && error.contains("/elsewhere/agent"), "{error}");
    }
}

//! The link with which somebody becomes the operator, until somebody has. Its place
//! is a file beside the operator's key, readable by nobody else: a log goes to more
//! people than may run the server. A terminal is looked at by whoever started it.

use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::Failure;

const FILE: &str = "operator.link";

/// Tells of the link; without one, takes away what an earlier start told.
pub(super) fn tell(data: &Path, link: Option<&str>) -> Result<(), Failure> {
    let file = data.join(FILE);
    let failed = |error: io::Error| Failure(format!("{}: {error}", file.display()));
    let Some(link) = link else {
        return match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
            _ => Ok(()),
        };
    };
    write(&file, link).map_err(failed)?;
    tracing::info!(
        file = %file.display(),
        "nobody is its operator yet: open the link in this file, once, within 24 hours"
    );
    if io::stdout().is_terminal() {
        // Whoever closed standard output does not want to hear it.
        let _closed = writeln!(io::stdout(), "Sign in as the operator: {link}");
    }
    Ok(())
}

/// Aside and then put there: whoever may read what was there before may not read
/// this.
fn write(file: &Path, link: &str) -> io::Result<()> {
    let aside = file.with_extension(format!("{}.new", std::process::id()));
    let mut open = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    open.write_all(format!("{link}\n").as_bytes())?;
    fs::rename(&aside, file)
}

//! A sandbox for one command: the engine and the limits of a server as it is
//! installed, nothing kept.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::Stop;
use crate::clock::random;
use crate::domain::plugin::Owner;
use crate::sandbox::{Admitted, MAX_COMPONENT, Rejected, Sandbox, SandboxSettings};

/// A sandbox and the component that was let in.
pub(super) struct Bench {
    pub(super) sandbox: Sandbox,
    pub(super) admitted: Admitted,
    /// Of the component, in bytes.
    pub(super) size: usize,
    _scratch: Scratch,
}

/// The component in `file`. One that is far too large is not read.
pub(super) fn read(file: &Path) -> Result<Bytes, Stop> {
    let size = fs::metadata(file).map_err(|error| Stop::at(file, error))?.len();
    if size > 4 * MAX_COMPONENT as u64 {
        let problem = format!("{size} bytes are no plugin, at most {MAX_COMPONENT} are allowed");
        return Err(Stop::Plugin(format!("{}: {problem}", file.display())));
    }
    let component = fs::read(file).map_err(|error| Stop::at(file, error))?;
    Ok(component.into())
}

impl Bench {
    /// Has the very gate judge the component that an upload passes.
    pub(super) async fn admit(file: &Path) -> Result<Self, Stop> {
        let component = read(file)?;
        let size = component.len();
        let scratch = Scratch::make()?;
        let settings = SandboxSettings { compiled_dir: scratch.0.clone(), threads: 1, ..SandboxSettings::default() };
        let sandbox = Sandbox::start(settings).map_err(|error| Stop::Command(error.to_string()))?;
        let admitting = async { sandbox.admit(sandbox.place(Owner::House)?, component).await };
        let admitted = admitting.await.map_err(|rejected| match rejected {
            Rejected::Unavailable => Stop::Command("the compiler does not start; try again".to_owned()),
            rejected => Stop::Plugin(format!("{}: {rejected}", file.display())),
        })?;
        Ok(Self { sandbox, admitted, size, _scratch: scratch })
    }
}

/// A directory that is gone with this.
struct Scratch(PathBuf);

impl Scratch {
    fn make() -> Result<Self, Stop> {
        let path = std::env::temp_dir().join(format!("hookyard-{:032x}", u128::from_le_bytes(random())));
        // The sandbox makes it, for its owner's eyes only.
        match path.exists() {
            true => Err(Stop::at(&path, "is there already")),
            false => Ok(Self(path)),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left of it is in the directory for what nobody needs.
        let _left = fs::remove_dir_all(&self.0);
    }
}

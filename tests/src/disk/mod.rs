//! A disk that fails when it is told to: `tests/disk/faulty.c`, loaded into a
//! [`HostProcess`].

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::{HostProcess, TempDir, build};

mod cut;

pub use cut::{Cut, Journal, Syncs};

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(i32)]
pub enum Mode {
    Well = 0,
    /// ENOSPC for every write.
    Full = 1,
    /// ENOSPC for writes that make a file longer, as of a disk that has just
    /// become full.
    NoGrowth = 2,
    /// EROFS.
    ReadOnly = 3,
    /// EIO from `fsync` and `fdatasync`. What was to be synced is forgotten, as
    /// Linux does.
    SyncFails = 4,
    /// EIO from writes.
    WriteFails = 5,
}

/// Of what files it is wrong.
#[derive(Clone, Copy, Debug)]
#[repr(i32)]
pub enum Of {
    All = 0,
    Log = 1,
    Database = 2,
}

/// A data directory on a disk that is well until told otherwise.
pub struct FaultyDisk {
    data: TempDir,
    beside: TempDir,
    control: File,
    keeps_journal: bool,
}

/// Where `struct control` has its numbers.
const MODE: u64 = 0;
const SPARED: u64 = 4;
const LEFT: u64 = 8;
const ROLE: u64 = 12;
const FAILED: u64 = 16;
const TORN: u64 = 20;
const CONTROL_BYTES: u64 = 4096;

impl FaultyDisk {
    pub fn new() -> Self {
        let (data, beside) = (TempDir::new(), TempDir::new());
        let control = File::options().read(true).write(true).create_new(true).open(beside.path().join("control"));
        let control = control.expect("the temporary directory can be written");
        control.set_len(CONTROL_BYTES).expect("the temporary directory can be written");
        Self { data, beside, control, keeps_journal: false }
    }

    /// One that remembers what it was given.
    pub fn with_journal() -> Self {
        Self { keeps_journal: true, ..Self::new() }
    }

    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// What a host on it is started with.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let text = |path: PathBuf| path.to_str().expect("a plain path").to_owned();
        let mut variables = vec![
            ("LD_PRELOAD", text(build::faulty_disk().to_owned())),
            ("HOOKYARD_DISK_CONTROL", text(self.beside.path().join("control"))),
        ];
        if self.keeps_journal {
            variables.push(("HOOKYARD_DISK_JOURNAL", text(self.journal())));
        }
        variables
    }

    /// A host on it.
    pub async fn host(&self, filter: &str) -> HostProcess {
        let variables = self.variables();
        let own = variables.iter().map(|(name, value)| (*name, value.as_str()));
        let all: Vec<(&str, &str)> = own.chain([("HOOKYARD_LOG", filter)]).collect();
        HostProcess::start_with(self.data(), &all).await
    }

    fn journal(&self) -> PathBuf {
        self.beside.path().join("journal")
    }

    /// How long its journal is by now.
    pub fn written(&self) -> u64 {
        std::fs::metadata(self.journal()).map_or(0, |journal| journal.len())
    }

    pub fn remembered(&self) -> Journal {
        Journal::read(&self.journal())
    }

    /// From now on, until told otherwise.
    pub fn is(&self, mode: Mode) {
        self.fails(mode, Of::All, 0, -1);
    }

    /// Of the calls that would fail, the first `spared` go well and the next
    /// `times` fail; then it is well again. Negative: until told otherwise.
    pub fn fails(&self, mode: Mode, of: Of, spared: i32, times: i32) {
        self.set(MODE, Mode::Well as i32);
        self.set(SPARED, spared);
        self.set(LEFT, times);
        self.set(ROLE, of as i32);
        self.set(MODE, mode as i32);
    }

    /// The next write that fails writes its first half before.
    pub fn tears(&self) {
        self.set(TORN, 1);
    }

    /// How many calls have failed.
    pub fn failures(&self) -> i32 {
        let mut bytes = [0; 4];
        self.control.read_exact_at(&mut bytes, FAILED).expect("the control file can be read");
        i32::from_ne_bytes(bytes)
    }

    fn set(&self, at: u64, number: i32) {
        self.control.write_all_at(&number.to_ne_bytes(), at).expect("the control file can be written");
    }
}

impl Default for FaultyDisk {
    fn default() -> Self {
        Self::new()
    }
}

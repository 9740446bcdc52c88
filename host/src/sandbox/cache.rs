//! Compiled code on disk. Running it means trusting it, so a file counts only
//! with our own seal on the very bytes that are loaded; anything else is as if
//! it were not there. Nothing that a tenant sent comes this way.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::engine::compatibility;
use crate::domain::plugin::Digest;

/// Bytes of the seal, which stands before the code.
const SEAL: usize = 32;

/// The directory of compiled components.
pub(super) struct CompiledDir {
    dir: PathBuf,
    key: [u8; 32],
    /// Which engine the code is for.
    compatibility: u64,
}

/// Code that this process had compiled, or that carries our seal. Only this
/// module makes one of bytes from a disk.
pub(super) struct Compiled(Vec<u8>);

impl Compiled {
    /// What our own compiler process just wrote.
    pub(super) fn fresh(code: Vec<u8>) -> Self {
        Self(code)
    }

    /// In bytes.
    pub(super) fn size(&self) -> usize {
        self.0.len()
    }

    pub(super) fn load(&self, engine: &Engine) -> wasmtime::Result<Component> {
        deserialize(engine, &self.0)
    }
}

#[expect(unsafe_code, reason = "compiled code can only be loaded by trusting it; see the safety comment")]
fn deserialize(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: wasmtime asks that the bytes come from its own compiler,
    // unchanged. `Compiled` holds such bytes only: they came through a pipe
    // from a process that we started for this, or they were sealed with our key
    // when they had, and the seal was checked on this buffer, which nobody else
    // can write to.
    unsafe { Component::deserialize(engine, code) }
}

impl CompiledDir {
    /// Makes the directory where there is none, for its owner's eyes only.
    pub(super) fn open(dir: &Path, key: [u8; 32], engine: &Engine) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let compiled = Self { dir: dir.to_owned(), key, compatibility: compatibility(engine) };
        compiled.sweep()?;
        Ok(compiled)
    }

    /// Takes away what an older version of this program, or a crash, left.
    fn sweep(&self) -> io::Result<()> {
        let ours = self.suffix();
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let stale = name.ends_with(".cwasm") && !name.ends_with(&ours) || name.ends_with(".new");
            if stale {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }

    /// Whether there is a file for `digest`, sealed or not.
    pub(super) fn has(&self, digest: Digest) -> bool {
        self.path(digest).exists()
    }

    /// The code for `digest`, when there is a file with our seal.
    pub(super) fn read(&self, digest: Digest) -> Option<Compiled> {
        let mut bytes = fs::read(self.path(digest)).ok()?;
        if bytes.len() <= SEAL {
            return None;
        }
        let code = bytes.split_off(SEAL);
        match self.mac(digest, &code).verify_slice(&bytes) {
            Ok(()) => Some(Compiled(code)),
            Err(_) => {
                tracing::warn!(plugin.digest = %digest, "compiled code without our seal is passed over");
                None
            }
        }
    }

    /// Keeps the code: the whole file, or none.
    pub(super) fn write(&self, digest: Digest, compiled: &Compiled) -> io::Result<()> {
        let seal = self.mac(digest, &compiled.0).finalize().into_bytes();
        let path = self.path(digest);
        let unfinished = path.with_extension(format!("{}.new", std::process::id()));
        let written = write_new(&unfinished, &[&seal, &compiled.0]).and_then(|()| fs::rename(&unfinished, &path));
        if written.is_err() {
            // It may not be there at all; either way it is of no use.
            let _ = fs::remove_file(&unfinished);
        }
        written
    }

    /// Takes the code for `digest` away, where there is any.
    pub(super) fn remove(&self, digest: Digest) -> io::Result<()> {
        match fs::remove_file(self.path(digest)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Takes all code away that is for none of `digests`.
    pub(super) fn retain(&self, digests: &HashSet<Digest>) -> io::Result<()> {
        let kept: HashSet<PathBuf> = digests.iter().map(|digest| self.path(*digest)).collect();
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "cwasm") && !kept.contains(&path) {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }

    fn mac(&self, digest: Digest, code: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
        mac.update(format!("hookyard compiled component\n{digest}\n{:016x}\n", self.compatibility).as_bytes());
        mac.update(code);
        mac
    }

    fn path(&self, digest: Digest) -> PathBuf {
        let digest = digest.to_string();
        let hex = digest.strip_prefix("sha256:").unwrap_or(&digest);
        self.dir.join(format!("{hex}{}", self.suffix()))
    }

    fn suffix(&self) -> String {
        format!("-{:016x}.cwasm", self.compatibility)
    }
}

fn write_new(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    parts.iter().try_for_each(|part| file.write_all(part))?;
    // A file that is cut short by a power failure has no valid seal, so there
    // is nothing to wait for.
    file.flush()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::engine::{Role, engine};
    use super::*;

    struct Place(PathBuf);

    impl Place {
        fn new() -> Self {
            let mut name = [0; 8];
            getrandom::fill(&mut name).expect("randomness");
            Self(std::env::temp_dir().join(format!("hookyard-cache-{:016x}", u64::from_le_bytes(name))))
        }

        fn open(&self, key: [u8; 32]) -> CompiledDir {
            CompiledDir::open(&self.0, key, &engine(&Role::Compile).expect("an engine")).expect("a directory")
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn only_sealed_code_is_read() {
        let place = Place::new();
        let (dir, digest, other) = (place.open([7; 32]), Digest::of(b"one"), Digest::of(b"other"));
        dir.write(digest, &Compiled::fresh(b"code".to_vec())).expect("written");
        assert!(dir.read(digest).is_some_and(|compiled| compiled.0 == b"code"));

        assert!(place.open([8; 32]).read(digest).is_none(), "another key");
        fs::copy(dir.path(digest), dir.path(other)).expect("copied");
        assert!(dir.read(other).is_none(), "another component's code");
        let whole = fs::read(dir.path(digest)).expect("read");
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            fs::write(dir.path(digest), changed).expect("written");
            assert!(dir.read(digest).is_none(), "byte {at} changed");
            fs::write(dir.path(digest), &whole[..at]).expect("written");
            assert!(dir.read(digest).is_none(), "cut to {at} bytes");
        }
    }

    #[test]
    fn only_the_owner_can_read_it() {
        let place = Place::new();
        let (dir, digest) = (place.open([7; 32]), Digest::of(b"one"));
        dir.write(digest, &Compiled::fresh(b"code".to_vec())).expect("written");
        let mode = |path: &Path| fs::metadata(path).expect("it exists").permissions().mode() & 0o777;
        assert_eq!((mode(&place.0), mode(&dir.path(digest))), (0o700, 0o600));
    }

    #[test]
    fn what_is_stale_is_swept_away() {
        let place = Place::new();
        let (dir, digest) = (place.open([7; 32]), Digest::of(b"one"));
        dir.write(digest, &Compiled::fresh(b"code".to_vec())).expect("written");
        for stale in ["ab-0000000000000000.cwasm", "ab.77.new"] {
            fs::write(place.0.join(stale), b"x").expect("written");
        }
        place.open([7; 32]);
        assert_eq!(fs::read_dir(&place.0).expect("it exists").count(), 1);
    }

    #[test]
    fn what_nobody_has_is_taken_away() {
        let place = Place::new();
        let dir = place.open([7; 32]);
        let [one, other, third] = [b"a", b"b", b"c"].map(|component| Digest::of(component));
        for digest in [one, other, third] {
            dir.write(digest, &Compiled::fresh(b"code".to_vec())).expect("written");
        }
        fs::write(place.0.join("README"), "not ours").expect("written");
        dir.remove(one).expect("removed");
        dir.remove(one).expect("it is gone, as it should be");
        assert_eq!([one, other, third].map(|digest| dir.has(digest)), [false, true, true]);
        dir.retain(&HashSet::from([one, third])).expect("removed");
        assert_eq!([one, other, third].map(|digest| dir.has(digest)), [false, false, true]);
        assert!(place.0.join("README").exists());
    }
}

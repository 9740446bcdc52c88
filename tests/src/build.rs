//! Programs and components that tests need built: cargo is asked, which is
//! quick when there is nothing to do.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The `hookyard` program in the profile that the tests themselves have.
pub fn hookyard() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let release = !cfg!(debug_assertions);
        let mut cargo = cargo();
        // The whole workspace, so that features, and with them every dependency,
        // are those that the tests were built with.
        cargo.args(["build", "--workspace", "--bin", "hookyard"]);
        if release {
            cargo.arg("--release");
        }
        run(cargo);
        target_dir().join(if release { "release" } else { "debug" }).join("hookyard")
    })
}

/// The component of `tests/hostile`.
pub fn hostile() -> Vec<u8> {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    guest(&BUILT, "hostile")
}

/// The component of `tests/capable`.
pub fn capable() -> Vec<u8> {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    guest(&BUILT, "capable")
}

/// The library of `tests/disk`, for LD_PRELOAD.
pub fn faulty_disk() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let library = target_dir().join("faulty-disk.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("disk/faulty.c");
        // Aside first: another run may be loading it.
        let aside = library.with_extension(format!("{}", std::process::id()));
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o"]).args([&aside, &source]);
        run(cc);
        std::fs::rename(&aside, &library).expect("the target directory can be written");
        library
    })
}

/// What was compiled of the first-party plugins, so that a host does not have to.
pub fn compiled_into(data: &Path) {
    let (kept, compiled) = (target_dir().join("compiled"), data.join("compiled"));
    std::fs::create_dir_all(&compiled).expect("the temporary directory can be written");
    for file in std::fs::read_dir(kept).into_iter().flatten().flatten() {
        std::fs::copy(file.path(), compiled.join(file.file_name())).expect("a file can be copied");
    }
}

fn guest(built: &OnceLock<PathBuf>, name: &str) -> Vec<u8> {
    let path = built.get_or_init(|| {
        let guests = target_dir().join("guests");
        let mut cargo = cargo();
        cargo.args(["build", "--package", name, "--profile", "guest", "--target", "wasm32-wasip2"]);
        cargo.arg("--target-dir").arg(&guests);
        run(cargo);
        guests.join(format!("wasm32-wasip2/guest/{name}.wasm"))
    });
    std::fs::read(path).expect("cargo has just built it")
}

/// The example plugin in a language, as `tests/languages/build` left it.
pub fn example(language: &str) -> PathBuf {
    let path = target_dir().join("languages").join(format!("{language}.wasm"));
    assert!(path.exists(), "{} is not there: tests/run builds it, and so does tests/languages/build", path.display());
    path
}

/// The component of a plugin in Rust that stands outside this repository, built
/// without the network. What it depends on is built once, for all of them.
pub fn plugin(dir: &Path, name: &str) -> PathBuf {
    let target = target_dir().join("languages/cargo");
    let mut cargo = cargo();
    cargo.current_dir(dir).args(["build", "--offline", "--release", "--target", "wasm32-wasip2", "--target-dir"]);
    cargo.arg(&target);
    run(cargo);
    target.join("wasm32-wasip2/release").join(format!("{}.wasm", name.replace('-', "_")))
}

fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.arg("--quiet").current_dir(workspace());
    cargo.env_remove("CARGO_ENCODED_RUSTFLAGS").env_remove("RUSTC_WORKSPACE_WRAPPER");
    // What cargo tells a test about itself. A build script that asks for it (that
    // of `ring` does) would run again, and all that depends on it be built again,
    // for every test run and after it.
    let about_itself = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for name in std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).filter(|name| about_itself(name)) {
        cargo.env_remove(name);
    }
    cargo
}

fn run(mut cargo: Command) {
    let status = cargo.status().expect("cargo runs, or the tests would not");
    assert!(status.success(), "{cargo:?} failed");
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace is above")
}

/// `target/debug/deps/it-...` is what runs now.
pub fn target_dir() -> PathBuf {
    let program = std::env::current_exe().expect("a program has a path");
    program.ancestors().nth(3).expect("cargo's layout of the target directory").to_owned()
}

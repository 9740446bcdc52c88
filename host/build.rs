//! Builds the first-party plugins as components, so that one `cargo build`
//! makes the whole product.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-wasip2";
const PLUGINS: &[&str] = &["field-mapper", "javascript", "jq", "json-schema", "summary", "tag-filter", "template"];

fn main() {
    for input in ["plugins", "plugin-sdk", "wit", "Cargo.lock"] {
        println!("cargo::rerun-if-changed=../{input}");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    // Asked for when it runs: another checkout may have built this program.
    let host = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let workspace = host.parent().expect("the workspace is above");
    list_dialects(&host, &out);
    list_templates(workspace, &out);
    add_target(workspace);
    build(workspace, &out.join("guest"));
    for plugin in PLUGINS {
        let file = format!("{}.wasm", plugin.replace('-', "_"));
        let built = out.join("guest").join(TARGET).join("guest").join(&file);
        std::fs::copy(&built, out.join(&file)).unwrap_or_else(|error| panic!("{}: {error}", built.display()));
    }
}

/// Writes down what is in `dialects/` and `senders/`, so that another one needs
/// a file and no code.
fn list_dialects(host: &Path, out: &Path) {
    let mut listed = String::new();
    for (constant, directory) in [("DIALECTS", "dialects"), ("SENDERS", "senders")] {
        println!("cargo::rerun-if-changed={directory}");
        let directory = host.join(directory);
        let files = std::fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
        let mut files: Vec<PathBuf> = files.flatten().map(|entry| entry.path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
        files.sort();
        listed += &format!("const {constant}: &[(&str, &str)] = &[\n");
        for file in &files {
            let name = file.file_name().expect("a file has a name");
            listed += &format!("    ({name:?}, include_str!({file:?})),\n");
        }
        listed += "];\n";
    }
    std::fs::write(out.join("dialects.rs"), listed).expect("OUT_DIR can be written");
}

/// Writes down what `hookyard plugin new` makes a plugin of.
fn list_templates(workspace: &Path, out: &Path) {
    let examples = workspace.join("plugins/examples");
    let mut listed = String::new();
    for (constant, directory) in [
        ("RUST", examples.join("rust")),
        ("JAVASCRIPT", examples.join("javascript")),
        ("PYTHON", examples.join("python")),
        ("C", examples.join("c")),
        ("CASES", examples.join("cases")),
        ("WIT", workspace.join("wit")),
        ("SDK", workspace.join("plugin-sdk")),
    ] {
        let mut files = Vec::new();
        find_files(&directory, &mut files);
        files.sort();
        listed += &format!("const {constant}: Files = &[\n");
        for file in files {
            let name = file.strip_prefix(&directory).expect("it was found there");
            let text = match constant == "SDK" && name == Path::new("Cargo.toml") {
                true => out.join("sdk.toml"),
                false => file.clone(),
            };
            listed += &format!("    ({name:?}, include_str!({text:?})),\n");
        }
        listed += "];\n";
    }
    listed += &format!("const LOCK: &str = include_str!({:?});\n", workspace.join("Cargo.lock"));
    std::fs::write(out.join("templates.rs"), listed).expect("OUT_DIR can be written");
    std::fs::write(out.join("sdk.toml"), without_workspace(workspace)).expect("OUT_DIR can be written");
}

fn find_files(directory: &Path, found: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    for path in entries.flatten().map(|entry| entry.path()) {
        match path.is_dir() {
            true => find_files(&path, found),
            false => found.push(path),
        }
    }
}

/// The SDK's manifest, with the workspace's own lines for what it takes from
/// there.
fn without_workspace(workspace: &Path) -> String {
    let read =
        |path: &str| std::fs::read_to_string(workspace.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let (manifest, root) = (read("plugin-sdk/Cargo.toml"), read("Cargo.toml"));
    println!("cargo::rerun-if-changed=../Cargo.toml");
    let inherited = |name: &str| root.lines().find(|line| line.starts_with(&format!("{name} = "))).map(str::to_owned);
    let lines = manifest.lines().map(|line| match line.strip_suffix(".workspace = true") {
        Some(name) => inherited(name).unwrap_or_else(|| panic!("the workspace has no `{name}` on a line of its own")),
        None => line.to_owned(),
    });
    lines.map(|line| line + "\n").collect()
}

/// `rust-toolchain.toml` names the target, but rustup may be told not to install
/// anything by itself.
fn add_target(workspace: &Path) {
    let sysroot = Command::new(env::var_os("RUSTC").expect("cargo sets RUSTC")).args(["--print", "sysroot"]).output();
    let sysroot = sysroot.expect("rustc runs, or we would not be here").stdout;
    let library = Path::new(String::from_utf8_lossy(&sysroot).trim()).join("lib/rustlib").join(TARGET);
    if library.exists() {
        return;
    }
    println!("cargo::warning=adding the target {TARGET}, which the plugins are built for");
    let added = Command::new("rustup").args(["target", "add", TARGET]).current_dir(workspace).status();
    if !added.is_ok_and(|status| status.success()) {
        println!("cargo::error=the plugins need the target {TARGET}: run `rustup target add {TARGET}`");
        std::process::exit(1);
    }
}

/// In a target directory of its own: the outer cargo holds the lock of the
/// usual one.
fn build(workspace: &Path, target_dir: &Path) {
    let mut cargo = Command::new(env::var_os("CARGO").expect("cargo sets CARGO"));
    cargo.args(["build", "--locked", "--profile", "guest", "--target", TARGET, "--target-dir"]).arg(target_dir);
    for plugin in PLUGINS {
        cargo.args(["--package", plugin]);
    }
    // What is meant for the host's own code (a linker, clippy) is wrong for
    // these.
    for variable in [
        "CARGO_BUILD_TARGET",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_TARGET_DIR",
        "CLIPPY_ARGS",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_WRAPPER",
        "RUSTFLAGS",
        "RUSTDOCFLAGS",
    ] {
        cargo.env_remove(variable);
    }
    let built = cargo.current_dir(workspace).status();
    if !built.is_ok_and(|status| status.success()) {
        println!("cargo::error=building the first-party plugins failed; the output above says why");
        std::process::exit(1);
    }
}

//! `hookyard plugin new`: a plugin that works, to be changed. Written from what
//! is in this program, so that it builds without this repository: the contract,
//! and for Rust the SDK's sources, stand beside it.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::{Stop, print};
use crate::domain::plugin::PluginName;

/// Relative paths and contents, as `build.rs` found them.
type Files = &'static [(&'static str, &'static str)];

include!(concat!(env!("OUT_DIR"), "/templates.rs"));

/// What the templates call their plugin.
const SAMPLE: &str = "order-greeter";

/// The template is a member of this repository's workspace; what is made of it
/// is its own.
const OWN_WORKSPACE: &str = "
# A workspace of its own, wherever it lies.
[workspace]

# A call costs by its instructions, an upload hardly by its size.
[profile.release]
opt-level = 3
lto = \"fat\"
codegen-units = 1
panic = \"abort\"
strip = \"debuginfo\"
";

#[derive(Clone, Copy, ValueEnum)]
enum Lang {
    Rust,
    Javascript,
    Python,
    C,
}

#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    /// The language
    #[arg(long, value_enum)]
    lang: Lang,
    /// The plugin's name: lower case letters, digits and hyphens
    name: PluginName,
    /// Where to [default: a directory of the plugin's name]
    dir: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<(), Stop> {
    let name = args.name.to_string();
    let dir = args.dir.clone().unwrap_or_else(|| PathBuf::from(&name));
    if fs::read_dir(&dir).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Stop::at(&dir, "is there and not empty; name another directory after the plugin's name"));
    }
    for (path, text) in template(args.lang) {
        write(&dir.join(path), &named(text, &name))?;
    }
    for (path, text) in WIT {
        write(&dir.join("wit").join(path), text)?;
    }
    for (path, text) in CASES {
        write(&dir.join("tests").join(path), text)?;
    }
    if matches!(args.lang, Lang::Rust) {
        add_sdk(&dir)?;
    }
    let next = commands(args.lang, &name).map(|command| format!("  {command}\n")).concat();
    print(&format!("{} is there. Next:\n  cd {0}\n{next}", dir.display()))
}

fn template(lang: Lang) -> Files {
    match lang {
        Lang::Rust => RUST,
        Lang::Javascript => JAVASCRIPT,
        Lang::Python => PYTHON,
        Lang::C => C,
    }
}

/// The SDK is on no registry: its sources come along, with the versions of
/// everything below it that our own tests ran with.
fn add_sdk(dir: &Path) -> Result<(), Stop> {
    for (path, text) in SDK {
        write(&dir.join("hookyard-plugin").join(path), text)?;
    }
    write(&dir.join("Cargo.lock"), LOCK)?;
    let manifest = dir.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).map_err(|error| Stop::at(&manifest, error))?;
    fs::write(&manifest, text.replace("../../../plugin-sdk", "hookyard-plugin") + OWN_WORKSPACE)
        .map_err(|error| Stop::at(&manifest, error))
}

/// `text` with the plugin's name in place of the sample's, in each language's
/// spelling.
fn named(text: &str, name: &str) -> String {
    text.replace(SAMPLE, name)
        .replace(&SAMPLE.replace('-', "_"), &name.replace('-', "_"))
        .replace(&camel(SAMPLE), &camel(name))
}

/// `order-greeter` as `OrderGreeter`.
fn camel(name: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    };
    name.split('-').map(capital).collect()
}

fn write(path: &Path, text: &str) -> Result<(), Stop> {
    let parent = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(|error| Stop::at(parent, error))?;
    let mode = if path.extension().is_some_and(|extension| extension == "sh") { 0o777 } else { 0o666 };
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| Stop::at(path, error))
}

/// From the sources to a tested component.
fn commands(lang: Lang, name: &str) -> [String; 3] {
    let test = |file: &str| format!("hookyard plugin test {file} tests/*.json");
    match lang {
        Lang::Rust => [
            "rustup target add wasm32-wasip2".to_owned(),
            "cargo build --release --target wasm32-wasip2".to_owned(),
            test(&format!("target/wasm32-wasip2/release/{}.wasm", name.replace('-', "_"))),
        ],
        Lang::Javascript => ["npm install".to_owned(), "npm run build".to_owned(), test("plugin.wasm")],
        Lang::Python => [
            "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt".to_owned(),
            ".venv/bin/componentize-py -d wit -w full-plugin componentize --stub-wasi plugin -o plugin.wasm".to_owned(),
            test("plugin.wasm"),
        ],
        Lang::C => ["head build.sh    # says what it needs".to_owned(), "./build.sh".to_owned(), test("plugin.wasm")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_spelled_as_each_language_spells_it() {
        assert_eq!(
            named("order-greeter order_greeter OrderGreeter", "paid-only-2"),
            "paid-only-2 paid_only_2 PaidOnly2"
        );
    }

    #[test]
    fn the_sdk_comes_without_this_workspace() {
        let manifest = SDK.iter().find(|(path, _)| *path == "Cargo.toml").map(|(_, text)| *text).unwrap();
        assert!(!manifest.contains("workspace"), "{manifest}");
        assert!(manifest.contains("\nedition = \"2024\"\n") && manifest.contains("\nserde = {"), "{manifest}");
    }
}

//! `hookyard completions` and `hookyard man`: what the command line says of
//! itself, for shells and for `man`.

use std::fs;
use std::path::PathBuf;

use clap::CommandFactory as _;
use clap_complete::Shell;
use clap_mangen::Man;

use super::screen::{note, print};
use super::{Cli, Failure};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hookyard completions bash > /etc/bash_completion.d/hookyard
  hookyard completions zsh > ~/.zfunc/_hookyard
  hookyard completions fish > ~/.config/fish/completions/hookyard.fish")]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hookyard man | man -l -
  hookyard man --to /usr/local/share/man/man1        a page for each command")]
pub(super) struct ManPage {
    /// A directory for a page of each command [default: one page on standard output]
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

impl Completions {
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "hookyard", &mut script);
        print(&String::from_utf8(script)?)
    }
}

impl ManPage {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self.to {
            Some(dir) => {
                let at = |error| Failure(format!("--to {}: {error}", dir.display()));
                fs::create_dir_all(&dir).and_then(|()| clap_mangen::generate_to(Cli::command(), &dir)).map_err(at)?;
                note(&format!("The pages are in {}.", dir.display()));
                Ok(())
            }
            None => {
                let mut page = Vec::new();
                Man::new(Cli::command()).render(&mut page)?;
                print(&String::from_utf8(page)?)
            }
        }
    }
}

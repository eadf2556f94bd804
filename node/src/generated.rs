//! What is made from the description of the command line: shell completions and manual pages.

use std::{fs, io::Write, path::Path};

use clap_complete::Shell;

use crate::{Failure, args::command};

pub(crate) fn completions(shell: Shell, out: &mut dyn Write) -> Result<(), Failure> {
    // Into memory first: the generator panics if it can't write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "netnode", &mut script);
    Ok(out.write_all(&script)?)
}

/// One page for each command.
pub(crate) fn man(dir: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    let failed = |error| {
        Failure::new(format!("the manual pages can't be written to {}: {error}", dir.display()))
    };
    fs::create_dir_all(dir).map_err(failed)?;
    // A page has room for what the short help leaves out.
    let command = command().disable_help_subcommand(true);
    let command = command.mut_args(|arg| arg.hide_short_help(false));
    clap_mangen::generate_to(command, dir).map_err(failed)?;
    Ok(writeln!(out, "wrote the manual pages to {}", dir.display())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::table::SETTINGS;

    #[test]
    fn completions_know_every_command_and_setting() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut script = Vec::new();
            completions(shell, &mut script).unwrap();
            let script = String::from_utf8(script).unwrap();
            for sub in command().get_subcommands() {
                assert!(script.contains(sub.get_name()), "{shell}: {}", sub.get_name());
            }
            for setting in SETTINGS {
                // fish writes long options without their dashes.
                let flag = setting.flag();
                assert!(script.contains(flag.trim_start_matches('-')), "{shell}: {flag}");
            }
        }
    }

    #[test]
    fn every_command_has_a_page_with_examples_and_the_first_has_every_setting() {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("man1");
        man(&to, &mut Vec::new()).unwrap();
        let subs = command();
        let subs = subs.get_subcommands().map(|sub| format!("netnode-{}.1", sub.get_name()));
        for page in subs.chain(["netnode.1".to_owned(), "netnode-config-show.1".to_owned()]) {
            let text = fs::read_to_string(to.join(&page)).unwrap();
            assert!(text.contains("Examples:"), "{page}");
        }
        let first = fs::read_to_string(to.join("netnode.1")).unwrap();
        for setting in SETTINGS {
            assert!(first.contains(&setting.variable()), "{}", setting.name);
        }
        assert!(man(Path::new("/dev/null/x"), &mut Vec::new()).is_err());
    }
}

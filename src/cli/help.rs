//! The first page of help: commands in groups, and what the exit codes mean.
use super::exit;
use clap::Command;
use std::fmt::Write as _;

/// Every command once, in the order in which one needs them.
const GROUPS: [(&str, &[&str]); 5] = [
    ("Start", &["demo", "init", "check", "plan"]),
    ("Sync", &["sync", "run", "status"]),
    ("Proof and repair", &["verify", "prove", "sweep", "backfill"]),
    ("Data", &["query", "report", "export", "schema", "quarantine", "rebuild"]),
    ("More", &["compact", "state", "connectors", "simulate", "completions"]),
];

const EXAMPLES: &str = "Examples:
  tidegate demo                 a simulated site, two syncs, answers in SQL
  tidegate init                 write pipelines/<name>.yaml
  tidegate check && tidegate sync
  tidegate query \"select status, currency, sum(total) from invoices group by 1, 2\"";

/// Gives the command its first page.
pub fn grouped(command: Command) -> Command {
    let page = groups(&command);
    command
        .help_template(format!(
            "{{about}}\n\n{{usage-heading}} {{usage}}\n\n{page}Everywhere:\n{{options}}{{after-help}}"
        ))
        .after_help(EXAMPLES)
        .after_long_help(format!("{EXAMPLES}\n\n{}", codes()))
        .mut_subcommands(|sub| sub.disable_help_subcommand(true))
}

fn groups(command: &Command) -> String {
    let mut text = String::new();
    for (heading, names) in GROUPS {
        let _ = writeln!(text, "{heading}:");
        for name in names {
            let about = command.find_subcommand(name).and_then(Command::get_about);
            let _ = writeln!(text, "  {name:<12} {}", about.cloned().unwrap_or_default());
        }
        text.push('\n');
    }
    text
}

fn codes() -> String {
    let rows = exit::TABLE.iter().map(|(code, meaning)| format!("\n  {code:>3}  {meaning}"));
    format!("Exit codes:{}", rows.collect::<String>())
}

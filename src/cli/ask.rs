//! Turns what was typed after `init` into an order; on a terminal, asks for what is missing.
use super::args::Init;
use crate::{
    app::init::{Order, Target},
    error::{Error, Kind, Result},
    manifest::{Input, InputKind},
};
use std::io::{BufRead, Write};

/// Someone who can be asked.
pub struct Dialog<'a> {
    /// Their answers, a line each.
    pub answers: &'a mut dyn BufRead,
    /// Where questions are written.
    pub questions: &'a mut dyn Write,
}

impl Dialog<'_> {
    /// Asks until there is an answer; an empty one is the default.
    fn ask(&mut self, question: &str, default: Option<&str>) -> Result<String> {
        let failed = |e: std::io::Error| Error::new(Kind::Invalid, "cannot ask").because(e);
        loop {
            let shown = default.map(|d| format!(" [{d}]")).unwrap_or_default();
            write!(self.questions, "{question}{shown}: ")
                .and_then(|()| self.questions.flush())
                .map_err(failed)?;
            let mut line = String::new();
            if self.answers.read_line(&mut line).map_err(failed)? == 0 {
                return Err(
                    Error::new(Kind::Invalid, "no answer").hint("give the flags of `tidegate init --help`")
                );
            }
            match (line.trim(), default) {
                ("", None) => {}
                ("", Some(default)) => return Ok(default.to_owned()),
                (answer, _) => return Ok(answer.to_owned()),
            }
        }
    }
}

/// Completes the order. `connectors`: those there are; `inputs`: of one of them.
/// Fails `Invalid` when something is missing and nobody can be asked.
pub fn order(
    typed: &Init,
    connectors: &[&str],
    inputs: impl FnOnce(&str) -> Result<Vec<Input>>,
    mut dialog: Option<Dialog<'_>>,
) -> Result<Order> {
    let can_ask = dialog.is_some();
    let mut get =
        |given: Option<String>, flag: &str, question: &str, default: Option<&str>| match (given, &mut dialog)
        {
            (Some(given), _) => Ok(given),
            (None, Some(dialog)) => dialog.ask(question, default),
            (None, None) => Err(Error::new(Kind::Invalid, format!("{flag} is missing"))
                .with("connectors", connectors.join(", "))
                .hint(format!(
                    "tidegate init --connector {} --name {} {} --destination lake:./lake",
                    typed.connector.as_deref().or(connectors.last().copied()).unwrap_or("NAME"),
                    typed.name.as_deref().unwrap_or("acme"),
                    if flag.starts_with("--set") { flag } else { "--set INPUT=VALUE" },
                ))),
        };
    let which = format!("Connector ({})", connectors.join(", "));
    let connector = get(typed.connector.clone(), "--connector", &which, connectors.first().copied())?;
    let name = get(typed.name.clone(), "--name", "Name of the pipeline", Some(&connector))?;
    let mut settings: Vec<(String, String)> =
        typed.settings.iter().map(|s| (s.input.clone(), s.value.clone())).collect();
    for input in inputs(&connector)? {
        if input.kind == InputKind::Secret || settings.iter().any(|(name, _)| *name == input.name) {
            continue;
        }
        let flag = format!("--set {}=...", input.name);
        let value = get(None, &flag, &format!("{} ({})", input.name, input.meaning), None)?;
        settings.push((input.name, value));
    }
    let time_zone = match &typed.time_zone {
        Some(zone) => Some(zone.clone()),
        None if can_ask && typed.destination.is_none() => {
            Some(get(None, "--time-zone", "Time zone of the provider's site", Some("UTC"))?)
        }
        None => None,
    };
    let target = match &typed.destination {
        Some(target) => target.clone(),
        None => {
            get(None, "--destination", "Destination: lake:FOLDER or postgres:VARIABLE", Some("lake:./lake"))?
                .parse::<Target>()
                .map_err(|e| Error::new(Kind::Invalid, e))?
        }
    };
    let tenant = typed.tenant.clone().unwrap_or_else(|| name.clone());
    Ok(Order { name, tenant, connector, settings, target, time_zone, force: typed.force })
}

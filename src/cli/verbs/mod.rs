//! One function per command: call the verb, draw what it answers, choose the exit code.
mod compact;
mod demo;
mod files;
mod insight;
mod look;
mod operate;
mod repair;
mod setup;
mod state;
mod sync;

use super::{
    args::{Cli, Command, Global},
    exit::Exit,
    render::Out,
};
use crate::{
    app::project::Project,
    error::{Error, Kind, Result},
    sync::Stop,
};
use std::io::IsTerminal;
use tokio::sync::watch;

/// What every command has at hand.
pub(super) struct Scene<'a> {
    pub(super) global: &'a Global,
    pub(super) out: &'a Out,
    pub(super) stop: Stop,
}

impl Scene<'_> {
    fn project(&self) -> Result<Project> {
        Project::open(&self.global.dir)
    }
}

/// Runs one command to its end.
pub(super) async fn run(cli: Cli, out: &Out) -> Result<Exit> {
    let (tell, stop) = watch::channel(false);
    let signals = Signals::listen()?;
    let scene = Scene { global: &cli.global, out, stop };
    let serves = matches!(cli.command, Command::Simulate(_));
    let work = command(&scene, cli.command);
    let mut work = std::pin::pin!(work);
    tokio::select! {
        done = &mut work => done,
        exit = signals.first() => {
            if !serves {
                out.note("stopping after a clean checkpoint; once more to stop at once");
            }
            let _ = tell.send(true);
            tokio::select! {
                done = work => done.map(|ended| if ended == Exit::Interrupted { exit } else { ended }),
                again = signals.first() => Ok(again),
            }
        }
    }
}

async fn command(scene: &Scene<'_>, command: Command) -> Result<Exit> {
    match command {
        Command::Init(asked) => setup::init(scene, &asked),
        Command::Check(asked) => setup::check(scene, &asked).await,
        Command::Plan(asked) => setup::plan(scene, &asked).await,
        Command::Sync(asked) => sync::sync(scene, &asked).await,
        Command::Run(asked) => sync::run(scene, &asked).await,
        Command::Status(asked) => look::status(scene, &asked).await,
        Command::Verify(asked) => repair::verify(scene, &asked).await,
        Command::Sweep(asked) => repair::sweep(scene, &asked).await,
        Command::Backfill(asked) => repair::backfill(scene, &asked).await,
        Command::Query(asked) => look::query(scene, &asked).await,
        Command::Report(asked) => insight::report(scene, &asked).await,
        Command::Prove(asked) => insight::prove(scene, &asked).await,
        Command::Export(asked) => look::export(scene, &asked).await,
        Command::Schema(asked) => files::schema(scene, &asked),
        Command::Quarantine(asked) => operate::quarantine(scene, &asked).await,
        Command::Rebuild(asked) => operate::rebuild(scene, &asked).await,
        Command::Compact(asked) => compact::compact(scene, &asked).await,
        Command::State(asked) => state::state(scene, &asked).await,
        Command::Connectors(asked) => files::connectors(scene, &asked),
        Command::Demo(asked) => demo::demo(scene, &asked).await,
        Command::Simulate(asked) => demo::simulate(scene, &asked).await,
        Command::Completions { shell } => files::completions(shell),
    }
}

/// Asks before something that cannot be taken back; `--yes` answers it.
fn confirmed(yes: bool, question: &str) -> Result<()> {
    if yes || (std::io::stdin().is_terminal() && asked(question)) {
        return Ok(());
    }
    Err(Error::new(Kind::Invalid, "not confirmed, so nothing was changed").hint("add --yes"))
}

fn asked(question: &str) -> bool {
    let mut answer = String::new();
    eprint!("{question} [y/N] ");
    std::io::stdin().read_line(&mut answer).is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}

/// Ctrl-C and SIGTERM.
struct Signals {
    terminate: std::sync::Mutex<tokio::signal::unix::Signal>,
}

impl Signals {
    fn listen() -> Result<Self> {
        let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
            .map_err(|e| Error::new(Kind::Bug, "cannot listen for signals").because(e))?;
        Ok(Self { terminate: std::sync::Mutex::new(terminate) })
    }
    async fn first(&self) -> Exit {
        let terminated = std::future::poll_fn(|cx| match self.terminate.lock() {
            Ok(mut signal) => signal.poll_recv(cx).map(|_| ()),
            Err(_) => std::task::Poll::Pending,
        });
        tokio::select! {
            _ = tokio::signal::ctrl_c() => Exit::Interrupted,
            () = terminated => Exit::Terminated,
        }
    }
}

//! How does a commit become durable? One transaction: number, rows, history, raw bodies, rejects, checkpoint.
//!
//! A lost connection is answered by looking: the stored number says whether the transaction took hold.
use super::{
    Feeds, Open, Postgres,
    fault::{Class, Fault},
    prepare,
    rebuild::Rebuild,
    rows::{self, Target},
    scan, seen, state,
};
use crate::{
    entity::Entity,
    error::{Error, Kind, Result},
    load::{Commit, Committed},
};
use sqlx::{Connection, PgConnection};

/// Attempts at one commit: races lost and connections dropped.
const TRIES_MAX: u32 = 4;

impl Postgres {
    pub(super) async fn commit_all(&mut self, commit: &Commit) -> Result<Committed> {
        let mut last = None;
        for _ in 0..TRIES_MAX {
            let (conn, open) = match self.opened().await {
                Ok(opened) => opened,
                Err(e) => return Err(with_cause(e, last)),
            };
            let before = open.commit_no;
            let aside = open.rebuild.as_ref().is_some_and(|r| r.stream == commit.stream);
            open.sure = false;
            let torn = match attempt(conn, open, commit).await {
                Ok(done) => return Ok(settled(open, commit, done)),
                Err(torn) => torn,
            };
            let class = torn.fault.class();
            if class == Class::Final || aside {
                return Err(self.failed(torn.fault, "committing"));
            }
            if class == Class::Lost {
                self.conn = None;
                let (_, open) = match self.opened().await {
                    Ok(opened) => opened,
                    Err(e) => return Err(with_cause(e, Some(torn.fault))),
                };
                if let Some(done) = torn.done.filter(|_| open.commit_no == before + 1) {
                    return Ok(settled(open, commit, done));
                }
            }
            last = Some(torn.fault);
        }
        match last {
            Some(fault) => Err(self.failed(fault, "committing, again and again")),
            None => Err(Error::new(Kind::Bug, "a commit was never tried")),
        }
    }
}

fn with_cause(e: Error, fault: Option<Fault>) -> Error {
    match fault {
        Some(Fault::Sql(cause)) => e.with("after", cause),
        Some(Fault::Ours(_)) | None => e,
    }
}

/// Notes that the commit is durable.
fn settled(open: &mut Open, commit: &Commit, done: Committed) -> Committed {
    open.sure = true;
    if open.rebuild.as_ref().is_none_or(|r| r.stream != commit.stream) {
        open.commit_no = done.commit_no;
        if let Some(feeds) = feeds_of(commit) {
            open.feeds.insert(commit.stream.clone(), feeds);
        }
    }
    done
}

/// What the commit's stream feeds, as far as it shows.
fn feeds_of(commit: &Commit) -> Option<Feeds> {
    commit.rows.as_ref().map(|rows| Feeds {
        main: rows.entity.name.clone(),
        children: rows.children.iter().map(|(child, _)| child_feed(child)).collect(),
    })
}

/// As `Feeds::children` writes it.
fn child_feed(child: &Entity) -> String {
    format!("{}.{}", child.name, child.parent.as_ref().map_or("", |p| p.column.as_str()))
}

/// A failed attempt; `done`: all was sent and only the answer to `commit` is missing.
struct Torn {
    done: Option<Committed>,
    fault: Fault,
}

impl<F: Into<Fault>> From<F> for Torn {
    fn from(fault: F) -> Self {
        Self { done: None, fault: fault.into() }
    }
}

async fn attempt(conn: &mut PgConnection, open: &mut Open, commit: &Commit) -> Result<Committed, Torn> {
    if let Some(rows) = &commit.rows
        && feeds_of(commit).as_ref() != open.feeds.get(&commit.stream)
    {
        prepare::parent_indexes(conn, &rows.children).await?;
    }
    if let Some(rebuild) = open.rebuild.as_mut().filter(|r| r.stream == commit.stream) {
        rebuild.prepare(conn, &open.owner, commit).await?;
    }
    let open = &*open;
    let mut tx = conn.begin().await?;
    let written = match open.rebuild.as_ref().filter(|r| r.stream == commit.stream) {
        Some(rebuild) => build(&mut tx, open, rebuild, commit).await,
        None => act(&mut tx, open, commit).await,
    };
    let done = match written {
        Ok(done) => done,
        Err(fault) => {
            // Without this the server would hold its locks until the session's next statement. If it fails, the
            // session is gone, and the transaction with it.
            drop(tx.rollback().await);
            return Err(fault.into());
        }
    };
    match tx.commit().await {
        Ok(()) => Ok(done),
        Err(e) => Err(Torn { done: Some(done), fault: e.into() }),
    }
}

async fn build(
    conn: &mut PgConnection,
    open: &Open,
    rebuild: &Rebuild,
    commit: &Commit,
) -> Result<Committed, Fault> {
    let commit_no = commit.as_of.unwrap_or(open.commit_no);
    rebuild.carry(conn, commit_no).await?;
    let target = Target { owner: &open.owner, commit_no, aside: Some(rebuild), keep_raw: false, due: None };
    write(conn, open, &target, commit).await
}

async fn act(conn: &mut PgConnection, open: &Open, commit: &Commit) -> Result<Committed, Fault> {
    let owner = &open.owner;
    let commit_no = state::next_commit(conn, owner, open.epoch, open.commit_no).await?;
    let stored = state::checkpoint(conn, owner, &commit.stream).await?;
    commit.checkpoint.may_follow(stored.as_ref())?;
    let target = Target { owner, commit_no, aside: None, keep_raw: commit.keep_raw, due: commit.due };
    let done = write(conn, open, &target, commit).await?;
    if let Some(feeds) = feeds_of(commit).filter(|f| open.feeds.get(&commit.stream) != Some(f)) {
        state::put_feeds(conn, owner, &commit.stream, &feeds).await?;
    }
    if !commit.resolves.is_empty() {
        super::quarantine::resolve(conn, owner, &commit.resolves, commit_no).await?;
    }
    if !commit.rejects.is_empty() {
        super::quarantine::put_rejects(conn, owner, &commit.rejects, commit_no).await?;
    }
    if !commit.issues.is_empty() {
        let issues = crate::load::issue::of_commit(commit);
        super::issues::put(conn, owner, &commit.stream, &issues, commit_no).await?;
    }
    if !commit.cleared.is_empty() {
        super::erase::learn(conn, owner, &commit.stream, &commit.cleared, commit_no).await?;
    }
    seen::keep(conn, owner, commit, stored.as_ref(), commit_no).await?;
    state::put_checkpoint(conn, owner, &commit.stream, Some(&commit.checkpoint), commit_no).await?;
    Ok(done)
}

/// Rows first, then what a complete scan found missing.
async fn write(
    conn: &mut PgConnection,
    open: &Open,
    target: &Target<'_>,
    commit: &Commit,
) -> Result<Committed, Fault> {
    let mut done = Committed { commit_no: target.commit_no, ..Committed::default() };
    if let Some(rows) = &commit.rows {
        for entity in std::iter::once(&rows.entity).chain(rows.children.iter().map(|(child, _)| child)) {
            open.entity(&entity.name)?;
        }
        rows::merge(conn, target, &commit.stream, rows, &mut done).await?;
    }
    let feeds = feeds_of(commit).or_else(|| open.feeds.get(&commit.stream).cloned());
    if let (Some(found), Some(feeds)) = (&commit.scan, feeds) {
        let main = open.entity(&feeds.main)?;
        let children =
            feeds.children.iter().map(|child| open.child(&feeds, child)).collect::<Result<Vec<_>>>()?;
        scan::bury(conn, target, commit, found, main, &children, &mut done).await?;
    }
    Ok(done)
}

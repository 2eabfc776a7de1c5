//! The connection dies at every message of a commit, before or after it arrived: nothing is lost, nothing is done twice.
use super::{
    dump_of, entities,
    rows::{Row, commit, line, owner, scan},
};
use crate::postgres_server::Database;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};
use tidegate::{
    checkpoint::Checkpoint,
    load::{Change, Commit, Destination, Entry, Verb, postgres::Postgres},
    secret::Secret,
    time::Timestamp,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf},
};

/// What the proxy does at the n-th message from the client.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// The server never sees it.
    Before,
    /// The server sees it; the client never sees an answer.
    After,
}

struct Proxy {
    port: u16,
    /// Messages until the cut; negative: none is planned.
    left: Arc<AtomicI64>,
    seen: Arc<AtomicU64>,
}

impl Proxy {
    async fn new(url: &str, cut: Cut) -> Self {
        let server = url.split('@').nth(1).unwrap().split('/').next().unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let left = Arc::new(AtomicI64::new(-1));
        let seen = Arc::new(AtomicU64::new(0));
        let (l, s) = (left.clone(), seen.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                tokio::spawn(pass(client, server, l.clone(), s.clone(), cut));
            }
        });
        Self { port, left, seen }
    }
}

/// One frontend message as bytes; the first of a session has no type byte.
async fn message(from: &mut OwnedReadHalf, first: bool) -> Option<Vec<u8>> {
    // The driver does not set TCP_NODELAY; without this every COPY would wait 40 ms for an acknowledgement.
    #[cfg(target_os = "linux")]
    from.as_ref().set_quickack(true).ok()?;
    let mut bytes = vec![0; if first { 4 } else { 5 }];
    from.read_exact(&mut bytes).await.ok()?;
    let len = u32::from_be_bytes(bytes[bytes.len() - 4..].try_into().unwrap()) as usize - 4;
    let start = bytes.len();
    bytes.resize(start + len, 0);
    from.read_exact(&mut bytes[start..]).await.ok()?;
    Some(bytes)
}

async fn pass(client: TcpStream, server: TcpStream, left: Arc<AtomicI64>, seen: Arc<AtomicU64>, cut: Cut) {
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let deaf = Arc::new(tokio::sync::Notify::new());
    let heard = deaf.clone();
    let back = tokio::spawn(async move {
        let mut buffer = vec![0; 1 << 16];
        loop {
            tokio::select! {
                biased;
                () = heard.notified() => return Some(from_server),
                n = from_server.read(&mut buffer) => match n {
                    Ok(n) if n > 0 => to_client.write_all(&buffer[..n]).await.ok()?,
                    _ => return None,
                },
            }
        }
    });
    // An SSL request has the shape of a first message, and the real one follows it.
    let mut startup = true;
    while let Some(bytes) = message(&mut from_client, startup).await {
        let is_ssl = startup && bytes.len() == 8;
        startup = is_ssl;
        seen.fetch_add(1, Ordering::SeqCst);
        let hit = left.fetch_sub(1, Ordering::SeqCst) == 0;
        match (hit, cut) {
            (false, _) => {
                if to_server.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            (true, Cut::Before) => {
                back.abort();
                return;
            }
            (true, Cut::After) => {
                // Answers go nowhere from here on. The server has acted when it has answered, or hung up.
                deaf.notify_one();
                if to_server.write_all(&bytes).await.is_err() {
                    return;
                }
                if is_answered(&bytes)
                    && let Ok(Some(mut server)) = back.await
                {
                    let mut byte = [0];
                    drop(server.read(&mut byte).await);
                }
                return;
            }
        }
    }
}

/// Whether the server answers this message at once: Query and Sync.
fn is_answered(bytes: &[u8]) -> bool {
    matches!(bytes[0], b'Q' | b'S')
}

fn through(url: &str, port: u16) -> Secret {
    let (user, rest) = url.split_once('@').unwrap();
    let (_, name) = rest.split_once('/').unwrap();
    Secret::new(format!("{user}@127.0.0.1:{port}/{name}?sslmode=disable"))
}

/// A commit that does everything at once, over rows that are there.
fn busy(who: &tidegate::id::Owner) -> (Commit, Commit) {
    let start = commit(
        who,
        5,
        &[Row::new("b1", 1, 10, 7), Row::new("b2", 1, 10, 8), Row::new("b3", 1, 10, 9)],
        &[line("l1", "b1", 1), line("l2", "b1", 2), line("l3", "b3", 3)],
    );
    let rows = [Row::new("b1", 2, 20, 17), Row::new("b4", 1, 20, 18)];
    let lines = [line("l1", "b1", 11), line("l4", "b4", 4)];
    let next = Commit { scan: Some(scan(&["b1", "b2", "b4"], 30, 1.0)), ..commit(who, 6, &rows, &lines) };
    (start, next)
}

/// Runs the commit as a tenant of its own with a cut at message `at`; returns how many messages it took, and what is
/// stored afterwards.
async fn run(db: &Database, cut: Cut, at: i64) -> (u64, BTreeMap<String, Vec<String>>) {
    let tenant = format!("t{cut:?}{}", at + 1).to_lowercase();
    let who = owner(&tenant);
    let (start, next) = busy(&who);
    let proxy = Proxy::new(&db.url(), cut).await;
    let mut pg = Postgres::connect(&through(&db.url(), proxy.port)).await.unwrap();
    pg.open(&who, &entities()).await.unwrap();
    pg.commit(start).await.unwrap();
    pg.close().await.unwrap();
    pg.open(&who, &entities()).await.unwrap();
    let before = proxy.seen.load(Ordering::SeqCst);
    proxy.left.store(at, Ordering::SeqCst);
    let done = pg.commit(next).await.unwrap_or_else(|e| panic!("{cut:?} {at}: {e}"));
    assert_eq!(
        (done.commit_no, done.changed, done.deleted, done.child_changes),
        (2, 2, 1, 4),
        "{cut:?} {at}"
    );
    let took = proxy.seen.load(Ordering::SeqCst) - before;
    pg.commit(super::rows::empty(7)).await.unwrap();
    pg.close().await.unwrap();
    (took, dump_of(&mut db.session().await, &tenant).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_cut_at_any_message_neither_loses_nor_repeats_anything() {
    let db = Database::new().await;
    let (messages, expected) = run(&db, Cut::Before, -1).await;
    assert!(messages > 40, "{messages}");
    for cut in [Cut::Before, Cut::After] {
        for at in 0..i64::try_from(messages).unwrap() {
            let (took, stored) = run(&db, cut, at).await;
            assert_eq!(stored, expected, "{cut:?} message {at}");
            assert!(took > messages, "{cut:?} message {at}: the cut did not happen");
        }
    }
}

/// What the journal and the checkpoints of this owner say.
async fn kept(db: &Database, who: &tidegate::id::Owner) -> (Vec<Entry>, BTreeMap<String, Checkpoint>) {
    let mut pg = Postgres::connect(&db.secret()).await.unwrap();
    let opened = pg.peek(who).await.unwrap().unwrap();
    (pg.journal(who).await.unwrap(), opened.checkpoints)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operators_change_and_its_entry_are_one_act_wherever_the_connection_is_cut() {
    let db = Database::new().await;
    let (mut before, mut after) = (0, 0);
    for cut in [Cut::Before, Cut::After] {
        for at in 0.. {
            let who = owner(&format!("c{cut:?}{at}").to_lowercase());
            let proxy = Proxy::new(&db.url(), cut).await;
            let mut pg = Postgres::connect(&through(&db.url(), proxy.port)).await.unwrap();
            pg.open(&who, &entities()).await.unwrap();
            pg.commit(super::rows::empty(5)).await.unwrap();
            proxy.left.store(at, Ordering::SeqCst);
            let to = [("bills".to_owned(), None)].into();
            let change = Change { at: Timestamp(9), verb: Verb::Reset, undoes: None, made_with: None, to };
            let outcome = pg.change_state(change).await;
            let cut_off = proxy.left.load(Ordering::SeqCst) < 0;
            drop(pg);
            let (journal, checkpoints) = kept(&db, &who).await;
            assert_eq!(
                journal.len(),
                usize::from(checkpoints.is_empty()),
                "{cut:?} {at}: one without the other"
            );
            assert!(outcome.is_err() || checkpoints.is_empty(), "{cut:?} {at}");
            if !cut_off {
                break;
            }
            *(if checkpoints.is_empty() { &mut after } else { &mut before }) += 1;
        }
    }
    assert!(before > 5 && after > 0, "{before} {after}");
}

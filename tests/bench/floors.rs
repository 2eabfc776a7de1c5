//! What does each part cost alone, on one core? No sync can be cheaper than what it does of these.
use super::{
    child::{CORE, Site},
    postgres_server::Database,
    report::{Figure, Report},
};
use bytes::Bytes;
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    file::properties::WriterProperties,
};
use sqlx::Connection;
use std::{fs, sync::Arc, time::Instant};
use tidegate::{
    decode::{Decoder, Envelope, Keys, Records, page},
    http::{Client, Limits},
    id::{ConnectionId, Owner, TenantId},
    manifest::{Connector, Paging, Stream, catalog},
    normalize::{Facts, Normalizer, Rows},
    secret::Secret,
    sync::COMMIT_BYTES,
    time::Timestamp,
    wire::{Http, Request},
};

/// Of `sim_test_key` without password.
const AUTHORIZATION: &str = "Basic c2ltX3Rlc3Rfa2V5Og==";

/// All pages of all streams.
pub(crate) struct World {
    connector: Arc<Connector>,
    pub(crate) bodies: Vec<(Arc<Stream>, Vec<Bytes>)>,
    fetching: Figure,
}

impl World {
    fn bytes(&self) -> u64 {
        self.bodies.iter().flat_map(|(_, pages)| pages).map(|p| p.len() as u64).sum()
    }
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// CPU seconds of this thread so far.
fn thread_cpu() -> f64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("schedstat");
    text.split(' ').next().and_then(|n| n.parse::<f64>().ok()).expect("nanoseconds") / 1e9
}

pub(crate) fn cost<T>(act: impl FnOnce() -> T) -> (Figure, T) {
    let (began, before) = (Instant::now(), thread_cpu());
    let made = act();
    let figure =
        Figure { cpu: thread_cpu() - before, wall: began.elapsed().as_secs_f64(), ..Figure::default() };
    (figure, made)
}

/// Reads the streams that the syncs beside it read: once to let the server write its bodies, once for the figure.
pub(crate) fn fetch(site: &Site, every: bool) -> World {
    let catalog = catalog(None).expect("the embedded connectors");
    let connector = Arc::clone(catalog.connector("chargebee").expect("chargebee"));
    let runtime = runtime();
    let client = Client::new(Limits::default()).expect("a client");
    let read = || {
        let asked = |s: &&Arc<Stream>| if every { offered(s) } else { CORE.contains(&s.name.as_str()) };
        let all = connector.streams.iter().filter(asked);
        all.map(|s| (Arc::clone(s), runtime.block_on(pages(&client, site, s)))).collect::<Vec<_>>()
    };
    read();
    let (mut fetching, bodies) = cost(read);
    fetching.requests = bodies.iter().map(|(_, pages)| pages.len() as u64).sum();
    let mut world = World { connector, bodies, fetching };
    world.fetching.bytes = world.bytes();
    world
}

/// The site is one of the newer catalog, which has no plans and addons.
fn offered(stream: &Stream) -> bool {
    stream.requires.as_ref().is_none_or(|r| r.any_of.iter().any(|version| version == "v2"))
}

async fn pages(client: &Client, site: &Site, stream: &Stream) -> Vec<Bytes> {
    let mut pages = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let mut query = vec![("limit".to_owned(), "100".to_owned())];
        query.extend(stream.query.iter().cloned());
        query.extend(next.map(|token| ("offset".to_owned(), token)));
        let headers = vec![("authorization".to_owned(), Secret::new(AUTHORIZATION))];
        let url = format!("{}{}", site.base_url(), stream.path.0);
        let answer = client.send(Request { url, query, headers }).await.expect("an answer");
        assert_eq!(answer.status, 200);
        let cut = page(answer.body.clone(), &envelope(stream), Timestamp(0)).expect("a page");
        pages.push(answer.body);
        next = cut.next;
        if next.is_none() {
            return pages;
        }
    }
}

fn envelope(stream: &Stream) -> Envelope {
    let next = match &stream.paging {
        Paging::Token { read, .. } => Some(read.clone()),
        Paging::PageNumber { .. } => None,
    };
    Envelope { records: stream.records.clone(), next, total: None }
}

fn decoded(world: &World) -> Vec<(Arc<Stream>, Records)> {
    let mut made = Vec::new();
    for (stream, pages) in &world.bodies {
        let keys = Keys {
            key: stream.key.clone(),
            version: stream.version.clone(),
            updated: stream.updated.clone(),
            deleted: stream.deleted.clone(),
        };
        let mut decoder = Decoder::new(&stream.name, &stream.record, &keys).expect("a shape");
        let envelope = envelope(stream);
        let mut finish = |decoder: &mut Decoder| {
            let (records, rejects) = decoder.finish().expect("a batch");
            assert!(rejects.is_empty(), "{rejects:?}");
            made.push((Arc::clone(stream), records));
        };
        for body in pages {
            decoder.push(&page(body.clone(), &envelope, Timestamp(0)).expect("a page"));
            if decoder.bytes() >= COMMIT_BYTES {
                finish(&mut decoder);
            }
        }
        finish(&mut decoder);
    }
    made
}

fn mapped(world: &World, records: &[(Arc<Stream>, Records)]) -> Vec<Rows> {
    let owner = Owner {
        tenant: TenantId::parse("bench").expect("a tenant"),
        connection: ConnectionId::parse("bench").expect("a connection"),
    };
    let facts = Facts { owner, time_zone: chrono_tz::Europe::Berlin };
    let runtime = runtime();
    let mut rows = Vec::new();
    let mut known: Option<(String, Normalizer)> = None;
    for (stream, records) in records {
        let schema = records.batch.schema();
        let normalizer = match known.take().filter(|(name, _)| *name == stream.name) {
            Some((_, normalizer)) => normalizer,
            None => runtime.block_on(Normalizer::new(&world.connector, stream, &schema)).expect("mappings"),
        };
        rows.extend(runtime.block_on(normalizer.run(&facts, records)).expect("rows").rows);
        known = Some((stream.name.clone(), normalizer));
    }
    rows
}

fn parquet(rows: &[Rows]) {
    let level = ZstdLevel::try_new(1).expect("a level");
    for rows in rows {
        for batch in std::iter::once(&rows.main).chain(rows.children.iter().map(|(_, b)| b)) {
            let properties = WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
            let mut writer =
                ArrowWriter::try_new(std::io::sink(), batch.schema(), Some(properties)).expect("a writer");
            writer.write(batch).expect("rows");
            writer.close().expect("a file");
        }
    }
}

/// Every floor, `runs` times.
pub(crate) fn all(world: &World, runs: usize, report: &mut Report) {
    let records = decoded(world);
    let rows = mapped(world, &records);
    let count: u64 = records.iter().map(|(_, r)| r.key.len() as u64).sum();
    let bytes = world.bytes();
    let mut floor = |name: &str, act: &mut dyn FnMut()| {
        let once = |_| Figure { records: count, bytes, ..cost(&mut *act).0 };
        report.add(name, (0..runs).map(once).collect());
    };
    floor("floor: serde_json ignores", &mut || {
        for body in world.bodies.iter().flat_map(|(_, pages)| pages) {
            serde_json::from_slice::<serde::de::IgnoredAny>(body).expect("JSON");
        }
    });
    floor("floor: split and decode", &mut || drop(decoded(world)));
    floor("floor: map to unified rows", &mut || drop(mapped(world, &records)));
    floor("floor: Parquet of rows, zstd 1", &mut || parquet(&rows));
    floor("floor: zstd 1 of bodies", &mut || {
        for (_, records) in &records {
            let text: Vec<u8> = records.body.iter().flatten().copied().collect();
            text.chunks(1 << 20).for_each(|c| drop(zstd::bulk::compress(c, 1).expect("zstd")));
        }
    });
    report.add("floor: fetch and drop", vec![Figure { records: count, ..world.fetching.clone() }]);
    let bodies = copies(&records);
    let runtime = runtime();
    let copy = |_| {
        let database = runtime.block_on(Database::new());
        let before = super::child::postgres_cpu(&database.url());
        let (figure, ()) = cost(|| runtime.block_on(copy(&database, &bodies)));
        let server_cpu = Some(super::child::postgres_cpu(&database.url()) - before);
        Figure { records: count, bytes, server_cpu, ..figure }
    };
    report.add("floor: COPY of bodies", (0..runs).map(copy).collect());
}

/// The records' bodies in Postgres' binary COPY format.
fn copies(records: &[(Arc<Stream>, Records)]) -> Vec<u8> {
    let mut out = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
    for body in records.iter().flat_map(|(_, r)| &r.body) {
        out.extend_from_slice(&1_i16.to_be_bytes());
        out.extend_from_slice(&i32::try_from(body.len()).expect("a small record").to_be_bytes());
        out.extend_from_slice(body);
    }
    out.extend_from_slice(&(-1_i16).to_be_bytes());
    out
}

async fn copy(database: &Database, data: &[u8]) {
    let mut session = sqlx::PgConnection::connect(&database.url()).await.expect("a session");
    sqlx::query("create table body (body text)").execute(&mut session).await.expect("a table");
    let mut sink = session.copy_in_raw("copy body from stdin (format binary)").await.expect("COPY");
    for chunk in data.chunks(256 << 10) {
        sink.send(chunk).await.expect("the server reads");
    }
    sink.finish().await.expect("the server keeps");
}

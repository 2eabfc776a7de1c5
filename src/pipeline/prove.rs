//! From what is written to what is meant: every check of a pipeline file that needs more than its shape.
use super::{
    DestinationSpec, Limits, Pipeline, Promotion, bodies, is_host_label, name_of, overlays, personal, raw,
    told,
};
use crate::{
    config::{InputSource, Place},
    entity::ColumnType,
    error::{Error, Kind, Result},
    id::{ConnectionId, Owner, TenantId},
    manifest::{Input, InputKind},
    schedule::{self, Schedule},
    time::Timestamp,
    yaml::Pairs,
};
use chrono_tz::Tz;
use serde::{Deserialize, de::IntoDeserializer};
use serde_saphyr::Spanned;
use std::{collections::BTreeMap, net::Ipv4Addr, path::PathBuf, time::Duration};

/// Keys of `connection` that every connector has.
const OWN_KEYS: [&str; 2] = ["time_zone", "base_url"];

/// One file's checks; knows how to name a place in it.
struct Proof<'a> {
    file: &'a str,
}

pub(super) fn prove(file: &str, raw: raw::Raw, inputs: &[Input], streams: &[&str]) -> Result<Pipeline> {
    let proof = Proof { file };
    let name = proof.name(&raw.pipeline)?;
    let owner = Owner {
        tenant: proof.at(&raw.tenant, TenantId::parse(&raw.tenant.value))?,
        connection: proof.at(&raw.pipeline, ConnectionId::parse(&name))?,
    };
    let connection = proof.connection(raw.source.connection, inputs)?;
    let start = raw.source.start.as_ref().map(|s| proof.start(s, connection.time_zone)).transpose()?;
    let (raw_keep, raw_for) = bodies::bodies(file, raw.raw.as_ref())?;
    Ok(Pipeline {
        schedule: raw.schedule.map(|s| proof.schedule(&s, connection.time_zone, &name)).transpose()?,
        name,
        owner,
        connector: raw.source.connector.value,
        inputs: connection.inputs,
        time_zone: connection.time_zone,
        base_url: connection.base_url,
        streams: raw.source.streams.map(|asked| proof.streams(&asked, streams)).transpose()?,
        start,
        destination: proof.destination(raw.destination)?,
        raw_keep,
        raw_for,
        columns: personal::columns(file, &raw.columns, raw_keep)?,
        limits: proof.limits(raw.limits.as_ref())?,
        custom: proof.custom(&raw.custom)?,
        overlays: overlays::overlays(file, &raw.overlays)?,
    })
}

struct Connection {
    inputs: BTreeMap<String, InputSource>,
    time_zone: Tz,
    base_url: Option<String>,
}

impl Proof<'_> {
    fn place<T>(&self, value: &Spanned<T>) -> Place {
        told::place(self.file, value.referenced)
    }
    fn wrong<T>(&self, value: &Spanned<T>, what: impl Into<String>) -> Error {
        Error::new(Kind::Invalid, what).with("at", self.place(value))
    }
    fn at<T, U>(&self, value: &Spanned<T>, result: Result<U>) -> Result<U> {
        result.map_err(|e| e.with("at", self.place(value)))
    }

    fn name(&self, written: &Spanned<String>) -> Result<String> {
        let expected = name_of(self.file)?;
        if written.value == expected {
            return Ok(written.value.clone());
        }
        Err(self
            .wrong(
                written,
                format!("the pipeline is called `{}` but its file `{expected}.yaml`", written.value),
            )
            .hint(format!(
                "write `pipeline: {expected}`, or rename the file: the name is the connection's id"
            )))
    }

    fn connection(&self, written: Spanned<raw::Connection>, inputs: &[Input]) -> Result<Connection> {
        let whole = Spanned::new((), written.referenced, written.defined);
        let known: Vec<&str> = inputs.iter().map(|i| i.name.as_str()).chain(OWN_KEYS).collect();
        let (mut given, mut time_zone, mut base_url) = (BTreeMap::new(), None, None);
        for (key, value) in written.value.0 {
            match key.as_str() {
                "time_zone" => time_zone = Some(self.zone(&self.plain(&key, value)?)?),
                "base_url" => base_url = Some(self.base_url(&self.plain(&key, value)?)?),
                _ => {
                    let Some(input) = inputs.iter().find(|i| i.name == key) else {
                        return Err(told::unknown("key", &key, &known, &self.place(&value)));
                    };
                    let source = self.input(input, value)?;
                    given.insert(key, source);
                }
            }
        }
        if let Some(input) = inputs.iter().find(|i| !given.contains_key(&i.name)) {
            return Err(self
                .wrong(&whole, format!("key `{}` is missing under `connection`", input.name))
                .with("meaning", &input.meaning)
                .hint(example(input)));
        }
        let time_zone = time_zone.ok_or_else(|| {
            self.wrong(&whole, "key `time_zone` is missing under `connection`")
                .with("meaning", "the time zone of the provider's site; document dates are read in it")
                .hint("time_zone: Europe/Berlin")
        })?;
        Ok(Connection { inputs: given, time_zone, base_url })
    }

    fn input(&self, input: &Input, value: Spanned<raw::Value>) -> Result<InputSource> {
        let text = match (input.kind, &value.value) {
            (_, raw::Value::Env(_) | raw::Value::File(_)) => return self.reference(value),
            (InputKind::Secret, raw::Value::Text(_)) => {
                return Err(self
                    .wrong(&value, format!("`{}` is a secret and must not be written here", input.name))
                    .hint(format!("{}, then set that variable or put it into .env", example(input))));
            }
            (InputKind::HostLabel | InputKind::Text, raw::Value::Text(text)) => text,
        };
        if input.kind == InputKind::HostLabel && !is_host_label(text) {
            return Err(self
                .wrong(&value, format!("`{text}` is not the first part of a host name"))
                .with("key", &input.name)
                .with("expected", "letters, digits and `-`, without dots or slashes")
                .hint(format!("for https://acme-test.example.com write {}: acme-test", input.name)));
        }
        if text.is_empty() {
            return Err(self
                .wrong(&value, format!("`{}` is empty", input.name))
                .with("meaning", &input.meaning));
        }
        Ok(InputSource::Text(text.clone()))
    }

    /// `{ env: NAME }` or `{ file: PATH }`. What stands there may be a secret put in the wrong place: not repeated.
    fn reference(&self, value: Spanned<raw::Value>) -> Result<InputSource> {
        let place = self.place(&value);
        let upper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        match value.value {
            raw::Value::Env(ref name) if name.is_empty() || !name.chars().all(upper) => Err(self
                .wrong(&value, "`env` does not hold the name of a variable")
                .with("expected", "upper-case letters, digits and `_`")
                .hint("write the variable's name, for example { env: ACME_KEY }, never the secret itself")),
            raw::Value::Env(name) => Ok(InputSource::Env { name, place }),
            raw::Value::File(path) => Ok(InputSource::File { path: PathBuf::from(path), place }),
            raw::Value::Text(_) => Err(self.wrong(&value, "expected { env: NAME } or { file: PATH }")),
        }
    }

    fn plain(&self, key: &str, value: Spanned<raw::Value>) -> Result<Spanned<String>> {
        match value.value {
            raw::Value::Text(text) => Ok(Spanned::new(text, value.referenced, value.defined)),
            raw::Value::Env(_) | raw::Value::File(_) => {
                Err(self.wrong(&value, format!("`{key}` must be plain text")))
            }
        }
    }

    fn zone(&self, written: &Spanned<String>) -> Result<Tz> {
        written.value.parse().map_err(|_| {
            let names: Vec<&str> = chrono_tz::TZ_VARIANTS.iter().map(|tz| tz.name()).collect();
            let error = self
                .wrong(written, format!("unknown time zone `{}`", written.value))
                .with("expected", "a name of the IANA list, like Europe/Berlin");
            match told::nearest(&written.value, &names) {
                Some(right) => error.hint(format!("did you mean `{right}`?")),
                None => error,
            }
        })
    }

    /// Without TLS only to this machine, or to a host without a dot (a container): the key would travel in clear.
    fn base_url(&self, written: &Spanned<String>) -> Result<String> {
        let url = written.value.trim_end_matches('/');
        let host = |rest: &str| rest.split(['/', ':']).next().unwrap_or_default().to_owned();
        let loopback = |host: &str| host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback());
        let near = |rest: &str| {
            loopback(&host(rest)) || rest.starts_with("[::1]") || !host(rest).contains(['.', '['])
        };
        match url.split_once("://") {
            Some(("https", rest)) if !host(rest).is_empty() => Ok(url.to_owned()),
            Some(("http", rest)) if !host(rest).is_empty() && near(rest) => Ok(url.to_owned()),
            Some(("http", _)) => Err(self
                .wrong(written, "`base_url` would send the key without encryption")
                .hint("use https://; http:// is only for this machine and for hosts without a dot")),
            _ => Err(self
                .wrong(written, "`base_url` is not a URL")
                .hint("for example http://127.0.0.1:8080/api/v2")),
        }
    }

    fn streams(&self, asked: &[Spanned<String>], known: &[&str]) -> Result<Vec<String>> {
        for stream in asked {
            if !known.contains(&stream.value.as_str()) {
                return Err(told::unknown("stream", &stream.value, known, &self.place(stream)));
            }
        }
        Ok(asked.iter().map(|s| s.value.clone()).collect())
    }

    fn start(&self, written: &Spanned<String>, zone: Tz) -> Result<Timestamp> {
        schedule::moment(zone, &written.value).ok_or_else(|| {
            self.wrong(written, format!("`start` is not a date: `{}`", written.value))
                .hint("for example start: 2023-01-01, or 2023-01-01T00:00:00Z")
        })
    }

    fn destination(&self, written: Spanned<raw::Destination>) -> Result<DestinationSpec> {
        let whole = Spanned::new((), written.referenced, written.defined);
        match (written.value.lake, written.value.postgres) {
            (Some(path), None) => {
                let path = self.plain("lake", path)?;
                if path.value.is_empty() || path.value.contains("://") {
                    return Err(self
                        .wrong(&path, format!("`{}` is not a folder on this machine", path.value))
                        .hint("destination: { lake: ./lake }"));
                }
                Ok(DestinationSpec::Lake { path: PathBuf::from(path.value) })
            }
            (None, Some(url)) => match url.value {
                raw::Value::Text(_) => Err(self
                    .wrong(&url, "the database URL holds a password and must not be written here")
                    .hint("destination: { postgres: { env: DATABASE_URL } }")),
                raw::Value::Env(_) | raw::Value::File(_) => {
                    Ok(DestinationSpec::Postgres { url: self.reference(url)? })
                }
            },
            (Some(_), Some(_)) => Err(self.wrong(&whole, "a pipeline has one destination, not two")),
            (None, None) => Err(self
                .wrong(&whole, "`destination` is empty")
                .hint("destination: { lake: ./lake }, or { postgres: { env: DATABASE_URL } }")),
        }
    }

    fn schedule(&self, written: &raw::Schedule, connection: Tz, name: &str) -> Result<Schedule> {
        let zone = written.time_zone.as_ref().map(|z| self.zone(z)).transpose()?.unwrap_or(connection);
        let jitter = match &written.jitter {
            Some(text) => self.at(text, schedule::duration(&text.value))?,
            None => Duration::ZERO,
        };
        self.at(&written.cron, Schedule::parse(&written.cron.value, zone, jitter, name))
    }

    /// Table by table, field by field.
    fn custom(&self, written: &Pairs<Pairs<Spanned<String>>>) -> Result<Vec<Promotion>> {
        let types = ["text", "int", "bool", "money", "quantity", "rate", "timestamp", "date", "json"];
        let mut promotions = Vec::new();
        for (entity, fields) in &written.0 {
            for (field, word) in &fields.0 {
                let snake = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
                if !field.value.starts_with(|c: char| c.is_ascii_lowercase())
                    || !field.value.chars().all(snake)
                {
                    return Err(self
                        .wrong(field, format!("`{}` cannot be the name of a column", field.value))
                        .with("expected", "lower-case letters, digits and `_`, as in cf_region"));
                }
                let ty = ColumnType::deserialize(
                    IntoDeserializer::<serde::de::value::Error>::into_deserializer(word.value.as_str()),
                );
                let ty = ty.map_err(|_| told::unknown("type", &word.value, &types, &self.place(word)))?;
                promotions.push(Promotion {
                    entity: entity.value.clone(),
                    column: field.value.clone(),
                    ty,
                    place: self.place(field),
                });
            }
        }
        Ok(promotions)
    }

    fn limits(&self, written: Option<&raw::Limits>) -> Result<Limits> {
        let default = Limits::default();
        let share = |key: &str, value: Option<&Spanned<f64>>, default: f64| match value {
            None => Ok(default),
            Some(v) if (0.0..=1.0).contains(&v.value) => Ok(v.value),
            Some(v) => Err(self
                .wrong(v, format!("`{key}` is {}", v.value))
                .with("expected", "a share from 0.0 to 1.0")
                .hint(format!("for 20 percent write {key}: 0.2"))),
        };
        let pace = written.and_then(|l| l.requests_per_minute.as_ref());
        if let Some(v) = pace.filter(|v| v.value == 0) {
            return Err(self.wrong(v, "`requests_per_minute` is 0".to_owned()).with("expected", "1 or more"));
        }
        Ok(Limits {
            requests_per_minute: pace.map(|v| v.value),
            delete_share: share(
                "delete_share",
                written.and_then(|l| l.delete_share.as_ref()),
                default.delete_share,
            )?,
            reject_share: share(
                "reject_share",
                written.and_then(|l| l.reject_share.as_ref()),
                default.reject_share,
            )?,
        })
    }
}

/// The line to write for an input.
fn example(input: &Input) -> String {
    match input.kind {
        InputKind::Secret => format!("write {}: {{ env: {} }}", input.name, input.name.to_uppercase()),
        InputKind::HostLabel | InputKind::Text => format!("write {}: ...", input.name),
    }
}

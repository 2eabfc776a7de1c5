//! Exported checkpoints back in their place. Every fault is told with the path of its key, before anything is changed.
use super::{Exported, change};
use crate::{
    app::project::Project,
    checkpoint::{Checkpoint, FORMAT, Phase},
    error::{Error, Kind, Result},
    load::{Change, Destination, Verb},
    manifest::{Connector, Cursor, Stream},
    pipeline::Pipeline,
    time::{Clock, SystemClock, Timestamp},
    yaml::suggest,
};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;
use std::fmt;

/// Slices of a first load, at most.
const SLICES_MAX: usize = 1_000;

/// What an import did.
#[derive(Debug, Serialize)]
pub struct Imported {
    /// Streams whose checkpoints were replaced.
    pub imported: Vec<String>,
    /// Streams that the file does not name: their checkpoints stayed.
    pub kept: Vec<String>,
    /// What is worth knowing, each with the path of its key.
    pub notes: Vec<String>,
    /// Entry of the journal.
    pub entry: i64,
}

/// Replaces checkpoints by exported ones. Fails `Invalid` for another connection's, an unknown stream, an unknown or
/// doubled key, a checkpoint that does not fit its stream, or a time in the future.
pub async fn import(project: &Project, pipeline: &Pipeline, text: &str) -> Result<Imported> {
    let now = SystemClock.now();
    let exported = read(text)?;
    let owner = (pipeline.owner.tenant.as_str(), pipeline.owner.connection.as_str());
    if (exported.tenant.as_str(), exported.connection.as_str()) != owner {
        return Err(Error::new(Kind::Invalid, "this is the state of another connection")
            .with("exported", format!("{}/{}", exported.tenant, exported.connection))
            .with("pipeline", &pipeline.owner));
    }
    if exported.checkpoints.is_empty() {
        return Err(wrong("checkpoints", "there is no checkpoint in it")
            .hint("tidegate state reset   forgets how far streams are read"));
    }
    let connector = project.connector(pipeline)?;
    let mut notes = Vec::new();
    for (name, checkpoint) in &exported.checkpoints {
        let path = format!("checkpoints.{name}");
        let Some(stream) = connector.streams.iter().find(|s| &s.name == name) else {
            let known = connector.streams.iter().map(|s| s.name.as_str());
            let what = format!("connector `{}` has no stream `{name}`", connector.name);
            return Err(wrong(&path, what).hint(suggest(name, known)));
        };
        fits(&path, stream, checkpoint, now)?;
        notes.extend(worth_knowing(&path, &connector, stream, checkpoint));
    }
    let mut store = project.store(pipeline).await?;
    let opened = store.open(&pipeline.owner, &project.entities(pipeline)?).await?;
    let result = async {
        // What a sweep saw stays where it was seen, so an imported one has to begin anew.
        let plain = |c: &Checkpoint| Some(Checkpoint { asides: Vec::new(), ..c.clone() });
        let to = exported.checkpoints.iter().map(|(stream, c)| (stream.clone(), plain(c))).collect();
        let asked = Change { at: now, verb: Verb::Import, undoes: None, made_with: None, to };
        let entry = change(&mut store, pipeline, &opened, asked).await?;
        let imported = exported.checkpoints.keys().cloned().collect();
        let stayed = opened.checkpoints.keys().filter(|s| !exported.checkpoints.contains_key(*s));
        Ok(Imported { imported, kept: stayed.cloned().collect(), notes, entry })
    };
    let result = result.await;
    store.close().await?;
    result
}

fn wrong(path: &str, what: impl Into<String>) -> Error {
    Error::new(Kind::Invalid, what).with("key", path)
}

/// The document, its keys told apart from what is not understood.
fn read(text: &str) -> Result<Exported> {
    let hint = "tidegate state export writes one";
    let tree: Tree = serde_json::from_str(text)
        .map_err(|e| Error::new(Kind::Invalid, "this is not an exported state").because(e).hint(hint))?;
    if let Some(path) = tree.doubled() {
        return Err(wrong(&path, "a key stands there twice").hint("keep one of the two"));
    }
    let given = tree.value();
    if !given.is_object() {
        return Err(
            Error::new(Kind::Invalid, "this is not an exported state, but another kind of JSON").hint(hint)
        );
    }
    for (name, checkpoint) in given.get("checkpoints").and_then(Value::as_object).into_iter().flatten() {
        readable(&format!("checkpoints.{name}"), checkpoint)?;
    }
    let exported: Exported = serde_json::from_value(given.clone())
        .map_err(|e| Error::new(Kind::Invalid, "this is not an exported state").because(e).hint(hint))?;
    let understood = serde_json::to_value(&exported)
        .map_err(|e| Error::new(Kind::Bug, "a state is always JSON").because(e))?;
    match unknown(&given, &understood) {
        Some(path) => Err(wrong(&path, "this key is not known")
            .hint("a newer tidegate may have written it: import with that one; or take the key out")),
        None => Ok(exported),
    }
}

/// Part by part, so that an error names the part.
fn readable(path: &str, checkpoint: &Value) -> Result<()> {
    let told = |path: String, e: serde_json::Error| wrong(&path, "this is not a checkpoint").because(e);
    if let Some(format) = checkpoint.get("format").and_then(Value::as_u64)
        && format > u64::from(FORMAT)
    {
        return Err(wrong(&format!("{path}.format"), "this state was written by a newer tidegate")
            .with("format", format)
            .with("known", FORMAT)
            .hint("upgrade tidegate"));
    }
    for key in ["phase", "deletes"] {
        let Some(part) = checkpoint.get(key).filter(|part| !part.is_null()) else { continue };
        Phase::deserialize(part).map_err(|e| told(format!("{path}.{key}"), e))?;
    }
    Checkpoint::deserialize(checkpoint).map(drop).map_err(|e| told(path.to_owned(), e))
}

/// The first key that was given and not understood. Empty values may be left out of what is written.
fn unknown(given: &Value, understood: &Value) -> Option<String> {
    let below =
        |name: &str, rest: String| if rest.is_empty() { name.to_owned() } else { format!("{name}.{rest}") };
    let empty = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    match (given, understood) {
        (Value::Object(given), Value::Object(understood)) => {
            given.iter().find_map(|(name, value)| match understood.get(name) {
                Some(known) => unknown(value, known).map(|rest| below(name, rest)),
                None if empty(value) && ["asides", "deletes"].contains(&name.as_str()) => None,
                None => Some(name.clone()),
            })
        }
        (Value::Array(given), Value::Array(understood)) => {
            let mut pairs = given.iter().zip(understood).enumerate();
            pairs
                .find_map(|(i, (value, known))| unknown(value, known).map(|rest| below(&i.to_string(), rest)))
        }
        _ => None,
    }
}

/// Fails `Invalid` for a phase of another kind of cursor, too many slices, or a time in the future or before 1970.
fn fits(path: &str, stream: &Stream, checkpoint: &Checkpoint, now: Timestamp) -> Result<()> {
    let scans = matches!(stream.cursor, Cursor::Snapshot { .. });
    let fit = match &checkpoint.phase {
        Phase::FirstLoad { .. } | Phase::Windows { .. } => !scans,
        Phase::Snapshot { complete } => scans || complete.is_none(),
    };
    if !fit {
        let reads = if scans { "is read whole each time" } else { "is read in windows of time" };
        return Err(wrong(
            &format!("{path}.phase.kind"),
            format!("`{}` {reads}: this phase does not fit it", stream.name),
        )
        .hint("take the stream out of the file; its next sync reads it from the beginning"));
    }
    let phases = [("phase", Some(&checkpoint.phase)), ("deletes", checkpoint.deletes.as_ref())];
    for (key, phase) in phases.into_iter().filter_map(|(key, phase)| Some((key, phase?))) {
        let (word, time, slices) = match phase {
            Phase::FirstLoad { signpost, slices } => ("signpost", Some(*signpost), slices.len()),
            Phase::Windows { watermark, .. } => ("watermark", Some(*watermark), 0),
            Phase::Snapshot { complete } => ("complete", *complete, 0),
        };
        if let Some(time) = time.filter(|time| *time > now) {
            let what = "this time lies in the future: nothing that changes until then would be read";
            return Err(wrong(&format!("{path}.{key}.{word}"), what).with("time", time).with("now", now));
        }
        if let Some(time) = time.filter(|time| *time < Timestamp(0)) {
            return Err(wrong(&format!("{path}.{key}.{word}"), "this time is before 1970").with("time", time));
        }
        if slices > SLICES_MAX {
            let what = format!("a first load has at most {SLICES_MAX} slices, not {slices}");
            return Err(wrong(&format!("{path}.{key}.slices"), what));
        }
    }
    Ok(())
}

/// What is in order and yet changes what the next sync does.
fn worth_knowing(path: &str, connector: &Connector, stream: &Stream, checkpoint: &Checkpoint) -> Vec<String> {
    let mut notes = Vec::new();
    if checkpoint.format < FORMAT {
        notes.push(format!("{path}.format: written by an older tidegate, and read as what this one writes"));
    }
    if checkpoint.connector_hash != connector.hash {
        notes.push(format!(
            "{path}.connector_hash: written with another connector.yaml; what was half read begins anew, the watermark stays"
        ));
    }
    if checkpoint.deletes.is_some() && stream.deletes.is_none() {
        notes.push(format!("{path}.deletes: nothing tells of deletes of this stream now; it is not used"));
    }
    if !checkpoint.asides.is_empty() {
        notes.push(format!("{path}.asides: left out; a sweep or backfill begins anew"));
    }
    notes
}

/// JSON that remembers a key given twice.
enum Tree {
    Object(Vec<(String, Tree)>),
    List(Vec<Tree>),
    Leaf(Value),
}

impl Tree {
    /// The path of the first key that stands twice in its object.
    fn doubled(&self) -> Option<String> {
        match self {
            Self::Object(members) => members.iter().enumerate().find_map(|(i, (name, value))| {
                let before = members.iter().take(i).any(|(other, _)| other == name);
                if before { Some(name.clone()) } else { value.doubled().map(|rest| format!("{name}.{rest}")) }
            }),
            Self::List(all) => {
                let mut all = all.iter().enumerate();
                all.find_map(|(i, value)| value.doubled().map(|rest| format!("{i}.{rest}")))
            }
            Self::Leaf(_) => None,
        }
    }
    fn value(self) -> Value {
        match self {
            Self::Object(members) => {
                Value::Object(members.into_iter().map(|(name, value)| (name, value.value())).collect())
            }
            Self::List(all) => Value::Array(all.into_iter().map(Self::value).collect()),
            Self::Leaf(value) => value,
        }
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_bool<E>(self, v: bool) -> Result<Tree, E> {
        Ok(Tree::Leaf(v.into()))
    }
    fn visit_i64<E>(self, v: i64) -> Result<Tree, E> {
        Ok(Tree::Leaf(v.into()))
    }
    fn visit_u64<E>(self, v: u64) -> Result<Tree, E> {
        Ok(Tree::Leaf(v.into()))
    }
    fn visit_f64<E>(self, v: f64) -> Result<Tree, E> {
        Ok(Tree::Leaf(v.into()))
    }
    fn visit_str<E>(self, v: &str) -> Result<Tree, E> {
        Ok(Tree::Leaf(v.into()))
    }
    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Leaf(Value::Null))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
        let mut all = Vec::new();
        while let Some(one) = seq.next_element()? {
            all.push(one);
        }
        Ok(Tree::List(all))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Tree::Object(members))
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

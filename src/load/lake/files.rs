//! The only door to the file system: every effect is durable, names its path when it fails, and can be watched.
//!
//! Absent on purpose: what the files mean.
use crate::error::{Error, Kind, Result};
use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

/// One effect on the file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect<'a> {
    /// A folder is made.
    Folder(&'a Path),
    /// A file is made or emptied, to be written.
    Create(&'a Path),
    /// A written file reaches the disk.
    Sync(&'a Path),
    /// A file takes another's place.
    Rename {
        /// Until now.
        from: &'a Path,
        /// From now on.
        to: &'a Path,
    },
    /// Names in a folder reach the disk.
    SyncFolder(&'a Path),
    /// A file, or an empty folder, goes.
    Remove(&'a Path),
}

/// Sees every effect before and after it takes hold, and may fail it: how a full disk and a dying process are tried.
pub trait Watch: Send + Sync {
    /// An error prevents the effect.
    fn before(&self, effect: Effect<'_>) -> io::Result<()>;
    /// An error stands for a process that died after the effect.
    fn after(&self, effect: Effect<'_>) -> io::Result<()>;
}

/// The file system, optionally watched.
#[derive(Clone, Default)]
pub struct Files(Option<Arc<dyn Watch>>);

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Files").field(&self.0.is_some()).finish()
    }
}

impl Files {
    /// Every effect is shown to `watch`.
    pub fn watched(watch: Arc<dyn Watch>) -> Self {
        Self(Some(watch))
    }
    fn act<T>(&self, path: &Path, effect: Effect<'_>, act: impl FnOnce() -> io::Result<T>) -> Result<T> {
        let outcome = match &self.0 {
            None => act(),
            Some(watch) => watch.before(effect).and_then(|()| act()).and_then(|done| {
                watch.after(effect)?;
                Ok(done)
            }),
        };
        outcome.map_err(|e| failed("write", path, e))
    }
    /// Makes a folder and those above it, each durable in its parent.
    pub(super) fn folder(&self, path: &Path) -> Result<()> {
        if path.as_os_str().is_empty() || path.is_dir() {
            return Ok(());
        }
        if let Some(above) = path.parent() {
            self.folder(above)?;
        }
        self.act(path, Effect::Folder(path), || match fs::create_dir(path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Err(io::ErrorKind::NotADirectory.into()),
            other => other,
        })?;
        path.parent().map_or(Ok(()), |above| self.sync_folder(above))
    }
    /// Makes the names in a folder durable.
    pub(super) fn sync_folder(&self, path: &Path) -> Result<()> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        self.act(path, Effect::SyncFolder(path), || File::open(path)?.sync_all())
    }
    /// A new file beside `path`, written under a temporary name; its folder is made when missing. Drafts of one path
    /// that live at the same time have different tags.
    pub(super) fn create(&self, path: &Path, tag: &str) -> Result<Draft> {
        if let Some(folder) = path.parent() {
            self.folder(folder)?;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = path.with_file_name(format!(".{name}{tag}.tmp"));
        let file = self.act(&temporary, Effect::Create(&temporary), || File::create(&temporary))?;
        Ok(Draft { files: self.clone(), path: path.to_owned(), temporary, to: BufWriter::new(file) })
    }
    /// Puts a finished draft in its place. Durable only after `sync_folder`.
    pub(super) fn place(&self, finished: &Finished) -> Result<()> {
        let (from, to) = (finished.temporary.as_path(), finished.path.as_path());
        self.act(to, Effect::Rename { from, to }, || fs::rename(from, to))
    }
    /// Replaces `path` by `bytes`, durably, in one step.
    pub(super) fn replace(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let mut draft = self.create(path, "")?;
        draft.to.write_all(bytes).map_err(|e| failed("write", path, e))?;
        self.place(&draft.finish()?)?;
        self.sync_folder(path.parent().unwrap_or(Path::new(".")))
    }
    /// Removes a file or an empty folder; one that is not there is fine.
    pub(super) fn remove(&self, path: &Path) -> Result<()> {
        let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
        self.act(path, Effect::Remove(path), || {
            if found.is_dir() { fs::remove_dir(path) } else { fs::remove_file(path) }
        })
    }
    /// What a folder holds, by name; empty when it is not there.
    pub(super) fn list(&self, path: &Path) -> Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|e| failed("list", path, e))?,
        };
        let mut found = Vec::new();
        for entry in entries {
            found.push(entry.map_err(|e| failed("list", path, e))?.path());
        }
        found.sort();
        Ok(found)
    }
    /// The whole file; None when it is not there.
    pub(super) fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        match fs::read(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            other => other.map(Some).map_err(|e| failed("read", path, e)),
        }
    }
    /// Opens a file that must be there.
    pub(super) fn open(&self, path: &Path) -> Result<File> {
        File::open(path).map_err(|e| failed("read", path, e))
    }
    /// A file to be locked; made when missing, never emptied.
    pub(super) fn lock_file(&self, path: &Path) -> Result<File> {
        if let Some(folder) = path.parent() {
            self.folder(folder)?;
        }
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        options.open(path).map_err(|e| failed("write", path, e))
    }
}

/// A file being written under a temporary name.
pub(super) struct Draft {
    files: Files,
    path: PathBuf,
    temporary: PathBuf,
    pub(super) to: BufWriter<File>,
}

/// A written, durable file that still has its temporary name.
#[derive(Clone, Debug)]
pub(super) struct Finished {
    pub(super) path: PathBuf,
    pub(super) temporary: PathBuf,
    pub(super) bytes: u64,
}

impl Draft {
    /// Everything written reaches the disk.
    pub(super) fn finish(self) -> Result<Finished> {
        let Self { files, path, temporary, to } = self;
        let file = to.into_inner().map_err(|e| failed("write", &path, e.into_error()))?;
        files.act(&path, Effect::Sync(&temporary), || file.sync_all())?;
        let bytes = file.metadata().map_err(|e| failed("read", &path, e))?.len();
        Ok(Finished { path, temporary, bytes })
    }
}

/// The error of a refused effect: the path, the system's reason, and what to do.
pub(super) fn failed(act: &str, path: &Path, reason: io::Error) -> Error {
    let hint = match reason.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space and run the sync again; what was there before is intact"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "let this user write there, or set another `destination` in the pipeline"
        }
        _ => "look at the path and run the sync again; what was there before is intact",
    };
    Error::new(Kind::Destination, format!("cannot {act} a file of the lake"))
        .with("path", path.display())
        .hint(hint)
        .because(reason)
}

//! Variables, `.env` and secret files.
use std::{collections::BTreeMap, fs, path::PathBuf};
use tidegate::config::{Environment, InputSource, Place};

fn env(
    dotenv: Option<&str>,
    real: &[(&str, &str)],
) -> (tempfile::TempDir, tidegate::error::Result<Environment>) {
    let folder = tempfile::tempdir().unwrap();
    if let Some(text) = dotenv {
        fs::write(folder.path().join(".env"), text).unwrap();
    }
    let real: BTreeMap<String, String> = real.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
    let env = Environment::of(folder.path(), real);
    (folder, env)
}

fn variable(name: &str) -> InputSource {
    InputSource::Env { name: name.into(), place: Place { file: "pipelines/acme.yaml".into(), line: 7 } }
}

#[test]
fn a_real_variable_wins_over_dotenv() {
    let text = "# keys\nA=from file\nexport B='quoted # text'\n\nC=\"x=y\"\n";
    let (_folder, env) = env(Some(text), &[("A", "real")]);
    let env = env.unwrap();
    assert_eq!(
        [env.get("A"), env.get("B"), env.get("C"), env.get("D")],
        [Some("real"), Some("quoted # text"), Some("x=y"), None]
    );
}

#[test]
fn a_missing_variable_names_itself_and_who_asked() {
    let (_folder, env) = env(None, &[("EMPTY", "")]);
    let env = env.unwrap();
    let error = env.secret(&variable("ACME_KEY")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "environment variable ACME_KEY is not set (needed by pipelines/acme.yaml:7)"
    );
    assert_eq!(error.next(), Some("export ACME_KEY=...   (or write ACME_KEY=... into .env)"));
    let error = env.secret(&variable("EMPTY")).unwrap_err();
    assert_eq!(error.to_string(), "environment variable EMPTY is empty (needed by pipelines/acme.yaml:7)");
}

#[test]
fn a_secret_file_is_read_below_the_project_without_its_line_break() {
    let (folder, env) = env(None, &[]);
    let env = env.unwrap();
    let source = |path: &str| InputSource::File { path: PathBuf::from(path), place: Place::default() };
    fs::write(folder.path().join("key"), "s3cr3t\n").unwrap();
    fs::write(folder.path().join("empty"), "\n").unwrap();
    assert_eq!(env.secret(&source("key")).unwrap().expose(), "s3cr3t");
    assert!(env.secret(&source("empty")).unwrap_err().to_string().contains("is empty"));
    assert!(env.secret(&source("absent")).unwrap_err().to_string().contains("cannot read"));
}

#[test]
fn a_broken_dotenv_names_the_line_and_not_the_value() {
    let (_folder, env) = env(Some("A=1\ns3cr3t value\n"), &[]);
    let error = env.map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "expected `NAME=value` (at .env:2)");
}

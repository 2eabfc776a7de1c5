//! The house rules that no compiler holds: who may use whom, how long things are, what files are called.
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Lowest first. A module may use modules of earlier rows only.
const LAYERS: &[&[&str]] = &[
    // Words. `time` and `id` may use `error`, and so on: one vocabulary.
    &["error"],
    &["time", "id", "secret"],
    &["yaml"],
    &["wire", "config", "telemetry"],
    // Pure.
    &["checkpoint"],
    &["decode"],
    &["entity"],
    &["audit"],
    &["manifest"],
    &["schedule"],
    &["pipeline"],
    &["extract"],
    &["normalize"],
    // IO: siblings never see each other.
    &["http", "load", "engine"],
    // Drive.
    &["sync"],
    &["model"],
    // The simulated world.
    &["sim"],
    // Verbs.
    &["app"],
    // Faces.
    &["cli"],
];

/// What only these may use: everything durable goes through a sync or a verb.
const RESERVED: &[(&str, &[&str])] = &[("load", &["sync", "model", "app"])];

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;
const NAMES_REFUSED: [&str; 5] = ["util", "utils", "helpers", "common", "misc"];

struct Source {
    /// Below `src`.
    path: String,
    text: String,
}

impl Source {
    fn module(&self) -> &str {
        self.path.split(['/', '.']).next().unwrap()
    }
    /// Without comments.
    fn code(&self) -> String {
        self.text.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
    }
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    files(&root, &mut found);
    found.sort();
    let source = |path: &PathBuf| Source {
        path: path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(),
        text: fs::read_to_string(path).unwrap(),
    };
    let sources: Vec<Source> = found.iter().map(source).collect();
    assert!(sources.len() > 10, "the sources were not found");
    sources
}

fn layer(module: &str) -> usize {
    let found = LAYERS.iter().position(|row| row.contains(&module));
    found.unwrap_or_else(|| panic!("module `{module}` has no layer: add it to LAYERS in tests/tidy.rs"))
}

/// Top-level modules named after `crate::`, in groups too.
fn uses(code: &str) -> BTreeSet<String> {
    let word =
        |s: &str| s.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = BTreeSet::new();
    for tail in code.split("crate::").skip(1) {
        let Some(group) = tail.strip_prefix('{') else {
            found.insert(word(tail));
            continue;
        };
        let (mut depth, mut start) = (0, 0);
        for (i, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                '}' => {
                    found.insert(word(&group[start..i]));
                    break;
                }
                ',' if depth == 0 => {
                    found.insert(word(&group[start..i]));
                    start = i + 1;
                }
                _ => {}
            }
        }
    }
    found.retain(|m| m.chars().next().is_some_and(char::is_lowercase));
    found
}

/// Why `module` may not use `used`.
fn wrong_use(module: &str, used: &str) -> Option<&'static str> {
    if used == module {
        return None;
    }
    if layer(used) >= layer(module) {
        return Some("a later row, or a sibling");
    }
    let reserved = RESERVED.iter().any(|(what, by)| *what == used && !by.contains(&module));
    reserved.then_some("reserved")
}

/// Functions longer than allowed, as (name, lines). Test modules do not count.
fn long_functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().take_while(|l| !l.starts_with("#[cfg(test)]")).collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let Some((before, after)) = code.split_once("fn ") else { continue };
        let keywords = ["pub", "pub(crate)", "pub(super)", "async", "const"];
        if !before.split_whitespace().all(|w| keywords.contains(&w)) {
            continue;
        }
        let indent = &line[..line.len() - code.len()];
        let ends = |l: &&str| {
            l.strip_prefix(indent).is_some_and(|l| l.starts_with('}') || l.ends_with(';') && l == code)
        };
        let length = lines[start..].iter().position(ends).map_or(0, |end| end + 1);
        if length > FUNCTION_LINES_MAX && !code.ends_with(';') && !code.ends_with('}') {
            let name = after.split(['(', '<']).next().unwrap().to_owned();
            found.push((name, length));
        }
    }
    found
}

#[test]
fn dependencies_point_down() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|s| !["lib", "main"].contains(&s.module())) {
        for used in uses(&source.code()) {
            if let Some(why) = wrong_use(source.module(), &used) {
                wrong.push(format!("src/{}: must not use `{used}` ({why})", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_and_functions_are_short() {
    let mut wrong = Vec::new();
    for source in sources() {
        let lines = source.text.lines().count();
        if lines > FILE_LINES_MAX && !source.text.lines().any(|l| l == "//! Data only.") {
            wrong.push(format!("src/{}: {lines} lines, at most {FILE_LINES_MAX}", source.path));
        }
        for (name, lines) in long_functions(&source.text) {
            wrong.push(format!(
                "src/{}: `{name}` has {lines} lines, at most {FUNCTION_LINES_MAX}",
                source.path
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_answers_and_has_a_telling_name() {
    let mut wrong = Vec::new();
    for source in sources() {
        if !source.text.starts_with("//! ") {
            wrong.push(format!("src/{}: begin with a `//!` header", source.path));
        }
        if source.path.split(['/', '.']).any(|part| NAMES_REFUSED.contains(&part)) {
            wrong.push(format!("src/{}: name the file after what it answers", source.path));
        }
        if source.code().contains("#[allow(") || source.code().contains("#![allow(") {
            wrong.push(format!("src/{}: write #[expect(lint, reason = \"..\")]", source.path));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_test_file_is_part_of_the_one_binary() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let main = fs::read_to_string(tests.join("main.rs")).unwrap();
    let mut areas = 0;
    for entry in fs::read_dir(&tests).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let is_area = path.extension().is_some_and(|e| e == "rs") || path.join("mod.rs").exists();
        if is_area && name != "main" {
            assert!(main.lines().any(|l| l == format!("mod {name};")), "tests/main.rs lacks `mod {name};`");
            areas += 1;
        }
    }
    assert!(areas > 0);
}

/// Top-level modules that there are.
fn modules() -> BTreeSet<String> {
    sources()
        .iter()
        .map(|s| s.module().to_owned())
        .filter(|m| !["lib", "main"].contains(&m.as_str()))
        .collect()
}

#[test]
fn every_layer_is_a_module_and_stands_in_the_map() {
    let layers: BTreeSet<String> =
        LAYERS.iter().flat_map(|row| row.iter().map(|m| (*m).to_owned())).collect();
    assert_eq!(layers, modules());
    for (module, by) in RESERVED {
        assert!(std::iter::once(module).chain(*by).all(|m| layers.contains(*m)), "{module} for {by:?}");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let map = text.split("```").nth(1).unwrap();
    let word = |c: char| !c.is_alphanumeric() && c != '_';
    let words: BTreeSet<&str> = map.split(word).collect();
    assert!(layers.iter().all(|m| words.contains(m.as_str())), "the map lacks one of {layers:?}");
    for entry in
        fs::read_dir(root.join("pipelines")).unwrap().map(Result::unwrap).filter(|e| e.path().is_dir())
    {
        let folder = entry.file_name().into_string().unwrap();
        assert!(words.contains(folder.as_str()), "the map lacks pipelines/{folder}");
    }
}

/// Where a float may stand: shares, paces, minutes, and columns of a user's query.
const FLOATS: &[&str] = &[
    "app/plan.rs",
    "app/project.rs",
    "app/repair.rs",
    "app/state/import.rs",
    "app/status.rs",
    "load/fold.rs",
    "load/mod.rs",
    "load/postgres/decode.rs",
    "load/postgres/scan.rs",
    "pipeline/mod.rs",
    "pipeline/prove.rs",
    "pipeline/raw.rs",
    "pipeline/told.rs",
    "sync/batch.rs",
    "sync/job.rs",
];

#[test]
fn floats_stand_only_where_no_money_is() {
    let word = |c: char| !c.is_alphanumeric() && c != '_';
    let floats = |s: &&Source| s.code().split(word).any(|w| w == "f64" || w == "f32");
    let found: Vec<String> = sources().iter().filter(floats).map(|s| s.path.clone()).collect();
    assert_eq!(found, FLOATS, "a float in a new file: say in ARCHITECTURE.md why it holds no money");
}

/// Where SQL is put together from parts.
const SQL_MADE: &[&str] = &[
    "app/export.rs",
    "app/prove/mod.rs",
    "app/report.rs",
    "load/postgres/generated.rs",
    "load/postgres/session.rs",
    "load/postgres/views.rs",
    "model.rs",
];

/// Whether a macro that formats text begins with a word of SQL.
fn makes_sql(code: &str) -> bool {
    let verbs =
        ["select ", "insert ", "delete ", "update ", "create ", "alter ", "drop ", "with ", "set local "];
    let formats = ["format!(", "write!(", "writeln!("].into_iter().flat_map(|name| code.split(name).skip(1));
    formats.into_iter().any(|tail| {
        let target = |c: char| c.is_alphanumeric() || c.is_whitespace() || "_,&".contains(c);
        let text = tail.trim_start_matches(target).strip_prefix('"');
        text.is_some_and(|t| {
            verbs.iter().any(|verb| t.trim_start_matches(['\\', '\n', ' ']).starts_with(verb))
        })
    })
}

#[test]
fn sql_is_put_together_only_where_architecture_says() {
    assert!(
        makes_sql("let a = format!(\n    \"select {x}\");") && makes_sql("writeln!(out, \"drop view {v}\")")
    );
    assert!(!makes_sql("format!(\"selected {x}\")") && !makes_sql("let a = \"select 1\";"));
    let found: Vec<String> =
        sources().iter().filter(|s| makes_sql(&s.code())).map(|s| s.path.clone()).collect();
    assert_eq!(found, SQL_MADE);
}

/// Names of functions that a file offers to others.
fn offered(code: &str) -> impl Iterator<Item = &str> {
    let starts = ["pub fn ", "pub async fn ", "pub const fn "];
    let rest = move |line: &'_ str| {
        starts.iter().find_map(|start| line.trim_start().strip_prefix(start).map(str::len))
    };
    let tails = code.lines().filter_map(move |line| line.get(line.len() - rest(line)?..));
    tails.filter_map(|tail| tail.split(['(', '<']).next())
}

#[test]
fn every_public_function_is_called_from_another_file() {
    let word = |c: char| !c.is_alphanumeric() && c != '_';
    let mut paths = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"), &mut paths);
    let tests: Vec<String> = paths.iter().map(|p| fs::read_to_string(p).unwrap()).collect();
    let sources = sources();
    let codes: Vec<(String, String)> = sources.iter().map(|s| (s.path.clone(), s.code())).collect();
    let mut callers: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let tested = tests.iter().map(|text| ("tests", text));
    for (path, text) in codes.iter().map(|(path, text)| (path.as_str(), text)).chain(tested) {
        for name in text.split(word) {
            callers.entry(name).or_default().insert(path);
        }
    }
    let lonely = |path: &str, name: &str| callers[name].iter().all(|caller| *caller == path);
    let mut count = 0;
    let mut wrong = Vec::new();
    for (path, code) in &codes {
        for name in offered(code) {
            count += 1;
            if lonely(path, name) {
                wrong.push(format!("src/{path}: nobody else calls `{name}`"));
            }
        }
    }
    assert!(count > 300, "{count}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_rules_can_be_broken() {
    let names = |code: &str| uses(code).into_iter().collect::<Vec<_>>().join(" ");
    assert_eq!(names("use crate::{a::{B, c}, d, e::F};\ncrate::g::h(); crate::Upper"), "a d e g");
    assert_eq!(wrong_use("http", "load"), Some("a later row, or a sibling"));
    assert_eq!(wrong_use("decode", "extract"), Some("a later row, or a sibling"));
    assert_eq!(wrong_use("cli", "load"), Some("reserved"));
    assert_eq!(wrong_use("sync", "load"), None);
    let body = "        let x = 1;\n".repeat(69);
    let long =
        format!("impl A {{\n    pub async fn slow(\n{body}    ) {{\n    }}\n    fn short() {{\n    }}\n}}\n");
    assert_eq!(long_functions(&long), [("slow".to_owned(), 72)]);
    assert_eq!(long_functions(&long.replace("69", "").replace(&body, "")), []);
}

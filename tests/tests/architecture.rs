//! What ARCHITECTURE.md promises about the code, checked against the code. Subjects are found, not
//! listed: a new crate, file or document is covered from its first day.

use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Longest source file, in lines.
const FILE_LINES_MAX: usize = 600;
/// Longest source line, in characters: rustfmt's 100, which it exceeds now and then.
const LINE_CHARS_MAX: usize = 102;

/// Which crate may know which. To add an edge, write an ADR that says why and change this list.
const EDGES: &[(&str, &[&str])] = &[
    ("chiasm-proto", &[]),
    ("chiasm-drivers", &["chiasm-proto"]),
    ("chiasm-gateway", &["chiasm-drivers", "chiasm-proto"]),
    ("chiasm-cloud", &["chiasm-drivers", "chiasm-proto"]),
    ("chiasm-testbed", &["chiasm-cloud", "chiasm-drivers", "chiasm-gateway", "chiasm-proto"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ stands in the root").into()
}

/// All files that git knows or would take, as paths from the root.
fn files() -> Vec<String> {
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(root());
    let listed = match git.output() {
        Ok(output) if output.status.success() => String::from_utf8(output.stdout).unwrap(),
        _ => walk(&root(), &root()).join("\n"),
    };
    listed.lines().filter(|path| root().join(path).is_file()).map(Into::into).collect()
}

/// For a copy of the tree without git.
fn walk(folder: &Path, root: &Path) -> Vec<String> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && name != ".git" {
            paths.extend(walk(&path, root));
        } else if path.is_file() {
            paths.push(path.strip_prefix(root).unwrap().to_string_lossy().into_owned());
        }
    }
    paths
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Product source files of a folder: no tests beside the code, no fixtures.
fn sources(folder: &str) -> Vec<String> {
    let is_source = |path: &String| path.starts_with(folder) && path.ends_with(".rs");
    files().into_iter().filter(is_source).collect()
}

/// The lines of code up to the tests at the end of the file, without comments.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(index, line)| (index + 1, line))
}

fn metadata() -> Value {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--no-deps", "--format-version", "1", "--offline"]);
    let output = cargo.current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn crates_know_only_what_they_may() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let known: BTreeSet<&str> = package["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .map(|dependency| dependency["name"].as_str().unwrap())
            .filter(|dependency| dependency.starts_with("chiasm-"))
            .collect();
        let (_, allowed) = EDGES
            .iter()
            .find(|(of, _)| *of == name)
            .unwrap_or_else(|| panic!("{name} is a new crate: add it to EDGES and say why"));
        let allowed: BTreeSet<&str> = allowed.iter().copied().collect();
        let forbidden: Vec<_> = known.difference(&allowed).collect();
        assert!(forbidden.is_empty(), "{name} must not know {forbidden:?}");
    }
    assert_eq!(packages.len(), EDGES.len(), "EDGES names a crate that is gone");
}

/// Every use of a crate in product code, as `file:line`.
fn uses(folder: &str, crate_name: &str) -> Vec<(String, usize)> {
    let path = format!("{crate_name}::");
    let import = format!("use {crate_name}");
    let mut found = Vec::new();
    for file in sources(folder) {
        for (number, line) in code_lines(&read(&file)) {
            let is_use = line.contains(&import) || line.contains(&path);
            let is_longer_name = line.contains(&format!("_{path}"));
            if is_use && !is_longer_name {
                found.push((file.clone(), number));
            }
        }
    }
    found
}

#[test]
fn each_library_stands_in_its_place() {
    let places: &[(&str, &str, &[&str])] = &[
        ("cloud/src/", "sqlx", &["cloud/src/store/"]),
        ("gateway/src/", "sqlx", &["gateway/src/spool/", "gateway/src/instances/"]),
        ("cloud/src/", "axum", &["cloud/src/http/", "cloud/src/http.rs"]),
        ("gateway/src/", "axum", &["gateway/src/lane_page/http/"]),
        ("device-drivers/src/", "tokio", &[]),
        ("device-drivers/src/", "sqlx", &[]),
        ("proto/src/", "tokio", &[]),
        ("proto/src/", "sqlx", &[]),
    ];
    for (folder, library, allowed) in places {
        for (file, line) in uses(folder, library) {
            assert!(
                allowed.iter().any(|place| file.starts_with(place)),
                "{file}:{line} uses {library}, which belongs under {allowed:?}"
            );
        }
    }
}

#[test]
fn wrapped_libraries_stand_in_one_file() {
    for (folder, library) in
        [("gateway/src/", "rumqttc"), ("cloud/src/", "rumqttc"), ("gateway/src/", "tokio_serial")]
    {
        let files: BTreeSet<String> =
            uses(folder, library).into_iter().map(|(file, _)| file).collect();
        assert!(files.len() <= 1, "{library} is wrapped by one file of {folder}, not {files:?}");
    }
}

#[test]
fn drivers_and_wire_words_do_no_io_and_read_no_clock() {
    let forbidden =
        ["std::fs", "std::net", "std::env", "std::process", "Instant::now", "SystemTime::now"];
    for file in sources("device-drivers/src/").into_iter().chain(sources("proto/src/")) {
        // The golden tests read fixtures; the file is compiled for tests only.
        if file.contains("/golden") || file.contains("/tests") {
            continue;
        }
        for (number, line) in code_lines(&read(&file)) {
            for word in forbidden {
                assert!(!line.contains(word), "{file}:{number}: {word} does not belong here");
            }
        }
    }
}

#[test]
fn topics_are_built_and_parsed_in_one_file() {
    for folder in ["proto/src/", "device-drivers/src/", "gateway/src/", "cloud/src/"] {
        for file in sources(folder) {
            if file == "proto/src/topic.rs" {
                continue;
            }
            for (number, line) in code_lines(&read(&file)) {
                assert!(!line.contains("chiasm/v1"), "{file}:{number}: use chiasm_proto::topic");
            }
        }
    }
}

#[test]
fn files_stay_small_enough_to_read() {
    let mut offenders = Vec::new();
    for path in files() {
        let is_source = [".rs", ".js", ".css", ".html", ".sql", ".sh"]
            .iter()
            .any(|extension| path.ends_with(extension));
        if !is_source || path.contains("/fixtures/") {
            continue;
        }
        let text = read(&path);
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            offenders.push(format!("{path}: {lines} lines; split it by noun"));
        }
        let mut is_table_of_cases = false;
        for (index, line) in text.lines().enumerate().filter(|_| path.ends_with(".rs")) {
            let chars = line.chars().count();
            is_table_of_cases |= line.trim() == "#[rustfmt::skip]";
            is_table_of_cases &= line.trim() != "};";
            let is_row = line.starts_with("//! |") || is_table_of_cases;
            if chars > LINE_CHARS_MAX && !is_row {
                offenders.push(format!("{path}:{}: {chars} characters", index + 1));
            }
        }
    }
    assert!(offenders.is_empty(), "{}", offenders.join("\n"));
}

#[test]
fn unsafe_code_stands_in_few_places() {
    let places = [
        "gateway/src/clock.rs",
        "gateway/src/link/line_errors.rs",
        "tests/src/process.rs",
        "tests/src/pty.rs",
    ];
    for file in sources("") {
        let has_it = code_lines(&read(&file)).any(|(_, line)| line.contains("unsafe {"));
        let may = places.contains(&file.as_str()) || file == "tests/tests/architecture.rs";
        assert!(!has_it || may, "{file} has unsafe code: find a safe way, or say why and add it");
    }
}

#[test]
fn nothing_is_left_half_done() {
    let words = ["todo!(", "unimplemented!(", "dbg!(", "#[ignore"];
    for file in files().into_iter().filter(|path| path.ends_with(".rs")) {
        if file == "tests/tests/architecture.rs" {
            continue;
        }
        for (index, line) in read(&file).lines().enumerate() {
            for word in words {
                assert!(!line.contains(word), "{file}:{}: {word}", index + 1);
            }
        }
    }
}

/// A path in a document is a word in backticks that begins with one of our folders, or stands alone
/// as the name of a file in the root.
#[test]
fn paths_in_documents_exist() {
    let files = files();
    let folders: BTreeSet<&str> =
        files.iter().filter_map(|path| path.split_once('/')).map(|(first, _)| first).collect();
    for document in files.iter().filter(|path| path.ends_with(".md")) {
        if document.contains("/fixtures/") || document == "CHANGELOG.md" {
            continue;
        }
        for (index, line) in read(document).lines().enumerate() {
            for word in line.split('`').skip(1).step_by(2) {
                let first = word.split('/').next().unwrap_or_default();
                let is_path = word.contains('/')
                    && folders.contains(first)
                    && !word.contains([' ', '*', '{', '<', '…', '$']);
                let exists = root().join(word.trim_end_matches('/')).exists();
                assert!(!is_path || exists, "{document}:{}: `{word}` does not exist", index + 1);
            }
        }
    }
}

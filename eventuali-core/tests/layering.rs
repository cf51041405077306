//! A module imports only modules of lower levels, and no backend knows another.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Modules of one level do not know each other.
const LEVELS: &[&[&str]] = &[
    &["checksum", "clock", "id", "span"],
    &["error"],
    &["limits", "name", "text", "verify"],
    &["record", "statement", "stream", "usage"],
    &["event"],
    &["query"],
    &["commit"],
    &["storage", "url"],
    &["backend", "layer"],
    &["contract", "store"],
    &["service"],
];

fn level(module: &str) -> usize {
    let found = LEVELS.iter().position(|modules| modules.contains(&module));
    found.unwrap_or_else(|| panic!("give `{module}` a level in {}", file!()))
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let entries = directory.read_dir().unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// Every `crate::…` path of a file, without the `crate::`. Macros live at the root, whoever made them.
fn imports(text: &str) -> Vec<&str> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split("crate::").skip(1))
        .map(|rest| {
            let end = rest.find(|c: char| !c.is_alphanumeric() && !"_:".contains(c));
            rest.split_at(end.unwrap_or(rest.len()))
        })
        .filter_map(|(path, after)| (!after.starts_with(['!', '$'])).then_some(path))
        .collect()
}

#[test]
fn a_module_imports_only_lower_levels() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for path in sources(&root) {
        let relative = path.strip_prefix(&root).unwrap().with_extension("");
        let place: Vec<&str> = relative.iter().map(|part| part.to_str().unwrap()).collect();
        let text = std::fs::read_to_string(&path).unwrap();
        let own = place[0];
        for hidden in ["crate::{", "crate::*", "super::super::"] {
            assert!(!text.contains(hidden), "{}: write paths without `{hidden}`", path.display());
        }
        for import in imports(&text) {
            let mut parts = import.split("::");
            let (module, inner) = (parts.next().unwrap(), parts.next().unwrap_or_default());
            let is_backend = root.join("backend").join(inner).is_dir() && !inner.is_empty();
            let allowed = if own == "lib" {
                true
            } else if own == "backend" && module == "backend" {
                place.get(1) == Some(&inner) || inner == "sql" || !is_backend
            } else {
                own == module || level(module) < level(own)
            };
            if !allowed {
                wrong.push(format!("{} imports crate::{import}", relative.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The files of one folder that a file uses, by `super::…`, its unit tests left out.
fn siblings(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    let mut found = Vec::new();
    for after in code.split("super::").skip(1) {
        let listed = match after.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap(),
            None => after,
        };
        let names = listed.split(',').take(if after.starts_with('{') { usize::MAX } else { 1 });
        for name in names {
            let name = name.trim().split(|c: char| !c.is_alphanumeric() && c != '_').next();
            found.push(name.unwrap().to_owned());
        }
    }
    found
}

/// A way from a file back to itself.
fn circle<'a>(files: &'a BTreeMap<String, Vec<String>>, way: &mut Vec<&'a str>) -> bool {
    for next in &files[*way.last().unwrap()] {
        if !files.contains_key(next) {
            continue;
        }
        if let Some(begin) = way.iter().position(|file| file == next) {
            way.drain(..begin);
            return true;
        }
        way.push(next);
        if circle(files, way) {
            return true;
        }
        way.pop();
    }
    false
}

#[test]
fn the_files_of_a_backend_use_each_other_in_one_direction() {
    let backends = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/backend");
    for folder in backends.read_dir().unwrap().map(|entry| entry.unwrap().path()) {
        if !folder.is_dir() {
            continue;
        }
        let files: BTreeMap<_, _> = sources(&folder)
            .into_iter()
            .map(|path| {
                let text = std::fs::read_to_string(&path).unwrap();
                (path.file_stem().unwrap().to_str().unwrap().to_owned(), siblings(&text))
            })
            .filter(|(name, _)| name != "mod")
            .collect();
        for file in files.keys() {
            let mut way = vec![file.as_str()];
            assert!(!circle(&files, &mut way), "{}: {way:?}", folder.display());
        }
    }
}

//! Whole projects, small enough to read.

use super::*;
use crate::builtin::index::Limits;
use std::{fs, sync::atomic::AtomicBool};

fn check(files: &[(&str, &str)], rules: &[&str], licence: &str) {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let index = Index::build(dir.path(), Limits::default(), &AtomicBool::new(false)).unwrap();
    let result = analyse(&index, &Options::new(dir.path()));
    let found: Vec<&str> =
        result.findings.iter().map(|f| f.rule.trim_start_matches("security/")).collect();
    assert_eq!(found, rules, "{files:?}: {:?}", result.findings);
    assert_eq!(result.facts["licence"], licence, "{files:?}");
}

const MIT: &str = "Permission is hereby granted, free of charge, to any person obtaining a copy, without limitation the \
                   rights to use, copy, modify. The above copyright notice and this permission notice shall be included.";

#[test]
fn a_project_s_own_licence() {
    check(&[("a.rs", "")], &["licence-missing"], "not stated");
    check(&[("LICENSE", MIT)], &[], "MIT");
    check(&[("MIT-LICENSE", MIT)], &[], "MIT");
    check(&[("package/package.json", r#"{"name":"a"}"#), ("package/LICENSE", MIT)], &[], "MIT");
    check(&[("LICENSE", "be nice")], &["licence-unclear"], "not stated");
    check(&[("package.json", r#"{"private":true}"#)], &[], "proprietary");
    check(&[("LICENSE", MIT), ("package.json", r#"{"license":"MIT"}"#)], &[], "MIT");
    check(
        &[("LICENSE", MIT), ("package.json", r#"{"license":"ISC"}"#)],
        &["licence-mismatch"],
        "ISC",
    );
    check(
        &[("LICENSE", MIT), ("package.json", r#"{"license":"MIT/Apache-2.0"}"#)],
        &["licence-not-spdx"],
        "MIT OR Apache-2.0",
    );
    check(&[("package.json", r#"{"license":"my own"}"#)], &["licence-unclear"], "unclear");
    check(
        &[
            ("Cargo.toml", "[workspace.package]\nlicense='MIT'"),
            ("a/Cargo.toml", "[package]\nname='a'\nlicense.workspace=true"),
        ],
        &[],
        "MIT",
    );
    check(
        &[
            ("COPYING", "GNU General Public License Version 3, 29 June 2007"),
            ("COPYING.LESSER", "GNU Lesser General Public License Version 3, 29 June 2007"),
            ("package.json", r#"{"license":"LGPL-3.0-or-later"}"#),
        ],
        &[],
        "LGPL-3.0-or-later",
    );
}

#[test]
fn dependencies_are_compared_with_the_project() {
    let lock = r#"{"name":"app","lockfileVersion":3,"packages":{
        "":{"name":"app","license":"MIT","dependencies":{"strong":"^1.0.0","fine":"^1.0.0","silent":"^1.0.0","lib":"^1.0.0"}},
        "node_modules/strong":{"version":"1.0.0","license":"GPL-3.0-only"},
        "node_modules/fine":{"version":"1.0.0","license":"(MIT OR GPL-3.0-only)"},
        "node_modules/lib":{"version":"1.0.0","license":"LGPL-3.0-only"},
        "node_modules/silent":{"version":"1.0.0"}}}"#;
    let manifest = |licence: &str| {
        format!(
            r#"{{"name":"app","license":"{licence}","dependencies":{{"strong":"^1.0.0","fine":"^1.0.0","silent":"^1.0.0","lib":"^1.0.0"}}}}"#
        )
    };
    let project = |licence: &str, rules: &[&str]| {
        check(&[("package.json", &manifest(licence)), ("package-lock.json", lock)], rules, licence);
    };
    project("MIT", &["licence-obligations", "licence-conflict"]);
    project("GPL-3.0-only", &[]);
    project("GPL-2.0-only", &["licence-conflict", "licence-conflict"]);
}

//! Read from what the tools themselves printed: `scripts/check-outputs/make` makes the files anew.

use super::*;
use proptest::prelude::*;

const CARGO: &[u8] = include_bytes!("recorded/cargo.txt");
const CARGO_JSON: &[u8] = include_bytes!("recorded/cargo.json");
const PYTEST: &[u8] = include_bytes!("recorded/pytest.txt");
const PYTEST_JSON: &[u8] = include_bytes!("recorded/pytest.json");
const JUNIT: &[u8] = include_bytes!("recorded/junit.xml");
const TAP13: &[u8] = include_bytes!("recorded/tap13.txt");
const TAP14: &[u8] = include_bytes!("recorded/tap14.txt");
const JEST: &[u8] = include_bytes!("recorded/jest.json");
const VITEST: &[u8] = include_bytes!("recorded/vitest.json");
const GO: &[u8] = include_bytes!("recorded/go.json");
const SARIF: &[u8] = include_bytes!("recorded/sarif.json");
const LCOV: &[u8] = include_bytes!("recorded/coverage.lcov");
const COBERTURA: &[u8] = include_bytes!("recorded/cobertura.xml");
const COVERAGE_JSON: &[u8] = include_bytes!("recorded/coverage.json");

const ALL: [(CheckParser, &[u8]); 14] = [
    (CheckParser::Cargo, CARGO),
    (CheckParser::Cargo, CARGO_JSON),
    (CheckParser::Pytest, PYTEST),
    (CheckParser::Pytest, PYTEST_JSON),
    (CheckParser::Junit, JUNIT),
    (CheckParser::Tap, TAP13),
    (CheckParser::Tap, TAP14),
    (CheckParser::Jest, JEST),
    (CheckParser::Jest, VITEST),
    (CheckParser::Go, GO),
    (CheckParser::Sarif, SARIF),
    (CheckParser::Coverage, LCOV),
    (CheckParser::Coverage, COBERTURA),
    (CheckParser::Coverage, COVERAGE_JSON),
];

fn report(parser: CheckParser, stdout: &[u8]) -> Result<Report, String> {
    let output = Output { stdout, ..Output::default() };
    read(parser, output).map(Option::unwrap).map_err(|why| why.to_string())
}

fn counts(report: &Report) -> (u32, u32, u32) {
    (report.counts.passed, report.counts.failed, report.counts.skipped)
}

fn failures(report: &Report) -> Vec<&str> {
    report.failures().collect()
}

#[test]
fn recorded_outputs_tell_what_failed() {
    for (parser, output, expected, failed) in [
        (CheckParser::Cargo, CARGO, (4, 1, 1), vec!["sample src/lib.rs tests::fails"]),
        (CheckParser::Cargo, CARGO_JSON, (4, 1, 1), vec!["1 tests::fails"]),
        (
            CheckParser::Pytest,
            PYTEST,
            (3, 2, 2),
            vec!["test_sample.py::test_error", "test_sample.py::test_many[2]"],
        ),
        (
            CheckParser::Pytest,
            PYTEST_JSON,
            (3, 2, 2),
            vec!["test_sample.py::test_error", "test_sample.py::test_many[2]"],
        ),
        (
            CheckParser::Junit,
            JUNIT,
            (3, 2, 2),
            vec!["test_sample test_error", "test_sample test_many[2]"],
        ),
        (CheckParser::Tap, TAP13, (1, 1, 1), vec!["fails"]),
        (CheckParser::Tap, TAP14, (1, 1, 0), vec!["adding"]),
        (
            CheckParser::Jest,
            JEST,
            (1, 1, 2),
            vec!["sample.test.js adding fails", "broken.test.js (could not be run)"],
        ),
        (CheckParser::Jest, VITEST, (1, 1, 1), vec!["sample.spec.js adding fails"]),
        (
            CheckParser::Go,
            GO,
            (1, 2, 1),
            vec!["example.org/sample TestAdd", "example.org/sample TestAdd/large"],
        ),
        (
            CheckParser::Sarif,
            SARIF,
            (0, 1, 0),
            vec!["F401 file:///project/python/pkg/__init__.py: `os` imported but unused"],
        ),
    ] {
        let report = report(parser, output).unwrap();
        assert_eq!(failures(&report), failed, "{parser:?}");
        assert_eq!(counts(&report), expected, "{parser:?}");
        assert!(report.cases.keys().all(|name| !name.contains("forged")), "{parser:?}");
    }
}

#[test]
fn recorded_coverage_is_of_lines() {
    for output in [LCOV, COBERTURA, COVERAGE_JSON] {
        let report = report(CheckParser::Coverage, output).unwrap();
        assert_eq!(report.coverage, Some(80.0));
    }
}

#[test]
fn cargo_names_its_binaries_on_the_other_stream() {
    let stderr: Vec<&[u8]> =
        CARGO.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"     Run")).collect();
    let stdout: Vec<&[u8]> =
        CARGO.split(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"     Run")).collect();
    let (stdout, stderr) = (stdout.join(&b'\n'), stderr.join(&b'\n'));
    let output = Output { stdout: &stdout, stderr: &stderr, report: None };
    let report = read(CheckParser::Cargo, output).unwrap().unwrap();
    let names: Vec<&str> = report.cases.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "sample (documentation) src/lib.rs - add",
            "sample src/lib.rs tests::adds",
            "sample src/lib.rs tests::fails",
            "sample src/lib.rs tests::panics",
            "sample src/lib.rs tests::slow",
            "whole tests/whole.rs tests::adds",
        ]
    );
}

/// A program that ends itself with success in the middle of its tests.
#[test]
fn an_output_that_is_cut_off_is_not_read() {
    let cut = |output: &[u8], at: &str| {
        let at = memchr::memmem::find(output, at.as_bytes()).unwrap();
        output[..at].to_vec()
    };
    for (parser, output) in [
        (CheckParser::Cargo, cut(CARGO, "test result: FAILED")),
        (CheckParser::Cargo, cut(CARGO, "test tests::slow")),
        (CheckParser::Cargo, cut(CARGO_JSON, "{ \"type\": \"suite\", \"event\": \"failed\"")),
        (CheckParser::Pytest, cut(PYTEST, "========== 1 failed")),
        (CheckParser::Pytest, cut(PYTEST_JSON, "\"tests\"")),
        (CheckParser::Junit, cut(JUNIT, "</testsuites>")),
        (CheckParser::Tap, cut(TAP13, "ok 3")),
        (CheckParser::Tap, cut(TAP14, "1..2")),
        (CheckParser::Jest, cut(JEST, "\"success\"")),
        (CheckParser::Go, cut(GO, "\"Action\":\"fail\"")),
        (CheckParser::Sarif, cut(SARIF, "\"tool\"")),
    ] {
        assert!(report(parser, &output).is_err(), "{parser:?}");
    }
}

#[test]
fn what_is_no_output_of_the_tool_is_said_so() {
    for (parser, output, words) in [
        (CheckParser::Cargo, "all good\n", "it printed no results of tests"),
        (CheckParser::Tap, "fine\n", "it printed no test points"),
        (CheckParser::Tap, "1..3\nok 1\n", "it planned 3 tests and told of 1"),
        (CheckParser::Pytest, "ok\n", "the last line of pytest is missing"),
        (CheckParser::Junit, "<html/>", "`html` is no JUnit report"),
        (CheckParser::Jest, "{}", "no `testResults`"),
        (CheckParser::Go, "PASS\n", "no events"),
        (CheckParser::Sarif, "{}", "no `runs`"),
        (CheckParser::Coverage, "TN:\nend_of_record\n", "tells of no lines"),
        (CheckParser::Coverage, "{\"totals\":{\"covered_lines\":2,\"num_statements\":1}}", "more"),
    ] {
        let why = report(parser, output.as_bytes()).unwrap_err();
        assert!(why.contains(words), "{why}");
    }
}

#[test]
fn details_of_the_formats() {
    let tap =
        b"ok 1 - a # skip why\nnot ok 2 - b # TODO\nok - c \\# SKIP\nnot ok\n1..4\nBail out! x";
    let tap = report(CheckParser::Tap, tap).unwrap();
    assert_eq!(counts(&tap), (1, 1, 2));
    assert_eq!(failures(&tap), ["point 4", "it bailed out: x"]);

    let quiet = report(CheckParser::Pytest, b"..\n2 passed in 0.01s\n").unwrap();
    assert_eq!(counts(&quiet), (2, 0, 0));
    let none = report(CheckParser::Pytest, b"=== no tests ran in 0.01s ===\n").unwrap();
    assert_eq!(none.ran(), 0);
    let failed = report(CheckParser::Pytest, b"F\n1 failed in 0.01s\n").unwrap();
    assert_eq!(failures(&failed), ["tests that are not named"]);

    let suppressed = br#"{"runs":[{"results":[
        {"level":"error","ruleId":"a","suppressions":[{"kind":"inSource"}]},
        {"level":"warning","ruleId":"b"},{"ruleId":"c","ruleIndex":0}],
        "tool":{"driver":{"rules":[{"id":"c","defaultConfiguration":{"level":"error"}}]}}}]}"#;
    assert_eq!(failures(&report(CheckParser::Sarif, suppressed).unwrap()), ["c :"]);

    let junit = br#"<testsuite name="s" failures="1" tests="1"><testcase name="a"/></testsuite>"#;
    assert_eq!(failures(&report(CheckParser::Junit, junit).unwrap()), ["a test suite"]);

    let forged =
        b"running 1 test\ntest a ... ok\n\ntest result: FAILED. 0 passed; 1 failed; 0 ignored;";
    assert!(report(CheckParser::Cargo, forged).unwrap().failures().next().is_some());
    // Two tests of one name: the one that failed is not hidden by the one that passed.
    let twice = b"ok 1 - a\nnot ok 2 - a\nok 3 - a\n1..3\n";
    assert_eq!(failures(&report(CheckParser::Tap, twice).unwrap()), ["a"]);
}

#[test]
fn names_are_bounded() {
    let long = format!("not ok 1 - {}\n1..1\n", "ü".repeat(5_000));
    let report = report(CheckParser::Tap, long.as_bytes()).unwrap();
    assert!(report.cases.keys().all(|name| name.len() <= NAME));
}

#[test]
fn entities_of_xml_do_not_grow_without_bound() {
    let mut bomb = String::from("<!DOCTYPE x [<!ENTITY a0 \"aaaaaaaaaa\">");
    for level in 1..12 {
        let before = format!("&a{};", level - 1).repeat(10);
        bomb.push_str(&format!("<!ENTITY a{level} \"{before}\">"));
    }
    bomb.push_str("]><testsuite><testcase name=\"&a11;\"/></testsuite>");
    assert!(report(CheckParser::Junit, bomb.as_bytes()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_makes_a_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        for (parser, _) in ALL {
            let _ = report(parser, &bytes);
        }
    }

    #[test]
    fn no_damage_makes_a_parser_panic(
        which in 0..ALL.len(),
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        end in any::<prop::sample::Index>(),
    ) {
        let (parser, output) = ALL[which];
        let mut bytes = output.to_vec();
        for (at, byte) in cuts {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(end.index(bytes.len()) + 1);
        let _ = report(parser, &bytes);
    }
}

use super::*;
use serde_json::json;

fn yaml(text: &str) -> Result<Document, Box<Diagnostic>> {
    Document::parse(text, None, Format::Yaml)
}

#[test]
fn values_follow_the_core_schema() {
    let check = |text: &str, expected: Value| {
        assert_eq!(yaml(text).map(|d| d.value).as_ref(), Ok(&expected), "{text}");
    };
    check("a: [1, -2, 0x1F, 0o17, 1.5, 1e3, .5]", json!({"a": [1, -2, 31, 15, 1.5, 1000.0, 0.5]}));
    check(
        "a: [true, False, ~, null, yes, on]",
        json!({"a": [true, false, null, null, "yes", "on"]}),
    );
    check("a: ['1', \"true\", 1.2.3, 2026-01-31, 18446744073709551615]", {
        json!({"a": ["1", "true", "1.2.3", "2026-01-31", 18446744073709551615u64]})
    });
    check("a: &x {b: 1}\nc: *x", json!({"a": {"b": 1}, "c": {"b": 1}}));
    check("a: |\n  x\n  y\n", json!({"a": "x\ny\n"}));
    check("\u{feff}a: ü", json!({"a": "ü"}));
    check("a:\nb: {}", json!({"a": null, "b": {}}));
}

#[test]
fn what_cannot_be_held_is_refused_with_its_place() {
    let check = |text: &str, code: &str, line: usize, column: usize| {
        let found = yaml(text).expect_err(text);
        assert_eq!(
            (found.code, found.line, found.column),
            (code, Some(line), Some(column)),
            "{found}"
        );
    };
    check("a: 1\nb: 2\na: 3", "ORC-0283", 3, 1);
    check("a: 1\n---\nb: 1", "ORC-0285", 2, 1);
    check("", "ORC-0285", 1, 1);
    check("# nothing\n", "ORC-0285", 2, 1);
    check("? [a]\n: 1", "ORC-0286", 1, 3);
    check("a:\n  ~: 1", "ORC-0286", 2, 3);
    check("a: .inf", "ORC-0287", 1, 4);
    check("a: -.INF", "ORC-0287", 1, 4);
    check("a: .nan", "ORC-0287", 1, 4);
    check("a: 99999999999999999999", "ORC-0287", 1, 4);
    check("a: 1e999", "ORC-0287", 1, 4);
    check("a: !!str 1", "ORC-0288", 1, 4);
    check("a: !thing {}", "ORC-0288", 1, 4);
}

#[test]
fn broken_yaml_has_a_place_and_a_hint() {
    for (text, line) in [("a: [1\nb: 2", 2), ("a:\n\t- b", 2), ("a: 'x", 1), ("a: *ghost", 1)] {
        let found = yaml(text).expect_err(text);
        assert_eq!(found.code, "ORC-0281", "{found}");
        assert!(found.line.is_some_and(|l| l >= line), "{found}");
        assert!(found.suggestion.is_some());
    }
}

#[test]
fn aliases_that_multiply_and_deep_nesting_are_bounded() {
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for n in 1..10 {
        let items = vec![format!("*a{}", n - 1); 10].join(", ");
        laughs.push_str(&format!("a{n}: &a{n} [{items}]\n"));
    }
    assert_eq!(yaml(&laughs).expect_err("laughs").code, "ORC-0284");
    let text = "x".repeat(500_000);
    let wide = format!("a: &a {text}\nb: [{}]", ["*a"; 20].join(", "));
    assert_eq!(yaml(&wide).expect_err("text").code, "ORC-0284");
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    assert_eq!(yaml(&deep).expect_err("deep").code, "ORC-0284");
    assert_eq!(yaml("a: &a [*a]").expect_err("self").code, "ORC-0284");
}

#[test]
fn places_are_found_by_pointer() {
    let document = yaml("name: x\ntasks:\n  build:\n    needs: [plan, 'te/st']\n").unwrap();
    let check = |pointer: &str, line: usize, column: usize| {
        assert_eq!(document.spans.at(pointer), Some(Place { line, column }), "{pointer}");
    };
    check("", 1, 1);
    check("/name", 1, 1);
    check("/tasks/build", 3, 3);
    check("/tasks/build/needs/1", 4, 19);
    check("/tasks/build/agent", 3, 3);
    check("/nowhere/at/all", 1, 1);
    let found = document.diagnostic("ORC-0201", "/tasks/build/needs/0", "no".into());
    assert_eq!(found.snippet(), Some("    needs: [plan, 'te/st']"));
    assert_eq!(found.offset(), Some(36));
}

#[test]
fn json_is_read_as_json() {
    let json = |text: &str| Document::parse(text, None, Format::Json);
    let document = json("{\n\t\"a\": \"\\ud83d\\ude00\",\n\t\"b\": [1]\n}").unwrap();
    assert_eq!(document.value, json!({"a": "😀", "b": [1]}));
    let check = |text: &str, code: &str, line: usize| {
        let found = json(text).expect_err(text);
        assert_eq!((found.code, found.line), (code, Some(line)), "{found}");
    };
    check("{\"a\": 1,\n}", "ORC-0282", 2);
    check("a: 1", "ORC-0282", 1);
    check("{\"a\": 1,\n\"a\": 2}", "ORC-0283", 2);
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("w.yaml");
    let check = |code: &str| {
        let found = Document::read(&file).expect_err(code);
        assert_eq!((found.code, found.file.as_deref()), (code, Some(file.as_path())));
    };
    check("ORC-0280");
    std::fs::write(&file, b"a: 1\nb: \xff\n").unwrap();
    check("ORC-0289");
    std::fs::write(&file, vec![b'#'; 1024 * 1024 + 1]).unwrap();
    check("ORC-0284");
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    check("ORC-0280");
}

use super::{
    evaluate::{decide_within, list_within},
    program::{MAX_DEPTH, MAX_OPERATORS},
    *,
};

fn sample() -> Value {
    json!({
        "inputs": { "prompt": "a {{ inputs.n }} user", "n": 5, "list": ["x", "y"],
                    "my-key": "k", "map": { "b": 2, "a": 1, "c": 3 } },
        "tasks": { "review": { "output": { "approved": false }, "cost": 0.25 },
                   "a-b": { "status": "succeeded" } },
        "item": { "x": 7 }, "index": 3, "run": { "id": "r_1", "status": "failed" },
    })
}

#[test]
fn paths_are_filled_in_once() {
    let check = |text: &str, expected: &str| {
        assert_eq!(fill(text, &sample()).unwrap(), expected, "{text}");
    };
    check("plain", "plain");
    check("n={{inputs.n}}, {{ inputs.list.1 }}", "n=5, y");
    check("{{ tasks.review.output }}", "{\"approved\":false}");
    check("say {{ inputs.prompt }}", "say a {{ inputs.n }} user");
    check("{{ item.x }} {{ index }} {{ run.id }} {{ run.status }}", "7 3 r_1 failed");
    check("{{ tasks.a-b.status }}", "succeeded");
}

#[test]
fn bad_texts_are_errors() {
    for text in ["{{ inputs.n", "{{ }}", "{{ a b }}", "{{ inputs.nope }}", "{{ tasks.x.y }}"] {
        assert!(fill(text, &sample()).is_err(), "{text}");
        assert!(fill_value(&json!({ "a": [text] }), &sample()).is_err(), "{text}");
    }
}

#[test]
fn a_text_that_is_one_path_becomes_the_value() {
    let check = |value: Value, expected: Value| {
        assert_eq!(fill_value(&value, &sample()).unwrap(), expected, "{value}");
    };
    check(json!("{{ inputs.n }}"), json!(5));
    check(json!(" {{ inputs.list }} "), json!(["x", "y"]));
    check(json!("{{ inputs.n }}{{ inputs.n }}"), json!("55"));
    check(
        json!({ "deep": ["{{ item }}", { "{{ key }}": "n {{ inputs.n }}" }, null, 1] }),
        json!({ "deep": [{ "x": 7 }, { "{{ key }}": "n 5" }, null, 1] }),
    );
}

#[test]
fn what_is_filled_in_is_bounded() {
    let scope = json!({ "inputs": { "big": "x".repeat(1 << 20), "list": vec![0; 1 << 16] } });
    let times = |count: usize, path: &str| format!("{{{{ inputs.{path} }}}}").repeat(count);
    assert_eq!(fill(&times(4, "big"), &scope).unwrap().len(), MAX_TEXT);
    assert_eq!(fill(&times(5, "big"), &scope), Err(ExprError::TooLong));
    assert_eq!(fill(&times(100, "list"), &scope), Err(ExprError::TooLong));
    for path in ["big", "list"] {
        let one = Value::String(times(1, path));
        assert!(fill_value(&vec![one.clone(); 3].into(), &scope).is_ok());
        assert_eq!(fill_value(&vec![one; 1_000].into(), &scope), Err(ExprError::TooLarge));
    }
}

#[test]
fn conditions_are_decided() {
    let check = |condition: &str, expected: bool| {
        assert_eq!(decide(condition, &sample()), Ok(expected), "{condition}");
    };
    check("tasks.review.output.approved", false);
    check("inputs.n > 3 && tasks.review.cost < 1.0", true);
    check("inputs.prompt.contains('user')", true);
    check("inputs.list.exists(x, x == 'y')", true);
    check("inputs.list.all(x, inputs.list.exists(y, x == y))", true);
    check("inputs[\"my-key\"] == 'k' && tasks['a-b'].status == 'succeeded'", true);
    check("has(inputs.n) && !has(inputs.nope)", true);
    check("size(inputs.list) == 2 && 'x' in inputs.list", true);
    check("inputs.list + ['z'] == ['x', 'y', 'z'] && index == 3", true);
    check("inputs.map == {'a': 1, 'b': 2, 'c': 3}", true);
    check("inputs.list.map(x, size(x)).filter(n, n > 0).size() == 2", true);
    check("item.x == 7 && run.id == 'r_1'", true);
    check("type(inputs.n) == int", true);
}

#[test]
fn bad_conditions_are_errors() {
    let deep = format!("{}true{}", "(".repeat(200), ")".repeat(200));
    let long = format!("true{}", " || true".repeat(2_000));
    for condition in ["", "1 +", "inputs.nope", "nobody", "1 + 1", &deep, &long] {
        assert!(decide(condition, &sample()).is_err(), "{condition:.20}");
    }
}

#[test]
fn lists_are_made() {
    let check = |expression: &str, expected: Value| {
        assert_eq!(list(expression, &sample()).map(Value::from), Ok(expected), "{expression}");
    };
    check("inputs.list", json!(["x", "y"]));
    check("inputs['list']", json!(["x", "y"]));
    check(
        "[1, 2.5, \"a\\u00e9\\n\", null, {\"a\": [true]}]",
        json!([1, 2.5, "aé\n", null, {"a": [true]}]),
    );
    check("['x', 'y']", json!(["x", "y"]));
    check("inputs.list.map(x, {'name': x, 'n': inputs.n})", {
        json!([{ "n": 5, "name": "x" }, { "n": 5, "name": "y" }])
    });
    check("inputs.list.filter(x, x != 'x') + [inputs.n]", json!(["y", 5]));
    check("inputs.map.map(key, inputs.map[key])", json!([1, 2, 3]));
    check("[]", json!([]));
}

#[test]
fn what_is_no_list_or_too_long_is_refused() {
    let check = |expression: &str, part: &str| {
        let error = list(expression, &sample()).unwrap_err().to_string();
        assert!(error.contains(part), "{expression:.40}: {error}");
    };
    check("inputs.n", "gives a number, not a list");
    check("inputs.map", "gives a mapping, not a list");
    check("inputs.nope", "nope");
    check("[b'x']", "bytes, which JSON cannot hold");
    check("[1.0 / 0.0]", "not finite");
    check(&format!("[{}0]", "0,".repeat(MAX_ITEMS)), "has 100001 items");
    let long = json!({ "inputs": { "list": vec![0; MAX_ITEMS + 1] } });
    assert!(matches!(list("inputs.list", &long), Err(ExprError::TooManyItems { .. })));
    assert!(matches!(
        list("inputs.list.map(x, x)", &long),
        Err(ExprError::TooManyItems { count: 100_001, .. })
    ));
    let fits = json!({ "inputs": { "list": vec![0; MAX_ITEMS] } });
    assert_eq!(list("inputs.list.map(x, x + 1)", &fits).unwrap().len(), MAX_ITEMS);
}

/// Millions of values: refused before any of them is converted, whatever is done with them.
#[test]
fn what_is_looked_at_is_bounded() {
    let scope = json!({ "inputs": { "huge": vec![Value::Null; 3_000_000], "n": 1 } });
    for expression in ["inputs.huge.filter(x, x != null)", "[inputs.huge]", "inputs.huge + [1]"] {
        let refused = list(expression, &scope);
        assert!(matches!(refused, Err(ExprError::TooMuchSeen { .. })), "{expression}: {refused:?}");
    }
    assert!(matches!(list("inputs.huge", &scope), Err(ExprError::TooManyItems { .. })));
    assert_eq!(decide("inputs.n == 1", &scope), Ok(true), "what is not named does not count");
}

/// A bound that is reached soon; that of real evaluations is reached in the same way.
const FEW: u64 = MAX_STEPS / 20;

/// Checks that each of `expressions` is refused for its cost.
fn check_too_costly(expressions: &[&str]) {
    let scope = json!({ "inputs": { "list": vec!["text"; 10_000], "big": "x".repeat(1 << 20) } });
    for expression in expressions {
        let refused = list_within(FEW, expression, &scope);
        assert!(
            matches!(refused, Err(ExprError::TooManySteps { .. })),
            "{expression}: {refused:?}"
        );
    }
}

#[test]
fn chains_that_double_are_refused() {
    check_too_costly(&[
        &format!("[0]{}", ".map(x, [x, x])".repeat(30)),
        &format!("['ab']{}", ".map(x, x + x + x + x)".repeat(20)),
        &format!("[{{'a': 0}}]{}", ".map(x, {'a': x, 'b': x})".repeat(25)),
    ]);
}

#[test]
fn loops_in_loops_over_long_lists_are_refused() {
    let longest = "1 == 1 && ".repeat(35);
    check_too_costly(&[
        "inputs.list.map(x, inputs.list.filter(y, x == y))",
        "inputs.list.filter(x, x in inputs.list.map(y, y + 'z'))",
        &format!("inputs.list.map(x, inputs.list.exists(y, {longest}x != y))"),
    ]);
}

#[test]
fn copies_of_what_is_large_are_refused() {
    check_too_costly(&[
        &format!("[{}inputs.big]", "inputs.big, ".repeat(90)),
        "inputs.list.map(x, inputs.big)",
        "inputs.list.filter(x, inputs.big.contains(x))",
        "inputs.list.exists(x, {'a': 1}[inputs.big] == x)",
    ]);
}

/// The evaluator copies a list into its error about an index with a fraction, and `exists` goes on
/// after errors.
#[test]
fn an_index_with_a_fraction_copies_nothing() {
    let scope =
        json!({ "inputs": { "list": vec![0; 10_000], "long": vec![0; 1_000_000], "n": 1 } });
    let error = decide("inputs.list.exists(x, inputs.long[inputs.n + 0.5] == 1)", &scope);
    assert!(error.is_err());
    let error = decide("inputs.list.exists(x, inputs.long[x + 1.5] == 1)", &scope);
    assert!(error.is_err());
    let error = decide("inputs.list.exists(x, inputs.long[1.5] == 1)", &scope).unwrap_err();
    assert!(error.to_string().contains("whole number"), "{error}");
    assert_eq!(decide("inputs.long[1.0] == 0 && inputs.long[inputs.n] == 0", &scope), Ok(true));
}

/// CEL forgives an error beside `true`; what could not be paid for is never decided.
#[test]
fn a_cost_that_is_too_high_is_not_forgiven() {
    let scope = json!({ "inputs": { "list": vec!["text"; 10_000] } });
    let forgiven = "inputs.list.exists(x, inputs.list.map(y, [x, y]).size() == 0) || true";
    assert!(matches!(decide_within(FEW, forgiven, &scope), Err(ExprError::TooManySteps { .. })));
}

#[test]
fn loops_nest_two_deep_at_most() {
    let three = "inputs.list.map(a, inputs.list.map(b, inputs.list.map(c, 1)))";
    let error = list(three, &sample()).unwrap_err().to_string();
    assert!(error.contains("nested deeper than 2"), "{error}");
    let chained = "inputs.list.map(a, a).map(b, b).map(c, c)";
    assert_eq!(list(chained, &sample()).unwrap().len(), 2);
}

#[test]
fn what_would_exhaust_the_stack_is_refused() {
    for (part, last) in [("1+", "1 > 0"), ("true||", "true"), ("[1]+", "[] == []"), ("!", "true")] {
        for (count, is_fine) in [(MAX_OPERATORS / 4, true), (1_000, false)] {
            let condition = format!("{}{last}", part.repeat(count));
            assert_eq!(decide(&condition, &sample()).is_ok(), is_fine, "{condition:.20}");
        }
    }
    let sum = format!("{}1 > 0", "1+".repeat(MAX_OPERATORS - 2));
    assert_eq!(decide(&sum, &sample()), Ok(true));
    let nested = format!("{}true{}", "(".repeat(MAX_DEPTH), ")".repeat(MAX_DEPTH));
    assert_eq!(decide(&nested, &sample()), Ok(true));
    assert!(decide(&format!("inputs{}", ".x".repeat(2_000)), &sample()).is_err());
    // A quote hides nothing: one that is not closed would not hide it from the parser either.
    assert!(decide(&format!("'{}", "(".repeat(2_000)), &sample()).is_err());
}

#[test]
fn the_reason_of_a_failure_is_short() {
    let scope = json!({ "inputs": { "big": "é".repeat(1 << 20) } });
    let error = decide("inputs.big + 1 == 2", &scope).unwrap_err();
    assert!(error.to_string().len() < 1_000);
}

#[test]
fn references_are_found() {
    let check = |expression: &str, expected: &[&str]| {
        let found: Vec<String> =
            references(expression).unwrap().iter().map(|path| path.join(".")).collect();
        assert_eq!(found, expected, "{expression}");
    };
    check(
        "tasks.a.output && tasks['b-c'].status == 'tasks.no'",
        &["tasks.a.output", "tasks.b-c.status"],
    );
    check("inputs.list.map(x, x.y + z)", &["inputs.list", "z"]);
    check("x.map(x, x)", &["x"]);
    check("tasks[inputs.name].output", &["inputs.name", "tasks"]);
    check("has(inputs.a) ? optional.of(1) : inputs.b", &["inputs.a", "inputs.b"]);
    check("tasks.a-b.output", &["b.output", "tasks.a"]);
    check("[\"tasks.a\"]", &[]);
    assert_eq!(variables("a.b + c[d] + a.e").unwrap(), ["a", "c", "d"]);
}

#[test]
fn tasks_are_found_in_texts_and_expressions() {
    let condition = "tasks.a.output && tasks['b-c'].status == 'x' && my.tasks.no && tasks.a.x";
    assert_eq!(tasks_in(condition), ["a", "b-c"]);
    assert_eq!(refers(condition), ["a", "b-c"]);
    assert_eq!(
        refers("{{ tasks.a-b.output }} {{ inputs.tasks }} tasks.c {{tasks.a-b.cost}}"),
        ["a-b"]
    );
    assert_eq!(refers("no {{ end"), [""; 0]);
}

proptest::proptest! {
    #[test]
    fn no_condition_panics(condition in "[a-z0-9(){}\\[\\]'\"`.,:?|&!=<>+*/% \\\\-]{0,40}") {
        let _ = decide(&condition, &sample());
        let _ = list(&condition, &sample());
        let _ = variables(&condition);
    }

    #[test]
    fn no_text_panics(text in "[a-z{}. \\-0-9é]{0,60}") {
        let _ = fill(&text, &sample());
        let _ = fill_value(&json!([text]), &sample());
        let _ = refers(&text);
    }
}

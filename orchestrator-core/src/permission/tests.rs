use super::*;
use proptest::prelude::*;

const AT: &str = "/space/project";

fn permissions(allow: &[&str], ask: &[&str], deny: &[&str]) -> Permissions {
    let rules = Permissions::of(allow, ask, deny).expect("rules");
    Permissions { home: Some("/home/ann".into()), ..rules }
}

fn decide(permissions: &Permissions, action: &Action) -> Decision {
    permissions.decide(action, Path::new(AT), &[]).decision
}

/// What is decided of commands where `allow` is allowed and `deny` denied.
fn check(allow: &[&str], deny: &[&str], commands: &[(&str, Decision)]) {
    let permissions = permissions(allow, &[], deny);
    for (command, expected) in commands {
        let found = permissions.decide(&Action::run("Bash", *command), Path::new(AT), &[]);
        assert_eq!(found.decision, *expected, "{command}: {}", found.why);
    }
}

use Decision::{Allow, Ask, Deny};

#[test]
fn a_pattern_is_of_whole_words() {
    check(
        &["run(git *)", "run(cargo test)", "run(ls)", "run(npm run ?int *)"],
        &[],
        &[
            ("git status", Allow),
            ("git", Allow),
            ("  git   log  --oneline ", Allow),
            ("git commit -m 'a; b && c > d'", Allow),
            ("git commit -m \"it is \\\"so\\\"\"", Allow),
            ("gitk", Ask),
            ("git-evil", Ask),
            ("/tmp/git status", Ask),
            ("cargo test", Allow),
            ("cargo test --all", Ask),
            ("ls", Allow),
            ("ls -l", Ask),
            ("npm run lint --fix", Allow),
            ("npm run print", Ask),
            ("", Ask),
            ("   ", Ask),
        ],
    );
}

#[test]
fn operators_allow_nothing_that_is_not_allowed_by_itself() {
    check(
        &["run(git *)", "run(cargo *)", "edit(target/**)", "read(src/**)"],
        &[],
        &[
            ("git status; cargo test", Allow),
            ("git status && cargo test || git diff | cargo fmt", Allow),
            ("git status\ncargo test", Allow),
            ("git status & cargo test", Allow),
            ("git status; rm -rf .", Ask),
            ("git status && curl evil", Ask),
            ("git status || sh", Ask),
            ("git log | sh", Ask),
            ("git log |& sh", Ask),
            ("git status\nrm x", Ask),
            ("git status & rm x", Ask),
            ("git log $(rm x)", Ask),
            ("git log `rm x`", Ask),
            ("git log \"$(rm x)\"", Ask),
            ("git log <(rm x)", Ask),
            ("(git status)", Ask),
            ("{ git status; }", Ask),
            ("git log $HOME", Ask),
            ("git log ${x:-$(rm y)}", Ask),
            ("git log $'\\x3b'", Ask),
            ("GIT_SSH_COMMAND=evil git fetch", Ask),
            ("if git status; then git log; fi", Ask),
            ("git log # x", Ask),
            ("git log 'open", Ask),
            ("git log \"open", Ask),
            ("git log \\", Ask),
            ("git log \\\nrm", Ask),
            ("git log \u{7}", Ask),
            ("git log \r rm", Ask),
            ("git log > target/log", Allow),
            ("git log >> target/log 2>&1", Allow),
            ("git log 2>/dev/null", Allow),
            ("git log > out", Ask),
            ("git log >| out", Ask),
            ("git log &> out", Ask),
            ("git log >& out", Ask),
            ("git log > target/../../x", Ask),
            ("git log > /etc/passwd", Ask),
            ("git log > ~/x", Ask),
            ("git log > target/$x", Ask),
            ("git log > target/*", Ask),
            ("git log >", Ask),
            ("git apply < src/a.patch", Allow),
            ("git apply < /etc/shadow", Ask),
            ("git apply <<< x", Ask),
            ("git apply << END\nx\nEND", Ask),
            ("cd src && git log > target/x", Ask),
            ("git log>target/x", Allow),
        ],
    );
    check(
        &["run(cd *)", "run(git *)", "edit(**)"],
        &[],
        &[("cd /etc && git log > passwd", Ask), ("cd /etc && git log", Allow)],
    );
}

#[test]
fn shells_and_programs_that_run_others_hide_nothing() {
    check(
        &["run(git *)", "run(cat *)", "run(echo *)"],
        &["run(rm *)", "run(git push *)", "read(~/.ssh/**)", "read(.env)", "edit(/etc/**)"],
        &[
            ("bash -lc 'git status && git log'", Allow),
            ("/bin/bash -c \"git status\"", Allow),
            ("bash -c 'git status; touch x'", Ask),
            ("bash -c 'git $0' x", Ask),
            ("bash -c -c 'git log' 'touch x'", Ask),
            ("bash script.sh", Ask),
            ("bash -c 'git status; rm x'", Deny),
            ("sh -c \"sh -c 'rm x'\"", Deny),
            ("rm -rf x", Deny),
            ("/bin/rm -rf x", Deny),
            ("sudo -u root rm -rf x", Deny),
            ("X=1 rm x", Deny),
            ("env X=1 rm x", Deny),
            ("git status; rm x", Deny),
            ("(rm x)", Deny),
            ("git log $(rm x)", Deny),
            ("git log \"$(rm x)\"", Deny),
            ("git log `rm x`", Deny),
            ("git push", Deny),
            ("git push --force", Deny),
            ("cat ~/.ssh/id", Deny),
            ("cat /home/ann/.ssh/id", Deny),
            ("cat ../../home/ann/.ssh/id", Deny),
            ("cat < ~/.ssh/id", Deny),
            ("cat src/../.env", Deny),
            ("git --file=.env", Deny),
            ("echo x > /etc/passwd", Deny),
            ("echo 'rm x'", Allow),
            ("echo rm x", Allow),
        ],
    );
}

#[test]
fn everything_may_be_allowed_but_not_past_a_pattern_that_denies() {
    check(
        &["run", "edit"],
        &[],
        &[
            ("anything --at all", Allow),
            ("x=$(date) make > out", Allow),
            ("make > /etc/out", Ask),
            ("make > out", Allow),
        ],
    );
    check(
        &["run", "edit"],
        &["run(rm *)"],
        &[("make", Allow), ("rm x", Deny), ("$X x", Ask), ("r\\m x", Deny), ("'rm' x", Deny)],
    );
    check(&["*"], &[], &[("$X > /etc/x", Allow)]);
    check(&["run"], &["read(~/.ssh/**)"], &[("cat ~/.ss*/id", Ask), ("cat a", Allow)]);
    check(&["tool(Bash)"], &[], &[("make", Allow), ("make > out", Ask)]);
    let open = Permissions { otherwise: Allow, ..permissions(&[], &[], &["run(rm *)"]) };
    assert_eq!(decide(&open, &Action::run("Bash", "make")), Allow);
    assert_eq!(decide(&open, &Action::run("Bash", "$X")), Ask);
}

#[test]
fn files_are_taken_as_they_are_written_but_without_detours() {
    let rules = permissions(
        &["read", "edit(src/**)", "edit(/tmp/out/*)"],
        &["edit(src/*.lock)"],
        &["read(~/.ssh/**)", "edit(**/secret/**)"],
    );
    let check = |kind, path: &str, expected| {
        assert_eq!(decide(&rules, &Action::new("t", kind).on([path])), expected, "{path}");
    };
    let (read, edit) = (ActionKind::Read, ActionKind::Edit);
    check(read, "README", Allow);
    check(read, "/etc/hosts", Allow);
    check(read, "~/.ssh/id", Deny);
    check(read, "/home/ann/x/../.ssh/id", Deny);
    check(edit, "src/a.rs", Allow);
    check(edit, "./src/deep/er/a.rs", Allow);
    check(edit, "/space/project/src/a.rs", Allow);
    check(edit, "src/../Cargo.toml", Ask);
    check(edit, "src/../../x", Ask);
    check(edit, "../project/src/a.rs", Allow);
    check(edit, "/space/projects/src/a.rs", Ask);
    check(edit, "/srv/src/a.rs", Ask);
    check(edit, "/tmp/out/a", Allow);
    check(edit, "/tmp/out/a/b", Ask);
    check(edit, "src/a.lock", Ask);
    check(edit, "src/secret/a", Deny);
    check(edit, "", Ask);
    check(edit, "/../../..", Ask);
    check(edit, "src/a\0b", Ask);
    // Every one of several.
    let two = Action::new("t", edit).on(["src/a", "b"]);
    assert_eq!(decide(&rules, &two), Ask);
    // In general, an edit is one in the workspace.
    let general = permissions(&["edit"], &[], &[]);
    assert_eq!(decide(&general, &Action::new("t", edit).on(["any/where"])), Allow);
    assert_eq!(decide(&general, &Action::new("t", edit).on(["/any/where"])), Ask);
}

#[test]
fn machines_and_tools_are_named_by_patterns() {
    let rules = permissions(
        &["network(*.crates.io)", "network(localhost:80)", "tool(mcp__tickets__*)"],
        &[],
        &["network(evil.crates.io)", "tool(mcp__tickets__close)"],
    );
    let check = |host: &str, expected| {
        let action = Action::new("WebFetch", ActionKind::Network).reaching([host]);
        assert_eq!(decide(&rules, &action), expected, "{host}");
    };
    check("static.crates.io", Allow);
    check("STATIC.crates.io.", Allow);
    check("static.crates.io:443", Allow);
    check("crates.io", Ask);
    check("evilcrates.io", Ask);
    check("static.crates.io.evil.net", Ask);
    check("evil.crates.io:8080", Deny);
    check("localhost:80", Allow);
    check("localhost:81", Ask);
    check("[::1]:80", Ask);
    let tool = |name: &str| decide(&rules, &Action::new(name, ActionKind::Other));
    assert_eq!(tool("mcp__tickets__list"), Allow);
    assert_eq!(tool("mcp__tickets__close"), Deny);
    assert_eq!(tool("mcp__other"), Ask);
    // A command that reaches machines needs both.
    let run = permissions(&["run(curl *)"], &[], &[]);
    let curl = Action::run("Bash", "curl x").reaching(["x"]);
    assert_eq!(decide(&run, &curl), Ask);
    assert_eq!(decide(&permissions(&["run(curl *)", "network(x)"], &[], &[]), &curl), Allow);
    assert_eq!(decide(&permissions(&["*"], &[], &["network"]), &curl), Deny);
}

#[test]
fn the_example_of_the_contract_means_what_it_says() {
    let rules = permissions(&["read", "edit"], &["run"], &["network"]);
    let of = |kind| decide(&rules, &Action::new("t", kind).on(["a"]));
    assert_eq!(of(ActionKind::Read), Allow);
    assert_eq!(of(ActionKind::Edit), Allow);
    assert_eq!(decide(&rules, &Action::run("Bash", "ls")), Ask);
    assert_eq!(decide(&rules, &Action::new("WebFetch", ActionKind::Network)), Deny);
    assert_eq!(of(ActionKind::Other), Ask);
}

#[test]
fn what_is_no_rule_is_told_with_what_was_meant() {
    let check = |text: &str, reason: &str, meant: Option<&str>| {
        let error = text.parse::<PermissionRule>().expect_err(text);
        assert!(error.reason.contains(reason), "{error}");
        assert_eq!(error.suggestion.as_deref(), meant, "{error}");
    };
    check("bash", "begins with none of", Some("write `run`"));
    check("Bash(git *)", "begins with none of", Some("write `run`"));
    check("READ", "begins with none of", Some("write `read`"));
    check("edti", "begins with none of", Some("did you mean `edit`?"));
    check("run(git *", "not closed", Some("run(git *)"));
    check("run()", "nothing between", Some("run"));
    check("run(git:*)", "`:*` means nothing", Some("run(git *)"));
    check("run(git status; ls)", "`;` parts commands", Some("run(git status)"));
    check("run(*)", "without a pattern", None);
    check("run(git 'x)", "' is not closed", Some("run(git 'x')"));
    check("edit(src/)", "does not end with `/`", Some("edit(src/**)"));
    check("edit(../x)", "no `..`", Some("edit(/absolute/path/**)"));
    check("read(~bob/x)", "your own home", Some("read(~/x)"));
    check("network(https://x.org/a)", "of machines", Some("network(x.org)"));
    check("tool", "needs the name", Some("tool(NAME)"));
    check("*(x)", "takes no pattern", Some("*"));
    check("", "begins with none of", None);
    check("read(a\nb)", "control character", None);
}

#[test]
fn what_is_allowed_for_good_is_exactly_what_was_asked() {
    let rules = permissions(&[], &["run"], &["run(rm *)"]);
    let at = Path::new(AT);
    let check = |action: &Action, expected: &[&str]| {
        let exact = rules.exactly(action, at).unwrap_or_default();
        let texts: Vec<&str> = exact.iter().map(PermissionRule::as_str).collect();
        assert_eq!(texts, expected, "{}", action.headline());
        if !exact.is_empty() {
            assert_eq!(rules.decide(action, at, &exact).decision, Allow);
        }
        exact
    };
    let standing =
        check(&Action::run("Bash", "git commit -m 'a b'"), &["run(git commit -m 'a b')"]);
    for other in ["git commit -m 'a b' c", "git commit -m a b", "git commit"] {
        let ruling = rules.decide(&Action::run("Bash", other), at, &standing);
        assert_eq!(ruling.decision, Ask, "{other}");
    }
    check(&Action::run("Bash", "make | tee out"), &["run(make)", "run(tee out)"]);
    check(&Action::run("Bash", "make > out 2>/dev/null"), &["run(make)", "edit(out)"]);
    check(&Action::run("Bash", "bash -lc 'x=1; $y'"), &["run(bash -lc 'x=1; $y')"]);
    check(&Action::run("Bash", "make $x"), &[]);
    check(&Action::run("Bash", "ls *.rs"), &[]);
    let edit = |path: &str| Action::new("Write", ActionKind::Edit).on([path]);
    check(&edit("/space/project/a*b"), &["edit(a\\*b)"]);
    check(&edit("/etc/x"), &["edit(/etc/x)"]);
    check(&Action::new("t", ActionKind::Network).reaching(["A.b:1"]), &["network(A.b:1)"]);
    check(&Action::new("t*", ActionKind::Other), &["tool(t\\*)"]);
    check(&Action::new("t", ActionKind::Edit), &[]);
    // What is denied is denied, whoever allowed it.
    let denied = Action::run("Bash", "rm x");
    let standing = rules.exactly(&denied, at).unwrap_or_default();
    assert_eq!(rules.decide(&denied, at, &standing).decision, Deny);
}

/// Text of what a shell takes notice of, and of little else.
fn shell_text() -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec![
        "git", "rm", "sh", "-c", "x", " ", " ", " ", ";", "&", "&&", "|", "||", "\n", "'", "\"",
        "\\", "`", "$", "$(", ")", "(", "{", "}", ">", ">>", "<", "<<", "2>", "&>", "/", "..", "=",
        "*", "?", "~", "#", "!", "if", "a", "target/", "/etc/p", "\t", "\r",
    ]);
    prop::collection::vec(token, 0..14).prop_map(|tokens| tokens.concat())
}

/// What of a command line is neither quoted nor escaped; `None` where a quote is open.
fn bare(text: &str) -> Option<String> {
    let (mut bare, mut rest) = (String::new(), text.chars());
    while let Some(c) = rest.next() {
        match c {
            '\\' => {
                rest.next()?;
                bare.push('_');
            }
            '\'' => {
                rest.by_ref().find(|c| *c == '\'')?;
                bare.push('_');
            }
            '"' => loop {
                match rest.next()? {
                    '"' => break bare.push('_'),
                    '\\' => drop(rest.next()?),
                    c @ ('$' | '`') => bare.push(c),
                    _ => {}
                }
            },
            c => bare.push(c),
        }
    }
    Some(bare)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    /// Whatever is made of operators and quotes: what is allowed begins each command with `git`, and
    /// has nothing in it that a shell would put something else in place of.
    #[test]
    fn a_pattern_of_commands_is_not_fooled(tail in shell_text(), lead in shell_text()) {
        let rules = permissions(&["run(git *)", "edit(target/**)"], &[], &[]);
        for command in [format!("git {tail}"), format!("{lead}git{tail}")] {
            if decide(&rules, &Action::run("Bash", &command)) != Allow {
                continue;
            }
            let bare = bare(&command);
            prop_assert!(bare.is_some(), "{command:?}");
            let bare = bare.unwrap_or_default();
            for forbidden in ['$', '`', '(', ')', '#', '\r'] {
                prop_assert!(!bare.contains(forbidden) || forbidden == '#', "{command:?}");
            }
            let redirected = bare.replace("&>", " >").replace(">&", "> ").replace(">|", "> ");
            for part in redirected.split([';', '&', '|', '\n']) {
                let words: Vec<&str> = part.split([' ', '\t']).filter(|w| !w.is_empty()).collect();
                let first = words.iter().find(|word| !word.starts_with(['>', '<', '2']));
                if let Some(first) = first
                    && !part.contains(['>', '<', '_'])
                {
                    prop_assert_eq!(*first, "git", "{:?}", command);
                }
            }
        }
    }

    /// One more denial never allows anything, and what is denied outright is denied.
    #[test]
    fn denials_win(command in shell_text(), which in 0_usize..5) {
        let action = Action::run("Bash", &command);
        let loose = permissions(&["run", "edit", "read"], &["run(sh *)"], &[]);
        let rule = ["run(rm *)", "run", "edit(**)", "tool(Bash)", "*"][which];
        let strict = Permissions { deny: vec![rule.parse().expect("a rule")], ..loose.clone() };
        let before = decide(&loose, &action);
        let after = decide(&strict, &action);
        let rank = |decision| match decision { Allow => 0, Ask => 1, Deny => 2 };
        prop_assert!(rank(after) >= rank(before), "{:?}: {:?} {:?}", command, before, after);
        prop_assert!(which == 0 || which == 2 || after == Deny, "{:?}", command);
    }

    /// A relative pattern never means what is outside, however one gets there.
    #[test]
    fn a_relative_pattern_stays_in_the_workspace(
        parts in prop::collection::vec(
            prop::sample::select(vec!["a", "..", ".", "", "project", "space", "~"]), 0..8),
        absolute: bool,
    ) {
        let path = format!("{}{}", if absolute { "/" } else { "" }, parts.join("/"));
        let rules = permissions(&["edit(**)"], &[], &[]);
        // Counted another way: by how deep one is, and where one was at the root.
        let mut here: Vec<&str> = if absolute || path.starts_with('/') { vec![] } else { vec!["space", "project"] };
        if path == "~" || path.starts_with("~/") {
            here = vec!["home", "ann"];
        }
        let mut above = path.is_empty();
        for part in path.strip_prefix("~/").unwrap_or(if path == "~" { "" } else { &path }).split('/') {
            match part {
                "" | "." => {}
                ".." => above |= here.pop().is_none(),
                part => here.push(part),
            }
        }
        let inside = !above && here.starts_with(&["space", "project"]);
        let decision = decide(&rules, &Action::new("t", ActionKind::Edit).on([&path]));
        prop_assert_eq!(decision == Allow, inside, "{:?}", path);
    }

    /// What a person allows for good is allowed, and a rule that is shown is one that can be read.
    #[test]
    fn what_can_be_remembered_is_remembered_exactly(command in shell_text(), other in shell_text()) {
        let rules = permissions(&[], &[], &[]);
        let (asked, other) = (Action::run("Bash", &command), Action::run("Bash", &other));
        if let Some(exact) = rules.exactly(&asked, Path::new(AT)) {
            prop_assert_eq!(rules.decide(&asked, Path::new(AT), &exact).decision, Allow);
            for rule in &exact {
                prop_assert_eq!(&rule.as_str().parse::<PermissionRule>().expect("a rule"), rule);
            }
            if rules.decide(&other, Path::new(AT), &exact).decision == Allow {
                let known = CommandLine::read(&command);
                for made in CommandLine::read(other.command.as_deref().unwrap_or_default()).commands {
                    let words = |simple: &command::Simple| simple.words.clone();
                    prop_assert!(known.commands.iter().any(|c| words(c) == words(&made)));
                }
            }
        }
    }

    /// No text makes it stop.
    #[test]
    fn any_text_is_read(text in "\\PC*", rule in "\\PC*") {
        let _ = CommandLine::read(&text);
        let _ = rule.parse::<PermissionRule>();
        let _ = format!("run({rule})").parse::<PermissionRule>();
        let _ = format!("edit({rule})").parse::<PermissionRule>();
    }
}

//! `cargo xtask capabilities`: every proof that `docs/capabilities.md` names exists.
//!
//! The page holds tables `| Capability | Proof |`. A proof is in backticks and is one of
//! - a test by its full name, `orchestrator_core::policy::retry::tests::each_class_has_its_default`
//!   or, for a file under `tests/`, `orchestrator_cli::resume::a_killed_run_goes_on`;
//! - a Rust file whose documentation holds an example that runs, `orchestrator-core/src/lib.rs`;
//! - a command: `cargo …`, `scripts/…`, `.ci/…` or `orchestrator …`.

use crate::{conclude, is_chore, markdown, takes_nothing, targets, tree::Tree};
use anyhow::{Result, bail};
use cargo_metadata::Metadata;
use std::collections::BTreeSet;

/// Where the claims are.
const PAGE: &str = "docs/capabilities.md";
/// Where every command of the product is described.
const REFERENCE: &str = "docs/cli.md";
/// The header of the tables of claims.
const HEADER: [&str; 2] = ["Capability", "Proof"];
/// What of cargo a proof may be, besides our own chores.
const CARGO: [&str; 9] = ["bench", "build", "clippy", "deny", "doc", "fmt", "run", "test", "tree"];

/// Runs the chore.
///
/// # Errors
/// When a proof does not exist, or a claim has none.
pub(crate) fn run(tree: &Tree, arguments: &[String]) -> Result<()> {
    takes_nothing("capabilities", arguments)?;
    let claims = claims(&tree.read(PAGE)?)?;
    let metadata = tree.members()?;
    let tests = if claims.iter().flat_map(|claim| &claim.proofs).any(|proof| is_test(proof)) {
        targets::tests(tree, &metadata)?
    } else {
        BTreeSet::new()
    };
    let evidence = Evidence { tree, metadata, tests };
    let mut problems = Vec::new();
    for claim in &claims {
        if claim.proofs.is_empty() {
            problems.push(format!("`{}` has no proof in backticks", claim.what));
        }
        for proof in &claim.proofs {
            if let Err(why) = evidence.find(proof) {
                problems.push(format!("`{proof}`, the proof of `{}`: {why}", claim.what));
            }
        }
    }
    let proofs: usize = claims.iter().map(|claim| claim.proofs.len()).sum();
    conclude("capabilities", &problems, &format!("{} claims, {proofs} proofs", claims.len()))
}

#[derive(Debug, PartialEq, Eq)]
struct Claim {
    what: String,
    proofs: Vec<String>,
}

fn claims(page: &str) -> Result<Vec<Claim>> {
    let mut claims = Vec::new();
    for table in markdown::tables(page, &HEADER) {
        for row in table.rows {
            let [what, proof, ..] = row.as_slice() else {
                continue;
            };
            claims.push(Claim { what: what.text.clone(), proofs: proof.code.clone() });
        }
    }
    if claims.is_empty() {
        bail!("{PAGE} has no table with the header `{}`", HEADER.join(" | "));
    }
    Ok(claims)
}

fn is_test(proof: &str) -> bool {
    proof.contains("::") && !proof.contains(' ')
}

/// What a proof is looked up in.
struct Evidence<'a> {
    tree: &'a Tree,
    metadata: Metadata,
    tests: BTreeSet<String>,
}

/// Why a proof does not hold.
type Lacking = Result<(), String>;

impl Evidence<'_> {
    fn find(&self, proof: &str) -> Lacking {
        let words: Vec<&str> = proof.split_whitespace().collect();
        match words.as_slice() {
            [name] if is_test(name) => self.test(name),
            [file] if file.ends_with(".rs") => self.example(file),
            ["cargo", rest @ ..] => self.cargo(rest),
            ["orchestrator", rest @ ..] => self.product(rest),
            [script, ..] if script.starts_with("scripts/") || script.starts_with(".ci/") => {
                self.script(script)
            }
            _ => Err("is neither a test, a Rust file with an example, nor a command".to_owned()),
        }
    }

    fn test(&self, name: &str) -> Lacking {
        if self.tests.contains(name) {
            return Ok(());
        }
        let last = name.rsplit("::").next().unwrap_or(name);
        let alike: Vec<&str> = self
            .tests
            .iter()
            .filter(|test| test.rsplit("::").next() == Some(last))
            .map(String::as_str)
            .collect();
        if alike.is_empty() {
            Err("there is no such test".to_owned())
        } else {
            Err(format!("there is no such test; is it `{}`?", alike.join("` or `")))
        }
    }

    fn example(&self, file: &str) -> Lacking {
        let text = self.tree.read(file).map_err(|error| format!("{error:#}"))?;
        let found = documentation(&text).iter().any(|block| markdown::has_running_example(block));
        if found { Ok(()) } else { Err("its documentation has no example that runs".to_owned()) }
    }

    fn cargo(&self, words: &[&str]) -> Lacking {
        match words {
            ["xtask", chore, ..] if is_chore(chore) => return Ok(()),
            ["xtask", ..] => return Err("there is no such chore".to_owned()),
            [command, ..] if CARGO.contains(command) => {}
            _ => return Err("is no command of cargo that proves anything".to_owned()),
        }
        let (own, passed_on) = match words.iter().position(|word| *word == "--") {
            Some(at) => (&words[..at], &words[at + 1..]),
            None => (words, &[][..]),
        };
        let value = |flag: &str| {
            own.iter().position(|word| *word == flag).map(|at| own.get(at + 1).copied())
        };
        let package = match value("-p").or_else(|| value("--package")) {
            None => None,
            Some(None) => return Err("`-p` names no package".to_owned()),
            Some(Some(name)) if self.metadata.packages.iter().any(|p| *p.name == name) => {
                Some(name)
            }
            Some(Some(name)) => return Err(format!("there is no package {name}")),
        };
        for kind in ["bench", "bin", "example", "test"] {
            let Some(name) = value(&format!("--{kind}")) else {
                continue;
            };
            let name = name.unwrap_or_default();
            let package = package.ok_or_else(|| format!("say with `-p` whose {kind} it is"))?;
            if !targets::has_target(&self.metadata, package, kind, name) {
                return Err(format!("{package} has no {kind} called `{name}`"));
            }
        }
        match (own.first(), package, passed_on) {
            (Some(&"run"), Some("orchestrator-cli"), [_, ..]) => self.product(passed_on),
            _ => Ok(()),
        }
    }

    fn product(&self, words: &[&str]) -> Lacking {
        let Some(command) = words.iter().find(|word| !word.starts_with('-')) else {
            return Ok(());
        };
        let reference = self.tree.read(REFERENCE).map_err(|error| format!("{error:#}"))?;
        let known =
            reference.match_indices(&format!("orchestrator {command}")).any(|(at, text)| {
                let next = reference[at + text.len()..].chars().next();
                !next.is_some_and(|next| next.is_alphanumeric() || next == '-')
            });
        if known { Ok(()) } else { Err(format!("{REFERENCE} describes no command `{command}`")) }
    }

    fn script(&self, script: &str) -> Lacking {
        let path = self.tree.path(script);
        let Ok(metadata) = std::fs::metadata(&path) else {
            return Err("there is no such script".to_owned());
        };
        #[cfg(unix)]
        if std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o100 == 0 {
            return Err(format!("is not executable; `chmod +x {script}`"));
        }
        if metadata.is_file() { Ok(()) } else { Err("is no file".to_owned()) }
    }
}

/// The documentation in a Rust file: each run of `//!` or `///` lines as one text.
fn documentation(source: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut block = String::new();
    for line in source.lines().chain([""]) {
        let line = line.trim_start();
        match line.strip_prefix("//!").or_else(|| line.strip_prefix("///")) {
            Some(text) => {
                block.push_str(text.strip_prefix(' ').unwrap_or(text));
                block.push('\n');
            }
            None if !block.is_empty() => blocks.push(std::mem::take(&mut block)),
            None => {}
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn claims_are_read_from_every_table_of_the_page() {
        let page = "| Capability | Proof |\n|---|---|\n| It `adds` | `a::b`, `cargo test` |\n\n\
                    | Capability | Proof |\n|---|---|\n| It waits | soon |\n";
        let claims = claims(page).unwrap();
        assert_eq!(claims[0].what, "It adds");
        assert_eq!(claims[0].proofs, ["a::b", "cargo test"]);
        assert!(claims[1].proofs.is_empty());
        assert!(super::claims("# Nothing claimed").is_err());
    }

    #[test]
    fn each_kind_of_proof_is_looked_up() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("docs/cli.md", "## orchestrator list-runs\n\n`orchestrator execute`\n");
        write("core/src/lib.rs", "//! Adds.\n//!\n//! ```\n//! assert!(true);\n//! ```\n");
        write("core/src/bare.rs", "//! Adds.\n// ```\n");
        write("scripts/plain", "");
        let here = Tree::find().unwrap();
        let tree = Tree::at(directory.path());
        let tests = BTreeSet::from(["a::b::adds".to_owned()]);
        let evidence = Evidence { tree: &tree, metadata: here.members().unwrap(), tests };

        let check = |proof: &str, expected: Result<(), &str>| match (evidence.find(proof), expected)
        {
            (Ok(()), Ok(())) => {}
            (Err(why), Err(part)) => assert!(why.contains(part), "{proof}: {why} lacks {part}"),
            (found, expected) => panic!("{proof}: {found:?}, not {expected:?}"),
        };
        check("a::b::adds", Ok(()));
        check("a::adds", Err("is it `a::b::adds`?"));
        check("a::b::subtracts", Err("no such test"));
        check("core/src/lib.rs", Ok(()));
        check("core/src/bare.rs", Err("no example"));
        check("core/src/absent.rs", Err("cannot read"));
        check("cargo xtask layers", Ok(()));
        check("cargo xtask dance", Err("no such chore"));
        check("cargo test -p xtask", Ok(()));
        check("cargo test -p ghost", Err("no package ghost"));
        check("cargo bench -p xtask --bench ghost", Err("no bench called `ghost`"));
        check("cargo run -p xtask --bin xtask", Ok(()));
        check("cargo publish", Err("proves anything"));
        check("orchestrator execute --task-type audit", Ok(()));
        check("orchestrator list", Err("no command `list`"));
        check("scripts/absent", Err("no such script"));
        #[cfg(unix)]
        check("scripts/plain", Err("chmod +x"));
        check("trust me", Err("neither"));
    }
}

//! What has to pass on several pieces of work together.

use orchestrator_core::workspace::{CheckSpec, ChecksPolicy, TamperPolicy};

/// All checks, each once, in the order in which they come.
///
/// Whether an attempt has weakened what proves it was asked, with its judge, when its own commit was
/// checked; here the question is only whether all go together.
pub(super) fn union<'a>(policies: impl IntoIterator<Item = &'a ChecksPolicy>) -> ChecksPolicy {
    let mut all = ChecksPolicy { tamper: TamperPolicy::Off, ..ChecksPolicy::default() };
    for policy in policies {
        for check in &policy.run {
            if !all.run.iter().any(|other| is_same(other, check)) {
                all.run.push(check.clone());
            }
        }
        if policy.run.is_empty() {
            continue;
        }
        all.baseline |= policy.baseline;
        add(&mut all.setup, &policy.setup);
        add(&mut all.protect, &policy.protect);
    }
    all
}

fn is_same(one: &CheckSpec, other: &CheckSpec) -> bool {
    (&one.command, &one.directory, one.parser, &one.report, one.coverage)
        == (&other.command, &other.directory, other.parser, &other.report, other.coverage)
}

fn add(all: &mut Vec<String>, more: &[String]) {
    for line in more {
        if !all.contains(line) {
            all.push(line.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orchestrator_core::workspace::{CheckCommand, CheckParser};

    fn policy(commands: &[&str], setup: &[&str]) -> ChecksPolicy {
        let check = |command: &&str| CheckSpec {
            name: format!("check {command}"),
            command: CheckCommand::Shell((*command).into()),
            directory: None,
            timeout: None,
            parser: CheckParser::ExitCode,
            report: None,
            retries: 0,
            coverage: None,
        };
        ChecksPolicy {
            run: commands.iter().map(check).collect(),
            setup: setup.iter().map(|line| (*line).into()).collect(),
            ..ChecksPolicy::default()
        }
    }

    #[test]
    fn each_check_is_run_once() {
        let all = union([
            &policy(&["a", "b"], &["x"]),
            &policy(&[], &["only for checks"]),
            &policy(&["b", "c"], &["x", "y"]),
        ]);
        let names: Vec<&str> = all.run.iter().map(|check| check.name.as_str()).collect();
        assert_eq!(names, ["check a", "check b", "check c"]);
        assert_eq!(all.setup, ["x", "y"]);
        assert_eq!(all.tamper, TamperPolicy::Off);
    }
}

//! Projects that are git repositories, with programs as agents.

use crate::harness::Project;
use std::{fs, process::Command};

/// What git says in the project.
pub(crate) fn git(project: &Project, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(project.path())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").expect("a path"))
        .env("HOME", project.home())
        .output()
        .expect("git");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text").trim_end().to_owned()
}

/// Makes the project a repository with one commit of all that is there, the workflow `flow`, and an
/// agent for each of `programs`: shell scripts by their names.
pub(crate) fn commit_first(project: &Project, programs: &[(&str, &str)], flow: &str) {
    project.write(".orchestrator/.gitignore", "state/\n");
    let mut config = String::new();
    for (name, script) in programs {
        let file = project.home().join(format!("{name}.sh"));
        fs::write(&file, script).expect("a program");
        config += &format!(
            "[agents.{name}]\nprovider = \"command\"\ncommand = [\"sh\", \"{}\"]\n",
            file.display()
        );
    }
    project.write(".orchestrator/config.toml", &config);
    project.write(".orchestrator/workflows/flow.yaml", flow);
    git(project, &["init", "-q", "-b", "main"]);
    git(project, &["config", "user.name", "A Person"]);
    git(project, &["config", "user.email", "person@example.org"]);
    git(project, &["add", "-A"]);
    git(project, &["commit", "-q", "-m", "first"]);
}

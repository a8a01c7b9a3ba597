//! Continuous integration.

use crate::builtin::Index;

/// What runs by itself on a change.
#[derive(Debug, Default)]
pub(super) struct Automation {
    /// The files that say so.
    pub(super) files: Vec<String>,
    /// Whether any of them seems to run tests.
    pub(super) runs_tests: bool,
}

/// What a step that runs tests has in it. Also what a step calls that hides the tests in a
/// script of the project.
const TEST_STEPS: [&str; 29] = [
    "cargo test",
    "cargo nextest",
    "cargo xtask",
    "npm test",
    "npm run test",
    "npm t ",
    "npm ci-test",
    "pnpm test",
    "pnpm run test",
    "yarn test",
    "yarn run test",
    "bun test",
    "pytest",
    "tox",
    "nox",
    "unittest",
    "go test",
    "mvn",
    "gradle",
    "rspec",
    "rake",
    "rails test",
    "phpunit",
    "pest",
    "dotnet test",
    "ctest",
    "make check",
    "bats",
    "just ",
];

pub(super) fn detect(index: &Index) -> Automation {
    let mut automation = Automation::default();
    for file in index.files().iter().filter(|file| is_automation(&file.path)) {
        automation.files.push(file.path.clone());
        let Some(text) = index.read(file) else {
            continue;
        };
        let lower = text.to_ascii_lowercase();
        automation.runs_tests |= TEST_STEPS.iter().any(|step| lower.contains(step))
            || lower.lines().any(|line| {
                // A script or a target of the project with `test` in its name.
                !line.trim_start().starts_with('#')
                    && ["test", "verify", "check.sh", "ci.sh"].iter().any(|word| {
                        line.contains(&format!("make {word}"))
                            || line.contains(&format!("/{word}"))
                            || line.contains(&format!("run {word}"))
                            || line.contains(&format!("run-{word}"))
                            || line.contains(&format!(":{word}"))
                    })
            });
    }
    automation
}

fn is_automation(path: &str) -> bool {
    let in_dir = |dir: &str| path.strip_prefix(dir).is_some_and(|rest| !rest.contains('/'));
    let is_yaml = path.ends_with(".yml") || path.ends_with(".yaml");
    if is_yaml {
        const DIRS: [&str; 6] = [
            ".github/workflows/",
            ".gitea/workflows/",
            ".forgejo/workflows/",
            ".circleci/",
            ".buildkite/",
            ".woodpecker/",
        ];
        const FILES: [&str; 10] = [
            ".gitlab-ci",
            ".travis",
            "azure-pipelines",
            "appveyor",
            ".appveyor",
            "bitbucket-pipelines",
            ".drone",
            ".cirrus",
            "cloudbuild",
            ".woodpecker",
        ];
        let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
        return DIRS.iter().any(|dir| in_dir(dir)) || FILES.contains(&stem);
    }
    path == "Jenkinsfile" || path == ".builds" || in_dir(".ci/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_services_files_are_known() {
        for (path, known) in [
            (".github/workflows/ci.yml", true),
            (".github/dependabot.yml", false),
            (".gitlab-ci.yml", true),
            ("Jenkinsfile", true),
            ("sub/Jenkinsfile", false),
            (".ci/run", true),
            ("docs/azure-pipelines.yml", false),
        ] {
            assert_eq!(is_automation(path), known, "{path}");
        }
    }
}

//! `pyproject.toml`: PEP 621, PEP 735, Poetry, uv and PDM.

use super::{
    Contents, Package, Scope, Source, one_line,
    requirements::{normal, requirement},
};
use toml::{Table, Value};

pub(super) fn manifest(text: &str) -> Result<Contents, String> {
    let root: Table = toml::from_str(text).map_err(one_line)?;
    let mut contents = Contents::default();
    if let Some(project) = root.get("project").and_then(Value::as_table) {
        contents.name = project.get("name").and_then(Value::as_str).map(str::to_owned);
        contents.published = root.contains_key("build-system") && !is_private(project);
        list(project.get("dependencies"), Scope::Normal, &mut contents.packages);
        for group in tables(project.get("optional-dependencies")) {
            list(Some(group), Scope::Optional, &mut contents.packages);
        }
        for programs in ["scripts", "gui-scripts"] {
            entries(project.get(programs), &mut contents.entry_points);
        }
    }
    for group in tables(root.get("dependency-groups")) {
        list(Some(group), Scope::Dev, &mut contents.packages);
    }
    let Some(tool) = root.get("tool").and_then(Value::as_table) else {
        return Ok(contents);
    };
    if let Some(poetry) = tool.get("poetry").and_then(Value::as_table) {
        if contents.name.is_none() {
            contents.name = poetry.get("name").and_then(Value::as_str).map(str::to_owned);
        }
        poetry_table(poetry.get("dependencies"), Scope::Normal, &mut contents.packages);
        poetry_table(poetry.get("dev-dependencies"), Scope::Dev, &mut contents.packages);
        for group in tables(poetry.get("group")) {
            poetry_table(group.get("dependencies"), Scope::Dev, &mut contents.packages);
        }
        entries(poetry.get("scripts"), &mut contents.entry_points);
    }
    if let Some(uv) = tool.get("uv") {
        list(uv.get("dev-dependencies"), Scope::Dev, &mut contents.packages);
        // A source says from where a package comes that is named elsewhere.
        for (name, value) in uv.get("sources").and_then(Value::as_table).into_iter().flatten() {
            let name = normal(name);
            if let Some(source) = source(value) {
                for package in contents.packages.iter_mut().filter(|p| p.name == name) {
                    package.source = source.clone();
                }
            }
        }
    }
    for group in tables(tool.get("pdm").and_then(|pdm| pdm.get("dev-dependencies"))) {
        list(Some(group), Scope::Dev, &mut contents.packages);
    }
    Ok(contents)
}

/// PyPI refuses what carries this classifier.
fn is_private(project: &Table) -> bool {
    let classifiers = project.get("classifiers").and_then(Value::as_array);
    classifiers.into_iter().flatten().filter_map(Value::as_str).any(|c| c.starts_with("Private ::"))
}

fn tables(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_table).into_iter().flat_map(Table::values)
}

fn list(value: Option<&Value>, scope: Scope, packages: &mut Vec<Package>) {
    let items = value.and_then(Value::as_array).into_iter().flatten();
    packages.extend(
        items
            .filter_map(Value::as_str)
            .filter_map(requirement)
            .map(|package| package.scoped(scope)),
    );
}

fn entries(value: Option<&Value>, entry_points: &mut Vec<String>) {
    for (name, target) in value.and_then(Value::as_table).into_iter().flatten() {
        if let Some(target) = target.as_str() {
            entry_points.push(format!("{name} = {target}"));
        }
    }
}

fn poetry_table(value: Option<&Value>, scope: Scope, packages: &mut Vec<Package>) {
    for (name, value) in value.and_then(Value::as_table).into_iter().flatten() {
        if name == "python" {
            continue;
        }
        let version = value.as_str().or_else(|| value.get("version").and_then(Value::as_str));
        let optional = value.get("optional").and_then(Value::as_bool) == Some(true);
        packages.push(
            Package::new(normal(name), version.map(str::to_owned))
                .from(source(value).unwrap_or(Source::Registry))
                .scoped(if optional { Scope::Optional } else { scope }),
        );
    }
}

fn source(value: &Value) -> Option<Source> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    if value.get("workspace").and_then(Value::as_bool) == Some(true) {
        Some(Source::Workspace)
    } else if let Some(path) = text("path") {
        Some(Source::Path(path.to_owned()))
    } else if text("git").is_some() {
        Some(Source::Git { pinned: text("rev").is_some() || text("tag").is_some() })
    } else {
        text("url").map(|_| Source::Url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<(String, Scope, Source)> {
        let contents = manifest(text).unwrap();
        contents.packages.into_iter().map(|p| (p.name, p.scope, p.source)).collect()
    }

    #[test]
    fn each_dialect_is_read() {
        let of = |name: &str, scope, source| (name.to_owned(), scope, source);
        for (text, expected) in [
            (
                "[project]\nname='a'\ndependencies=['Flask>=2']\n[project.optional-dependencies]\nx=['b']",
                vec![
                    of("flask", Scope::Normal, Source::Registry),
                    of("b", Scope::Optional, Source::Registry),
                ],
            ),
            (
                "[tool.poetry.dependencies]\npython='^3'\nflask='^2'\nnear={path='../n'}\n\
                 [tool.poetry.group.dev.dependencies]\npytest='*'",
                vec![
                    of("flask", Scope::Normal, Source::Registry),
                    of("near", Scope::Normal, Source::Path("../n".to_owned())),
                    of("pytest", Scope::Dev, Source::Registry),
                ],
            ),
            (
                "[project]\ndependencies=['A_b']\n[tool.uv.sources]\na-b={git='https://x'}\n\
                 [dependency-groups]\ndev=['ruff', {include-group='x'}]",
                vec![
                    of("a-b", Scope::Normal, Source::Git { pinned: false }),
                    of("ruff", Scope::Dev, Source::Registry),
                ],
            ),
        ] {
            assert_eq!(names(text), expected, "{text}");
        }
    }

    #[test]
    fn entry_points_and_the_wish_to_publish_are_read() {
        let contents = manifest(
            "[build-system]\nrequires=[]\n[project]\nname='a'\n[project.scripts]\nrun='a.main:go'",
        )
        .unwrap();
        assert_eq!(contents.entry_points, ["run = a.main:go"]);
        assert!(contents.published);
        assert!(!manifest("[project]\nname='a'").unwrap().published);
    }
}

//! What a project's own manifests say about its licence. One function a format.

use crate::builtin::index::{Class, FileEntry, Index};
use serde_json::Value;

/// What one manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Declared {
    /// The manifest, relative to the project.
    pub(super) manifest: String,
    /// The directory that it is about; empty for the root.
    pub(super) dir: String,
    /// The package's name, when it has one.
    pub(super) name: Option<String>,
    /// The licence as written; nothing when it says none.
    pub(super) licence: Option<String>,
    /// Whether the package says that it is not published.
    pub(super) is_private: bool,
}

/// What one format's reader gives: name, licence, private.
type Said = (Option<String>, Option<String>, bool);

/// What every manifest of the project says, by path.
pub(super) fn declared(index: &Index) -> Vec<Declared> {
    let workspace = index
        .file("Cargo.toml")
        .and_then(|file| index.read(file))
        .and_then(|text| text.parse::<toml::Table>().ok())
        .and_then(|table| text_at(&table, &["workspace", "package", "license"]));
    index
        .files()
        .iter()
        .filter(|file| file.class == Class::Own)
        .filter_map(|file| {
            let read = reader(file)?;
            let text = index.read(file)?;
            let (name, licence, is_private) = read(&text)?;
            let licence = match licence {
                Some(inherited) if inherited == INHERITED => workspace.clone(),
                other => other,
            };
            let licence =
                licence.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
            Some(Declared {
                manifest: file.path.clone(),
                dir: file.dir().to_owned(),
                name,
                licence,
                is_private,
            })
        })
        .collect()
}

fn reader(file: &FileEntry) -> Option<fn(&str) -> Option<Said>> {
    Some(match file.name() {
        "Cargo.toml" => cargo,
        "package.json" => npm,
        "pyproject.toml" => pyproject,
        "setup.cfg" => setup_cfg,
        "composer.json" => composer,
        "pom.xml" => pom,
        name if name.ends_with(".gemspec") => gemspec,
        name if name.ends_with(".csproj") || name.ends_with(".nuspec") => nuget,
        _ => return None,
    })
}

/// Stands for `license.workspace = true` until the workspace is looked up.
const INHERITED: &str = "\u{0}workspace";

fn text_at(table: &toml::Table, path: &[&str]) -> Option<String> {
    let (last, parents) = path.split_last()?;
    let mut table = table;
    for key in parents {
        table = table.get(*key)?.as_table()?;
    }
    table.get(*last)?.as_str().map(str::to_owned)
}

fn cargo(text: &str) -> Option<Said> {
    let table: toml::Table = text.parse().ok()?;
    let Some(package) = table.get("package").and_then(toml::Value::as_table) else {
        // A workspace without a package of its own speaks for its members.
        let shared = text_at(&table, &["workspace", "package", "license"])?;
        return Some((None, Some(shared), false));
    };
    let licence = match package.get("license") {
        Some(toml::Value::Table(table)) if table.contains_key("workspace") => {
            Some(INHERITED.to_owned())
        }
        Some(toml::Value::String(text)) => Some(text.clone()),
        _ => None,
    };
    let is_private = match package.get("publish") {
        Some(toml::Value::Boolean(publish)) => !publish,
        Some(toml::Value::Array(registries)) => registries.is_empty(),
        _ => false,
    };
    Some((text_at(package, &["name"]), licence, is_private))
}

/// The licence of a `package.json`, in its present form and the two that came before.
pub(super) fn npm_licence(package: &Value) -> Option<String> {
    let one = |value: &Value| {
        value.as_str().or_else(|| value.get("type").and_then(Value::as_str)).map(str::to_owned)
    };
    match (package.get("license"), package.get("licenses")) {
        (Some(licence), _) => one(licence),
        (None, Some(Value::Array(all))) => {
            let all: Vec<String> = all.iter().filter_map(one).collect();
            (!all.is_empty()).then(|| all.join(" OR "))
        }
        _ => None,
    }
}

fn npm(text: &str) -> Option<Said> {
    let package: Value = serde_json::from_str(text).ok()?;
    let name = package.get("name").and_then(Value::as_str).map(str::to_owned);
    let is_private = package.get("private").and_then(Value::as_bool).unwrap_or(false);
    Some((name, npm_licence(&package), is_private))
}

fn composer(text: &str) -> Option<Said> {
    let package: Value = serde_json::from_str(text).ok()?;
    let name = package.get("name").and_then(Value::as_str).map(str::to_owned);
    let is_private = package.get("type").and_then(Value::as_str) == Some("project");
    Some((name, composer_licence(&package), is_private))
}

/// Composer's list of licences means a choice.
pub(super) fn composer_licence(package: &Value) -> Option<String> {
    match package.get("license")? {
        Value::String(one) => Some(one.clone()),
        Value::Array(all) => {
            let all: Vec<&str> = all.iter().filter_map(Value::as_str).collect();
            (!all.is_empty()).then(|| all.join(" OR "))
        }
        _ => None,
    }
}

fn pyproject(text: &str) -> Option<Said> {
    let table: toml::Table = text.parse().ok()?;
    let poetry = |key: &str| text_at(&table, &["tool", "poetry", key]);
    let project = table.get("project").and_then(toml::Value::as_table);
    if project.is_none() && poetry("name").is_none() {
        // Only the settings of tools.
        return None;
    }
    let classifiers: Vec<&str> = project
        .and_then(|project| project.get("classifiers"))
        .and_then(toml::Value::as_array)
        .map(|all| all.iter().filter_map(toml::Value::as_str).collect())
        .unwrap_or_default();
    let is_private = classifiers.iter().any(|c| c.starts_with("Private ::"));
    let licence = project
        .and_then(|project| match project.get("license")? {
            toml::Value::String(text) => Some(text.clone()),
            // The text form may hold a whole licence; only a name is taken from it.
            toml::Value::Table(table) => table
                .get("text")?
                .as_str()
                .filter(|text| text.len() < 80 && !text.contains('\n'))
                .map(str::to_owned),
            _ => None,
        })
        .or_else(|| poetry("license"))
        .or_else(|| licence_classifier(classifiers.iter().copied()));
    let name = project.and_then(|project| text_at(project, &["name"])).or_else(|| poetry("name"));
    Some((name, licence, is_private))
}

/// The one licence that Python classifiers name, when it is a particular one.
pub(super) fn licence_classifier<'a>(classifiers: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut all = classifiers
        .filter(|c| c.starts_with("License :: ") && c.matches(" :: ").count() >= 2)
        .map(str::to_owned);
    let first = all.next()?;
    all.next().is_none().then_some(first)
}

fn setup_cfg(text: &str) -> Option<Said> {
    let mut section = "";
    let (mut name, mut licence) = (None, None);
    for line in text.lines() {
        if let Some(header) = line.trim().strip_prefix('[') {
            section = header.trim_end_matches(']');
        } else if section == "metadata"
            && let Some((key, value)) = line.split_once('=')
        {
            match key.trim() {
                "name" => name = Some(value.trim().to_owned()),
                "license" => licence = Some(value.trim().to_owned()),
                _ => {}
            }
        }
    }
    name.is_some().then_some((name, licence, false))
}

/// `s.license = "MIT"`, `s.licenses = ["MIT", "Ruby"]`.
fn gemspec(text: &str) -> Option<Said> {
    let value = |key: &str| {
        text.lines().find_map(|line| {
            let line = line.trim();
            let (left, right) = line.split_once('=')?;
            (!line.starts_with('#') && left.trim().ends_with(key)).then(|| strings(right))
        })
    };
    let licences = value(".licenses").or_else(|| value(".license")).unwrap_or_default();
    let name = value(".name").and_then(|names| names.into_iter().next());
    Some((name, (!licences.is_empty()).then(|| licences.join(" OR ")), false))
}

/// The quoted strings of a line.
fn strings(line: &str) -> Vec<String> {
    let mut parts = line.split(['"', '\'']);
    parts.next();
    let mut found = Vec::new();
    while let (Some(inside), Some(_)) = (parts.next(), parts.next()) {
        found.push(inside.to_owned());
    }
    found
}

fn pom(text: &str) -> Option<Said> {
    let document = roxmltree::Document::parse(text).ok()?;
    let root = document.root_element();
    let child = |node: roxmltree::Node<'_, '_>, name: &str| {
        node.children()
            .find(|child| child.has_tag_name_ignoring_namespace(name))
            .and_then(|c| c.text().map(|t| t.trim().to_owned()))
    };
    let names: Vec<String> = root
        .children()
        .filter(|node| node.has_tag_name_ignoring_namespace("licenses"))
        .flat_map(|licences| licences.children().collect::<Vec<_>>())
        .filter_map(|licence| child(licence, "name"))
        .collect();
    // A module without its own takes its parent's: it says nothing itself.
    let has_parent = root.children().any(|node| node.has_tag_name_ignoring_namespace("parent"));
    if names.is_empty() && has_parent {
        return None;
    }
    Some((child(root, "artifactId"), (!names.is_empty()).then(|| names.join(" OR ")), false))
}

fn nuget(text: &str) -> Option<Said> {
    let document = roxmltree::Document::parse(text).ok()?;
    let find = |names: &[&str]| {
        document
            .descendants()
            .find(|node| names.iter().any(|name| node.has_tag_name_ignoring_namespace(name)))
            .and_then(|node| node.text().map(|text| text.trim().to_owned()))
    };
    let licence = find(&["PackageLicenseExpression", "license"]);
    // Most .NET projects are applications, and state none.
    licence.as_ref()?;
    Some((find(&["PackageId", "id"]), licence, false))
}

/// Maven and NuGet files come with and without their namespaces.
trait IgnoringNamespace {
    fn has_tag_name_ignoring_namespace(&self, name: &str) -> bool;
}

impl IgnoringNamespace for roxmltree::Node<'_, '_> {
    fn has_tag_name_ignoring_namespace(&self, name: &str) -> bool {
        self.tag_name().name() == name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(read: fn(&str) -> Option<Said>, text: &str, expected: Option<(&str, Option<&str>)>) {
        let said = read(text);
        let shown = said
            .as_ref()
            .map(|(name, licence, _)| (name.as_deref().unwrap_or(""), licence.as_deref()));
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn each_format_is_read() {
        check(cargo, "[package]\nname='a'\nlicense='MIT'", Some(("a", Some("MIT"))));
        check(cargo, "[package]\nname='a'\nlicense.workspace=true", Some(("a", Some(INHERITED))));
        check(cargo, "[workspace]\nmembers=[]", None);
        check(cargo, "[workspace.package]\nlicense='MIT'", Some(("", Some("MIT"))));
        check(npm, r#"{"name":"a","license":"ISC"}"#, Some(("a", Some("ISC"))));
        check(npm, r#"{"license":{"type":"MIT"}}"#, Some(("", Some("MIT"))));
        check(
            npm,
            r#"{"licenses":[{"type":"MIT"},{"type":"BSD-3-Clause"}]}"#,
            Some(("", Some("MIT OR BSD-3-Clause"))),
        );
        check(npm, "{", None);
        check(pyproject, "[project]\nname='a'\nlicense='MIT'", Some(("a", Some("MIT"))));
        check(pyproject, "[project]\nname='a'\nlicense={text='BSD'}", Some(("a", Some("BSD"))));
        check(
            pyproject,
            "[project]\nname='a'\nclassifiers=['License :: OSI Approved :: MIT License']",
            Some(("a", Some("License :: OSI Approved :: MIT License"))),
        );
        check(pyproject, "[tool.poetry]\nname='a'\nlicense='MIT'", Some(("a", Some("MIT"))));
        check(pyproject, "[tool.ruff]\nline-length=1", None);
        check(
            setup_cfg,
            "[metadata]\nname = a\nlicense = MIT\n[options]\nlicense=x",
            Some(("a", Some("MIT"))),
        );
        check(
            composer,
            r#"{"name":"a/b","license":["MIT","GPL-2.0-only"]}"#,
            Some(("a/b", Some("MIT OR GPL-2.0-only"))),
        );
        check(
            gemspec,
            "Gem::Specification.new do |s|\n  s.name = 'a'\n  s.licenses = ['MIT', \"Ruby\"]\nend",
            Some(("a", Some("MIT OR Ruby"))),
        );
        check(
            pom,
            "<project xmlns='http://maven.apache.org/POM/4.0.0'><artifactId>a</artifactId><licenses><license><name>MIT License</name></license></licenses></project>",
            Some(("a", Some("MIT License"))),
        );
        check(pom, "<project><parent/><artifactId>a</artifactId></project>", None);
        check(
            nuget,
            "<Project><PropertyGroup><PackageLicenseExpression>MIT</PackageLicenseExpression></PropertyGroup></Project>",
            Some(("", Some("MIT"))),
        );
    }
}

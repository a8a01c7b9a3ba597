//! `pom.xml`.

use super::{Contents, Package, Scope, one_line};
use roxmltree::{Document, Node};
use std::collections::BTreeMap;

pub(super) fn manifest(text: &str) -> Result<Contents, String> {
    let document = Document::parse(text).map_err(one_line)?;
    let root = document.root_element();
    let mut properties: BTreeMap<String, String> = BTreeMap::new();
    for property in children(root, "properties").flat_map(|node| node.children()) {
        if let Some(value) = property.text() {
            properties.insert(property.tag_name().name().to_owned(), value.trim().to_owned());
        }
    }
    let version = |text: &str| match text.strip_prefix("${").and_then(|t| t.strip_suffix('}')) {
        Some(name) => properties.get(name).cloned().unwrap_or_else(|| text.to_owned()),
        None => text.to_owned(),
    };
    let own = |name| children(root, name).next().and_then(|node| node.text());
    let mut contents = Contents {
        name: own("artifactId").map(|name| name.trim().to_owned()),
        ..Contents::default()
    };
    for dependency in children(root, "dependencies").flat_map(|node| children(node, "dependency")) {
        let text = |name| children(dependency, name).next().and_then(|n| n.text()).map(str::trim);
        let (Some(group), Some(artifact)) = (text("groupId"), text("artifactId")) else {
            continue;
        };
        let scope = match text("scope") {
            Some("test" | "provided") => Scope::Dev,
            _ if text("optional") == Some("true") => Scope::Optional,
            _ => Scope::Normal,
        };
        let name = format!("{group}:{artifact}");
        contents.packages.push(Package::new(name, text("version").map(version)).scoped(scope));
    }
    for main in root.descendants().filter(|node| node.tag_name().name() == "mainClass") {
        contents.entry_points.extend(main.text().map(|text| text.trim().to_owned()));
    }
    Ok(contents)
}

fn children<'a, 'i>(
    node: Node<'a, 'i>,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'i>> + use<'a, 'i> {
    node.children().filter(move |child| child.tag_name().name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_have_scope_and_version() {
        let contents = manifest(
            "<project xmlns='http://maven.apache.org/POM/4.0.0'><artifactId>me</artifactId>\
             <properties><v>1.2</v></properties><dependencies>\
             <dependency><groupId>g</groupId><artifactId>a</artifactId><version>${v}</version></dependency>\
             <dependency><groupId>g</groupId><artifactId>t</artifactId><scope>test</scope></dependency>\
             </dependencies></project>",
        )
        .unwrap();
        let found: Vec<_> =
            contents.packages.into_iter().map(|p| (p.name, p.version, p.scope)).collect();
        assert_eq!(
            found,
            [
                ("g:a".to_owned(), Some("1.2".to_owned()), Scope::Normal),
                ("g:t".to_owned(), None, Scope::Dev),
            ]
        );
    }
}

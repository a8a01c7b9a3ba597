//! `build.gradle`, `build.gradle.kts` and `gradle.lockfile`.

use super::{Contents, Package, Scope};

/// The names that put a package on a class path in the plugins that come with Gradle, and in
/// Android's.
const NORMAL: [&str; 6] =
    ["implementation", "api", "compile", "runtimeOnly", "runtime", "classpath"];
const DEV: [&str; 9] = [
    "testImplementation",
    "testCompile",
    "testRuntimeOnly",
    "androidTestImplementation",
    "debugImplementation",
    "compileOnly",
    "annotationProcessor",
    "kapt",
    "ksp",
];

/// A build file is a program; only dependencies written out as `"group:name:version"` are seen.
pub(super) fn manifest(text: &str) -> Result<Contents, String> {
    let mut contents = Contents::default();
    for line in text.lines() {
        let line = line.trim();
        let word = line.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
        let scope = if NORMAL.contains(&word) {
            Scope::Normal
        } else if DEV.contains(&word) {
            Scope::Dev
        } else {
            continue;
        };
        let Some(coordinates) = line.split(['"', '\'']).nth(1) else {
            continue;
        };
        let mut parts = coordinates.split(':');
        if let (Some(group), Some(name)) = (parts.next(), parts.next())
            && !group.is_empty()
            && !name.is_empty()
            && !coordinates.contains(' ')
        {
            let version = parts.next().map(str::to_owned);
            let name = format!("{group}:{name}");
            contents.packages.push(Package::new(name, version).scoped(scope));
        }
    }
    Ok(contents)
}

/// `group:name:version=configurations` on each line.
pub(super) fn lock(text: &str) -> Result<Contents, String> {
    let mut contents = Contents::default();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let coordinates = line.split('=').next().unwrap_or_default();
        if let Some((name, version)) = coordinates.rsplit_once(':') {
            contents.packages.push(Package::new(name, Some(version.to_owned())));
        }
    }
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_of_build_files_are_read() {
        let text = "dependencies {\n  implementation 'g:a:1.0'\n  api(\"g:b:2.0\")\n  \
                    testImplementation(\"g:t\")\n  implementation project(':near')\n  \
                    println \"no:dep\"\n}\n";
        let found: Vec<_> = manifest(text)
            .unwrap()
            .packages
            .into_iter()
            .map(|p| (p.name, p.version, p.scope))
            .collect();
        assert_eq!(
            found,
            [
                ("g:a".to_owned(), Some("1.0".to_owned()), Scope::Normal),
                ("g:b".to_owned(), Some("2.0".to_owned()), Scope::Normal),
                ("g:t".to_owned(), None, Scope::Dev),
            ]
        );
    }

    #[test]
    fn a_lock_file_is_read() {
        let contents = lock("# comment\ng:a:1.0=compileClasspath\nempty=\n").unwrap();
        assert_eq!(contents.packages, [Package::new("g:a", Some("1.0".to_owned()))]);
    }
}

//! Which part of the project a group of findings is about.

/// A rule that is broken in more parts than this is one task for a wider part.
const MAX_AREAS: usize = 6;

/// The directory of `path`, at most `depth` names deep; empty for the project as a whole.
fn directory(path: &str, depth: usize) -> String {
    let Some((dirs, _)) = path.rsplit_once('/') else { return String::new() };
    dirs.split('/').take(depth).collect::<Vec<_>>().join("/")
}

/// How deep the directories may be that split `paths` into few enough parts: 2, 1 or 0.
pub(super) fn depth<'a>(paths: impl Iterator<Item = &'a str> + Clone) -> usize {
    (1..=2)
        .rev()
        .find(|depth| {
            let mut areas: Vec<String> =
                paths.clone().map(|path| directory(path, *depth)).collect();
            areas.sort();
            areas.dedup();
            areas.len() <= MAX_AREAS
        })
        .unwrap_or(0)
}

/// The part of the project that `path` lies in.
pub(super) fn area(path: Option<&str>, depth: usize) -> String {
    path.map(|path| directory(path, depth)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_directories_become_few_areas() {
        let few = ["a/b/c/x.rs", "a/b/y.rs", "a/d/z.rs", "w.rs"];
        assert_eq!(depth(few.into_iter()), 2);
        assert_eq!(area(Some("a/b/c/x.rs"), 2), "a/b");
        assert_eq!(area(Some("w.rs"), 2), "");
        assert_eq!(area(None, 2), "");
        let many: Vec<String> = (0..20).map(|n| format!("a/{n}/x.rs")).collect();
        assert_eq!(depth(many.iter().map(String::as_str)), 1);
        let all: Vec<String> = (0..20).map(|n| format!("{n}/x.rs")).collect();
        assert_eq!(depth(all.iter().map(String::as_str)), 0);
    }
}

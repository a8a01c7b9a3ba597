//! Whether a project under one licence may hold a dependency under another.
//!
//! A table of what the licences' texts and their stewards say about combining works that are
//! passed on together; it is a first look, not legal advice. Sources: the FSF's licence list, the
//! Apache Software Foundation's third-party policy, the MPL 2.0 FAQ, and the licences themselves.

use super::expression::{Term, terms};
use spdx::Expression;

/// How well two licences go together, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    /// They do.
    Fine,
    /// The dependency's licence is one that this table does not know.
    Unknown,
    /// They do when the dependency's conditions are met.
    Conditions,
    /// They do not.
    Conflict,
}

/// What a licence asks of those who pass on a work that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    /// Notices only.
    Permissive,
    /// Notices, and one in every advertisement.
    Advertising,
    /// The changed files stay under it.
    Files,
    /// The changed library stays under it, and must be replaceable.
    Library(u8),
    /// The whole work is passed on under it.
    Strong(u8),
    /// The whole work, to users over a network too.
    Network,
    /// Use itself is restricted.
    Restricted,
    /// Not in this table.
    Unknown,
}

fn family(term: &Term) -> Family {
    let major = || term.base.bytes().find(u8::is_ascii_digit).map_or(0, |digit| digit - b'0');
    let base = term.base.as_str();
    if base.starts_with("AGPL-3") {
        Family::Network
    } else if base.starts_with("LGPL-") {
        Family::Library(major())
    } else if base.starts_with("GPL-") {
        // Every exception in use for libraries and generated code lifts what matters here.
        if term.exception.is_some() { Family::Files } else { Family::Strong(major()) }
    } else if base.starts_with("MPL-")
        || base.starts_with("EPL-")
        || base.starts_with("CDDL-")
        || base.starts_with("CPL-")
        || base.starts_with("MS-RL")
    {
        Family::Files
    } else if matches!(
        base,
        "BSD-4-Clause" | "BSD-4-Clause-UC" | "OpenSSL" | "Apache-1.0" | "Apache-1.1"
    ) {
        Family::Advertising
    } else if base.starts_with("SSPL-")
        || base.starts_with("BUSL-")
        || base.starts_with("Elastic-")
        || base.starts_with("PolyForm-")
        || base.contains("-NC")
        || base.contains("-ND")
    {
        Family::Restricted
    } else if matches!(
        base,
        "CC0-1.0"
            | "0BSD"
            | "Unlicense"
            | "WTFPL"
            | "BlueOak-1.0.0"
            | "CC-BY-3.0"
            | "CC-BY-4.0"
            | "Unicode-DFS-2016"
            | "Unicode-3.0"
            | "MIT-0"
    ) {
        Family::Permissive
    } else if term.is_copyleft {
        Family::Unknown
    } else if term.is_open {
        Family::Permissive
    } else {
        Family::Unknown
    }
}

/// The major versions of the GPL that a term allows.
fn versions(major: u8, or_later: bool) -> std::ops::RangeInclusive<u8> {
    major..=if or_later { 9 } else { major }
}

/// What `project` is: its licence, or nothing for a proprietary one.
fn judge(project: Option<&Term>, dependency: &Term) -> (Verdict, &'static str) {
    use Family::{Advertising, Files, Library, Network, Permissive, Restricted, Strong, Unknown};
    let own = project.map(family);
    let own_gpl = match (project, own) {
        (Some(term), Some(Strong(major))) => Some(versions(major, term.or_later)),
        (Some(_), Some(Network)) => Some(3..=3),
        _ => None,
    };
    match family(dependency) {
        Permissive => match own_gpl {
            Some(own) if dependency.base == "Apache-2.0" && *own.end() < 3 => (
                Verdict::Conflict,
                "the patent terms of Apache-2.0 are a restriction that GPL-2.0 does not allow",
            ),
            _ => (Verdict::Fine, ""),
        },
        Advertising if own_gpl.is_some() => (
            Verdict::Conflict,
            "its advertising clause is a restriction that the GPL does not allow",
        ),
        Advertising => (Verdict::Fine, ""),
        Files
            if own_gpl.is_some()
                && !dependency.base.starts_with("MPL-2")
                && !dependency.base.starts_with("GPL-") =>
        {
            (Verdict::Conflict, "its copyleft and the GPL's each claim the combined work")
        }
        Files => (Verdict::Fine, ""),
        Library(major) => match own_gpl {
            Some(own) if major >= 3 && *own.end() < 3 => (
                Verdict::Conflict,
                "version 3 of the LGPL adds terms that version 2 of the GPL does not allow",
            ),
            Some(_) => (Verdict::Fine, ""),
            None if matches!(own, Some(Library(_))) => (Verdict::Fine, ""),
            None => (
                Verdict::Conditions,
                "users must be able to replace the library, and get its sources",
            ),
        },
        Strong(major) => match own_gpl {
            Some(own) => {
                let theirs = versions(major, dependency.or_later);
                if theirs.start() <= own.end() && own.start() <= theirs.end() {
                    (Verdict::Fine, "")
                } else {
                    (Verdict::Conflict, "the two versions of the GPL cannot be combined")
                }
            }
            None => (Verdict::Conflict, "the combined work may only be passed on under the GPL"),
        },
        Network => match (own, own_gpl) {
            (Some(Network), _) => (Verdict::Fine, ""),
            (_, Some(own)) if own.contains(&3) => {
                (Verdict::Conditions, "the whole must be offered in source to users over a network")
            }
            _ => (
                Verdict::Conflict,
                "the combined work must be offered in source, under the AGPL, even to users over a network",
            ),
        },
        Restricted if own_gpl.is_some() => {
            (Verdict::Conflict, "its limits on use are restrictions that the GPL does not allow")
        }
        Restricted => (
            Verdict::Conditions,
            "it is no open-source licence: it limits what the work may be used for",
        ),
        Unknown => (Verdict::Unknown, "its conditions are not known here"),
    }
}

/// How a dependency under `dependency` fits a project under `project` (nothing: proprietary), and
/// why. Of alternatives (`OR`), on either side, the best counts; of what holds at once (`AND`), the
/// worst.
pub(super) fn verdict(
    project: Option<&Expression>,
    dependency: &Expression,
) -> (Verdict, &'static str) {
    let holds = |limit: Verdict| {
        dependency.evaluate(|theirs| {
            let theirs = Term::of(theirs);
            match project {
                None => judge(None, &theirs).0 <= limit,
                Some(project) => {
                    project.evaluate(|own| judge(Some(&Term::of(own)), &theirs).0 <= limit)
                }
            }
        })
    };
    let verdict = [Verdict::Fine, Verdict::Unknown, Verdict::Conditions]
        .into_iter()
        .find(|limit| holds(*limit))
        .unwrap_or(Verdict::Conflict);
    let own: Vec<Option<Term>> =
        project.map_or_else(|| vec![None], |p| terms(p).into_iter().map(Some).collect());
    let reason = terms(dependency)
        .iter()
        .flat_map(|theirs| own.iter().map(move |own| judge(own.as_ref(), theirs)))
        .find(|(each, _)| *each == verdict)
        .map_or("", |(_, reason)| reason);
    (verdict, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{Conditions, Conflict, Fine, Unknown};

    #[test]
    fn the_table_of_combinations() {
        for (project, dependency, expected) in [
            ("MIT", "MIT", Fine),
            ("MIT", "Apache-2.0", Fine),
            ("MIT", "MPL-2.0", Fine),
            ("MIT", "LGPL-3.0-only", Conditions),
            ("MIT", "GPL-3.0-only", Conflict),
            ("MIT", "GPL-2.0-only WITH Classpath-exception-2.0", Fine),
            ("MIT", "AGPL-3.0-only", Conflict),
            ("MIT", "MIT OR GPL-3.0-only", Fine),
            ("MIT", "MIT AND GPL-3.0-only", Conflict),
            ("MIT OR Apache-2.0", "GPL-2.0-or-later", Conflict),
            ("MIT", "CC-BY-NC-4.0", Conditions),
            ("MIT", "LicenseRef-mine", Unknown),
            ("MIT", "CC0-1.0", Fine),
            ("MIT", "Zlib", Fine),
            ("Apache-2.0", "GPL-3.0-or-later", Conflict),
            ("GPL-2.0-only", "Apache-2.0", Conflict),
            ("GPL-2.0-or-later", "Apache-2.0", Fine),
            ("GPL-2.0-only OR MIT", "Apache-2.0", Fine),
            ("GPL-3.0-only", "Apache-2.0", Fine),
            ("GPL-3.0-only", "GPL-2.0-only", Conflict),
            ("GPL-3.0-only", "GPL-2.0-or-later", Fine),
            ("GPL-2.0-only", "GPL-3.0-only", Conflict),
            ("GPL-2.0-only", "LGPL-3.0-only", Conflict),
            ("GPL-2.0-only", "LGPL-2.1-only", Fine),
            ("GPL-3.0-only", "AGPL-3.0-only", Conditions),
            ("AGPL-3.0-only", "GPL-3.0-only", Fine),
            ("AGPL-3.0-only", "AGPL-3.0-or-later", Fine),
            ("GPL-3.0-only", "MPL-2.0", Fine),
            ("GPL-3.0-only", "CDDL-1.0", Conflict),
            ("GPL-3.0-only", "EPL-1.0", Conflict),
            ("GPL-3.0-only", "BSD-4-Clause", Conflict),
            ("MIT", "BSD-4-Clause", Fine),
            ("LGPL-3.0-only", "GPL-3.0-only", Conflict),
            ("LGPL-2.1-only", "LGPL-2.1-only", Fine),
        ] {
            let parse = |text| Expression::parse(text).unwrap();
            let (verdict, reason) = verdict(Some(&parse(project)), &parse(dependency));
            assert_eq!(verdict, expected, "{dependency} in {project}");
            assert_eq!(reason.is_empty(), verdict == Fine, "{dependency} in {project}: {reason}");
        }
    }

    #[test]
    fn a_proprietary_project_takes_no_copyleft() {
        for (dependency, expected) in [
            ("MIT", Fine),
            ("GPL-3.0-only", Conflict),
            ("LGPL-2.1-only", Conditions),
            ("AGPL-3.0-only", Conflict),
        ] {
            assert_eq!(
                verdict(None, &Expression::parse(dependency).unwrap()).0,
                expected,
                "{dependency}"
            );
        }
    }
}

//! Licence expressions as manifests write them.

use spdx::{Expression, LicenseItem, LicenseReq, ParseMode};
use std::fmt;

/// What a manifest states.
#[derive(Debug, Clone)]
pub(super) enum Stated {
    /// An SPDX expression, or a name that means one.
    Spdx(Box<Expression>),
    /// Explicitly nobody's to use.
    Proprietary,
    /// Words that name no licence in particular.
    Unclear,
}

impl Stated {
    /// From the words of a manifest.
    pub(super) fn parse(raw: &str) -> Self {
        let words = raw.trim();
        let lower = words.to_ascii_lowercase();
        if matches!(
            lower.as_str(),
            "unlicensed" | "proprietary" | "commercial" | "all rights reserved" | "private"
        ) {
            return Self::Proprietary;
        }
        let known = usual_name(&lower).unwrap_or(words);
        match Expression::parse_mode(known, ParseMode::LAX) {
            Ok(expression) => Self::Spdx(Box::new(expression)),
            Err(_) => Self::Unclear,
        }
    }

    /// In SPDX's words; nothing when it is unclear.
    pub(super) fn canonical(&self) -> Option<String> {
        match self {
            Self::Spdx(expression) => Some(spelled(expression)),
            Self::Proprietary => Some("proprietary".to_owned()),
            Self::Unclear => None,
        }
    }

    /// Whether `raw` is a strict SPDX expression.
    pub(super) fn is_strict(raw: &str) -> bool {
        Expression::parse(raw.trim()).is_ok()
    }
}

/// The expression with operators in upper case and the names in SPDX's spelling.
fn spelled(expression: &Expression) -> String {
    let mut words: Vec<String> = Vec::new();
    for node in expression.iter() {
        // The nodes come in postfix order.
        match node {
            spdx::expression::ExprNode::Req(req) => words.push(Term::of(&req.req).to_string()),
            spdx::expression::ExprNode::Op(operator) => {
                let (Some(right), Some(left)) = (words.pop(), words.pop()) else { continue };
                let or = matches!(operator, spdx::expression::Operator::Or);
                let wrap = |side: String| {
                    if !or && side.contains(" OR ") { format!("({side})") } else { side }
                };
                let word = if or { "OR" } else { "AND" };
                words.push(format!("{} {word} {}", wrap(left), wrap(right)));
            }
        }
    }
    words.pop().unwrap_or_default()
}

/// Names in use that are no SPDX expression, in lower case.
fn usual_name(lower: &str) -> Option<&'static str> {
    let trimmed =
        lower.trim_start_matches("the ").trim_start_matches("license :: osi approved :: ");
    Some(match trimmed {
        "apache"
        | "apache 2"
        | "apache 2.0"
        | "apache license"
        | "apache license 2.0"
        | "apache license, version 2.0"
        | "apache license version 2.0"
        | "apache software license"
        | "apache software license 2.0"
        | "apache-2"
        | "asl 2.0"
        | "apache2"
        | "apache v2"
        | "apache software license, version 2.0" => "Apache-2.0",
        "mit license" | "mit licence" | "expat" | "mit license (mit)" | "expat license"
        | "mit/x11" => "MIT",
        "bsd 3-clause"
        | "bsd-3"
        | "new bsd"
        | "new bsd license"
        | "3-clause bsd"
        | "3-clause bsd license"
        | "modified bsd license"
        | "bsd 3-clause license"
        | "bsd 3-clause \"new\" or \"revised\" license" => "BSD-3-Clause",
        "bsd 2-clause"
        | "bsd-2"
        | "simplified bsd"
        | "bsd 2-clause license"
        | "2-clause bsd license"
        | "freebsd" => "BSD-2-Clause",
        "isc license" | "isc license (iscl)" => "ISC",
        "mpl 2.0"
        | "mpl-2"
        | "mozilla public license 2.0"
        | "mozilla public license 2.0 (mpl 2.0)"
        | "mozilla public license, version 2.0" => "MPL-2.0",
        "gplv2" | "gpl v2" | "gpl-2" | "gnu general public license v2 (gplv2)" | "gnu gpl v2" => {
            "GPL-2.0-only"
        }
        "gplv2+" | "gnu general public license v2 or later (gplv2+)" => "GPL-2.0-or-later",
        "gplv3"
        | "gpl v3"
        | "gpl-3"
        | "gnu general public license v3 (gplv3)"
        | "gnu gpl v3"
        | "gnu general public license v3.0"
        | "gnu general public license, version 3" => "GPL-3.0-only",
        "gplv3+" | "gnu general public license v3 or later (gplv3+)" => "GPL-3.0-or-later",
        "lgplv3" | "gnu lesser general public license v3 (lgplv3)" => "LGPL-3.0-only",
        "lgplv3+" | "gnu lesser general public license v3 or later (lgplv3+)" => {
            "LGPL-3.0-or-later"
        }
        "agplv3" | "gnu affero general public license v3" => "AGPL-3.0-only",
        "agplv3+" | "gnu affero general public license v3 or later (agplv3+)" => {
            "AGPL-3.0-or-later"
        }
        "public domain" => "CC0-1.0",
        "python software foundation license" | "psf" => "Python-2.0",
        "unlicense (unlicense)" => "Unlicense",
        "boost software license" | "boost software license 1.0 (bsl-1.0)" => "BSL-1.0",
        "eclipse public license 2.0 (epl-2.0)"
        | "eclipse public license v2.0"
        | "eclipse public license - v 2.0" => "EPL-2.0",
        "eclipse public license 1.0" | "eclipse public license v1.0" => "EPL-1.0",
        "zlib/libpng license" => "Zlib",
        "wtfplv2" => "WTFPL",
        _ => return None,
    })
}

/// One licence of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Term {
    /// The name without `-only` or `-or-later`, such as `GPL-2.0`.
    pub(super) base: String,
    /// Whether later versions are allowed too.
    pub(super) or_later: bool,
    /// The exception behind `WITH`, if any.
    pub(super) exception: Option<String>,
    /// Whether the licence asks for sources of what is made from it.
    pub(super) is_copyleft: bool,
    /// Whether it is an open-source licence by OSI's list or the FSF's.
    pub(super) is_open: bool,
}

impl Term {
    pub(super) fn of(req: &LicenseReq) -> Self {
        let exception = req.exception.map(|exception| exception.name.to_owned());
        match &req.license {
            LicenseItem::Spdx { id, or_later } => {
                let (base, later) = split(id.name);
                Self {
                    base: base.to_owned(),
                    or_later: *or_later || later,
                    exception,
                    is_copyleft: id.is_copyleft(),
                    is_open: id.is_osi_approved() || id.is_fsf_free_libre(),
                }
            }
            LicenseItem::Other { lic_ref, .. } => Self {
                base: format!("LicenseRef-{lic_ref}"),
                or_later: false,
                exception,
                is_copyleft: false,
                is_open: false,
            },
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_gnu =
            ["GPL-", "LGPL-", "AGPL-", "GFDL-"].iter().any(|start| self.base.starts_with(start));
        f.write_str(&self.base)?;
        f.write_str(match (is_gnu, self.or_later) {
            (true, true) => "-or-later",
            (true, false) => "-only",
            (false, true) => "+",
            (false, false) => "",
        })?;
        match &self.exception {
            Some(exception) => write!(f, " WITH {exception}"),
            None => Ok(()),
        }
    }
}

/// `GPL-2.0-or-later` into `GPL-2.0` and true.
fn split(name: &str) -> (&str, bool) {
    if let Some(base) = name.strip_suffix("-or-later").or_else(|| name.strip_suffix('+')) {
        return (base, true);
    }
    (name.strip_suffix("-only").unwrap_or(name), false)
}

/// Every licence that `expression` names.
pub(super) fn terms(expression: &Expression) -> Vec<Term> {
    expression.requirements().map(|req| Term::of(&req.req)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_words_are_understood() {
        for (raw, expected) in [
            ("MIT", Some("MIT")),
            ("MIT/Apache-2.0", Some("MIT OR Apache-2.0")),
            ("(MIT or Apache-2.0)", Some("MIT OR Apache-2.0")),
            ("(MIT OR Apache-2.0) AND BSD-3-Clause", Some("(MIT OR Apache-2.0) AND BSD-3-Clause")),
            ("Apache License 2.0", Some("Apache-2.0")),
            ("The MIT License", Some("MIT")),
            ("License :: OSI Approved :: MIT License", Some("MIT")),
            ("GPLv3+", Some("GPL-3.0-or-later")),
            (
                "GPL-2.0-only WITH Classpath-exception-2.0",
                Some("GPL-2.0-only WITH Classpath-exception-2.0"),
            ),
            ("UNLICENSED", Some("proprietary")),
            ("SEE LICENSE IN LICENSE.txt", None),
            ("whatever you like", None),
            ("", None),
        ] {
            assert_eq!(Stated::parse(raw).canonical().as_deref(), expected, "{raw}");
        }
    }

    #[test]
    fn terms_carry_versions() {
        let of = |raw: &str| match Stated::parse(raw) {
            Stated::Spdx(expression) => {
                terms(&expression).into_iter().map(|t| (t.base, t.or_later)).collect::<Vec<_>>()
            }
            Stated::Proprietary | Stated::Unclear => Vec::new(),
        };
        assert_eq!(of("GPL-2.0-or-later"), [("GPL-2.0".to_owned(), true)]);
        assert_eq!(of("GPL-2.0-only"), [("GPL-2.0".to_owned(), false)]);
        assert_eq!(
            of("LGPL-2.1+ OR MIT"),
            [("LGPL-2.1".to_owned(), true), ("MIT".to_owned(), false)]
        );
    }
}

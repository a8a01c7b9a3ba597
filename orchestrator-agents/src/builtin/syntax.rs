//! Programming languages, as far as analysts that read lines need to know them.

/// A language whose tests or comments an analyst can tell from its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Syntax {
    Rust,
    Python,
    Go,
    JavaScript,
    TypeScript,
    Java,
    Kotlin,
    Scala,
    CSharp,
    Ruby,
    Php,
    Swift,
    C,
    Cpp,
    Elixir,
    Dart,
}

impl Syntax {
    /// The language of files with this extension.
    pub(crate) fn of(extension: &str) -> Option<Self> {
        Some(match extension {
            "rs" => Self::Rust,
            "py" => Self::Python,
            "go" => Self::Go,
            "js" | "jsx" | "mjs" | "cjs" => Self::JavaScript,
            "ts" | "tsx" | "mts" | "cts" => Self::TypeScript,
            "java" => Self::Java,
            "kt" => Self::Kotlin,
            "scala" => Self::Scala,
            "cs" => Self::CSharp,
            "rb" => Self::Ruby,
            "php" => Self::Php,
            "swift" => Self::Swift,
            // A header may be of either language; C is the common case.
            "c" | "h" => Self::C,
            "cc" | "cpp" | "cxx" | "hh" | "hpp" | "hxx" => Self::Cpp,
            "ex" | "exs" => Self::Elixir,
            "dart" => Self::Dart,
            _ => return None,
        })
    }

    /// The name for people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
            Self::Python => "Python",
            Self::Go => "Go",
            Self::JavaScript => "JavaScript",
            Self::TypeScript => "TypeScript",
            Self::Java => "Java",
            Self::Kotlin => "Kotlin",
            Self::Scala => "Scala",
            Self::CSharp => "C#",
            Self::Ruby => "Ruby",
            Self::Php => "PHP",
            Self::Swift => "Swift",
            Self::C => "C",
            Self::Cpp => "C++",
            Self::Elixir => "Elixir",
            Self::Dart => "Dart",
        }
    }

    /// Whether it is JavaScript or TypeScript.
    pub(crate) fn is_script(self) -> bool {
        matches!(self, Self::JavaScript | Self::TypeScript)
    }
}

/// How far a line is set in, in bytes.
pub(crate) fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The identifier at the beginning of `text`; empty when there is none.
pub(crate) fn identifier(text: &str) -> &str {
    let end =
        text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

//! Programming languages, as far as those who read lines need to know them.

/// A language whose tests or comments can be told from its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Syntax {
    /// Rust.
    Rust,
    /// Python.
    Python,
    /// Go.
    Go,
    /// JavaScript.
    JavaScript,
    /// TypeScript.
    TypeScript,
    /// Java.
    Java,
    /// Kotlin.
    Kotlin,
    /// Scala.
    Scala,
    /// C#.
    CSharp,
    /// Ruby.
    Ruby,
    /// PHP.
    Php,
    /// Swift.
    Swift,
    /// C.
    C,
    /// C++.
    Cpp,
    /// Elixir.
    Elixir,
    /// Dart.
    Dart,
}

impl Syntax {
    /// The language of files with this extension.
    pub fn of(extension: &str) -> Option<Self> {
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
    pub fn name(self) -> &'static str {
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
    pub fn is_script(self) -> bool {
        matches!(self, Self::JavaScript | Self::TypeScript)
    }
}

/// How far a line is set in, in bytes.
pub fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The identifier at the beginning of `text`; empty when there is none.
pub fn identifier(text: &str) -> &str {
    let end =
        text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

//! Patterns of words, paths and hosts.

/// A pattern of one word: `*` stands for any characters, also none, `?` for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Glob(Vec<Piece>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    Char(char),
    One,
    Any,
}

impl Glob {
    /// Reads a pattern in which a backslash takes the meaning from what follows.
    pub(super) fn read(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut rest = text.chars();
        while let Some(next) = rest.next() {
            pieces.push(match next {
                '\\' => Piece::Char(rest.next().unwrap_or('\\')),
                '*' => Piece::Any,
                '?' => Piece::One,
                c => Piece::Char(c),
            });
        }
        Self(pieces)
    }

    /// The pattern of exactly `text`.
    pub(super) fn exactly(text: &str) -> Self {
        Self(text.chars().map(Piece::Char).collect())
    }

    /// One pattern behind another.
    pub(super) fn then(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is `*` alone.
    pub(super) fn is_any(&self) -> bool {
        self.0 == [Piece::Any]
    }

    /// Whether it is `**` alone.
    pub(super) fn is_any_number(&self) -> bool {
        self.0 == [Piece::Any, Piece::Any]
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        matches(
            &self.0,
            &text,
            |piece| *piece == Piece::Any,
            |piece, c| match piece {
                Piece::Char(own) => own == c,
                Piece::One => true,
                Piece::Any => false,
            },
        )
    }
}

/// Whether `parts` is what `pattern` says: what `is_any` stands for any number of parts, all else for
/// one that `fits`. In time that grows with the product of the lengths.
pub(super) fn matches<P, T>(
    pattern: &[P],
    parts: &[T],
    is_any: impl Fn(&P) -> bool,
    fits: impl Fn(&P, &T) -> bool,
) -> bool {
    let (mut at, mut part) = (0, 0);
    // Where to go on when what follows the last `any` does not fit.
    let mut again: Option<(usize, usize)> = None;
    while part < parts.len() {
        match pattern.get(at) {
            Some(any) if is_any(any) => {
                again = Some((at, part));
                at += 1;
            }
            Some(one) if fits(one, &parts[part]) => {
                at += 1;
                part += 1;
            }
            _ => match &mut again {
                Some((any, taken)) => {
                    *taken += 1;
                    (at, part) = (*any + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(is_any)
}

/// A pattern of paths: `**` stands for any number of directories, also none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PathPattern {
    root: Root,
    segments: Vec<Glob>,
}

/// Where a pattern of paths begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Root {
    Workspace,
    Home,
    System,
}

/// Where relative paths and `~` lead.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places<'p> {
    pub(super) workspace: &'p [String],
    pub(super) home: Option<&'p [String]>,
}

impl PathPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// In words, what is wrong with it, and what was probably meant.
    pub(super) fn read(text: &str) -> Result<Self, (String, Option<String>)> {
        let (root, rest) = match text {
            "~" => (Root::Home, ""),
            _ => match (text.strip_prefix("~/"), text.strip_prefix('/')) {
                (Some(rest), _) => (Root::Home, rest),
                (_, Some(rest)) => (Root::System, rest),
                _ => (Root::Workspace, text),
            },
        };
        if text.starts_with('~') && root != Root::Home {
            let message = "`~` stands for your own home directory only".to_owned();
            return Err((message, text.find('/').map(|slash| format!("~{}", &text[slash..]))));
        }
        let trimmed = rest.strip_suffix('/').unwrap_or(rest);
        if trimmed.len() < rest.len() {
            let message = "a pattern of paths does not end with `/`".to_owned();
            return Err((message, Some(format!("{text}**"))));
        }
        let mut segments = Vec::new();
        for segment in rest.split('/').filter(|segment| !matches!(*segment, "" | ".")) {
            if segment == ".." {
                let message = "a pattern of paths has no `..`: what is outside the workspace is \
                               named from the root"
                    .to_owned();
                return Err((message, Some("/absolute/path/**".to_owned())));
            }
            segments.push(Glob::read(segment));
        }
        if segments.is_empty() && root == Root::Workspace {
            return Err(("the pattern names no path".to_owned(), Some("**".to_owned())));
        }
        Ok(Self { root, segments })
    }

    /// Whether it means `path`, which is [absolute and without `..`](segments).
    pub(super) fn matches(&self, path: &[String], places: &Places<'_>) -> bool {
        let below = match self.root {
            Root::System => Some(path),
            Root::Workspace => path.strip_prefix(places.workspace),
            Root::Home => places.home.and_then(|home| path.strip_prefix(home)),
        };
        let fits = |glob: &Glob, segment: &String| glob.matches(segment);
        below.is_some_and(|below| matches(&self.segments, below, Glob::is_any_number, fits))
    }
}

/// The parts of `path` from the root on, without `.` and `..`: as it is written, whatever links
/// there are. None when it cannot be a path, or leads above the root or to an unknown home.
pub(super) fn segments(path: &str, places: &Places<'_>) -> Option<Vec<String>> {
    if path.is_empty() || path.contains('\0') {
        return None;
    }
    let mut parts: Vec<String> = match path {
        "~" => return places.home.map(<[String]>::to_vec),
        _ if path.starts_with('/') => Vec::new(),
        _ if path.starts_with("~/") => places.home?.to_vec(),
        _ => places.workspace.to_vec(),
    };
    let rest = path.strip_prefix("~/").unwrap_or(path);
    for part in rest.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part.to_owned()),
        }
    }
    Some(parts)
}

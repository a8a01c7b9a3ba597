//! What the standard streams can show: colour, redrawing, width, and which glyphs.

use clap::ValueEnum;
use std::io::IsTerminal;

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum ColorWhen {
    /// On a terminal, unless the environment says otherwise.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The variables that bear on output, read once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wishes {
    no_color: bool,
    force_color: bool,
    dumb: bool,
    utf8: bool,
}

impl Wishes {
    /// Reads them through `get`.
    pub(crate) fn read(get: impl Fn(&str) -> Option<String>) -> Self {
        let given = |name: &str| get(name).is_some_and(|value| !value.is_empty());
        // The first that is set decides, as for every other program (POSIX, "Locale").
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .into_iter()
            .find_map(|name| get(name).filter(|value| !value.is_empty()));
        let locale = locale.unwrap_or_default().to_ascii_lowercase();
        Self {
            no_color: given("NO_COLOR"),
            force_color: get("CLICOLOR_FORCE").is_some_and(|v| !v.is_empty() && v != "0"),
            dumb: get("TERM").is_none_or(|term| term.is_empty() || term == "dumb"),
            utf8: locale.contains("utf-8") || locale.contains("utf8"),
        }
    }

    /// Whether a stream is coloured.
    fn color(&self, when: ColorWhen, terminal: bool) -> bool {
        match when {
            ColorWhen::Always => true,
            ColorWhen::Never => false,
            ColorWhen::Auto if self.no_color => false,
            ColorWhen::Auto if self.force_color => true,
            ColorWhen::Auto => terminal && !self.dumb,
        }
    }
}

/// What one stream can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stream {
    /// A person sees it as it is written.
    pub(crate) terminal: bool,
    /// Escape sequences for colour are wanted.
    pub(crate) color: bool,
    /// Lines can be redrawn in place.
    pub(crate) redraw: bool,
    /// Characters beyond ASCII are shown as such.
    pub(crate) unicode: bool,
}

impl Stream {
    fn new(terminal: bool, when: ColorWhen, wishes: &Wishes) -> Self {
        Self {
            terminal,
            color: wishes.color(when, terminal),
            redraw: terminal && !wishes.dumb,
            unicode: wishes.utf8,
        }
    }

    /// Standard output.
    pub(crate) fn stdout(when: ColorWhen, wishes: &Wishes) -> Self {
        Self::new(std::io::stdout().is_terminal(), when, wishes)
    }

    /// Standard error.
    pub(crate) fn stderr(when: ColorWhen, wishes: &Wishes) -> Self {
        Self::new(std::io::stderr().is_terminal(), when, wishes)
    }
}

/// Columns and rows of the terminal behind standard error; 80 by 24 where it does not say.
pub(crate) fn size() -> (usize, usize) {
    let Ok(size) = rustix::termios::tcgetwinsize(std::io::stderr()) else {
        return (80, 24);
    };
    let or = |value: u16, default: usize| {
        if value == 0 { default } else { usize::from(value) }
    };
    (or(size.ws_col, 80), or(size.ws_row, 24))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wishes(variables: &[(&str, &str)]) -> Wishes {
        Wishes::read(|name| {
            variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
        })
    }

    #[test]
    fn colour_follows_flag_then_environment_then_terminal() {
        use ColorWhen::{Always, Auto, Never};
        let xterm = ("TERM", "xterm");
        let check = |when, variables: &[(&str, &str)], terminal, expected| {
            let color = Stream::new(terminal, when, &wishes(variables)).color;
            assert_eq!(color, expected, "{when:?} {variables:?} terminal={terminal}");
        };
        check(Auto, &[xterm], true, true);
        check(Auto, &[xterm], false, false);
        check(Auto, &[xterm, ("NO_COLOR", "1")], true, false);
        check(Auto, &[xterm, ("NO_COLOR", "")], true, true);
        check(Auto, &[xterm, ("CLICOLOR_FORCE", "1")], false, true);
        check(Auto, &[xterm, ("CLICOLOR_FORCE", "0")], false, false);
        check(Auto, &[xterm, ("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], true, false);
        check(Auto, &[("TERM", "dumb")], true, false);
        check(Always, &[xterm, ("NO_COLOR", "1")], false, true);
        check(Never, &[xterm, ("CLICOLOR_FORCE", "1")], true, false);
    }

    #[test]
    fn a_dumb_terminal_is_not_redrawn_and_the_locale_decides_on_glyphs() {
        assert!(!Stream::new(true, ColorWhen::Auto, &wishes(&[("TERM", "dumb")])).redraw);
        assert!(!Stream::new(true, ColorWhen::Auto, &wishes(&[])).redraw);
        assert!(Stream::new(true, ColorWhen::Never, &wishes(&[("TERM", "xterm")])).redraw);
        assert!(wishes(&[("LANG", "en_GB.UTF-8")]).utf8);
        assert!(!wishes(&[("LANG", "en_GB.UTF-8"), ("LC_ALL", "C")]).utf8);
        assert!(!wishes(&[]).utf8);
    }
}

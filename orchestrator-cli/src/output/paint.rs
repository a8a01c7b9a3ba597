//! Colours and glyphs: what each state looks like, in one place.

use super::terminal::Stream;
use anstyle::{AnsiColor, Style};
use orchestrator_core::{run::RunStatus, task::TaskStatus};

/// What a piece of text is, from which follows how it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Nothing special.
    Plain,
    /// A heading.
    Strong,
    /// Less important.
    Faint,
    /// It went well.
    Good,
    /// It went badly.
    Bad,
    /// Needs a look.
    Warn,
    /// Under way.
    Live,
}

impl Tone {
    fn style(self) -> Style {
        let color = |color: AnsiColor| Style::new().fg_color(Some(color.into()));
        match self {
            Self::Plain => Style::new(),
            Self::Strong => Style::new().bold(),
            Self::Faint => Style::new().dimmed(),
            Self::Good => color(AnsiColor::Green),
            Self::Bad => color(AnsiColor::Red).bold(),
            Self::Warn => color(AnsiColor::Yellow),
            Self::Live => color(AnsiColor::Cyan),
        }
    }
}

/// Paints for one stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint {
    color: bool,
    /// Characters beyond ASCII may be used.
    pub(crate) unicode: bool,
}

impl Paint {
    /// The paint for `stream`.
    pub(crate) fn on(stream: Stream) -> Self {
        Self { color: stream.color, unicode: stream.unicode }
    }

    /// No colours, no characters beyond ASCII.
    #[cfg(test)]
    pub(crate) const PLAIN: Self = Self { color: false, unicode: false };

    /// `text` as `tone` looks.
    pub(crate) fn tone(self, tone: Tone, text: &str) -> String {
        if !self.color || text.is_empty() || tone == Tone::Plain {
            return text.to_owned();
        }
        let style = tone.style();
        format!("{style}{text}{style:#}")
    }

    /// `unicode` where it can be shown, else `ascii`.
    pub(crate) fn glyph(self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.unicode { unicode } else { ascii }
    }

    /// The glyph and tone of a task's status; `frame` turns the one of a running task.
    pub(crate) fn task(self, status: TaskStatus, frame: usize) -> (&'static str, Tone) {
        const SPIN: [&str; 8] = ["⠋", "⠙", "⠸", "⠴", "⠦", "⠧", "⠇", "⠏"];
        const SPIN_ASCII: [&str; 4] = ["|", "/", "-", "\\"];
        match status {
            TaskStatus::Pending | TaskStatus::Ready => (self.glyph("·", "."), Tone::Faint),
            TaskStatus::Running if self.unicode => (SPIN[frame % SPIN.len()], Tone::Live),
            TaskStatus::Running => (SPIN_ASCII[frame % SPIN_ASCII.len()], Tone::Live),
            TaskStatus::Waiting => (self.glyph("◷", "w"), Tone::Warn),
            TaskStatus::Succeeded => (self.glyph("✔", "+"), Tone::Good),
            TaskStatus::Failed => (self.glyph("✘", "x"), Tone::Bad),
            TaskStatus::Skipped => (self.glyph("↷", "s"), Tone::Faint),
            TaskStatus::Cancelled => (self.glyph("■", "c"), Tone::Warn),
        }
    }

    /// The name of a status, in its tone. Takes any name, so that a status which only a view
    /// knows (`interrupted`) is painted as well.
    pub(crate) fn status(self, name: &str) -> String {
        self.tone(Self::status_tone(name), name)
    }

    /// The tone of a status of a run or a task.
    pub(crate) fn status_tone(name: &str) -> Tone {
        if let Some(status) = TaskStatus::from_name(name) {
            return Self { color: false, unicode: false }.task(status, 0).1;
        }
        match RunStatus::from_name(name) {
            Some(RunStatus::Succeeded) => Tone::Good,
            Some(RunStatus::Failed) => Tone::Bad,
            Some(RunStatus::Running | RunStatus::Waiting) => Tone::Live,
            Some(RunStatus::Paused | RunStatus::Cancelled | RunStatus::Cancelling) | None => {
                Tone::Warn
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colour_nothing_is_added() {
        assert_eq!(Paint::PLAIN.tone(Tone::Bad, "failed"), "failed");
        let colored = Paint { color: true, unicode: true }.tone(Tone::Bad, "failed");
        assert!(colored.starts_with('\x1b') && colored.ends_with("\x1b[0m"), "{colored:?}");
    }

    #[test]
    fn ascii_glyphs_are_ascii() {
        for status in TaskStatus::ALL {
            assert!(Paint::PLAIN.task(status, 3).0.is_ascii(), "{status}");
        }
    }
}

//! What programs do that the protocol does not say, by the names that they give themselves.

use crate::coding::told::{by_status, by_words};
use orchestrator_core::error::Failure;

/// What Copilot says itself among what the model says, each whole and in one piece.
const NOTICES: [&str; 4] = [
    // A file that it made.
    "Info: /",
    "Info: Request failed due to ",
    "Info: Operation cancelled by user",
    "Warning: No token count multiplier is known for ",
];

/// How Copilot begins to say what went wrong: its turn then ends as if all was well.
const TROUBLE: &str = "Error: ";

/// What a program does in its own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Habits {
    /// It speaks in the place of the model.
    speaks_itself: bool,
    /// It may tell a session of before again after it has answered that it is loaded.
    pub(super) replays_late: bool,
}

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    /// The model says it.
    Said,
    /// The program says it.
    Notice,
    /// The program says it, and that it failed, unless something follows.
    Trouble,
}

impl Habits {
    /// As the program of that name does.
    pub(super) fn of(program: &str) -> Self {
        let program = program.to_lowercase();
        Self {
            speaks_itself: program.contains("copilot"),
            replays_late: program.contains("gemini"),
        }
    }

    /// Who says `piece`.
    pub(super) fn who_says(self, piece: &str) -> Piece {
        match self.speaks_itself {
            true if NOTICES.iter().any(|notice| piece.starts_with(notice)) => Piece::Notice,
            true if piece.starts_with(TROUBLE) => Piece::Trouble,
            true | false => Piece::Said,
        }
    }
}

/// The failure that `program` told of as a text.
pub(super) fn trouble(program: &str, told: &str) -> Failure {
    let told = told.strip_prefix(TROUBLE).unwrap_or(told);
    // `400 …`, `… (HTTP 401)…`, `… Last error: 429 …`.
    let places = [after(told, "Last error: "), after(told, "HTTP "), Some(told)];
    let status = places.into_iter().flatten().find_map(|place| {
        let digits = place.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse::<u16>().ok().filter(|status| (400..600).contains(status))
    });
    match status {
        Some(status) => by_status(program, status, told),
        None => by_words(program, told),
    }
}

fn after<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    text.rsplit_once(mark).map(|(_, after)| after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use orchestrator_core::error::ErrorClass;

    #[test]
    fn what_copilot_says_itself_is_told_from_what_its_model_says() {
        let copilot = Habits::of("Copilot CLI");
        assert_eq!(copilot.who_says("Info: Operation cancelled by user"), Piece::Notice);
        assert_eq!(copilot.who_says("Info: the tests pass"), Piece::Said);
        assert_eq!(copilot.who_says("Error: 400 no"), Piece::Trouble);
        assert_eq!(Habits::of("the agent").who_says("Error: 400 no"), Piece::Said);
    }

    #[test]
    fn trouble_has_the_class_of_its_status() {
        let class = |told| trouble("it", told).class;
        assert_eq!(class("Error: 400 no such thing"), ErrorClass::InvalidRequest);
        assert_eq!(
            class("Error: Authentication failed at x (HTTP 401).\n  Check"),
            ErrorClass::Auth
        );
        let limited =
            "Error: Failed; retried 5 times (wait: 52.38 seconds) Last error: 429 slow down";
        assert_eq!(class(limited), ErrorClass::RateLimited);
        assert_eq!(class("Error: the connection broke"), ErrorClass::Transient);
    }
}

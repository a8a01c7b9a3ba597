//! Seeing a run through: what happens is shown as it happens, and a wish to stop is heard.

mod board;
pub(crate) mod closing;
mod plain;
mod row;
#[cfg(test)]
mod sample;
mod screen;
mod tree;

use crate::{
    detach::Patience,
    exit::Exit,
    interrupt::Interrupts,
    output::{Console, paint::Paint, terminal},
    problem::Failure,
};
use board::Board;
use orchestrator_core::{id::RunId, time::Timestamp};
use orchestrator_service::{
    Execution, Happening, OrchestratorService,
    views::{AskedView, RunDetails},
};
use screen::Screen;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::MissedTickBehavior;

/// The time between two frames of the tree.
const FRAME: Duration = Duration::from_millis(100);

/// How long nothing happens before it is looked whether nobody but people is waited for.
const QUIET: Duration = Duration::from_millis(150);

/// How what happens is shown.
#[derive(Debug)]
enum Form {
    /// A tree, redrawn in place.
    Tree(Screen),
    /// A line for each change.
    Lines,
    /// One JSON event a line, as data.
    Json,
    /// Not at all.
    Silent,
}

/// Shows one drive of one run.
#[derive(Debug)]
struct Show<'a> {
    console: &'a Console,
    run: RunId,
    form: Form,
    board: Board,
    turn: usize,
    /// Why standard output takes no more; the work goes on all the same.
    deaf: Option<Failure>,
}

/// Sees `execution` through to its end, or to the wish to stop, and says how to exit.
///
/// `interrupts` have been listened for since before the run was started, so that none is lost;
/// `before` is the run as it stood, when it is taken up again. When nobody but people is waited for,
/// it is said what they are asked; without `patience` for them, the run is put down then.
///
/// # Errors
/// What kept the engine from driving it.
pub(crate) async fn drive(
    console: &Console,
    service: &OrchestratorService,
    mut interrupts: Interrupts,
    mut execution: Execution,
    before: Option<&RunDetails>,
    patience: Patience,
) -> Result<Exit, Failure> {
    execution.notes().iter().for_each(|note| console.say(note));
    let control = execution.control();
    let mut show = Show::new(console, execution.run(), before);
    let mut frames = tokio::time::interval(FRAME);
    frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut asked, mut put_down) = (false, false);
    let mut people = People { look: Some(tokio::time::Instant::now() + QUIET), told: Vec::new() };
    loop {
        tokio::select! {
            biased;
            () = interrupts.next() => {
                if asked {
                    return Ok(show.abandon());
                }
                asked = true;
                control.interrupt();
                show.say("stopping; once more to stop at once");
            }
            _ = frames.tick(), if show.moves() => show.draw(),
            happening = execution.next() => match happening {
                Some(happening) => {
                    show.take(&happening);
                    if people.look.is_some() || show.board.asks() {
                        people.look = Some(tokio::time::Instant::now() + QUIET);
                    }
                }
                None => break,
            },
            () = people.quiet(), if people.look.is_some() => {
                people.look = None;
                let asks = execution.asked().await?;
                if !asks.is_empty() && asks != people.told {
                    let waits = match patience {
                        Patience::People => true,
                        Patience::Renewal => asks.iter().any(closing::is_renewed),
                        Patience::Nobody => false,
                    };
                    show.ask(&asks, waits);
                    people.told = asks;
                    if !waits {
                        put_down = true;
                        control.interrupt();
                    }
                }
            }
        }
    }
    let result = tokio::select! {
        result = execution.wait() => result,
        () = interrupts.next() => return Ok(show.abandon()),
    };
    show.close();
    match result {
        Ok(mut result) => {
            if put_down && !asked {
                // It was put down only because nobody is here to answer; one that has ended has
                // started another that waits.
                if result.status == "interrupted" {
                    result.status = "waiting".into();
                }
                result.asks = people.told;
            }
            let exit = closing::close(console, service, &result).await?;
            match show.deaf {
                // The result may have come through again, but lines before it are lost.
                Some(lost @ (Failure::Own(_) | Failure::Service(_))) => Err(lost),
                Some(Failure::Gone) | None => Ok(exit),
            }
        }
        Err(error) => {
            // What is recorded is safe, whatever kept the engine from going on.
            show.console.hint(&format!("go on with: orchestrator resume {}", show.run));
            Err(error.into())
        }
    }
}

/// What people are asked, as far as they have been told.
#[derive(Debug)]
struct People {
    /// When to look whether nobody but them is waited for.
    look: Option<tokio::time::Instant>,
    told: Vec<AskedView>,
}

impl People {
    async fn quiet(&self) {
        if let Some(look) = self.look {
            tokio::time::sleep_until(look).await;
        }
    }
}

impl<'a> Show<'a> {
    fn new(console: &'a Console, run: &RunId, before: Option<&RunDetails>) -> Self {
        let form = if console.json {
            Form::Json
        } else if console.quiet {
            Form::Silent
        } else if console.err.redraw && console.verbose == 0 {
            Form::Tree(Screen::default())
        } else {
            Form::Lines
        };
        let board = match before {
            Some(details) => Board::resumed(details, now()),
            None => Board::new(run.as_str(), now()),
        };
        Self { console, run: run.clone(), form, board, turn: 0, deaf: None }
    }

    /// Whether time alone changes what is shown.
    fn moves(&self) -> bool {
        matches!(self.form, Form::Tree(_))
    }

    /// Shows something that was said.
    fn take(&mut self, happening: &Happening) {
        match happening {
            Happening::Recorded { run, recorded } => {
                self.board.record(run, recorded);
                if matches!(self.form, Form::Lines) {
                    for line in plain::line(&self.board, run, recorded, self.console.verbose > 0) {
                        self.console.say(&line);
                    }
                }
            }
            Happening::Progress { run, task, progress, .. } => {
                self.board.progress(run, task.as_str(), progress.clone());
            }
        }
        if matches!(self.form, Form::Json)
            && self.deaf.is_none()
            && let Some(event) = happening.to_json()
        {
            self.deaf = self.console.document_line(&event).err();
        }
    }

    /// Draws the tree as it stands.
    fn draw(&mut self) {
        let rows = Some(terminal::size().1);
        self.turn += 1;
        self.paint(rows);
    }

    fn paint(&mut self, rows: Option<usize>) {
        let Form::Tree(screen) = &mut self.form else {
            return;
        };
        let columns = terminal::size().0;
        let frame = tree::Frame { columns, rows, now: now(), turn: self.turn };
        let lines = tree::lines(&self.board, Paint::on(self.console.err), frame);
        screen.draw(&lines, columns);
    }

    /// Says something above the tree.
    fn say(&mut self, text: &str) {
        if let Form::Tree(screen) = &mut self.form {
            screen.clear(terminal::size().0);
        }
        self.console.say(text);
    }

    /// Says what people are asked and how they answer.
    fn ask(&mut self, asks: &[AskedView], waits: bool) {
        if self.console.json || !waits {
            // It is said with how the drive ended.
            return;
        }
        for line in closing::questions(asks) {
            self.say(&line);
        }
    }

    /// Leaves the whole tree, however long, where it is.
    fn close(&mut self) {
        self.board.close(now());
        self.paint(None);
        if let Form::Tree(screen) = &mut self.form {
            screen.leave();
        }
    }

    /// Ends at once. The run is as if this process had been killed: safe to take up again.
    fn abandon(&mut self) -> Exit {
        self.close();
        self.console.hint(&format!("go on with: orchestrator resume {}", self.run));
        Exit::Interrupted
    }
}

/// The present instant.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

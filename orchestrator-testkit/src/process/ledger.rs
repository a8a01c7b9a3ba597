//! What tasks did, in their own words: a file that only they write, a line at a time.
//!
//! Each step of a proof's workflow appends `start RUN TASK ATTEMPT` before its work and `end …`
//! after it, with one small write in append mode, so that lines of many writers never mix and a
//! line that is there was done, whatever became of the program.

use super::{Broken, Project};

/// The file of the ledger in a project.
pub const FILE: &str = "ledger";

/// The beginning or the end of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// It begins.
    Start,
    /// Its work is done; its answer follows.
    End,
}

/// One try of one task.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Effect {
    /// The run's id.
    pub run: String,
    /// The task's name; of an item, `NAME:INDEX`.
    pub task: String,
    /// Which try.
    pub attempt: u64,
}

/// Everything that was done, in order.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    /// The lines.
    pub lines: Vec<(Mark, Effect)>,
}

impl Ledger {
    /// Reads the ledger of `project`; it is empty when nothing was done yet.
    ///
    /// # Errors
    /// A line of another form.
    pub fn read(project: &Project) -> Result<Self, Broken> {
        let parse = |line: &str| {
            let mut words = line.split(' ');
            let mark = match words.next()? {
                "start" => Mark::Start,
                "end" => Mark::End,
                _ => return None,
            };
            let (run, task) = (words.next()?.to_owned(), words.next()?.to_owned());
            let attempt = words.next()?.parse().ok()?;
            words.next().is_none().then_some((mark, Effect { run, task, attempt }))
        };
        let lines = project.read(FILE);
        let lines = lines.lines().map(|line| {
            parse(line).ok_or_else(|| Broken::new(format!("the ledger has a line `{line}`")))
        });
        Ok(Self { lines: lines.collect::<Result<_, _>>()? })
    }

    /// The first line that says `mark` of `task` in `run`, whichever the attempt.
    pub fn first(&self, mark: Mark, run: &str, task: &str) -> Option<usize> {
        self.lines.iter().position(|(m, e)| *m == mark && e.run == run && e.task == task)
    }
}

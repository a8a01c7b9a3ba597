//! Starts workers, and starts those that died anew.

use super::{
    Figures, Plan,
    worker::{ORDERS, Orders},
};
use anyhow::{Context as _, Result};
use orchestrator_testkit::sim::Rng;
use std::{
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// At no step, but when so many milliseconds have passed: in the middle of anything.
const TIME: &str = "time";

/// After what a worker dies, and how likely that is.
const STEPS: [(&str, u64); 7] = [
    ("taken", 10),
    ("joined", 15),
    ("checking", 15),
    ("advancing", 15),
    ("advanced", 35),
    ("settled", 10),
    (TIME, 30),
];

/// How long a round may take.
const LONGEST: Duration = Duration::from_secs(600);

struct Seat {
    tasks: Vec<usize>,
    child: Child,
    dies: Option<(String, usize)>,
    since: Instant,
    kills: usize,
    is_done: bool,
}

impl Seat {
    /// Whether its time has come.
    fn is_to_die(&self) -> bool {
        let time = self.dies.as_ref().filter(|(after, _)| after == TIME);
        time.is_some_and(|(_, ms)| self.since.elapsed() >= Duration::from_millis(*ms as u64))
    }
}

/// Has all tasks done, by workers that die.
pub(crate) fn work(
    plan: &Plan,
    seed: u64,
    room: &Path,
    figures: &mut Figures,
    failures: &mut Vec<String>,
) -> Result<()> {
    let mut rng = Rng::new(seed, "landing");
    let mut seats = Vec::new();
    for seat in 0..plan.processes {
        let tasks: Vec<usize> = (0..plan.tasks).filter(|n| n % plan.processes == seat).collect();
        let dies = (plan.kills > 0).then(|| draw(&mut rng));
        let child = start(plan, room, &tasks, dies.clone())?;
        seats.push(Seat { tasks, child, dies, since: Instant::now(), kills: 0, is_done: false });
    }
    let begin = Instant::now();
    while seats.iter().any(|seat| !seat.is_done) {
        for seat in seats.iter_mut().filter(|seat| !seat.is_done) {
            let Some(status) = seat.child.try_wait()? else {
                if seat.is_to_die() {
                    seat.child.kill()?;
                }
                continue;
            };
            if status.success() {
                seat.is_done = true;
            } else if let (Some(9), Some((after, _))) = (status.signal(), &seat.dies) {
                seat.kills += 1;
                figures.kills += 1;
                *figures.killed_after.entry(after.clone()).or_default() += 1;
                seat.dies = (seat.kills < plan.kills).then(|| draw(&mut rng));
                seat.child = start(plan, room, &seat.tasks, seat.dies.clone())?;
                seat.since = Instant::now();
            } else {
                failures.push(format!("seed {seed}: a worker ended with {status}"));
                seat.is_done = true;
            }
        }
        if begin.elapsed() > LONGEST {
            failures.push(format!("seed {seed}: the workers did not end"));
            for seat in &mut seats {
                seat.child.kill()?;
                seat.child.wait()?;
            }
            return Ok(());
        }
        thread::sleep(Duration::from_millis(3));
    }
    Ok(())
}

fn draw(rng: &mut Rng) -> (String, usize) {
    let mut left = rng.below(STEPS.iter().map(|(_, weight)| weight).sum());
    let step = STEPS.iter().find(|(_, weight)| {
        let found = left < *weight;
        left = left.saturating_sub(*weight);
        found
    });
    let step = step.map_or("advanced", |(step, _)| step);
    let count = match step {
        TIME => usize::try_from(rng.between(30, 900)).unwrap_or(30),
        _ => 1 + usize::from(rng.chance(400)),
    };
    (step.to_owned(), count)
}

fn start(
    plan: &Plan,
    room: &Path,
    tasks: &[usize],
    dies: Option<(String, usize)>,
) -> Result<Child> {
    let orders = Orders { room: room.to_owned(), tasks: tasks.to_vec(), dies };
    Command::new(std::env::current_exe()?)
        .args(&plan.worker)
        .env(ORDERS, serde_json::to_string(&orders)?)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .context("cannot start a worker")
}

//! Measuring side by side: what is compared takes turns, so that a noisy moment of the machine
//! meets all of it, and a ratio is the median of the ratios of each round.
#![expect(clippy::print_stdout, reason = "the figures are what a benchmark is for")]

use std::time::{Duration, Instant};

/// What a row has to reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// Nothing: it is a limit to compare with, or told for its own sake.
    Told,
    /// At most so many milliseconds.
    Millis(f64),
    /// At most so many times the limit.
    Times(f64),
}

/// One thing to measure.
pub struct Row<'w> {
    name: &'static str,
    limit: Option<&'static str>,
    goal: Goal,
    work: Box<dyn FnMut() -> Duration + 'w>,
}

impl std::fmt::Debug for Row<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Row").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<'w> Row<'w> {
    /// `work` does the thing once and says how long that took, without what it had to prepare.
    pub fn new(name: &'static str, work: impl FnMut() -> Duration + 'w) -> Self {
        Self { name, limit: None, goal: Goal::Told, work: Box::new(work) }
    }

    /// Compared with the row of that name.
    #[must_use]
    pub fn against(mut self, limit: &'static str) -> Self {
        self.limit = Some(limit);
        self
    }

    /// What it has to reach.
    #[must_use]
    pub fn goal(mut self, goal: Goal) -> Self {
        self.goal = goal;
        self
    }
}

/// How long `work` takes.
pub fn since(work: impl FnOnce()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

/// How many rounds to measure: `default`, or what the variable `ROUNDS` says.
pub fn rounds(default: usize) -> usize {
    std::env::var("ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(default).max(1)
}

/// Measures `rows` in turns, after one round that does not count, prints a table, and gives the
/// medians in milliseconds.
///
/// # Panics
/// When a row is compared with one that is not there.
pub fn compare(title: &str, rounds: usize, rows: Vec<Row<'_>>) -> Vec<f64> {
    let mut rows = rows;
    let mut times = vec![Vec::with_capacity(rounds); rows.len()];
    for round in 0..=rounds {
        for (row, times) in rows.iter_mut().zip(&mut times) {
            let took = (row.work)().as_secs_f64() * 1_000.0;
            if round > 0 {
                times.push(took);
            }
        }
    }
    println!("\n{title}; {rounds} rounds, in ms");
    println!("{:<58} {:>9} {:>9} {:>9} {:>7}  goal", "", "min", "median", "max", "ratio");
    for (row, took) in rows.iter().zip(&times) {
        let ratio = row.limit.map(|limit| {
            let place = rows.iter().position(|other| other.name == limit).expect("a row");
            let ratios = took.iter().zip(&times[place]).map(|(took, limit)| took / limit);
            median(&ratios.collect::<Vec<_>>())
        });
        let (goal, reached) = match row.goal {
            Goal::Told => (String::new(), None),
            Goal::Millis(most) => (format!("{most} ms"), Some(median(took) <= most)),
            Goal::Times(most) => (format!("{most} times"), ratio.map(|ratio| ratio <= most)),
        };
        let reached = reached.map_or("", |yes| if yes { ": reached" } else { ": MISSED" });
        let ratio = ratio.map_or(String::new(), |ratio| format!("{ratio:.3}"));
        let [low, high] = [f64::min, f64::max].map(|of| took.iter().copied().reduce(of));
        println!(
            "{:<58} {:>9.3} {:>9.3} {:>9.3} {ratio:>7}  {goal}{reached}",
            row.name,
            low.unwrap_or_default(),
            median(took),
            high.unwrap_or_default(),
        );
    }
    times.iter().map(|took| median(took)).collect()
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        0 if middle > 0 => (sorted[middle - 1] + sorted[middle]) / 2.0,
        _ => sorted.get(middle).copied().unwrap_or_default(),
    }
}

//! The run as a tree of lines that fit the terminal.

use super::{board::Board, row::Row};
use crate::output::{
    paint::{Paint, Tone},
    text,
};
use orchestrator_core::{run::RunStatus, task::TaskStatus, time::Timestamp, usage::Cost};

/// How much there is room for, and what turns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    /// The columns of a line.
    pub(super) columns: usize,
    /// The most lines; none for the final tree, which may scroll.
    pub(super) rows: Option<usize>,
    /// The present instant.
    pub(super) now: Timestamp,
    /// Which picture of what turns.
    pub(super) turn: usize,
}

/// The columns of a task's line that can be left out, most dispensable first.
#[derive(Debug, Clone, Copy)]
struct Shown {
    agent: bool,
    tokens: bool,
    cost: bool,
}

/// The most items of one task that have lines of their own.
const ITEMS: usize = 5;

/// A line for a task, or below it for one of its items.
#[derive(Debug, Clone, Copy)]
struct Entry<'b> {
    row: &'b Row,
    item: bool,
}

/// The lines of the tree: the run, its tasks, the total.
pub(super) fn lines(board: &Board, paint: Paint, frame: Frame) -> Vec<String> {
    let mut lines = vec![title(board, paint, frame)];
    // The run, the total, and the line below, where the cursor rests.
    let room = frame.rows.map_or(usize::MAX, |rows| rows.saturating_sub(3));
    let entries: Vec<Entry<'_>> = board.rows.iter().flat_map(entries).collect();
    let (shown, hidden) = choose(&entries, room);
    let layout = Layout::new(&entries, paint, frame);
    let (branch, item) = (paint.glyph("├─", "|-"), paint.glyph("│    ", "|    "));
    lines.extend(shown.iter().map(|entry| {
        let remark = remark(board, entry.row, frame.now);
        layout.line(if entry.item { item } else { branch }, entry, &remark)
    }));
    if !hidden.is_empty() && room > 0 {
        let bar = paint.glyph("│ ", "| ");
        let dots = paint.glyph("…", "...");
        let summary = format!("{bar} {dots} {} more: {}", hidden.len(), tally(&hidden));
        lines.push(paint.tone(Tone::Faint, &text::cut(&summary, frame.columns, paint.unicode)));
    }
    lines.push(total(board, paint, frame));
    lines
}

fn title(board: &Board, paint: Paint, frame: Frame) -> String {
    let tone = Paint::status_tone(board.status.as_str());
    let status = if board.status == RunStatus::Running { "" } else { board.status.as_str() };
    let title = format!("{} {}", board.workflow, board.run);
    let title = text::cut(&title, frame.columns, paint.unicode);
    let room = frame.columns.saturating_sub(text::width(&title) + 2);
    let status = if text::width(status) <= room { status } else { "" };
    let line = format!("{}  {}", paint.tone(Tone::Strong, &title), paint.tone(tone, status));
    line.trim_end().to_owned()
}

fn total(board: &Board, paint: Paint, frame: Frame) -> String {
    let dot = paint.glyph("·", "-");
    let mut line = format!(
        "{} {}/{} tasks {dot} {} {dot} {}",
        paint.glyph("└─", "`-"),
        board.ended(),
        board.rows.len(),
        text::elapsed(board.elapsed(frame.now)),
        board.cost(),
    );
    let tokens = board.usage().total().0;
    if tokens > 0 {
        line += &format!(" {dot} {} tokens", text::thousands(tokens));
    }
    text::cut(&line, frame.columns, paint.unicode).into_owned()
}

/// The line of a task, and those of its items that are under way: some, when they are many.
fn entries(row: &Row) -> impl Iterator<Item = Entry<'_>> {
    let items = row.items.iter().flat_map(|items| items.under_way());
    let items = items.filter(|item| item.is_at_work() || item.ask.is_some()).take(ITEMS);
    let items = items.map(|row| Entry { row, item: true });
    std::iter::once(Entry { row, item: false }).chain(items)
}

/// What a task does, or what there is to say about it.
fn remark(board: &Board, row: &Row, now: Timestamp) -> String {
    if let Some(ask) = &row.ask {
        return format!("waits for you: {ask}");
    }
    if let Some(items) = &row.items {
        return items.told();
    }
    if let Some(child) = &row.child {
        let Some(other) = board.other(child) else { return format!("run {child}") };
        let mut told = format!("run {child}: {}/{} tasks", other.ended(), other.rows.len());
        if other.asks() {
            told += ", waits for you";
        } else if let Some(running) = other.rows.iter().find(|row| row.is_at_work()) {
            told += &format!(", {}", running.name);
        }
        return told;
    }
    match row.until.filter(|until| row.status == TaskStatus::Waiting && *until > now) {
        Some(until) => {
            let wait = text::elapsed(until.since(now));
            let note = if row.note.is_empty() { String::new() } else { format!(": {}", row.note) };
            format!("waits another {wait}{note}")
        }
        None if row.note.is_empty() => row.live.doing.clone(),
        None => row.note.clone(),
    }
}

/// The rows that fit, in their order, and those that do not. What runs comes first, then what
/// failed, then what is next; what has ended well is the first to go.
fn choose<'e>(rows: &'e [Entry<'e>], room: usize) -> (Vec<&'e Entry<'e>>, Vec<&'e Entry<'e>>) {
    if rows.len() <= room {
        return (rows.iter().collect(), Vec::new());
    }
    let rank = |entry: &Entry<'_>| match entry.row.status {
        _ if entry.row.ask.is_some() => 0,
        TaskStatus::Running => 0,
        TaskStatus::Failed => 1,
        TaskStatus::Waiting => 2,
        TaskStatus::Ready | TaskStatus::Pending => 3,
        TaskStatus::Cancelled | TaskStatus::Skipped => 4,
        TaskStatus::Succeeded => 5,
    };
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|i| rank(&rows[*i]));
    // One line says how many more there are.
    let (shown, hidden) = order.split_at(room.saturating_sub(1));
    let (mut shown, mut hidden) = (shown.to_vec(), hidden.to_vec());
    shown.sort_unstable();
    hidden.sort_unstable();
    let pick = |indices: Vec<usize>| indices.into_iter().map(|i| &rows[i]).collect();
    (pick(shown), pick(hidden))
}

/// `8 succeeded, 4 pending`.
fn tally(rows: &[&Entry<'_>]) -> String {
    let parts: Vec<String> = TaskStatus::ALL
        .into_iter()
        .filter_map(|status| {
            let count = rows.iter().filter(|entry| entry.row.status == status).count();
            (count > 0).then(|| format!("{count} {status}"))
        })
        .collect();
    parts.join(", ")
}

/// Where the columns of the tasks' lines are. Widths follow from all tasks, so that nothing jumps
/// when another part of them is shown.
#[derive(Debug)]
struct Layout {
    paint: Paint,
    frame: Frame,
    shown: Shown,
    name: usize,
    agent: usize,
    cost: usize,
}

/// Branch, glyph and the spaces around them; the time with its gap; the tokens with theirs.
const LEAD: usize = 5;
const TIME: usize = 9;
const TOKENS: usize = 11;

impl Layout {
    fn new(rows: &[Entry<'_>], paint: Paint, frame: Frame) -> Self {
        let widest =
            |of: &dyn Fn(&Row) -> usize| rows.iter().map(|entry| of(entry.row)).max().unwrap_or(0);
        let indent = |entry: &Entry<'_>| text::width(&entry.row.name) + 3 * usize::from(entry.item);
        let name = rows.iter().map(indent).max().unwrap_or(0);
        let agent = widest(&|row| text::width(&row.agent));
        let cost = widest(&|row| text::width(&cost(row.cost()))).max(7);
        let mut shown = Shown { agent: true, tokens: true, cost: true };
        let needed = |shown: Shown, name: usize| {
            let part = |on: bool, width: usize| if on { width } else { 0 };
            let agent = part(shown.agent, agent + 2);
            let (tokens, cost) = (part(shown.tokens, TOKENS), part(shown.cost, cost + 2));
            LEAD + name + TIME + agent + tokens + cost
        };
        // A name is worth more than who, how much and for how much, in this order.
        if needed(shown, name) > frame.columns {
            shown.tokens = false;
        }
        if needed(shown, name) > frame.columns {
            shown.agent = false;
        }
        if needed(shown, name.min(12)) > frame.columns {
            shown.cost = false;
        }
        let name = name.min(frame.columns.saturating_sub(needed(shown, 0)).max(1));
        Self { paint, frame, shown, name, agent, cost }
    }

    fn line(&self, branch: &str, entry: &Entry<'_>, remark: &str) -> String {
        let Self { paint, frame, shown, .. } = *self;
        let row = entry.row;
        let (glyph, tone) = paint.task(row.status, frame.turn);
        let width = self.name.saturating_sub(3 * usize::from(entry.item));
        let name = text::cut(&row.name, width, paint.unicode);
        let pad = width.saturating_sub(text::width(&name));
        let mut line = format!("{branch} {} {name}{}", paint.tone(tone, glyph), " ".repeat(pad));
        let mut used = LEAD + self.name;
        let mut column = |text: String, tone: Tone, width: usize| {
            line.push_str(&paint.tone(tone, &text));
            used += width;
        };
        if shown.agent {
            column(format!("  {:1$}", row.agent, self.agent), Tone::Faint, self.agent + 2);
        }
        let time = row.elapsed(frame.now);
        let time = if row.attempts == 0 { String::new() } else { text::elapsed(time) };
        column(format!("{time:>TIME$}"), Tone::Plain, TIME);
        if shown.tokens {
            let tokens = row.usage().total().0;
            let tokens = if tokens == 0 { String::new() } else { text::thousands(tokens) };
            column(format!("{tokens:>TOKENS$}"), Tone::Plain, TOKENS);
        }
        if shown.cost {
            column(format!("  {:>1$}", cost(row.cost()), self.cost), Tone::Plain, self.cost + 2);
        }
        let room = frame.columns.saturating_sub(used + 2);
        let mut remark = remark.to_owned();
        if row.attempts > 1 {
            remark = format!("attempt {}  {remark}", row.attempts);
        }
        if room >= 8 && !remark.is_empty() {
            let remark = text::harmless(&remark, false).into_owned();
            line.push_str("  ");
            line.push_str(&paint.tone(Tone::Faint, &text::cut(&remark, room, paint.unicode)));
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// The cost, or nothing when nothing was spent.
fn cost(cost: Cost) -> String {
    if cost == Cost::default() { String::new() } else { cost.to_string() }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{
        approval, board, created, expanded, failed, skipped, started, succeeded,
    };
    use super::*;

    fn drawn(board: &Board, columns: usize, rows: Option<usize>) -> Vec<String> {
        let frame = Frame { columns, rows, now: Timestamp(10_500), turn: 0 };
        lines(board, Paint::PLAIN, frame)
    }

    #[test]
    fn each_task_has_a_line_with_state_time_tokens_and_cost() {
        let board = board(vec![
            created(&["plan", "build", "test", "land"]),
            started("plan", 1),
            succeeded("plan"),
            started("build", 1),
            failed("build", Some(9_000)),
            started("build", 2),
            failed("test", None),
            skipped("land", "test"),
        ]);
        assert_eq!(
            drawn(&board, 80, None),
            [
                "demo r_1",
                "|- + plan   dev     1.0s      1,000    $0.25",
                "|- | build  dev     5.5s                      attempt 2",
                "|- x test                                     the line broke\u{fffd}[2J",
                "|- s land                                     `test` did not succeed",
                "`- 3/4 tasks - 9.5s - $0.25 - 1,000 tokens",
            ]
        );
    }

    #[test]
    fn items_are_one_line_and_those_at_work_below_it() {
        let mut events = vec![created(&["build", "land"]), expanded("build", 10)];
        for index in 0..10 {
            let name = format!("build:{index}");
            match index {
                0..3 => events.extend([started(&name, 1), succeeded(&name)]),
                3 => events.extend([started(&name, 1), failed(&name, None)]),
                4 | 5 => events.push(started(&name, 1)),
                _ => {}
            }
        }
        events.push(approval("land"));
        let lines: Vec<String> = drawn(&board(events), 100, None)
            .into_iter()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert!(lines[1].ends_with("$0.75 3 done, 2 running, 1 failed of 10"), "{lines:#?}");
        assert!(lines[2].starts_with("| | build:4 dev"), "{lines:#?}");
        assert!(lines[3].starts_with("| | build:5 dev"), "{lines:#?}");
        assert!(lines[4].starts_with("|- w land") && lines[4].ends_with("waits for you: Land it?"));
        assert!(lines[5].contains("0/2 tasks"), "{lines:#?}");
    }

    #[test]
    fn a_hundred_thousand_items_take_a_few_lines() {
        let mut events = vec![created(&["build"]), expanded("build", 100_000)];
        events.extend((0..200).map(|index| started(&format!("build:{index}"), 1)));
        let lines = drawn(&board(events), 100, Some(30));
        assert_eq!(lines.len(), 3 + ITEMS, "{lines:#?}");
        assert!(lines[1].contains("200 running of 100000"), "{lines:#?}");
    }

    #[test]
    fn every_line_fits_whatever_the_width() {
        let long = "a-task-with-quite-a-long-name-for-a-narrow-terminal";
        let board = board(vec![created(&[long, "b"]), started(long, 1), succeeded(long)]);
        for columns in 1..120 {
            for line in drawn(&board, columns, None) {
                // Below the fixed columns nothing can fit; there lines are folded, not lost.
                assert!(text::width(&line) <= columns.max(16), "{columns}: {line:?}");
            }
        }
    }

    #[test]
    fn what_matters_is_shown_when_rows_are_few() {
        let names: Vec<String> = (0..20).map(|i| format!("t{i:02}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut events = vec![created(&names)];
        for name in &names[..15] {
            events.extend([started(name, 1), succeeded(name)]);
        }
        events.extend([started("t17", 1), started("t03", 2), failed("t09", None)]);
        let lines = drawn(&board(events), 80, Some(9));
        assert_eq!(lines.len(), 8, "and one for the cursor: {lines:#?}");
        for shown in ["t03", "t09", "t17", "15 more: 2 pending, 13 succeeded"] {
            assert!(lines.iter().any(|line| line.contains(shown)), "{shown}: {lines:#?}");
        }
        for rows in 0..9 {
            assert!(drawn(&board(vec![created(&names)]), 80, Some(rows)).len() <= rows.max(2));
        }
    }
}

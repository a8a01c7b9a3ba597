//! Tables of text for people.

use super::{
    paint::{Paint, Tone},
    text,
};

/// One cell.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A cell in a tone of its own.
    pub(crate) fn toned(tone: Tone, text: impl Into<String>) -> Self {
        Self { text: text.into(), tone }
    }

    /// A status in its tone.
    pub(crate) fn status(name: &str) -> Self {
        Self::toned(Paint::status_tone(name), name)
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), tone: Tone::Plain }
    }
}

/// How a column is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Rows under headings; the last column takes what is left of the width.
#[derive(Debug)]
pub(crate) struct Table {
    heads: Vec<(&'static str, Align)>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table with these headings and no rows.
    pub(crate) fn new(heads: &[(&'static str, Align)]) -> Self {
        Self { heads: heads.to_vec(), rows: Vec::new() }
    }

    /// Adds a row: one cell for each heading.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.heads.len());
        self.rows.push(cells);
    }

    /// The lines. With `columns` the last column is cut to fit; without, nothing is lost.
    pub(crate) fn lines(&self, paint: Paint, columns: Option<usize>) -> Vec<String> {
        let heads: Vec<Cell> =
            self.heads.iter().map(|(head, _)| Cell::toned(Tone::Strong, *head)).collect();
        let widths: Vec<usize> = (0..self.heads.len())
            .map(|i| {
                self.rows
                    .iter()
                    .chain([&heads])
                    .filter_map(|row| row.get(i))
                    .map(|cell| text::width(&cell.text))
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        [&heads]
            .into_iter()
            .chain(&self.rows)
            .map(|row| self.line(row, &widths, paint, columns))
            .collect()
    }

    fn line(&self, row: &[Cell], widths: &[usize], paint: Paint, columns: Option<usize>) -> String {
        let mut line = String::new();
        let mut used = 0;
        let last = row.len().saturating_sub(1);
        for (i, cell) in row.iter().enumerate() {
            let room = columns.map_or(usize::MAX, |columns| columns.saturating_sub(used));
            let shown = if i == last {
                text::cut(&cell.text, room.max(4), paint.unicode)
            } else {
                cell.text.as_str().into()
            };
            let pad = widths[i].saturating_sub(text::width(&shown));
            let right = self.heads[i].1 == Align::Right;
            if right {
                line.push_str(&" ".repeat(pad));
            }
            line.push_str(&paint.tone(cell.tone, &shown));
            if i != last {
                line.push_str(&" ".repeat(if right { 2 } else { pad + 2 }));
            }
            used += widths[i] + 2;
        }
        line.truncate(line.trim_end().len());
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_the_last_is_cut() {
        let mut table =
            Table::new(&[("RUN", Align::Left), ("COST", Align::Right), ("WHAT", Align::Left)]);
        table.row(vec!["r_1".into(), "$0.25".into(), "a long story".into()]);
        table.row(vec!["r_22".into(), "$12".into(), "".into()]);
        assert_eq!(
            table.lines(Paint::PLAIN, Some(20)),
            ["RUN    COST  WHAT", "r_1   $0.25  a long~", "r_22    $12"]
        );
        assert_eq!(table.lines(Paint::PLAIN, None)[1], "r_1   $0.25  a long story");
    }
}

//! The same as text, for who has no terminal.

use super::figures::Figures;
use super::words::{Column, head};
use std::fmt::Write;

/// Two lines, and a table that is as wide as what is in it; the busiest API first. Writing to a string can't fail.
pub(super) fn text(figures: &Figures) -> String {
    let mut text = String::new();
    for line in head(figures).chunks(4) {
        let line: Vec<String> = line.iter().map(|(name, figure)| format!("{name} {figure}")).collect();
        let _ = writeln!(text, "{}", line.join("   "));
    }
    text.push('\n');
    let mut apis: Vec<_> = figures.apis.iter().collect();
    apis.sort_by(|a, b| Column::Rate.compare(a, b).then_with(|| a.id().cmp(&b.id())));
    let titles = Column::ALL.map(|column| column.title().to_owned());
    let rows: Vec<[String; 9]> = apis.iter().map(|api| Column::ALL.map(|column| column.of(api))).collect();
    let all = || std::iter::once(&titles).chain(&rows);
    let widths: [usize; 9] = std::array::from_fn(|n| all().map(|row| row[n].chars().count()).max().unwrap_or(0));
    for row in all() {
        let _ = write!(text, "{:<width$}", row[0], width = widths[0]);
        for (cell, width) in row.iter().zip(widths).skip(1) {
            let _ = write!(text, "  {cell:>width$}");
        }
        text.push('\n');
    }
    text
}

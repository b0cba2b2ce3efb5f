//! How it looks.

use super::state::State;
use super::words::{Column, count, head};
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Sparkline, Table};

/// With fewer lines than this the curve of the last hour is left out.
const TALL: u16 = 16;
/// Lines of the curve.
const CURVE: u16 = 3;

/// Draws all of it.
pub fn draw(frame: &mut Frame, state: &State) {
    let area = frame.area();
    let head = head_lines(state, area.width);
    let top = u16::try_from(head.len()).unwrap_or(area.height).min(area.height / 2);
    let curve = if area.height >= TALL { CURVE } else { 0 };
    let parts = [Constraint::Length(top), Constraint::Length(curve), Constraint::Min(1), Constraint::Length(1)];
    let [top, middle, table, foot] = Layout::vertical(parts).areas(area);
    frame.render_widget(Paragraph::new(head), top);
    if curve > 0 {
        draw_curve(frame, state, middle);
    }
    draw_table(frame, state, table);
    draw_foot(frame, state, foot);
}

/// A title, and the figures in as many lines as they take.
fn head_lines(state: &State, width: u16) -> Vec<Line<'static>> {
    let number = state.latest.figures.apis.len();
    let apis = if number == 1 { "1 API".to_owned() } else { format!("{number} APIs") };
    let title = format!("  {}  every {} s  {apis}", state.address, state.interval);
    let mut lines = vec![Line::from(vec![Span::from("freshgate top").bold(), title.into()])];
    let mut line = Line::default();
    for (name, figure) in head(&state.latest.figures) {
        let gap = if line.spans.is_empty() { "" } else { "   " };
        let figure = [Span::from(format!("{gap}{name} ")).dim(), Span::from(figure).bold()];
        let wide: usize = figure.iter().map(Span::width).sum();
        if line.width() + wide > usize::from(width) && !line.spans.is_empty() {
            lines.push(std::mem::take(&mut line));
            let [name, figure] = figure;
            line.spans.extend([Span::from(name.content.trim_start().to_owned()).dim(), figure]);
        } else {
            line.spans.extend(figure);
        }
    }
    lines.push(line);
    lines
}

/// Requests per second over the last hour, or as much of it as there is room for: the newest at the right.
fn draw_curve(frame: &mut Frame, state: &State, area: Rect) {
    let [label, curve] = Layout::horizontal([Constraint::Length(10), Constraint::Min(10)]).areas(area);
    let requests = &state.latest.figures.hour.requests;
    let (most, room) = (requests.iter().copied().fold(0.0, f64::max), usize::from(curve.width).max(1));
    let each = requests.len().div_ceil(room).max(1);
    // Of those that share a column, the highest; in hundredths, since the widget wants whole numbers.
    let heights = requests.rchunks(each).map(|some| (some.iter().copied().fold(0.0, f64::max) * 100.0) as u64);
    let mut heights: Vec<u64> = heights.collect();
    heights.resize(room, 0);
    heights.reverse();
    let label_text = vec![Line::from("req/s"), Line::from(format!("max {}", count(most))).dim()];
    frame.render_widget(Paragraph::new(label_text), label);
    frame.render_widget(Sparkline::default().data(heights).style(Style::new().fg(Color::Cyan)), curve);
}

/// The columns that there is room for.
fn columns(width: u16) -> Vec<Column> {
    let mut columns = Column::ALL.to_vec();
    for spare in Column::SPARE {
        if columns.iter().map(|column| column.width()).sum::<u16>() > width {
            columns.retain(|column| *column != spare);
        }
    }
    columns
}

fn draw_table(frame: &mut Frame, state: &State, area: Rect) {
    let columns = columns(area.width);
    let title = |column: &Column| {
        let mark = match (*column == state.sort, state.reversed) {
            (true, false) => "▼",
            (true, true) => "▲",
            (false, _) => "",
        };
        cell(*column, format!("{mark}{}", column.title()))
    };
    let header = Row::new(columns.iter().map(title)).style(Style::new().add_modifier(Modifier::REVERSED));
    let rows = state.rows().into_iter().skip(state.first).map(|api| {
        Row::new(columns.iter().map(|column| {
            let told = cell(*column, column.of(api));
            if *column != Column::Health || api.health.unwell() == 0 {
                told
            } else if api.health.down + api.health.open > 0 {
                told.red()
            } else {
                told.yellow()
            }
        }))
    });
    let (rest, name) = (Constraint::Length, Constraint::Min);
    let widths = columns.iter().map(|column| if *column == Column::Name { name } else { rest }(column.width()));
    frame.render_widget(Table::new(rows, widths).header(header).column_spacing(0), area);
}

/// Names stand at the left, figures at the right.
fn cell(column: Column, text: String) -> Cell<'static> {
    let alignment = if column == Column::Name { Alignment::Left } else { Alignment::Right };
    Cell::from(Line::from(text).alignment(alignment))
}

fn draw_foot(frame: &mut Frame, state: &State, area: Rect) {
    let line = if state.typing {
        Line::from(format!("/{}▏  Enter keeps it, Esc leaves it", state.filter))
    } else if let Some(fault) = &state.latest.fault {
        Line::from(format!("not up to date: {fault}")).red()
    } else if state.filter.is_empty() {
        let keys = Column::ALL.map(|column| format!("{} {}", column.key(), column.title())).join(", ");
        Line::from(format!("q quit, / filter, sort by {keys}")).dim()
    } else {
        Line::from(format!("only `{}`  / changes it, Esc shows all", state.filter))
    };
    frame.render_widget(Paragraph::new(line), area);
}

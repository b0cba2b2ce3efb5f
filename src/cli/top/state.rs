//! What is shown, and how the keys change that.

use super::figures::{Api, Figures, Latest};
use super::words::Column;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Characters of a filter.
const LONGEST: usize = 64;
/// Rows that a page is.
const PAGE: usize = 10;

/// What is shown.
#[derive(Debug)]
pub struct State {
    pub(super) address: String,
    pub(super) interval: u64,
    pub(super) latest: Latest,
    pub(super) sort: Column,
    pub(super) reversed: bool,
    pub(super) filter: String,
    /// Whether keys are letters of the filter.
    pub(super) typing: bool,
    /// The first row that is shown.
    pub(super) first: usize,
}

impl State {
    /// Of the gateway at `address`, which is asked every `interval` seconds.
    pub fn new(address: &str, interval: u64) -> State {
        let latest = Latest::default();
        let (address, filter) = (address.chars().filter(|c| !c.is_control()).collect(), String::new());
        State { address, interval, latest, sort: Column::Rate, reversed: false, filter, typing: false, first: 0 }
    }

    /// Shows these from now on.
    pub fn take(&mut self, figures: Figures) {
        self.hear(Latest { figures, fault: None });
    }

    pub(super) fn hear(&mut self, latest: Latest) {
        self.latest = latest;
        self.stay_inside();
    }

    /// What the gateway's last answer lacks.
    pub fn fail(&mut self, why: &str) {
        self.latest.fault = Some(why.to_owned());
    }

    /// The rows, in their order.
    pub(super) fn rows(&self) -> Vec<&Api> {
        let wanted = |api: &&Api| api.id().to_lowercase().contains(&self.filter.to_lowercase());
        let mut rows: Vec<&Api> = self.latest.figures.apis.iter().filter(wanted).collect();
        rows.sort_by(|a, b| {
            let order = self.sort.compare(a, b).then_with(|| a.id().cmp(&b.id()));
            if self.reversed { order.reverse() } else { order }
        });
        rows
    }

    /// Does what a key means. `false` when it means that somebody has seen enough.
    pub fn press(&mut self, key: KeyEvent) -> bool {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return key.code != KeyCode::Char('c');
        }
        let goes_on = if self.typing { self.letter(key.code) } else { self.command(key.code) };
        self.stay_inside();
        goes_on
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "of all keys there are")]
    fn letter(&mut self, key: KeyCode) -> bool {
        match key {
            KeyCode::Enter => self.typing = false,
            KeyCode::Esc => (self.typing, self.filter) = (false, String::new()),
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Char(c) if self.filter.chars().count() < LONGEST => self.filter.push(c),
            _ => {}
        }
        true
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "of all keys there are")]
    fn command(&mut self, key: KeyCode) -> bool {
        match key {
            KeyCode::Char('q') => return false,
            KeyCode::Esc if self.filter.is_empty() => return false,
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Char('/') => self.typing = true,
            KeyCode::Down | KeyCode::Char('j') => self.first += 1,
            KeyCode::Up | KeyCode::Char('k') => self.first = self.first.saturating_sub(1),
            KeyCode::PageDown | KeyCode::Char(' ') => self.first += PAGE,
            KeyCode::PageUp => self.first = self.first.saturating_sub(PAGE),
            KeyCode::Home | KeyCode::Char('g') => self.first = 0,
            KeyCode::End | KeyCode::Char('G') => self.first = usize::MAX,
            KeyCode::Char(c) => self.sort_by(c),
            _ => {}
        }
        true
    }

    /// The same key once more turns it round.
    fn sort_by(&mut self, key: char) {
        if let Some(column) = Column::ALL.into_iter().find(|column| column.key() == key) {
            self.reversed = column == self.sort && !self.reversed;
            self.sort = column;
        }
    }

    fn stay_inside(&mut self) {
        self.first = self.first.min(self.rows().len().saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        let api = |name: &str, rate, entries| Api {
            name: name.into(),
            version: "v1".into(),
            requests_per_second: rate,
            entries,
            ..Api::default()
        };
        let mut state = State::new("http://x\u{1b}[2J", 2);
        state.take(Figures { apis: vec![api("b", 1.0, 5), api("a", 1.0, 9), api("c", 7.0, 1)], ..Figures::default() });
        state
    }

    fn names(state: &State) -> String {
        state.rows().iter().map(|api| &*api.name).collect()
    }

    fn press(state: &mut State, keys: &str) -> bool {
        keys.chars().all(|c| {
            let code = match c {
                '\n' => KeyCode::Enter,
                '\u{1b}' => KeyCode::Esc,
                '\u{8}' => KeyCode::Backspace,
                c => KeyCode::Char(c),
            };
            state.press(code.into())
        })
    }

    #[test]
    fn keys_sort_and_turn_round() {
        let mut state = state();
        assert_eq!(names(&state), "cab");
        for (keys, order) in [("e", "abc"), ("e", "cba"), ("n", "abc"), ("n", "cba"), ("r", "cab"), ("x", "cab")] {
            assert!(press(&mut state, keys));
            assert_eq!(names(&state), order, "{keys}");
        }
    }

    #[test]
    fn a_filter_is_typed_kept_and_left() {
        let mut state = state();
        assert!(press(&mut state, "/Ax\u{8}/V\n"));
        assert_eq!((names(&state).as_str(), state.typing), ("a", false), "A/V, whatever the case");
        assert!(press(&mut state, "j"), "a key again");
        assert_eq!(state.first, 0, "there is one row");
        assert!(press(&mut state, "\u{1b}"), "first the filter goes");
        assert_eq!(names(&state), "cab");
        assert!(!press(&mut state, "\u{1b}"), "then the view");
        assert!(press(&mut state, "/q\u{1b}") && state.filter.is_empty(), "a letter, not the end");
        assert!(!press(&mut state, "q"));
        assert!(!state.press(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)));
    }

    #[test]
    fn rows_are_scrolled_within_their_number() {
        let mut state = state();
        for (keys, first) in [("jj", 2), ("j", 2), ("k", 1), ("G", 2), ("g", 0), ("k", 0), (" ", 2)] {
            assert!(press(&mut state, keys));
            assert_eq!(state.first, first, "{keys}");
        }
        assert_eq!(state.address, "http://x[2J");
    }
}

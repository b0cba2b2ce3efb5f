//! The terminal, and the loop that has it.

use super::draw::draw;
use super::figures::Latest;
use super::state::State;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use std::io;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How long a key is waited for before it is looked whether there is something new.
const PATIENCE: Duration = Duration::from_millis(100);

/// The terminal, given back when it is dropped; a panic gives it back before it speaks.
struct Screen(DefaultTerminal);

impl Screen {
    fn open() -> io::Result<Self> {
        // What fails half-way has to be taken back as well.
        ratatui::try_init().map(Screen).inspect_err(|_| drop(ratatui::try_restore()))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        drop(ratatui::try_restore());
    }
}

/// Shows it until a key, or somebody else, says that it is enough; then everybody knows.
pub(super) fn show(
    mut state: State,
    mut latest: watch::Receiver<Latest>,
    enough: &CancellationToken,
) -> io::Result<()> {
    let _told = enough.clone().drop_guard();
    let mut screen = Screen::open()?;
    latest.mark_changed();
    let mut is_new = true;
    while !enough.is_cancelled() {
        if latest.has_changed().unwrap_or(false) {
            state.hear(latest.borrow_and_update().clone());
            is_new = true;
        }
        if is_new {
            screen.0.draw(|frame| draw(frame, &state))?;
            is_new = false;
        }
        if !event::poll(PATIENCE)? {
            continue;
        }
        is_new = true; // also when the terminal has another size
        if let Event::Key(key) = event::read()?
            && key.kind != KeyEventKind::Release
            && !state.press(key)
        {
            return Ok(());
        }
    }
    Ok(())
}

//! What is looked at, and the keys that change it.

use ratatui::crossterm::event::KeyCode;

use super::board::Board;

/// A page of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Page {
    /// Events by policy.
    #[default]
    Policies,
    /// Events by process.
    Processes,
    /// Events by pod.
    Pods,
    /// Cost by program.
    Programs,
    /// Processes below their parents.
    Tree,
}

impl Page {
    /// All, in the order of their keys 1 to 5.
    pub(super) const ALL: [Self; 5] =
        [Self::Policies, Self::Processes, Self::Pods, Self::Programs, Self::Tree];

    /// What stands on its tab.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Policies => "1 Policies",
            Self::Processes => "2 Processes",
            Self::Pods => "3 Pods",
            Self::Programs => "4 Programs",
            Self::Tree => "5 Tree",
        }
    }

    /// Its place among all.
    pub(super) fn index(self) -> usize {
        Self::ALL.iter().position(|page| *page == self).unwrap_or_default()
    }
}

/// What is looked at.
#[derive(Debug, Default)]
pub(super) struct View {
    /// The page.
    pub(super) page: Page,
    /// The row that is marked.
    pub(super) selected: usize,
    /// Exec id of the process at the root of the tree; all where there is none.
    pub(super) root: Option<String>,
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Draw again.
    Draw,
    /// The user has seen enough.
    Quit,
}

impl View {
    /// Does what a key says.
    pub(super) fn key(&mut self, key: KeyCode, board: &Board) -> Next {
        let rows = self.rows(board);
        if key == KeyCode::Char('q') || key == KeyCode::Esc {
            return Next::Quit;
        }
        let page = self.page.index();
        if key == KeyCode::Tab || key == KeyCode::Right {
            self.open((page + 1) % Page::ALL.len());
        } else if key == KeyCode::BackTab || key == KeyCode::Left {
            self.open((page + Page::ALL.len() - 1) % Page::ALL.len());
        } else if let KeyCode::Char(digit @ '1'..='5') = key {
            self.open(usize::try_from(u32::from(digit) - u32::from('1')).unwrap_or_default());
        } else if key == KeyCode::Down {
            self.selected = (self.selected + 1).min(rows.saturating_sub(1));
        } else if key == KeyCode::Up {
            self.selected = self.selected.saturating_sub(1);
        } else if key == KeyCode::Home {
            self.selected = 0;
        } else if key == KeyCode::End {
            self.selected = rows.saturating_sub(1);
        } else if key == KeyCode::Enter {
            self.drill(board);
        } else if key == KeyCode::Backspace {
            self.root = self.root.as_deref().and_then(|id| board.processes.parent(id)).map(str::to_owned);
            self.selected = 0;
        }
        Next::Draw
    }

    fn open(&mut self, page: usize) {
        self.page = Page::ALL.get(page).copied().unwrap_or_default();
        self.selected = 0;
    }

    /// Makes the marked process the root of the tree.
    fn drill(&mut self, board: &Board) {
        let rows = match self.page {
            Page::Processes => board.processes.busiest(),
            Page::Tree => board.processes.below(self.root.as_deref()),
            Page::Policies | Page::Pods | Page::Programs => return,
        };
        if let Some(row) = rows.get(self.selected) {
            self.root = Some(row.id.to_owned());
            self.page = Page::Tree;
            self.selected = 0;
        }
    }

    fn rows(&self, board: &Board) -> usize {
        match self.page {
            Page::Policies => board.policies.busiest().len(),
            Page::Processes => board.processes.busiest().len(),
            Page::Pods => board.pods.busiest().len(),
            Page::Programs => board.programs.dearest().len(),
            Page::Tree => board.processes.below(self.root.as_deref()).len(),
        }
    }
}

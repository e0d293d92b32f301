//! The board as a terminal shows it. Text from elsewhere passes [`escape::visible`].

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Row, Table, TableState, Tabs};

use super::board::Board;
use super::keys::{Page, View};
use super::tally::{Count, LIMIT, Tally};
use super::tree;
use crate::print::escape;

const HELP: &str = "Tab page  ↑↓ mark  Enter drill into a process  Backspace up to its parent  q quit";

/// Draws what `view` looks at.
pub(super) fn draw(frame: &mut Frame<'_>, board: &Board, view: &View) {
    let [head, tabs, body, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(Paragraph::new(summary(board)), head);
    let titles = Page::ALL.map(Page::title);
    frame.render_widget(Tabs::new(titles).select(view.page.index()), tabs);
    match view.page {
        Page::Policies => tally(frame, body, "POLICY", &board.policies, view),
        Page::Pods => tally(frame, body, "POD", &board.pods, view),
        Page::Processes => processes(frame, body, &board.processes.busiest(), view),
        Page::Tree => processes(frame, body, &board.processes.below(view.root.as_deref()), view),
        Page::Programs => programs(frame, body, board, view),
    }
    let help = Line::styled(HELP, Style::new().add_modifier(Modifier::DIM));
    frame.render_widget(Paragraph::new(help), foot);
}

fn summary(board: &Board) -> String {
    let all = board.all.busiest().first().map(|(_, count)| *count).unwrap_or_default();
    let known = board.processes.len();
    let mut text = format!("{:.1} events/s, {} in all, {known} processes known", all.rate, all.total);
    if known >= tree::LIMIT || board.policies.busiest().len() >= LIMIT {
        text.push_str(" (the oldest are forgotten)");
    }
    if !board.throttled.is_empty() {
        let names: Vec<_> = board.throttled.keys().take(3).map(|name| escape::visible(name)).collect();
        text.push_str(" | throttled: ");
        text.push_str(&names.join(", "));
        if board.throttled.len() > names.len() {
            text.push_str(" …");
        }
    }
    if let Some(trouble) = &board.trouble {
        text.push_str(" | ");
        text.push_str(&escape::visible(trouble));
    }
    text
}

fn tally(frame: &mut Frame<'_>, area: Rect, title: &'static str, tally: &Tally, view: &View) {
    let busiest = tally.busiest();
    if busiest.is_empty() {
        frame.render_widget(Paragraph::new("no events yet"), area);
        return;
    }
    let rows = busiest.into_iter().map(|(name, count)| {
        let [rate, total] = counted(count);
        Row::new([rate, total, escape::visible(name).into_owned()])
    });
    let widths = [Constraint::Length(10), Constraint::Length(10), Constraint::Min(10)];
    table(frame, area, Table::new(rows, widths).header(Row::new(["EVENTS/S", "TOTAL", title])), view);
}

fn processes(frame: &mut Frame<'_>, area: Rect, rows: &[tree::Row<'_>], view: &View) {
    if rows.is_empty() {
        frame.render_widget(Paragraph::new("no events yet"), area);
        return;
    }
    let rows = rows.iter().map(|row| {
        let [rate, total] = counted(row.node.count);
        let state = if row.node.ended { "ended" } else { "" };
        let command = format!(
            "{}{} {}",
            "  ".repeat(row.depth),
            escape::visible(&row.node.binary),
            escape::visible(&row.node.arguments)
        );
        Row::new([rate, total, row.node.pid.to_string(), state.to_owned(), command])
    });
    let widths = [
        Constraint::Length(10),
        Constraint::Length(10),
        Constraint::Length(8),
        Constraint::Length(6),
        Constraint::Min(10),
    ];
    let header = Row::new(["EVENTS/S", "TOTAL", "PID", "", "PROCESS"]);
    table(frame, area, Table::new(rows, widths).header(header), view);
}

fn programs(frame: &mut Frame<'_>, area: Rect, board: &Board, view: &View) {
    if let Some(reason) = &board.no_programs {
        frame.render_widget(Paragraph::new(escape::visible(reason).into_owned()), area);
        return;
    }
    let rows = board.programs.dearest().iter().map(|cost| {
        Row::new([
            format!("{:.2}", cost.share),
            format!("{:.1}", cost.runs),
            format!("{:.0}", cost.nanoseconds),
            cost.id.to_string(),
            escape::visible(&cost.name).into_owned(),
        ])
    });
    let widths = [
        Constraint::Length(8),
        Constraint::Length(10),
        Constraint::Length(10),
        Constraint::Length(8),
        Constraint::Min(10),
    ];
    let header = Row::new(["CPU %", "RUNS/S", "NS/RUN", "ID", "PROGRAM"]);
    table(frame, area, Table::new(rows, widths).header(header), view);
}

fn table(frame: &mut Frame<'_>, area: Rect, table: Table<'_>, view: &View) {
    let marked = Style::new().add_modifier(Modifier::REVERSED);
    let mut state = TableState::default().with_selected(Some(view.selected));
    frame.render_stateful_widget(table.row_highlight_style(marked), area, &mut state);
}

/// Rate and total as text.
fn counted(count: Count) -> [String; 2] {
    [format!("{:.1}", count.rate), count.total.to_string()]
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::Duration;

    use bpf_probes::load::RunningProgram;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::crossterm::event::KeyCode;

    use super::super::keys::Next;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn board() -> Board {
        let mut board = Board::default();
        for (kind, members) in [
            ("process_exec", r#""process":{"exec_id":"s","pid":1,"binary":"/sbin/init"}"#),
            (
                "process_kprobe",
                r#""process":{"exec_id":"a","pid":20,"binary":"/bin/a","arguments":"x \u001b[2J","parent_exec_id":"s",
                    "pod":{"namespace":"ns","name":"p"}},"policy_name":"watch"#,
            ),
            ("process_exit", r#""process":{"exec_id":"b","pid":21,"binary":"/bin/b","parent_exec_id":"a"}"#),
        ] {
            let end = if kind == "process_kprobe" { "\"" } else { "" };
            let json = format!("{{\"{kind}\":{{{members}{end}}}}}").replace('\n', "");
            board.add(&api::json::read_event(json.as_bytes()).unwrap());
        }
        let program = |time, run_count| RunningProgram {
            id: 9,
            name: "hook_x".to_owned(),
            run_time: Duration::from_nanos(time),
            run_count,
            ..RunningProgram::default()
        };
        board.tick(Ok(vec![program(0, 0)]), SECOND);
        board.tick(Ok(vec![program(2_000_000, 1_000)]), SECOND);
        board
    }

    /// What a terminal of 70 columns shows, without the spaces at the ends of lines.
    fn shown(board: &Board, view: &View) -> String {
        let mut terminal = Terminal::new(TestBackend::new(70, 8)).unwrap();
        terminal.draw(|frame| draw(frame, board, view)).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let line = |y| (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        let lines: Vec<_> = (0..buffer.area.height).map(|y| line(y).trim_end().to_owned()).collect();
        lines.join("\n")
    }

    fn press(view: &mut View, board: &Board, keys: &[KeyCode]) {
        for key in keys {
            assert_eq!(view.key(*key, board), Next::Draw);
        }
    }

    #[test]
    fn the_first_page_shows_policies_and_what_there_is_in_all() {
        let expected = "\
0.0 events/s, 3 in all, 3 processes known
 1 Policies │ 2 Processes │ 3 Pods │ 4 Programs │ 5 Tree
EVENTS/S   TOTAL      POLICY
0.0        1          watch



Tab page  ↑↓ mark  Enter drill into a process  Backspace up to its par";
        assert_eq!(shown(&board(), &View::default()), expected);
    }

    #[test]
    fn pods_and_programs_have_pages() {
        let board = board();
        let mut view = View::default();
        press(&mut view, &board, &[KeyCode::Char('3')]);
        assert!(shown(&board, &view).contains("\n0.0        1          ns/p\n"));
        press(&mut view, &board, &[KeyCode::Tab]);
        let text = shown(&board, &view);
        assert!(text.contains("\nCPU %    RUNS/S     NS/RUN     ID       PROGRAM\n"), "{text}");
        assert!(text.contains("\n0.20     1000.0     2000       9        hook_x\n"), "{text}");
    }

    // proves: EVT-09 (tetra top)
    #[test]
    fn throttled_cgroups_are_named_as_long_as_they_are() {
        let mut board = Board::default();
        let say = |board: &mut Board, kind: &str, cgroup: &str| {
            let json = format!(r#"{{"process_throttle":{{"type":"THROTTLE_{kind}","cgroup":"{cgroup}"}}}}"#);
            board.add(&api::json::read_event(json.as_bytes()).unwrap());
        };
        for name in ["a", "b", "b", "c", "d"] {
            say(&mut board, "START", name);
        }
        assert!(summary(&board).ends_with(" | throttled: a, b, c …"), "{}", summary(&board));
        for name in ["a", "b", "d", "never"] {
            say(&mut board, "STOP", name);
        }
        assert!(summary(&board).ends_with(" | throttled: b, c"), "{}", summary(&board));
        say(&mut board, "STOP", "b");
        say(&mut board, "STOP", "c");
        assert_eq!(summary(&board), "0.0 events/s, 11 in all, 0 processes known");
    }

    #[test]
    fn why_programs_have_no_cost_is_said() {
        let mut board = board();
        board.tick(Err("run tetra as root \u{1b}[31m".to_owned()), SECOND);
        let view = View { page: Page::Programs, ..View::default() };
        assert!(shown(&board, &view).contains("run tetra as root \\x1b[31m"));
    }

    #[test]
    fn a_process_is_drilled_into_and_left_again() {
        let board = board();
        let mut view = View::default();
        press(&mut view, &board, &[KeyCode::Char('5')]);
        let all = shown(&board, &view);
        assert!(
            all.contains("/sbin/init") && all.contains("  /bin/a x \\x1b[2J") && all.contains("    /bin/b"),
            "{all}"
        );
        press(&mut view, &board, &[KeyCode::Down, KeyCode::Enter]);
        let below = shown(&board, &view);
        assert!(!below.contains("/sbin/init") && below.contains("ended    /bin/b"), "{below}");
        press(&mut view, &board, &[KeyCode::Backspace]);
        assert!(shown(&board, &view).contains("/sbin/init"));
        assert_eq!(view.root.as_deref(), Some("s"));
    }

    #[test]
    fn keys_stay_within_what_there_is() {
        let board = board();
        let mut view = View::default();
        press(&mut view, &board, &[KeyCode::BackTab]);
        assert_eq!(view.page, Page::Tree);
        press(&mut view, &board, &[KeyCode::Up, KeyCode::End, KeyCode::Down, KeyCode::Down]);
        assert_eq!(view.selected, 2);
        press(&mut view, &board, &[KeyCode::Right, KeyCode::Enter, KeyCode::Char('x')]);
        assert_eq!((view.page, view.selected), (Page::Policies, 0));
        assert_eq!(view.key(KeyCode::Char('q'), &board), Next::Quit);
    }
}

//! `cargo xtask pictures`: draws the pictures of docs from what the commands print in a machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anstyle::{Ansi256Color, Color, Effects, RgbColor, Style};
use anstyle_svg::Term;
use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::vm::Message;

use crate::scripted::Scripted;
use crate::{build, setup, terminal};

const SCRIPT: &str = include_str!("pictures/guest.sh");
/// Where they are.
const FOLDER: &str = "docs/pictures";
/// Begins a line of the machine that holds a picture: its name and what was on the screen.
const MARK: &str = "picture ";
/// Columns and rows of the terminal; [`SCRIPT`] asks for the same.
const SIZE: (u16, u16) = (110, 20);

/// Arguments of `cargo xtask pictures`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The kernel of the virtual machine.
    #[arg(long, default_value = "6.12")]
    kernel: String,
    /// Take the binaries from this folder instead of building them.
    #[arg(long, value_name = "FOLDER")]
    binaries: Option<PathBuf>,
}

/// Boots a machine, and draws what its screens showed.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    setup::packages()?;
    let wanted = [build::INIT, build::GUEST, build::DAEMON, build::TETRA];
    let binaries = match &arguments.binaries {
        Some(folder) => build::in_folder(&wanted, folder)?,
        None => build::binaries(&wanted, build::VM_PROFILE)?,
    };
    let pictures = shown(&arguments.kernel, &binaries)?;
    fs::create_dir_all(FOLDER)?;
    for (name, bytes) in &pictures {
        let path = Path::new(FOLDER).join(format!("{name}.svg"));
        fs::write(&path, svg(bytes)).with_context(|| path.display().to_string())?;
        terminal::line(&path.display().to_string());
    }
    Ok(())
}

/// What was written to each screen, by the picture's name.
fn shown(kernel: &str, binaries: &BTreeMap<String, PathBuf>) -> Result<Vec<(String, Vec<u8>)>> {
    let mut pictures = Vec::new();
    let mut take = |message: &Message| match message {
        Message::Output(text) if text.starts_with(MARK) => pictures.push(text.clone()),
        Message::Output(text) | Message::Error(text) => terminal::line(text),
        Message::File { .. } | Message::Begin | Message::End(_) => {}
    };
    let scripted = Scripted {
        name: "the script of the pictures",
        programs: &["cat", "ls", "id"],
        before: "export NODE_NAME=node-1\n",
        script: SCRIPT,
        arguments: &[],
        timeout: Duration::from_mins(5),
    };
    scripted.run(kernel, binaries, &mut take)?;
    pictures.iter().map(|line| picture(line)).collect()
}

fn picture(line: &str) -> Result<(String, Vec<u8>)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_mark, name, bytes] = words.as_slice() else { bail!("no picture: {line}") };
    Ok(((*name).to_owned(), STANDARD.decode(bytes)?))
}

/// The last screen before the program left it, drawn.
fn svg(bytes: &[u8]) -> String {
    let (columns, rows) = SIZE;
    let mut screen = vt100::Parser::new(rows, columns, 0);
    screen.process(before_the_end(bytes));
    let text: Vec<String> = (0..rows).map(|row| drawn(screen.screen(), row, columns)).collect();
    let used = text.iter().rposition(|row| !row.is_empty()).map_or(0, |last| last + 1);
    Term::new().render_svg(&text[..used].join("\n"))
}

/// A row with its colours, without the blanks at its end.
fn drawn(screen: &vt100::Screen, row: u16, columns: u16) -> String {
    let cells = (0..columns).filter_map(|column| screen.cell(row, column));
    let mut runs: Vec<(Style, String)> = Vec::new();
    for cell in cells.filter(|cell| !cell.is_wide_continuation()) {
        let contents = if cell.has_contents() { cell.contents() } else { " " };
        match runs.last_mut() {
            Some((style, text)) if *style == self::style(cell) => text.push_str(contents),
            Some(_) | None => runs.push((style(cell), contents.to_owned())),
        }
    }
    let runs: Vec<String> = runs.iter().map(|(style, text)| format!("{style}{text}{style:#}")).collect();
    runs.concat().trim_end().to_owned()
}

fn style(cell: &vt100::Cell) -> Style {
    let color = |color| match color {
        vt100::Color::Default => None,
        vt100::Color::Idx(index) => Some(Color::Ansi256(Ansi256Color(index))),
        vt100::Color::Rgb(red, green, blue) => Some(Color::Rgb(RgbColor(red, green, blue))),
    };
    let effects = [
        (cell.bold(), Effects::BOLD),
        (cell.dim(), Effects::DIMMED),
        (cell.underline(), Effects::UNDERLINE),
        (cell.inverse(), Effects::INVERT),
    ];
    let effects = effects.into_iter().filter(|(set, _)| *set).fold(Effects::new(), |all, (_, one)| all | one);
    Style::new().fg_color(color(cell.fgcolor())).bg_color(color(cell.bgcolor())).effects(effects)
}

/// A program that takes the whole screen gives it back at its end.
fn before_the_end(bytes: &[u8]) -> &[u8] {
    const LEAVE: &[u8] = b"\x1b[?1049l";
    let end = bytes.windows(LEAVE.len()).rposition(|window| window == LEAVE);
    &bytes[..end.unwrap_or(bytes.len())]
}

#[cfg(test)]
mod tests {
    use super::{before_the_end, picture, svg};

    #[test]
    fn what_was_on_the_screen_last_is_drawn() {
        let shown = svg(b"\x1b[?1049h\x1b[1;1Hold\x1b[1;1H\x1b[31mnew & red\x1b[0m\x1b[?1049l$ ");
        assert!(shown.contains("new &amp; red") && !shown.contains("old"), "{shown}");
        assert_eq!(before_the_end(b"plain"), b"plain");
    }

    #[test]
    fn a_line_of_the_machine_holds_a_name_and_bytes() {
        assert_eq!(picture("picture top aGk=").expect("a picture"), ("top".to_owned(), b"hi".to_vec()));
        assert!(picture("picture top").is_err());
    }
}

//! Rows of numbers and of sets of capabilities.

use super::rows::{Row, Subject};

fn bounds(bits: u32, signed: bool) -> (i128, i128) {
    if signed { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) } else { (0, (1 << bits) - 1) }
}

fn row(values: &[String], filler: impl Iterator<Item = String>, hit: &[i128], miss: &[i128]) -> Row {
    let subjects = |numbers: &[i128]| numbers.iter().copied().map(Subject::Number).collect();
    Row {
        values: values.to_vec(),
        filler: filler.collect(),
        hit: subjects(hit),
        miss: subjects(miss),
        never: Vec::new(),
    }
}

fn text(number: i128) -> String {
    number.to_string()
}

fn no_filler() -> std::iter::Empty<String> {
    std::iter::empty()
}

/// Numbers that no row has, with gaps: more of them than are compared one by one.
fn filler() -> impl Iterator<Item = String> {
    (0..20).map(|number| text(20 + 2 * number))
}

pub(super) fn equal(bits: u32, signed: bool) -> Vec<Row> {
    let (min, max) = bounds(bits, signed);
    vec![
        row(&[text(7), text(max)], filler(), &[7, max], &[8, min, max - 1]),
        row(&[text(min), format!("{:#x}", 5)], filler(), &[min, 5], &[min + 1, max, 4]),
    ]
}

pub(super) fn greater(bits: u32, signed: bool) -> Vec<Row> {
    let (min, max) = bounds(bits, signed);
    vec![
        row(&[text(max - 2)], no_filler(), &[max - 1, max], &[max - 2, min, 0]),
        row(&[text(max - 2), text(7)], no_filler(), &[8, max], &[7, min]),
        row(&[text(min)], no_filler(), &[min + 1, 1, max], &[min]),
        row(&[text(max)], no_filler(), &[], &[min, 0, max]),
    ]
}

pub(super) fn less(bits: u32, signed: bool) -> Vec<Row> {
    let (min, max) = bounds(bits, signed);
    vec![
        row(&[text(min + 2)], no_filler(), &[min, min + 1], &[min + 2, max]),
        row(&[text(min + 2), text(7)], no_filler(), &[6, min], &[7, max]),
        row(&[text(max)], no_filler(), &[min, 0, max - 1], &[max]),
        row(&[text(min)], no_filler(), &[], &[min, 0, max]),
    ]
}

pub(super) fn mask(bits: u32, signed: bool) -> Vec<Row> {
    let (min, max) = bounds(bits, signed);
    let top = if signed { min } else { 1 << (bits - 1) };
    let values = [format!("{:#x}", 1_u64 << (bits - 1)), text(2)];
    vec![
        row(&values, no_filler(), &[2, top, if signed { -1 } else { max }], &[0, 1, 4]),
        row(&[text(8)], no_filler(), &[8, 12], &[0, 7, top]),
    ]
}

pub(super) fn ranges(bits: u32, signed: bool) -> Vec<Row> {
    let (min, max) = bounds(bits, signed);
    let filler = || filler().map(|number| format!("{number}:{number}"));
    vec![
        row(
            &["3:7".to_owned(), format!("{}:{max}", max - 1)],
            filler(),
            &[3, 5, 7, max - 1, max],
            &[2, 8, max - 2, min],
        ),
        row(&[format!("{min}:{max}")], filler(), &[min, 0, max], &[]),
        row(&[format!("{min}:{}", min + 1)], filler(), &[min, min + 1], &[min + 2, max]),
    ]
}

pub(super) fn keys(bits: u32, signed: bool) -> Vec<Row> {
    let (min, max) = bounds(bits, signed);
    vec![
        row(&["3:7".to_owned(), text(max)], filler(), &[3, 5, 7, max], &[2, 8, max - 1, min]),
        row(&[text(min)], filler(), &[min], &[min + 1, max]),
    ]
}

/// The same of sets, which can be unreadable.
pub(super) fn of_sets(rows: Vec<Row>) -> Vec<Row> {
    rows.into_iter().map(|row| Row { never: vec![Subject::Unreadable], ..row }).collect()
}

const ADMIN: i128 = 1 << 21;

/// Sets by the names of capabilities.
pub(super) fn sets_equal() -> Vec<Row> {
    let names = |values: &[&str]| -> Vec<String> { values.iter().map(|value| (*value).to_owned()).collect() };
    of_sets(vec![
        row(&names(&["CAP_SYS_ADMIN"]), filler(), &[ADMIN], &[0, ADMIN | 1]),
        row(&names(&["CAP_SYS_ADMIN,CAP_CHOWN", "4"]), filler(), &[ADMIN | 1, 4], &[ADMIN, 1]),
    ])
}

/// What the set after has and the set before has not.
pub(super) fn gained() -> Vec<Row> {
    let admin = 1 << 21;
    vec![Row {
        hit: vec![Subject::Sets(0, 1), Subject::Sets(admin, 1), Subject::Sets(1, u64::MAX)],
        miss: vec![
            Subject::Sets(0, 0),
            Subject::Sets(1, 1),
            Subject::Sets(3, 1),
            Subject::Sets(u64::MAX, admin),
        ],
        never: vec![Subject::Unreadable],
        ..Row::default()
    }]
}

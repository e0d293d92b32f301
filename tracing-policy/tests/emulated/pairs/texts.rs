//! Rows of strings and paths.

use super::kind::Text;
use super::rows::{Row, Subject};

/// Values, what hits, what misses.
type Line = (&'static [&'static str], &'static [&'static str], &'static [&'static str]);

const EQUAL: &[Line] = &[
    (&["/etc/shadow"], &["/etc/shadow"], &["/etc/shado", "/etc/shadow-", "/shadow", "/x/etc/shadow"]),
    (&["/"], &["/"], &["/a"]),
    (&["/a", "/b/c/d/e/f/g/h"], &["/a", "/b/c/d/e/f/g/h"], &["/b", "/b/c/d/e/f/g/i", "/"]),
];

const PREFIX: &[Line] = &[
    (&["/etc/", "/usr/lib"], &["/etc/passwd", "/usr/lib", "/usr/lib64/x"], &["/etc", "/usr/bin", "/"]),
    (&["/"], &["/", "/a"], &[]),
    (&["/etc"], &["/etc", "/etcetera", "/etc/x"], &["/", "/et", "/usr/etc"]),
];

const POSTFIX: &[Line] = &[
    (
        &[".conf", "bin/ls"],
        &["/etc/a.conf", "/bin/ls", "/usr/sbin/ls", "/.conf"],
        &["/a.confx", "/ls", "/conf", "/"],
    ),
    (&["/shadow"], &["/shadow", "/etc/shadow"], &["/gshadow", "/shadow/x"]),
    (&["a-long-name.txt"], &["/x/a-long-name.txt", "/xa-long-name.txt"], &["/x/long-name.txt"]),
];

const CONTAINS: &[Line] = &[
    (&["shadow"], &["/etc/shadow", "/etc/gshadow-", "/shadow/x"], &["/etc/shado", "/hadow", "/SHADOW"]),
    (&["/etc"], &["/etc"], &["/et"]),
    (&["aab"], &["/aaaaab"], &["/aaaa"]),
    (&["[0-9]"], &["/[0-9]"], &["/5"]),
    (
        &["/etc/", "PASSWD", "a-text-of-more-than-sixteen-bytes"],
        &["/x/a-text-of-more-than-sixteen-bytes/y", "/PASSWD", "/etc/x"],
        &["/passwd", "/a-text-of-more-than-sixteen-byte", "/etc"],
    ),
];

const CONTAINS_ANY_CASE: &[Line] =
    &[(&["ShaDow"], &["/etc/SHADOW", "/shadow"], &["/SHADO", "/etc"]), (&["a[@Z"], &["/A[@z"], &["/a{`z"])];

/// Names of devices have 15 bytes at most.
const DEVICES: [&[Line]; 5] = [
    &[(
        &["eth0", "a-long-name-15b"],
        &["eth0", "a-long-name-15b"],
        &["eth", "eth01", "a-long-name-15", "lo"],
    )],
    &[(&["eth", "a-long-n"], &["eth", "eth0", "a-long-name-15b"], &["et", "lo", "veth0"])],
    &[(&["h0", "15b"], &["eth0", "a-long-name-15b"], &["eth01", "h", "lo"])],
    &[(&["th"], &["eth0", "th"], &["lo", "et", "h"])],
    &[(&["TH"], &["eth0", "tH"], &["lo", "et", "h"])],
];

fn rows(lines: &[Line], text: Text, filler: &str) -> Vec<Row> {
    // what nothing hits: more values than are compared one by one
    let filler = match text {
        Text::Device => (0..20).map(|number| format!("none-{number}")).collect::<Vec<_>>(),
        Text::String | Text::Buffer | Text::Unix => {
            (0..40).map(|number| filler.replace('#', &number.to_string())).collect()
        }
    };
    let subjects = |texts: &[&'static str]| texts.iter().copied().map(Subject::Text).collect::<Vec<_>>();
    lines
        .iter()
        .map(|(values, hit, miss)| Row {
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            filler: filler.clone(),
            hit: subjects(hit),
            miss: subjects(miss),
            never: vec![Subject::Unreadable],
        })
        .collect()
}

pub(super) fn equal(text: Text) -> Vec<Row> {
    rows(if text == Text::Device { DEVICES[0] } else { EQUAL }, text, "/nowhere/#/at/all")
}

pub(super) fn prefix(text: Text) -> Vec<Row> {
    rows(if text == Text::Device { DEVICES[1] } else { PREFIX }, text, "/nowhere/#/at/all")
}

pub(super) fn postfix(text: Text) -> Vec<Row> {
    rows(if text == Text::Device { DEVICES[2] } else { POSTFIX }, text, "/nowhere/#/at/all")
}

pub(super) fn contains(text: Text, case_ignored: bool) -> Vec<Row> {
    let lines = match (text, case_ignored) {
        (Text::Device, false) => DEVICES[3],
        (Text::Device, true) => DEVICES[4],
        (Text::String | Text::Buffer | Text::Unix, false) => CONTAINS,
        (Text::String | Text::Buffer | Text::Unix, true) => CONTAINS_ANY_CASE,
    };
    rows(lines, text, "nowhere-#-at-all")
}

/// The same of paths: what has none never passes.
pub(super) fn of_paths(rows: Vec<Row>) -> Vec<Row> {
    rows.into_iter().map(|row| Row { never: vec![Subject::Unreadable, Subject::Nameless], ..row }).collect()
}

/// Types of files by their modes; a mode of zero could not be read.
pub(super) fn file_types() -> Vec<Row> {
    let rows: [(&[&str], &[u16], &[u16]); 4] = [
        (&["reg"], &[0o100_644, 0o104_755], &[0o040_755, 0o120_777]),
        (&["dir", "regular"], &[0o040_755, 0o100_644], &[0o060_600]),
        (&["chr", "block", "fifo"], &[0o020_600, 0o060_600, 0o010_600], &[0o100_644, 0o140_755]),
        (&["lnk", "sock"], &[0o120_777, 0o140_755], &[0o100_644]),
    ];
    let subjects = |modes: &[u16]| modes.iter().copied().map(Subject::Mode).collect();
    rows.into_iter()
        .map(|(values, hit, miss)| Row {
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            filler: Vec::new(),
            hit: subjects(hit),
            miss: subjects(miss),
            never: vec![Subject::Mode(0), Subject::Unreadable],
        })
        .collect()
}

//! What a reviewer sees of a change: the code of one family of tests, on a recorded kernel.

use crate::kernel::recorded;
use crate::run::{Emulated, policy, resolved};

/// One function of the program for two policies with these selectors, or the whole program's entry for one.
fn code(call: &str, arguments: &str, selectors: &[&str], function: &str) -> String {
    let view = recorded("6.12");
    let policies: Vec<_> =
        selectors.iter().map(|selector| resolved(&policy(call, arguments, selector), &view)).collect();
    let it = Emulated::new(&policies, &view);
    let code = it.compiled.bodies[0].collection.programs[0].code.disassemble();
    let heading = format!("{function}:");
    let is_heading = |line: &&str| line.ends_with(':') && !line.starts_with(' ');
    let mut lines = code.lines().skip_while(|line| *line != heading);
    let first = lines.next().unwrap_or_else(|| panic!("{code}"));
    let rest = lines.take_while(|line| !is_heading(line));
    std::iter::once(first).chain(rest).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_whole_program_that_looks_at_one_number() {
    let filter = "{matchArgs: [{index: 0, operator: InRange, values: ['3:9', '20:30']}], matchActions: [{action: NoPost}]}";
    insta::assert_snapshot!(code("sys_close", "{index: 0, type: int}", &[filter], "body"));
}

#[test]
fn numbers() {
    let filters = [
        "{matchArgs: [{index: 0, operator: GT, values: ['-3']}]}",
        "{matchArgs: [{index: 0, operator: NotEqual, values: ['1', '2']}], matchPIDs: [{operator: In, values: [7]}]}",
        "{matchArgs: [{index: 0, operator: Mask, values: ['0x40', '2']}], matchBinaries: [{operator: NotIn, values: [/bin/sh]}]}",
    ];
    insta::assert_snapshot!(code("sys_close", "{index: 0, type: int}", &filters, "tests_0"));
}

#[test]
fn strings() {
    let filters = [
        "{matchArgs: [{index: 1, operator: Equal, values: [/etc/shadow]}]}",
        "{matchArgs: [{index: 1, operator: NotPostfix, values: [.conf]}]}",
    ];
    insta::assert_snapshot!(code("sys_openat", "{index: 1, type: string}", &filters, "tests_0_0"));
}

#[test]
fn paths() {
    let filters = [
        "{matchArgs: [{index: 0, operator: Prefix, values: [/etc/shadow]}]}",
        "{matchArgs: [{index: 0, operator: Postfix, values: [/id_rsa, .key]}]}",
    ];
    insta::assert_snapshot!(code("security_file_open", "{index: 0, type: file}", &filters, "tests_0_0"));
}

#[test]
fn last_components() {
    let filters = [
        "{matchArgs: [{index: 0, operator: Equal, values: [/etc/shadow]}]}",
        "{matchArgs: [{index: 0, operator: Postfix, values: [long-name.txt, .key]}]}",
    ];
    insta::assert_snapshot!(code("security_file_open", "{index: 0, type: file}", &filters, "leaf_tests_0_0"));
}

#[test]
fn sockets() {
    let filters = [
        "{matchArgs: [{index: 0, operator: DAddr, values: [127.0.0.1, 10.0.0.0/8, 'fe80::/10']}, {index: 0, operator: DPort, values: ['443', '8000:8999']}]}",
        "{matchArgs: [{index: 0, operator: NotSAddr, values: [10.0.0.0/8]}, {index: 0, operator: State, values: [TCP_SYN_SENT]}]}",
    ];
    insta::assert_snapshot!(code("tcp_connect", "{index: 0, type: sock}", &filters, "tests_0_0"));
}

#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::{Duration, Instant};

use super::Expression;
use crate::event::Event;
use crate::json::read_event;

fn exec() -> Event {
    read_event(
        br#"{"process_exec":{"process":{"pid":7,"uid":0,"binary":"/usr/bin/curl","arguments":"-k https://x","flags":"execve clone",
            "start_time":"2026-11-26T01:02:03.5Z","in_init_tree":true,"cap":{"effective":["CAP_KILL","CAP_BPF"]},
            "pod":{"namespace":"prod","name":"web-1","pod_labels":{"app":"web","tier":"front"}}},
            "parent":{"pid":1,"binary":"/bin/sh"},"ancestors":[{"binary":"/a"},{"binary":"/b"}]},"node_name":"n"}"#,
    )
    .unwrap()
}

fn connect() -> Event {
    read_event(
        br#"{"process_kprobe":{"process":{"pid":8,"binary":"/bin/cat"},"function_name":"tcp_connect","policy_name":"p",
            "action":"KPROBE_ACTION_SIGKILL","args":[{"sock_arg":{"family":"AF_INET","daddr":"10.1.2.3","dport":443,"cookie":"18446744073709551615"}},
            {"int_arg":-5},{"long_arg":"9007199254740993"},{"bytes_arg":"YWI="},{"string_arg":"gr\u00fcn"}]}}"#,
    )
    .unwrap()
}

fn holds(text: &str) -> bool {
    let expression = Expression::compile(text).expect(text);
    expression.is_true_of(&exec()) || expression.is_true_of(&connect())
}

fn refused(text: &str) -> String {
    Expression::compile(text).map(|_| ()).expect_err(text)
}

// proves: FLT-11 (fields, types)
#[test]
fn fields_have_the_names_and_types_of_the_messages() {
    for text in [
        "process_exec.process.binary == '/usr/bin/curl'",
        "process_exec.process.pid == 7 && process_exec.process.pid == 7u && process_exec.process.pid < 7.5",
        "process_exec.process.uid == 0 && process_exec.process.auid == null && process_exec.process.tid != 0",
        "process_exec.process.in_init_tree",
        "process_exec.process.start_time > timestamp('2026-11-26T01:02:03Z')",
        "process_exec.process.start_time - timestamp('2026-11-26T01:02:03Z') == duration('500ms')",
        "process_exec.process.pod.pod_labels['app'] == 'web' && process_exec.process.pod.pod_labels.tier == 'front'",
        "'app' in process_exec.process.pod.pod_labels && !('x' in process_exec.process.pod.pod_labels)",
        "has(process_exec.process.pod.pod_labels.app) && !has(process_exec.process.pod.pod_labels.x)",
        "CapabilitiesType.CAP_BPF in process_exec.process.cap.effective",
        "tetragon.CapabilitiesType.CAP_CHOWN in process_exec.process.cap.effective == false",
        "has(process_exec.parent) && !has(process_exec.process.process_credentials)",
        "process_exec.process.process_credentials.caps.effective.size() == 0",
        "size(process_exec.ancestors) == 2 && process_exec.ancestors[1].binary == '/b'",
        "process_exec.ancestors.exists(a, a.binary == '/b') && !process_exec.ancestors.all(a, a.binary == '/b')",
        "process_exec.ancestors.exists_one(a, a.binary.startsWith('/a'))",
        "process_exec.ancestors.map(a, a.binary) == ['/a', '/b']",
        "process_exec.ancestors.map(a, a.binary != '/a', a.binary + '!')[0] == '/b!'",
        "process_exec.ancestors.filter(a, a.binary == '/b').size() == 1",
        "process_kprobe.action == KprobeAction.KPROBE_ACTION_SIGKILL && process_kprobe.action == 3",
        "process_kprobe.args[0].sock_arg.cookie == 18446744073709551615u",
        "process_kprobe.args[1].int_arg == -5 && process_kprobe.args[2].long_arg == 9007199254740993",
        "process_kprobe.args[3].bytes_arg == b'ab' && string(process_kprobe.args[3].bytes_arg) == 'ab'",
        "size(process_kprobe.args[4].string_arg) == 4 && process_kprobe.args[4].string_arg == 'gr\\u00fcn'",
        "process_kprobe.args[0].int_arg == 0 && !has(process_kprobe.args[0].int_arg)",
        "process_kprobe.parent.binary == '' && process_kprobe.process.start_time == timestamp(0)",
        "process_kprobe.args.exists(a, a.int_arg == -5)",
    ] {
        assert!(holds(text), "{text}");
    }
}

// proves: FLT-11 (language)
#[test]
fn operators_and_functions_do_what_the_language_says() {
    for text in [
        "true ? true : false",
        "1 + 2 * 3 == 7 && 7 % 4 == 3 && -7 / 2 == -3 && 2.5 * 2.0 == 5.0 && 3u - 1u == 2u",
        "1 == 1.0 && 1u < 2 && 'a' < 'b' && [1, 2] == [1u, 2.0] && {'a': 1} == {'a': 1u} && b'a' != b'b'",
        "-9223372036854775808 < 0 && 0xff == 255 && 1e3 == 1000.0 && 0XFFu == 255u",
        r#""\x41\101\n\u00e9\U0001F600" == 'AA' + '\n' + 'é' + "😀" && r'\n' == '\\n' && '''a'b''' == "a'b""#,
        "'hello'.matches('^h.*o$') && matches('x', 'x') && 'hello'.contains('ell') && 'hello'.endsWith('lo')",
        "int('7') == 7 && uint(7) == 7u && double('1.5') == 1.5 && string(7) == '7' && int(7.9) == 7 && bytes('a') == b'a'",
        "int(timestamp('1970-01-01T00:01:00Z')) == 60 && timestamp('2026-01-01T00:00:00+01:00') < timestamp('2026-01-01T00:00:00Z')",
        "duration('1h') > duration('59m') && duration('-1s') < duration('0s')",
        "dyn('a') != dyn(1) && null == null && [1, 'a'].size() == 2 && 2 in [1, 2] && [[1]][0][0] == 1",
        // What has no value does not matter where the other side decides.
        "[][0] == 1 || true",
        "!(1 / 0 == 1 && false)",
        "[1, 2].exists(x, x == 2 || 1 / 0 == 1)",
        "process_exec.process.pid == 7 || process_kprobe.process.pid == 99",
        "process_kprobe.process.pid == 99 || process_exec.process.pid == 7 // whichever it is",
    ] {
        assert!(holds(text), "{text}");
    }
    for text in [
        "false",
        "1 / 0 == 1",
        "9223372036854775807 + 1 > 0",
        "0u - 1u > 0u",
        "[][0] == 1",
        "{'a': 1}['b'] == 1",
        "[1][-1] == 1",
        "int('x') == 1",
        "1 + 1u == 2",
        "int(1e30) > 0",
        "timestamp('yesterday') > timestamp(0)",
        "process_exit.process.pid == 7",
        "!(process_exit.process.pid == 7)",
        "process_exec.ancestors[2].binary == ''",
    ] {
        assert!(!holds(text), "{text}");
    }
}

// proves: FLT-11
#[test]
fn addresses_and_networks_are_told_apart() {
    let saddr = "process_kprobe.args[0].sock_arg.daddr";
    for text in [
        format!("cidr('10.0.0.0/8').containsIP({saddr}) && cidr('10.0.0.0/8').containsIP(ip({saddr}))"),
        format!("ip({saddr}) == ip('10.1.2.3') && ip({saddr}).family() == 4 && ip({saddr}).isGlobalUnicast()"),
        format!("isIP({saddr}) && !isIP('10.1.2') && !isIP('::ffff:1.2.3.4') && !isIP('fe80::1%eth0')"),
        "ip('::1').isLoopback() && ip('127.0.0.9').isLoopback() && ip('::').isUnspecified() && ip('::1').family() == 6".to_owned(),
        "ip('224.0.0.7').isLinkLocalMulticast() && ip('ff02::1').isLinkLocalMulticast() && !ip('224.0.1.1').isLinkLocalMulticast()".to_owned(),
        "ip('169.254.1.1').isLinkLocalUnicast() && ip('fe80::1').isLinkLocalUnicast() && !ip('10.0.0.1').isLinkLocalUnicast()".to_owned(),
        "!ip('255.255.255.255').isGlobalUnicast() && !ip('ff0e::1').isGlobalUnicast() && ip('2001:db8::1').isGlobalUnicast()".to_owned(),
        "ip.isCanonical('::1') && !ip.isCanonical('0:0:0:0:0:0:0:1') && string(ip('0:0::1')) == '::1'".to_owned(),
        "cidr('192.168.1.7/16').masked() == cidr('192.168.0.0/16') && cidr('192.168.1.7/16').ip() == ip('192.168.1.7')".to_owned(),
        "cidr('192.168.0.0/16').prefixLength() == 16 && string(cidr('2001:DB8::/32')) == '2001:db8::/32'".to_owned(),
        "cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16') && !cidr('10.1.0.0/16').containsCIDR(cidr('10.0.0.0/8'))".to_owned(),
        "!cidr('10.0.0.0/8').containsCIDR('11.0.0.0/16') && !cidr('10.0.0.0/8').containsIP('::1') && cidr('::/0').containsIP('::1')".to_owned(),
        "cidr('0.0.0.0/0').containsIP('1.2.3.4') && cidr('1.2.3.4/32').containsIP('1.2.3.4')".to_owned(),
        "isCIDR('10.0.0.0/8') && !isCIDR('10.0.0.0/33') && !isCIDR('10.0.0.0/08') && !isCIDR('10.0.0.0/+8') && !isCIDR('10.0.0.0')".to_owned(),
    ] {
        assert!(holds(&text), "{text}");
    }
    assert!(!holds("ip('nowhere') == ip('::')") && !holds("cidr('10.0.0.0/8').containsIP('x')"));
}

#[test]
fn what_makes_no_sense_is_refused_with_a_reason() {
    for (text, expected) in [
        ("", "ends where a value"),
        ("1 +", "ends where a value"),
        ("(true", "\")\""),
        ("true true", "at byte 5: the end was expected"),
        ("true @", "'@' means nothing"),
        ("'a", "a string without an end"),
        ("'\\q' == ''", "an escape"),
        ("99999999999999999999 == 1", "no number"),
        ("9223372036854775808 == 1", "too large"),
        ("1", "neither true nor false"),
        ("process_exec.process.binary", "neither true nor false"),
        ("process_exec", "neither true nor false"),
        ("nothing.x", "there is no nothing"),
        ("node_name == 'n'", "there is no node_name"),
        ("process_exec.process.binry == ''", "Process has no field binry"),
        ("process_exec.ancestors.exists(a, a.x == 1)", "Process has no field x"),
        ("process_exec.process.binary == 1", "different types"),
        ("1 in ['a']", "different types"),
        ("1 in 2", "in is for lists"),
        ("!1", "true or false"),
        ("process_exec.process.binary[0] == 'a'", "is for lists and maps"),
        ("frobnicate(1)", "no function frobnicate()"),
        ("size(1, 2) == 1", "takes 1"),
        ("'a'.matches('(')", "matches():"),
        ("'a'.matches(process_exec.process.binary)", "stands there"),
        ("'a'.matches('(((a{100}){100}){100}){100}')", "matches():"),
        ("has(1)", "has() asks for a field"),
        ("[1].all(1, true)", "name of the element"),
        ("[1].map(true, 1) == [1]", "name of the element"),
    ] {
        let error = refused(text);
        assert!(error.contains(expected), "{text}: {error}");
    }
}

// proves: FLT-11 (bounds)
#[test]
fn whatever_an_expression_wants_it_ends() {
    for hostile in [
        "(".repeat(100_000),
        format!("{}true", "!".repeat(10_000)),
        format!("{}true{}", "(".repeat(1_000), ")".repeat(1_000)),
        format!("true{}", " && true".repeat(5_000)),
        format!("1{} == 1", " + 1".repeat(3_000)),
        format!("process_exec{}", ".process".repeat(2_000)),
        format!("{}1{}", "[".repeat(500), "]".repeat(500)),
        format!("'a'.matches('{}')", "a".repeat(20_000)),
        (0..100).map(|number| format!("'a'.matches('{number}[a-z]{{50}}')")).collect::<Vec<_>>().join("||"),
    ] {
        refused(&hostile);
    }
    let many = format!("[{}]", vec!["1"; 200].join(","));
    let long = format!("'{}'", "a".repeat(10_000));
    let started = Instant::now();
    for hostile in [
        format!("{many}.all(a, {many}.all(b, {many}.all(c, a == b && b == c || true)))"),
        format!("{many}.map(a, {many}).size() > 0 && {many}.map(a, {many}.map(b, {many})).size() > 0"),
        format!("{many}.map(a, {long} + {long} + {long}).all(a, a.contains('b'))"),
        format!("{many}.all(a, {long}.matches('^(a+)+$') || {long}.matches('(a|aa)+b'))"),
        "[1, 1, 1, 1].map(a, [a, a, a, a]).map(b, [b, b, b, b]).map(c, [c, c, c, c]).all(d, d == d)"
            .to_owned(),
    ] {
        let Ok(expression) = Expression::compile(&hostile) else { continue };
        for _ in 0..3 {
            expression.is_true_of(&exec());
        }
    }
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    // An honest one has steps enough.
    assert!(holds(&format!("{many}.all(a, a == 1)")));
}

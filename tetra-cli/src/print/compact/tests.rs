//! Lines of made-up events; those of real ones are in `tests/samples.rs`.
#![expect(clippy::unwrap_used, reason = "tests")]

use crate::print::{Compact, CompactOptions};

const PLAIN: CompactOptions =
    CompactOptions { colors: false, timestamps: false, stack_traces: true, ima_hash: true, details: false };

/// The compact lines of an event that is given as the JSON of its kind and members.
fn event(kind: &str, members: &str, options: CompactOptions) -> String {
    let json = format!(r#"{{"{kind}":{{{members}}},"node_name":"n","time":"2026-11-23T15:37:49.5Z"}}"#);
    let event = api::json::read_event(json.as_bytes()).unwrap();
    Compact::new(options).lines(&event).to_owned()
}

/// The compact lines of a kprobe event, whose members besides the process are given as JSON.
fn lines(members: &str) -> String {
    event("process_kprobe", &format!(r#""process":{{"binary":"/bin/x"}},{members}"#), PLAIN)
}

/// Each function with those arguments makes that line.
fn check(cases: &[(&str, String, &str)]) {
    for (function, args, expected) in cases {
        let actual = lines(&format!(r#""function_name":"{function}","args":[{args}]"#));
        assert_eq!(actual, format!("{expected}\n"));
    }
}

// proves: CLI-04
#[test]
fn calls_and_kernel_functions_have_a_line_of_their_own() {
    let file = r#"{"file_arg":{"path":"/etc/a b"}}"#;
    check(&[
        (
            "__x64_sys_write",
            format!(r#"{file},{{"bytes_arg":"eA=="}},{{"size_arg":"5"}}"#),
            "📝 write   n /bin/x \"/etc/a b\" 5 bytes",
        ),
        (
            "__arm64_sys_read",
            format!(r#"{file},{{"size_arg":"7"}}"#),
            "📚 read    n /bin/x \"/etc/a b\" 7 bytes",
        ),
        ("fd_install", format!(r#"{{"int_arg":3}},{file}"#), "📬 open    n /bin/x \"/etc/a b\""),
        ("__x64_sys_openat", r#"{"int_arg":-100},{"string_arg":"/x"}"#.to_owned(), "📬️ openat  n /bin/x /x"),
        ("__x64_sys_close", file.to_owned(), "📪 close   n /bin/x \"/etc/a b\""),
        (
            "__x64_sys_pivot_root",
            r#"{"string_arg":"/a"},{"string_arg":"/b"}"#.to_owned(),
            "💾 pivot_root n /bin/x /a /b",
        ),
        ("__x64_sys_setuid", r#"{"int_arg":1000}"#.to_owned(), "🔑 setuid  n /bin/x 1000"),
        ("__x64_sys_clock_settime", String::new(), "⏰ clock_settime n /bin/x"),
        ("__x64_sys_setns", r#"{"int_arg":3},{"int_arg":1073741824}"#.to_owned(), "🔧 setns   n /bin/x net"),
        (
            "bpf_check",
            r#"{"bpf_attr_arg":{"ProgType":"T","InsnCnt":9,"ProgName":"p"}}"#.to_owned(),
            "🐝 bpf_load n /bin/x T p instruction count 9",
        ),
        (
            "security_perf_event_alloc",
            r#"{"perf_event_arg":{"KprobeFunc":"f","Type":"T"}}"#.to_owned(),
            "🐝 perf_event_alloc n /bin/x T f",
        ),
        (
            "security_bpf_map_alloc",
            r#"{"bpf_map_arg":{"MapType":"T","KeySize":1,"ValueSize":2,"MaxEntries":3,"MapName":"m"}}"#
                .to_owned(),
            "🗺 bpf_map_create n /bin/x T m key size 1 value size 2 max entries 3",
        ),
        (
            "security_file_permission",
            format!(r#"{file},{{"int_arg":2}}"#),
            "📝 write   n /bin/x \"/etc/a b\"",
        ),
        (
            "security_file_permission",
            format!(r#"{file},{{"int_arg":1}}"#),
            "❓ security_file_permission n /bin/x \"/etc/a b\"",
        ),
        ("security_mmap_file", format!(r#"{file},{{"uint_arg":5}}"#), "📝 mmap-rx n /bin/x \"/etc/a b\""),
        ("security_mmap_file", format!(r#"{file},{{"uint_arg":0}}"#), "📝 mmap-   n /bin/x \"/etc/a b\""),
        (
            "__x64_sys_mount",
            r#"{"string_arg":"/a"},{"string_arg":"/b c"}"#.to_owned(),
            "💾 mount   n /bin/x /a \"/b c\"",
        ),
        ("__x64_sys_open", r#"{"string_arg":"/x"}"#.to_owned(), "📬️ open    n /bin/x /x"),
    ]);
}

// proves: CLI-04
#[test]
fn connections_and_hooks_have_a_line_of_their_own() {
    let file = r#"{"file_arg":{"path":"/etc/a b"}}"#;
    let sock = r#"{"sock_arg":{"saddr":"10.0.0.1","sport":1,"daddr":"10.0.0.2","dport":443}}"#.to_owned();
    check(&[
        ("proc_exec_connector", String::new(), "🔧 proc_exec_connector n /bin/x"),
        ("tcp_connect", sock.clone(), "🔌 connect n /bin/x tcp 10.0.0.1:1 -> 10.0.0.2:443"),
        ("tcp_close", sock.clone(), "🧹 close   n /bin/x tcp 10.0.0.1:1 -> 10.0.0.2:443"),
        (
            "tcp_sendmsg",
            format!(r#"{sock},{{"int_arg":5}}"#),
            "📤 sendmsg n /bin/x tcp 10.0.0.1:1 -> 10.0.0.2:443 bytes 5",
        ),
        (
            "security_bpf_map_create",
            r#"{"bpf_map_arg":{"MapType":"T","MapName":"m"}}"#.to_owned(),
            "🗺 bpf_map_create n /bin/x T m key size 0 value size 0 max entries 0",
        ),
        (
            "security_file_permission",
            format!(r#"{file},{{"int_arg":4}}"#),
            "📚 read    n /bin/x \"/etc/a b\"",
        ),
        ("security_file_truncate", file.to_owned(), "📝 truncate n /bin/x \"/etc/a b\""),
        ("security_path_truncate", r#"{"path_arg":{"path":"/p"}}"#.to_owned(), "📝 truncate n /bin/x /p"),
        ("security_file_open", file.to_owned(), "❓ syscall n /bin/x security_file_open"),
    ]);
}

#[test]
fn a_missing_argument_leaves_its_place_empty() {
    for (function, expected) in [
        ("__x64_sys_write", "📝 write   n /bin/x  "),
        ("__x64_sys_mount", "💾 mount   n /bin/x  "),
        ("__x64_sys_setuid", "🔑 setuid  n /bin/x "),
        ("tcp_connect", "🔌 connect n /bin/x "),
        ("tcp_sendmsg", "📤 sendmsg n /bin/x  bytes 0"),
        ("bpf_check", "🐝 bpf_load n /bin/x "),
        ("security_mmap_file", "❓ security_mmap_file n /bin/x "),
        ("__x64_sys_setns", "🔧 setns   n /bin/x "),
    ] {
        assert_eq!(lines(&format!(r#""function_name":"{function}""#)), format!("{expected}\n"));
    }
}

// proves: CLI-03
#[test]
fn every_kind_of_event_has_its_line() {
    let process = r#""process":{"binary":"/bin/x","arguments":"a b","pod":{"namespace":"ns","name":"p"}}"#;
    let hook = |members: &str| format!("{process},{members}");
    for (kind, members, expected) in [
        ("process_exec", process.to_owned(), "🚀 process ns/p /bin/x \"a b\""),
        ("process_exit", hook(r#""status":3"#), "💥 exit    ns/p /bin/x \"a b\" 3"),
        ("process_exit", hook(r#""signal":"SIGKILL""#), "💥 exit    ns/p /bin/x \"a b\" SIGKILL"),
        (
            "process_throttle",
            r#""type":"THROTTLE_START","cgroup":"c g""#.to_owned(),
            "🧬 throttle START \"c g\"",
        ),
        ("process_throttle", r#""type":"THROTTLE_STOP","cgroup":"c""#.to_owned(), "🧬 throttle STOP  c"),
        ("process_loader", hook(r#""path":"/l.so","buildid":"q80=""#), "🧬 loader  ns/p /bin/x abcd /l.so"),
        ("process_loader", hook(r#""path":"/l.so""#), "🧬 loader  ns/p /bin/x /l.so"),
        ("process_kprobe", hook(r#""function_name":"f""#), "❓ syscall ns/p /bin/x f"),
        ("process_tracepoint", hook(r#""subsys":"s","event":"e""#), "⁉️ tracepoint ns/p /bin/x s e"),
        ("process_uprobe", hook(r#""path":"/b","symbol":"f""#), "🕵️ uprobe  ns/p /bin/x /b f"),
        (
            "process_usdt",
            hook(r#""path":"/b","provider":"pr","name":"nm""#),
            "🕵️ usdt    ns/p /bin/x /b pr nm",
        ),
        ("process_lsm", hook(r#""function_name":"file_open""#), "🔒 LSM     ns/p /bin/x file_open"),
        ("test", String::new(), "TEST EVENT"),
        (
            "rate_limit_info",
            r#""number_of_dropped_process_events":"7""#.to_owned(),
            "🧬 limit   7 events dropped by the exporter",
        ),
    ] {
        assert_eq!(event(kind, &members, PLAIN), format!("{expected}\n"));
    }
}

/// `text` with `{b}` and the like for the sequences of colours, so that it can be read.
fn readable(text: &str) -> String {
    let colors = [(31, 'r'), (32, 'g'), (33, 'y'), (34, 'b'), (35, 'm'), (36, 'c'), (0, '/')];
    colors.iter().fold(text.to_owned(), |text, (code, letter)| {
        text.replace(&format!("\x1b[{code}m"), &format!("{{{letter}}}"))
    })
}

// proves: CLI-03 (colours), CLI-05 (which colour)
#[test]
fn colours_are_those_of_upstream() {
    let options = CompactOptions { colors: true, ..PLAIN };
    let process = r#""process":{"binary":"/bin/x","arguments":"a"}"#;
    let who = "{g}n{/} {m}/bin/x{/}";
    for (kind, members, expected) in [
        ("process_exec", "", format!("{{b}}🚀 process{{/}} {who} {{c}}a{{/}}\n")),
        (
            "process_exit",
            r#","signal":"SIGHUP""#,
            format!("{{b}}💥 exit   {{/}} {who} {{c}}a{{/}} {{r}}SIGHUP{{/}}\n"),
        ),
        (
            "process_loader",
            r#","path":"/l.so","buildid":"q80=""#,
            format!("{{b}}🧬 loader {{/}} {who} abcd {{y}}/l.so{{/}}\n"),
        ),
        (
            "process_kprobe",
            r#","function_name":"sys_read","args":[{"file_arg":{"path":"/f"}},{"size_arg":"7"}]"#,
            format!("{{b}}📚 read   {{/}} {who} {{c}}/f{{/}} {{c}}7 bytes{{/}}\n"),
        ),
        (
            "process_kprobe",
            r#","function_name":"f","kernel_stack_trace":[{"address":"16","symbol":"s","offset":"1"}],
                "user_stack_trace":[{"address":"16","symbol":"s","module":"/m","offset":"1"}]"#,
            format!(
                "{{b}}❓ syscall{{/}} {who} f\nKernel:\n{{g}}   0x10:{{/}}{{b}} s{{/}}+{{y}}0x1{{/}}\n\
                 User:\n{{g}}   0x10:{{/}}{{b}} s{{/}}{{y}} (/m+0x1){{/}}\n"
            ),
        ),
        ("process_uprobe", r#","path":"/b","symbol":"f""#, format!("{{b}}🕵️ uprobe {{/}} {who} /b f\n")),
        (
            "process_lsm",
            r#","function_name":"file_open","args":[{"file_arg":{"path":"/f"}}],"ima_hash":"sha256:ab""#,
            format!("{{b}}🔒 LSM    {{/}} {who} file_open\n{{g}}   /f{{/}}{{b}} sha256:ab{{/}}\n"),
        ),
    ] {
        let actual = readable(&event(kind, &format!("{process}{members}"), options));
        assert_eq!(actual, expected);
    }
    let throttle = event("process_throttle", r#""type":"THROTTLE_STOP","cgroup":"c""#, options);
    assert_eq!(readable(&throttle), "{r}🧬 throttle{/} {g}STOP {/} c\n");
}

// Upstream's mark says whether the process has more than 21 capabilities, whichever they are.
#[test]
fn the_mark_tests_the_capability_and_stands_in_its_column_with_and_without_colours() {
    let line = |effective: &str, colors| {
        let members = format!(r#""process":{{"binary":"/bin/x","cap":{{"effective":[{effective}]}}}}"#);
        event("process_exec", &members, CompactOptions { colors, ..PLAIN })
    };
    let begin = "🚀 process n /bin/x ";
    let expected = format!("{begin}{}🛑 CAP_SYS_ADMIN\n", " ".repeat(121 - begin.len() - 15));
    assert_eq!(line(r#""CAP_SYS_ADMIN""#, false), expected);
    let colored = readable(&line(r#""CAP_SYS_ADMIN""#, true));
    let bare: String =
        ["{b}", "{g}", "{m}", "{c}", "{/}"].iter().fold(colored, |text, mark| text.replace(mark, ""));
    assert_eq!(bare, expected);
    let many: Vec<_> = (0..41).filter(|number| *number != 21).map(|number| number.to_string()).collect();
    assert_eq!(line(&many.join(","), false), format!("{begin}\n"));
}

// proves: CLI-06
#[test]
fn a_timestamp_is_in_utc_with_nine_digits() {
    let options = CompactOptions { timestamps: true, ..PLAIN };
    assert_eq!(
        event("process_exec", r#""process":{"binary":"/bin/x"}"#, options),
        "2026-11-23T15:37:49.500000000Z 🚀 process n /bin/x \n"
    );
}

// proves: CLI-09
#[test]
fn stacks_and_hashes_follow_on_lines_of_their_own_unless_refused() {
    let stacks = r#""process":{"binary":"/bin/x"},"function_name":"f",
        "kernel_stack_trace":[{"address":"255","offset":"16","symbol":"vfs_read"}],
        "user_stack_trace":[{"offset":"1","symbol":"main","module":"/bin/x y"},{"offset":"2","module":"/m"}]"#;
    let expected = "❓ syscall n /bin/x f\nKernel:\n   0xff: vfs_read+0x10\nUser:\n   0x0: main (\"/bin/x y\"+0x1)\n   0x0: (/m+0x2)\n";
    assert_eq!(event("process_kprobe", stacks, PLAIN), expected);
    let without = CompactOptions { stack_traces: false, ima_hash: false, ..PLAIN };
    assert_eq!(event("process_kprobe", stacks, without), "❓ syscall n /bin/x f\n");
    for argument in [r#"{"file_arg":{"path":"/a b"}}"#, r#"{"linux_binprm_arg":{"path":"/a b"}}"#] {
        let lsm = format!(
            r#""process":{{"binary":"/bin/x"}},"function_name":"h","args":[{argument}],"ima_hash":"sha1:00""#
        );
        let expected = "🔒 LSM     n /bin/x h\n   \"/a b\" sha1:00\n";
        assert_eq!(event("process_lsm", &lsm, PLAIN), expected);
        assert_eq!(event("process_lsm", &lsm, without), "🔒 LSM     n /bin/x h\n");
    }
}

// proves: CLI-04 (raw_syscalls)
#[test]
fn a_system_call_by_its_number_has_its_name_and_parameters() {
    for (args, expected) in [
        (
            r#"{"syscall_id":{"id":257,"abi":"x64"}},{"size_arg":"3"},{"size_arg":"255"}"#,
            "openat(int dfd=3, const char *filename=0xff, int flags=?, umode_t mode=?)",
        ),
        (r#"{"long_arg":"39"}"#, "getpid()"),
        (
            r#"{"long_arg":"2"},{"string_arg":"x"}"#,
            "open(const char * filename=?, int flags=?, umode_t mode=?)",
        ),
        (r#"{"syscall_id":{"id":11,"abi":"i386"}},{"size_arg":"3"}"#, "i386/execve"),
        (r#"{"syscall_id":{"id":2147483659,"abi":"i386"}}"#, "i386/execve"),
        (r#"{"syscall_id":{"id":5,"abi":"arm64"}}"#, "arm64/5"),
        (r#"{"long_arg":"-1"}"#, "unknown"),
        ("", "unknown"),
    ] {
        let members = format!(
            r#""process":{{"binary":"/bin/x"}},"subsys":"raw_syscalls","event":"sys_enter","args":[{args}]"#
        );
        let expected = format!("☎  syscall n /bin/x {expected}\n");
        assert_eq!(event("process_tracepoint", &members, PLAIN), expected);
    }
}

#[test]
fn details_show_labels_return_value_action_and_policy() {
    let options = CompactOptions { details: true, ..PLAIN };
    let members = r#""process":{"binary":"/bin/x"},"function_name":"f","policy_name":"p","message":"m \u001b",
        "args":[{"int_arg":3,"label":"fd"},{"file_arg":{"path":"/a b"}},{"string_arg":"\u001b[2J"},{}],
        "return":{"int_arg":-1},"action":"KPROBE_ACTION_SIGKILL","return_action":"KPROBE_ACTION_POST",
        "tags":["t","u v"],"data":[{"size_arg":"7","label":"size"}]"#;
    let expected = r#"❓ syscall n /bin/x f
   args: fd=3 {path="/a b"} "\x1b[2J" ?
   data: size=7
   return: -1
   action: SIGKILL
   return action: POST
   policy: p
   message: "m \x1b"
   tags: t,"u v"
"#;
    assert_eq!(event("process_kprobe", members, options), expected);
    assert_eq!(event("process_exec", r#""process":{"binary":"/bin/x"}"#, options), "🚀 process n /bin/x \n");
}

//! `tetra getevents`.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Output, Stdio};

use crate::service::{Daemon, command, printed, refused, serde_json_line, text};

// proves: CLI-02
#[test]
fn events_of_the_stream_are_printed_and_its_end_is_a_good_one() {
    let daemon = Daemon::start();
    let json = printed(&daemon.tetra(&["getevents", "--process", "x"]));
    assert_eq!(serde_json_line(&json)["process_exec"]["process"]["binary"], "/bin/x");
    let compact = printed(&daemon.tetra(&["getevents", "-o", "compact", "--host"]));
    assert_eq!(compact, "🚀 process n /bin/x \"a\\x1b b\"\n");
    let asked = daemon.asked();
    assert!(asked.contains("binary_regex: [\"x\"]") && asked.contains("namespace: [\"\"]"), "{asked}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let daemon = Daemon::start();
    let (reader, pipe) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = command(&daemon.socket(), &["getevents"]);
    let output = command.stdout(pipe).stderr(Stdio::piped()).output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));
}

#[test]
fn an_interrupt_is_a_good_end_of_a_stream() {
    let daemon = Daemon::start();
    for signal in ["-INT", "-TERM"] {
        let mut command = command(&daemon.socket(), &["getevents", "--policy-names", "endless"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("/bin/x"), "{line}");
        kill(signal, &child);
        assert_eq!(child.wait().unwrap().code(), Some(0), "{signal}");
    }
}

fn kill(signal: &str, child: &Child) {
    assert!(Command::new("kill").arg(signal).arg(child.id().to_string()).status().unwrap().success());
}

// proves: CLI-10
#[test]
fn a_stream_that_ends_or_breaks_is_opened_again_where_asked() {
    let daemon = Daemon::start();
    let error = daemon.tetra(&["getevents", "--policy-names", "broken"]);
    assert_eq!(error.status.code(), Some(1));
    assert!(text(&error.stderr).contains("going down"));
    for (policy, reason) in [("broken", "going down"), ("ends", "the stream ended")] {
        let words = ["getevents", "--policy-names", policy, "--reconnect", "--reconnect-wait", "20ms"];
        let mut command = command(&daemon.socket(), &words);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.take(3).filter(|line| line.as_ref().unwrap().contains("/bin/x")).count(), 3);
        let mut notice = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut notice).unwrap();
        assert!(notice.starts_with("getevents: err:") && notice.ends_with(" retrying in 20ms\n"), "{notice}");
        assert!(notice.contains(reason), "{notice}");
        kill("-TERM", &child);
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

/// Runs `tetra getevents` on `input`.
fn from_stdin(input: &str, words: &[&str]) -> Output {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), input).unwrap();
    Command::new(env!("CARGO_BIN_EXE_tetra"))
        .arg("getevents")
        .args(words)
        .stdin(std::fs::File::open(file.path()).unwrap())
        .output()
        .unwrap()
}

// proves: CLI-11
#[test]
fn standard_input_is_filtered_as_the_daemon_would() {
    let lines = [
        r#"{"process_exec":{"process":{"binary":"/bin/a"}},"node_name":"n"}"#,
        "{broken",
        r#"{"process_exit":{"process":{"binary":"/bin/a"},"signal":"SIGKILL"},"node_name":"n"}"#,
        r#"{"process_exec":{"process":{"binary":"/bin/b"}},"node_name":"n"}"#,
    ];
    let input = lines.join("\n");
    let compact = |words: &[&str]| printed(&from_stdin(&input, &[&["-o", "compact"], words].concat()));
    assert_eq!(compact(&["--process", "a$"]), "🚀 process n /bin/a \n💥 exit    n /bin/a  SIGKILL\n");
    assert_eq!(compact(&["-e", "PROCESS_EXIT"]), "💥 exit    n /bin/a  SIGKILL\n");
    assert_eq!(compact(&["-n", "prod"]), "");
    let debug = from_stdin(&input, &["--debug"]);
    assert_eq!(printed(&debug).lines().count(), 3);
    assert!(text(&debug.stderr).contains("line 2 passed over"));
    let exit = "process_exit.signal == 'SIGKILL' && process_exit.process.binary in ['/bin/a', '/bin/c']";
    assert_eq!(compact(&["--cel-expression", exit]), "💥 exit    n /bin/a  SIGKILL\n");
    let error = refused(&from_stdin(&input, &["--cel-expression", "process_exit.sgnal == ''"]));
    assert!(error.contains("ProcessExit has no field sgnal"), "{error}");
    let error = refused(&from_stdin(&input, &["--process", "("]));
    assert!(error.contains("binary_regex"), "{error}");
}

// proves: CLI-08
#[test]
fn fields_of_standard_input_are_left_in_and_out_as_asked() {
    let line =
        r#"{"process_exec":{"process":{"pid":1,"binary":"/bin/a"},"parent":{"pid":2}},"node_name":"n"}"#;
    let fields = |words: &[&str]| printed(&from_stdin(line, words));
    assert_eq!(
        fields(&["-f", "process.binary"]),
        "{\"process_exec\":{\"process\":{\"binary\":\"/bin/a\"}},\"node_name\":\"n\"}\n"
    );
    assert_eq!(fields(&["-F", "parent,process.pid"]), fields(&["-f", "process.binary"]));
    let error = refused(&from_stdin(line, &["-f", "process.nothing"]));
    assert!(error.contains("no event has a field process.nothing"), "{error}");
}

// proves: CLI-05 (flags)
#[test]
fn colours_are_for_compact_lines_and_by_default_for_terminals_only() {
    let exec = r#"{"process_exec":{"process":{"binary":"/bin/a"}},"node_name":"n"}"#;
    let colored = |words: &[&str]| printed(&from_stdin(exec, words)).contains("\x1b[");
    assert!(colored(&["-o", "compact", "--color", "always"]));
    for words in
        [&["-o", "compact"][..], &["-o", "compact", "--color", "never"], &["-o", "json", "--color", "always"]]
    {
        assert!(!colored(words), "{words:?}");
    }
}

#[test]
fn what_was_written_to_a_terminal_can_be_read_back() {
    let write = |path: &str, bytes: &str| {
        format!(
            r#"{{"process_kprobe":{{"process":{{"binary":"/bin/a"}},"function_name":"__x64_sys_write",
                "args":[{{"file_arg":{{"path":"{path}"}}}},{{"bytes_arg":"{bytes}"}}]}}}}"#
        )
        .replace('\n', "")
    };
    let input = [write("/dev/pts/1", "aGkg"), write("/dev/pts/2", "eHh4"), write("/dev/pts/1", "G1sxbQo=")];
    let output = from_stdin(&input.join("\n"), &["-t", "/dev/pts/1"]);
    assert_eq!(printed(&output), "hi \x1b[1m\n");
}

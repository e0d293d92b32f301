//! The command against a daemon: a service on a Unix socket that answers as told and remembers what it was asked.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use api::wire;
use api::wire::fine_guidance_sensors_server::{FineGuidanceSensors, FineGuidanceSensorsServer};
use tokio_stream::wrappers::UnixListenerStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status};

/// What the service was asked, as text.
type Asked = Arc<Mutex<Vec<String>>>;

#[derive(Debug)]
struct Service {
    asked: Asked,
    events: Vec<wire::GetEventsResponse>,
}

impl Service {
    fn note(&self, request: &impl std::fmt::Debug) {
        self.asked.lock().unwrap().push(format!("{request:?}"));
    }
}

type Answer<'f, T> = Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send + 'f>>;

/// Methods that answer with an empty message and note what they were asked.
macro_rules! noted {
    ($($method:ident($request:ident) -> $response:ident;)+) => {
        // As `async_trait` would write it: it does not see into this macro.
        $(fn $method<'a, 'f>(&'a self, request: Request<wire::$request>) -> Answer<'f, wire::$response>
        where
            'a: 'f,
        {
            self.note(&request.into_inner());
            Box::pin(async { Ok(Response::new(wire::$response::default())) })
        })+
    };
}

#[tonic::async_trait]
impl FineGuidanceSensors for Service {
    type GetEventsStream = Pin<Box<dyn Stream<Item = Result<wire::GetEventsResponse, Status>> + Send>>;

    async fn get_events(
        &self,
        request: Request<wire::GetEventsRequest>,
    ) -> Result<Response<Self::GetEventsStream>, Status> {
        let request = request.into_inner();
        self.note(&request);
        let events = tokio_stream::iter(self.events.clone().into_iter().map(Ok));
        // The filter says whether the stream ends.
        let endless = request.allow_list.iter().any(|filter| filter.policy_names == ["endless"]);
        let rest = tokio_stream::pending().take(usize::from(endless));
        Ok(Response::new(Box::pin(events.chain(rest))))
    }

    async fn get_health(
        &self,
        _request: Request<wire::GetHealthStatusRequest>,
    ) -> Result<Response<wire::GetHealthStatusResponse>, Status> {
        let status = |details: &str| wire::HealthStatus { details: details.to_owned(), event: 1, status: 1 };
        let health_status = vec![status("running"), status("lost hook: 3\nmissed exec: 0")];
        Ok(Response::new(wire::GetHealthStatusResponse { health_status }))
    }

    async fn add_tracing_policy(
        &self,
        request: Request<wire::AddTracingPolicyRequest>,
    ) -> Result<Response<wire::AddTracingPolicyResponse>, Status> {
        let request = request.into_inner();
        self.note(&request);
        if request.yaml.contains("bad") {
            return Err(Status::unknown("policy.yaml:3:7: unknown field \u{1b}[31m\n  | bad"));
        }
        Ok(Response::new(wire::AddTracingPolicyResponse {}))
    }

    async fn list_tracing_policies(
        &self,
        request: Request<wire::ListTracingPoliciesRequest>,
    ) -> Result<Response<wire::ListTracingPoliciesResponse>, Status> {
        self.note(&request.into_inner());
        let policy = wire::TracingPolicyStatus {
            name: "p".to_owned(),
            state: 1,
            mode: 1,
            kernel_memory_bytes: 1_500,
            ..wire::TracingPolicyStatus::default()
        };
        Ok(Response::new(wire::ListTracingPoliciesResponse { policies: vec![policy] }))
    }

    async fn get_version(
        &self,
        _request: Request<wire::GetVersionRequest>,
    ) -> Result<Response<wire::GetVersionResponse>, Status> {
        Ok(Response::new(wire::GetVersionResponse { version: "v9".to_owned() }))
    }

    async fn list_domains(
        &self,
        _request: Request<wire::ListDomainsRequest>,
    ) -> Result<Response<wire::ListDomainsResponse>, Status> {
        Err(Status::unimplemented("no domains"))
    }

    noted! {
        delete_tracing_policy(DeleteTracingPolicyRequest) -> DeleteTracingPolicyResponse;
        configure_tracing_policy(ConfigureTracingPolicyRequest) -> ConfigureTracingPolicyResponse;
        enable_tracing_policy(EnableTracingPolicyRequest) -> EnableTracingPolicyResponse;
        disable_tracing_policy(DisableTracingPolicyRequest) -> DisableTracingPolicyResponse;
        list_sensors(ListSensorsRequest) -> ListSensorsResponse;
        enable_sensor(EnableSensorRequest) -> EnableSensorResponse;
        disable_sensor(DisableSensorRequest) -> DisableSensorResponse;
        remove_sensor(RemoveSensorRequest) -> RemoveSensorResponse;
        get_info(GetInfoRequest) -> GetInfoResponse;
        runtime_hook(RuntimeHookRequest) -> RuntimeHookResponse;
        get_debug(GetDebugRequest) -> GetDebugResponse;
        set_debug(SetDebugRequest) -> SetDebugResponse;
    }
}

/// A service on a socket of its own, until dropped.
#[derive(Debug)]
struct Daemon {
    folder: tempfile::TempDir,
    asked: Asked,
    _runtime: tokio::runtime::Runtime,
}

impl Daemon {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let asked = Asked::default();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let exec =
            r#"{"process_exec":{"process":{"binary":"/bin/x","arguments":"a\u001b b"}},"node_name":"n"}"#;
        let service = Service {
            asked: Arc::clone(&asked),
            events: vec![api::json::read_message(exec.as_bytes()).unwrap()],
        };
        let path = folder.path().join("x.sock");
        // Bound before the first call, so that no call is too early.
        let listener = runtime.block_on(async { tokio::net::UnixListener::bind(path) }).unwrap();
        runtime.spawn(async move {
            let incoming = UnixListenerStream::new(listener);
            let service = FineGuidanceSensorsServer::new(service);
            tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming).await
        });
        Self { folder, asked, _runtime: runtime }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("x.sock")
    }

    fn tetra(&self, words: &[&str]) -> Output {
        tetra(&self.socket(), words)
    }

    fn asked(&self) -> String {
        self.asked.lock().unwrap().join("\n")
    }
}

fn tetra(socket: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tetra"))
        .args(["--retries", "0", "--timeout", "5s", "--server-address"])
        .arg(format!("unix://{}", socket.display()))
        .args(words)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Standard output of a run that must succeed.
fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// Standard error of a run that must fail with code 1.
fn refused(output: &Output) -> String {
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(1), ""));
    text(&output.stderr)
}

// proves: CLI-15 (status)
#[test]
fn status_prints_health_and_what_was_lost() {
    let output = Daemon::start().tetra(&["status"]);
    assert_eq!(printed(&output), "Health Status: running\nlost hook: 3\nmissed exec: 0\n");
}

// proves: CLI-15 (version)
#[test]
fn version_asks_the_daemon_only_when_told() {
    let daemon = Daemon::start();
    let version = format!("CLI version: v{}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(printed(&daemon.tetra(&["version"])), version);
    assert_eq!(printed(&daemon.tetra(&["version", "-s"])), format!("{version}Server version: v9\n"));
}

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

fn serde_json_line(text: &str) -> serde_json::Value {
    assert!(text.ends_with('\n') && text.lines().count() == 1);
    serde_json::from_str(text).unwrap()
}

// proves: CLI-12 (add)
#[test]
fn a_policy_is_sent_and_a_refusal_keeps_its_lines_but_no_escapes() {
    let daemon = Daemon::start();
    let (good, bad) = (daemon.folder.path().join("good.yaml"), daemon.folder.path().join("bad.yaml"));
    std::fs::write(&good, "kind: TracingPolicy").unwrap();
    std::fs::write(&bad, "bad").unwrap();
    let output = daemon.tetra(&["tracingpolicy", "add", good.to_str().unwrap(), "--domain", "d"]);
    assert_eq!(printed(&output), format!("tracing policy \"{}\" added\n", good.display()));
    assert!(daemon.asked().contains("kind: TracingPolicy\", domain: \"d\""));
    let error = refused(&daemon.tetra(&["tp", "add", bad.to_str().unwrap()]));
    assert!(error.contains("policy.yaml:3:7: unknown field \\x1b[31m\n  | bad\n"), "{error}");
    let missing = refused(&daemon.tetra(&["tp", "add", "/nonexistent.yaml"]));
    assert!(missing.starts_with("Error: cannot read \"/nonexistent.yaml\""), "{missing}");
}

// proves: CLI-12 (delete, enable, disable, set-mode)
#[test]
fn changes_of_a_policy_ask_for_what_they_say() {
    let daemon = Daemon::start();
    for (words, line, asked) in [
        (
            vec!["tp", "delete", "p", "-n", "ns"],
            "deleted",
            "DeleteTracingPolicyRequest { name: \"p\", namespace: \"ns\"",
        ),
        (vec!["tp", "enable", "p"], "enabled", "enable: Some(true), mode: None"),
        (vec!["tp", "disable", "p"], "disabled", "enable: Some(false), mode: None"),
        (
            vec!["tp", "set-mode", "p", "monitor"],
            "set to mode \"monitor\"",
            "enable: None, mode: Some(TpModeMonitor)",
        ),
        (vec!["tp", "set-mode", "p", "enforce"], "set to mode \"enforce\"", "mode: Some(TpModeEnforce)"),
    ] {
        assert_eq!(printed(&daemon.tetra(&words)), format!("tracing policy \"p\" {line}\n"));
        assert!(daemon.asked().contains(asked), "{words:?}: {}", daemon.asked());
    }
}

// proves: CLI-12 (list), CLI-13
#[test]
fn policies_are_listed_as_a_table_and_as_json() {
    let daemon = Daemon::start();
    let table = printed(&daemon.tetra(&["tp", "list"]));
    let row: Vec<_> = table.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row, ["0", "p", "enabled", "0", "(global)", "1.5", "kB", "enforce", "0", "0", "0"]);
    let list = serde_json_line(&printed(&daemon.tetra(&["tp", "list", "-o", "json"])));
    let policy = &list["policies"][0];
    assert_eq!((&policy["state"], &policy["mode"]), (&"TP_STATE_ENABLED".into(), &"TP_MODE_ENFORCE".into()));
    assert_eq!(policy["kernel_memory_bytes"], "1500");
}

#[test]
fn errors_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.sock");
    let error = refused(&tetra(&path, &["status"]));
    assert!(error.contains("there is no such socket; start the daemon"), "{error}");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let error = refused(&tetra(&path, &["status"]));
    assert!(error.contains("nothing listens at unix://"), "{error}");
    let error = refused(&tetra(&path, &["--tls-skip-verify", "status"]));
    assert!(error.contains("--tls-skip-verify was given, but tetra cannot use TLS yet"), "{error}");
    let error = refused(&tetra(&path, &["--server-address", "http://x", "status"]));
    assert!(error.contains("is no server address; give unix:///"), "{error}");
    let error = refused(&tetra(&path, &["getevents", "-e", "EXEC"]));
    assert!(error.contains("PROCESS_EXEC"), "{error}");
}

#[test]
fn a_peer_that_never_answers_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let error = refused(&tetra(&path, &["--timeout", "300ms", "status"]));
    assert!(error.contains("no answer from unix://") && error.contains("in 0.3 s"), "{error}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let daemon = Daemon::start();
    let (reader, pipe) = std::io::pipe().unwrap();
    drop(reader);
    let output = Command::new(env!("CARGO_BIN_EXE_tetra"))
        .args(["--retries", "0", "getevents", "--server-address"])
        .arg(format!("unix://{}", daemon.socket().display()))
        .stdin(Stdio::null())
        .stdout(pipe)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));
}

#[test]
fn an_interrupt_is_a_good_end_of_a_stream() {
    let daemon = Daemon::start();
    for signal in ["-INT", "-TERM"] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tetra"))
            .args(["--retries", "0", "getevents", "--policy-names", "endless", "--server-address"])
            .arg(format!("unix://{}", daemon.socket().display()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        std::io::BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("/bin/x"), "{line}");
        assert!(Command::new("kill").arg(signal).arg(child.id().to_string()).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(0), "{signal}");
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
    let error = refused(&from_stdin(&input, &["--cel-expression", "true"]));
    assert!(error.contains("--cel-expression cannot be used on events from standard input"), "{error}");
    let error = refused(&from_stdin(&input, &["--process", "("]));
    assert!(error.contains("binary_regex"), "{error}");
}

#[test]
fn help_goes_to_standard_output_and_a_mistake_to_standard_error() {
    let nowhere = Path::new("/nonexistent.sock");
    for words in [&[][..], &["--help"], &["getevents", "--help"]] {
        assert!(printed(&tetra(nowhere, words)).contains("Usage: tetra"), "{words:?}");
    }
    let error = refused(&tetra(nowhere, &["bogus"]));
    assert!(error.starts_with("Error: unrecognized subcommand 'bogus'"), "{error}");
}

// proves: CLI-21
#[test]
fn completion_and_the_manual_name_the_commands() {
    let folder = tempfile::tempdir().unwrap();
    for words in [&["completion", "bash"][..], &["man"][..]] {
        let text = printed(&tetra(&folder.path().join("none"), words));
        assert!(text.contains("getevents") && text.contains("tracingpolicy"), "{words:?}");
    }
}

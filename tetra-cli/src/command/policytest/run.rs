//! Chooses tests, runs them and prints what came of them.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use api::wire;
use serde_json::Value;

use super::observe::Observer;
use super::parameter::{self, Values};
use super::report::{self, Named, ScenarioVerdict, Verdict};
use super::stage::{self, Stage};
use super::test::{Parameter, Scenario, Test, TestError};
use super::{act, builtin, compare, scope};
use crate::args::{Connection, PolicyTest, ResultFormat, RunTests};
use crate::client::{AddressError, CallError, Client};
use crate::print::{Output, OutputError, escape, notice};

/// How long the events of a scenario may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Largest file with a test, in bytes.
const LARGEST: u64 = 1 << 20;
/// Codes of diagnostics that say that this kernel lacks something.
const LACKS: [&str; 2] = ["P0042", "P0043"];

/// Tests were not run, or not all of them went well.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PolicyTestError {
    /// No usable address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A file is no test.
    #[error(transparent)]
    Test(#[from] TestError),
    /// What was given makes no sense.
    #[error("{0}")]
    Options(String),
    /// A file cannot be read or written.
    #[error("{path:?}: {source}")]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The stage cannot go on.
    #[error("the process that makes the acts: {0}")]
    Stage(io::Error),
    /// A policy has no YAML form.
    #[error("cannot write the policy: {0}")]
    Write(String),
    /// Results have no JSON form.
    #[error("cannot show the results as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Some tests failed.
    #[error("result errors: {failed}/{all}")]
    Failed {
        /// How many failed.
        failed: usize,
        /// How many there were.
        all: usize,
    },
    /// No output.
    #[error("{0}")]
    Output(#[from] OutputError),
}

/// Does what `command` says. Returns the exit code.
pub(crate) fn run(connection: &Connection, command: &PolicyTest) -> Result<u8, PolicyTestError> {
    match command {
        PolicyTest::List { list_params } => list(*list_params)?,
        PolicyTest::DumpPolicy { names, set_param } => dump(names, set_param)?,
        PolicyTest::Run(options) => tests(connection, options)?,
        PolicyTest::Stage { token } => {
            stage::serve(token, io::stdin().lock(), io::stdout().lock()).map_err(PolicyTestError::Stage)?;
        }
        PolicyTest::Act { token, acts } => return Ok(act::run(token, acts)),
    }
    Ok(0)
}

fn list(parameters: bool) -> Result<(), PolicyTestError> {
    let mut text = String::new();
    for test in builtin::tests()? {
        // Writing to a String does not fail.
        writeln!(text, "{} [{}]", test.name, test.labels.join(" ")).unwrap_or_default();
        if !parameters {
            continue;
        }
        writeln!(text, " {}", test.description).unwrap_or_default();
        if !test.parameters.is_empty() {
            text.push_str(" parameters:\n");
        }
        for Parameter { name, default, values } in &test.parameters {
            let values = if values.is_empty() { "any".to_owned() } else { values.join(", ") };
            writeln!(text, "   {name}: {values} (default: {default})").unwrap_or_default();
        }
    }
    Ok(Output::stdout().write_all(text.as_bytes())?)
}

/// Prints policies as tests have them, for everybody.
fn dump(names: &[String], given: &[String]) -> Result<(), PolicyTestError> {
    let given = pairs(given)?;
    let mut text = String::from(
        "# For everybody who matches: `policytest run` limits each selector to processes of its own (matchPIDs).\n",
    );
    for test in chosen(names, false)? {
        let values = parameter::values(&test.parameters, &given).map_err(PolicyTestError::Options)?;
        let filled = parameter::filled(&test, &values);
        text.push_str("---\n");
        text.push_str(&yaml(&scope::whole(&test.name, &filled.policy))?);
    }
    Ok(Output::stdout().write_all(text.as_bytes())?)
}

fn yaml(policy: &Value) -> Result<String, PolicyTestError> {
    serde_saphyr::to_string(policy).map_err(|error| PolicyTestError::Write(error.to_string()))
}

/// The tests that are named: built-in ones by their names, others by their files (`/` or `.yaml` tells them).
fn chosen(names: &[String], all: bool) -> Result<Vec<Test>, PolicyTestError> {
    let known = builtin::tests()?;
    if all {
        return Ok(known);
    }
    if names.is_empty() {
        let hint = "name the tests to run, or give --all-tests; `tetra policytest list` has the names";
        return Err(PolicyTestError::Options(hint.to_owned()));
    }
    let find = |name: &String| {
        if name.contains('/') || Path::new(name).extension().is_some_and(|end| end == "yaml") {
            return Ok(Test::parse(name, &read(Path::new(name))?)?);
        }
        known.iter().find(|test| test.name == *name).cloned().ok_or_else(|| {
            let hint =
                "`tetra policytest list` has the names, and a path to a file has a / or ends with .yaml";
            PolicyTestError::Options(format!("there is no test {name:?}; {hint}"))
        })
    };
    names.iter().map(find).collect()
}

fn read(path: &Path) -> Result<String, PolicyTestError> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(LARGEST).read_to_string(&mut text));
    read.map_err(|source| PolicyTestError::File { path: path.to_owned(), source })?;
    Ok(text)
}

fn pairs(given: &[String]) -> Result<Values, PolicyTestError> {
    let pair = |text: &String| {
        let pair = text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        pair.ok_or_else(|| PolicyTestError::Options(format!("{text:?} is no parameter; give NAME=VALUE")))
    };
    given.iter().map(pair).collect()
}

fn tests(connection: &Connection, options: &RunTests) -> Result<(), PolicyTestError> {
    let given = pairs(&options.set_param)?;
    let client = Arc::new(Client::new(connection)?);
    let mut results = Vec::new();
    for test in chosen(&options.names, options.all_tests)? {
        let all =
            if options.all_params { parameter::all_values(&test.parameters) } else { vec![given.clone()] };
        for values in all {
            results.push(one(&client, &test, &values, options));
        }
    }
    let text = match options.output {
        ResultFormat::Text => report::text(&results),
        ResultFormat::Json => report::json(&results)?,
    };
    match &options.output_file {
        Some(path) => {
            fs::write(path, text).map_err(|source| PolicyTestError::File { path: path.clone(), source })?;
        }
        None => Output::stdout().write_all(text.as_bytes())?,
    }
    let failed = results.iter().filter(|named| named.result.failed()).count();
    if failed == 0 { Ok(()) } else { Err(PolicyTestError::Failed { failed, all: results.len() }) }
}

/// Runs a test with these parameters.
fn one(client: &Arc<Client>, test: &Test, given: &Values, options: &RunTests) -> Named {
    let began = Instant::now();
    let (name, mut result) = match parameter::values(&test.parameters, given) {
        Ok(values) => {
            let shown: Vec<String> = values.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let name = if shown.is_empty() {
                test.name.clone()
            } else {
                format!("{} ({})", test.name, shown.join(" "))
            };
            (name, scenarios(client, &parameter::filled(test, &values), options))
        }
        Err(error) => (test.name.clone(), Err(Stop::Failed(error))),
    };
    let mut verdict = Verdict { total_time: began.elapsed(), ..Verdict::default() };
    match &mut result {
        Ok(scenarios) => verdict.scenarios = std::mem::take(scenarios),
        Err(Stop::Lacks(reason)) => verdict.skipped = std::mem::take(reason),
        Err(Stop::Failed(reason)) => verdict.error = Some(std::mem::take(reason)),
    }
    Named { name, result: verdict }
}

/// Why a test has no scenarios that ran.
enum Stop {
    /// This kernel cannot do what the policy asks for.
    Lacks(String),
    /// Something went wrong.
    Failed(String),
}

impl Stop {
    fn failed(error: impl std::fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }
}

fn scenarios(client: &Arc<Client>, test: &Test, options: &RunTests) -> Result<Vec<ScenarioVerdict>, Stop> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let token = format!("{}-{}", std::process::id(), since.as_nanos());
    let mut stage = Stage::start(&token).map_err(Stop::failed)?;
    let policy =
        scope::policy(&test.name, &test.policy, stage.pid(), options.monitor_mode).map_err(Stop::Failed)?;
    let text = yaml(&policy).map_err(Stop::failed)?;
    if let Some(path) = &options.dump_policy_path {
        fs::write(path, &text).map_err(|error| Stop::Failed(format!("{}: {error}", path.display())))?;
    }
    let loaded = Loaded::add(client, &scope::policy_name(&test.name), text)?;
    let observer = Observer::start(client, &loaded.name, &token).map_err(Stop::Failed)?;
    Ok(test
        .scenarios
        .iter()
        .map(|scenario| scene(&mut stage, &observer, scenario, options.monitor_mode))
        .collect())
}

/// Runs a scenario.
fn scene(stage: &mut Stage, observer: &Observer, scenario: &Scenario, monitor: bool) -> ScenarioVerdict {
    let mut verdict = ScenarioVerdict {
        name: scenario.name.clone(),
        trigger_error: None,
        checker_error: None,
        action_counts_error: None,
    };
    let ended = match stage.act(&scenario.acts) {
        Ok(ended) => ended,
        Err(error) => {
            verdict.trigger_error = Some(error.to_string());
            return verdict;
        }
    };
    let (outcome, expected) =
        (act::outcome(ended.code), if monitor { &scenario.unenforced } else { &scenario.result });
    if outcome != *expected {
        verdict.trigger_error = Some(format!("the acts ended with {outcome}, not {expected}"));
    }
    verdict.checker_error = match observer.until_exit(ended.pid, PATIENCE) {
        // What a policy does not do it does not report with that action either.
        Ok(events) if monitor => (events.len() != scenario.events.len())
            .then(|| format!("{} events came, {} were expected", events.len(), scenario.events.len())),
        Ok(events) => compare::difference(&scenario.events, &events),
        Err(error) => Some(error),
    };
    verdict
}

/// A policy that is removed when this is dropped.
struct Loaded {
    client: Arc<Client>,
    name: String,
}

impl Loaded {
    fn add(client: &Arc<Client>, name: &str, yaml: String) -> Result<Self, Stop> {
        let request = wire::AddTracingPolicyRequest { yaml, domain: String::new() };
        match client.call(async |mut service| service.add_tracing_policy(request.clone()).await) {
            Ok(_) => Ok(Self { client: Arc::clone(client), name: name.to_owned() }),
            Err(CallError::Refusal { message }) if LACKS.iter().any(|code| message.contains(code)) => {
                Err(Stop::Lacks(message))
            }
            Err(error) => Err(Stop::failed(error)),
        }
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        let request = wire::DeleteTracingPolicyRequest {
            name: self.name.clone(),
            ..wire::DeleteTracingPolicyRequest::default()
        };
        if let Err(error) =
            self.client.call(async |mut service| service.delete_tracing_policy(request.clone()).await)
        {
            notice(&format!("the policy {} could not be deleted: {error}", escape::visible(&self.name)));
        }
    }
}

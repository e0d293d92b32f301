//! Policies of the field, where they are at hand: every one is read, and is refused only for what comes later.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::path::Path;

use tracing_policy::diagnostic::render::{Style, terminal};
use tracing_policy::diagnostic::{Code, Severity};
use tracing_policy::source::SourceText;
use tracing_policy::{check, parse};

/// Those that need nothing but kprobes and what describes the network.
const NETWORK: [&str; 11] = [
    "policylibrary__egress",
    "quickstart__network_egress_cluster",
    "tracingpolicy__datagram",
    "tracingpolicy__dev_queue_xmit",
    "tracingpolicy__dns-only-specified-servers",
    "tracingpolicy__security-socket-connect",
    "tracingpolicy__security-socket-connect-block-others",
    "tracingpolicy__tcp-connect",
    "tracingpolicy__tcp-connect-only-local-addrs",
    "tracingpolicy__tcp-connect-only-private-addrs",
    "tracingpolicy__tcp-connect-with-selectors",
];

// proves: ARG-08 (check), ARG-09 (check)
#[test]
fn policies_of_the_field_are_read_and_refused_only_for_what_is_not_supported_yet() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/samples/policies");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        assert!(std::env::var_os("CI").is_none(), "the sample policies are missing");
        return;
    };
    let mut accepted = 0;
    for entry in entries {
        let path = entry.unwrap().path();
        // what the guide that they come from has its reader put in, and what kubectl does
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.replace("${PODCIDR}", "10.44.0.0/14").replace("${SERVICECIDR}", "10.48.0.0/20");
        let text = text.replace("Namespaced\nmetadata:\n", "Namespaced\nmetadata:\n  namespace: default\n");
        let source = SourceText::from_bytes(path.to_str().unwrap(), text.as_bytes()).unwrap();
        let schema =
            parse::policy(&source).unwrap_or_else(|e| panic!("{}", terminal(&source, &e, Style::Plain)));
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        match check::policy(schema) {
            Ok(_) => accepted += 1,
            Err(findings) => {
                assert!(!NETWORK.contains(&name.as_str()), "{}", terminal(&source, &findings, Style::Plain));
                let surprise = |code, severity| severity == Severity::Error && code != Code::NotSupportedYet;
                let surprises: Vec<_> =
                    findings.into_iter().filter(|finding| surprise(finding.code, finding.severity)).collect();
                assert!(surprises.is_empty(), "{}", terminal(&source, &surprises, Style::Plain));
            }
        }
    }
    assert!(accepted >= 5, "only {accepted} were accepted");
}

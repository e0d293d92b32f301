//! Events of every kind as ECS and OCSF documents: one golden file each (`INSTA_UPDATE=always` writes them), and what the schemas require.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use api::name::EventType;
use export::siem::Form;
use serde_json::Value;

/// Events of every kind by name, as Tetragon's JSON, which is read and written again: what stands in the files is what events can hold.
fn events() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/siem/events");
    let mut events: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let event = api::json::read_event(&fs::read(&path).unwrap()).unwrap();
            let mut json = Vec::new();
            api::json::write_event(&event, &mut json);
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), json)
        })
        .collect();
    events.sort();
    events
}

fn documents(form: Form) -> Vec<(String, Value)> {
    let document = |(name, json): (String, Vec<u8>)| {
        let mut text = Vec::new();
        form.write(&json, &mut text);
        (name, serde_json::from_slice(&text).unwrap())
    };
    events().into_iter().map(document).collect()
}

fn golden(form: Form) {
    for (name, document) in documents(form) {
        let text = serde_json::to_string_pretty(&document).unwrap();
        insta::with_settings!({ snapshot_path => form.name(), prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name, text);
        });
    }
}

#[test]
fn every_kind_of_event_has_an_ecs_document() {
    golden(Form::Ecs);
}

#[test]
fn every_kind_of_event_has_an_ocsf_document() {
    golden(Form::Ocsf);
}

#[test]
fn every_kind_is_among_the_events() {
    let kinds: BTreeSet<String> = events().iter().map(|(name, _)| name.clone()).collect();
    for kind in EventType::ALL.iter().filter(|kind| **kind != EventType::Undef) {
        assert!(kinds.contains(&kind.name().to_lowercase()), "{}", kind.name());
    }
}

/// The values of `ecs`' fields that may have some only (ECS 8.17, "ECS categorization fields").
const ECS_VALUES: [(&str, &[&str]); 4] = [
    (
        "/event/kind",
        &["alert", "enrichment", "event", "metric", "state", "pipeline_error", "signal", "asset"],
    ),
    (
        "/event/category",
        &[
            "api",
            "authentication",
            "configuration",
            "database",
            "driver",
            "email",
            "file",
            "host",
            "iam",
            "intrusion_detection",
            "library",
            "malware",
            "network",
            "package",
            "process",
            "registry",
            "session",
            "threat",
            "vulnerability",
            "web",
        ],
    ),
    (
        "/event/type",
        &[
            "access",
            "admin",
            "allowed",
            "change",
            "connection",
            "creation",
            "deletion",
            "denied",
            "device",
            "end",
            "error",
            "group",
            "indicator",
            "info",
            "installation",
            "protocol",
            "start",
            "user",
        ],
    ),
    ("/event/outcome", &["failure", "success", "unknown"]),
];

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().map_or_else(
        || vec![value.as_str().unwrap()],
        |all| all.iter().map(|one| one.as_str().unwrap()).collect(),
    )
}

#[test]
fn ecs_documents_have_what_the_schema_requires_and_values_that_it_allows() {
    for (name, document) in documents(Form::Ecs) {
        for required in ["/@timestamp", "/ecs/version", "/event/dataset", "/event/module", "/event/action"] {
            assert!(document.pointer(required).is_some_and(Value::is_string), "{name}: {required}");
        }
        for (pointer, allowed) in ECS_VALUES {
            let found = document.pointer(pointer).unwrap_or_else(|| panic!("{name}: {pointer}"));
            for value in texts(found) {
                assert!(allowed.contains(&value), "{name}: {pointer} is {value}");
            }
        }
        for address in ["/source/ip", "/destination/ip"] {
            if let Some(found) = document.pointer(address) {
                found.as_str().unwrap().parse::<std::net::IpAddr>().unwrap();
            }
        }
    }
}

/// What every class of OCSF 1.5 requires, and what some do besides.
const OCSF_REQUIRED: [&str; 9] = [
    "/activity_id",
    "/category_uid",
    "/class_uid",
    "/metadata/product",
    "/metadata/version",
    "/severity_id",
    "/time",
    "/type_uid",
    "/action_id",
];
const OCSF_OF_CLASS: [(u64, &[&str]); 6] = [
    (0, &[]),
    (1001, &["/actor/process", "/device/type_id", "/file/name", "/file/type_id"]),
    (1002, &["/actor/process", "/device/type_id", "/driver/file/name", "/driver/file/type_id"]),
    (1005, &["/actor/process", "/device/type_id", "/module"]),
    (1007, &["/actor/process", "/device/type_id", "/process/pid"]),
    (4001, &["/dst_endpoint"]),
];

#[test]
fn ocsf_documents_have_what_their_classes_require() {
    let mut classes = BTreeSet::new();
    for (name, document) in documents(Form::Ocsf) {
        let number = |pointer: &str| document.pointer(pointer).and_then(Value::as_u64).unwrap();
        let class = number("/class_uid");
        classes.insert(class);
        let (_, of_class) =
            OCSF_OF_CLASS.iter().find(|(uid, _)| *uid == class).unwrap_or_else(|| panic!("{name}: {class}"));
        for required in OCSF_REQUIRED.iter().chain(*of_class) {
            assert!(document.pointer(required).is_some_and(|value| !value.is_null()), "{name}: {required}");
        }
        assert_eq!(number("/type_uid"), class * 100 + number("/activity_id"), "{name}");
        assert_eq!(number("/category_uid"), class / 1000, "{name}");
        assert!(number("/time") > 1_700_000_000_000, "{name}: milliseconds");
    }
    assert_eq!(classes.len(), OCSF_OF_CLASS.len(), "{classes:?}");
}

#[test]
fn nothing_of_an_event_is_lost() {
    for (form, own) in [(Form::Ecs, "/enforcer"), (Form::Ocsf, "/unmapped")] {
        for ((name, json), (_, document)) in events().into_iter().zip(documents(form)) {
            let event: Value = serde_json::from_slice(&json).unwrap();
            let (kind, body) = event
                .as_object()
                .unwrap()
                .iter()
                .find(|(name, value)| value.is_object() && *name != "aggregation_info")
                .unwrap();
            let kept =
                document.pointer(&format!("{own}/{kind}")).unwrap_or_else(|| panic!("{name}: {own}/{kind}"));
            for (field, value) in body.as_object().unwrap() {
                assert!(
                    matches!(field.as_str(), "process" | "parent") || kept.get(field) == Some(value),
                    "{name}: {field}"
                );
            }
        }
    }
}

#[test]
fn a_field_that_was_filtered_out_is_in_no_document() {
    let (_, json) = events().into_iter().find(|(name, _)| name == "process_exec").unwrap();
    let text = String::from_utf8(json).unwrap().replace("\"arguments\":\"-s https://example.org\",", "");
    for form in [Form::Ecs, Form::Ocsf] {
        let mut document = Vec::new();
        form.write(text.as_bytes(), &mut document);
        assert!(!String::from_utf8(document).unwrap().contains("example.org"));
    }
}

#[test]
fn what_is_no_event_stays_as_it_is() {
    let mut out = Vec::new();
    Form::Ecs.write(b"[1]", &mut out);
    assert_eq!(out, b"[1]");
}

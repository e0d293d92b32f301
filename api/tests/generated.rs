//! The reference of the API is what the `.proto` files say; `ENFORCER_GENERATE=1` writes it.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use prost_types::field_descriptor_proto::Label;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, ServiceDescriptorProto,
};

const HEAD: &str = "\
# The API

Made from `api/proto` by `cargo xtask generate`.

gRPC over the Unix socket of the daemon, or over TCP with TLS (`--server-address`). Names, numbers and types are those of Tetragon's API, so that its clients
work. Events are written as JSON with these names of fields, in files and by `tetra getevents`; 64-bit numbers are text there.
";

const FILES: [&str; 6] = [
    "tetragon/sensors.proto",
    "tetragon/eventlogservice.proto",
    "tetragon/events.proto",
    "tetragon/tetragon.proto",
    "tetragon/bpf.proto",
    "tetragon/capabilities.proto",
];

/// Numbers of a descriptor's parts in paths to comments (`descriptor.proto`).
const MESSAGE: i32 = 4;
const ENUM: i32 = 5;
const SERVICE: i32 = 6;
const INNER: i32 = 2;
const INNER_MESSAGE: i32 = 3;
const INNER_ENUM: i32 = 4;

/// Comments of a file by their paths.
struct Comments(HashMap<Vec<i32>, String>);

impl Comments {
    fn of(file: &FileDescriptorProto) -> Self {
        let places = file.source_code_info.iter().flat_map(|info| &info.location);
        let comment = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        Self(
            places
                .filter_map(|place| {
                    let said = place.leading_comments.as_ref().or(place.trailing_comments.as_ref())?;
                    Some((place.path.clone(), comment(said)))
                })
                .collect(),
        )
    }

    fn at(&self, path: &[i32]) -> &str {
        self.0.get(path).map_or("", String::as_str)
    }
}

fn extended(path: &[i32], more: [i32; 2]) -> Vec<i32> {
    path.iter().copied().chain(more).collect()
}

fn number(index: usize) -> i32 {
    i32::try_from(index).unwrap()
}

/// `text` as a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}

/// A type without the package that all are in.
fn short(name: &str) -> &str {
    name.strip_prefix(".tetragon.").unwrap_or(name.trim_start_matches('.'))
}

fn field_type(field: &FieldDescriptorProto, message: &DescriptorProto) -> String {
    let entry = message.nested_type.iter().find(|inner| {
        inner.options.as_ref().is_some_and(prost_types::MessageOptions::map_entry)
            && field.type_name().ends_with(&format!(".{}", inner.name()))
    });
    if let Some(entry) = entry {
        let of = |index: usize| entry.field.get(index).map(scalar).unwrap_or_default();
        return format!("map of {} to {}", of(0), of(1));
    }
    let kind = scalar(field);
    if field.label() == Label::Repeated { format!("list of {kind}") } else { kind }
}

fn scalar(field: &FieldDescriptorProto) -> String {
    // Those of messages and choices have names, the others only a kind.
    if field.type_name().is_empty() {
        field.r#type().as_str_name().trim_start_matches("TYPE_").to_lowercase()
    } else {
        short(field.type_name()).to_owned()
    }
}

fn service(text: &mut String, service: &ServiceDescriptorProto, path: &[i32], comments: &Comments) {
    writeln!(text, "\n## Service {}\n\n{}\n", service.name(), comments.at(path)).unwrap();
    writeln!(text, "| call | asks with | answers with | what |\n| --- | --- | --- | --- |").unwrap();
    for (index, method) in service.method.iter().enumerate() {
        let stream = if method.server_streaming() { "stream of " } else { "" };
        let (asks, answers) = (short(method.input_type()), short(method.output_type()));
        let old = if method.options.as_ref().is_some_and(prost_types::MethodOptions::deprecated) {
            " (deprecated)"
        } else {
            ""
        };
        let what = cell(comments.at(&extended(path, [INNER, number(index)])));
        writeln!(text, "| `{}`{old} | `{asks}` | {stream}`{answers}` | {what} |", method.name()).unwrap();
    }
}

fn message(text: &mut String, message: &DescriptorProto, above: &str, path: &[i32], comments: &Comments) {
    let name = format!("{above}{}", message.name());
    writeln!(text, "\n### {name}\n\n{}", comments.at(path)).unwrap();
    if !message.field.is_empty() {
        writeln!(text, "\n| number | field | type | what |\n| --- | --- | --- | --- |").unwrap();
    }
    for (index, field) in message.field.iter().enumerate() {
        let comment = cell(comments.at(&extended(path, [INNER, number(index)])));
        let old = if field.options.as_ref().is_some_and(prost_types::FieldOptions::deprecated) {
            " (deprecated)"
        } else {
            ""
        };
        let kind = field_type(field, message);
        writeln!(text, "| {} | `{}`{old} | {kind} | {comment} |", field.number(), field.name()).unwrap();
    }
    for (index, inner) in message.nested_type.iter().enumerate() {
        if !inner.options.as_ref().is_some_and(prost_types::MessageOptions::map_entry) {
            self::message(
                text,
                inner,
                &format!("{name}."),
                &extended(path, [INNER_MESSAGE, number(index)]),
                comments,
            );
        }
    }
    for (index, inner) in message.enum_type.iter().enumerate() {
        choice(text, inner, &format!("{name}."), &extended(path, [INNER_ENUM, number(index)]), comments);
    }
}

fn choice(text: &mut String, choice: &EnumDescriptorProto, above: &str, path: &[i32], comments: &Comments) {
    writeln!(text, "\n### {above}{}\n\n{}\n", choice.name(), comments.at(path)).unwrap();
    writeln!(text, "| number | value | what |\n| --- | --- | --- |").unwrap();
    for (index, value) in choice.value.iter().enumerate() {
        let comment = cell(comments.at(&extended(path, [INNER, number(index)])));
        writeln!(text, "| {} | `{}` | {comment} |", value.number(), value.name()).unwrap();
    }
}

fn page() -> String {
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let set = protox::compile(FILES, [include]).unwrap();
    let mut text = HEAD.to_owned();
    let files: Vec<&FileDescriptorProto> =
        FILES.iter().map(|name| set.file.iter().find(|file| file.name() == *name).unwrap()).collect();
    for file in &files {
        for (index, one) in file.service.iter().enumerate() {
            service(&mut text, one, &[SERVICE, number(index)], &Comments::of(file));
        }
    }
    for file in files {
        let comments = Comments::of(file);
        writeln!(text, "\n## {}", file.name()).unwrap();
        for (index, one) in file.message_type.iter().enumerate() {
            message(&mut text, one, "", &[MESSAGE, number(index)], &comments);
        }
        for (index, one) in file.enum_type.iter().enumerate() {
            choice(&mut text, one, "", &[ENUM, number(index)], &comments);
        }
    }
    text
}

/// What a line of a `.proto` file defines, as the page begins its row or ends its heading.
fn defined(line: &str) -> Option<String> {
    let line = line.split("//").next()?.trim();
    if let Some(call) = line.strip_prefix("rpc ") {
        return Some(format!("\n| `{}`", call.split('(').next()?.trim()));
    }
    for kind in ["message ", "enum "] {
        if let Some(name) = line.strip_prefix(kind) {
            return Some(format!("{}\n\n", name.trim_end_matches(['{', '}', ' '])));
        }
    }
    let (name, number) = line.split_once(" = ")?;
    let number = number.split([' ', ';']).next()?;
    number.parse::<i32>().ok()?;
    Some(format!("\n| {number} | `{}`", name.split_whitespace().last()?))
}

// proves: DOC-04
#[test]
fn every_call_message_field_and_value_of_the_proto_files_is_in_the_reference() {
    let page = page();
    let mut count = 0;
    for file in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("proto/tetragon")).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        for row in text.lines().filter_map(defined) {
            assert!(page.contains(&row), "{row}");
            count += 1;
        }
    }
    assert!(count > 500, "{count}");
}

// proves: DOC-04
#[test]
fn the_reference_of_the_api_is_what_the_proto_files_say() {
    let text = page();
    for part in
        ["| `GetEvents` |", "stream of `GetEventsResponse`", "### ProcessKprobe\n", "| `PROCESS_EXEC` |"]
    {
        assert!(text.contains(part), "{part}");
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/api.md");
    if std::env::var_os("ENFORCER_GENERATE").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(there == text, "api.md is not what the source says; run cargo xtask generate");
}

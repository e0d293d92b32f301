//! The contract as it is known of upstream, line by line, beside what `proto` says: names, numbers, types, oneofs.

use std::collections::BTreeSet;

use prost_reflect::{Cardinality, DescriptorPool, FieldDescriptor, Kind, MessageDescriptor};

const PACKAGE: &str = "tetragon.";

/// One field, enumeration value or method a line, in the form of `wire.txt`.
fn lines() -> BTreeSet<String> {
    let descriptors = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
    let pool = DescriptorPool::decode(descriptors.as_slice()).expect("build.rs wrote it");
    let mut lines = BTreeSet::new();
    for message in
        pool.all_messages().filter(|message| is_ours(message.full_name()) && !message.is_map_entry())
    {
        lines.extend(fields(&message));
    }
    for values in pool.all_enums().filter(|values| is_ours(values.full_name())) {
        for value in values.values() {
            let name = local(values.full_name());
            lines.insert(format!("enum {name} {} {}", value.name(), value.number()));
        }
    }
    for method in pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
        let stream = if method.is_server_streaming() { " stream" } else { "" };
        lines.insert(format!(
            "rpc {} {} {} {}{stream}",
            method.parent_service().name(),
            method.name(),
            method.input().name(),
            method.output().name(),
        ));
    }
    lines
}

fn is_ours(name: &str) -> bool {
    name.starts_with(PACKAGE)
}

fn local(name: &str) -> &str {
    name.strip_prefix(PACKAGE).unwrap_or(name)
}

fn fields(message: &MessageDescriptor) -> Vec<String> {
    let name = local(message.full_name());
    if message.fields().len() == 0 {
        return vec![format!("message {name}")];
    }
    let line = |field: FieldDescriptor| {
        let proto = field.field_descriptor_proto();
        let of = match field.containing_oneof() {
            Some(oneof) if !proto.proto3_optional() => format!(" in {}", oneof.name()),
            _ => String::new(),
        };
        format!("message {name} {} {} {}{of}", field.name(), field.number(), typed(&field))
    };
    message.fields().map(line).collect()
}

fn typed(field: &FieldDescriptor) -> String {
    if let (true, Kind::Message(entry)) = (field.is_map(), field.kind()) {
        let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
        return format!("map<{},{}>", plain(&key.kind()), plain(&value.kind()));
    }
    let kind = plain(&field.kind());
    match field.cardinality() {
        Cardinality::Repeated => format!("repeated {kind}"),
        Cardinality::Optional if field.field_descriptor_proto().proto3_optional() => {
            format!("optional {kind}")
        }
        Cardinality::Optional | Cardinality::Required => kind,
    }
}

/// The type as a `.proto` file would name it.
fn plain(kind: &Kind) -> String {
    match kind {
        Kind::Message(message) => local_in_parent(message.full_name()),
        Kind::Enum(values) => local(values.full_name()).to_owned(),
        scalar @ (Kind::Double
        | Kind::Float
        | Kind::Int32
        | Kind::Int64
        | Kind::Uint32
        | Kind::Uint64
        | Kind::Sint32
        | Kind::Sint64
        | Kind::Fixed32
        | Kind::Fixed64
        | Kind::Sfixed32
        | Kind::Sfixed64
        | Kind::Bool
        | Kind::String
        | Kind::Bytes) => format!("{scalar:?}").to_lowercase(),
    }
}

/// A message within a message goes by its last name.
fn local_in_parent(name: &str) -> String {
    match name.strip_prefix(PACKAGE) {
        Some(name) => name.rsplit('.').next().unwrap_or(name).to_owned(),
        None => name.to_owned(),
    }
}

// proves: EVT-12, EVT-13
#[test]
fn every_name_number_type_and_oneof_is_as_upstream_has_it() {
    let known: BTreeSet<String> = include_str!("wire.txt").lines().map(str::to_owned).collect();
    let ours = lines();
    let missing: Vec<_> = known.difference(&ours).collect();
    let more: Vec<_> = ours.difference(&known).collect();
    assert!(missing.is_empty() && more.is_empty(), "upstream only: {missing:#?}\nours only: {more:#?}");
    assert!(known.len() > 500, "{}", known.len());
}

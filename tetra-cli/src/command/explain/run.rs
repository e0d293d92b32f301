//! The command.

use serde_json::Value;
use tracing_policy::crd;
use tracing_policy::schema::PolicyKind;

use super::path::{self, PathError};
use super::render::{self, Subject};
use crate::args::{Explain, ExplainFormat};
use crate::print::{Output, OutputError, Table};

/// Nothing could be explained.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExplainError {
    /// No path.
    #[error("{0}")]
    Path(#[from] PathError),
    /// No such resource.
    #[error("there is no resource {name:?}; there are {known} (`tetra explain --list`)")]
    Resource {
        /// As typed.
        name: String,
        /// All names and short names.
        known: String,
    },
    /// No such version.
    #[error("the resource has no version {version:?}; it has {known}")]
    Version {
        /// As typed.
        version: String,
        /// Those that there are.
        known: String,
    },
    /// No such field.
    #[error("{place} has no field {field:?}; {known}")]
    Field {
        /// Where it was looked for.
        place: String,
        /// As typed.
        field: String,
        /// What there is.
        known: String,
    },
    /// No text.
    #[error("cannot write the schema: {0}")]
    Write(String),
    /// No output.
    #[error("{0}")]
    Output(#[from] OutputError),
}

/// A policy that shows the use of many fields.
const EXAMPLE: &str = include_str!("example.yaml");

/// Prints what `options` ask for.
pub(crate) fn run(options: &Explain) -> Result<(), ExplainError> {
    let definitions = [PolicyKind::Cluster, PolicyKind::Namespaced].map(crd::definition);
    let text = match &options.path {
        Some(path) if !options.list => explain(&definitions, path, options)?,
        _ => list(&definitions),
    };
    Ok(Output::stdout().write_all(text.as_bytes())?)
}

fn list(definitions: &[Value]) -> String {
    let mut table = Table::with_gap(2);
    table.row(["NAME".to_owned(), "SHORTNAMES".to_owned()]);
    for definition in definitions {
        table.row([kind(definition).to_owned(), short_names(definition).join(",")]);
    }
    table.render()
}

fn explain(definitions: &[Value], path: &str, options: &Explain) -> Result<String, ExplainError> {
    let (resource, fields) = path::parse(path)?;
    let definition = find(definitions, &resource)?;
    let version = version(definition, &options.api_version)?;
    let root = version.pointer("/schema/openAPIV3Schema").unwrap_or(&Value::Null);
    let schema = walk(root, kind(definition), &fields)?;
    let failed = |error: &dyn std::fmt::Display| ExplainError::Write(error.to_string());
    match options.output {
        ExplainFormat::Json => Ok(serde_json::to_string(schema).map_err(|error| failed(&error))? + "\n"),
        ExplainFormat::Yaml => serde_saphyr::to_string(schema).map_err(|error| failed(&error)),
        ExplainFormat::Text => {
            let example = options.example.then(|| example(&fields)).flatten();
            Ok(render::text(Subject {
                kind: kind(definition),
                version: version.get("name").and_then(Value::as_str).unwrap_or_default(),
                field: fields.last().map(String::as_str),
                schema,
                example: example.as_deref(),
                recursive: options.recursive,
            }))
        }
    }
}

fn find<'d>(definitions: &'d [Value], name: &str) -> Result<&'d Value, ExplainError> {
    let is_it = |definition: &&Value| {
        let mut names = short_names(definition).into_iter().chain([kind(definition)]);
        names.any(|known| known.eq_ignore_ascii_case(name))
    };
    definitions.iter().find(is_it).ok_or_else(|| {
        let mut known: Vec<_> = definitions
            .iter()
            .flat_map(|definition| short_names(definition).into_iter().chain([kind(definition)]))
            .collect();
        known.sort_unstable();
        ExplainError::Resource { name: name.to_owned(), known: known.join(", ") }
    })
}

fn version<'d>(definition: &'d Value, wanted: &str) -> Result<&'d Value, ExplainError> {
    let versions = definition.pointer("/spec/versions").and_then(Value::as_array).map(Vec::as_slice);
    let name = |version: &Value| version.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let versions = versions.unwrap_or_default();
    let found = if wanted.is_empty() {
        versions.last()
    } else {
        versions.iter().find(|version| name(version) == wanted)
    };
    found.ok_or_else(|| ExplainError::Version {
        version: wanted.to_owned(),
        known: versions.iter().map(name).collect::<Vec<_>>().join(", "),
    })
}

fn walk<'s>(root: &'s Value, kind: &str, fields: &[String]) -> Result<&'s Value, ExplainError> {
    let (mut schema, mut place) = (root, kind.to_owned());
    for field in fields {
        let inner = render::entry(schema);
        schema = match (render::properties(inner), inner.get("additionalProperties")) {
            (Some(properties), _) => properties.get(field).ok_or_else(|| {
                let names: Vec<_> = properties.keys().map(String::as_str).collect();
                ExplainError::Field {
                    place: place.clone(),
                    field: field.clone(),
                    known: format!("it has {}", names.join(", ")),
                }
            })?,
            (None, Some(value)) => value,
            (None, None) => {
                return Err(ExplainError::Field {
                    place,
                    field: field.clone(),
                    known: "it has none".to_owned(),
                });
            }
        };
        place = format!("{place}.{field}");
    }
    Ok(schema)
}

/// That part of the example which `fields` lead to.
fn example(fields: &[String]) -> Option<String> {
    let mut value: Value = serde_saphyr::from_str(EXAMPLE).ok()?;
    for field in fields {
        if let Some(entries) = value.as_array_mut() {
            value = entries.iter_mut().find(|entry| entry.get(field).is_some())?.take();
        }
        value = value.get_mut(field)?.take();
    }
    serde_saphyr::to_string(&value).ok()
}

fn kind(definition: &Value) -> &str {
    definition.pointer("/spec/names/kind").and_then(Value::as_str).unwrap_or_default()
}

fn short_names(definition: &Value) -> Vec<&str> {
    let names = definition.pointer("/spec/names/shortNames").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use clap::Parser as _;
    use tracing_policy::diagnostic::Code;
    use tracing_policy::source::SourceText;

    use super::*;
    use crate::args::{Arguments, Command};

    fn explained(words: &[&str]) -> Result<String, ExplainError> {
        let words = ["tetra", "explain"].iter().chain(words);
        let Command::Explain(options) = Arguments::try_parse_from(words).unwrap().command else {
            return Ok(String::new());
        };
        let definitions = [PolicyKind::Cluster, PolicyKind::Namespaced].map(crd::definition);
        explain(&definitions, options.path.as_ref().unwrap(), &options)
    }

    // proves: CLI-14
    #[test]
    fn a_field_is_described_in_the_layout_of_kubectl() {
        let text = explained(&["TGTP[spec][lists]"]).unwrap();
        let expected = "\
KIND:     TracingPolicy
VERSION:  v1alpha1

FIELD:    lists <[]object>

DESCRIPTION:
     Named lists of symbols.

FIELDS:
   name\t<string> -required-
";
        assert!(text.starts_with(expected), "{text}");
        let recursive = explained(&["tracingpolicy.spec", "-R"]).unwrap();
        assert!(recursive.contains("\n   kprobes\t<[]object>\n"), "{recursive}");
        assert!(recursive.contains("\n     call\t<string>"), "{recursive}");
        assert!(recursive.contains("\n         operator\t<string> -required-\n"), "{recursive}");
        assert!(!explained(&["tracingpolicy.spec"]).unwrap().contains("operator\t"));
    }

    // proves: CLI-14 (json, yaml, example)
    #[test]
    fn a_schema_and_an_example_can_be_had() {
        let json: Value =
            serde_json::from_str(&explained(&["tracingpolicy.spec", "-o", "json"]).unwrap()).unwrap();
        assert_eq!(json["properties"]["kprobes"]["type"], "array");
        let yaml: Value = serde_saphyr::from_str(&explained(&["tgtpn.spec", "-o", "yaml"]).unwrap()).unwrap();
        assert_eq!(yaml["properties"]["lists"]["type"], "array");
        let text = explained(&["tracingpolicy.spec.kprobes.selectors", "--example"]).unwrap();
        assert!(text.contains("EXAMPLE:\n     - match") && text.contains("operator: Prefix\n"), "{text}");
        assert!(!explained(&["tracingpolicy.spec.options", "--example"]).unwrap().contains("EXAMPLE"));
    }

    #[test]
    fn the_example_is_a_policy() {
        let (policy, warnings) = tracing_policy::read(&SourceText::new("example.yaml", EXAMPLE)).unwrap();
        assert_eq!(policy.name.value.as_str(), "example");
        // Upstream wants a policy for each kind of hook; one example for all is shorter.
        assert!(warnings.iter().all(|warning| warning.code == Code::SeveralHookKinds), "{warnings:?}");
    }

    #[test]
    fn what_does_not_exist_is_told_with_what_does() {
        for (words, expected) in [
            (&["podinfo"][..], "TracingPolicy, TracingPolicyNamespaced, tgtp, tgtpn"),
            (&["0"], "\"0\" is no path to a field"),
            (&["5.tgtp.kind"], "is no path to a field"),
            (&["tgtp.spec.kprobe"], "TracingPolicy.spec has no field \"kprobe\"; it has "),
            (&["tgtp.kind.x"], "TracingPolicy.kind has no field \"x\"; it has none"),
            (&["tgtp", "--api-version", "v2"], "it has v1alpha1"),
        ] {
            let error = explained(words).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    // proves: CLI-14 (list)
    #[test]
    fn resources_are_listed_with_their_short_names() {
        let definitions = [PolicyKind::Cluster, PolicyKind::Namespaced].map(crd::definition);
        let expected = "NAME                     SHORTNAMES\nTracingPolicy            tgtp\nTracingPolicyNamespaced  tgtpn\n";
        assert_eq!(list(&definitions), expected);
    }
}

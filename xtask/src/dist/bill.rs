//! What is in the binaries: a bill of materials as `CycloneDX` 1.5 (<https://cyclonedx.org/docs/1.5/json/>).

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::build;

/// The crates whose binaries are packed.
const PACKED: [&str; 2] = ["enforcer", "tetra-cli"];

/// The crates that the binaries are made of, as JSON. Equal sources make equal text.
///
/// # Errors
/// When cargo cannot tell.
pub(super) fn bill(version: &str) -> Result<String> {
    let components: Vec<Value> = linked()?.iter().filter_map(|line| component(line)).collect();
    let bill = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": { "type": "application", "bom-ref": "enforcer", "name": "enforcer", "version": version }
        },
        "components": components,
    });
    Ok(format!("{bill:#}\n"))
}

/// A line a crate: its name, version and where it is from, then its licence.
fn linked() -> Result<BTreeSet<String>> {
    let mut tree = build::cargo();
    tree.args(["tree", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}|{l}"]);
    tree.args(PACKED.iter().flat_map(|name| ["--package", name]));
    let output = tree.current_dir(build::workspace()).output().context("cargo tree")?;
    if !output.status.success() {
        bail!("cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    }
    let text = String::from_utf8(output.stdout).context("cargo tree")?;
    Ok(text.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).collect())
}

/// `None` for what only runs while compiling, and between the trees.
fn component(line: &str) -> Option<Value> {
    let (package, licence) = line.split_once('|')?;
    let mut words = package.split(' ');
    let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
    let from = words.next().unwrap_or_default();
    if from == "(proc-macro)" {
        return None;
    }
    let reference = format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"));
    let mut component = json!({
        "type": "library",
        "bom-ref": reference,
        "name": name,
        "version": version,
        // the older form of "or"
        "licenses": [{ "expression": licence.replace('/', " OR ") }],
    });
    // what is in this repository has no address in a registry
    if from.is_empty() {
        component["purl"] = reference.into();
    }
    Some(component)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    // proves: INST-04 (SBOM)
    #[test]
    fn the_bill_has_what_is_linked_with_its_licence_and_nothing_that_only_builds_or_tests() {
        let text = bill("1.2.3").unwrap();
        assert_eq!(text, bill("1.2.3").unwrap());
        let bill: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&json!("CycloneDX"), &json!("1.5")));
        let components = bill["components"].as_array().unwrap();
        let find = |name: &str| components.iter().find(|component| component["name"] == name);
        let linked = find("libbpf-sys").unwrap();
        let address = linked["purl"].as_str().unwrap();
        assert!(address.starts_with("pkg:cargo/libbpf-sys@") && !address.contains('+'), "{address}");
        assert_eq!(linked["licenses"][0]["expression"], "BSD-2-Clause");
        assert!(find("bpf-probes").unwrap().get("purl").is_none());
        for name in ["serde_derive", "proptest", "tempfile", "insta"] {
            assert!(find(name).is_none(), "{name}");
        }
        let references: BTreeSet<_> = components.iter().map(|one| one["bom-ref"].as_str().unwrap()).collect();
        assert_eq!(references.len(), components.len());
    }

    #[test]
    fn the_older_form_of_a_licence_becomes_an_expression() {
        let one = component("a v1.0.0+b|MIT/Apache-2.0").unwrap();
        assert_eq!(one["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert_eq!(one["purl"], "pkg:cargo/a@1.0.0%2Bb");
        assert_eq!(component(""), None);
    }
}

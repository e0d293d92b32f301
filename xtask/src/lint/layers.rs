//! Which package may depend on which: the table of the design, as data.

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::build;

/// A package and those of the workspace that it may depend on; tests of a package may use more, so only ordinary
/// and build dependencies count.
const MAY_USE: [(&str, &[&str]); 9] = [
    ("api", &[]),
    ("bpf-probes", &[]),
    ("tracing-policy", &["bpf-probes"]),
    ("export", &["api"]),
    ("tetra-cli", &["api", "tracing-policy", "bpf-probes"]),
    ("enforcer", &["api", "bpf-probes", "tracing-policy", "export"]),
    ("fuzz", &["bpf-probes", "tracing-policy"]),
    ("e2e", &[]),
    ("xtask", &["e2e"]),
];

/// A foreign crate, and the only packages that may depend on it directly.
const DOORS: [(&str, &[&str]); 6] = [
    ("libbpf-sys", &["bpf-probes"]),
    ("libbpf-rs", &["bpf-probes"]),
    ("kube", &["enforcer"]),
    ("tokio", &["enforcer", "export", "tetra-cli", "api"]),
    ("tonic", &["enforcer", "export", "tetra-cli", "api"]),
    ("aya", &[]),
];

/// Features of `bpf-probes` that a package must not ask for.
const WITHOUT: [(&str, &str, &str); 1] = [("tracing-policy", "bpf-probes", "load")];

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
    features: Vec<String>,
}

/// Arrows that the table does not have.
pub(crate) fn findings() -> Result<Vec<String>> {
    let output = build::cargo()
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .output()
        .context("cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: Metadata = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
    Ok(metadata.packages.iter().flat_map(of_package).collect())
}

fn of_package(package: &Package) -> Vec<String> {
    let name = package.name.as_str();
    let Some((_, allowed)) = MAY_USE.iter().find(|(known, _)| *known == name) else {
        return vec![format!("{name}: not in the table of layers")];
    };
    let mut findings = Vec::new();
    for dependency in
        package.dependencies.iter().filter(|dependency| dependency.kind.as_deref() != Some("dev"))
    {
        let target = dependency.name.as_str();
        if MAY_USE.iter().any(|(known, _)| *known == target) && !allowed.contains(&target) {
            findings.push(format!("{name}: must not depend on {target}; it may use {allowed:?}"));
        }
        if let Some((_, doors)) = DOORS.iter().find(|(door, _)| *door == target)
            && !doors.contains(&name)
        {
            findings.push(format!("{name}: must not depend on {target}; only {doors:?} may"));
        }
        for (user, used, feature) in WITHOUT {
            if user == name && used == target && dependency.features.iter().any(|asked| asked == feature) {
                findings.push(format!("{name}: must use {used} without its feature {feature}"));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{Dependency, Package, of_package};

    fn package(name: &str, target: &str, kind: Option<&str>, features: &[&str]) -> Package {
        let features = features.iter().map(|feature| (*feature).to_owned()).collect();
        let dependency = Dependency { name: target.to_owned(), kind: kind.map(str::to_owned), features };
        Package { name: name.to_owned(), dependencies: vec![dependency] }
    }

    #[test]
    fn an_arrow_that_is_not_in_the_table_is_found() {
        assert_eq!(of_package(&package("api", "bpf-probes", None, &[])).len(), 1);
        assert_eq!(of_package(&package("export", "api", None, &[])).len(), 0);
        assert_eq!(of_package(&package("export", "enforcer", Some("build"), &[])).len(), 1);
        assert_eq!(of_package(&package("api", "bpf-probes", Some("dev"), &[])).len(), 0);
    }

    #[test]
    fn foreign_crates_and_features_have_their_doors() {
        assert_eq!(of_package(&package("enforcer", "libbpf-sys", None, &[])).len(), 1);
        assert_eq!(of_package(&package("bpf-probes", "libbpf-sys", None, &[])).len(), 0);
        assert_eq!(of_package(&package("tracing-policy", "bpf-probes", None, &["load"])).len(), 1);
        assert_eq!(of_package(&package("tracing-policy", "bpf-probes", None, &["emulate"])).len(), 0);
        assert_eq!(of_package(&package("stranger", "serde", None, &[])).len(), 1);
    }
}

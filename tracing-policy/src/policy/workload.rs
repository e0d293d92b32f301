//! Whom a policy or selector is for: pods and containers by their labels, the host's own processes.

use std::collections::BTreeMap;

/// Key of the label that every pod has besides its own: its namespace.
const NAMESPACE_LABEL: &str = "k8s:io.kubernetes.pod.namespace";

/// Containers of pods, and perhaps what belongs to none.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct WorkloadScope {
    /// The pod's namespace, where it matters.
    pub namespace: Option<String>,
    /// The pod and the container; `None` when no container of a pod is meant.
    pub containers: Option<ContainerScope>,
    /// Whether processes that belong to no known container of a pod are meant.
    pub host: bool,
}

/// Containers by their labels.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct ContainerScope {
    /// What the pod's labels must be.
    pub pod: LabelTest,
    /// What the container's name and repository must be, as labels `name` and `repo`.
    pub container: LabelTest,
}

/// A label selector: all requirements must hold; none is one that everything meets.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct LabelTest {
    /// What must hold.
    pub requirements: Vec<Requirement>,
}

/// What a label must be.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Requirement {
    /// The label.
    pub key: String,
    /// How.
    pub operator: LabelOperator,
    /// With what; empty for the two that look only whether the label is there.
    pub values: Vec<String>,
}

/// How a label is looked at.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum LabelOperator {
    /// Is one of the values.
    In,
    /// Is none of them, or is not there.
    NotIn,
    /// Is there.
    Exists,
    /// Is not there.
    DoesNotExist,
}

/// A container of a pod.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Workload {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's labels.
    pub labels: BTreeMap<String, String>,
    /// The container's name.
    pub container: String,
    /// The repository of its image, see [`image_repository`].
    pub repository: String,
}

/// The repository that an image's name begins with: what stands before its only colon. With none or several (a registry's port, a digest) there is none.
pub fn image_repository(image: &str) -> &str {
    match image.split_once(':') {
        Some((repository, rest)) if !rest.contains(':') => repository,
        Some(_) | None => "",
    }
}

impl LabelTest {
    /// Whether labels pass, which `label` knows by their keys.
    pub fn matches<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.requirements.iter().all(|it| {
            let found = label(&it.key);
            let is_listed = found.is_some_and(|found| it.values.iter().any(|value| value == found));
            match it.operator {
                LabelOperator::In => is_listed,
                LabelOperator::NotIn => !is_listed,
                LabelOperator::Exists => found.is_some(),
                LabelOperator::DoesNotExist => found.is_none(),
            }
        })
    }
}

impl WorkloadScope {
    /// Whether a container is meant.
    pub fn matches(&self, workload: &Workload) -> bool {
        let Some(scope) = &self.containers else { return false };
        let pod = |key: &str| match workload.labels.get(key) {
            _ if key == NAMESPACE_LABEL => Some(workload.namespace.as_str()),
            found => found.map(String::as_str),
        };
        let container = |key: &str| match key {
            "name" => Some(workload.container.as_str()),
            "repo" => Some(workload.repository.as_str()),
            _ => None,
        };
        self.namespace.as_ref().is_none_or(|namespace| *namespace == workload.namespace)
            && scope.pod.matches(pod)
            && scope.container.matches(container)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(requirements: &[(&str, LabelOperator, &[&str])]) -> LabelTest {
        let requirements = requirements.iter().map(|(key, operator, values)| Requirement {
            key: (*key).to_owned(),
            operator: *operator,
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        });
        LabelTest { requirements: requirements.collect() }
    }

    fn web() -> Workload {
        let labels = [("app", "web"), ("tier", "")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        Workload {
            namespace: "shop".to_owned(),
            labels: labels.into(),
            container: "nginx".to_owned(),
            repository: "docker.io/nginx".to_owned(),
        }
    }

    fn scope(pod: LabelTest, container: LabelTest) -> WorkloadScope {
        WorkloadScope { namespace: None, containers: Some(ContainerScope { pod, container }), host: false }
    }

    // proves: K8S-02 (labels)
    #[test]
    fn labels_pass_and_fail_as_their_operators_say() {
        use LabelOperator::{DoesNotExist, Exists, In, NotIn};
        let rows: &[(&str, LabelOperator, &[&str], bool)] = &[
            ("app", In, &["db", "web"], true),
            ("app", In, &["db"], false),
            ("none", In, &["web"], false),
            ("app", NotIn, &["db"], true),
            ("app", NotIn, &["web"], false),
            ("none", NotIn, &["web"], true),
            ("tier", Exists, &[], true),
            ("none", Exists, &[], false),
            ("none", DoesNotExist, &[], true),
            ("tier", DoesNotExist, &[], false),
            (NAMESPACE_LABEL, In, &["shop"], true),
            (NAMESPACE_LABEL, NotIn, &["shop"], false),
        ];
        for row in rows {
            let (key, operator, values, expected) = *row;
            let scope = scope(test(&[(key, operator, values)]), LabelTest::default());
            assert_eq!(scope.matches(&web()), expected, "{row:?}");
        }
        let both = test(&[("app", In, &["web"]), ("tier", DoesNotExist, &[])]);
        assert!(!scope(both, LabelTest::default()).matches(&web()));
    }

    #[test]
    fn a_container_has_a_name_and_a_repository_and_no_other_label() {
        let container = |key| {
            scope(LabelTest::default(), test(&[(key, LabelOperator::In, &["nginx", "docker.io/nginx"])]))
        };
        assert!(container("name").matches(&web()));
        assert!(container("repo").matches(&web()));
        assert!(!container("app").matches(&web()));
        assert!(scope(LabelTest::default(), LabelTest::default()).matches(&web()));
    }

    #[test]
    fn another_namespace_and_a_scope_of_the_host_have_no_such_container() {
        let namespaced = |name: &str| WorkloadScope {
            namespace: Some(name.to_owned()),
            ..scope(LabelTest::default(), LabelTest::default())
        };
        assert!(namespaced("shop").matches(&web()));
        assert!(!namespaced("other").matches(&web()));
        assert!(!WorkloadScope { namespace: None, containers: None, host: true }.matches(&web()));
    }

    #[test]
    fn a_repository_stands_before_the_only_colon() {
        assert_eq!(image_repository("docker.io/nginx:1.27"), "docker.io/nginx");
        for image in ["nginx", "host:5000/nginx:1", "nginx@sha256:abc:d", ""] {
            assert_eq!(image_repository(image), "", "{image}");
        }
        assert_eq!(image_repository("host:5000/nginx"), "host");
    }
}

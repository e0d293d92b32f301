//! Custom resource definitions with a structural schema
//! (<https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/>).

use serde_json::{Map, Value, json};

use super::guide::{Default, guide};
use crate::parse::spec_shape;
use crate::schema::{FieldShape, ObjectShape, PolicyKind, Shape, Word as _};

/// Label of a definition that holds the version of its schema.
pub const SCHEMA_VERSION_LABEL: &str = "cilium.io.k8s.crd.schema.version";
/// Version of the schema, by semantic versioning; an operator replaces a definition with a lower one. Not below upstream's 1.8.13, so that an operator of
/// either kind leaves the richer schema in place.
pub const SCHEMA_VERSION: &str = "1.9.0";
/// Whole numbers up to here fit `int64`, the largest format that an API server knows.
const LARGEST: i128 = i64::MAX as i128;

/// The definition of a kind of policy.
pub fn definition(kind: PolicyKind) -> Value {
    let (plural, short, scope) = match kind {
        PolicyKind::Cluster => ("tracingpolicies", "tgtp", "Cluster"),
        PolicyKind::Namespaced => ("tracingpoliciesnamespaced", "tgtpn", "Namespaced"),
    };
    let word = kind.as_word();
    let singular = word.to_lowercase();
    let mut spec = of(&spec_shape());
    if kind == PolicyKind::Namespaced
        && let Some(spec) = spec.as_object_mut()
    {
        let rule = rule("!has(self.hostSelector)", "hostSelector cannot be used in a namespaced policy");
        spec.insert("x-kubernetes-validations".to_owned(), rule);
    }
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": format!("{plural}.cilium.io"),
            "labels": { SCHEMA_VERSION_LABEL: SCHEMA_VERSION },
        },
        "spec": {
            "group": "cilium.io",
            "scope": scope,
            "names": {
                "kind": word,
                "listKind": format!("{word}List"),
                "plural": plural,
                "singular": singular,
                "shortNames": [short],
                "categories": ["tetragon"],
            },
            "versions": [{
                "name": "v1alpha1",
                "served": true,
                "storage": true,
                "schema": { "openAPIV3Schema": {
                    "type": "object",
                    "required": ["metadata", "spec"],
                    "properties": {
                        "apiVersion": { "type": "string" },
                        "kind": { "type": "string" },
                        "metadata": { "type": "object" },
                        "spec": spec,
                    },
                }},
            }],
        },
    })
}

fn rule(expression: &str, message: &str) -> Value {
    json!([{ "rule": expression, "message": message }])
}

/// What must hold of a mapping beside the types of its fields, in CEL.
fn rule_of(what: &str) -> Option<Value> {
    match what {
        "a kprobe" | "a uprobe" => Some(rule(
            "!has(self.return) || !self.return || has(self.returnArg)",
            "returnArg must say the type of what `return: true` reports",
        )),
        "an action" => Some(rule(
            "!(has(self.argNewSymbol) && has(self.argNewAddr)) && !(has(self.argNewSymbol) && has(self.argNewOffset)) && !(has(self.argNewAddr) && has(self.argNewOffset))",
            "an Override goes to one place: argNewSymbol, argNewAddr or argNewOffset",
        )),
        _ => None,
    }
}

/// The structural schema of a shape.
fn of(shape: &Shape) -> Value {
    match shape {
        Shape::Text => json!({ "type": "string" }),
        Shape::Boolean => json!({ "type": "boolean" }),
        Shape::Integer { min, max } => integer(*min, *max),
        Shape::Word(words) => json!({ "type": "string", "enum": words }),
        Shape::List(entry) => json!({ "type": "array", "items": of(entry) }),
        Shape::Map(value) => json!({ "type": "object", "additionalProperties": of(value) }),
        Shape::Object(object) => mapping(object),
    }
}

fn integer(min: i128, max: i128) -> Value {
    let format = if max > i128::from(i32::MAX) { "int64" } else { "int32" };
    let mut schema = json!({ "type": "integer", "format": format });
    let limits = [("minimum", min, min > -LARGEST), ("maximum", max, max < LARGEST)];
    for (name, limit, said) in limits {
        if let (true, Ok(limit), Some(fields)) = (said, i64::try_from(limit), schema.as_object_mut()) {
            fields.insert(name.to_owned(), limit.into());
        }
    }
    schema
}

fn mapping(object: &ObjectShape) -> Value {
    let mut properties = Map::new();
    for field in &object.fields {
        properties.insert(field.name.to_owned(), property(object, field));
    }
    let mut schema = json!({ "type": "object", "properties": properties });
    let required: Vec<&str> =
        object.fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    if let Some(fields) = schema.as_object_mut() {
        if !required.is_empty() {
            fields.insert("required".to_owned(), required.into());
        }
        if object.what == "a label selector" {
            fields.insert("x-kubernetes-map-type".to_owned(), "atomic".into());
        }
        if let Some(rule) = rule_of(object.what) {
            fields.insert("x-kubernetes-validations".to_owned(), rule);
        }
    }
    schema
}

fn property(object: &ObjectShape, field: &FieldShape) -> Value {
    let mut schema = of(&field.shape);
    let (Some(guide), Some(fields)) = (guide(object.what, field.name), schema.as_object_mut()) else {
        return schema;
    };
    fields.insert("description".to_owned(), guide.text.into());
    match guide.default {
        Default::None => {}
        Default::True => drop(fields.insert("default".to_owned(), true.into())),
        Default::False => drop(fields.insert("default".to_owned(), false.into())),
        Default::Zero => drop(fields.insert("default".to_owned(), 0.into())),
        Default::Word(word) => drop(fields.insert("default".to_owned(), word.into())),
    }
    if let Some(most) = guide.most {
        fields.insert("maxItems".to_owned(), most.into());
    }
    if field.name == "hostSelector" {
        let rule =
            rule("!has(self.matchLabels) && !has(self.matchExpressions)", "hostSelector is absent or {}");
        fields.insert("x-kubernetes-validations".to_owned(), rule);
    }
    schema
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn at<'v>(value: &'v Value, path: &str) -> &'v Value {
        value.pointer(path).unwrap()
    }

    const SPEC: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";

    #[test]
    fn every_node_of_the_schema_is_structural() {
        fn walk(node: &Value) {
            let kind = at(node, "/type").as_str().unwrap();
            match kind {
                "object" => {
                    let known = node.get("properties").is_some();
                    let open = node.get("additionalProperties").is_some();
                    assert!(known != open, "either known fields or open ones: {node}");
                    node.get("properties")
                        .iter()
                        .flat_map(|all| all.as_object().unwrap().values())
                        .for_each(walk);
                    node.get("additionalProperties").iter().for_each(|inner| walk(inner));
                }
                "array" => walk(at(node, "/items")),
                _ => assert!(["string", "boolean", "integer"].contains(&kind), "{kind}"),
            }
        }
        walk(at(&definition(PolicyKind::Cluster), SPEC));
    }

    #[test]
    fn defaults_words_and_limits_are_those_of_the_language() {
        let cluster = definition(PolicyKind::Cluster);
        let kprobe = at(&cluster, &format!("{SPEC}/properties/kprobes/items"));
        assert_eq!(at(kprobe, "/required"), &json!(["call"]));
        assert_eq!(at(kprobe, "/properties/syscall/default"), &json!(true));
        assert_eq!(at(kprobe, "/properties/tags/maxItems"), &json!(16));
        let index = at(kprobe, "/properties/args/items/properties/index");
        assert_eq!((at(index, "/minimum"), at(index, "/maximum")), (&json!(0), &json!(u32::MAX)));
        let operator =
            at(kprobe, "/properties/selectors/items/properties/matchPIDs/items/properties/operator/enum");
        assert_eq!(operator, &json!(["In", "NotIn"]));
        assert_eq!(cluster.pointer(&format!("{SPEC}/x-kubernetes-validations")), None);
    }

    #[test]
    fn a_namespaced_policy_may_not_name_host_processes() {
        let namespaced = definition(PolicyKind::Namespaced);
        assert_eq!(at(&namespaced, "/spec/scope"), "Namespaced");
        let rule = at(&namespaced, &format!("{SPEC}/x-kubernetes-validations/0/rule"));
        assert_eq!(rule, "!has(self.hostSelector)");
    }
}

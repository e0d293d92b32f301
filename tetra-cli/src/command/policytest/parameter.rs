//! Values of parameters, and texts with them in their places.

use std::collections::BTreeMap;

use serde_json::Value;

use super::test::{Parameter, Scenario, Test};

/// Parameters by name.
pub(super) type Values = BTreeMap<String, String>;

/// The values of `given` for a test, defaults for the rest.
///
/// # Errors
/// A value that the parameter does not take.
pub(super) fn values(parameters: &[Parameter], given: &Values) -> Result<Values, String> {
    let value = |parameter: &Parameter| {
        let value = given.get(&parameter.name).unwrap_or(&parameter.default);
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-:@ ".contains(letter);
        if !value.chars().all(plain) {
            return Err(format!("{value:?} is no value of a parameter; use letters, digits and /._-:@"));
        }
        if !parameter.values.is_empty() && !parameter.values.contains(value) {
            return Err(format!("{} takes {}, not {value:?}", parameter.name, parameter.values.join(", ")));
        }
        Ok((parameter.name.clone(), value.clone()))
    };
    parameters.iter().map(value).collect()
}

/// Every combination of the values that parameters list.
pub(super) fn all_values(parameters: &[Parameter]) -> Vec<Values> {
    let mut all = vec![Values::new()];
    for parameter in parameters {
        let values = if parameter.values.is_empty() {
            std::slice::from_ref(&parameter.default)
        } else {
            &parameter.values
        };
        all = all
            .iter()
            .flat_map(|before| {
                values.iter().map(|value| {
                    let mut values = before.clone();
                    values.insert(parameter.name.clone(), value.clone());
                    values
                })
            })
            .collect();
    }
    all
}

/// The test with values in the places of `{{NAME}}`.
pub(super) fn filled(test: &Test, values: &Values) -> Test {
    let mut test = test.clone();
    fill(&mut test.policy, values);
    for scenario in &mut test.scenarios {
        let Scenario { result, unenforced, events, .. } = scenario;
        for text in [result, unenforced] {
            *text = replaced(text, values);
        }
        for value in events.iter_mut().flat_map(BTreeMap::values_mut) {
            fill(value, values);
        }
    }
    test
}

fn fill(value: &mut Value, values: &Values) {
    match value {
        Value::String(text) => *text = replaced(text, values),
        Value::Array(items) => items.iter_mut().for_each(|item| fill(item, values)),
        Value::Object(fields) => fields.values_mut().for_each(|field| fill(field, values)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// `text` with values in the places of `{{NAME}}`.
pub(super) fn replaced(text: &str, values: &Values) -> String {
    values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{{{name}}}}}"), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(name: &str, values: &[&str]) -> Parameter {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        Parameter { name: name.to_owned(), default: "d".to_owned(), values }
    }

    #[test]
    fn values_are_those_given_and_allowed() {
        let parameters = [parameter("a", &["d", "e"]), parameter("b", &[])];
        let given = |name: &str, value: &str| Values::from([(name.to_owned(), value.to_owned())]);
        let found = values(&parameters, &given("b", "/x")).unwrap_or_default();
        assert_eq!((found["a"].as_str(), found["b"].as_str()), ("d", "/x"));
        assert!(values(&parameters, &given("a", "f")).is_err_and(|error| error.contains("takes d, e")));
        assert!(values(&parameters, &given("b", "x\ny")).is_err());
        assert_eq!(all_values(&parameters).len(), 2);
        assert_eq!(replaced("{{a}}/{{b}}/{{c}}", &found), "d//x/{{c}}");
    }
}

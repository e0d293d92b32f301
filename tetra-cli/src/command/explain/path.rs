//! The way to a field: `tracingpolicy.spec.kprobes`, `tracingpolicy[spec][kprobes]`, or mixed.

/// A way that leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no path to a field; give a resource and fields with dots between, such as tracingpolicy.spec.kprobes"
)]
pub(crate) struct PathError {
    text: String,
}

/// The names on the way. Indices (`kprobes[0]`) are left out: all entries of a list are alike.
pub(super) fn parse(text: &str) -> Result<Vec<String>, PathError> {
    let refuse = || PathError { text: text.to_owned() };
    let (mut parts, mut bracket) = (vec![String::new()], false);
    for letter in text.chars() {
        match (letter, bracket) {
            ('[', false) => {
                bracket = true;
                parts.push(String::new());
            }
            (']', true) => bracket = false,
            ('.', false) => parts.push(String::new()),
            ('[' | ']', _) => return Err(refuse()),
            _ => parts.last_mut().expect("never empty").push(letter),
        }
    }
    let ends = |part: Option<&String>| part.is_none_or(|part| part.trim().is_empty());
    if bracket || ends(parts.first()) || text.trim_end().ends_with('.') {
        return Err(refuse());
    }
    let is_name = |part: &String| !part.is_empty() && part.parse::<u32>().is_err();
    Ok(parts.iter().map(|part| part.trim().to_owned()).filter(is_name).collect())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn dots_and_brackets_lead_to_the_same_place() {
        let expected = ["tp", "spec", "kprobes"].map(str::to_owned).to_vec();
        for text in [
            "tp.spec.kprobes",
            "tp[spec][kprobes]",
            "tp[spec].kprobes",
            "tp..spec.kprobes[0]",
            "tp.spec.kprobes[]",
        ] {
            assert_eq!(parse(text).as_ref(), Ok(&expected), "{text}");
        }
        for text in ["", ".tp", "tp.", "tp[spec", "tp]", "tp[a[b]]", "[]"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}

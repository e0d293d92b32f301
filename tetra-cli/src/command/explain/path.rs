//! The way to a field: `tracingpolicy.spec.kprobes`, `tracingpolicy[spec][kprobes]`, or mixed.

/// A way that leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no path to a field; give a resource and fields with dots between, such as tracingpolicy.spec.kprobes"
)]
pub(crate) struct PathError {
    text: String,
}

/// The resource, and the names of the fields on the way. Indices (`kprobes[0]`) are left out of these: all entries of a list are
/// alike.
pub(super) fn parse(text: &str) -> Result<(String, Vec<String>), PathError> {
    let refuse = || PathError { text: text.to_owned() };
    let (mut resource, mut fields, mut bracket) = (String::new(), Vec::new(), false);
    for letter in text.chars() {
        match (letter, bracket) {
            ('[', false) => {
                bracket = true;
                fields.push(String::new());
            }
            (']', true) => bracket = false,
            ('.', false) => fields.push(String::new()),
            ('[' | ']', _) => return Err(refuse()),
            _ => fields.last_mut().unwrap_or(&mut resource).push(letter),
        }
    }
    if bracket || !is_name(resource.trim()) || text.trim_end().ends_with('.') {
        return Err(refuse());
    }
    let names = fields.iter().map(|field| field.trim()).filter(|field| is_name(field));
    Ok((resource.trim().to_owned(), names.map(str::to_owned).collect()))
}

/// Whether a part is neither empty nor an index.
fn is_name(part: &str) -> bool {
    !part.is_empty() && part.parse::<u32>().is_err()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn dots_and_brackets_lead_to_the_same_place() {
        let expected = ("tp".to_owned(), ["spec", "kprobes"].map(str::to_owned).to_vec());
        for text in [
            "tp.spec.kprobes",
            "tp[spec][kprobes]",
            "tp[spec].kprobes",
            "tp..spec.kprobes[0]",
            "tp.spec.kprobes[]",
        ] {
            assert_eq!(parse(text).as_ref(), Ok(&expected), "{text}");
        }
        for text in ["", ".tp", "tp.", "tp[spec", "tp]", "tp[a[b]]", "[]", "0", " 5 .x", "5.x", "5[0]"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}

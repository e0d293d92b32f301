//! Format of a tracepoint, as `events/CATEGORY/NAME/format` of tracefs gives it.

/// Longest format that is read; real ones have a few kilobytes.
const MAX_FORMAT: usize = 1 << 16;

/// A tracepoint's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracepointFormat {
    /// Number to attach by.
    pub id: u32,
    /// Fields in order, the common ones among them: policies count those too.
    pub fields: Vec<TracepointField>,
}

/// One field of a tracepoint's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracepointField {
    /// Name, without the brackets of an array.
    pub name: String,
    /// Type in C, without the name; for an array `char[16]`.
    pub c_type: String,
    /// Bytes from the start of the record.
    pub offset: u32,
    /// Size in bytes.
    pub size: u32,
    /// Whether the value has a sign.
    pub signed: bool,
}

/// Why a format cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// No `ID:` line with a number.
    #[error("tracepoint format has no ID")]
    NoId,
    /// A field line that lacks something.
    #[error("tracepoint format, line {line}: {problem}")]
    Field {
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// Not a format at all.
    #[error("tracepoint format of {len} bytes is too long")]
    TooLong {
        /// Its length.
        len: usize,
    },
}

impl TracepointFormat {
    /// Reads a `format` file.
    ///
    /// # Errors
    /// [`FormatError`], with the line.
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        if text.len() > MAX_FORMAT {
            return Err(FormatError::TooLong { len: text.len() });
        }
        let mut id = None;
        let mut fields = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if let Some(number) = line.strip_prefix("ID:") {
                id = number.trim().parse().ok();
            } else if let Some(rest) = line.strip_prefix("field:") {
                let field =
                    parse_field(rest).map_err(|problem| FormatError::Field { line: index + 1, problem })?;
                fields.push(field);
            } else if line.starts_with("print fmt:") {
                break;
            }
        }
        Ok(Self { id: id.ok_or(FormatError::NoId)?, fields })
    }

    /// The field of that name.
    pub fn field(&self, name: &str) -> Option<&TracepointField> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// `const char * filename;\toffset:24;\tsize:8;\tsigned:0;`
fn parse_field(rest: &str) -> Result<TracepointField, &'static str> {
    let mut parts = rest.split(';').map(str::trim);
    let declaration = parts.next().filter(|text| !text.is_empty()).ok_or("a field without a declaration")?;
    let (mut offset, mut size, mut signed) = (None, None, None);
    for part in parts {
        match part.split_once(':') {
            Some(("offset", value)) => offset = value.parse().ok(),
            Some(("size", value)) => size = value.parse().ok(),
            Some(("signed", value)) => signed = Some(value != "0"),
            _ => {}
        }
    }
    let (declared, brackets) = match declaration.find('[') {
        // `__data_loc char[] name` has its brackets before the name.
        Some(at) if declaration.ends_with(']') => declaration.split_at(at),
        _ => (declaration, ""),
    };
    let name_at = declared
        .rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .map(|at| at + 1)
        .ok_or("a field without a type")?;
    let (c_type, name) = declared.split_at(name_at);
    if name.is_empty() {
        return Err("a field without a name");
    }
    Ok(TracepointField {
        name: name.to_owned(),
        c_type: format!("{}{brackets}", c_type.trim_end()),
        offset: offset.ok_or("a field without an offset")?,
        size: size.ok_or("a field without a size")?,
        signed: signed.ok_or("a field that does not say whether it is signed")?,
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const EXEC: &str = "name: sched_process_exec\nID: 365\nformat:\n\
        \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
        \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n\
        \tfield:__data_loc char[] filename;\toffset:8;\tsize:4;\tsigned:0;\n\
        \tfield:char comm[16];\toffset:12;\tsize:16;\tsigned:0;\n\
        \tfield:const char * path;\toffset:32;\tsize:8;\tsigned:0;\n\n\
        print fmt: \"filename=%s field:x\", __get_str(filename)\n";

    #[test]
    fn fields_keep_their_order_types_and_places() {
        let format = TracepointFormat::parse(EXEC).unwrap();
        assert_eq!(format.id, 365);
        let seen: Vec<_> =
            format.fields.iter().map(|f| (f.c_type.as_str(), f.name.as_str(), f.offset)).collect();
        assert_eq!(
            seen,
            [
                ("unsigned short", "common_type", 0),
                ("int", "common_pid", 4),
                ("__data_loc char[]", "filename", 8),
                ("char[16]", "comm", 12),
                ("const char *", "path", 32),
            ]
        );
        assert!(format.field("common_pid").unwrap().signed);
    }

    #[test]
    fn a_broken_line_is_named() {
        let text = "ID: 1\nformat:\n\tfield:int x;\tsize:4;\tsigned:1;\n";
        let problem = "a field without an offset";
        assert_eq!(TracepointFormat::parse(text), Err(FormatError::Field { line: 3, problem }));
        assert_eq!(TracepointFormat::parse("name: x\n"), Err(FormatError::NoId));
    }
}

//! Strings and paths in expressions: the filters that matchArgs has.

use std::ops::Range;

use super::scan::Fault;
use super::typed::{Typer, Yes};
use crate::check::value;
use crate::policy::{
    ArgumentFilter, ArgumentId, ArgumentType, Case, Condition, ContainsTest, Sense, StringForm, StringTest,
};
use crate::source::Spanned;

/// Whether values can be compared with an argument of that type.
pub(super) fn is_comparable(ty: ArgumentType) -> bool {
    matches!(ty, ArgumentType::String | ArgumentType::NetDevice)
        || (ty.is_path() && ty != ArgumentType::Kiocb)
}

impl Typer<'_> {
    /// The argument is one of some texts.
    pub(super) fn exact(
        &mut self,
        id: ArgumentId,
        ty: ArgumentType,
        values: Vec<Vec<u8>>,
        range: &Range<usize>,
    ) -> Result<Yes, Fault> {
        self.string(id, ty, StringForm::Exact, values, range)
    }

    /// The argument begins or ends with a text, or has it anywhere.
    pub(super) fn part(
        &mut self,
        id: ArgumentId,
        ty: ArgumentType,
        name: &str,
        part: Vec<u8>,
        part_range: &Range<usize>,
        range: &Range<usize>,
    ) -> Result<Yes, Fault> {
        let form = match name {
            "startsWith" => StringForm::Prefix,
            "endsWith" => StringForm::Postfix,
            "contains" if part.is_empty() => {
                return Err(Fault::new(part_range.clone(), "everything contains nothing"));
            }
            "contains" => {
                let values = vec![Spanned::new(part, self.span)];
                let values = value::parts(values, ty == ArgumentType::String, self.report);
                let values = values.ok_or_else(|| Fault::new(part_range.clone(), "this text is too long"))?;
                let test = ContainsTest { case: Case::Counts, values };
                return Ok(Condition::Test(ArgumentFilter::Contains { argument: id, test, span: self.span }));
            }
            "matches" => {
                return Err(Fault::new(range.clone(), "regular expressions cannot be compiled")
                    .help("use startsWith(), endsWith(), contains(), or `in` with a list"));
            }
            _ => {
                return Err(Fault::new(range.clone(), format!("strings have no function {name}() here"))
                    .help("startsWith() endsWith() contains() size()"));
            }
        };
        self.string(id, ty, form, vec![part], part_range)
    }

    fn string(
        &mut self,
        id: ArgumentId,
        ty: ArgumentType,
        form: StringForm,
        values: Vec<Vec<u8>>,
        range: &Range<usize>,
    ) -> Result<Yes, Fault> {
        let values = values.into_iter().map(|value| Spanned::new(value, self.span)).collect();
        let read = if ty == ArgumentType::String {
            value::strings
        } else if ty == ArgumentType::NetDevice {
            value::names
        } else {
            value::paths
        };
        let values = read(values, form, self.report);
        let values = values.ok_or_else(|| Fault::new(range.clone(), "a text here is too long"))?;
        let test = StringTest { form, sense: Sense::Plain, values };
        let (argument, span) = (id, self.span);
        Ok(Condition::Test(if ty.is_path() {
            ArgumentFilter::Path { argument, test, span }
        } else {
            ArgumentFilter::String { argument, test, span }
        }))
    }
}

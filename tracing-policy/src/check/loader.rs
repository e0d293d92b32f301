//! `spec.loader`: a hook on mappings of executable code.

use crate::policy::{
    Absence, Argument, ArgumentFilter, ArgumentId, ArgumentType, Hook, HookKind, IntegerTest, IntegerType,
    Place, Selector, Sense, Signedness, StringForm, StringTest, Width,
};
use crate::source::{Span, Spanned};

/// `PROT_EXEC` (include/uapi/asm-generic/mman-common.h).
const PROT_EXEC: u64 = 4;

/// The hook of a loader that is switched on at `span`: what is mapped to be run, and has a path.
pub(super) fn hook(span: Span) -> Option<Hook> {
    let argument = |index, ty| Argument {
        index: Spanned::new(index, span),
        ty: Spanned::new(ty, span),
        place: Place::Parameter,
        is_syscall: false,
        resolve: None,
        path: None,
        size_index: None,
        size: None,
        max_data: false,
        at_return: None,
        is_data: false,
        label: None,
        span,
    };
    let bits = IntegerType { width: Width::W64, signedness: Signedness::Unsigned, is_size: false };
    let (file, protection) = (ArgumentId::new(0)?, ArgumentId::new(1)?);
    let path = StringTest {
        form: StringForm::Prefix,
        sense: Sense::Plain,
        values: vec![Spanned::new(b"/".to_vec(), span)],
    };
    let selector = Selector {
        arguments: vec![
            ArgumentFilter::Integer { argument: protection, test: IntegerTest::Mask(vec![PROT_EXEC]), span },
            ArgumentFilter::Path { argument: file, test: path, span },
        ],
        ..Selector::always(span)
    };
    Some(Hook {
        kind: Spanned::new(HookKind::Loader, span),
        absence: Absence::Refused,
        arguments: vec![argument(0, ArgumentType::File), argument(1, ArgumentType::Integer(bits))],
        selectors: vec![selector],
        message: None,
        tags: Vec::new(),
        means: crate::policy::Means::Any,
        returned: None,
        on_return: None,
        untyped: None,
        entry: 0,
        span,
    })
}

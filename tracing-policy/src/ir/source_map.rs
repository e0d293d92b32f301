//! From an instruction's origin back to the policy's text.

use bpf_probes::asm::Origin;

use crate::source::Span;

/// A place in the text of one of the policies of a hook.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SourcePlace {
    /// Index into the riders that were compiled.
    pub rider: usize,
    /// The place in that policy's text.
    pub span: Span,
}

/// What the origins of a hook's instructions mean.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SourceMap {
    places: Vec<SourcePlace>,
}

impl SourceMap {
    /// The origin of a place.
    pub(crate) fn origin(&mut self, rider: usize, span: Span) -> Origin {
        let place = SourcePlace { rider, span };
        let index = self.places.iter().rposition(|known| *known == place).unwrap_or_else(|| {
            self.places.push(place);
            self.places.len() - 1
        });
        // zero stands for no place
        Origin(u32::try_from(index + 1).unwrap_or(0))
    }

    /// The same with each rider's number replaced by the one that stands at it in `numbers`.
    pub(crate) fn for_riders(mut self, numbers: &[usize]) -> Self {
        for place in &mut self.places {
            place.rider = numbers.get(place.rider).copied().unwrap_or(place.rider);
        }
        self
    }

    /// The place an instruction came from; `None` for code that serves all policies.
    pub fn place(&self, origin: Origin) -> Option<SourcePlace> {
        let index = usize::try_from(origin.0).ok()?.checked_sub(1)?;
        self.places.get(index).copied()
    }
}

//! What is known of the running kernel: its facts always, its types while somebody needs them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bpf_probes::kernel::{KernelFacts, KernelView};
use bpf_probes::load::probe::{FileError, kernel_btf};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How long types are held after their last use.
const HELD: Duration = Duration::from_secs(10);

/// The running kernel. Its types take five megabytes, and a node seldom compiles; so they are dropped some seconds after their last use,
/// and read again for the next.
#[derive(Debug)]
pub struct KnownKernel {
    facts: Arc<KernelFacts>,
    types: Types,
    held: Mutex<Held>,
    used: Notify,
}

/// Where types come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Types {
    /// From the running kernel, which does not change: they can be read again.
    Kernel,
    /// From a file that somebody may change: they are held for ever.
    File,
}

#[derive(Debug)]
struct Held {
    view: Option<Arc<KernelView>>,
    used: Instant,
}

impl KnownKernel {
    /// A kernel with these facts, and types that are from there.
    pub fn new(view: Arc<KernelView>, types: Types) -> Self {
        let facts = Arc::clone(view.facts());
        let held = Mutex::new(Held { view: Some(view), used: Instant::now() });
        Self { facts, types, held, used: Notify::new() }
    }

    /// Facts and types, for a while: hold them no longer than something is compiled or loaded.
    ///
    /// # Errors
    /// See [`FileError`]; the types could not be read again.
    pub fn view(&self) -> Result<Arc<KernelView>, FileError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.used = Instant::now();
        if let Some(view) = &held.view {
            return Ok(Arc::clone(view));
        }
        let view = Arc::new(KernelView::new(Arc::clone(&self.facts), Arc::new(kernel_btf()?)));
        held.view = Some(Arc::clone(&view));
        self.used.notify_one();
        Ok(view)
    }

    /// Lets go of types that nobody has used for `unused`; says whether none are held any more.
    fn let_go(&self, unused: Duration) -> bool {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = held.used.elapsed() >= unused && self.types == Types::Kernel;
        held.view.take_if(|view| is_due && Arc::strong_count(view) == 1);
        held.view.is_none()
    }

    /// Lets go of types whenever they have not been used for a while, until `stop`.
    pub async fn let_go_when_unused(self: Arc<Self>, stop: CancellationToken) {
        if self.types == Types::File {
            return;
        }
        while stop.run_until_cancelled(tokio::time::sleep(HELD)).await.is_some() {
            // what is read after this look is told
            if self.let_go(HELD) && stop.run_until_cancelled(self.used.notified()).await.is_none() {
                return;
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn known(types: Types) -> KnownKernel {
        let view = KernelView::new(KernelFacts::new("test"), Arc::new(kernel_btf().unwrap()));
        KnownKernel::new(Arc::new(view), types)
    }

    #[test]
    fn root_types_that_nobody_uses_are_let_go_and_read_again() {
        let kernel = known(Types::Kernel);
        let view = kernel.view().unwrap();
        assert!(!kernel.let_go(Duration::ZERO), "they are in use");
        let function = view.function_btf("security_file_open");
        drop(view);
        assert!(!kernel.let_go(Duration::from_hours(1)), "they were in use a moment ago");
        assert!(kernel.let_go(Duration::ZERO));
        let again = kernel.view().unwrap();
        assert_eq!((again.release(), again.function_btf("security_file_open")), ("test", function));
        assert!(Arc::ptr_eq(&again, &kernel.view().unwrap()), "one copy serves all");
    }

    #[test]
    fn root_types_of_a_file_are_kept() {
        let kernel = known(Types::File);
        assert!(!kernel.let_go(Duration::ZERO));
    }
}

//! What a selector does when it matches.

use super::argument::ArgumentId;
use crate::binary::UsdtSource;

/// One action; a selector runs its actions in the order of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Report the call.
    Post,
    /// Do not report it; the other actions still run.
    NoPost,
    /// Kill the process.
    Sigkill,
    /// Send the process a signal.
    Signal(SignalNumber),
    /// Let the call return this instead of doing its work.
    Override(ReturnValue),
    /// Go on with other registers, as the selector's [`super::Rewrite`] says.
    Rewrite,
    /// Write an argument that lies in memory of user space.
    Set(SetValue),
    /// Remember whose the socket in this argument is: reports about it are the owner's from then on.
    TrackSock(ArgumentId),
    /// Forget it.
    UntrackSock(ArgumentId),
    /// Have the daemon fetch a URL when the report arrives.
    GetUrl,
    /// Have it look up a name.
    DnsLookup,
    /// Tell the policy's enforcers what to do with the next call of this thread that is theirs.
    NotifyEnforcer(Notification),
    /// Take back what they were told about this thread.
    CleanupEnforcerNotification,
    /// At a call of the enforcers: do what they were told about this thread. Not written by users.
    Enforce(Told),
}

/// What enforcers are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Notification {
    /// What the call is to return, zero when it is to go on.
    pub error: ReturnValue,
    /// The signal that its caller is to get.
    pub signal: Option<SignalNumber>,
}

impl Notification {
    /// `SIGKILL`
    const KILL: u8 = 9;

    /// Whether the call is to return an error.
    pub fn denies(self) -> bool {
        self.error.get() != 0
    }

    /// Whether its caller does not live to see what it returns.
    pub fn kills(self) -> bool {
        self.signal.is_some_and(|signal| signal.get() == Self::KILL)
    }
}

/// What a policy's enforcers may be told, all its notifications together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Told {
    /// Signals only.
    Signals,
    /// Errors, always together with SIGKILL.
    ErrorsThatKill,
    /// Errors.
    Errors,
}

impl Told {
    /// What these notifications come to.
    pub fn by(notifications: impl IntoIterator<Item = Notification>) -> Self {
        let rank = |notification: Notification| match (notification.denies(), notification.kills()) {
            (false, _) => Self::Signals,
            (true, true) => Self::ErrorsThatKill,
            (true, false) => Self::Errors,
        };
        let worst = |worst: Self, next: Self| match (worst, next) {
            (Self::Errors, _) | (_, Self::Errors) => Self::Errors,
            (Self::ErrorsThatKill, _) | (_, Self::ErrorsThatKill) => Self::ErrorsThatKill,
            (Self::Signals, Self::Signals) => Self::Signals,
        };
        notifications.into_iter().map(rank).fold(Self::Signals, worst)
    }
}

impl Action {
    /// What an `Override` lets the call return.
    pub fn returned(self) -> Option<ReturnValue> {
        if let Self::Override(value) = self { Some(value) } else { None }
    }

    /// Whether it changes what the call does.
    pub fn overrides(self) -> bool {
        matches!(self, Self::Override(_) | Self::Rewrite)
    }

    /// The argument whose socket is tracked, or is not any more.
    pub fn socket(self) -> Option<ArgumentId> {
        if let Self::TrackSock(socket) | Self::UntrackSock(socket) = self { Some(socket) } else { None }
    }

    /// What enforcers are told.
    pub fn notification(self) -> Option<Notification> {
        if let Self::NotifyEnforcer(notification) = self { Some(notification) } else { None }
    }

    /// Whether it does more than report: monitor mode counts such an action instead of running it.
    pub fn enforces(self) -> bool {
        match self {
            Self::Post
            | Self::NoPost
            | Self::CleanupEnforcerNotification
            | Self::TrackSock(_)
            | Self::UntrackSock(_)
            | Self::GetUrl
            | Self::DnsLookup => false,
            Self::Sigkill
            | Self::Signal(_)
            | Self::Override(_)
            | Self::Rewrite
            | Self::Set(_)
            | Self::NotifyEnforcer(_)
            | Self::Enforce(_) => true,
        }
    }
}

/// What is written into an argument of a static probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SetValue {
    /// The argument's place in the hook's list.
    pub position: u8,
    /// What is written.
    pub value: u32,
    /// Where the argument is: memory of four bytes; nothing until `resolve` has read the probe's note.
    pub operand: Option<UsdtSource>,
}

/// The number of a signal: 1 to 64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SignalNumber(u8);

impl SignalNumber {
    /// The signal, if there is one of that number.
    pub fn new(number: u32) -> Option<Self> {
        u8::try_from(number).ok().filter(|number| (1..=64).contains(number)).map(Self)
    }

    /// The number.
    pub fn get(self) -> u8 {
        self.0
    }
}

/// What an overridden call returns instead.
///
/// For a `security_*` function this is zero or an error number; a system call may be given any value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReturnValue(i32);

impl ReturnValue {
    /// Denied by policy, the answer where another cannot be given: `-EPERM`.
    pub const EPERM: Self = Self(-1);

    /// Returns `value`.
    pub fn new(value: i32) -> Self {
        Self(value)
    }

    /// The value.
    pub fn get(self) -> i32 {
        self.0
    }

    /// Whether it is zero or a negative error number (include/linux/err.h: `MAX_ERRNO`), which is all that LSM and
    /// `fmod_ret` programs may return.
    pub fn is_errno(self) -> bool {
        (-4095..=0).contains(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_enforcers_may_be_told_is_the_worst_of_all_notifications() {
        let notification = |error, signal| Notification {
            error: ReturnValue::new(error),
            signal: SignalNumber::new(signal),
        };
        let (signal, kill) = (notification(0, 9), notification(-1, 9));
        assert_eq!(Told::by([]), Told::Signals);
        assert_eq!(Told::by([signal]), Told::Signals);
        assert_eq!(Told::by([signal, kill]), Told::ErrorsThatKill);
        assert_eq!(Told::by([kill, notification(-1, 15), signal]), Told::Errors);
    }

    #[test]
    fn signals_and_errors_have_bounds() {
        assert!(SignalNumber::new(0).is_none() && SignalNumber::new(65).is_none());
        assert_eq!(SignalNumber::new(9).map(SignalNumber::get), Some(9));
        assert!(!ReturnValue::new(1).is_errno() && !ReturnValue::new(-4096).is_errno());
        assert!(ReturnValue::new(-4095).is_errno() && ReturnValue::new(0).is_errno());
    }
}

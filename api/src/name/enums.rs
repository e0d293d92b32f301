//! Enumerations whose names and numbers the wire fixes.

/// Declares an enumeration with the number and the name that the API gives each variant.
macro_rules! named_enum {
    ($(#[$meta:meta])* $name:ident, default $default:ident { $($(#[$doc:meta])* $variant:ident = $number:literal, $text:literal;)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$doc])* $variant,)+
        }

        impl $name {
            /// All variants, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The number on the wire.
            pub const fn number(self) -> i32 {
                match self {
                    $(Self::$variant => $number,)+
                }
            }

            /// The variant with this number on the wire.
            pub const fn from_number(number: i32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// The name in JSON.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            /// The variant with this name in JSON.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($text => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::$default
            }
        }
    };
}

named_enum! {
    /// What a hook did.
    Action, default Unknown {
        /// Nothing recorded.
        Unknown = 0, "KPROBE_ACTION_UNKNOWN";
        /// Reported.
        Post = 1, "KPROBE_ACTION_POST";
        /// Followed a descriptor (no longer used).
        FollowFd = 2, "KPROBE_ACTION_FOLLOWFD";
        /// Killed the process.
        Sigkill = 3, "KPROBE_ACTION_SIGKILL";
        /// Stopped following a descriptor (no longer used).
        UnfollowFd = 4, "KPROBE_ACTION_UNFOLLOWFD";
        /// Replaced the return value.
        Override = 5, "KPROBE_ACTION_OVERRIDE";
        /// Followed a copied descriptor (no longer used).
        CopyFd = 6, "KPROBE_ACTION_COPYFD";
        /// Had the agent fetch a URL.
        GetUrl = 7, "KPROBE_ACTION_GETURL";
        /// Had the agent look up a name.
        DnsLookup = 8, "KPROBE_ACTION_DNSLOOKUP";
        /// Not reported.
        NoPost = 9, "KPROBE_ACTION_NOPOST";
        /// Sent a signal.
        Signal = 10, "KPROBE_ACTION_SIGNAL";
        /// Tied a socket to the process.
        TrackSock = 11, "KPROBE_ACTION_TRACKSOCK";
        /// Untied it.
        UntrackSock = 12, "KPROBE_ACTION_UNTRACKSOCK";
        /// Told the enforcer.
        NotifyEnforcer = 13, "KPROBE_ACTION_NOTIFYENFORCER";
        /// Forgot what the enforcer was told.
        CleanupEnforcerNotification = 14, "KPROBE_ACTION_CLEANUPENFORCERNOTIFICATION";
        /// Wrote a register or a word of memory.
        Set = 15, "KPROBE_ACTION_SET";
    }
}

named_enum! {
    /// Type of an event. The number is also the number of the field that carries the event.
    EventType, default Undef {
        /// None.
        Undef = 0, "UNDEF";
        /// A program was started.
        ProcessExec = 1, "PROCESS_EXEC";
        /// A process ended.
        ProcessExit = 5, "PROCESS_EXIT";
        /// A kernel function was called.
        ProcessKprobe = 9, "PROCESS_KPROBE";
        /// A tracepoint fired.
        ProcessTracepoint = 10, "PROCESS_TRACEPOINT";
        /// Code was mapped.
        ProcessLoader = 11, "PROCESS_LOADER";
        /// A user function was called.
        ProcessUprobe = 12, "PROCESS_UPROBE";
        /// Events are held back, or no longer.
        ProcessThrottle = 27, "PROCESS_THROTTLE";
        /// An LSM hook was asked.
        ProcessLsm = 28, "PROCESS_LSM";
        /// A static user probe fired.
        ProcessUsdt = 29, "PROCESS_USDT";
        /// For tests.
        Test = 40000, "TEST";
        /// The exporter dropped events.
        RateLimitInfo = 40001, "RATE_LIMIT_INFO";
    }
}

named_enum! {
    /// Begin or end of throttling.
    ThrottleType, default Unknown {
        /// Neither.
        Unknown = 0, "THROTTLE_UNKNOWN";
        /// Begin.
        Start = 1, "THROTTLE_START";
        /// End.
        Stop = 2, "THROTTLE_STOP";
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, EventType, ThrottleType};

    #[test]
    fn names_and_numbers_lead_back_to_the_variant() {
        for &action in Action::ALL {
            assert_eq!(Action::from_name(action.name()), Some(action));
            assert_eq!(Action::from_number(action.number()), Some(action));
        }
        for &event in EventType::ALL {
            assert_eq!(EventType::from_name(event.name()), Some(event));
            assert_eq!(EventType::from_number(event.number()), Some(event));
        }
        assert_eq!(ThrottleType::from_name("THROTTLE_STOP"), Some(ThrottleType::Stop));
        assert_eq!(Action::from_number(16), None);
        assert_eq!(EventType::from_name("process_exec"), None);
    }
}

//! Which systems work can be done on.
//!
//! Agents are processes, and a run owns every process that it starts: groups, signals, reaping. On a
//! system where that has not been seen to work, nothing is started; what has been done elsewhere
//! can still be read.

use crate::ServiceError;

/// Systems on which the tests are run.
const TESTED: [&str; 1] = ["linux"];

/// Systems that have the same processes and signals, on which the tests are not run.
const ALIKE: [&str; 6] = ["macos", "freebsd", "netbsd", "openbsd", "dragonfly", "android"];

/// How well a system is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Platform {
    /// The tests run on it.
    Tested,
    /// It should work.
    Alike,
}

/// Judges the system of that name, as in `std::env::consts::OS`.
///
/// # Errors
/// [`ServiceError::Platform`] when nothing is known about it.
pub(crate) fn judge(system: &str) -> Result<Platform, ServiceError> {
    if TESTED.contains(&system) {
        Ok(Platform::Tested)
    } else if ALIKE.contains(&system) {
        Ok(Platform::Alike)
    } else {
        Err(ServiceError::Platform(system.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_that_is_not_known_is_refused_by_name() {
        assert_eq!(judge("linux").unwrap(), Platform::Tested);
        assert_eq!(judge("macos").unwrap(), Platform::Alike);
        for unknown in ["windows", "wasi", "plan9", ""] {
            let error = judge(unknown).unwrap_err();
            assert_eq!(error.code(), "ORC-0706");
            assert!(error.to_string().contains(unknown) && error.help().is_some());
        }
    }
}

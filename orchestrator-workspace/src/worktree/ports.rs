//! Ports of an attempt's own.
//!
//! A port is taken by a lock on a file named after it, which ends with the process that holds it. The
//! directory of these files has to be the same for all that are not to share ports.

use super::mark::{Lock, lock};
use crate::git::GitError;
use orchestrator_core::error::{ErrorClass, Failure};
use std::{
    collections::BTreeMap,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    net::{Ipv4Addr, TcpListener},
    ops::RangeInclusive,
    path::Path,
};

/// Below what systems give to outgoing connections.
pub(crate) const RANGE: RangeInclusive<u16> = 20_000..=29_999;
/// The most that one attempt may have.
const MOST: u16 = 100;

/// Ports that are held, one after the other.
#[derive(Debug)]
pub(crate) struct Ports {
    pub(super) numbers: Vec<u16>,
    _locks: Vec<Lock>,
}

impl Ports {
    /// Takes `count` ports of `range` in a row; those `before` when they are free, else others that
    /// depend on `name`.
    pub(super) fn take(
        directory: &Path,
        range: &RangeInclusive<u16>,
        count: u16,
        name: &str,
        before: &[u16],
    ) -> Result<Option<Self>, Failure> {
        if count == 0 {
            return Ok(None);
        }
        if count > MOST {
            let message =
                format!("cannot give {count} ports to one attempt: ask for at most {MOST}");
            return Err(Failure::new(ErrorClass::InvalidRequest, message));
        }
        fs::create_dir_all(directory).map_err(|e| GitError::file("make", directory, e))?;
        if before.len() == usize::from(count)
            && let Some(ports) = row(directory, before.to_vec())?
        {
            return Ok(Some(ports));
        }
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let all = u32::from(*range.end()).saturating_sub(u32::from(*range.start())) + 1;
        // Each of these is below the number of ports that there are.
        let blocks = u16::try_from(all / u32::from(count)).unwrap_or(u16::MAX);
        if blocks == 0 {
            let message = format!(
                "cannot give {count} ports to one attempt: there are only {all}, from {} to {}",
                range.start(),
                range.end()
            );
            return Err(Failure::new(ErrorClass::InvalidRequest, message));
        }
        let start = (hasher.finish() % u64::from(blocks)) as u16;
        for step in 0..blocks {
            let first = range.start() + (start + step) % blocks * count;
            if let Some(ports) = row(directory, (first..first + count).collect())? {
                return Ok(Some(ports));
            }
        }
        let message =
            format!("no {count} ports in a row are free from {} to {}", range.start(), range.end());
        Err(Failure::new(ErrorClass::Transient, message))
    }

    /// How an attempt is told: the first, and all with spaces between.
    pub(super) fn tell(&self, environment: &mut BTreeMap<String, String>) {
        let all: Vec<_> = self.numbers.iter().map(u16::to_string).collect();
        environment.extend(all.first().map(|first| ("ORCHESTRATOR_PORT".into(), first.clone())));
        environment.insert("ORCHESTRATOR_PORTS".into(), all.join(" "));
    }
}

fn row(directory: &Path, numbers: Vec<u16>) -> Result<Option<Ports>, GitError> {
    let mut locks = Vec::new();
    for port in &numbers {
        let is_free = || {
            [Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED]
                .iter()
                .all(|address| TcpListener::bind((*address, *port)).is_ok())
        };
        match lock(&directory.join(format!("{port}.port")))? {
            Some(lock) if is_free() => locks.push(lock),
            _ => return Ok(None),
        }
    }
    Ok(Some(Ports { numbers, _locks: locks }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice_nor_while_somebody_listens() {
        let dir = tempfile::tempdir().unwrap();
        let take =
            |before: &[u16]| Ports::take(dir.path(), &RANGE, 3, "same", before).unwrap().unwrap();
        let first = take(&[]);
        let second = take(&first.numbers);
        assert!(first.numbers.iter().all(|port| !second.numbers.contains(port)));
        let before = first.numbers.clone();
        drop(first);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, before[1])).unwrap();
        assert_ne!(take(&before).numbers, before);
        drop(listener);
        let again = take(&before);
        assert_eq!(again.numbers, before);
        let mut environment = BTreeMap::new();
        again.tell(&mut environment);
        assert_eq!(environment["ORCHESTRATOR_PORT"], before[0].to_string());
        assert_eq!(environment["ORCHESTRATOR_PORTS"].split(' ').count(), 3);
        assert!(Ports::take(dir.path(), &RANGE, MOST + 1, "x", &[]).is_err());
        assert!(Ports::take(dir.path(), &(20_000..=20_001), 3, "x", &[]).is_err());
    }
}

//! Whether a reservation fits.

use super::{Amounts, Limit, Sums, Unit};
use crate::time::Timestamp;
use std::fmt;

/// How a limit stands: what counts against it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The limit.
    pub limit: Limit,
    /// What has been spent in its window.
    pub used: Sums,
    /// What calls under way hold besides.
    pub held: Sums,
}

impl Standing {
    /// What is spent of the limit's unit.
    pub fn spent(&self) -> u64 {
        self.used.of(self.limit.unit)
    }

    /// What calls under way hold of the limit's unit.
    pub fn reserved(&self) -> u64 {
        self.held.of(self.limit.unit)
    }

    /// What may still be reserved.
    pub fn left(&self) -> u64 {
        self.limit.most.saturating_sub(self.spent()).saturating_sub(self.reserved())
    }

    /// How much of the limit is spent, in whole percent, rounded down. All of it when it is zero.
    pub fn percent(&self) -> u64 {
        let (spent, most) = (u128::from(self.spent()), u128::from(self.limit.most));
        (spent * 100).checked_div(most).map_or(100, |part| u64::try_from(part).unwrap_or(u64::MAX))
    }
}

/// Why a limit refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RefusalKind {
    /// It fits once calls under way have ended, if they cost less than they hold.
    Busy,
    /// It fits not, whatever calls under way come to.
    Over,
    /// What the call may cost is not known.
    UnknownPrice,
}

/// A reservation that a limit refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The limit, with what counts against it.
    pub standing: Standing,
    /// The most that the call would have spent of the limit's unit; 0 when that is not known.
    pub needs: u64,
    /// Why.
    pub kind: RefusalKind,
    /// When the limit's window frees something, if it ever does.
    pub renews: Option<Timestamp>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = self.standing.limit.unit;
        write!(f, "{}", self.standing.limit)?;
        if self.kind == RefusalKind::UnknownPrice {
            return write!(f, ", and no price is known for the call");
        }
        write!(f, ": {} spent", unit.show(self.standing.spent()))?;
        if self.standing.reserved() > 0 {
            write!(f, ", {} held by calls under way", unit.show(self.standing.reserved()))?;
        }
        write!(f, ", and the call may take {}", unit.show(self.needs))?;
        match self.renews {
            Some(at) => write!(f, "; the next of it is free at {at}"),
            None => Ok(()),
        }
    }
}

/// Whether a call that spends `worst` at most fits every limit, as they stand at `now`.
///
/// # Errors
/// The gravest [`Refusal`]: what can never fit before what may fit later.
pub fn decide(standings: &[Standing], worst: &Amounts, now: Timestamp) -> Result<(), Box<Refusal>> {
    let refusals = standings.iter().filter(|standing| standing.limit.is_hard).filter_map(|at| {
        let (needs, kind) = match worst.of(at.limit.unit) {
            None => (0, RefusalKind::UnknownPrice),
            Some(needs) if needs <= at.left() => return None,
            Some(needs) if needs > at.limit.most.saturating_sub(at.spent()) => {
                (needs, RefusalKind::Over)
            }
            Some(needs) => (needs, RefusalKind::Busy),
        };
        // What exceeds the limit by itself never fits, however much of it is free.
        let fits_once = at.spent() > 0 && needs <= at.limit.most;
        let renews = at.limit.window.renews(now).filter(|_| fits_once);
        Some(Refusal { standing: at.clone(), needs, kind, renews })
    });
    // What is renewed late, or never, is graver than what is renewed soon. Of equals the first: the
    // nearest run's budget comes before the settings' rules.
    let weight = |refusal: &Refusal| match refusal.kind {
        RefusalKind::Over => (refusal.kind, refusal.renews.unwrap_or(Timestamp(u64::MAX))),
        RefusalKind::Busy | RefusalKind::UnknownPrice => (refusal.kind, Timestamp(0)),
    };
    let gravest = refusals.reduce(|a, b| if weight(&b) > weight(&a) { b } else { a });
    gravest.map_or(Ok(()), |refusal| Err(Box::new(refusal)))
}

impl Standing {
    /// The most of `unit` that fits all of the hard limits in `standings`; `None` without one.
    pub fn least_left(standings: &[Self], unit: Unit) -> Option<u64> {
        let limits = standings.iter().filter(|at| at.limit.is_hard && at.limit.unit == unit);
        limits.map(Self::left).min()
    }
}

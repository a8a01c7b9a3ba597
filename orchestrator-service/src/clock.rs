//! The time of day.

use orchestrator_core::time::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// The present instant.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The instant of a date in UTC: `2026-01-31`, `2026-01-31T09:30:00Z`, with or without
/// fractions of a second. `None` for anything else, for other offsets, and before 1970.
pub(crate) fn parse_date(text: &str) -> Option<Timestamp> {
    let (date, time) = match text.split_once(['T', ' ']) {
        Some((date, time)) => (date, Some(time.strip_suffix('Z').unwrap_or(time))),
        None => (text, None),
    };
    let number = |text: &str, digits: usize| {
        let fits = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
        fits.then(|| text.parse::<u64>().ok())?
    };
    let mut parts = date.split('-');
    let year = number(parts.next()?, 4)?;
    let month = number(parts.next()?, 2)?;
    let day = number(parts.next()?, 2)?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        2 => 28 + u64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if parts.next().is_some() || year < 1970 || !(1..=longest).contains(&day) {
        return None;
    }
    // Civil date to days: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".
    let y = if month <= 2 { year - 1 } else { year };
    let (era, yoe) = (y / 400, y % 400);
    let mp = (month + 9) % 12;
    let doy = (153 * mp + 2) / 5 + day - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    let mut ms = (era * 146_097 + doe).checked_sub(719_468)? * 86_400_000;
    if let Some(time) = time {
        let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
        let mut parts = time.split(':');
        let (hour, minute) = (number(parts.next()?, 2)?, number(parts.next()?, 2)?);
        let second = parts.next().map_or(Some(0), |second| number(second, 2))?;
        let milli = number(&format!("{fraction:0<3}")[..3], 3)?;
        if parts.next().is_some() || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        if !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        ms += ((hour * 60 + minute) * 60 + second) * 1_000 + milli;
    }
    Some(Timestamp(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_read_as_they_are_shown() {
        for text in ["1970-01-01", "2000-02-29", "2026-01-31", "2100-03-01"] {
            let at = parse_date(text).unwrap();
            assert_eq!(at.to_string(), format!("{text}T00:00:00.000Z"));
        }
        let at = parse_date("2026-01-31T09:30:00.25Z").unwrap();
        assert_eq!(at.to_string(), "2026-01-31T09:30:00.250Z");
        assert_eq!(parse_date("2026-01-31 09:30").unwrap().0 % 60_000, 0);
        for bad in [
            "",
            "2026",
            "2026-13-01",
            "2026-02-29",
            "2026-00-10",
            "1969-12-31",
            "2026-1-31",
            "2026-01-31T25:00",
            "2026-01-31T10:00+02:00",
            "2026-01-31T10",
            "2026-01-31T10:00:00.x",
            "2026-01-31Tü",
            "١٩٧٠-01-01",
        ] {
            assert_eq!(parse_date(bad), None, "{bad}");
        }
    }
}

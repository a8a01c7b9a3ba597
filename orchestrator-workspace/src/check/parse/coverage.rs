//! Coverage of lines: LCOV, Cobertura XML, or the JSON of coverage.py.

use super::{Output, Report, Unreadable, json, unreadable, xml};
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) fn read(output: Output<'_>) -> Result<Report, Unreadable> {
    let first = output.main().trim_ascii_start().first();
    let (covered, all) = match first {
        Some(b'<') => cobertura(output)?,
        Some(b'{') => python(output)?,
        _ => lcov(&output.text())?,
    };
    if all == 0 {
        return unreadable("its report tells of no lines");
    }
    if covered > all {
        return unreadable("its report tells of more covered lines than lines");
    }
    // Exact far beyond the lines of any project, in hundredths of a percent.
    let hundredths = u128::from(covered) * 10_000 / u128::from(all);
    let percent = u32::try_from(hundredths).map_or(0.0, |hundredths| f64::from(hundredths) / 100.0);
    Ok(Report { coverage: Some(percent), ..Report::default() })
}

fn lcov(text: &str) -> Result<(u64, u64), Unreadable> {
    let mut lines: BTreeMap<(&str, u64), bool> = BTreeMap::new();
    let (mut file, mut has_end) = ("", false);
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("SF:") {
            file = name;
        } else if let Some(data) = line.strip_prefix("DA:") {
            let mut parts = data.split(',');
            let number = parts.next().and_then(|number| number.trim().parse().ok());
            let hits: Option<i64> = parts.next().and_then(|hits| hits.trim().parse().ok());
            if let (Some(number), Some(hits)) = (number, hits) {
                *lines.entry((file, number)).or_default() |= hits > 0;
            }
        } else if line.trim() == "end_of_record" {
            has_end = true;
        }
    }
    if !has_end {
        return unreadable("it gave no LCOV that can be read");
    }
    Ok((lines.values().filter(|is_covered| **is_covered).count() as u64, lines.len() as u64))
}

fn cobertura(output: Output<'_>) -> Result<(u64, u64), Unreadable> {
    xml(output, |root| {
        if !root.has_tag_name("coverage") {
            return unreadable("it gave XML, but no Cobertura report");
        }
        let mut lines: BTreeMap<(&str, &str), bool> = BTreeMap::new();
        for class in root.descendants().filter(|node| node.has_tag_name("class")) {
            let file = class.attribute("filename").unwrap_or_default();
            for line in class.descendants().filter(|node| node.has_tag_name("line")) {
                let Some(number) = line.attribute("number") else { continue };
                let hits = line.attribute("hits").unwrap_or("0").trim();
                let is_covered = hits.parse::<u64>().is_ok_and(|hits| hits > 0);
                *lines.entry((file, number)).or_default() |= is_covered;
            }
        }
        Ok((lines.values().filter(|is_covered| **is_covered).count() as u64, lines.len() as u64))
    })
}

fn python(output: Output<'_>) -> Result<(u64, u64), Unreadable> {
    let document = json(output, "JSON of coverage.py")?;
    let number = |key: &str| document.pointer(&format!("/totals/{key}")).and_then(Value::as_u64);
    match (number("covered_lines"), number("num_statements")) {
        (Some(covered), Some(all)) => Ok((covered, all)),
        _ => unreadable("it gave JSON, but no `totals` as coverage.py writes them"),
    }
}

//! The instruments as text, in the exposition format of Prometheus, version 0.0.4.

use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::metrics::data::{
    AggregatedMetrics, HistogramDataPoint, Metric, MetricData, ResourceMetrics,
};
use std::{collections::BTreeMap, fmt::Write};

/// The media type of the text.
pub(super) const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A number that a sample can have.
trait Number: Copy {
    fn show(self) -> String;
}

impl Number for u64 {
    fn show(self) -> String {
        self.to_string()
    }
}

impl Number for i64 {
    fn show(self) -> String {
        self.to_string()
    }
}

impl Number for f64 {
    fn show(self) -> String {
        match self {
            number if number.is_nan() => "NaN".into(),
            number if number.is_infinite() && number > 0.0 => "+Inf".into(),
            number if number.is_infinite() => "-Inf".into(),
            number => number.to_string(),
        }
    }
}

/// All that `metrics` hold, by name.
pub(super) fn text(metrics: &ResourceMetrics) -> String {
    let mut families = BTreeMap::new();
    for metric in metrics.scope_metrics().flat_map(|scope| scope.metrics()) {
        let mut text = String::new();
        let name = family(metric, &mut text);
        families.insert(name, text);
    }
    let mut text = String::new();
    let resource = metrics.resource().iter();
    let target: Vec<KeyValue> =
        resource.map(|(key, value)| KeyValue::new(key.clone(), value.clone())).collect();
    header(&mut text, "target_info", "gauge", "What these metrics are of.");
    sample(&mut text, "target_info", &labels(target.iter()), 1_u64);
    text.extend(families.into_values());
    text
}

/// Writes one metric and returns its name.
fn family(metric: &Metric, text: &mut String) -> String {
    let base = name(metric.name(), metric.unit());
    match metric.data() {
        AggregatedMetrics::F64(data) => points(&base, metric.description(), data, text),
        AggregatedMetrics::U64(data) => points(&base, metric.description(), data, text),
        AggregatedMetrics::I64(data) => points(&base, metric.description(), data, text),
    }
}

fn points<T: Number>(base: &str, about: &str, data: &MetricData<T>, text: &mut String) -> String {
    match data {
        MetricData::Gauge(gauge) => {
            header(text, base, "gauge", about);
            for point in gauge.data_points() {
                sample(text, base, &labels(point.attributes()), point.value());
            }
            base.to_owned()
        }
        MetricData::Sum(sum) => {
            let (name, kind) = match sum.is_monotonic() {
                true => (format!("{base}_total"), "counter"),
                false => (base.to_owned(), "gauge"),
            };
            header(text, &name, kind, about);
            for point in sum.data_points() {
                sample(text, &name, &labels(point.attributes()), point.value());
            }
            name
        }
        MetricData::Histogram(histogram) => {
            header(text, base, "histogram", about);
            for point in histogram.data_points() {
                buckets(text, base, point);
            }
            base.to_owned()
        }
        // No instrument here is made for one, and the text format has no form for it.
        MetricData::ExponentialHistogram(_) => base.to_owned(),
    }
}

fn buckets<T: Number>(text: &mut String, base: &str, point: &HistogramDataPoint<T>) {
    let own = labels(point.attributes());
    let mut so_far = 0;
    let bounds = point.bounds().map(Number::show).chain(["+Inf".to_owned()]);
    for (bound, count) in bounds.zip(point.bucket_counts()) {
        so_far += count;
        let mut of = own.clone();
        of.insert("le".into(), bound);
        sample(text, &format!("{base}_bucket"), &of, so_far);
    }
    sample(text, &format!("{base}_sum"), &own, point.sum());
    sample(text, &format!("{base}_count"), &own, point.count());
}

fn header(text: &mut String, name: &str, kind: &str, about: &str) {
    let about = about.replace('\\', "\\\\").replace('\n', "\\n");
    // Writing into a text does not fail.
    let _ = write!(text, "# HELP {name} {about}\n# TYPE {name} {kind}\n");
}

fn sample(text: &mut String, name: &str, labels: &BTreeMap<String, String>, value: impl Number) {
    let pairs: Vec<String> = labels
        .iter()
        .map(|(name, value)| {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            format!("{name}=\"{value}\"")
        })
        .collect();
    let braces = if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) };
    let _ = writeln!(text, "{name}{braces} {}", value.show());
}

fn labels<'a>(attributes: impl Iterator<Item = &'a KeyValue>) -> BTreeMap<String, String> {
    let shown = |value: &Value| match value {
        Value::String(text) => text.as_str().to_owned(),
        other => other.to_string(),
    };
    attributes.map(|one| (plain(one.key.as_str()), shown(&one.value))).collect()
}

/// The name of a metric: OpenTelemetry specification, "Prometheus and OpenMetrics Compatibility".
fn name(name: &str, unit: &str) -> String {
    let suffix = match unit {
        "s" => "_seconds",
        "By" => "_bytes",
        // What stands in braces is a remark and no unit.
        _ => "",
    };
    let plain = plain(name);
    if plain.ends_with(suffix) { plain } else { format!("{plain}{suffix}") }
}

/// `name` with nothing that a name may not have.
fn plain(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    for letter in name.chars() {
        let is_first_digit = plain.is_empty() && letter.is_ascii_digit();
        if letter.is_ascii_alphanumeric() && !is_first_digit {
            plain.push(letter);
        } else if !plain.ends_with('_') {
            plain.push('_');
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_their_units() {
        for (given, unit, expected) in [
            ("gen_ai.client.operation.duration", "s", "gen_ai_client_operation_duration_seconds"),
            ("gen_ai.client.token.usage", "{token}", "gen_ai_client_token_usage"),
            ("process.memory.usage", "By", "process_memory_usage_bytes"),
            ("a..b", "", "a_b"),
            ("1a", "", "_a"),
        ] {
            assert_eq!(name(given, unit), expected);
        }
    }

    #[test]
    fn values_are_escaped() {
        let mut text = String::new();
        let of = [KeyValue::new("model.name", "a\"b\\c\nd")];
        sample(&mut text, "x", &labels(of.iter()), f64::INFINITY);
        assert_eq!(text, "x{model_name=\"a\\\"b\\\\c\\nd\"} +Inf\n");
    }
}

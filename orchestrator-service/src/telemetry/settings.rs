//! What settings and the usual variables say about telemetry.

use super::{LogConfig, LogFormat, Sampling, Telemetry, TelemetryConfig};
use crate::{
    OrchestratorService, ServiceError,
    config::{Config, Layer, invalid},
    document::Diagnostic,
    roster::judge_endpoint,
};
use orchestrator_core::secret::SecretString;
use orchestrator_gateway::front::FrontError;
use std::path::{Component, Path, PathBuf};
use tracing::Level;

const TRACES: Signal = Signal { name: "TRACES", path: "/v1/traces" };
const METRICS: Signal = Signal { name: "METRICS", path: "/v1/metrics" };

/// One kind of what is told: OpenTelemetry specification, "OTLP Exporter Configuration".
struct Signal {
    name: &'static str,
    path: &'static str,
}

impl Signal {
    /// The whole address below the base address `base`.
    fn below(&self, base: &str) -> String {
        // The address of one signal stood for the base in earlier settings.
        let base = base.strip_suffix(TRACES.path).unwrap_or(base);
        format!("{}{}", base.trim_end_matches('/'), self.path)
    }

    /// Where it goes, if anywhere.
    fn endpoint(&self, config: &Config) -> Option<String> {
        let name = self.name;
        if own(config, &format!("OTEL_{name}_EXPORTER")) == Some("none") {
            return None;
        }
        if let Some(base) = &config.settings().telemetry.otlp_endpoint {
            return Some(self.below(base));
        }
        if let Some(whole) = own(config, &format!("OTEL_EXPORTER_OTLP_{name}_ENDPOINT")) {
            return Some(whole.to_owned());
        }
        own(config, "OTEL_EXPORTER_OTLP_ENDPOINT").map(|base| self.below(base))
    }
}

/// The value of a variable of the process itself; the project's `.env` is not asked.
fn own<'a>(config: &'a Config, name: &str) -> Option<&'a str> {
    config.variable(name).filter(|_| config.is_users_own(name)).map(str::trim)
}

impl OrchestratorService {
    /// What settings and variables say is to be told to whom: nothing unless they say so. `asked`
    /// when the caller will ask for metrics, as the gateway's front does.
    ///
    /// # Errors
    /// Invalid settings; settings of the project that would send, show or write something where
    /// the user did not say so.
    pub fn telemetry(&self, asked: bool) -> Result<TelemetryConfig, ServiceError> {
        let config = self.settings()?;
        let mut telemetry = TelemetryConfig { log: self.log(config)?, ..Default::default() };
        let is_disabled =
            own(config, "OTEL_SDK_DISABLED").is_some_and(|is| is.eq_ignore_ascii_case("true"));
        if is_disabled {
            return Ok(telemetry);
        }
        let settings = &config.settings().telemetry;
        if let Some(endpoint) = &settings.otlp_endpoint {
            judge_endpoint(config, endpoint).map_err(|found| invalid(vec![*found]))?;
        }
        telemetry.traces = TRACES.endpoint(config);
        telemetry.metrics = METRICS.endpoint(config);
        for name in ["", "TRACES_", "METRICS_"] {
            let headers = own(config, &format!("OTEL_EXPORTER_OTLP_{name}HEADERS"));
            let values = headers.unwrap_or_default().split(',').filter_map(|pair| {
                let value = pair.split_once('=')?.1.trim();
                (value.len() >= 8).then(|| SecretString::new(value))
            });
            self.known().learn(values);
        }
        telemetry.sampling = Sampling::named(
            own(config, "OTEL_TRACES_SAMPLER"),
            own(config, "OTEL_TRACES_SAMPLER_ARG"),
        );
        telemetry.surroundings = own(config, "TRACEPARENT").map(str::to_owned);
        telemetry.anywhere = settings.prometheus_reach.as_deref() == Some("anywhere");
        if telemetry.anywhere {
            judge_reach(config)?;
        }
        telemetry.listen = settings.prometheus_listen;
        if let Some(address) = settings.prometheus_listen
            && !telemetry.anywhere
            && !address.ip().is_loopback()
        {
            let error = FrontError::NotLoopback(address);
            let message = format!(
                "metrics cannot be served on {address}: other machines reach it; use 127.0.0.1, or \
                 set `telemetry.prometheus-reach` to `anywhere`"
            );
            let path = ["telemetry", "prometheus-listen"];
            return Err(invalid(vec![place(config, &path, error.code(), message)]));
        }
        if let Some(file) = &settings.prometheus_file {
            telemetry.file = Some(self.file(config, &["telemetry", "prometheus-file"], file)?);
        }
        telemetry.asked = asked;
        Ok(telemetry)
    }

    /// From now on `telemetry` observes what this service drives. The first one stays.
    pub fn observed_by(&self, telemetry: Telemetry) {
        self.set_telemetry(telemetry);
    }

    fn log(&self, config: &Config) -> Result<Option<LogConfig>, ServiceError> {
        let settings = &config.settings().log;
        let Some(file) = &settings.file else { return Ok(None) };
        let mut log = LogConfig::new(self.file(config, &["log", "file"], file)?);
        if settings.format.as_deref() == Some("json") {
            log.format = LogFormat::Json;
        }
        // Settings hold no other word: each was checked when it was read.
        let level = settings.level.as_deref().and_then(|level| level.parse::<Level>().ok());
        log.level = level.unwrap_or(log.level);
        log.rotate_size = settings.rotate_size.unwrap_or(log.rotate_size);
        log.keep = settings.keep.unwrap_or(log.keep);
        Ok(Some(log))
    }

    /// The file that the setting at `path` names, from the project's directory on. A project may
    /// name its own files, and nothing else.
    fn file(&self, config: &Config, path: &[&str], named: &str) -> Result<PathBuf, ServiceError> {
        let file = self.project().join(named);
        let by_project = matches!(config.layer(path), Some(Layer::Project | Layer::DotEnv));
        if !by_project || is_inside(self.project(), Path::new(named)) {
            return Ok(file);
        }
        let message =
            format!("the project's settings would write to `{named}`, which is not in it");
        let key = path.join(".");
        let mend = format!(
            "name it in your own settings with `orchestrator config set --user {key} ...`, and \
             remove it from the project's"
        );
        let found = place(config, path, "ORC-0571", message).suggest(Some(mend));
        Err(invalid(vec![found]))
    }
}

/// Whether `named` is a file in `project`, with no link on the way that leads out of it.
fn is_inside(project: &Path, named: &Path) -> bool {
    let is_plain =
        named.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let Ok(root) = project.canonicalize() else { return false };
    let mut deepest = Some(project.join(named));
    while let Some(path) = &deepest {
        // What is not there yet is made where what is above it leads.
        if path.symlink_metadata().is_ok() {
            return is_plain && path.canonicalize().is_ok_and(|real| real.starts_with(&root));
        }
        deepest = path.parent().map(Path::to_owned);
    }
    false
}

/// Only the user may show metrics to other machines.
fn judge_reach(config: &Config) -> Result<(), ServiceError> {
    let path = ["telemetry", "prometheus-reach"];
    if !matches!(config.layer(&path), Some(Layer::Project | Layer::DotEnv)) {
        return Ok(());
    }
    let message = "the project's settings would show metrics to other machines".to_owned();
    let mend = "say so in your own settings with `orchestrator config set --user \
                telemetry.prometheus-reach anywhere`, and remove it from the project's";
    let found = place(config, &path, "ORC-0572", message).suggest(Some(mend.into()));
    Err(invalid(vec![found]))
}

/// A diagnostic at the place where the setting at `path` is made.
fn place(config: &Config, path: &[&str], code: &'static str, message: String) -> Diagnostic {
    match config.origin(path) {
        Some(origin) => origin.diagnostic(code, message),
        None => Diagnostic::new(code, message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_has_its_own_files_only() {
        let place = tempfile::tempdir().unwrap();
        let project = place.path().join("project");
        std::fs::create_dir_all(project.join("logs")).unwrap();
        std::fs::write(place.path().join("outside"), "").unwrap();
        let check = |named: &str, expected: bool| {
            assert_eq!(is_inside(&project, Path::new(named)), expected, "{named}");
        };
        check("run.log", true);
        check("logs/run.log", true);
        check(".orchestrator/state/deep/run.log", true);
        check("../outside", false);
        check("logs/../../outside", false);
        check("/etc/passwd", false);
        #[cfg(unix)]
        {
            use std::os::unix::fs::symlink;
            symlink("../outside", project.join("link")).unwrap();
            symlink("..", project.join("up")).unwrap();
            symlink("/nowhere/at/all", project.join("dangling")).unwrap();
            check("link", false);
            check("up/run.log", false);
            check("dangling", false);
        }
    }

    #[test]
    fn the_address_of_a_signal_lies_below_the_base() {
        for (base, expected) in [
            ("http://a:4318", "http://a:4318/v1/metrics"),
            ("http://a:4318/", "http://a:4318/v1/metrics"),
            ("http://a/otlp", "http://a/otlp/v1/metrics"),
            ("http://a:4318/v1/traces", "http://a:4318/v1/metrics"),
        ] {
            assert_eq!(METRICS.below(base), expected);
        }
    }
}

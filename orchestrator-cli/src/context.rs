//! What every command is given: the console, and the service when it asks for it.

use crate::{
    arguments::Global,
    exit::Exit,
    output::{
        Console,
        hidden::{self, Typed},
        terminal::Wishes,
    },
    problem::Failure,
};
use orchestrator_service::{
    AskPassphrase, Environment, KnownSecrets, OpenOptions, OrchestratorService, Passphrase,
    SecretString,
    telemetry::{self, Notice, TelemetryConfig},
};
use std::{cell::OnceCell, path::PathBuf};

/// What every command is given.
#[derive(Debug)]
pub(crate) struct Context {
    /// The streams.
    pub(crate) console: Console,
    /// What must not be shown.
    pub(crate) known: KnownSecrets,
    path: Option<PathBuf>,
    /// Delivers what is left when the command has ended, after its runtime.
    telemetry: OnceCell<telemetry::Guard>,
}

impl Context {
    /// The context that the global options ask for. Touches no file.
    pub(crate) fn new(global: &Global) -> Self {
        let wishes = Wishes::read(|name| std::env::var(name).ok());
        let console =
            Console::new(global.json, global.quiet, global.verbose, global.color, &wishes);
        let (known, path) = (KnownSecrets::default(), global.path.clone());
        Self { console, known, path, telemetry: OnceCell::new() }
    }

    /// The service over the project that is meant.
    ///
    /// # Errors
    /// A path that cannot be a project.
    pub(crate) fn service(&self) -> Result<OrchestratorService, Failure> {
        let service = self.open(Vec::new())?;
        self.listen(&service, TelemetryConfig::default())?;
        Ok(service)
    }

    fn open(&self, settings: Vec<(String, String)>) -> Result<OrchestratorService, Failure> {
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        // A current directory that is gone cannot be a project either; opening it says so.
        let directory = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        let environment = Environment::new(variables, directory);
        let options = OpenOptions {
            path: self.path.clone(),
            settings,
            known: self.known.clone(),
            passphrase: AskPassphrase::new(ask_passphrase),
            // Without it what must be confined does not run, and says why.
            launcher: std::env::current_exe().ok(),
        };
        Ok(OrchestratorService::open(environment, options)?)
    }

    /// The same for a command that drives agents: what settings say of telemetry is done.
    ///
    /// # Errors
    /// As for [`Context::service`], and invalid settings.
    pub(crate) fn driving_service(&self) -> Result<OrchestratorService, Failure> {
        self.driving_service_with(Vec::new())
    }

    /// The same with settings from flags.
    ///
    /// # Errors
    /// As for [`Context::driving_service`].
    pub(crate) fn driving_service_with(
        &self,
        settings: Vec<(String, String)>,
    ) -> Result<OrchestratorService, Failure> {
        let service = self.open(settings)?;
        self.listen(&service, service.telemetry(false)?)?;
        Ok(service)
    }

    /// The same for a command that answers those who ask for metrics.
    ///
    /// # Errors
    /// As for [`Context::driving_service`].
    pub(crate) fn serving_service(&self) -> Result<OrchestratorService, Failure> {
        let service = self.open(Vec::new())?;
        self.listen(&service, service.telemetry(true)?)?;
        Ok(service)
    }

    /// Sets telemetry up, once, and only when somebody wants to hear of it.
    fn listen(
        &self,
        service: &OrchestratorService,
        mut config: TelemetryConfig,
    ) -> Result<(), Failure> {
        config.verbosity = self.console.verbose;
        if self.telemetry.get().is_none() && config.is_on() {
            let (console, known) = (self.console, self.known.clone());
            config.notice =
                Notice::new(move |what| console.say(&format!("warning: {}", known.hide(what))));
            let writer = self.known.writer(std::io::stderr);
            let guard = telemetry::init(&config, &self.known, writer)?;
            if let Some(telemetry) = guard.telemetry() {
                service.observed_by(telemetry);
            }
            // Nobody else can have set it in between: there is one thread.
            let _ = self.telemetry.set(guard);
        }
        Ok(())
    }
}

/// Asks the person at the terminal, if there is one.
fn ask_passphrase(which: Passphrase) -> Option<SecretString> {
    if !hidden::can_ask() {
        return None;
    }
    let typed = match which {
        Passphrase::Current => hidden::ask("passphrase of the credential store: "),
        Passphrase::New => hidden::ask_twice("new passphrase of the credential store"),
    };
    match typed.ok()? {
        Typed::Line(line) => Some(line),
        Typed::End => None,
        // Nothing is under way while it is asked for, so this is as good an end as a signal.
        Typed::Interrupted => std::process::exit(i32::from(Exit::Interrupted.code())),
    }
}

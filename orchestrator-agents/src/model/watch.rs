//! An answer as it arrives, for whoever watches: lines into the log, tokens into the progress.

use orchestrator_core::{
    id::ProviderName,
    port::{AttemptHost, LogLine, LogStream, Progress},
    usage::{Cost, Spend, TokenCount, Usage},
};
use orchestrator_gateway::Delta;

/// The most bytes of a line; a longer one is logged in parts.
const MAX_LINE: usize = 4 << 10;

/// Follows one call.
pub(super) struct Watch<'a> {
    host: &'a dyn AttemptHost,
    /// What earlier calls of the conversation used and cost.
    before: (Usage, Cost),
    line: String,
    bytes: u64,
    /// The provider's own count so far.
    pub(super) usage: Usage,
    /// Requests that went out to the model that is asked.
    pub(super) sent: u32,
    /// The model that is asked.
    pub(super) asking: Option<(ProviderName, String)>,
    /// The account that is called, when its provider has several.
    pub(super) account: Option<ProviderName>,
    /// What models have used that failed.
    pub(super) spent: Vec<Spend>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(host: &'a dyn AttemptHost, before: (Usage, Cost)) -> Self {
        Self {
            host,
            before,
            line: String::new(),
            bytes: 0,
            usage: Usage::default(),
            sent: 0,
            asking: None,
            account: None,
            spent: Vec::new(),
        }
    }

    pub(super) fn take(&mut self, delta: Delta) {
        let doing = match delta {
            Delta::Account(account) => {
                // Whatever was sent to another account before was refused at no cost.
                (self.account, self.sent) = (Some(account), 0);
                return;
            }
            Delta::Sent => {
                self.sent += 1;
                "waiting for the model"
            }
            Delta::Text(text) => {
                self.bytes += text.len() as u64;
                self.write(&text);
                "answering"
            }
            Delta::Reasoning(text) => {
                self.bytes += text.len() as u64;
                "thinking"
            }
            Delta::Waiting(what) => {
                let usage = self.before.0 + self.usage;
                self.host.progress(Progress {
                    doing: format!("waiting for {what}"),
                    usage,
                    cost: self.before.1,
                });
                return;
            }
            Delta::Warning(text) => {
                return self.host.log(LogLine { stream: LogStream::Note, text });
            }
            Delta::Asking { provider, model } => {
                self.asking = Some((provider, model));
                (self.sent, self.bytes, self.usage, self.account) = (0, 0, Usage::default(), None);
                return;
            }
            Delta::Spent(line) => return self.spent.push(*line),
            Delta::StartOver => {
                self.finish();
                self.bytes = 0;
                let text = "what was answered so far does not count: the answer begins anew";
                return self.host.log(LogLine { stream: LogStream::Note, text: text.into() });
            }
            Delta::Usage(usage) => {
                self.usage = usage;
                "answering"
            }
            _ => return,
        };
        let (used, cost) = self.before;
        // Providers count the output at its end only; until then four bytes pass for a token.
        let output = self.usage.output.0.max(self.bytes / 4);
        let so_far = Usage { output: TokenCount(output), ..self.usage };
        self.host.progress(Progress { doing: doing.into(), usage: used + so_far, cost });
    }

    fn write(&mut self, text: &str) {
        for part in text.split_inclusive('\n') {
            self.line.push_str(part);
            if self.line.ends_with('\n') || self.line.len() >= MAX_LINE {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let text = line.trim_end_matches(['\n', '\r']).to_owned();
        self.host.log(LogLine { stream: LogStream::Model, text });
    }

    /// Logs what is left.
    pub(super) fn finish(&mut self) {
        if !self.line.is_empty() {
            self.end_line();
        }
    }
}

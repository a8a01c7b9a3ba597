//! Whether rules mean an action: any part of it, or all of it.

use super::{
    Action, ActionKind, CommandLine, PermissionRule,
    command::{Redirection, Simple, Word},
    glob::{Places, segments},
    rule::Means,
};

/// An action, taken apart.
pub(super) struct Case<'a> {
    action: &'a Action,
    at: Places<'a>,
    command: Option<CommandLine>,
}

impl<'a> Case<'a> {
    pub(super) fn new(action: &'a Action, at: Places<'a>) -> Self {
        Self { action, at, command: action.command.as_deref().map(CommandLine::read) }
    }

    /// Whether its command does what is written, if it is one.
    pub(super) fn is_certain(&self) -> bool {
        self.command.as_ref().is_none_or(|command| command.certain)
    }

    /// Whether `rule` means any part of it, in whichever way that is written.
    pub(super) fn touches(&self, rule: &PermissionRule) -> bool {
        let action = self.action;
        match rule.means() {
            Means::Everything => true,
            Means::Tool(name) => name.matches(&action.tool),
            Means::Kind(kind) => {
                action.kind == *kind
                    || *kind == ActionKind::Run && action.command.is_some()
                    || *kind == ActionKind::Network && !action.hosts.is_empty()
                    || self.redirections().iter().any(|file| kind_of(file) == *kind)
            }
            Means::Host(_) => action.hosts.iter().any(|host| rule.is_of_host(host)),
            Means::Words(_) => {
                let commands = self.command.iter().flat_map(CommandLine::every_command);
                commands.into_iter().any(|command| rule.means_command(command))
            }
            Means::Paths(kind, _) => {
                let is = |path: &str| {
                    let path = segments(path, &self.at);
                    path.is_some_and(|path| rule.is_of_path(*kind, &path, &self.at))
                };
                // Of a path beside a command it is not known what is done with it.
                let named = match action.kind {
                    ActionKind::Read | ActionKind::Edit => action.kind == *kind,
                    ActionKind::Run | ActionKind::Network | ActionKind::Other => true,
                };
                let redirected = self.redirections();
                named && action.paths.iter().any(|path| is(path))
                    || redirected.iter().any(|file| kind_of(file) == *kind && is(&file.path))
                    || self.words().any(is)
            }
        }
    }

    /// Whether `rules` mean all of it together. `careful`: something else is denied or asked, which
    /// a command could hide.
    pub(super) fn is_covered(&self, rules: &[PermissionRule], careful: bool) -> bool {
        let action = self.action;
        let by_tool = rules.iter().any(|rule| rule.is_of_tool(action));
        let whole = by_tool && action.kind != ActionKind::Run;
        let hosts = whole || action.hosts.iter().all(|host| self.host_is_covered(rules, host));
        let all = |kind| {
            let mut paths = action.paths.iter();
            match action.paths.is_empty() {
                true => rules.iter().any(|rule| rule.is_of_kind(kind)),
                false => paths.all(|path| self.path_is_covered(rules, kind, path)),
            }
        };
        hosts
            && match action.kind {
                _ if action.command.is_some() => self.command_is_covered(rules, careful),
                ActionKind::Read | ActionKind::Edit => by_tool || all(action.kind),
                ActionKind::Network => {
                    by_tool
                        || !action.hosts.is_empty()
                        || rules.iter().any(|rule| rule.is_of_kind(ActionKind::Network))
                }
                ActionKind::Run => {
                    by_tool || rules.iter().any(|rule| rule.is_of_kind(ActionKind::Run))
                }
                ActionKind::Other => by_tool,
            }
    }

    fn host_is_covered(&self, rules: &[PermissionRule], host: &str) -> bool {
        let network = ActionKind::Network;
        rules.iter().any(|rule| rule.is_of_kind(network) || rule.is_of_host(host))
    }

    fn path_is_covered(&self, rules: &[PermissionRule], kind: ActionKind, path: &str) -> bool {
        let Some(path) = segments(path, &self.at) else { return false };
        let inside = path.starts_with(self.at.workspace) && !self.at.workspace.is_empty();
        rules.iter().any(|rule| {
            // What is allowed in general is allowed where the agent works.
            let of_kind = rule.is_of_kind(kind)
                && (inside || kind != ActionKind::Edit || *rule.means() == Means::Everything);
            of_kind || rule.is_of_path(kind, &path, &self.at)
        })
    }

    fn command_is_covered(&self, rules: &[PermissionRule], careful: bool) -> bool {
        let Some(line) = &self.command else { return false };
        let any = |rule: &PermissionRule| {
            rule.is_of_kind(ActionKind::Run) || rule.is_of_tool(self.action)
        };
        let in_general = rules.iter().any(any);
        let expands = || {
            let mut commands = line.every_command().into_iter();
            commands.any(|command| command.words.iter().any(|word| word.expands))
        };
        let certain = line.certain && !(careful && in_general && expands());
        if !certain {
            return in_general && !careful && self.files_are_covered(rules, line);
        }
        self.line_is_covered(rules, line, in_general)
    }

    /// Whether all of a command line is covered whose doing is certain.
    fn line_is_covered(
        &self,
        rules: &[PermissionRule],
        line: &CommandLine,
        in_general: bool,
    ) -> bool {
        let one = |command: &Simple| {
            let as_written = rules.iter().any(|rule| rule.allows_words(&command.words));
            in_general
                || as_written
                || command.script.as_ref().is_some_and(|script| {
                    script.certain && self.line_is_covered(rules, script, in_general)
                })
        };
        line.certain && line.commands.iter().all(one) && self.files_are_covered(rules, line)
    }

    fn files_are_covered(&self, rules: &[PermissionRule], line: &CommandLine) -> bool {
        line.redirections.iter().all(|file| {
            file.path == "/dev/null" || self.path_is_covered(rules, kind_of(file), &file.path)
        })
    }

    fn redirections(&self) -> Vec<&Redirection> {
        self.command.iter().flat_map(CommandLine::every_redirection).collect()
    }

    /// The words of its commands that may be paths, and what stands behind `=` in them.
    fn words(&self) -> impl Iterator<Item = &str> {
        let commands = self.command.iter().flat_map(CommandLine::every_command);
        commands.flat_map(|command| &command.words).flat_map(|word| {
            let behind = word.text.split_once('=').map(|(_, behind)| behind);
            std::iter::once(word.text.as_str()).chain(behind)
        })
    }

    /// The rules that mean it and nothing else.
    pub(super) fn exact_rules(&self) -> Option<Vec<PermissionRule>> {
        let action = self.action;
        let mut texts = Vec::new();
        if let Some(line) = &self.command {
            if !line.certain {
                return None;
            }
            for command in &line.commands {
                let words: Option<Vec<String>> = command.words.iter().map(quoted).collect();
                texts.push(format!("run({})", words?.join(" ")));
            }
            for file in line.redirections.iter().filter(|file| file.path != "/dev/null") {
                texts.push(format!("{}({})", kind_of(file), self.path_text(&file.path)?));
            }
        } else {
            match action.kind {
                kind @ (ActionKind::Read | ActionKind::Edit) => {
                    for path in &action.paths {
                        texts.push(format!("{kind}({})", self.path_text(path)?));
                    }
                }
                ActionKind::Other => texts.push(format!("tool({})", escaped(&action.tool))),
                ActionKind::Network | ActionKind::Run => {}
            }
        }
        texts.extend(action.hosts.iter().map(|host| format!("network({})", escaped(host))));
        let rules: Option<Vec<PermissionRule>> =
            texts.iter().map(|text| text.parse().ok()).collect();
        rules.filter(|rules| !rules.is_empty())
    }

    /// `path` as a pattern that means nothing else: relative where it is in the workspace.
    fn path_text(&self, path: &str) -> Option<String> {
        let parts = segments(path, &self.at)?;
        let below = parts.strip_prefix(self.at.workspace).filter(|below| !below.is_empty());
        let join =
            |parts: &[String]| parts.iter().map(|part| escaped(part)).collect::<Vec<_>>().join("/");
        Some(match below {
            Some(below) if below[0].starts_with('~') => format!("./{}", join(below)),
            Some(below) => join(below),
            None => format!("/{}", join(&parts)),
        })
    }
}

fn kind_of(file: &Redirection) -> ActionKind {
    if file.writes { ActionKind::Edit } else { ActionKind::Read }
}

/// `text` as a pattern that matches nothing else.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if matches!(c, '*' | '?' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// A word of a command as a pattern that matches nothing else.
fn quoted(word: &Word) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:=@%+,-".contains(c);
    let text = &word.text;
    match text {
        _ if word.expands => None,
        _ if !text.is_empty() && text.chars().all(plain) => Some(text.clone()),
        _ if !text.contains('\'') => Some(format!("'{text}'")),
        _ if !text.contains('"') => Some(format!("\"{text}\"")),
        _ => None,
    }
}

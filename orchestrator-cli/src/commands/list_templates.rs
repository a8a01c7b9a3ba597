//! `orchestrator list-templates`

use super::{list_agents, listing};
use crate::{
    context::Context,
    exit::Exit,
    output::table::{Align, Table},
    problem::Failure,
};
use clap::Args;
use orchestrator_service::views::TemplateView;

/// List the templates and workflows that `execute` can name, and whether each can run here
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator list-templates
  orchestrator list-templates --search review --json")]
pub(crate) struct ListTemplates {
    /// Only those with this text in their name or description
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
}

impl ListTemplates {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let console = &context.console;
        let templates = context.service()?.templates(self.search.as_deref())?;
        if console.json {
            console.document(&templates)?;
            return Ok(Exit::Done);
        }
        let mut table = Table::new(&[
            ("TEMPLATE", Align::Left),
            ("FROM", Align::Left),
            ("INPUTS (* required)", Align::Left),
            ("READY", Align::Left),
            ("WHAT IT DOES", Align::Left),
        ]);
        for template in &templates.items {
            let ready = if template.ready { list_agents::ready(true, None) } else { "no".into() };
            table.row(vec![
                template.name.as_str().into(),
                template.source.into(),
                template.inputs.join(", ").into(),
                ready,
                template.description.as_str().into(),
            ]);
        }
        if !templates.items.is_empty() {
            console.table(&table)?;
        }
        for (names, reason) in not_ready(&templates.items) {
            console.hint(&format!("not ready: {}: {reason}", names.join(", ")));
        }
        listing::tail(console, "templates", templates.items.is_empty(), templates.next.as_deref());
        Ok(Exit::Done)
    }
}

/// The templates that cannot run here, those of one reason together.
fn not_ready(templates: &[TemplateView]) -> Vec<(Vec<&str>, String)> {
    let mut groups: Vec<(Vec<&str>, String)> = Vec::new();
    for template in templates.iter().filter(|template| !template.ready) {
        let name = template.name.as_str();
        let reason = template.reason.as_deref().unwrap_or("it cannot run here");
        let reason = reason.replace(&format!("`{name}`"), "it");
        match groups.iter_mut().find(|(_, known)| *known == reason) {
            Some((names, _)) => names.push(name),
            None => groups.push((vec![name], reason)),
        }
    }
    groups
}

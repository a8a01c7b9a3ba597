//! Agents and templates.

use super::tasks::Standings;
use crate::{
    OrchestratorService, ServiceError,
    document::Diagnostic,
    health::{Depth, Health},
    roster::{Member, Provider, Roster},
    templates::{Listed, refuse},
    views::{
        AccountView, AgentDetails, AgentStatus, AgentView, AttemptView, CapabilityView, List,
        TemplateView,
    },
};
use orchestrator_agents::coding::{self, Offer};
use orchestrator_core::task::TaskSpec;
use serde_json::Map;
use std::collections::BTreeSet;

/// How many attempts the details of an agent show.
const ATTEMPTS: usize = 20;

impl OrchestratorService {
    /// The agents that can be named, those from the settings first.
    ///
    /// # Errors
    /// Invalid settings.
    pub async fn agents(&self, search: Option<&str>) -> Result<List<AgentView>, ServiceError> {
        let roster = self.roster()?;
        let health = self.health(None, Depth::Files).await?;
        let views = roster
            .members()
            .into_iter()
            .map(|member| agent_view(member, roster, &health))
            .filter(|view| fits(search, [&view.name, &view.role, &view.provider]));
        Ok(List { schema: "orchestrator.agents/v1", items: views.collect(), next: None })
    }

    /// Everything about one agent.
    ///
    /// # Errors
    /// An unknown agent.
    pub async fn agent(&self, name: &str) -> Result<AgentDetails, ServiceError> {
        let roster = self.roster()?;
        let member = roster.get(name)?;
        let asked = BTreeSet::from([member.spec.name.clone()]);
        let health = self.health(Some(&asked), Depth::Ask).await?;
        let rates = roster.price(&member.spec).map(|price| &price.rates);
        let mut items = Vec::new();
        if let Some(opened) = self.store_if_any()? {
            let attempts = opened.catalog().attempts_of(&member.spec.name, ATTEMPTS).await;
            let mut standings = Standings::default();
            for attempt in attempts.map_err(|e| opened.failed(e))? {
                if let Some(standing) = standings.of(self, opened, &attempt.run).await? {
                    items.push(AttemptView::new(&attempt, standing));
                }
            }
        }
        Ok(AgentDetails {
            schema: "orchestrator.agent/v1",
            agent: agent_view(member, roster, &health),
            instructions: if member.answers_prompts() {
                member.spec.instructions().to_owned()
            } else {
                String::new()
            },
            max_tokens: member.spec.max_tokens,
            input_usd_per_million: rates.map(|rates| rates.input),
            output_usd_per_million: rates.map(|rates| rates.output),
            capabilities: capabilities(member),
            items,
        })
    }

    /// The templates and workflows that can be named.
    ///
    /// # Errors
    /// Invalid settings.
    pub fn templates(&self, search: Option<&str>) -> Result<List<TemplateView>, ServiceError> {
        let catalogue = self.catalogue()?;
        let views =
            catalogue.list().into_iter().map(|listed| self.template_view(&catalogue, listed));
        let views = views.collect::<Result<Vec<_>, _>>()?;
        let items = views
            .into_iter()
            .filter(|view| fits(search, [&view.name, &view.description, &view.version]));
        Ok(List { schema: "orchestrator.templates/v1", items: items.collect(), next: None })
    }

    fn template_view(
        &self,
        catalogue: &crate::templates::Catalogue,
        listed: Listed,
    ) -> Result<TemplateView, ServiceError> {
        let mut view = TemplateView {
            name: listed.name,
            version: String::new(),
            description: String::new(),
            source: listed.home.as_str(),
            file: listed.file.map(|file| file.display().to_string()),
            inputs: Vec::new(),
            agents: Vec::new(),
            ready: false,
            reason: None,
        };
        let loaded = match listed.broken {
            Some(diagnostics) => Err(refuse(diagnostics)),
            None => catalogue.load(&view.name),
        };
        let judged = loaded.and_then(|loaded| {
            let shown =
                |name: &str, required: bool| format!("{name}{}", if required { "*" } else { "" });
            view.inputs = loaded.parameters().iter().map(|p| shown(&p.name, p.required)).collect();
            // A template whose parameters are all optional can be looked at as a workflow.
            let mut workflow = loaded.instantiate(&Map::new())?;
            view.version.clone_from(&workflow.version);
            view.description = workflow.description.clone().unwrap_or_default();
            view.inputs.extend(workflow.inputs.iter().map(|i| shown(&i.name, i.required)));
            for wanted in workflow.tasks.iter().filter_map(TaskSpec::wanted) {
                if !view.agents.iter().any(|agent| agent == wanted) {
                    view.agents.push(wanted.to_owned());
                }
            }
            self.complete(&mut workflow, &loaded, &[]).map(drop)
        });
        match judged {
            Ok(()) => view.ready = true,
            Err(error) => {
                let help = error.help().map(|help| format!("; {help}")).unwrap_or_default();
                view.reason = Some(format!("{}: {error}{help}", error.code()));
            }
        }
        Ok(view)
    }
}

fn agent_view(member: &Member, roster: &Roster, health: &Health) -> AgentView {
    let spec = &member.spec;
    let reason = |diagnostic: &Diagnostic| {
        let help = diagnostic.suggestion.as_ref().map(|help| format!("; {help}"));
        format!("{}: {diagnostic}{}", diagnostic.code, help.unwrap_or_default())
    };
    let accounts = roster.accounts_of(spec.provider.as_str()).into_iter();
    let accounts = accounts.filter(|(name, _)| *name != spec.provider.as_str());
    let account = |(name, account): (&str, &Provider)| AccountView {
        name: name.to_owned(),
        ready: account.config.is_ok(),
        reason: account.config.as_ref().err().map(|diagnostic| reason(diagnostic)),
    };
    let (unusable, trouble) = (health.unusable(member), health.trouble(member));
    let at_work = health.at_work(&spec.name);
    AgentView {
        accounts: accounts.map(account).collect(),
        name: spec.name.to_string(),
        role: spec.role.to_string(),
        provider: spec.provider.to_string(),
        mode: member
            .program
            .as_ref()
            .and_then(|program| program.coding.as_ref())
            .map(|coding| coding.mode.as_str().to_owned()),
        model: spec.model.clone(),
        rule: spec.route.as_ref().map(|route| route.rule.clone()),
        models: spec
            .route
            .iter()
            .flat_map(|route| &route.models)
            .map(ToString::to_string)
            .collect(),
        fall_back: spec.fall_back.iter().map(ToString::to_string).collect(),
        source: member.source.as_str().to_owned(),
        ready: unusable.is_none(),
        reason: unusable.as_ref().map(reason),
        status: match (&unusable, &trouble, at_work) {
            (Some(_), _, _) => AgentStatus::Unavailable,
            (None, Some(_), _) => AgentStatus::Error,
            (None, None, 0) => AgentStatus::Available,
            (None, None, 1..) => AgentStatus::Busy,
        },
        trouble: trouble.as_ref().filter(|_| unusable.is_none()).map(reason),
        at_work,
        program: health.program(member),
    }
}

fn capabilities(member: &Member) -> Vec<CapabilityView> {
    let Some(adapter) = coding::adapter(member.spec.provider.as_str()) else { return Vec::new() };
    let view = |(name, offer): (&str, Offer)| CapabilityView {
        name: name.to_owned(),
        offered: offer.is_offered(),
        reason: match offer {
            Offer::Yes => None,
            Offer::No(why) => Some(why.to_owned()),
        },
    };
    adapter.capabilities().each().into_iter().map(view).collect()
}

fn fits<const N: usize>(search: Option<&str>, texts: [&String; N]) -> bool {
    search.is_none_or(|search| {
        let search = search.to_lowercase();
        texts.iter().any(|text| text.to_lowercase().contains(&search))
    })
}

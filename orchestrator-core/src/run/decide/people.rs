//! What people are asked and what follows from what they say.

use super::{super::Run, Deciding};
use crate::{
    command::AttemptKey,
    effect::Effect,
    error::{ErrorClass, Failure},
    event::{Ask, AskKind, Content, Event, Reply, Verdict},
    id::{AgentName, QuestionNumber},
    permission::{Action, Decision, PermissionRule, Permissions},
};
use std::{borrow::Cow, path::Path};

impl Run {
    /// An attempt asks. What a person has allowed for the rest of the run is answered at once.
    pub(super) fn ask_person(&mut self, attempt: AttemptKey, ask: Ask, to: &mut Deciding<'_>) {
        let Some(place) = self.place(attempt.task.as_str()) else { return };
        let mut open = self.tasks[place].asks().iter();
        if open.any(|open| open.ask.question == ask.question) {
            return;
        }
        if let (Some(question), Some(action)) = (ask.question, &ask.action)
            && let Some(by) = self.allowed_by(place, action)
        {
            let reply = Reply::new(Verdict::Approved, by).to(Some(question)).for_good();
            self.effects.push(Effect::AnswerAttempt { attempt, question, reply });
            return;
        }
        self.record(to, Event::PersonAsked { task: attempt.task, ask: Box::new(ask) });
    }

    /// Who has allowed what the agent at `place` wants to do for the rest of the run, if somebody has.
    fn allowed_by(&self, place: usize, action: &Action) -> Option<String> {
        let agent = self.tasks[place].last_agent.as_ref()?;
        let own = self.allowances.iter().filter(|allowed| allowed.agent == *agent);
        let by = own.clone().next_back()?.by.clone();
        let rules: Vec<PermissionRule> = own.map(|allowed| allowed.rule.clone()).collect();
        let permissions = self.permissions_of(agent);
        let ruling = permissions.decide(action, self.ground(place), &rules);
        (ruling.decision == Decision::Allow).then_some(by)
    }

    fn permissions_of(&self, agent: &AgentName) -> Cow<'_, Permissions> {
        match self.agent_spec(agent).and_then(|spec| spec.permissions.as_deref()) {
            Some(permissions) => Cow::Borrowed(permissions),
            None => Cow::Owned(Permissions::default()),
        }
    }

    /// Where the agent at `place` works.
    fn ground(&self, place: usize) -> &Path {
        let opened = self.tasks[place].work().and_then(|work| work.opened.as_deref());
        opened.map_or(&self.created.directory, |opened| &opened.directory)
    }

    /// An attempt does not wait any more for what it asked.
    pub(super) fn withdraw(
        &mut self,
        place: usize,
        question: QuestionNumber,
        to: &mut Deciding<'_>,
    ) {
        let mut asks = self.tasks[place].asks().iter();
        if asks.any(|asked| asked.ask.question == Some(question)) {
            let by = self.tasks[place].last_agent.as_ref().map_or("the agent", AgentName::as_str);
            let reply = Reply::new(Verdict::Expired, by).to(Some(question));
            let task = self.name(place);
            self.record(to, Event::PersonAnswered { task, reply, allows: Vec::new() });
        }
    }

    /// What a person says to what the task at `place` asks.
    ///
    /// # Errors
    /// In words, why it cannot be taken; nothing has changed then.
    pub(super) fn reply(
        &mut self,
        place: usize,
        reply: Reply,
        to: &mut Deciding<'_>,
    ) -> Result<(), String> {
        let task = self.name(place);
        let ask = self.find_ask(place, reply.question)?;
        let result = match (&reply.verdict, ask.kind) {
            (Verdict::Answered(text), AskKind::Outcome) => Some(self.given(place, text)?),
            _ => None,
        };
        let allows = match reply.always {
            true => self.rules_of(place, &ask, &reply.verdict)?,
            false => Vec::new(),
        };
        let reply = reply.to(ask.question);
        let (verdict, by) = (reply.verdict.clone(), reply.by.clone());
        let answer = reply.clone();
        let allowed_more = !allows.is_empty();
        self.record(to, Event::PersonAnswered { task: task.clone(), reply, allows });
        let refused = |said: &str| match said {
            "" => Failure::new(ErrorClass::Refused, format!("rejected by {by}")),
            said => Failure::new(ErrorClass::Refused, format!("rejected by {by}: {said}")),
        };
        match (ask.kind, verdict) {
            (AskKind::Question | AskKind::Permission, _) => {
                if let (Some(attempt), Some(question)) = (self.key_of(place), ask.question) {
                    let reply = answer;
                    self.effects.push(Effect::AnswerAttempt { attempt, question, reply });
                }
            }
            (AskKind::Approval, Verdict::Approved) => {
                let output = Some(approval(&by, None));
                self.record(to, Event::TaskSucceeded { task, output });
            }
            (AskKind::Approval, Verdict::Answered(text)) => {
                let output = Some(approval(&by, Some(text)));
                self.record(to, Event::TaskSucceeded { task, output });
            }
            (AskKind::Outcome, Verdict::Answered(_)) => {
                self.record(to, Event::TaskSucceeded { task, output: result });
            }
            (_, Verdict::Rejected(reason)) => {
                self.record(to, Event::TaskFailed { task, failure: refused(&reason) });
            }
            (_, Verdict::Expired) => {
                let failure = Failure::new(ErrorClass::TimedOut, "nobody answered in time");
                self.record(to, Event::TaskFailed { task, failure });
            }
            // It is tried again: the fold has said when.
            (AskKind::Failure | AskKind::Outcome, Verdict::Approved)
            | (AskKind::Failure, Verdict::Answered(_)) => {}
        }
        if allowed_more {
            self.answer_what_is_allowed(to);
        }
        Ok(())
    }

    /// Which of the things that the task at `place` asks is meant.
    fn find_ask(&self, place: usize, question: Option<QuestionNumber>) -> Result<Ask, String> {
        let task = self.name(place);
        let asks = self.tasks[place].asks();
        let found = match (question, asks) {
            (_, []) => return Err(format!("nobody is asked about `{task}`")),
            (None, [only]) => Some(only),
            (None, several) => {
                let numbers: Vec<String> = several
                    .iter()
                    .filter_map(|asked| Some(asked.ask.question?.to_string()))
                    .collect();
                let numbers = numbers.join(", ");
                return Err(format!("`{task}` asks several things, {numbers}: say which"));
            }
            (Some(_), asks) => asks.iter().find(|asked| asked.ask.question == question),
        };
        match (found, question) {
            (Some(found), _) => Ok((*found.ask).clone()),
            (None, Some(number)) => Err(format!("question {number} of `{task}` is not open")),
            (None, None) => Err(format!("nobody is asked about `{task}`")),
        }
    }

    /// The rules by which a yes to `question` of the task at `place` would hold for the rest of the
    /// run.
    ///
    /// # Errors
    /// In words, why it cannot.
    pub fn rules_for_good(
        &self,
        place: usize,
        question: Option<QuestionNumber>,
    ) -> Result<Vec<PermissionRule>, String> {
        let ask = self.find_ask(place, question)?;
        self.rules_of(place, &ask, &Verdict::Approved)
    }

    /// The rules by which what is asked is allowed for good.
    fn rules_of(
        &self,
        place: usize,
        ask: &Ask,
        verdict: &Verdict,
    ) -> Result<Vec<PermissionRule>, String> {
        let (Some(action), Verdict::Approved) = (&ask.action, verdict) else {
            return Err("only a yes to a permission holds for the rest of the run".into());
        };
        let agent = self.tasks[place].last_agent.as_ref();
        let permissions = agent.map(|agent| self.permissions_of(agent)).unwrap_or_default();
        permissions.exactly(action, self.ground(place)).ok_or_else(|| {
            let what = action.headline();
            format!("no rule says exactly what {what} does: it can be allowed this once only")
        })
    }

    /// Other things may wait for what was just allowed for good.
    fn answer_what_is_allowed(&mut self, to: &mut Deciding<'_>) {
        for place in 0..self.tasks.len() {
            let open: Vec<(Option<QuestionNumber>, Option<String>)> = self.tasks[place]
                .asks()
                .iter()
                .filter_map(|asked| {
                    let action = asked.ask.action.as_deref()?;
                    Some((asked.ask.question, self.allowed_by(place, action)))
                })
                .collect();
            for (question, by) in open {
                if let Some(by) = by {
                    let reply = Reply::new(Verdict::Approved, by).to(question);
                    // It is open, and a yes without more fits.
                    let _ = self.reply(place, reply, to);
                }
            }
        }
    }
}

/// What an approval leaves.
fn approval(by: &str, answer: Option<String>) -> Content {
    Content::Inline(serde_json::json!({ "approved": true, "by": by, "answer": answer }))
}

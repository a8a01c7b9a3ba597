//! The commands that change what a task waits for.

use orchestrator_core::{event::AskKind, id::TaskId, port::RunRow, run::Reason, schedule::HeldUp};

/// Where the run stands that was asked about.
#[derive(Debug)]
pub(super) struct Standing<'a> {
    pub(super) run: &'a RunRow,
    /// Whether nobody drives it.
    pub(super) undriven: bool,
    /// The task at the root, perhaps of a child run.
    pub(super) at: &'a TaskId,
}

/// The commands that help when `reason` is the root of the matter, the most likely first.
pub(super) fn after(reason: &Reason, standing: &Standing<'_>) -> Vec<String> {
    let (run, at) = (&standing.run.id, standing.at);
    let over = standing.run.status.is_final();
    let again = || match over {
        true => vec![format!("orchestrator retry {run}")],
        false => Vec::new(),
    };
    let mut actions = match reason {
        Reason::Person { ask: AskKind::Permission, questions, .. } => {
            // One of several is named by its number.
            let which = match &questions[..] {
                [first, _, ..] => format!(" --question {first}"),
                _ => String::new(),
            };
            vec![
                format!("orchestrator approve {at}{which}"),
                format!("orchestrator reject {at}{which}"),
                format!("orchestrator approve {at}{which} --always"),
            ]
        }
        Reason::Person { ask, .. } => match ask {
            AskKind::Permission => Vec::new(),
            AskKind::Approval | AskKind::Failure => {
                vec![format!("orchestrator approve {at}"), format!("orchestrator reject {at}")]
            }
            AskKind::Question => vec![format!("orchestrator answer {at} \"TEXT\"")],
            AskKind::Outcome => vec![
                format!("orchestrator answer {at} \"RESULT\""),
                format!("orchestrator approve {at}"),
                format!("orchestrator reject {at}"),
            ],
        },
        // A limit of the settings: another budget of the run would not change it.
        Reason::Budget { until: Some(_), .. } => {
            vec![format!("orchestrator approve {at}"), format!("orchestrator reject {at}")]
        }
        Reason::Budget { until: None, .. } => vec![
            format!("orchestrator resume {run} --budget USD"),
            format!("orchestrator approve {at}"),
            format!("orchestrator reject {at}"),
        ],
        Reason::Paused {} => vec![format!("orchestrator resume {run}")],
        Reason::Attempt { .. } | Reason::Child { .. } => {
            vec![format!("orchestrator logs {at} -f"), format!("orchestrator kill {at}")]
        }
        Reason::HeldUp { held_up: HeldUp::Group { run: Some(other), task: Some(task), .. } } => {
            vec![format!("orchestrator why {}", TaskId::of(other, task))]
        }
        Reason::HeldUp { .. } => vec!["orchestrator status".to_owned()],
        Reason::Failed { .. } => {
            [vec![format!("orchestrator task-details {at}")], again()].concat()
        }
        Reason::Cancelled { .. } | Reason::Undone { .. } => again(),
        Reason::Skipped { .. } | Reason::Succeeded { .. } => {
            vec![format!("orchestrator task-details {at}")]
        }
        Reason::Retry { .. } | Reason::Reset { .. } | Reason::Delay { .. } => {
            vec![format!("orchestrator kill {at}")]
        }
        _ => Vec::new(),
    };
    let resume = format!("orchestrator resume {run}");
    if standing.undriven && !actions.iter().any(|action| action.starts_with(&resume)) {
        // What a person says is kept until somebody drives the run again.
        let place = match reason {
            Reason::Person { .. } | Reason::Budget { .. } => actions.len(),
            _ => 0,
        };
        actions.insert(place, resume);
    }
    actions
}

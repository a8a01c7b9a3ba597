//! Which reply comes next.

use super::{ModelRequest, Reply};
use std::collections::VecDeque;

type Condition = Box<dyn Fn(&ModelRequest) -> bool + Send>;

/// Rules first, in the order in which they were made; then the queue; then the last resort.
#[derive(Default)]
pub(super) struct Script {
    pub(super) rules: Vec<(Condition, Reply)>,
    pub(super) queue: VecDeque<Reply>,
    pub(super) otherwise: Option<Reply>,
}

impl Script {
    pub(super) fn reply_to(&mut self, request: &ModelRequest) -> Reply {
        let ruled = self.rules.iter().find(|(applies, _)| applies(request));
        if let Some((_, reply)) = ruled {
            return reply.clone();
        }
        self.queue.pop_front().or_else(|| self.otherwise.clone()).unwrap_or_else(|| {
            let asked: String = request.last_user_message().chars().take(80).collect();
            let message = format!("no reply is scripted for `{asked}`");
            Reply::error(400, "invalid_request_error", message)
        })
    }
}

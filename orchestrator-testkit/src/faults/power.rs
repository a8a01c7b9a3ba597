//! Whether a simulated process is alive.

use std::sync::Arc;
use tokio::sync::watch;

/// The power of one process. A cheap handle: clones share one supply. Once it is cut, it stays cut.
#[derive(Debug, Clone)]
pub struct Power {
    cut: Arc<watch::Sender<bool>>,
}

impl Default for Power {
    fn default() -> Self {
        Self { cut: Arc::new(watch::Sender::new(false)) }
    }
}

impl Power {
    /// Ends the process: whatever is held by [`Power::hold`] from now on never goes on.
    pub fn cut(&self) {
        self.cut.send_replace(true);
    }

    /// Whether it was cut.
    pub fn is_cut(&self) -> bool {
        *self.cut.borrow()
    }

    /// Resolves at once while there is power, and never without.
    pub async fn hold(&self) {
        if self.is_cut() {
            std::future::pending::<()>().await;
        }
    }

    /// Resolves when it is cut.
    pub async fn lost(&self) {
        let mut watched = self.cut.subscribe();
        // The sender lives as long as this handle does, so that the wait can't fail.
        let _ = watched.wait_for(|cut| *cut).await;
    }
}

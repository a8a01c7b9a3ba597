//! Places of attempts: a git worktree, a copy, an empty directory, or the project itself.
//!
//! Each is a directory below `worktrees` of the state directory, with its files beside it and not
//! inside, where an agent could reach them:
//!
//! | file | what |
//! |---|---|
//! | `NAME/` | the directory |
//! | `NAME.mark` | whose it is and how far it has come: written before the directory is made |
//! | `NAME.lock` | locked by the process that uses it, so that the system lets go when that dies |
//! | `NAME.index` | what of its files is known already |
//! | `NAME.exclude` | what is not recorded besides what `.gitignore` files say |
//! | `NAME.gone` | the directory on its way out |
//! | `NAME.spare` | how git comes to know the directory again, for a moment |
//! | `.pool/` | directories that are ready before somebody asks |
//!
//! `NAME` is `RUN+TASK+ATTEMPT`. What has no mark is never touched. [`list`](crate::GitWorkspaces::list),
//! [`recover`](crate::GitWorkspaces::recover) and [`clean`](crate::GitWorkspaces::clean) find places again
//! after a crash.

mod commands;
mod copy;
mod keep;
mod mark;
mod open;
mod pool;
mod ports;
mod recycle;
mod submodules;
mod sweep;

pub use keep::{Cleaned, Place, PlaceState};
pub(crate) use mark::{Claim, Last, Mark, Registry, Stage};
pub(crate) use open::blocking;
pub use pool::Prepared;
pub(crate) use pool::{Bounds, Pool};
pub(crate) use ports::RANGE as PORTS;
pub(crate) use submodules::check_out as check_out_submodules;
pub(crate) use sweep::{remove_all, size_of, size_up_to};

//! Git, for what agents make: run so that nothing of theirs is executed and nothing of the user's is
//! changed.
//!
//! [`Git`] is the program; a [`Repository`] is where a project belongs. What is made is built from
//! objects and refs alone: a tree from a directory ([`Repository::tree_of`]) through an index of its
//! own, a commit from a tree, a merge of commits without a checkout, and a ref that moves only from
//! where it was thought to be ([`Repository::update_refs`]). The user's checkout, index, stashes and
//! branches are not part of that.
//!
//! Not run, whatever a repository or its files say: hooks, file system monitors, external diffs,
//! text converters, editors, pagers, credential helpers, transports. Filters and merge drivers run
//! when the user's or the system's own configuration defines them, never when only the repository's
//! does.
//!
//! What no object holds is not looked for on the network. Replacements and grafts do not count.

pub(crate) mod bytes;
mod checkout;
mod diff;
mod drivers;
mod error;
mod history;
mod merge;
mod names;
pub(crate) mod program;
mod refs;
mod repository;
mod scan;
mod submodules;
mod tree;
mod worktrees;

pub use checkout::Checkout;
pub use diff::{Diff, LineCount};
pub use error::GitError;
pub use history::{CommitInfo, Identity, NewCommit};
pub use merge::Merge;
pub use names::{ATTEMPTS, CHECKPOINTS, attempt_branch, checkpoint_ref, result_branch};
pub use program::Git;
pub use refs::{Head, RefChange};
pub use repository::{Operation, Repository};
pub use scan::{Scan, Scanned};
pub use submodules::Submodule;
pub use tree::{EntryKind, TreeEntry};
pub use worktrees::Linked;

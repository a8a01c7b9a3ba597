//! The writer's analyst: what readers need and do not find.

mod item;
mod link;
mod page;

use super::{Index, Options, Report};

/// Reports missing pages, gaps in the README, public items without documentation and dead links.
pub fn analyse(index: &Index, options: &Options) -> Report {
    let mut report = Report::new("docs");
    let pages = page::check(index, &mut report);
    let links = link::check(index, &options.cancelled, &mut report);
    let items = item::check(index, &options.cancelled, &mut report);

    report.summary = format!(
        "{} of {} usual pages are there. {} links within {} Markdown files were followed, {} of \
         them dead.",
        pages.found, pages.expected, links.checked, links.files, links.dead
    );
    if items.public > 0 {
        report.summary.push_str(&format!(
            " {} % of {} public items are documented.",
            items.percent(),
            items.public
        ));
    }
    report.finish();
    report
}

//! The writer's analyst: what readers need and do not find.

mod item;
mod link;
mod page;

use super::{Index, Options, Report, phrase::counted};

/// Reports missing pages, gaps in the README, public items without documentation and dead links.
pub fn analyse(index: &Index, options: &Options) -> Report {
    let mut report = Report::new("docs");
    let pages = page::check(index, &mut report);
    let links = link::check(index, &options.cancelled, &mut report);
    let items = item::check(index, &options.cancelled, &mut report);

    report.summary = format!(
        "{} of {} usual pages {} there. {}",
        pages.found,
        pages.expected,
        if pages.found == 1 { "is" } else { "are" },
        said(&links)
    );
    if items.public > 0 {
        report.summary.push_str(&format!(
            " {} % of {} documented.",
            items.percent(),
            if items.public == 1 {
                "1 public item is".to_owned()
            } else {
                format!("{} public items are", items.public)
            }
        ));
    }
    report.finish();
    report
}

/// What came of the links, in a sentence.
fn said(links: &link::Links) -> String {
    let pages = counted(links.files, "Markdown page", "Markdown pages");
    match (links.files, links.checked, links.dead) {
        (0, ..) => "There are no Markdown pages whose links could be followed.".to_owned(),
        (1, 0, _) => "1 Markdown page holds no links to other pages of the project.".to_owned(),
        (_, 0, _) => format!("{pages} hold no links to other pages of the project."),
        (_, followed, dead) => {
            let followed = counted(followed, "link was", "links were");
            let dead = match dead {
                0 => "none is dead".to_owned(),
                1 => "1 is dead".to_owned(),
                dead => format!("{dead} are dead"),
            };
            format!("{followed} followed within {pages}; {dead}.")
        }
    }
}

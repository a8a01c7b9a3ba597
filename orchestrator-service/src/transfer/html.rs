//! A run as one page that needs nothing else to be read.

use crate::views::{RunDetails, TaskView};
use std::fmt::{self, Write};

/// The page's look; it refers to nothing outside.
const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1b1f24}\
    table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #d5dae0;vertical-align:top}\
    td.number{text-align:right;font-variant-numeric:tabular-nums}pre{white-space:pre-wrap;background:#f4f6f8;padding:.6rem;overflow-wrap:anywhere}\
    .succeeded{color:#15722b}.failed{color:#b3231b}.skipped,.pending{color:#667079}\
    @media(prefers-color-scheme:dark){body{background:#14171a;color:#dfe4e9}pre{background:#1f2429}th,td{border-color:#39414a}\
    .succeeded{color:#56c271}.failed{color:#ff7b72}}";

/// The most characters that are shown of what one task left.
const SHOWN: usize = 20_000;

/// Text that is nothing but text.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// The page of a run; `outputs` has what each task left, in words, in the order of its tasks.
pub(crate) fn page(details: &RunDetails, outputs: &[Option<String>]) -> String {
    let mut page = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut page, details, outputs);
    page
}

fn write(page: &mut String, details: &RunDetails, outputs: &[Option<String>]) -> fmt::Result {
    let run = &details.run;
    let title = format!("{} {}", run.workflow, run.id);
    let title = Escaped(&title);
    write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n<h1>{title}</h1>\n<table>\n"
    )?;
    let ended = run.ended_at.clone().unwrap_or_else(|| "not yet".into());
    for (name, value) in [
        ("Status", run.status.clone()),
        ("Version", run.version.clone()),
        ("From", run.source.clone()),
        ("Created", run.created_at.clone()),
        ("Ended", ended),
        ("Tasks", format!("{} of {} ended, {} failed", run.ended, run.tasks, run.failed)),
        ("Tokens", run.spent.tokens().to_string()),
        ("Cost", run.spent.cost().to_string()),
    ] {
        writeln!(page, "<tr><th>{name}<td>{}", Escaped(&value))?;
    }
    let inputs = serde_json::to_string_pretty(&details.inputs).unwrap_or_default();
    write!(page, "</table>\n<h2>Inputs</h2>\n<pre>{}</pre>\n<h2>Tasks</h2>\n", Escaped(&inputs))?;
    page.push_str(
        "<table>\n<tr><th>Task<th>Status<th>Proof<th>Agent<th>Attempts<th>Time<th>Cost<th>Error\n",
    );
    details.items.iter().try_for_each(|task| row(page, task))?;
    page.push_str("</table>\n");
    for (task, output) in details.items.iter().zip(outputs) {
        if let Some(text) = output {
            let shown: String = text.chars().take(SHOWN).collect();
            let more = if shown.len() < text.len() { "\n…" } else { "" };
            let (name, shown) = (Escaped(&task.name), Escaped(&shown));
            writeln!(page, "<h3>{name}</h3>\n<pre>{shown}{more}</pre>")?;
        }
    }
    page.push_str("</html>\n");
    Ok(())
}

fn row(page: &mut String, task: &TaskView) -> fmt::Result {
    let error = task.error.as_ref().map(|error| format!("{}: {}", error.class, error.message));
    writeln!(
        page,
        "<tr><td>{}<td class=\"{1}\">{1}<td>{2}<td>{3}<td class=\"number\">{4}<td class=\"number\">{5} ms\
         <td class=\"number\">{6}<td>{7}",
        Escaped(&task.name),
        Escaped(&task.status),
        match task.verified {
            Some(true) => "verified",
            Some(false) => "unverified",
            None => "-",
        },
        Escaped(task.agent.as_deref().unwrap_or_default()),
        task.attempts,
        task.elapsed_ms,
        Escaped(&task.spent.cost().to_string()),
        Escaped(error.as_deref().unwrap_or_default()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        let text = Escaped("<img src=x onerror=\"a\">&'").to_string();
        assert_eq!(text, "&lt;img src=x onerror=&quot;a&quot;&gt;&amp;&#39;");
    }
}

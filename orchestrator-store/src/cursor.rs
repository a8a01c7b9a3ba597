//! Where a list goes on: text that only this crate reads.

use orchestrator_core::port::{Page, StoreError};

/// The place of a run in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunPlace {
    /// When it was created, as stored.
    pub(crate) created_at: i64,
    /// Its id.
    pub(crate) id: String,
}

/// The place of a task in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TaskPlace {
    /// Its run's place.
    pub(crate) run: RunPlace,
    /// Its position in the workflow.
    pub(crate) position: i64,
    /// Its name.
    pub(crate) name: String,
}

impl RunPlace {
    /// Writes `r/CREATED/ID`; neither ids nor names contain a slash.
    pub(crate) fn encode(&self) -> String {
        format!("r/{}/{}", self.created_at, self.id)
    }

    /// Reads what [`RunPlace::encode`] wrote into the page's cursor, if it has one.
    pub(crate) fn of(page: &Page) -> Result<Option<Self>, StoreError> {
        let Some(text) = &page.cursor else { return Ok(None) };
        let read = || {
            let (created_at, id) = text.strip_prefix("r/")?.split_once('/')?;
            Some(Self { created_at: created_at.parse().ok()?, id: id.to_owned() })
        };
        read().map(Some).ok_or_else(|| invalid(text))
    }
}

impl TaskPlace {
    /// Writes `t/CREATED/ID/POSITION/NAME`.
    pub(crate) fn encode(&self) -> String {
        format!("t/{}/{}/{}/{}", self.run.created_at, self.run.id, self.position, self.name)
    }

    /// Reads what [`TaskPlace::encode`] wrote into the page's cursor, if it has one.
    pub(crate) fn of(page: &Page) -> Result<Option<Self>, StoreError> {
        let Some(text) = &page.cursor else { return Ok(None) };
        let read = || {
            let mut parts = text.strip_prefix("t/")?.splitn(4, '/');
            let run =
                RunPlace { created_at: parts.next()?.parse().ok()?, id: parts.next()?.to_owned() };
            let position = parts.next()?.parse().ok()?;
            Some(Self { run, position, name: parts.next()?.to_owned() })
        };
        read().map(Some).ok_or_else(|| invalid(text))
    }
}

/// Reads `l/PLACE`, the place of settled work, from the page's cursor, if it has one.
pub(crate) fn settled(page: &Page) -> Result<Option<i64>, StoreError> {
    let Some(text) = &page.cursor else { return Ok(None) };
    let place = text.strip_prefix("l/").and_then(|place| place.parse().ok());
    place.map(Some).ok_or_else(|| invalid(text))
}

fn invalid(text: &str) -> StoreError {
    let start: String = text.chars().take(40).collect();
    StoreError::Damaged(format!(
        "`{start}` is not a cursor of this list; begin again without a cursor"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(cursor: &str) -> Page {
        Page { limit: 1, cursor: Some(cursor.into()) }
    }

    #[test]
    fn places_round_trip() {
        let run = RunPlace { created_at: -5, id: "r:1.@-_".into() };
        assert_eq!(RunPlace::of(&page(&run.encode())), Ok(Some(run.clone())));
        let task = TaskPlace { run, position: 3, name: "plan".into() };
        assert_eq!(TaskPlace::of(&page(&task.encode())), Ok(Some(task)));
    }

    #[test]
    fn foreign_text_is_refused() {
        for bad in ["", "r", "r/", "r/x/y", "t/1/a", "t/1/a/b/c", "é"] {
            assert!(RunPlace::of(&page(bad)).is_err(), "{bad}");
            assert!(TaskPlace::of(&page(bad)).is_err(), "{bad}");
        }
        assert!(TaskPlace::of(&page("r/1/a")).is_err());
        assert!(RunPlace::of(&page("t/1/a/2/b")).is_err());
    }
}

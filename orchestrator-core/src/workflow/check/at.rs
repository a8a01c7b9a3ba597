//! Places in a document.

use crate::{id::TaskName, workflow::problem::join};

/// A place in a document. Hardly any has a problem: its pointer is made for those that have.
#[derive(Debug, Clone, Copy)]
pub(super) enum At<'a> {
    /// A key of the document.
    Top(&'a str),
    /// A task.
    Task(&'a TaskName),
    /// A key of what is at that place.
    Key(&'a At<'a>, &'a str),
    /// An item of the list at that place.
    Item(&'a At<'a>, usize),
}

impl<'a> At<'a> {
    /// The place of `key` here.
    pub(super) const fn key(&'a self, key: &'a str) -> Self {
        Self::Key(self, key)
    }

    /// The place of the item number `index`, from 0, here.
    pub(super) const fn item(&'a self, index: usize) -> Self {
        Self::Item(self, index)
    }

    /// The JSON pointer.
    pub(super) fn pointer(&self) -> String {
        match self {
            Self::Top(key) => join("", key),
            Self::Task(name) => join("/tasks", name),
            Self::Key(at, key) => join(&at.pointer(), key),
            Self::Item(at, index) => join(&at.pointer(), index),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_leads_to_its_place() {
        let name = TaskName::new("build").unwrap();
        let task = At::Task(&name);
        let with = task.key("with");
        let list = with.key("a/b~c");
        assert_eq!(list.item(3).pointer(), "/tasks/build/with/a~1b~0c/3");
        assert_eq!(At::Top("then").item(0).pointer(), "/then/0");
    }
}

//! Which of many texts a text begins with.

/// A set of texts, each with a number.
#[derive(Debug)]
pub(super) struct Trie {
    /// The root is first, and the children of a node lie together, in the order of their bytes.
    nodes: Vec<Node>,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    byte: u8,
    first: u32,
    last: u32,
    /// The number of the text that ends here, or [`NONE`].
    number: u32,
}

const NONE: u32 = u32::MAX;

impl Trie {
    /// Of `texts`. Of two that are the same the later counts. An empty one is left out.
    pub(super) fn new<'t>(texts: impl IntoIterator<Item = (&'t [u8], u32)>) -> Self {
        let mut texts: Vec<_> = texts.into_iter().filter(|(text, _)| !text.is_empty()).collect();
        // Stable: what is later stays so.
        texts.sort_by_key(|(text, _)| *text);
        let mut nodes = vec![Node { byte: 0, first: 0, last: 0, number: NONE }];
        // A node, the texts that go through it, and how many of their bytes lead to it.
        let mut open = std::collections::VecDeque::from([(0, 0..texts.len(), 0)]);
        while let Some((node, range, depth)) = open.pop_front() {
            let mut rest = range.start;
            while rest < range.end && texts[rest].0.len() == depth {
                nodes[node].number = texts[rest].1;
                rest += 1;
            }
            nodes[node].first = nodes.len() as u32;
            while rest < range.end {
                let byte = texts[rest].0[depth];
                let same = texts[rest..range.end].partition_point(|(text, _)| text[depth] == byte);
                open.push_back((nodes.len(), rest..rest + same, depth + 1));
                nodes.push(Node { byte, first: 0, last: 0, number: NONE });
                rest += same;
            }
            nodes[node].last = nodes.len() as u32;
        }
        Self { nodes }
    }

    /// The texts of the set that `text` begins with, shortest first: length and number.
    pub(super) fn prefixes<'t>(
        &'t self,
        text: &'t [u8],
    ) -> impl Iterator<Item = (usize, u32)> + 't {
        let mut node = self.nodes[0];
        text.iter()
            .enumerate()
            .map_while(move |(place, byte)| {
                let children = &self.nodes[node.first as usize..node.last as usize];
                let child = children.binary_search_by_key(byte, |child| child.byte).ok()?;
                node = children[child];
                Some((place + 1, node.number))
            })
            .filter(|(_, number)| *number != NONE)
    }

    /// How long the longest of the set is that `text` begins with.
    pub(super) fn longest(&self, text: &[u8]) -> Option<usize> {
        self.prefixes(text).last().map(|(length, _)| length)
    }

    /// Whether `text` is one of the set.
    pub(super) fn has(&self, text: &[u8]) -> bool {
        self.longest(text) == Some(text.len())
    }
}

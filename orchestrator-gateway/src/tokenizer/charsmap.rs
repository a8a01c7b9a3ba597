//! The map of characters that SentencePiece puts into its models: which texts become which others before a
//! text is encoded, as a double array (the layout of Darts-clone) with what they become behind it.

/// Such a map.
#[derive(Debug)]
pub(super) struct Charsmap {
    units: Vec<u32>,
    /// What texts become, each ended by a zero byte.
    texts: String,
}

impl Charsmap {
    /// Reads `content`: the length of the array in bytes, the array, the texts; numbers are little-endian.
    pub(super) fn read(content: &[u8]) -> Result<Self, String> {
        let wrong = || "its map of characters (`precompiled_charsmap`) is broken".to_owned();
        let (length, rest) = content.split_first_chunk::<4>().ok_or_else(wrong)?;
        let length = u32::from_le_bytes(*length) as usize;
        let (units, texts) = rest.split_at_checked(length).ok_or_else(wrong)?;
        let (units, []) = units.as_chunks::<4>() else { return Err(wrong()) };
        let units = units.iter().map(|unit| u32::from_le_bytes(*unit)).collect();
        let texts = String::from_utf8(texts.to_vec()).map_err(|_| wrong())?;
        Ok(Self { units, texts })
    }

    /// What the longest text of the map that `text` begins with becomes, and how long that text is.
    pub(super) fn longest(&self, text: &[u8]) -> Option<(usize, &str)> {
        self.prefixes(text).last().and_then(|(length, place)| Some((length, self.text(place)?)))
    }

    /// What the shortest text of the map that `text` begins with becomes.
    pub(super) fn shortest(&self, text: &[u8]) -> Option<&str> {
        self.prefixes(text).next().and_then(|(_, place)| self.text(place))
    }

    fn text(&self, place: usize) -> Option<&str> {
        let text = self.texts.get(place..)?;
        Some(text.split('\0').next().unwrap_or(text))
    }

    /// Length and place of the texts of the map that `text` begins with, shortest first.
    fn prefixes<'t>(&'t self, text: &'t [u8]) -> impl Iterator<Item = (usize, usize)> + 't {
        let unit = |place: usize| self.units.get(place).copied();
        let mut place = unit(0).map_or(usize::MAX, offset);
        let steps = text.iter().enumerate().map_while(move |(at, &byte)| {
            place ^= usize::from(byte);
            let found = unit(place)?;
            // The label of a node; a leaf has the highest bit set.
            if found & 0x8000_00ff != u32::from(byte) {
                return None;
            }
            place ^= offset(found);
            let has_leaf = found >> 8 & 1 == 1;
            let value = unit(place).filter(|_| has_leaf).map(|leaf| (leaf & 0x7fff_ffff) as usize);
            Some((at + 1, value))
        });
        steps.filter_map(|(length, value)| Some((length, value?)))
    }
}

/// How far the children of a unit are from it.
fn offset(unit: u32) -> usize {
    ((unit >> 10) << ((unit & 1 << 9) >> 6)) as usize
}

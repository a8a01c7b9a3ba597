//! The wire format of protocol buffers, as far as a file in it is read here.
//! Source: <https://protobuf.dev/programming-guides/encoding/>.

/// The fields of a message, in the order of the file. Ends after one that is broken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'c>(pub(super) &'c [u8]);

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'c> {
    Number(u64),
    Four([u8; 4]),
    Eight,
    Bytes(&'c [u8]),
}

/// A message that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Broken;

impl<'c> Fields<'c> {
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn bytes(&mut self, length: u64) -> Option<&'c [u8]> {
        let (bytes, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(bytes)
    }

    fn field(&mut self) -> Option<(u32, Value<'c>)> {
        let tag = self.number()?;
        let field = u32::try_from(tag >> 3).ok().filter(|field| *field > 0)?;
        let value = match tag & 7 {
            0 => Value::Number(self.number()?),
            1 => self.bytes(8).map(|_| Value::Eight)?,
            2 => {
                let length = self.number()?;
                Value::Bytes(self.bytes(length)?)
            }
            5 => Value::Four(self.bytes(4)?.try_into().ok()?),
            // Groups, which nobody writes any longer.
            _ => return None,
        };
        Some((field, value))
    }
}

impl<'c> Iterator for Fields<'c> {
    type Item = Result<(u32, Value<'c>), Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field().ok_or(Broken);
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

//! Texts that stand for bytes in the files.

/// The character that stands for each byte in a `tokenizer.json` of the kind of GPT-2's. What prints stands
/// for itself, the rest follows from U+0100 on.
pub(super) fn characters() -> [char; 256] {
    let mut next = 0x100;
    std::array::from_fn(|byte| {
        let prints = matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
        let code = if prints {
            byte as u32
        } else {
            next += 1;
            next - 1
        };
        char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
    })
}

/// The token that stands for `byte` where tokens are made of characters, and one is unknown.
pub(super) fn fallback(byte: u8) -> String {
    format!("<0x{byte:02X}>")
}

/// The byte that `token` stands for there.
pub(super) fn of_fallback(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    u8::from_str_radix(digits, 16).ok().filter(|byte| fallback(*byte) == token)
}

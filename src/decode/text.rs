//! Strings: from the source's escapes to text, and back to the shortest JSON form.
//!
//! U+0000 and lone surrogates are refused: no destination holds them.
use super::{fault::Rule, scan::Raw};
use std::borrow::Cow;

impl<'a> Raw<'a> {
    /// The text's bytes. Fails `NulCharacter` or `BadUnicode`.
    pub(super) fn text(self) -> Result<Cow<'a, [u8]>, Rule> {
        if !self.escaped {
            return Ok(Cow::Borrowed(self.bytes));
        }
        let mut out = Vec::with_capacity(self.bytes.len());
        self.append_to(&mut out)?;
        Ok(Cow::Owned(out))
    }
    /// Appends the text's bytes; on failure `out` may hold a part of them.
    pub(super) fn append_to(self, out: &mut Vec<u8>) -> Result<(), Rule> {
        if !self.escaped {
            out.extend_from_slice(self.bytes);
            return Ok(());
        }
        let mut rest = self.bytes;
        while let Some(i) = rest.iter().position(|b| *b == b'\\') {
            let (plain, escape) = rest.split_at(i);
            out.extend_from_slice(plain);
            let (c, used) = unescape(escape)?;
            if c == '\0' {
                return Err(Rule::NulCharacter);
            }
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            rest = escape.get(used..).unwrap_or_default();
        }
        out.extend_from_slice(rest);
        Ok(())
    }
}

/// The character of the escape at the start of `bytes`, and how many bytes it takes.
fn unescape(bytes: &[u8]) -> Result<(char, usize), Rule> {
    let c = match bytes.get(1) {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return unicode(bytes),
        Some(own) => char::from(*own),
        None => return Err(Rule::Malformed),
    };
    Ok((c, 2))
}

fn unicode(bytes: &[u8]) -> Result<(char, usize), Rule> {
    let unit = |from: usize| {
        let escape = bytes.get(from..from + 6)?.strip_prefix(b"\\u")?;
        u32::from_str_radix(str::from_utf8(escape).ok()?, 16).ok()
    };
    let first = unit(0).ok_or(Rule::Malformed)?;
    if let Some(c) = char::from_u32(first) {
        return Ok((c, 6));
    }
    match unit(6) {
        Some(second @ 0xdc00..=0xdfff) if first < 0xdc00 => {
            let c = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            char::from_u32(c).map(|c| (c, 12)).ok_or(Rule::BadUnicode)
        }
        _ => Err(Rule::BadUnicode),
    }
}

/// Appends `text` as a JSON string that escapes only what JSON requires.
pub(super) fn quote(text: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let digit = |n: u8| HEX.get(usize::from(n)).copied().unwrap_or(b'0');
    out.push(b'"');
    for b in text {
        match b {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            8 => out.extend_from_slice(b"\\b"),
            9 => out.extend_from_slice(b"\\t"),
            10 => out.extend_from_slice(b"\\n"),
            12 => out.extend_from_slice(b"\\f"),
            13 => out.extend_from_slice(b"\\r"),
            0..=0x1f => out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(b >> 4), digit(b & 15)]),
            _ => out.push(*b),
        }
    }
    out.push(b'"');
}

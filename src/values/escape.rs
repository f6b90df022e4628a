//! Names that users gave, as they are printed.
//!
//! A name can come from outside: a path, a header, a message. Printed as it is, one with a line feed forges a line of
//! a report or of a log, and one with a control sequence rules the terminal. So there is one rule for all names, and
//! every place that prints one has it from here: what `Debug` for `str` would escape is escaped, but quotation marks,
//! which cannot forge anything and stand in media types. (The head of a report puts the pool's name in quotation marks,
//! so it takes `Debug` itself.)

#![forbid(unsafe_code)]

use std::borrow::Cow;

const MARKS: [char; 2] = ['"', '\''];

/// The name with what cannot be printed escaped. Most names have nothing of that, and are not copied.
pub(crate) fn escaped(name: &str) -> Cow<'_, str> {
    if name
        .chars()
        .all(|c| c.is_ascii_graphic() && c != '\\' || c == ' ')
    {
        return Cow::Borrowed(name);
    }
    let mut printed = String::with_capacity(name.len() + 8);
    for part in name.split_inclusive(MARKS) {
        let text = part.trim_end_matches(MARKS);
        printed.extend(text.escape_debug());
        printed.push_str(&part[text.len()..]);
    }
    Cow::Owned(printed)
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_printed_is_escaped_and_nothing_else() {
        for (name, printed) in [
            ("", ""),
            ("camera 1", "camera 1"),
            ("Türkamera 東門 กล้อง", "Türkamera 東門 กล้อง"),
            ("video/mp4; codecs=\"avc1\"", "video/mp4; codecs=\"avc1\""),
            ("it's \"é\"", "it's \"é\""),
            ("cam\nERROR forged\x1b[31m", "cam\\nERROR forged\\u{1b}[31m"),
            ("\"\r\n\"\t\0", "\"\\r\\n\"\\t\\0"),
            ("back\\slash", "back\\\\slash"),
            // Runs from right to left, is a line of its own, and has no width.
            (
                "a\u{202e}b\u{2028}c\u{200b}d\u{7f}",
                "a\\u{202e}b\\u{2028}c\\u{200b}d\\u{7f}",
            ),
        ] {
            assert_eq!(escaped(name), printed);
        }
    }
}

//! Escapes the names that users give, for printing.
//!
//! A name can come from outside the program: from a path, a header or a message. If it were printed unescaped, a line
//! feed in it could forge a line of a report or a log, and a control sequence could control the terminal. So all code
//! that prints a name escapes it with [`escaped`]. It escapes what `Debug` for `str` escapes, except quotation marks:
//! they cannot forge anything, and media types contain them. (The first line of a report puts the pool's name in
//! quotation marks, so it uses `Debug` itself.)

#![forbid(unsafe_code)]

use std::borrow::Cow;

/// The quotation marks, which `str::escape_debug` escapes and this does not.
const MARKS: [char; 2] = ['"', '\''];

/// The name with its unprintable characters and backslashes escaped. Most names have none, and are not copied.
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
            // A right-to-left override, a line separator, a zero-width space and a delete.
            (
                "a\u{202e}b\u{2028}c\u{200b}d\u{7f}",
                "a\\u{202e}b\\u{2028}c\\u{200b}d\\u{7f}",
            ),
        ] {
            assert_eq!(escaped(name), printed);
        }
    }
}

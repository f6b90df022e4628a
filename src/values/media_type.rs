//! The kind of data in a sample: a MIME type, whose text all clones share.

#![forbid(unsafe_code)]

use crate::values::escape::escaped;
use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// The MIME type of the data in a sample, such as `video/mp2t`.
///
/// Make one when the stream begins, and clone it for every sample: a clone copies no text and allocates nothing. The
/// text is stored as given and is not checked. Two media types are equal if their texts are equal byte by byte,
/// although MIME itself ignores case: `Video/MP2T` and `video/mp2t` are not equal here.
///
/// Takes the place of `AM_MEDIA_TYPE`.
///
/// # Examples
///
/// ```
/// use sample_pool::{MediaType, SampleProperties};
///
/// let transport_stream = MediaType::new("video/mp2t");
/// let mut properties = SampleProperties::default();
/// properties.set_media_type(Some(transport_stream.clone()));
/// assert_eq!(properties.media_type(), Some(&transport_stream));
/// ```
// Every slot stores an `Option<MediaType>`, so it must stay at two words, `None` included.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MediaType(Arc<str>);

impl MediaType {
    /// Makes a media type with this name.
    ///
    /// Allocates memory for the text, unless `name` is an `Arc<str>`.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::MediaType;
    /// use std::sync::Arc;
    ///
    /// let aac = MediaType::new("audio/aac");
    /// assert_eq!(aac, MediaType::new(String::from("audio/aac")));
    /// assert_eq!(aac, MediaType::new(Arc::from("audio/aac")));
    /// ```
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// Returns the name as it was given.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::MediaType;
    ///
    /// assert_eq!(MediaType::new("video/mp4").as_str(), "video/mp4");
    /// ```
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MediaType").field(&self.as_str()).finish()
    }
}

/// Formats the name with unprintable characters escaped. A valid media type has none, so it is printed unchanged.
impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&escaped(self.as_str()))
    }
}

impl AsRef<str> for MediaType {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

/// Lets a map with media types as keys be searched with a `&str`.
impl Borrow<str> for MediaType {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl From<&str> for MediaType {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl From<String> for MediaType {
    fn from(name: String) -> Self {
        Self::new(name)
    }
}

impl From<Arc<str>> for MediaType {
    fn from(name: Arc<str>) -> Self {
        Self(name)
    }
}

impl PartialEq<str> for MediaType {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for MediaType {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialEq<MediaType> for str {
    fn eq(&self, other: &MediaType) -> bool {
        self == other.as_str()
    }
}

impl PartialEq<MediaType> for &str {
    fn eq(&self, other: &MediaType) -> bool {
        *self == other.as_str()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::mem::size_of;

    use super::*;

    /// `SampleProperties` has two words for it and no more.
    #[test]
    fn a_media_type_is_two_words_and_none_takes_no_third() {
        assert_eq!(size_of::<MediaType>(), 2 * size_of::<usize>());
        assert_eq!(size_of::<Option<MediaType>>(), size_of::<MediaType>());
    }

    #[test]
    fn a_media_type_is_its_text() {
        let made = MediaType::new("video/mp2t");
        assert_eq!(made.as_str(), "video/mp2t");
        assert_eq!(AsRef::<str>::as_ref(&made), "video/mp2t");
        assert_eq!(format!("{made}|{made:>12}"), "video/mp2t|  video/mp2t");
        assert_eq!(format!("{made:?}"), "MediaType(\"video/mp2t\")");
        assert!(made == *"video/mp2t" && made == "video/mp2t");
        assert!(*"video/mp2t" == made && "video/mp2t" == made);
        assert!(made != *"video/mp4" && made != "video/mp2t ");
        assert!(*"video/mp" != made && "" != made);
        assert_eq!(MediaType::from("video/mp2t"), made);
        assert_eq!(MediaType::from(String::from("video/mp2t")), made);
        assert_eq!(MediaType::from(Arc::from("video/mp2t")), made);
        assert!(MediaType::new("audio/aac") < made);
    }

    #[test]
    fn a_clone_of_a_media_type_shares_the_text() {
        let made = MediaType::new("video/mp2t");
        assert_eq!(made.clone().as_str().as_ptr(), made.as_str().as_ptr());
    }

    /// A map finds a key by `&str` only if the key hashes as the `str` does.
    #[test]
    fn a_map_with_media_types_as_keys_is_searched_with_text() {
        let counts = HashMap::from([
            (MediaType::new("video/mp2t"), 1),
            (MediaType::new("audio/aac"), 2),
        ]);
        assert_eq!(counts.get("audio/aac"), Some(&2));
        assert_eq!(counts.get("audio/mpeg"), None);
    }
}

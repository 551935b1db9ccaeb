//! Topic names and filters that own their text.
use std::{borrow::Cow, fmt, sync::Arc};

use mqtt_codec::wire::{FilterError, TopicError, TopicFilter, TopicName};

/// A topic name checked once: cheap to clone and to publish to again and again.
///
/// ```
/// use mqtt_client::Topic;
///
/// let topic = Topic::new("sensors/1/temp")?;
/// assert_eq!(topic.as_str(), "sensors/1/temp");
/// assert!(Topic::new("sensors/+/temp").is_err());
/// # Ok::<(), mqtt_client::TopicError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Topic(Arc<str>);

impl Topic {
    /// Checks `name`: 1 to 65,535 bytes, no `+`, `#` or U+0000.
    ///
    /// # Errors
    /// [`TopicError`] says which rule it breaks.
    pub fn new(name: impl Into<Arc<str>>) -> Result<Self, TopicError> {
        let name = name.into();
        TopicName::new(&name)?;
        Ok(Self(name))
    }

    /// The topic name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The codec's view of it.
    pub(crate) fn name(&self) -> TopicName<'_> {
        TopicName::assume_checked(self.0.as_bytes())
    }
}

/// A topic filter checked once, cheap to clone. `$share/group/filter` is one.
///
/// ```
/// use mqtt_client::Filter;
///
/// assert!(Filter::new("sensors/+/temp").is_ok());
/// assert!(Filter::new("sensors/#/temp").is_err());
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Filter(Arc<str>);

impl Filter {
    /// Checks `filter`: 1 to 65,535 bytes, no U+0000, `+` a whole level, `#` a whole level and the
    /// last.
    ///
    /// # Errors
    /// [`FilterError`] says which rule it breaks.
    pub fn new(filter: impl Into<Arc<str>>) -> Result<Self, FilterError> {
        let filter = filter.into();
        TopicFilter::new(&filter)?;
        Ok(Self(filter))
    }

    /// The topic filter.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The codec's view of it.
    pub(crate) fn filter(&self) -> TopicFilter<'_> {
        TopicFilter::new(&self.0).expect("checked in `new`, and never changed")
    }
}

macro_rules! owned_text {
    ($($name:ident, $error:ident;)*) => {$(
        impl TryFrom<&str> for $name {
            type Error = $error;

            fn try_from(text: &str) -> Result<Self, $error> {
                Self::new(text)
            }
        }

        impl TryFrom<&String> for $name {
            type Error = $error;

            fn try_from(text: &String) -> Result<Self, $error> {
                Self::new(text.as_str())
            }
        }

        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                Self::new(text)
            }
        }

        impl TryFrom<Cow<'_, str>> for $name {
            type Error = $error;

            fn try_from(text: Cow<'_, str>) -> Result<Self, $error> {
                Self::new(text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                Self::new(text)
            }
        }

        impl From<&$name> for $name {
            fn from(other: &$name) -> Self {
                other.clone()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    )*};
}

owned_text! {
    Topic, TopicError;
    Filter, FilterError;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_refuses_what_cannot_be_published_to() {
        for name in ["", "a/+", "#", "a\0b"] {
            assert!(Topic::new(name).is_err(), "{name:?}");
        }
        assert!(Topic::new("x".repeat(65_536)).is_err());
        assert!(Topic::new("x".repeat(65_535)).is_ok());
    }

    #[test]
    fn filter_refuses_what_cannot_be_subscribed_to() {
        for filter in ["", "a+", "a/#/b", "a#", "a\0b"] {
            assert!(Filter::new(filter).is_err(), "{filter:?}");
        }
        assert!(Filter::new("x".repeat(65_536)).is_err());
    }

    #[test]
    fn clones_share_the_text() {
        let topic = Topic::try_from(String::from("a/b")).unwrap();
        let clone = Topic::from(&topic);
        assert!(Arc::ptr_eq(&topic.0, &clone.0));
        assert_eq!(clone.name().as_str(), "a/b");
        assert_eq!(format!("{clone} {clone:?}"), "a/b \"a/b\"");
        let filter: Filter = "a/#".parse().unwrap();
        assert!(filter.filter().matches(topic.name()));
    }
}

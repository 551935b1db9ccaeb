use core::fmt;

use super::error::write_rule;
use super::string::{MAX_STRING_LEN, has_nul};
use super::{QoS, TopicName};

/// Topic Filter: which topics a subscription is for (section 4.7).
///
/// 1 to 65,535 bytes [MQTT-4.7.3-1] [MQTT-4.7.3-3], without U+0000 [MQTT-4.7.3-2]. A `+` is a
/// whole level [MQTT-4.7.1-3]; a `#` is the whole last level [MQTT-4.7.1-2].
///
/// `$share/name/filter`, the shared subscription that MQTT 5.0 (section 4.8.2) defines and many
/// brokers offer to MQTT 3.1.1 clients too, must have a share name without wildcard and a filter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TopicFilter<'a>(&'a str);

impl<'a> TopicFilter<'a> {
    /// Checks `filter`.
    ///
    /// # Errors
    /// One [`FilterError`] per rule above.
    pub const fn new(filter: &'a str) -> Result<Self, FilterError> {
        match check(filter.as_bytes()) {
            Ok(()) => Ok(Self(filter)),
            Err(error) => Err(error),
        }
    }

    /// The filter itself, `$share/name/` included.
    #[must_use]
    #[inline]
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// Whether a message to `topic` is for this subscription.
    ///
    /// A wildcard in the first level does not match a topic that begins with `$`
    /// [MQTT-4.7.2-1]; `sport/#` matches `sport` too (section 4.7.1.2). A shared subscription
    /// matches by the filter after its share name.
    ///
    /// # Example
    /// ```
    /// use mqtt_codec::wire::{TopicFilter, TopicName};
    ///
    /// let filter = TopicFilter::new("sensors/+/temp")?;
    /// assert!(filter.matches(TopicName::new("sensors/1/temp")?));
    /// assert!(!filter.matches(TopicName::new("sensors/1/humidity")?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn matches(self, topic: TopicName<'_>) -> bool {
        let mut filter = self.0.as_bytes();
        if let Some(shared) = filter.strip_prefix(SHARE) {
            filter = behind_level(shared);
        }
        let mut topic = topic.as_bytes();
        if topic.first() == Some(&b'$') && filter.first().is_some_and(is_wildcard) {
            return false;
        }
        // by bytes: a wildcard is a whole level, and a `#` the last one
        while let [byte, after @ ..] = filter {
            filter = match (byte, topic) {
                (b'#', _) => return true,
                // it stays until its level ends
                (b'+', [first, rest @ ..]) if *first != b'/' => {
                    topic = rest;
                    filter
                }
                (b'+', _) => after,
                (byte, [first, rest @ ..]) if byte == first => {
                    topic = rest;
                    after
                }
                (_, [_, ..]) => return false,
                // behind a separator
                (_, []) => return after == b"#",
            };
        }
        topic.is_empty()
    }

    /// A filter that was checked when its packet was decoded.
    #[inline]
    pub(super) const fn checked(filter: &'a str) -> Self {
        Self(filter)
    }
}

/// Filters with a QoS each, checked once as a list, of strings that stay where they are: a constant is checked when it is
/// compiled.
///
/// ```
/// use mqtt_codec::wire::{QoS, TopicFilters};
///
/// let filters = TopicFilters::new(&[("sensors/+/temp", QoS::AtMostOnce), ("alarms", QoS::AtLeastOnce)])?;
/// let (first, qos) = filters.iter().next().unwrap();
/// assert_eq!((first.as_str(), qos), ("sensors/+/temp", QoS::AtMostOnce));
/// assert!(TopicFilters::new(&[("a", QoS::AtMostOnce), ("a#", QoS::AtMostOnce)]).is_err());
/// # Ok::<(), mqtt_codec::wire::FilterError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TopicFilters<'a>(&'a [(&'a str, QoS)]);

impl<'a> TopicFilters<'a> {
    /// None.
    pub const EMPTY: Self = Self(&[]);

    /// Checks `filters`.
    ///
    /// # Errors
    /// That of the first one that is no [`TopicFilter`].
    pub const fn new(filters: &'a [(&'a str, QoS)]) -> Result<Self, FilterError> {
        let mut rest = filters;
        while let [(filter, _), behind @ ..] = rest {
            if let Err(error) = check(filter.as_bytes()) {
                return Err(error);
            }
            rest = behind;
        }
        Ok(Self(filters))
    }

    /// All of them, in their order.
    pub fn iter(self) -> impl Iterator<Item = (TopicFilter<'a>, QoS)> {
        self.0
            .iter()
            .map(|&(filter, qos)| (TopicFilter(filter), qos))
    }
}

/// What a shared subscription begins with.
const SHARE: &[u8; 7] = b"$share/";

const fn is_wildcard(byte: &u8) -> bool {
    matches!(byte, b'+' | b'#')
}

/// `$share/name/` of a shared subscription, nothing without, and the filter after it.
const fn split_shared(filter: &[u8]) -> (&[u8], &[u8]) {
    filter.split_at(shared_len(filter))
}

/// Bytes of `$share/name/`. Without the second separator they are all of the filter.
const fn shared_len(filter: &[u8]) -> usize {
    match filter.split_first_chunk() {
        Some((SHARE, rest)) => filter.len() - behind_level(rest).len(),
        _ => 0,
    }
}

/// What is behind the next separator.
const fn behind_level(mut rest: &[u8]) -> &[u8] {
    while let [byte, after @ ..] = rest {
        rest = after;
        if *byte == b'/' {
            break;
        }
    }
    rest
}

#[cfg_attr(not(target_pointer_width = "64"), inline(never))]
const fn check(filter: &[u8]) -> Result<(), FilterError> {
    if filter.is_empty() {
        return Err(FilterError::Empty);
    }
    if filter.len() > MAX_STRING_LEN {
        return Err(FilterError::TooLong);
    }
    if has_nul(filter) {
        return Err(FilterError::Nul);
    }
    let (share, inner) = split_shared(filter);
    let is_nameless = share.len() == SHARE.len() + 1;
    if inner.is_empty() || is_nameless || has_wildcard(share) {
        return Err(FilterError::SharedSubscription);
    }
    check_wildcards(inner)
}

const fn has_wildcard(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let [byte, after @ ..] = rest {
        if is_wildcard(byte) {
            return true;
        }
        rest = after;
    }
    false
}

/// By each pair of neighbours: searching for levels and in them takes three times the code.
const fn check_wildcards(filter: &[u8]) -> Result<(), FilterError> {
    let mut before = b'/';
    let mut rest = filter;
    while let [byte, after @ ..] = rest {
        match (before, *byte) {
            (b'#', _) => return Err(FilterError::MultiLevelWildcard),
            (b'/', _) => {}
            (_, b'#') => return Err(FilterError::MultiLevelWildcard),
            (b'+', b'/') => {}
            (b'+', _) | (_, b'+') => return Err(FilterError::SingleLevelWildcard),
            _ => {}
        }
        before = *byte;
        rest = after;
    }
    Ok(())
}

impl fmt::Display for TopicFilter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl<'a> TryFrom<&'a str> for TopicFilter<'a> {
    type Error = FilterError;

    fn try_from(filter: &'a str) -> Result<Self, FilterError> {
        Self::new(filter)
    }
}

/// Why a string is no topic filter: the caller's mistake.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum FilterError {
    /// No bytes [MQTT-4.7.3-1].
    Empty,
    /// Over 65,535 bytes [MQTT-4.7.3-3].
    TooLong,
    /// Contains U+0000 [MQTT-4.7.3-2].
    Nul,
    /// A `#` that is not the whole last level [MQTT-4.7.1-2].
    MultiLevelWildcard,
    /// A `+` that is not a whole level [MQTT-4.7.1-3].
    SingleLevelWildcard,
    /// `$share/` without a share name, with a wildcard in it, or without a filter after it
    /// (MQTT 5.0, section 4.8.2).
    SharedSubscription,
}

impl FilterError {
    /// The normative statement or section that forbids it.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Empty => "MQTT-4.7.3-1",
            Self::TooLong => "MQTT-4.7.3-3",
            Self::Nul => "MQTT-4.7.3-2",
            Self::MultiLevelWildcard => "MQTT-4.7.1-2",
            Self::SingleLevelWildcard => "MQTT-4.7.1-3",
            Self::SharedSubscription => "MQTT 5.0 section 4.8.2",
        }
    }
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Self::Empty => "empty topic filter",
            Self::TooLong => "topic filter over 65,535 bytes",
            Self::Nul => "topic filter contains U+0000",
            Self::MultiLevelWildcard => "`#` is not the whole last level of the topic filter",
            Self::SingleLevelWildcard => "`+` is not a whole level of the topic filter",
            Self::SharedSubscription => "shared subscription without a plain share name or filter",
        };
        write_rule(f, self.id(), words)
    }
}

impl core::error::Error for FilterError {}

/// The topics of a board: made of its prefix by [`topics!`](crate::topics) when it is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topics {
    /// Subscribed: `on` or `off`.
    pub led: &'static str,
    /// Published: seconds since the start.
    pub uptime: &'static str,
    /// Published: free bytes of the heap.
    pub heap: &'static str,
}

/// The [`Topics`] that begin with this prefix, a literal or a macro that gives one.
#[macro_export]
macro_rules! topics {
    ($prefix:expr) => {
        $crate::Topics {
            led: concat!($prefix, "/led"),
            uptime: concat!($prefix, "/uptime"),
            heap: concat!($prefix, "/heap"),
        }
    };
}

#[cfg(test)]
mod tests {
    #[test]
    fn topics_begin_with_the_prefix() {
        const TOPICS: crate::Topics = crate::topics!("a/b");
        assert_eq!(
            [TOPICS.led, TOPICS.uptime, TOPICS.heap],
            ["a/b/led", "a/b/uptime", "a/b/heap"]
        );
    }
}

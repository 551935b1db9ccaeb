//! Filters and topics against a naive reading of section 4.7.

use mqtt_codec::wire::{TopicFilter, TopicName};

/// The input is a filter, a line feed, and a topic.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (filter, topic) = text.split_once('\n').unwrap_or((&text, "a/b"));
    let valid_filter = TopicFilter::new(filter);
    let valid_topic = TopicName::new(topic);
    assert_eq!(valid_filter.is_ok(), is_filter(filter), "{valid_filter:?}");
    assert_eq!(valid_topic.is_ok(), is_topic(topic), "{valid_topic:?}");
    if let (Ok(valid_filter), Ok(valid_topic)) = (valid_filter, valid_topic) {
        assert_eq!(
            valid_filter.matches(valid_topic),
            matches(filter, topic),
            "{filter:?} {topic:?}"
        );
    }
    // A topic is a filter that matches itself, unless it is a shared subscription.
    if let (Ok(valid_topic), false) = (valid_topic, topic.starts_with("$share/")) {
        let itself = TopicFilter::new(topic).expect("a topic is a filter");
        assert!(itself.matches(valid_topic), "{topic:?}");
    }
}

fn is_topic(topic: &str) -> bool {
    (1..=65_535).contains(&topic.len()) && !topic.contains(['\0', '+', '#'])
}

fn is_filter(filter: &str) -> bool {
    if !(1..=65_535).contains(&filter.len()) || filter.contains('\0') {
        return false;
    }
    let levels: Vec<&str> = filter.split('/').collect();
    let shared = levels.len() > 1 && levels[0] == "$share";
    let levels = match (shared, levels.as_slice()) {
        (false, levels) => levels,
        (true, [_, name, rest @ ..]) if !name.is_empty() && !name.contains(['+', '#']) => rest,
        (true, _) => return false,
    };
    if levels.is_empty() || shared && levels == [""] {
        return false;
    }
    let (last, others) = levels.split_last().expect("at least one level");
    let plain = |level: &str| level == "+" || !level.contains(['+', '#']);
    others.iter().all(|level| plain(level)) && (*last == "#" || plain(last))
}

fn matches(filter: &str, topic: &str) -> bool {
    let mut levels: Vec<&str> = filter.split('/').collect();
    if levels.len() > 2 && levels[0] == "$share" {
        levels.drain(..2);
    }
    let topic: Vec<&str> = topic.split('/').collect();
    let hidden = topic[0].starts_with('$') && matches!(levels[0], "+" | "#");
    !hidden && levels_match(&levels, &topic)
}

fn levels_match(filter: &[&str], topic: &[&str]) -> bool {
    match (filter, topic) {
        (["#"], _) | ([], []) => true,
        (["+", filter @ ..], [_, topic @ ..]) => levels_match(filter, topic),
        ([level, filter @ ..], [other, topic @ ..]) => {
            level == other && levels_match(filter, topic)
        }
        _ => false,
    }
}

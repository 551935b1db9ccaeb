//! The adapters hold no rule of MQTT: they name no packet, and no byte of one.
use std::{
    fs,
    path::{Path, PathBuf},
};

const ADAPTERS: [&str; 2] = ["mqtt-client/src", "mqtt-client-embassy/src"];

/// What an adapter may name of `wire`: the values that its users give and get. No packet is among them, no header, and
/// nothing that encodes or decodes.
const VALUES: [&str; 21] = [
    "Binary",
    "ClientId",
    "ConnectRefusal",
    // part of a violation that is reported
    "DecodeError",
    "Dup",
    // how long CONNECT is, or what holds no topic
    "EncodeError",
    "FilterError",
    "Login",
    "PacketId",
    "Password",
    "QoS",
    "Retain",
    "SessionPresent",
    "StringError",
    "SubAckCode",
    "TopicError",
    "TopicFilter",
    "TopicFilters",
    "TopicName",
    "Utf8Str",
    "Will",
];

/// Lines that a file may have.
const LINES: usize = 800;

#[test]
fn adapters_name_values_of_wire_alone() {
    for (path, source) in sources() {
        for name in names_of_wire(&source) {
            assert!(
                VALUES.contains(&name.as_str()),
                "{}: `wire::{name}`",
                path.display()
            );
        }
    }
}

#[test]
fn adapters_contain_no_byte_of_a_packet() {
    for (path, source) in sources() {
        let found = bytes_of_packets(&source);
        assert!(found.is_empty(), "{}: {found:?}", path.display());
    }
}

#[test]
fn no_file_of_an_adapter_is_long() {
    for (path, source) in sources() {
        let lines = source.lines().count();
        println!("{lines:>5} {}", path.display());
        assert!(lines <= LINES, "{}", path.display());
    }
}

#[test]
fn finds_each_way_to_name_something() {
    let source = "
        use mqtt_codec::wire::{self, QoS, ack::Ack as Other};
        // wire::Comment
        use mqtt_codec::{session, wire::Publish};
        fn f(_: wire :: Connect, _: mqtt_codec::wire::*) {}
        use mqtt_codec::wire as hidden;
    ";
    assert_eq!(
        names_of_wire(source),
        ["QoS", "ack", "Publish", "Connect", "*", "as"]
    );
    let source = "[0x30, 0b10]; n.to_be_bytes(); \"\\0b\"; // 0x40";
    assert_eq!(bytes_of_packets(source), ["0x30", "0b10", "to_be_bytes"]);
}

/// The names behind each `wire::`, and `as` for a renaming of it.
fn names_of_wire(source: &str) -> Vec<String> {
    let code = code(source);
    let tokens = tokens(&code);
    let mut names = Vec::new();
    for (at, _) in tokens
        .iter()
        .enumerate()
        .filter(|(_, token)| *token == "wire")
    {
        match tokens.get(at + 1..at + 4) {
            Some([first, second, open]) if first == ":" && second == ":" && open == "{" => {
                let group = tokens[at + 4..].iter().take_while(|token| *token != "}");
                let items = group.cloned().collect::<Vec<_>>();
                let firsts = items
                    .split(|token| token == ",")
                    .filter_map(|item| item.first());
                names.extend(firsts.filter(|name| *name != "self").cloned());
            }
            Some([first, second, name]) if first == ":" && second == ":" => {
                names.push(name.clone());
            }
            Some([renamed, ..]) if renamed == "as" => names.push(renamed.clone()),
            _ => {}
        }
    }
    names
}

/// Numbers written as bits or bytes are, and what takes numbers apart.
fn bytes_of_packets(source: &str) -> Vec<String> {
    let code = code(source);
    let tokens = tokens(&code);
    let is_escape = |at: usize| at > 0 && tokens[at - 1] == "\\";
    let is_byte = |token: &str| {
        token.starts_with("0x") || token.starts_with("0b") || token.ends_with("_be_bytes")
    };
    let found = tokens.iter().enumerate();
    let found = found.filter(|&(at, token)| is_byte(token) && !is_escape(at));
    found.map(|(_, token)| token.clone()).collect()
}

/// Words, and all else one character at a time.
fn tokens(code: &str) -> Vec<String> {
    let mut tokens = vec![String::new()];
    for character in code.chars() {
        if character.is_alphanumeric() || character == '_' {
            tokens.last_mut().expect("there is one").push(character);
        } else {
            tokens.push(character.to_string());
            tokens.push(String::new());
        }
    }
    tokens.retain(|token| !token.trim().is_empty());
    tokens
}

/// Without comments.
fn code(source: &str) -> String {
    source
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect()
}

fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = Vec::new();
    for adapter in ADAPTERS {
        let before = files.len();
        collect(&root.join(adapter), &mut files);
        assert!(files.len() > before, "{adapter} has no sources");
    }
    files
        .into_iter()
        .map(|path| {
            let source = fs::read_to_string(&path).expect("it can be read");
            let path = path.strip_prefix(&root).expect("it is below").to_owned();
            (path, source)
        })
        .collect()
}

/// Every source, tests apart.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).expect("it is a folder");
    for entry in entries {
        let path = entry.expect("it can be read").path();
        let is_test = path.file_stem().is_some_and(|stem| stem == "tests");
        if path.is_dir() && !is_test {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test {
            files.push(path);
        }
    }
}

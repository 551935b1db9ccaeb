//! Every seed passes its target, without a fuzzer and on any toolchain.

use std::{fs, path::Path};

fn run_all(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        run(&fs::read(path).unwrap());
        count += 1;
    }
    assert!(count > 0, "no seeds");
}

#[test]
fn decode() {
    run_all("decode", fuzz::decode::run);
}

#[test]
fn round_trip() {
    run_all("round_trip", fuzz::round_trip::run);
}

#[test]
fn chunking() {
    run_all("chunking", fuzz::chunking::run);
}

#[test]
fn session_ops() {
    run_all("session_ops", fuzz::session_ops::run);
}

#[test]
fn topic_match() {
    run_all("topic_match", fuzz::topic_match::run);
}

//! Rule: what a fuzzer once found interesting, or fatal, stays harmless. Every kept input of the
//! fuzz targets is played again, without a fuzzer.

use std::fs;
use std::path::Path;

use hostile::TARGETS;

/// Plays all kept inputs of a target. The name of the one that panics is the last in the output.
fn replay(target: &str) {
    let (_, play) = TARGETS.iter().find(|(name, _)| *name == target).expect("a target");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut played = 0;
    for entry in fs::read_dir(&folder).expect("a corpus") {
        let path = entry.expect("readable").path();
        eprintln!("{}", path.display());
        play(&fs::read(&path).expect("readable"));
        played += 1;
    }
    assert!(played > 0, "no inputs in {}", folder.display());
}

#[test]
fn pipes_that_are_no_nut() {
    replay("nut_reader");
}

#[test]
fn answers_that_are_not_ffprobes() {
    replay("ffprobe_json");
}

#[test]
fn segments_that_are_no_rings() {
    replay("ring_header");
}

#[test]
fn peers_that_write_anything_anywhere() {
    replay("ring_scribble");
}

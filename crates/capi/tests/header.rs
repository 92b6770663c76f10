//! Keeps include/framelane.h what the sources say: C and Rust never disagree about a function.

use std::path::Path;
use std::{env, fs};

/// What declares something for C, in the order of the header.
const SOURCES: [&str; 5] = ["status", "frame", "worker", "job", "reader"];

#[test]
fn the_header_is_what_the_sources_say() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(home.join("cbindgen.toml")).expect("a good config");
    let builder =
        SOURCES.iter().fold(cbindgen::Builder::new().with_config(config), |builder, source| {
            builder.with_src(home.join(format!("src/{source}.rs")))
        });
    let mut header = Vec::new();
    builder.generate().expect("sources that cbindgen understands").write(&mut header);
    // What Rust calls Safety is addressed to C, too, and reads better without its mark.
    let header = String::from_utf8(header).expect("text").replace("// # Safety\n", "// Safety:\n");
    let path = home.join("include/framelane.h");
    if env::var_os("FRAMELANE_UPDATE_HEADER").is_some() {
        fs::write(&path, &header).expect("the header can be written");
    }
    assert!(
        fs::read_to_string(&path).is_ok_and(|there| there == header),
        "include/framelane.h is not what the sources say; type: \
         FRAMELANE_UPDATE_HEADER=1 cargo test -p framelane-capi --test header"
    );
}

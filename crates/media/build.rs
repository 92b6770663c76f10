//! Compiles what uses ffmpeg's libraries, where that was asked for.

fn main() {
    #[cfg(feature = "libav")]
    libav();
}

#[cfg(feature = "libav")]
fn libav() {
    const FOLDER: &str = "src/ffmpeg/libav";
    // Those of ffmpeg 4.4.
    const OLDEST: [(&str, &str); 4] = [
        ("libavfilter", "7.110"),
        ("libavformat", "58.76"),
        ("libavcodec", "58.134"),
        ("libavutil", "56.70"),
    ];
    const PACKAGES: &str =
        "pkg-config libavfilter-dev libavformat-dev libavcodec-dev libavutil-dev";

    let mut build = cc::Build::new();
    for (library, oldest) in OLDEST {
        match pkg_config::Config::new().atleast_version(oldest).cargo_metadata(false).probe(library)
        {
            Ok(found) => {
                build.includes(found.include_paths);
                for path in found.link_paths {
                    println!("cargo::rustc-link-search=native={}", path.display());
                }
            }
            Err(error) => {
                println!("cargo::error=feature libav needs ffmpeg's libraries and their headers");
                println!("cargo::error=on Debian and Ubuntu: apt-get install {PACKAGES}");
                println!("cargo::error={error}");
                return;
            }
        }
    }
    build.std("c11").define("_GNU_SOURCE", None).extra_warnings(true);
    for file in ["open.c", "decode.c", "log.c"] {
        build.file(format!("{FOLDER}/{file}"));
    }
    println!("cargo::rerun-if-changed={FOLDER}");
    build.compile("framelane_libav");
    for (library, _) in OLDEST {
        println!("cargo::rustc-link-lib={}", library.trim_start_matches("lib"));
    }
}

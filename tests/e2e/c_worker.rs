//! Rule: a worker in C or C++ is a worker like any other: what it makes of a stream is, bit for bit,
//! what the built-in one makes of it, and when it is stopped nothing is lost.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use e2e::binaries::library_folder;
use e2e::chain::RING_IN;
use e2e::{Chain, FrameHash, Namespace, RingStat, clips, frame_hashes, tools, wait_until};

const FRAMES: usize = 60;

/// A language, and how its example is linked.
#[derive(Clone, Copy)]
enum Language {
    /// C, with the static library.
    C,
    /// C++, with the shared library.
    Cpp,
}

/// Compiles the example in a language.
fn compile(namespace: &Namespace, language: Language) -> Result<PathBuf> {
    let source = match language {
        Language::C => "../crates/capi/examples/invert.c",
        Language::Cpp => "../crates/capi/examples/invert.cpp",
    };
    compile_source(namespace, language, source)
}

/// Compiles and links a program, warnings being errors.
fn compile_source(namespace: &Namespace, language: Language, source: &str) -> Result<PathBuf> {
    let library = library_folder()?;
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = namespace.folder().join("compiled");
    let (compiler, standard) = match language {
        Language::C => ("cc", "-std=c11"),
        Language::Cpp => ("c++", "-std=c++17"),
    };
    let mut command = Command::new(compiler);
    command
        .args([standard, "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I"])
        .arg(home.join("../crates/capi/include"))
        .arg(home.join(source));
    match language {
        Language::C => {
            command.arg(library.join("libframelane.a")).args(["-lpthread", "-ldl", "-lm"])
        }
        Language::Cpp => command
            .arg("-L")
            .arg(&library)
            .arg("-lframelane")
            .arg(format!("-Wl,-rpath,{}", library.display())),
    };
    tools::run(command.arg("-o").arg(&program))?;
    Ok(program)
}

/// A chain that inverts `clip` and writes what came of it, raw, to `out`.
fn inverting(namespace: &Namespace, clip: &str, out: &str, pix_fmt: &str) -> Chain {
    Chain::new(namespace, clip, out)
        .puller_args(&["--pix-fmt", pix_fmt])
        .pusher_args(&["--codec", "rawvideo"])
}

/// What the built-in workers make of a clip.
fn inverted(namespace: &Namespace, clip: &str) -> Result<Vec<FrameHash>> {
    let out = namespace.path("built-in.nut");
    let chain = inverting(namespace, clip, &out, "rgb24").worker_args(&["--op", "invert"]);
    chain.start(2)?.expect_success()?;
    let frames = frame_hashes(&out, "rgb24")?;
    ensure!(frames.len() == FRAMES, "{} frames of {FRAMES}", frames.len());
    ensure!(frames != frame_hashes(clip, "rgb24")?, "nothing was inverted");
    Ok(frames)
}

fn works_like_the_built_in_one(language: Language) -> Result<()> {
    let namespace = Namespace::new()?;
    let (clip, out) = (namespace.path("clip.mkv"), namespace.path("out.nut"));
    clips::odd_size(&clip, u32::try_from(FRAMES)?)?;
    let mut chain = inverting(&namespace, &clip, &out, "rgb24");
    chain.worker = chain.worker.built_at(compile(&namespace, language)?);
    chain.start(2)?.expect_success()?;
    ensure!(frame_hashes(&out, "rgb24")? == inverted(&namespace, &clip)?);
    ensure!(namespace.leftovers().is_empty(), "left behind: {:?}", namespace.leftovers());
    Ok(())
}

#[test]
fn a_worker_in_c_works_like_the_built_in_one() -> Result<()> {
    works_like_the_built_in_one(Language::C)
}

#[test]
fn a_worker_in_cpp_works_like_the_built_in_one() -> Result<()> {
    works_like_the_built_in_one(Language::Cpp)
}

fn passes_on_what_it_does_not_know(language: Language) -> Result<()> {
    let namespace = Namespace::new()?;
    let (clip, out) = (namespace.path("clip.mkv"), namespace.path("out.nut"));
    clips::b_frames(&clip, 20)?;
    let mut chain = inverting(&namespace, &clip, &out, "yuv420p");
    chain.worker = chain.worker.built_at(compile(&namespace, language)?);
    chain.start(1)?.expect_success()?;
    ensure!(frame_hashes(&out, "yuv420p")? == frame_hashes(&clip, "yuv420p")?);
    Ok(())
}

#[test]
fn a_worker_in_c_passes_on_what_it_does_not_know() -> Result<()> {
    passes_on_what_it_does_not_know(Language::C)
}

#[test]
fn a_worker_in_cpp_passes_on_what_it_does_not_know() -> Result<()> {
    passes_on_what_it_does_not_know(Language::Cpp)
}

/// One that is asked to stop in the middle of a stream leaves the rest to another.
fn loses_nothing_when_stopped(language: Language) -> Result<()> {
    let namespace = Namespace::new()?;
    let (clip, out) = (namespace.path("clip.mkv"), namespace.path("out.nut"));
    clips::odd_size(&clip, u32::try_from(FRAMES)?)?;
    let wanted = inverted(&namespace, &clip)?;
    let chain = inverting(&namespace, &clip, &out, "rgb24")
        .puller_args(&["--realtime", "--on-full", "block"])
        .worker_args(&["--op", "invert"]);
    let ours = chain.worker.clone().built_at(compile(&namespace, language)?);
    let mut running = chain.start(0)?;
    let mut stopped = ours.start()?;
    wait_until("the stream to flow", || {
        RingStat::read(&namespace, RING_IN).is_ok_and(|stat| stat.delivered("worker") >= 5)
    })?;
    stopped.stop()?;
    running.workers.push(chain.worker.start()?);
    running.expect_success()?;
    ensure!(frame_hashes(&out, "rgb24")? == wanted);
    ensure!(namespace.leftovers().is_empty(), "left behind: {:?}", namespace.leftovers());
    Ok(())
}

#[test]
fn a_worker_in_c_loses_nothing_when_stopped() -> Result<()> {
    loses_nothing_when_stopped(Language::C)
}

#[test]
fn a_worker_in_cpp_loses_nothing_when_stopped() -> Result<()> {
    loses_nothing_when_stopped(Language::Cpp)
}

/// The first frame goes through a worker that forks with it in hand, the rest through another.
#[test]
fn a_worker_in_c_may_fork() -> Result<()> {
    let namespace = Namespace::new()?;
    let (clip, out) = (namespace.path("clip.mkv"), namespace.path("out.nut"));
    clips::odd_size(&clip, 20)?;
    let chain = inverting(&namespace, &clip, &out, "rgb24");
    let forks = compile_source(&namespace, Language::C, "e2e/c/fork.c")?;
    let mut running = chain.start(0)?;
    chain.worker.clone().built_at(forks).start()?.expect_success()?;
    running.workers.push(chain.worker.start()?);
    running.expect_success()?;
    ensure!(frame_hashes(&out, "rgb24")? == frame_hashes(&clip, "rgb24")?);
    Ok(())
}

/// Rule: no owner of the C++ header loses a frame, however it ends. The program reads what it
/// publishes, and prints how many frames that were.
#[test]
fn owners_in_cpp_lose_nothing() -> Result<()> {
    let namespace = Namespace::new()?;
    let clip = namespace.path("clip.mkv");
    clips::odd_size(&clip, 20)?;
    let chain = Chain::new(&namespace, &clip, "no pusher");
    let owners = compile_source(&namespace, Language::Cpp, "e2e/c/owners.cpp")?;
    let mut worker = chain.worker.clone().built_at(owners).start()?;
    chain.puller.start()?.expect_success()?;
    worker.expect_success()?;
    ensure!(worker.printed() == "20", "{} frames of 20", worker.printed());
    ensure!(namespace.leftovers().is_empty(), "left behind: {:?}", namespace.leftovers());
    Ok(())
}

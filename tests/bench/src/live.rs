//! Latency of a live stream through a real RTMP server: numbered pictures are published, processed,
//! and watched at both ends by the same kind of viewer. What a way of processing adds is the
//! difference between the two viewers.

use std::collections::HashMap;
use std::env;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::tools::ffmpeg;
use e2e::{Chain, Namespace, Process, Publisher, PublisherOptions, RtmpServer, Running, Watcher};

use crate::results::Table;

const WIDTH: usize = 640;
const HEIGHT: usize = 360;
const RATE: &str = "25";
/// For how long each way is watched, once its first picture has come.
const SPAN: Duration = Duration::from_secs(10);
const SETTLING: Duration = Duration::from_secs(5);
/// What the slow model takes for a frame, of which 40 ms would be allowed.
const SLOW: &str = "0.06";

/// The ways to process a live stream.
#[derive(Clone, Copy, Debug)]
enum Way {
    Framelane,
    /// One ffmpeg that decodes and encodes, without any process in between.
    Relay,
    /// The script that Framelane replaces.
    Script,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Framelane => "Framelane",
            Self::Relay => "one ffmpeg",
            Self::Script => "the script",
        }
    }
}

/// The processes of a way; they end with it.
enum Run {
    Stages(
        Box<Running>,
        #[expect(dead_code, reason = "removes the rings when it is dropped")] Namespace,
    ),
    Process(Process),
}

/// Measures latency and first picture of each way in turn.
pub(crate) fn measure(rounds: usize) -> Result<()> {
    let mut table = Table::new("latency");
    for _ in 0..rounds {
        for way in [Way::Framelane, Way::Relay, Way::Script] {
            let took = once(way).with_context(|| way.name())?;
            table.add(way.name(), "added_p50_ms", took.added[took.added.len() / 2]);
            table.add(way.name(), "added_p99_ms", took.added[took.added.len() * 99 / 100]);
            table.add(way.name(), "first_picture_ms", took.first);
            let total = &took.total;
            table.add(way.name(), "glass_to_glass_p50_ms", total[total.len() / 2]);
        }
    }
    table.print()
}

/// What one run took, in milliseconds; the lists are sorted.
struct Took {
    /// From the start of the processes to the first picture.
    first: f64,
    /// From a viewer of the source to a viewer of the output.
    added: Vec<f64>,
    /// From the moment at which the picture was due at the source.
    total: Vec<f64>,
}

fn once(way: Way) -> Result<Took> {
    let server = RtmpServer::start()?;
    let publisher = publish(&server)?;
    let before = Watcher::start(&server.url("source"), WIDTH, HEIGHT);
    before.wait_count(10)?;
    let after = Watcher::start(&server.url("processed"), WIDTH, HEIGHT);
    let started = Instant::now();
    let _running = start(way, &server, "processed", None)?;
    after.wait_count(1)?;
    let first = started.elapsed().as_secs_f64() * 1e3;
    // Viewers, too, take a while until they are where the stream is.
    thread::sleep(SETTLING);
    let settled = Instant::now();
    thread::sleep(SPAN);
    let direct: HashMap<u32, Instant> = before
        .seen()
        .iter()
        .filter_map(|frame| frame.number.map(|number| (number, frame.at)))
        .collect();
    let (mut added, mut total) = (Vec::new(), Vec::new());
    for frame in after.seen().iter().filter(|frame| frame.at > settled) {
        let Some(number) = frame.number else { continue };
        let milliseconds = |from| frame.at.saturating_duration_since(from).as_secs_f64() * 1e3;
        added.extend(direct.get(&number).copied().map(milliseconds));
        total.push(milliseconds(publisher.time_of(number)));
    }
    ensure!(added.len() > 50, "only {} pictures came", added.len());
    added.sort_by(f64::total_cmp);
    total.sort_by(f64::total_cmp);
    Ok(Took { first, added, total })
}

/// A camera with a microphone.
fn publish(server: &RtmpServer) -> Result<Publisher> {
    let options = PublisherOptions { audio: true, ..PublisherOptions::default() };
    let publisher = Publisher::start(&server.url("source"), options)?;
    publisher.wait_written(50)?;
    Ok(publisher)
}

/// Watches a model that takes 60 ms a frame, of a stream that brings one every 40 ms, in both ways
/// at once: how old the pictures are that come out, and what memory the processes have.
pub(crate) fn measure_slow(span: Duration) -> Result<()> {
    let mut table = Table::new("slow-model");
    let server = RtmpServer::start()?;
    let publisher = publish(&server)?;
    let ways = [Way::Framelane, Way::Script].map(|way| -> Result<_> {
        let output = format!("processed-{}", way.name().replace(' ', "-"));
        let watcher = Watcher::start(&server.url(&output), WIDTH, HEIGHT);
        let run = start(way, &server, &output, Some(SLOW))?;
        watcher.wait_count(1)?;
        Ok((way, run, watcher))
    });
    let ways = ways.into_iter().collect::<Result<Vec<_>>>()?;
    let started = Instant::now();
    let samples = 10;
    for sample in 1..=samples {
        thread::sleep(
            (started + span * sample / samples).saturating_duration_since(Instant::now()),
        );
        for (way, run, watcher) in &ways {
            let last = watcher.seen().iter().rev().find_map(|frame| frame.number);
            let last = last.with_context(|| format!("{}: no picture", way.name()))?;
            let age = publisher.time_of(last).elapsed();
            let seconds = (span * sample / samples).as_secs();
            table.add(way.name(), format!("age_s_after_{seconds:03}"), age.as_secs_f64());
            if let Some(memory) = run.private_mb() {
                table.add(way.name(), format!("memory_mb_after_{seconds:03}"), memory);
            }
        }
    }
    table.print()
}

fn start(way: Way, server: &RtmpServer, output: &str, delay: Option<&str>) -> Result<Run> {
    let (input, output) = (server.url("source"), server.url(output));
    let mut command = match way {
        Way::Framelane => {
            let namespace = Namespace::new()?;
            let mut chain = Chain::new(&namespace, &input, &output);
            if let Some(delay) = delay {
                chain = chain.worker_args(&["--delay", &format!("{delay}s")]);
            }
            return Ok(Run::Stages(Box::new(chain.start(1)?), namespace));
        }
        Way::Relay => {
            let mut command = ffmpeg();
            command.args(["-i", &input, "-c:v", "libx264", "-preset", "veryfast"]);
            command.args(["-tune", "zerolatency", "-g", "50", "-f", "flv", &output]);
            command
        }
        Way::Script => {
            let python = env::var_os("BENCH_PYTHON").context("BENCH_PYTHON: which Python?")?;
            let mut command = Command::new(python);
            command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/python/script.py"));
            command.args([&input, &output, &format!("{WIDTH}x{HEIGHT}"), RATE]).args(delay);
            command
        }
    };
    command.stdin(Stdio::null());
    Ok(Run::Process(Process::start(&mut command, way.name())?))
}

impl Run {
    /// Memory of the processes themselves, shared memory and ffmpeg left out, in MB; `None` when
    /// one of them has ended.
    fn private_mb(&self) -> Option<f64> {
        let pids = match self {
            Self::Stages(stages, _) => {
                let workers = stages.workers.iter().map(e2e::Stage::pid);
                workers.chain([stages.puller.pid(), stages.pusher.pid()]).collect()
            }
            Self::Process(process) => vec![process.pid()],
        };
        let kilobytes_of = |pid: &u32| {
            let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            let private = |line: &&str| line.starts_with("RssAnon") || line.starts_with("RssFile");
            let values =
                text.lines().filter(private).filter_map(|line| line.split_whitespace().nth(1));
            // One that has ended and was not waited for has no such lines.
            let sum: f64 = values.filter_map(|value| value.parse::<f64>().ok()).sum();
            (sum > 0.0).then_some(sum)
        };
        pids.iter().map(kilobytes_of).sum::<Option<f64>>().map(|kilobytes| kilobytes / 1024.0)
    }
}

//! `framelane stat`: everything a ring says of itself, for people or as JSON.

use framelane_ring::{
    GroupSnapshot, LatencySummary, Ring, RingSnapshot, SeatSnapshot, SegmentName,
};
use framelane_stage::Failure;

use crate::output::say;
use crate::report::{megabytes, seconds};

pub(crate) fn run(ring: &str, json: bool) -> Result<(), Failure> {
    let snapshot = Ring::open(&SegmentName::new(ring)?)?.snapshot()?;
    if json {
        let text = serde_json::to_string_pretty(&snapshot).map_err(anyhow::Error::from)?;
        say!("{text}")
    } else {
        print(&snapshot)
    }
}

fn print(snapshot: &RingSnapshot) -> Result<(), Failure> {
    say!(
        "{}  {}  {} slots of {:.1} MB ({} free, {} being written)  epoch {}",
        snapshot.ring,
        snapshot.policy,
        snapshot.slots,
        megabytes(snapshot.payload_capacity),
        snapshot.slots_free,
        snapshot.slots_writing,
        snapshot.epoch,
    )?;
    if let Some(descriptor) = &snapshot.descriptor {
        let video = descriptor.video.as_ref().map_or("no video".into(), |v| v.geometry.to_string());
        say!("source {}  {video}", descriptor.source)?;
    }
    match snapshot.end {
        Some(end) => say!("next {}  ended at {end}", snapshot.next),
        None => say!("next {}", snapshot.next),
    }?;
    let totals = snapshot.totals.iter().filter(|(_, count)| **count > 0);
    let totals: Vec<_> = totals.map(|(name, count)| format!("{name} {count}")).collect();
    if !totals.is_empty() {
        say!("totals {}", totals.join("  "))?;
    }
    snapshot.groups.iter().try_for_each(print_group)?;
    snapshot.participants.iter().try_for_each(print_seat)
}

fn print_group(group: &GroupSnapshot) -> Result<(), Failure> {
    let kind = if group.ordered { "ordered" } else { "shared" };
    let books = &group.books;
    let dropped: Vec<_> = books
        .dropped
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(reason, count)| format!("{reason} {count}"))
        .collect();
    say!(
        "group {} ({kind}, {} members)  published {} = delivered {} + dropped {} + pending {} + held {}{}{}",
        group.name,
        group.members,
        books.published,
        books.delivered,
        books.dropped_total(),
        books.pending,
        books.held,
        if dropped.is_empty() { String::new() } else { format!("  [{}]", dropped.join(", ")) },
        if books.exact { "" } else { "  (frames moved while they were counted)" },
    )
}

fn print_seat(seat: &SeatSnapshot) -> Result<(), Failure> {
    let held = seat
        .held_seconds
        .map_or("holds nothing".into(), |held| format!("holds a slot for {}", seconds(held)));
    say!(
        "participant {} {}{} pid {}{}  {held}  age {}  hold {}",
        seat.id,
        seat.role,
        seat.group.as_ref().map_or(String::new(), |group| format!(" of {group}")),
        seat.pid,
        if seat.alive { "" } else { " DEAD" },
        latency(seat.age),
        latency(seat.hold),
    )
}

fn latency(summary: Option<LatencySummary>) -> String {
    summary.map_or("-".into(), |s| format!("p50 {:.1} ms p99 {:.1} ms", s.p50_ms, s.p99_ms))
}

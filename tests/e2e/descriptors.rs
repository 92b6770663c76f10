//! Rule: a place in a ring belongs to one process. A fork has none: its parent keeps the place, and
//! loses it when it dies, whether or not the child lives. Who loses its descriptors is told.

use anyhow::{Context, Result, ensure};
use e2e::{Namespace, Stage, wait_until};
use framelane_ring::{Ring, RingSnapshot, SegmentName};

fn snapshot(namespace: &Namespace) -> Result<RingSnapshot> {
    let name = SegmentName::in_namespace(namespace.name(), "a")?;
    Ok(Ring::open(&name)?.snapshot()?)
}

/// A lossless source that waits for its readers.
fn source(namespace: &Namespace) -> Result<Stage> {
    let args = ["source", "a", "--frames", "100", "--policy", "block"];
    namespace.command("peer").args(args).start()
}

#[test]
fn a_forked_child_has_no_part_in_its_parents_rings() -> Result<()> {
    let namespace = Namespace::new()?;
    let _source = source(&namespace)?;
    let mut parent = namespace.command("peer").args(["forker", "a"]).start()?;
    wait_until("both to speak", || parent.printed().lines().count() == 2)?;
    let said = parent.printed();
    ensure!(said.contains("parent holds its frame"), "{said}");
    ensure!(said.contains("child Err(Shm(Forked)) foreign false"), "{said}");
    let pid = parent.pid();
    ensure!(snapshot(&namespace)?.participants.iter().any(|seat| seat.pid == pid && seat.alive));
    // The child lives on, and with it whatever it might have kept of its parent's lock.
    parent.kill()?;
    wait_until("the parent to be cleaned up after", || {
        let seats = snapshot(&namespace).map(|snapshot| snapshot.participants);
        seats.is_ok_and(|seats| seats.iter().all(|seat| seat.pid != pid))
    })?;
    let snapshot = snapshot(&namespace)?;
    let books = &snapshot.groups.first().context("its group is durable")?.books;
    ensure!(books.exact && books.balance() && books.held == 0, "{books:?}");
    Ok(())
}

#[test]
fn a_process_that_loses_its_descriptors_is_told() -> Result<()> {
    let namespace = Namespace::new()?;
    let _source = source(&namespace)?;
    let closer = namespace.command("peer").args(["closer", "a"]).start()?;
    wait_until("an answer", || !closer.printed().is_empty())?;
    let said = closer.printed();
    ensure!(said.starts_with("refused:"), "{said}");
    Ok(())
}

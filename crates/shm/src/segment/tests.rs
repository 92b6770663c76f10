//! Segments are seen whole, outlive their creators, and are refused when they are not ours.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

fn name(test: &str) -> SegmentName {
    SegmentName::in_namespace(&format!("segment-{test}-{}", std::process::id()), "ring")
        .expect("a good name")
}

#[test]
fn a_segment_is_seen_whole_and_outlives_its_creator() {
    let name = name("whole");
    let value = |segment: &Segment| {
        segment.memory().at::<AtomicU64>(8).expect("in bounds").load(Ordering::Relaxed)
    };
    let fill = |memory: &Memory| {
        memory.at::<AtomicU64>(8).expect("in bounds").store(7, Ordering::Relaxed);
    };
    drop(Segment::create(&name, 8192, fill).expect("created"));
    let segment = Segment::open(&name).expect("still there");
    assert_eq!((value(&segment), segment.memory().bytes()), (7, 8192));
    assert!(matches!(Segment::create(&name, 4096, |_| ()), Err(ShmError::Exists(_))));
    segment.unlink().expect("unlinked");
    assert!(!segment.is_linked().expect("answers"));
    assert!(matches!(Segment::open(&name), Err(ShmError::NotFound(_))));
    assert_eq!(value(&segment), 7, "who has it open keeps it");
}

#[test]
fn a_segment_that_does_not_fit_is_refused_with_numbers_and_leaves_nothing() {
    let name = name("room");
    let Err(ShmError::TooSmall { needed_mib, .. }) = Segment::create(&name, 1 << 50, |_| ()) else {
        panic!("a petabyte fits?");
    };
    assert_eq!(needed_mib, 1 << 30);
    let namespace = format!("segment-room-{}", std::process::id());
    let (rings, private) = list_segments(&namespace).expect("readable");
    assert!(rings.is_empty() && private.is_empty());
}

#[test]
fn what_another_user_laid_out_is_refused() {
    use std::os::unix::fs::{PermissionsExt, chown};

    use rustix::process::Uid;
    use rustix::thread::set_thread_res_uid;

    let name = name("owner");
    drop(Segment::create(&name, 4096, |_| ()).expect("created"));
    drop(Segment::open(&name).expect("one's own"));
    // Only root can give a file away, and become somebody else; others see the first half.
    if geteuid().as_raw() == ROOT {
        fs::set_permissions(name.path(), fs::Permissions::from_mode(0o666)).expect("it is ours");
        let open_as = |user| {
            std::thread::scope(|scope| {
                let open = || {
                    // The kernel's users are those of threads.
                    let user = Uid::from_raw(user);
                    set_thread_res_uid(user, user, user).expect("root may");
                    Segment::open(&name).map(drop)
                };
                scope.spawn(open).join().expect("no panic")
            })
        };
        open_as(4321).expect("root's");
        chown(name.path(), Some(1234), None).expect("root may");
        open_as(1234).expect("one's own");
        open_as(ROOT).expect("root looks at anybody's");
        // Whether its owner lets others in or, as is usual, not.
        for mode in [0o666, 0o600] {
            fs::set_permissions(name.path(), fs::Permissions::from_mode(mode)).expect("root may");
            let refused = open_as(4321).expect_err("another one's").to_string();
            assert!(refused.contains("belongs to user 1234, not to user 4321"), "{refused}");
        }
    }
    fs::remove_file(name.path()).expect("still there");
}

//! What a ring is, said plainly: sets and counters for one thread, without atomics, locks or bits.
//! Whatever a [`Reference`] answers, the ring has to answer, too.

use std::collections::{BTreeMap, BTreeSet};

use framelane_ring::{DropReason, Policy};

/// What is done to a ring. Members, groups and reasons are numbers; what isn't possible just then
/// does nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    Acquire,
    Commit,
    Abort,
    Skip,
    End,
    Join { member: usize, group: usize },
    Leave { member: usize },
    Claim { member: usize },
    Release { member: usize },
    GiveBack { member: usize },
    DropAs { member: usize, reason: usize },
    Forget { group: usize },
    Observe,
    Unobserve,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It wasn't possible, and wasn't tried.
    Idle,
    Done,
    /// The frame with this number: got, published or seen.
    Frame(u64),
    /// No slot, or no frame.
    Nothing,
    Ended,
    StillHolding,
    /// The ring has lost its name.
    Gone,
    GroupTaken,
    UnknownGroup,
}

pub(crate) const MEMBERS: usize = 3;
pub(crate) const GROUPS: usize = 3;

/// The place of who looks without consuming, among those who can hold a slot.
const OBSERVER: usize = MEMBERS;

#[derive(Clone, Debug, Default)]
struct Slot {
    /// The frame in it, also if everybody is done with it.
    frame: Option<u64>,
    is_written: bool,
    pending: BTreeSet<usize>,
    /// Each holder, and the group it holds the frame for.
    held: BTreeMap<usize, Option<usize>>,
}

impl Slot {
    fn is_free(&self) -> bool {
        !self.is_written && self.pending.is_empty() && self.held.is_empty()
    }

    fn is_only_pending(&self) -> bool {
        !self.is_written && !self.pending.is_empty() && self.held.is_empty()
    }
}

/// What a group's books have to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Books {
    pub(crate) members: u32,
    pub(crate) published: u64,
    pub(crate) delivered: u64,
    pub(crate) dropped: BTreeMap<&'static str, u64>,
    pub(crate) pending: u64,
    pub(crate) held: u64,
}

impl Books {
    fn empty() -> Self {
        let dropped = DropReason::ALL.iter().map(|reason| (reason.name(), 0)).collect();
        Self { dropped, ..Self::default() }
    }
}

/// A place in a group. It is left when both are gone.
#[derive(Clone, Copy, Debug)]
struct Member {
    group: usize,
    is_joined: bool,
    slot: Option<usize>,
}

/// The plain ring.
#[derive(Debug)]
pub(crate) struct Reference {
    policy: Policy,
    /// Whether the last one out takes the ring's name.
    has_name: bool,
    is_gone: bool,
    slots: Vec<Slot>,
    groups: BTreeMap<usize, Books>,
    members: [Option<Member>; MEMBERS],
    has_source: bool,
    /// The slot that is written, and the frame's number.
    writing: Option<(usize, u64)>,
    /// The free slot that the source took last: it takes another one next, where there is one.
    last: Option<usize>,
    /// Whether there is an observer, and the slot that it holds.
    observer: Option<Option<usize>>,
    pub(crate) next: u64,
    pub(crate) end: Option<u64>,
    pub(crate) no_slot: u64,
    pub(crate) aborted: u64,
    pub(crate) given_back: u64,
}

impl Reference {
    pub(crate) fn new(policy: Policy, slots: usize, has_name: bool) -> Self {
        Self {
            policy,
            has_name,
            is_gone: false,
            slots: vec![Slot::default(); slots],
            groups: BTreeMap::new(),
            members: [None; MEMBERS],
            has_source: true,
            writing: None,
            last: None,
            observer: None,
            next: 0,
            end: None,
            no_slot: 0,
            aborted: 0,
            given_back: 0,
        }
    }

    pub(crate) fn apply(&mut self, op: Op) -> Answer {
        match op {
            Op::Acquire => self.acquire(),
            Op::Commit => self.commit(),
            Op::Abort => self.abort(),
            Op::Skip if self.writing.is_some() => Answer::StillHolding,
            Op::Skip if self.has_source => {
                self.next += 1;
                self.no_slot += 1;
                Answer::Done
            }
            Op::End if self.has_source && self.writing.is_none() => {
                self.end = Some(self.next);
                self.has_source = false;
                self.lose_name_if_over();
                Answer::Done
            }
            Op::Skip | Op::End => Answer::Idle,
            Op::Join { member, group } => self.join(member, group),
            Op::Leave { member } => self.leave(member),
            Op::Claim { member } => self.claim(member),
            Op::Release { member } => self.finish(member, |books, _| books.delivered += 1),
            Op::DropAs { member, reason } => self.finish(member, |books, _| {
                *books.dropped.get_mut(DropReason::ALL[reason].name()).expect("there") += 1;
            }),
            Op::GiveBack { member } => {
                let answer = self.finish(member, |_, (slot, group)| {
                    slot.pending.insert(group);
                });
                self.given_back += u64::from(answer == Answer::Done);
                answer
            }
            Op::Forget { group } => self.forget(group),
            Op::Observe => self.observe(),
            Op::Unobserve => self.unobserve(),
        }
    }

    fn acquire(&mut self) -> Answer {
        if !self.has_source {
            return Answer::Idle;
        }
        if self.writing.is_some() {
            return Answer::StillHolding;
        }
        if self.policy == Policy::Block && self.groups.is_empty() {
            return Answer::Nothing;
        }
        let others = (0..self.slots.len()).filter(|index| Some(*index) != self.last);
        let free = others.chain(self.last).find(|&index| self.slots[index].is_free());
        self.last = free.or(self.last);
        let Some(index) = free.or_else(|| self.oldest_to_overwrite()) else {
            return Answer::Nothing;
        };
        let slot = &mut self.slots[index];
        for group in std::mem::take(&mut slot.pending) {
            let books = self.groups.get_mut(&group).expect("who waits is there");
            *books.dropped.get_mut("overrun").expect("there") += 1;
        }
        slot.is_written = true;
        slot.frame = None;
        self.writing = Some((index, self.next));
        Answer::Frame(self.next)
    }

    fn oldest_to_overwrite(&self) -> Option<usize> {
        let may = |&index: &usize| {
            self.policy == Policy::DropOldest && self.slots[index].is_only_pending()
        };
        (0..self.slots.len()).filter(may).min_by_key(|&index| self.slots[index].frame)
    }

    fn commit(&mut self) -> Answer {
        let Some((index, frame)) = self.writing.take() else { return Answer::Idle };
        let pending = self.groups.keys().copied().collect();
        self.slots[index] = Slot { frame: Some(frame), pending, ..Slot::default() };
        self.groups.values_mut().for_each(|books| books.published += 1);
        self.next = self.next.max(frame + 1);
        Answer::Frame(frame)
    }

    fn abort(&mut self) -> Answer {
        let Some((index, _)) = self.writing.take() else { return Answer::Idle };
        self.slots[index] = Slot::default();
        self.aborted += 1;
        Answer::Done
    }

    fn join(&mut self, member: usize, group: usize) -> Answer {
        if self.members[member].is_some() {
            return Answer::Idle;
        }
        if self.is_gone {
            return Answer::Gone;
        }
        self.groups.entry(group).or_insert_with(Books::empty);
        self.members[member] = Some(Member { group, is_joined: true, slot: None });
        Answer::Done
    }

    fn leave(&mut self, member: usize) -> Answer {
        match &mut self.members[member] {
            Some(place) if place.is_joined => place.is_joined = false,
            _ => return Answer::Idle,
        }
        self.give_up_place(member);
        Answer::Done
    }

    /// Leaves the group, unless the member is there or holds something still.
    fn give_up_place(&mut self, member: usize) {
        let Some(place) = self.members[member] else { return };
        if place.is_joined || place.slot.is_some() {
            return;
        }
        self.members[member] = None;
        // Groups of a lossless ring are kept for members that come back.
        if self.policy == Policy::DropOldest && !self.has_members(place.group) {
            self.remove_group(place.group);
        }
        self.lose_name_if_over();
    }

    fn has_members(&self, group: usize) -> bool {
        self.members.iter().flatten().any(|place| place.group == group)
    }

    fn remove_group(&mut self, group: usize) {
        self.groups.remove(&group);
        for slot in &mut self.slots {
            slot.pending.remove(&group);
        }
    }

    fn claim(&mut self, member: usize) -> Answer {
        let Some(place) = self.members[member].as_mut().filter(|place| place.is_joined) else {
            return Answer::Idle;
        };
        let group = place.group;
        let waiting = (0..self.slots.len()).filter(|&at| self.slots[at].pending.contains(&group));
        let Some(index) = waiting.min_by_key(|&index| self.slots[index].frame) else {
            let busy = self.slots.iter().any(|slot| slot.held.values().any(|&g| g == Some(group)));
            return if self.end.is_some() && !busy { Answer::Ended } else { Answer::Nothing };
        };
        if place.slot.is_some() {
            return Answer::StillHolding;
        }
        place.slot = Some(index);
        let slot = &mut self.slots[index];
        slot.pending.remove(&group);
        slot.held.insert(member, Some(group));
        Answer::Frame(slot.frame.expect("published"))
    }

    /// Ends a claim; `account` says where the frame goes.
    fn finish(
        &mut self,
        member: usize,
        account: impl FnOnce(&mut Books, (&mut Slot, usize)),
    ) -> Answer {
        let Some(place) = &mut self.members[member] else { return Answer::Idle };
        let Some(index) = place.slot.take() else { return Answer::Idle };
        let slot = &mut self.slots[index];
        slot.held.remove(&member);
        let books = self.groups.get_mut(&place.group).expect("it has a member");
        account(books, (slot, place.group));
        self.give_up_place(member);
        Answer::Done
    }

    fn forget(&mut self, group: usize) -> Answer {
        if self.is_gone {
            return Answer::Gone;
        }
        let answer = if !self.groups.contains_key(&group) {
            Answer::UnknownGroup
        } else if self.has_members(group) {
            Answer::GroupTaken
        } else {
            self.remove_group(group);
            Answer::Done
        };
        // Who forgets a group takes a place for that moment.
        self.lose_name_if_over();
        answer
    }

    fn observe(&mut self) -> Answer {
        let Some(held) = &mut self.observer else {
            self.observer = (!self.is_gone).then_some(None);
            return if self.is_gone { Answer::Gone } else { Answer::Done };
        };
        let newest = (0..self.slots.len()).filter(|&index| !self.slots[index].is_written);
        let newest = newest.max_by_key(|&index| self.slots[index].frame);
        let Some((index, frame)) = newest.and_then(|at| Some((at, self.slots[at].frame?))) else {
            return Answer::Nothing;
        };
        if held.is_some() {
            return Answer::StillHolding;
        }
        *held = Some(index);
        self.slots[index].held.insert(OBSERVER, None);
        Answer::Frame(frame)
    }

    /// Lets go of the frame, or, without one, leaves.
    fn unobserve(&mut self) -> Answer {
        let Some(held) = &mut self.observer else { return Answer::Idle };
        if let Some(index) = held.take() {
            self.slots[index].held.remove(&OBSERVER);
        } else {
            self.observer = None;
            self.lose_name_if_over();
        }
        Answer::Done
    }

    /// What the last one out does with a ring that has ended and is empty.
    fn lose_name_if_over(&mut self) {
        let has_been_seen = self.policy == Policy::DropOldest || !self.groups.is_empty();
        let is_over = self.end.is_some() && self.slots.iter().all(Slot::is_free);
        if self.has_name && self.participants() == 0 && has_been_seen && is_over {
            self.is_gone = true;
        }
    }

    pub(crate) fn participants(&self) -> usize {
        let members = self.members.iter().flatten().count();
        members + usize::from(self.has_source) + usize::from(self.observer.is_some())
    }

    pub(crate) fn slots_free(&self) -> usize {
        self.slots.iter().filter(|slot| slot.is_free()).count()
    }

    pub(crate) fn slots_written(&self) -> usize {
        self.slots.iter().filter(|slot| slot.is_written).count()
    }

    /// The books of each group, as they have to be.
    pub(crate) fn books(&self) -> BTreeMap<usize, Books> {
        let count = |wanted: &dyn Fn(&Slot) -> bool| {
            self.slots.iter().filter(|slot| wanted(slot)).count() as u64
        };
        let fill = |(&group, books): (&usize, &Books)| {
            let members = self.members.iter().flatten().filter(|place| place.group == group);
            let members = u32::try_from(members.count()).expect("few");
            let pending = count(&|slot| slot.pending.contains(&group));
            let held = count(&|slot| slot.held.values().any(|&holder| holder == Some(group)));
            (group, Books { members, pending, held, ..books.clone() })
        };
        self.groups.iter().map(fill).collect()
    }
}

//! A consumer: the module `consumer` of the ring.

use super::books::{Edge, TAKEN_AWAY};
use super::{At, Fate, NONE, OneRing, Role, SLOTS, Steps, Weak};

impl OneRing {
    pub(super) fn consumer(&self, steps: &mut Steps<'_>, at: At) {
        let group = self.members[steps.process - 1];
        match at {
            At::Looks => self.looks(steps, group),
            At::Reads { slot, half: 0 } => self.reads(steps, slot, 0, At::Reads { slot, half: 1 }),
            At::Reads { slot, half: 1 } => self.reads(steps, slot, 1, At::Reads { slot, half: 2 }),
            At::Reads { slot, .. } if !self.books => self.releases(steps, slot, 1 << group),
            At::Reads { slot, .. } => {
                let seq = steps.state.slots[usize::from(slot)].seq;
                self.write_down(steps, Edge::Release, (slot, seq), 1 << group);
            }
            At::Asks { slot } => self.asks(steps, slot, group),
            At::AsksHolders { slot, word } => {
                let role = |seat: u8| steps.state.lines[usize::from(seat)].role;
                let busy = word.holders().any(|seat| role(seat) == Some(Role::Member(group)));
                let then = if busy { At::Looks } else { At::AsksAgain { slot, word } };
                steps.go("looks at who holds slot", slot, then, |_| ());
            }
            At::AsksAgain { slot, word } => {
                let same = steps.state.word(slot) == word;
                let then = if same { self.after_slot(slot) } else { At::Looks };
                steps.go("looks again at slot", slot, then, |_| ());
            }
            At::AsksEnd if steps.state.end == NONE => {
                steps.go("sees no end", NONE, At::Looks, |_| ());
            }
            At::AsksEnd => steps.leave(),
            _ => unreachable!("no consumer is at {at:?}"),
        }
    }

    fn looks(&self, steps: &mut Steps<'_>, group: u8) {
        let (state, seat) = (steps.state, steps.seat());
        for slot in 0..SLOTS {
            if let Some(after) = state.word(slot).claim(seat, group) {
                let then = At::Reads { slot, half: 0 };
                steps.go("claims slot", slot, then, |state| state.slot(slot).word = after);
            }
        }
        // The end is read before the slots: a frame may come while they are looked at.
        if state.end != NONE || self.weak == Weak::EndReadLast {
            steps.go(
                "starts to look whether its group is done",
                NONE,
                At::Asks { slot: 0 },
                |_| (),
            );
        }
    }

    /// Releases a slot in a model without the members' books.
    fn releases(&self, steps: &mut Steps<'_>, slot: u8, groups: u8) {
        let after = steps.state.word(slot).release(steps.seat());
        steps.go("releases slot", slot, At::Looks, |state| match after {
            Some(after) => {
                let seq = state.slot(slot).seq;
                state.decide(groups, seq, Fate::Delivered);
                state.set_word(slot, after);
            }
            None => state.wrong = Some(TAKEN_AWAY),
        });
    }

    fn reads(&self, steps: &mut Steps<'_>, slot: u8, half: usize, then: At) {
        steps.go("reads half of slot", slot, then, |state| {
            let found = *state.slot(slot);
            if found.halves[half] != found.seq {
                state.wrong = Some("a frame is torn");
            }
        });
    }

    /// Looks whether a slot's frame is pending for the group or held by a member of it.
    fn asks(&self, steps: &mut Steps<'_>, slot: u8, group: u8) {
        let word = steps.state.word(slot);
        let then = if word.is_pending(group) {
            At::Looks
        } else if word.is_writing()
            || word.holders().next().is_none()
            || self.weak == Weak::HoldersForgotten
        {
            self.after_slot(slot)
        } else {
            At::AsksHolders { slot, word }
        };
        steps.go("asks slot", slot, then, |_| ());
    }

    fn after_slot(&self, slot: u8) -> At {
        if slot + 1 < SLOTS { At::Asks { slot: slot + 1 } } else { At::AsksEnd }
    }
}

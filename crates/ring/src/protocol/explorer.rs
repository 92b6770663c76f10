//! The explorer: it visits every state that a model can reach, breadth first, so that the trace to
//! whatever it finds is a shortest one.
//!
//! It finds violations, which a state shows by itself, and then *traps*: states from which no good end
//! can be reached any more. A deadlock, a livelock and a leaked slot are traps.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::hash::Hash;
use std::rc::Rc;

/// More states than any model should have: a larger one takes too long to be run with every build.
const MOST_STATES: usize = 1_000_000;

/// The name under which a trap is reported.
pub(crate) const TRAP: &str = "no good end can be reached";

/// What somebody does in one step: at most one access to memory that others see.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) who: &'static str,
    pub(crate) what: &'static str,
    /// The slot, frame or participant that it is done to.
    pub(crate) to: u8,
}

/// Collects what can happen next in a state.
pub(crate) struct Steps<'a, S> {
    pub(crate) state: &'a S,
    pub(crate) found: &'a mut Vec<(Step, S)>,
}

impl<S: Clone> Steps<'_, S> {
    pub(crate) fn add(
        &mut self,
        who: &'static str,
        (what, to): (&'static str, u8),
        change: impl FnOnce(&mut S),
    ) {
        let mut next = self.state.clone();
        change(&mut next);
        self.found.push((Step { who, what, to }, next));
    }
}

/// A protocol, small enough to be looked at whole.
pub(crate) trait Model {
    type State: Clone + Eq + Hash;

    fn start(&self) -> Self::State;
    /// All that can happen next, whoever does it; a death is a step, too.
    fn steps(&self, state: &Self::State) -> Vec<(Step, Self::State)>;
    /// A promise that this state breaks. Nothing is explored beyond such a state.
    fn violation(&self, state: &Self::State) -> Option<&'static str>;
    /// Whether this is a good end.
    fn is_finished(&self, state: &Self::State) -> bool;
}

/// What a model was found to do.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) states: usize,
    pub(crate) fault: Option<Fault>,
}

/// The promise that is broken first, and a shortest way to break it.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) promise: &'static str,
    pub(crate) trace: String,
}

struct Graph<S> {
    states: Vec<Rc<S>>,
    known: HashMap<Rc<S>, usize>,
    parents: Vec<usize>,
    /// From, to.
    edges: Vec<(usize, usize)>,
}

impl<S: Eq + Hash> Graph<S> {
    fn of(start: S) -> Self {
        let mut graph = Self {
            states: Vec::new(),
            known: HashMap::new(),
            parents: Vec::new(),
            edges: Vec::new(),
        };
        graph.add(0, start);
        graph
    }

    fn add(&mut self, parent: usize, state: S) {
        let index = match self.known.get(&state) {
            Some(&index) => index,
            None => {
                let (state, index) = (Rc::new(state), self.states.len());
                self.states.push(Rc::clone(&state));
                self.parents.push(parent);
                self.known.insert(state, index);
                index
            }
        };
        self.edges.push((parent, index));
    }

    /// The first state, if any, from which none of `good` can be reached.
    fn first_trap(&self, good: Vec<usize>) -> Option<usize> {
        let mut before = vec![Vec::new(); self.states.len()];
        for &(from, to) in &self.edges {
            before[to].push(from);
        }
        let mut escapes = vec![false; self.states.len()];
        let mut to_do = good;
        while let Some(state) = to_do.pop() {
            if !escapes[state] {
                escapes[state] = true;
                to_do.append(&mut before[state]);
            }
        }
        escapes.iter().position(|escapes| !escapes)
    }

    fn trace(&self, model: &impl Model<State = S>, mut index: usize) -> String {
        let mut way = vec![index];
        while index != 0 {
            index = self.parents[index];
            way.push(index);
        }
        way.reverse();
        let mut trace = String::new();
        for pair in way.windows(2) {
            let steps = model.steps(&self.states[pair[0]]);
            let taken = steps.iter().find(|(_, state)| *state == *self.states[pair[1]]);
            let (step, _) = taken.expect("the states were reached by steps");
            writeln!(trace, "  {:<12} {} {}", step.who, step.what, step.to).expect("a string");
        }
        trace
    }
}

/// Visits every state of a model, or as many as it takes to find a violation.
pub(crate) fn explore(model: &impl Model) -> Outcome {
    let mut graph = Graph::of(model.start());
    let mut finished = Vec::new();
    let mut index = 0;
    let fault = |graph: &Graph<_>, promise, index| {
        let fault = Fault { promise, trace: graph.trace(model, index) };
        Outcome { states: graph.states.len(), fault: Some(fault) }
    };
    while index < graph.states.len() {
        assert!(graph.states.len() <= MOST_STATES, "the model's bounds are too large");
        let state = Rc::clone(&graph.states[index]);
        if let Some(promise) = model.violation(&state) {
            return fault(&graph, promise, index);
        }
        if model.is_finished(&state) {
            finished.push(index);
        }
        for (_, next) in model.steps(&state) {
            graph.add(index, next);
        }
        index += 1;
    }
    match graph.first_trap(finished) {
        Some(trap) => fault(&graph, TRAP, trap),
        None => Outcome { states: graph.states.len(), fault: None },
    }
}

/// Checks that a model keeps all its promises.
pub(crate) fn assert_holds(model: &impl Model) {
    assert_outcome(model, None);
}

/// Checks that a model, weakened in one rule, breaks this promise: a check that can't fail shows
/// nothing.
pub(crate) fn assert_breaks(model: &impl Model, promise: &'static str) {
    assert_outcome(model, Some(promise));
}

fn assert_outcome(model: &impl Model, promise: Option<&'static str>) {
    let outcome = explore(model);
    eprintln!("{} states", outcome.states);
    if let Some(fault) = &outcome.fault {
        eprintln!("{}:\n{}", fault.promise, fault.trace);
    }
    assert_eq!(outcome.fault.map(|fault| fault.promise), promise);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts up by one or two, and must not meet `bad`.
    struct Stairs {
        top: u8,
        bad: u8,
        pit: u8,
    }

    impl Model for Stairs {
        type State = u8;

        fn start(&self) -> u8 {
            0
        }

        fn steps(&self, &state: &u8) -> Vec<(Step, u8)> {
            let step = |by| (Step { who: "climber", what: "goes up by", to: by }, state + by);
            let can_move = state != self.pit && state < self.top;
            if can_move { vec![step(1), step(2)] } else { Vec::new() }
        }

        fn violation(&self, &state: &u8) -> Option<&'static str> {
            (state == self.bad).then_some("met the bad step")
        }

        fn is_finished(&self, &state: &u8) -> bool {
            state >= self.top
        }
    }

    #[test]
    fn every_state_is_visited_and_counted() {
        let outcome = explore(&Stairs { top: 4, bad: 99, pit: 99 });
        assert_eq!(outcome.states, 6);
        assert!(outcome.fault.is_none());
    }

    #[test]
    fn a_violation_comes_with_a_shortest_trace() {
        let outcome = explore(&Stairs { top: 9, bad: 4, pit: 99 });
        let fault = outcome.fault.expect("there is a bad step");
        assert_eq!((fault.promise, fault.trace.lines().count()), ("met the bad step", 2));
    }

    #[test]
    fn a_state_without_a_way_to_a_good_end_is_a_trap() {
        let outcome = explore(&Stairs { top: 9, bad: 99, pit: 3 });
        let fault = outcome.fault.expect("there is a pit");
        assert_eq!((fault.promise, fault.trace.lines().count()), (TRAP, 2));
    }
}

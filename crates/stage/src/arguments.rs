//! The command line of a program, and the environment that stands in for it.

use std::env;

use clap::builder::Resettable;
use clap::{Arg, Command, Parser};

/// Reads the arguments of this process. A variable that is set to nothing, as files of variables and
/// `${NAME:-}` leave them, counts as not set. Ends the process where they make no sense, or ask for
/// help.
pub fn arguments<T: Parser>() -> T {
    let mut matches = without_empty_variables(T::command()).get_matches();
    T::from_arg_matches_mut(&mut matches).unwrap_or_else(|error| error.exit())
}

fn without_empty_variables(command: Command) -> Command {
    command.mut_args(without_empty_variable).mut_subcommands(without_empty_variables)
}

fn without_empty_variable(arg: Arg) -> Arg {
    let value = arg.get_env().and_then(env::var_os);
    if value.is_some_and(|value| value.is_empty()) { arg.env(Resettable::Reset) } else { arg }
}

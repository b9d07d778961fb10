//! What holds for every command line of the project: variables say yes as people do, and every flag has one.

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Command};

/// Lets the variables of flags be `1`, `yes` or `on` beside `true`, in the command and all below it.
#[must_use]
pub fn forgiving(command: Command) -> Command {
    let command = command.mut_args(|arg| match arg.get_action() {
        ArgAction::SetTrue => arg.value_parser(BoolishValueParser::new()),
        _ => arg,
    });
    let names: Vec<String> = command.get_subcommands().map(|below| below.get_name().to_owned()).collect();
    names.into_iter().fold(command, |command, name| command.mut_subcommand(name, forgiving))
}

/// The flags, of the command and all below it, that no variable of `NETPAY_…` sets.
#[must_use]
pub fn without_variable(command: &Command) -> Vec<String> {
    let own = command.get_arguments().filter(|arg| {
        let is_flag = arg.get_long().is_some() || arg.get_short().is_some();
        let shows = matches!(arg.get_action(), ArgAction::Help | ArgAction::Version);
        let variable = arg.get_env().is_some_and(|name| name.to_string_lossy().starts_with("NETPAY_"));
        is_flag && !shows && !variable
    });
    let own = own.map(|arg| format!("{} --{}", command.get_name(), arg.get_id()));
    own.chain(command.get_subcommands().flat_map(without_variable)).collect()
}

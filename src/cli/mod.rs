//! The command line: one verb a file, data on stdout, everything else on stderr, exit codes that scripts can use.

mod agents;
mod backup;
mod categories;
mod client;
mod conversations;
mod dead_letters;
mod demo;
mod failure;
mod firing;
mod healthcheck;
mod input;
mod keys;
mod loadgen;
mod nodes;
mod notifications;
mod output;
mod redis;
mod rehearse;
mod report;
mod send;
mod serve;
mod settings;
mod shards;
mod sse;

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::config::ConfigArgs;
use failure::Failure;
use output::Format;

/// Closes customer conversations that have gone quiet: exactly on time, exactly once, never over a reply.
#[derive(Parser)]
#[command(name = "adjourn", version, after_help = EXIT_CODES, subcommand_required = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
    /// How data is written to stdout
    #[arg(short, long, global = true, value_enum)]
    output: Option<Format>,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 conflict, 5 service unavailable.";

#[derive(Subcommand)]
enum Verb {
    /// Say what a period would have done to past conversations
    Rehearse(rehearse::RehearseArgs),
    /// Run the service
    Serve(ConfigArgs),
    /// See the main job on real conversations, in half a minute
    Demo(demo::DemoArgs),
    /// Send events
    #[command(subcommand)]
    Events(send::EventsVerb),
    /// Follow what the service tells
    #[command(subcommand)]
    Notifications(notifications::NotificationsVerb),
    /// Look at conversations
    #[command(subcommand)]
    Conversations(conversations::ConversationsVerb),
    /// Look at or change a workspace's settings
    #[command(subcommand)]
    Settings(settings::SettingsVerb),
    /// Look at or change those whom conversations are assigned to
    #[command(subcommand)]
    Agents(agents::AgentsVerb),
    /// Look at or change what closing notes of a workspace may name
    #[command(subcommand)]
    Categories(categories::CategoriesVerb),
    /// See what was opened and closed, by day and by what it has in common
    Report(report::ReportArgs),
    /// Look at events that were set aside, and take them up again or give them up
    #[command(subcommand)]
    DeadLetters(dead_letters::DeadLettersVerb),
    /// Look at the partitions, and move one to another node
    #[command(subcommand)]
    Shards(shards::ShardsVerb),
    /// Look at the nodes, and send one away
    #[command(subcommand)]
    Nodes(nodes::NodesVerb),
    /// Look at the API keys, and make, replace or end one
    #[command(subcommand)]
    Keys(keys::KeysVerb),
    /// Look at what administrators did
    #[command(subcommand)]
    Audit(keys::AuditVerb),
    /// Copy the embedded store while the service goes on
    Backup(backup::BackupArgs),
    /// Let closing go on where all closes are held, and see first what would close
    ResumeFiring(firing::ResumeArgs),
    /// Let nothing close until `resume-firing`
    HoldFiring(firing::HoldArgs),
    /// Look at the Redis that is to be the store
    #[command(subcommand)]
    Redis(redis::RedisVerb),
    /// Put load on a running service and measure
    #[command(subcommand)]
    Loadgen(loadgen::LoadgenVerb),
    /// Ask whether the service on this machine is alive, or ready: exit code 0 or 1, for a container's health check
    Healthcheck(healthcheck::HealthcheckArgs),
    /// Print a completion script
    Completions { shell: clap_complete::Shell },
}

/// Reads the command line, does what it says, and answers with the exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let format = cli.output;
    match cli.verb {
        Verb::Serve(args) => serve::run(args),
        Verb::Demo(args) => demo::run(&args),
        Verb::Events(send::EventsVerb::Send(args)) => client_runtime(send::run(args, format)),
        Verb::Notifications(notifications::NotificationsVerb::Tail(args)) => client_runtime(notifications::run(args, format)),
        Verb::Conversations(verb) => client_runtime(conversations::run(verb, format)),
        Verb::Settings(verb) => client_runtime(settings::run(verb, format)),
        Verb::Agents(verb) => client_runtime(agents::run(verb, format)),
        Verb::Categories(verb) => client_runtime(categories::run(verb, format)),
        Verb::Report(args) => client_runtime(report::run(args, format)),
        Verb::DeadLetters(verb) => client_runtime(dead_letters::run(verb, format)),
        Verb::Shards(verb) => client_runtime(shards::run(verb, format)),
        Verb::Nodes(verb) => client_runtime(nodes::run(verb, format)),
        Verb::Keys(verb) => client_runtime(keys::run(verb, format)),
        Verb::Audit(verb) => client_runtime(keys::audit(verb, format)),
        Verb::Backup(args) => client_runtime(backup::run(args, format)),
        Verb::ResumeFiring(args) => client_runtime(firing::resume(args, format)),
        Verb::HoldFiring(args) => client_runtime(firing::hold(args)),
        Verb::Redis(verb) => client_runtime(redis::run(verb, format)),
        Verb::Loadgen(verb) => client_runtime(loadgen::run(verb, format)),
        Verb::Rehearse(args) => rehearse::run(&args, format),
        Verb::Healthcheck(args) => client_runtime(healthcheck::run(args)),
        Verb::Completions { shell } => {
            // By way of memory: the generator panics over a reader that hangs up.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "adjourn", &mut script);
            Ok(std::io::stdout().write_all(&script)?)
        }
    }
}

/// Runs a client verb: one thread is plenty for one user.
fn client_runtime(verb: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::failed)?.block_on(verb)
}

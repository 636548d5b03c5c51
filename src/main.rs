//! The front door: everything is in [`adjourn::cli`].

fn main() -> std::process::ExitCode {
    adjourn::cli::main()
}

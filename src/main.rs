//! The front door: everything is in [`adjourn::cli`].

/// A third of the time of ingest went into glibc's allocator, and it kept the memory of every peak.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    adjourn::cli::main()
}

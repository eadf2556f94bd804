//! The binary: everything it does is in the library beside it.

use std::{io, process::ExitCode};

use netnode_cli::{Io, run};

fn main() -> ExitCode {
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    let mut input = io::stdin().lock();
    let terminal = netnode_cli::terminal::Terminal::detect();
    let mut io = Io { out: &mut out, err: &mut err, input: &mut input, terminal };
    // A worker of its own keeps the connection alive while this thread waits for standard input.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    match runtime {
        Ok(runtime) => ExitCode::from(runtime.block_on(run(std::env::args_os(), &mut io))),
        Err(error) => {
            // Standard error may be gone; there is nobody else to tell.
            let _ = writeln!(io.err, "netdbctl: the runtime can't start: {error}");
            ExitCode::FAILURE
        }
    }
}

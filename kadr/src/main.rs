//! The `kadr` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    kadr::main()
}

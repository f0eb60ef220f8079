//! The `kadr` program, so that cargo builds it before the tests that start and kill it.

use std::process::ExitCode;

fn main() -> ExitCode {
    kadr::main()
}

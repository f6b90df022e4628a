//! The one command: measures everything and writes `BENCHMARKS.md`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    peers::command(env!("CARGO_BIN_EXE_mimalloc"))
}

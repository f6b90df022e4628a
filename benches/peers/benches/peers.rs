//! The one command: measures everything and writes `docs/benchmarks.md`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    peers::command(env!("CARGO_BIN_EXE_mimalloc"))
}

//! The benchmark program measures everything in a few seconds each. Its figures are not looked at
//! here: a debug build on a busy machine says nothing.

use chiasm_testbed::{process, story::story};
use std::process::Command;

#[test]
fn the_benchmark_program_measures_everything() {
    story("bench", async {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chiasm-bench"));
        command.args(["--quick", "--markdown"]);
        let table = process::output(command)?;
        for line in [
            "latency, ack at the gateway, p50",
            "latency, live event, p99",
            "backlog, 1 gateway(s), SQLite",
            "backlog, 5 gateway(s), PostgreSQL",
            "latency, ack, beside 11520 bytes of rubbish a second",
            "gateway, 8 links, idle, PSS",
            "small objects, one association, our gateway",
            "frames kept in the cloud: scrolling",
        ] {
            assert!(table.contains(line), "no `{line}` in\n{table}");
        }
        Ok(())
    });
}

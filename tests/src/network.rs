//! A network of its own, of Linux namespaces: the cloud at one end, each gateway behind a cable that
//! can be pulled and made so slow that packets are lost. Needs `unshare` and `ip`, no rights: the
//! test runs itself once more as root of a user namespace.

use crate::process;
use anyhow::{Context, Result, ensure};
use std::process::Command;

/// Set in the process that is inside.
const INSIDE: &str = "CHIASM_TEST_NETWORK";
/// The cloud's address, for every gateway.
pub const CLOUD_HOST: &str = "10.77.0.1";
const BRIDGE: &str = "clouds";
/// Names of namespaces are files; here nobody else's are.
const SET_UP: &str = "mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns && ip link set lo up \
     && ip link add clouds type bridge && ip addr add 10.77.0.1/24 dev clouds \
     && ip link set clouds up && exec \"$@\"";

/// Whether this process is in a network of its own.
pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs a test of this program once more, in a network of its own; fails as it fails.
pub fn run_inside(test: &str) -> Result<()> {
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--net", "--mount", "sh", "-ec", SET_UP, "sh"]);
    command.arg(std::env::current_exe()?).args(["--exact", test, "--nocapture"]);
    let output = command.env(INSIDE, "1").output().context("unshare (package util-linux)")?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    ensure!(output.status.success() && said.contains("1 passed"), "{said}");
    // The numbers are wanted when all is well, too.
    eprint!("{said}");
    Ok(())
}

/// From a gateway's namespace to the cloud.
#[derive(Debug, Clone)]
pub struct Cable {
    /// The namespace; and the cable's end at the cloud.
    pub namespace: String,
}

impl Cable {
    /// Lays the cable of a gateway, by a number of its own below 200.
    pub fn lay(number: u8) -> Result<Self> {
        let cable = Self { namespace: format!("gateway{number}") };
        let name = cable.namespace.as_str();
        let address = format!("10.77.0.{}/24", number + 10);
        ip(&["netns", "add", name])?;
        ip(&["link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name])?;
        ip(&["link", "set", name, "master", BRIDGE, "up"])?;
        for args in [
            &["addr", "add", &address, "dev", "eth0"][..],
            &["link", "set", "eth0", "up"],
            &["link", "set", "lo", "up"],
        ] {
            ip(&[&["-n", name], args].concat())?;
        }
        Ok(cable)
    }

    pub fn pull(&self) -> Result<()> {
        ip(&["link", "set", &self.namespace, "down"])
    }
    pub fn plug_in(&self) -> Result<()> {
        ip(&["link", "set", &self.namespace, "up"])
    }

    /// Makes both directions so slow, with so short a queue, that packets are lost.
    pub fn choke(&self, kbit_per_s: u32) -> Result<()> {
        let rate = format!("{kbit_per_s}kbit");
        let shaped = ["root", "tbf", "rate", &rate, "burst", "2k", "limit", "3k"];
        self.shape(&[&["replace"], &shaped[..]].concat())
    }
    pub fn free(&self) -> Result<()> {
        self.shape(&["replace", "root", "pfifo"])
    }

    /// Packets that were lost in the queues as they are now.
    pub fn dropped(&self) -> Result<u64> {
        let mut dropped = 0;
        for end in self.ends() {
            let said =
                tc(&[&end.before[..], &["-s", "qdisc", "show", "dev", &end.device]].concat())?;
            let words: Vec<&str> = said.split([' ', ',']).collect();
            let counts = words.windows(2).filter(|it| it[0] == "(dropped");
            dropped += counts.filter_map(|it| it[1].parse::<u64>().ok()).sum::<u64>();
        }
        Ok(dropped)
    }

    fn shape(&self, args: &[&str]) -> Result<()> {
        for end in self.ends() {
            let qdisc = ["qdisc", args[0], "dev", &end.device];
            tc(&[&end.before[..], &qdisc, &args[1..]].concat())?;
        }
        Ok(())
    }

    fn ends(&self) -> [End<'_>; 2] {
        let name = self.namespace.as_str();
        [
            End { before: vec![], device: name.into() },
            End { before: vec!["-n", name], device: "eth0".into() },
        ]
    }
}

/// One end of a cable, as `tc` is told of it.
struct End<'a> {
    before: Vec<&'a str>,
    device: String,
}

fn ip(args: &[&str]) -> Result<()> {
    let mut command = Command::new("ip");
    command.args(args);
    process::output(command).map(|_| ())
}

fn tc(args: &[&str]) -> Result<String> {
    let mut command = Command::new("tc");
    command.args(args);
    process::output(command)
}

//! Two network namespaces with a pair of devices between them: source and viewers in one, the relay in the other.
//!
//! The program starts itself once more in a namespace of its own, for which no rights are needed where the system
//! allows namespaces of users. Where it does not, all is done on the loopback device of the machine.

use crate::scenario::Cut;
use std::{
    cell::Cell,
    env, fmt, io,
    net::{IpAddr, Ipv4Addr},
    process::{Child, Command, ExitCode, Stdio},
};

/// Set for the process that was started in a namespace of its own.
const INSIDE: &str = "UDP_BENCH_INSIDE";

const OUTER_DEVICE: &str = "outer";
const OUTER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const RELAY_DEVICE: &str = "relay";
const RELAY: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

/// Runs this program in a namespace of its own and returns how that ended. `None` if this process is in it, or if there
/// can be none.
pub(crate) fn enter() -> io::Result<Option<ExitCode>> {
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--net"]);
        command
    };
    if env::var_os(INSIDE).is_some() || run(unshare().arg("true")).is_err() {
        return Ok(None);
    }
    let mut inside = unshare();
    inside.arg(env::current_exe()?).args(env::args_os().skip(1));
    let status = inside.env(INSIDE, "1").status()?;
    Ok(Some(match status.success() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }))
}

#[derive(Debug)]
pub(crate) enum Network {
    /// A pair of devices (veth).
    Pair {
        /// A process that does nothing. The relay's namespace is there as long as it is.
        holder: Child,
        /// Whether the relay's device takes a frame whole.
        whole: Cell<bool>,
    },
    Loopback,
}

impl Network {
    pub(crate) fn new() -> io::Result<Self> {
        if env::var_os(INSIDE).is_none() {
            return Ok(Network::Loopback);
        }
        // It ends when its standard input does, with this process.
        let mut holder = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo ready; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        wait_for_line(&mut holder)?;
        let network = Network::Pair {
            whole: Cell::new(true),
            holder,
        };
        let Network::Pair { holder, .. } = &network else {
            unreachable!("it was made above");
        };
        let add = format!(
            "link add {OUTER_DEVICE} type veth peer name {RELAY_DEVICE} netns {}",
            holder.id()
        );
        ip(Command::new("ip"), &add)?;
        for (command, address, device) in [
            (Command::new("ip"), OUTER, OUTER_DEVICE),
            (network.at_relay("ip"), RELAY, RELAY_DEVICE),
        ] {
            ip(command, &format!("addr add {address}/24 dev {device}"))?;
        }
        ip(Command::new("ip"), &format!("link set {OUTER_DEVICE} up"))?;
        let up = format!("link set {RELAY_DEVICE} up");
        ip(network.at_relay("ip"), &up)?;
        Ok(network)
    }

    /// A command that runs where the relay is.
    pub(crate) fn at_relay(&self, program: &str) -> Command {
        match self {
            Network::Pair { holder, .. } => {
                let mut command = Command::new("nsenter");
                let namespace = format!("--net=/proc/{}/ns/net", holder.id());
                command.args([&namespace, program]);
                command
            }
            Network::Loopback => Command::new(program),
        }
    }

    /// Whether a frame can be cut there.
    pub(crate) fn can(&self, cut: Cut) -> bool {
        // The loopback device of the machine is not ours to change.
        matches!(self, Network::Pair { .. }) || cut != Cut::Kernel
    }

    pub(crate) fn set_cut(&self, cut: Cut) -> io::Result<()> {
        let Network::Pair { whole, .. } = self else {
            return Ok(());
        };
        let wanted = cut != Cut::Kernel;
        if whole.replace(wanted) != wanted {
            let most = if wanted { 65_535 } else { 1 };
            let set = format!("link set {RELAY_DEVICE} gso_max_segs {most}");
            ip(self.at_relay("ip"), &set)?;
        }
        Ok(())
    }

    /// The address of source and viewers.
    pub(crate) fn outer_address(&self) -> IpAddr {
        match self {
            Network::Pair { .. } => OUTER.into(),
            Network::Loopback => Ipv4Addr::LOCALHOST.into(),
        }
    }

    /// The address of the relay.
    pub(crate) fn relay_address(&self) -> IpAddr {
        match self {
            Network::Pair { .. } => RELAY.into(),
            Network::Loopback => Ipv4Addr::LOCALHOST.into(),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Network::Pair { .. } => {
                "a veth pair between two network namespaces, without other traffic"
            }
            Network::Loopback => {
                "the loopback device of the machine, because there could be no namespace"
            }
        })
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if let Network::Pair { holder, .. } = self {
            drop(holder.stdin.take());
            if let Err(error) = holder.wait() {
                eprintln!("the process that holds the namespace: {error}");
            }
        }
    }
}

/// The namespace is there once its process runs in it.
fn wait_for_line(child: &mut Child) -> io::Result<()> {
    let stdout = child.stdout.take().expect("it is piped");
    let mut line = String::new();
    io::BufRead::read_line(&mut io::BufReader::new(stdout), &mut line)?;
    match line.as_str() {
        "ready\n" => Ok(()),
        _ => Err(io::Error::other("there is no namespace for the relay")),
    }
}

fn ip(mut command: Command, arguments: &str) -> io::Result<()> {
    run(command.args(arguments.split(' ')))
}

fn run(command: &mut Command) -> io::Result<()> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{command:?}: {said}")))
}

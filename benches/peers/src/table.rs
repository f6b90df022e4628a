//! A table: one scenario at one parameter, who is measured in it, and what must be reached.

use crate::profile::Profile;
use hdrhistogram::Histogram;
use std::time::Duration;

/// What one measurement found.
pub(crate) struct Outcome {
    /// In the table's unit.
    pub(crate) value: f64,
    /// How long it took in all.
    pub(crate) elapsed: Duration,
    /// All single latencies, where there are such.
    pub(crate) latencies: Option<Histogram<u64>>,
}

impl Outcome {
    /// Nanoseconds per operation.
    pub(crate) fn per_operation(elapsed: Duration, operations: u64) -> Self {
        Outcome {
            value: elapsed.as_nanos() as f64 / operations as f64,
            elapsed,
            latencies: None,
        }
    }

    /// A value that no time went into.
    pub(crate) fn constant(value: f64) -> Self {
        Outcome {
            value,
            elapsed: Duration::ZERO,
            latencies: None,
        }
    }
}

/// Does a number of operations and says what they cost.
pub(crate) type Measurement = Box<dyn FnMut(u64) -> Outcome>;

/// The allocator of the process in which a row is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Process {
    Glibc,
    Mimalloc,
}

/// What a row is to the others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    /// The crate itself.
    Ours,
    /// What is used in its place.
    Peer,
    /// Something to hold the others against which is no pool: a floor, or the crate under other circumstances.
    Reference,
}

/// One contender of a table.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) process: Process,
    pub(crate) role: Role,
    pub(crate) make: Box<dyn Fn() -> Measurement>,
}

/// What a table's values are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unit {
    /// Nanoseconds per operation; on several threads, of each of them.
    Nanoseconds,
    /// Mebibytes, which no number of operations changes.
    Mebibytes,
}

/// What a subject is held against.
pub(crate) enum Base {
    /// One row.
    Row(&'static str),
    /// Whichever peer is the fastest beside the subject.
    FastestPeer,
}

/// How far the subject must get.
#[derive(Clone, Copy)]
pub(crate) enum Bound {
    /// At most so many times the base's value.
    AtMost(f64),
}

/// What a row of a table must reach.
pub(crate) struct Target {
    pub(crate) subject: &'static str,
    pub(crate) base: Base,
    pub(crate) bound: Bound,
    /// The build for which it counts.
    pub(crate) profile: Profile,
}

/// One scenario at one parameter.
pub(crate) struct Table {
    /// The scenario, by its plain name.
    pub(crate) scenario: &'static str,
    /// The parameter.
    pub(crate) case: String,
    /// The parameter as a number, where the scenario is about how the cost grows with it.
    pub(crate) along: Option<usize>,
    pub(crate) unit: Unit,
    pub(crate) rows: Vec<Row>,
    pub(crate) targets: Vec<Target>,
    /// Whether it is measured with thin LTO as well.
    pub(crate) thin: bool,
}

/// The name of the crate's own row, and the beginning of its others.
pub(crate) const OURS: &str = "sample-pool";

/// Ends the name of a row that is measured in the process with mimalloc.
const MIMALLOC: &str = ", mimalloc";

impl Table {
    pub(crate) fn new(scenario: &'static str, case: impl Into<String>) -> Self {
        Table {
            scenario,
            case: case.into(),
            along: None,
            unit: Unit::Nanoseconds,
            rows: Vec::new(),
            targets: Vec::new(),
            thin: false,
        }
    }

    pub(crate) fn unit(mut self, unit: Unit) -> Self {
        self.unit = unit;
        self
    }

    pub(crate) fn along(mut self, parameter: usize) -> Self {
        self.along = Some(parameter);
        self
    }

    /// Adds a row: the crate's own, if its name says so, or that of a peer.
    pub(crate) fn row<M>(self, name: &str, make: impl Fn() -> M + 'static) -> Self
    where
        M: FnMut(u64) -> Outcome + 'static,
    {
        let role = if name.starts_with(OURS) {
            Role::Ours
        } else {
            Role::Peer
        };
        self.add(name.to_owned(), Process::Glibc, role, make)
    }

    /// Adds a row that is no contender.
    pub(crate) fn reference<M>(self, name: &str, make: impl Fn() -> M + 'static) -> Self
    where
        M: FnMut(u64) -> Outcome + 'static,
    {
        self.add(name.to_owned(), Process::Glibc, Role::Reference, make)
    }

    /// Adds the row twice: in this process, and in the one with mimalloc.
    pub(crate) fn row_for_each_allocator<M>(
        self,
        name: &str,
        make: impl Fn() -> M + Clone + 'static,
    ) -> Self
    where
        M: FnMut(u64) -> Outcome + 'static,
    {
        let mut table = self.row(name, make.clone());
        let role = table.rows.last().expect("just added").role;
        let name = format!("{name}{MIMALLOC}");
        table = table.add(name, Process::Mimalloc, role, make);
        table
    }

    fn add<M>(
        mut self,
        name: String,
        process: Process,
        role: Role,
        make: impl Fn() -> M + 'static,
    ) -> Self
    where
        M: FnMut(u64) -> Outcome + 'static,
    {
        self.rows.push(Row {
            name,
            process,
            role,
            make: Box::new(move || Box::new(make())),
        });
        self
    }

    pub(crate) fn target(mut self, subject: &'static str, base: Base, bound: Bound) -> Self {
        self.targets.push(Target {
            subject,
            base,
            bound,
            profile: Profile::Release,
        });
        self
    }

    /// Measured with thin LTO as well.
    pub(crate) fn also_thin(mut self) -> Self {
        self.thin = true;
        self
    }

    /// A target of the crate's own row that counts for the build with thin LTO.
    pub(crate) fn at_most_thin(mut self, times: f64, base: &'static str) -> Self {
        self.targets.push(Target {
            subject: OURS,
            base: Base::Row(base),
            bound: Bound::AtMost(times),
            profile: Profile::Thin,
        });
        self.also_thin()
    }

    /// Short for a target of the crate's own row against one other.
    pub(crate) fn at_most(self, times: f64, base: &'static str) -> Self {
        self.target(OURS, Base::Row(base), Bound::AtMost(times))
    }
}

//! Locked memory, and memory that the system does not take back.
//!
//! Locking all memory and denying a system call affect a whole process, so each test runs in a child.
//!
//! Guarantees: 10, 14

#![allow(
    unsafe_code,
    reason = "locking memory and refusing system calls are calls of libc's"
)]

use crate::child::in_a_child;
use bytes::BufMut;
use sample_pool::{Builder, Pool, Properties, State, Status};
use std::{fs, io};

const MIB: usize = 1 << 20;
const BUFFERS: usize = 64;

/// A line of the kernel's report on this process, in bytes.
fn of_the_process(name: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim_start_matches(':').split_whitespace().next());
    1024 * kib.and_then(|n| n.parse::<usize>().ok()).expect("a number")
}

fn resident() -> usize {
    of_the_process("VmRSS")
}

fn locked() -> usize {
    of_the_process("VmLck")
}

fn builder() -> Builder {
    Pool::builder().buffers(BUFFERS).size(MIB).align(4096)
}

/// Takes all buffers, writes each to its last byte, and releases them.
fn use_all(pool: &Pool) {
    let mut all = pool.try_get_buffers(BUFFERS).expect("all are free");
    for sample in &mut all {
        assert!(sample.is_empty());
        sample.put_bytes(7, MIB);
    }
}

fn lock_all(flags: libc::c_int) -> io::Result<()> {
    // SAFETY: no pointer is passed.
    match unsafe { libc::mlockall(flags) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Builds the pool. Its first mapping fails if the process may not lock so much.
fn build(builder: Builder) -> io::Result<Pool> {
    let refused = |_| io::Error::other("this process may not lock 64 MiB");
    builder.build().map_err(refused)
}

/// The pool's memory of 64 MiB, and an allowance for everything else.
#[track_caller]
fn assert_about(bytes: usize, expected: usize) {
    let slack = 8 * MIB;
    assert!(
        bytes + slack >= expected && bytes <= expected + slack,
        "{} MiB, and not {} MiB",
        bytes / MIB,
        expected / MIB
    );
}

/// For locked pages the kernel refuses to take memory back, with an error that also means a wrong argument. A
/// process that locks all memory, so as to have no page faults, must find it backed and locked after a commit.
#[test]
fn a_decommit_gives_locked_memory_back_and_a_commit_locks_it_again() {
    in_a_child(
        "locked_memory::a_decommit_gives_locked_memory_back_and_a_commit_locks_it_again",
        || {
            lock_all(libc::MCL_FUTURE)?;
            let (unused, unlocked) = (resident(), locked());
            let all = BUFFERS * MIB;
            let pool = build(builder())?;
            for _ in 0..3 {
                assert_about(resident() - unused, all);
                assert_about(locked() - unlocked, all);
                use_all(&pool);
                let region = pool.region();
                pool.decommit();
                assert_eq!(pool.state(), State::Configured);
                assert_about(resident().saturating_sub(unused), 0);
                assert_eq!(pool.status().memory_kept, 0);
                pool.commit().expect("it was locked before");
                assert_eq!(pool.region(), region);
            }
            use_all(&pool);
            // The system locks new memory itself.
            pool.decommit();
            let half = Properties {
                buffers: BUFFERS / 2,
                ..pool.properties()
            };
            pool.set_properties(half).expect("it has drained");
            pool.commit().expect("it is less");
            assert_about(resident() - unused, all / 2);
            drop(pool);
            assert_about(resident().saturating_sub(unused), 0);
            assert_about(locked().saturating_sub(unlocked), 0);
            Ok(())
        },
    );
}

/// With `MCL_ONFAULT` a large pool uses only the pages that were touched. To lock the whole pool again would
/// back all of it.
#[test]
fn memory_that_is_locked_when_it_is_used_is_not_backed_by_a_commit() {
    in_a_child(
        "locked_memory::memory_that_is_locked_when_it_is_used_is_not_backed_by_a_commit",
        || {
            lock_all(libc::MCL_FUTURE | libc::MCL_ONFAULT)?;
            let (unused, unlocked) = (resident(), locked());
            let pool = build(builder())?;
            for _ in 0..3 {
                assert_about(resident() - unused, 0);
                assert_about(locked() - unlocked, BUFFERS * MIB);
                let mut some = pool.try_get_buffers(BUFFERS / 2).expect("all are free");
                some.iter_mut().for_each(|sample| sample.put_bytes(7, MIB));
                assert_about(resident() - unused, BUFFERS / 2 * MIB);
                drop(some);
                pool.decommit();
                assert_about(resident().saturating_sub(unused), 0);
                assert_eq!(pool.status().memory_kept, 0);
                pool.commit().expect("the same memory");
            }
            Ok(())
        },
    );
}

/// From now on the system denies a system call in this thread, as a sandbox does. With `advice`, it denies only
/// calls with that third argument, as a kernel does that does not know it.
fn refuse(call: libc::c_long, advice: Option<u32>, error: libc::c_int) -> io::Result<()> {
    fn step(code: u32, k: u32, if_true: u8, if_false: u8) -> libc::sock_filter {
        libc::sock_filter {
            code: code as u16,
            jt: if_true,
            jf: if_false,
            k,
        }
    }
    // The first word of the filter's data is the number of the call, and the third argument starts at byte 32.
    const NUMBER: u32 = 0;
    const THIRD: u32 = if cfg!(target_endian = "little") {
        32
    } else {
        36
    };
    let load = |place| step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, place, 0, 0);
    let skip_unless = |k, steps| step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, k, 0, steps);
    let answer = |k| step(libc::BPF_RET | libc::BPF_K, k, 0, 0);
    let number = u32::try_from(call).expect("a number of a call");
    let mut filter = vec![load(NUMBER)];
    match advice {
        None => filter.push(skip_unless(number, 1)),
        Some(advice) => {
            filter.push(skip_unless(number, 3));
            filter.push(load(THIRD));
            filter.push(skip_unless(advice, 1));
        }
    }
    filter.push(answer(libc::SECCOMP_RET_ERRNO | error as u32));
    filter.push(answer(libc::SECCOMP_RET_ALLOW));
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: no pointer is passed.
    let alone = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: the program and its steps live until the call returns, which copies them.
    let set = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) };
    match (alone, set) {
        (0, 0) => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// `MADV_DONTNEED_LOCKED`, which Linux has since 5.18.
const DONTNEED_LOCKED: u32 = 24;

/// Without the call that takes back locked pages, they are unlocked first.
#[test]
fn an_older_kernel_takes_locked_memory_as_well_and_locks_it_again() {
    in_a_child(
        "locked_memory::an_older_kernel_takes_locked_memory_as_well_and_locks_it_again",
        || {
            refuse(libc::SYS_madvise, Some(DONTNEED_LOCKED), libc::EINVAL)?;
            lock_all(libc::MCL_FUTURE)?;
            let (unused, unlocked) = (resident(), locked());
            let pool = build(builder())?;
            for _ in 0..3 {
                assert_about(resident() - unused, BUFFERS * MIB);
                assert_about(locked() - unlocked, BUFFERS * MIB);
                use_all(&pool);
                pool.decommit();
                assert_about(resident().saturating_sub(unused), 0);
                assert_about(locked().saturating_sub(unlocked), 0);
                assert_eq!(pool.status().memory_kept, 0);
                pool.commit().expect("it was locked before");
            }
            // Pages that cannot be unlocked stay, and stay locked.
            refuse(libc::SYS_munlock, None, libc::EPERM)?;
            pool.decommit();
            assert_eq!(pool.status().memory_kept, BUFFERS * MIB);
            assert_about(locked() - unlocked, BUFFERS * MIB);
            pool.commit().expect("the same memory");
            use_all(&pool);
            Ok(())
        },
    );
}

/// It could only be locked again as a whole, which would use far more memory than was taken back.
#[test]
fn an_older_kernel_keeps_what_is_locked_when_it_is_used_and_that_is_reported() {
    in_a_child(
        "locked_memory::an_older_kernel_keeps_what_is_locked_when_it_is_used_and_that_is_reported",
        || {
            refuse(libc::SYS_madvise, Some(DONTNEED_LOCKED), libc::EINVAL)?;
            lock_all(libc::MCL_FUTURE | libc::MCL_ONFAULT)?;
            let unused = resident();
            let pool = build(builder())?;
            let mut some = pool.try_get_buffers(8).expect("all are free");
            some.iter_mut().for_each(|sample| sample.put_bytes(7, MIB));
            drop(some);
            pool.decommit();
            assert_eq!(pool.status().memory_kept, BUFFERS * MIB);
            pool.commit().expect("the same memory");
            assert_about(resident() - unused, 8 * MIB);
            Ok(())
        },
    );
}

/// An operator who decommits idle pools would wonder why the process does not shrink.
#[test]
fn memory_that_the_system_does_not_take_back_is_reported() {
    in_a_child(
        "locked_memory::memory_that_the_system_does_not_take_back_is_reported",
        || {
            let pool = build(builder().name("idle"))?;
            use_all(&pool);
            let before = resident();
            refuse(libc::SYS_madvise, None, libc::EPERM)?;
            let kept = |status: Status| (status.state, status.memory_kept);

            let decommit = || pool.decommit();
            #[cfg(feature = "tracing")]
            let recorded = {
                let recorder = crate::recorder::Recorder::new(|_event| {});
                tracing::subscriber::with_default(recorder.clone(), decommit);
                recorder.take()
            };
            #[cfg(not(feature = "tracing"))]
            decommit();

            let bytes = pool.region().map_or(BUFFERS * MIB, |region| region.len());
            assert_eq!(kept(pool.status()), (State::Configured, bytes));
            assert_about(resident(), before);
            #[cfg(feature = "tracing")]
            {
                let last = recorded.last().expect("events");
                assert_eq!(last.level, tracing::Level::WARN);
                assert!(last.message.contains("did not take back"), "{last:?}");
                assert_eq!(last.fields["bytes"], bytes.to_string());
                assert!(last.fields["reason"].contains("not permitted"), "{last:?}");
                assert_eq!(last.message.lines().count(), 1);
            }
            // The pool works nevertheless.
            pool.commit().expect("the same memory");
            assert_eq!(kept(pool.status()), (State::Committed, 0));
            use_all(&pool);

            // The last release of a drain ends it as a decommit does.
            let held = pool.try_get_buffer().expect("all are free");
            pool.decommit();
            assert_eq!(kept(pool.status()), (State::Draining, 0));
            drop(held);
            assert_eq!(kept(pool.status()), (State::Configured, bytes));
            // Memory that is unmapped goes back to the system in any case.
            pool.set_properties(pool.properties())
                .expect("it has drained");
            assert_eq!(kept(pool.status()), (State::Configured, 0));
            assert_about(resident(), before - bytes);
            Ok(())
        },
    );
}

/// A kernel that was built without huge pages refuses the hint. The pool works, and an event reports the error.
#[cfg(feature = "tracing")]
#[test]
fn huge_pages_that_are_refused_are_reported_once() {
    in_a_child(
        "locked_memory::huge_pages_that_are_refused_are_reported_once",
        || {
            refuse(libc::SYS_madvise, None, libc::EPERM)?;
            let recorder = crate::recorder::Recorder::new(|_event| {});
            tracing::subscriber::with_default(recorder.clone(), || {
                let pool = build(builder().huge_pages(true)).expect("it is a hint");
                use_all(&pool);
                pool.decommit();
                pool.commit().expect("the same memory");
            });
            let recorded = recorder.take();
            let refusals = recorded
                .iter()
                .filter(|recorded| recorded.message.contains("huge pages"));
            assert_eq!(refusals.count(), 1, "{recorded:?}");
            Ok(())
        },
    );
}

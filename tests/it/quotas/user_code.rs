//! Wakers that call the pool, panic or change, and futures that are forgotten.

#![forbid(unsafe_code)]

use super::{assert_nothing_is_lost, assert_used, pool};
use crate::polling::Polled;
use crate::wakers::{Moment, hooked_at};
use sample_pool::{GetBufferError, State};
use std::{
    future::Future,
    mem,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

/// An admitted get holds room and no sample, so a drain can end while another get waits for room.
#[test]
fn a_waker_may_commit_when_its_drain_has_ended() {
    let pool = pool(4);
    let quota = pool.quota("camera", 1);
    let held = quota.try_get_buffer().unwrap();
    let admitted = Polled::waiting(quota.get_buffer());
    let hook = {
        let pool = pool.clone();
        hooked_at(Moment::Wake, move || pool.commit().unwrap())
    };
    let mut waiting = Box::pin(quota.get_buffer());
    let cx = &mut Context::from_waker(&hook);
    assert!(waiting.as_mut().poll(cx).is_pending());
    drop(held);
    assert!(admitted.is_woken());
    pool.decommit();
    assert_eq!(pool.state(), State::Committed);
    drop((admitted, waiting));
    assert_nothing_is_lost(&pool, &quota);
}

/// A waker that is woken for room takes the room and releases it, at once, on the releasing thread.
#[test]
fn wakers_of_a_quota_may_come_back_in() {
    let pool = pool(4);
    let quota = pool.quota("camera", 1);
    let held = quota.try_get_buffer().unwrap();
    let seen = Arc::new(AtomicUsize::new(0));
    let hook = {
        let (pool, quota, seen) = (pool.clone(), quota.clone(), seen.clone());
        hooked_at(Moment::Wake, move || {
            seen.fetch_add(quota.status().in_use, Ordering::SeqCst);
            drop(quota.try_get_buffer());
            drop(pool.quota("another", 1).try_get_buffer());
        })
    };
    let mut waiting = Box::pin(quota.get_buffer());
    let cx = &mut Context::from_waker(&hook);
    assert!(waiting.as_mut().poll(cx).is_pending());
    drop(held);
    assert_eq!(seen.load(Ordering::SeqCst), 1, "woken once, and charged");
    drop(waiting);
    assert_nothing_is_lost(&pool, &quota);
}

/// A release that comes between the check for room and the place in the queue finds no waiter, so the get must find the
/// room. A waker is cloned between the two.
#[test]
fn room_that_is_released_while_a_get_begins_to_wait_is_taken_at_once() {
    let pool = pool(4);
    let quota = pool.quota("camera", 3);
    let held = quota.try_get_buffer().unwrap();
    let others = Mutex::new(quota.try_get_buffers(2).unwrap());
    let hook = hooked_at(Moment::Clone, move || others.lock().unwrap().clear());
    let mut get = Box::pin(quota.get_buffers(2));
    let Poll::Ready(taken) = get.as_mut().poll(&mut Context::from_waker(&hook)) else {
        panic!("waits, and there is room");
    };
    assert_used(&quota, 3, 0);
    drop((held, taken));
    assert_nothing_is_lost(&pool, &quota);
}

/// The same for a get that is polled by another task: the waker that it had is woken, which is of no use.
#[test]
fn room_that_is_released_while_a_get_moves_to_another_task_is_taken_at_once() {
    let pool = pool(4);
    let quota = pool.quota("camera", 1);
    let held = Mutex::new(Some(quota.try_get_buffer().unwrap()));
    let hook = hooked_at(Moment::Clone, move || drop(held.lock().unwrap().take()));
    let mut get = Box::pin(quota.get_buffer());
    let first = &mut Context::from_waker(Waker::noop());
    assert!(get.as_mut().poll(first).is_pending());
    let moved = get.as_mut().poll(&mut Context::from_waker(&hook));
    assert!(matches!(moved, Poll::Ready(Ok(_))));
    drop(moved);
    assert_nothing_is_lost(&pool, &quota);
}

/// A flush or a decommit between the check of the pool and the place in the queue finds no waiter, and no other one may
/// come.
#[test]
fn a_flush_that_begins_while_a_get_begins_to_wait_fails_it() {
    let pool = pool(4);
    let quota = pool.quota("camera", 1);
    let held = quota.try_get_buffer().unwrap();
    let hook = {
        let pool = pool.clone();
        hooked_at(Moment::Clone, move || pool.set_flushing(true))
    };
    let mut get = Box::pin(quota.get_buffer());
    let failed = get.as_mut().poll(&mut Context::from_waker(&hook));
    assert!(matches!(failed, Poll::Ready(Err(GetBufferError::Flushing))));
    pool.set_flushing(false);
    drop(held);
    assert_nothing_is_lost(&pool, &quota);
}

#[test]
fn a_waker_that_panics_loses_no_room() {
    let pool = pool(4);
    let quota = pool.quota("camera", 1);
    let held = quota.try_get_buffer().unwrap();
    let panicking = hooked_at(Moment::Wake, || panic!("woken"));
    let mut first = Box::pin(quota.get_buffer());
    let cx = &mut Context::from_waker(&panicking);
    assert!(first.as_mut().poll(cx).is_pending());
    let mut second = Polled::waiting(quota.get_buffer());
    drop(held);
    drop(first);
    assert!(second.is_woken());
    drop(second.expect_ready().unwrap());
    assert_nothing_is_lost(&pool, &quota);
}

/// Forgotten futures keep their room and their queue position, and nothing else: not the pool, and no waker
/// after the pool ends.
#[test]
fn a_forgotten_get_of_a_quota_does_not_keep_the_pool() {
    let pool = pool(4);
    let quota = pool.quota("camera", 1);
    let held = quota.try_get_buffer().unwrap();
    let admitted = Polled::waiting(quota.get_buffer());
    let dropped = Arc::new(AtomicUsize::new(0));
    let waker = {
        let dropped = dropped.clone();
        hooked_at(Moment::Drop, move || {
            dropped.fetch_add(1, Ordering::SeqCst);
        })
    };
    let mut queued = Box::pin(quota.get_buffer());
    let cx = &mut Context::from_waker(&waker);
    assert!(queued.as_mut().poll(cx).is_pending());
    drop(held);
    assert!(admitted.is_woken());
    mem::forget((admitted, queued));
    assert_used(&quota, 1, 1);
    drop(quota);
    assert!(pool.try_get_buffers(4).is_ok());
    drop(pool);
    assert_eq!(dropped.load(Ordering::SeqCst), 1, "its waker went with it");
}

/// A waiter that is polled by another task is woken there.
#[test]
fn a_get_that_moves_is_woken_where_it_was_polled_last() {
    let pool = pool(4);
    let quota = pool.quota("camera", 1);
    let held = quota.try_get_buffer().unwrap();
    let mut get = Box::pin(quota.get_buffer());
    let first = Arc::new(AtomicUsize::new(0));
    let waker = {
        let first = first.clone();
        hooked_at(Moment::Wake, move || {
            first.fetch_add(1, Ordering::SeqCst);
        })
    };
    let cx = &mut Context::from_waker(&waker);
    assert!(get.as_mut().poll(cx).is_pending());
    let mut moved = Polled::waiting(get);
    drop(held);
    assert_eq!(first.load(Ordering::SeqCst), 0);
    assert!(moved.is_woken());
    drop(moved.expect_ready().unwrap());
    assert_nothing_is_lost(&pool, &quota);
}

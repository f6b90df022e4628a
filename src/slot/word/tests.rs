//! What a word does, one thread at a time.

use super::*;

fn open_word(members: usize, notify: bool) -> Word {
    let word = Word::zero();
    word.open(absent(members), notify);
    word
}

fn parked(out: usize, callback_refs: usize) -> WordCounts {
    WordCounts { out, callback_refs }
}

#[test]
fn a_parked_word_refuses_every_take_and_put() {
    let word = Word::zero();
    assert_eq!(word.take(), Take::Empty);
    assert_eq!(word.take_many(3), 0);
    assert_eq!(word.put(0), Put::NeedsLock);
    assert!(!word.drop_callback_ref());
}

#[test]
fn take_returns_the_lowest_free_slot_and_never_an_absent_one() {
    let word = open_word(3, false);
    assert_eq!(word.take(), Take::Bit(0));
    assert_eq!(word.take(), Take::Bit(1));
    assert_eq!(word.put(0), Put::Free);
    assert_eq!(word.take(), Take::Bit(0));
    assert_eq!(word.take(), Take::Bit(2));
    assert_eq!(word.take(), Take::Empty);
}

#[test]
fn every_slot_of_a_full_word_can_be_taken() {
    let word = open_word(SLOTS_PER_WORD, true);
    for bit in 0..SLOTS_PER_WORD as u32 {
        assert_eq!(word.take(), Take::Bit(bit));
    }
    assert_eq!(word.take(), Take::Empty);
    assert_eq!(word.out(absent(SLOTS_PER_WORD)), SLOTS_PER_WORD);
}

#[test]
fn many_slots_are_taken_in_one_step_lowest_first() {
    let word = open_word(5, false);
    assert_eq!(word.take(), Take::Bit(0));
    assert_eq!(word.take_many(3), 0b0_1110);
    assert_eq!(word.take_many(3), 0b1_0000);
    assert_eq!(word.take_many(3), 0);
}

/// A slot that is checked out and not in the mask stays checked out.
#[test]
fn many_slots_are_freed_in_one_step() {
    let word = open_word(5, false);
    word.take_many(4);
    assert!(word.accepts_many());
    assert!(word.put_many(0b1010));
    assert_eq!(word.out(absent(5)), 2);
    assert_eq!(word.take_many(5), 0b1_1010);
}

/// The slots of a parked word are due to waiters, and those of a word with a callback each owe a call.
#[test]
fn a_word_that_is_parked_or_has_a_callback_refuses_to_free_many() {
    let parked_word = Word::zero();
    assert_eq!(parked_word.take_parked(0), Some(0));
    let with_callback = open_word(5, true);
    assert_eq!(with_callback.take(), Take::Bit(0));
    for word in [parked_word, with_callback] {
        assert!(!word.accepts_many());
        assert!(!word.put_many(1));
        assert_eq!(word.out(absent(5)), 1);
        assert!(!word.has_callback_refs());
    }
}

#[test]
fn a_release_takes_a_callback_reference_only_while_a_callback_is_set() {
    let word = open_word(2, true);
    assert_eq!(word.take(), Take::Bit(0));
    assert_eq!(word.put(0), Put::CallbackDue);
    assert!(word.has_callback_refs());
    assert_eq!(word.park(absent(2)), parked(0, 1));
    assert!(
        !word.drop_callback_ref(),
        "callback references of a parked word are dropped under the lock"
    );
    word.drop_parked_callback_ref();
    word.open(absent(2), false);
    assert_eq!(word.take(), Take::Bit(0));
    assert_eq!(word.put(0), Put::Free);
    assert!(!word.has_callback_refs());
}

#[test]
fn callback_references_never_carry_into_the_flags() {
    let word = open_word(1, true);
    for _ in 0..63 {
        assert_eq!(word.take(), Take::Bit(0));
        assert_eq!(word.put(0), Put::CallbackDue);
    }
    assert_eq!(word.take(), Take::Bit(0));
    assert_eq!(word.put(0), Put::NeedsLock);
    assert_eq!(word.park(absent(1)), parked(1, 63));
}

#[test]
fn parking_counts_the_slots_that_are_checked_out_and_keeps_their_bits() {
    let word = open_word(4, false);
    assert_eq!(word.take_many(2), 0b11);
    assert_eq!(word.park(absent(4)), parked(2, 0));
    word.put_locked(0);
    assert_eq!(word.take_parked(absent(4)), Some(0));
    assert_eq!(word.take_parked(absent(4)), Some(2));
    assert_eq!(word.take_parked(absent(4)), Some(3));
    assert_eq!(word.take_parked(absent(4)), None);
    assert_eq!(word.open(absent(4), false), parked(4, 0));
}

/// Each bit alone, in a word whose other slots are all checked out: a put that cleared another bit would be seen.
#[test]
fn each_put_frees_the_bit_of_its_slot() {
    for notify in [false, true] {
        for bit in 0..SLOTS_PER_WORD as u32 {
            let word = open_word(SLOTS_PER_WORD, notify);
            word.take_many(SLOTS_PER_WORD);
            assert_eq!(word.free(), 0);
            let put = word.put(bit);
            assert_eq!(put == Put::CallbackDue, notify, "bit {bit}");
            assert_eq!(word.free(), 1);
            assert_eq!(word.take(), Take::Bit(bit));
        }
    }
}

/// The same for a parked word.
#[test]
fn each_put_to_a_parked_word_frees_the_bit_of_its_slot() {
    let absent = absent(SLOTS_PER_WORD);
    for bit in 0..SLOTS_PER_WORD as u32 {
        let word = open_word(SLOTS_PER_WORD, false);
        word.take_many(SLOTS_PER_WORD);
        word.park(absent);
        word.put_locked(bit);
        assert_eq!(word.out(absent), SLOTS_PER_WORD - 1);
        assert_eq!(word.take_parked(absent), Some(bit));
    }
}

/// The value that a release loaded may be out of date when it exchanges the word.
#[test]
fn a_release_takes_no_callback_reference_if_the_callback_was_removed_since_its_load() {
    let word = open_word(2, true);
    assert_eq!(word.take(), Take::Bit(0));
    let seen = word.bits.load(Ordering::Relaxed);
    word.park(absent(2));
    word.open(absent(2), false);
    assert_eq!(word.try_put(0, seen), None);
    assert_eq!(word.put_after_a_pause(0), Put::Free);
    assert!(!word.has_callback_refs());
    assert_eq!(word.free(), 2);
}

/// A get of many slots adds up the free slots before it takes any.
#[test]
fn a_word_reports_whether_it_is_open_and_how_many_slots_are_free() {
    let word = Word::zero();
    assert!(!word.is_open());
    assert_eq!(
        word.free(),
        0,
        "the free slots of a parked word cannot be taken"
    );
    word.open(absent(3), false);
    assert!(word.is_open());
    assert_eq!(word.free(), 3);
    assert_eq!(word.take_many(1), 0b1);
    assert_eq!(word.free(), 2);
    word.park(absent(3));
    assert!(!word.is_open());
    assert_eq!(word.free(), 0);
}

/// Slots that were checked out when the word was parked are still checked out when it is opened, and absent slots stay
/// absent.
#[test]
fn a_word_may_be_parked_and_opened_again() {
    let word = open_word(2, true);
    assert_eq!(word.take_many(2), 0b11);
    assert_eq!(word.park(absent(2)), parked(2, 0));
    assert_eq!(word.park(absent(2)), parked(2, 0), "twice changes nothing");
    assert!(!word.is_open());
    assert_eq!(word.put(1), Put::NeedsLock);
    assert_eq!(word.open(absent(2), true), parked(2, 0));
    assert_eq!(word.put(1), Put::CallbackDue);
    assert_eq!(word.take(), Take::Bit(1));
    assert_eq!(word.take(), Take::Empty);
}

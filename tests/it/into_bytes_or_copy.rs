//! A slice that fills little of its buffer is copied, so that it does not pin the buffer; a fuller one is not.

#![forbid(unsafe_code)]

use sample_pool::{Pool, SharedSample};

fn sample(pool: &Pool) -> SharedSample {
    let mut sample = pool.try_get_buffer().expect("one is free");
    sample.set_len(100).expect("it has as many");
    sample.copy_from_slice(&std::array::from_fn::<u8, 100, _>(|at| at as u8));
    sample.freeze()
}

/// An error by one would copy the smallest slice that should pin, or pin the largest that should be copied.
#[test]
fn what_is_below_the_share_is_a_copy_and_the_rest_is_the_buffer_itself() {
    let pool = Pool::builder()
        .buffers(1)
        .size(100)
        .align(1)
        .prefix(60)
        .build()
        .expect("small");
    for (len, share, copies) in [
        (24, 0.25, true),
        (25, 0.25, false),
        (0, 0.25, true),
        (0, 0.0, false),
        (99, 1.0, true),
        (100, 1.0, false),
        (100, 1.5, true),
        (1, f64::NAN, false),
    ] {
        let sample = sample(&pool);
        let slice = sample.slice(..len);
        let address = slice.as_ptr();
        drop(sample);
        let bytes = slice.into_bytes_or_copy(share);
        let expected: Vec<u8> = (0..len as u8).collect();
        assert_eq!(bytes, expected);
        let is_free = pool.free_count() == 1;
        // Empty `Bytes` hold no buffer, copied or not.
        assert_eq!(is_free, copies || len == 0, "{len} bytes at {share}");
        assert!(
            is_free || bytes.as_ptr() == address,
            "it was copied for nothing"
        );
    }
}

/// The other slices of the buffer must not change.
#[test]
fn a_copy_drops_its_own_handle_and_no_other() {
    let pool = Pool::builder()
        .buffers(1)
        .size(100)
        .align(1)
        .build()
        .expect("small");
    let sample = sample(&pool);
    let name = sample.slice(3..5).into_bytes_or_copy(0.5);
    assert_eq!(pool.free_count(), 0);
    drop(sample);
    assert_eq!(pool.free_count(), 1);
    assert_eq!(name, [3u8, 4][..]);
}

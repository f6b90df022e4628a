# The tests in which threads meet, or foreign code comes back in.
threads=(stress lifetime notify release_order second_waker sharing reentrancy panics cancellation many fifo quotas
    cooperative_budget reserve waits status lifecycle bytes)
# These forget something on purpose, or make the pool forget what cannot be dropped.
leaks=(--skip a_forgotten_ --skip the_payload_of_a_panic_may_panic)

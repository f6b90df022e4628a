# The modules of tests/it/ in which threads meet, or user code calls the pool again.
threads=(stress lifetime notify release_order second_waker sharing parts reentrancy panics cancellation many fifo quotas
    cooperative_budget priority_buffers waits status lifecycle bytes)
# These forget something on purpose, or make the pool forget what cannot be dropped.
leaks='a_forgotten_|the_payload_of_a_panic_may_panic'

# test_modules PATTERN MODULE... -- COMMAND...: runs the tests of these modules but those whose names match the pattern,
# if it is not empty. COMMAND is what takes the arguments of `cargo test`. Each test is named, because a filter is any part
# of a name, and `bytes::` is one of `held_bytes::` too.
test_modules() {
    local skipped=$1 modules=() module listed of_module names=() log=$target/modules.log passed
    shift
    while [[ $1 != -- ]]; do
        modules+=("$1")
        shift
    done
    shift
    listed=$("$@" -p sample-pool --test it -- --list)
    for module in "${modules[@]}"; do
        mapfile -t of_module < <(sed -n "s/^\($module::.*\): test$/\1/p" <<<"$listed")
        [[ ${#of_module[@]} -ge 1 ]] || fail "tests/it has no test in a module $module"
        names+=("${of_module[@]}")
    done
    [[ -z $skipped ]] || mapfile -t names < <(printf '%s\n' "${names[@]}" | grep -Ev "$skipped")
    "$@" -p sample-pool --test it -- --exact "${names[@]}" | tee "$log"
    passed=$(sed -n 's/^test result: ok\. \([0-9]*\) passed.*/\1/p' "$log")
    [[ $passed == "${#names[@]}" ]] || fail "${passed:-none} of ${#names[@]} tests passed"
    echo "$passed tests of ${#modules[@]} modules passed"
}

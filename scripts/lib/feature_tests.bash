# The tests with sets of features. Sourced by steps.

# Each line of the list: a feature, `none` or `all`, and how many tests run with it at least.
listed=$(sed '/^#/d' scripts/lib/least_tests | cut -d ' ' -f 1 | sort)
known=$(cargo metadata --no-deps --format-version 1 | python3 -c '
import json, sys
package = next(p for p in json.load(sys.stdin)["packages"] if p["name"] == "sample-pool")
print(*sorted({*package["features"], "all", "none"} - {"default"}), sep="\n")
')
[[ $listed == "$known" ]] || fail "scripts/lib/least_tests and the features of Cargo.toml differ: $(diff <(echo "$listed") <(echo "$known"))"

# feature_tests SET...: with each set all tests pass, and as many run as the list says at least. A set is a feature, or `all`.
feature_tests() {
    local set least passed features log=$target/features.log
    for set; do
        least=$(sed -n "s/^$set //p" scripts/lib/least_tests)
        case $set in
        all) features=(--all-features) ;;
        *) features=(--no-default-features --features "$set") ;;
        esac
        echo "--- features: $set"
        cargo test -p sample-pool "${features[@]}" --lib --test '*' | tee "$log"
        passed=$(awk '/^test result: ok\./ { all += $4 } END { print all + 0 }' "$log")
        echo "features: $set: $passed tests passed"
        [[ $passed -ge $least ]] || fail "with features $set there were $least tests at least, so $((least - passed)) did not run"
    done
}

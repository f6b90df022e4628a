# What every step begins with. Sourced first: it goes to the root of the repository and makes errors end the step.
set -euo pipefail
shopt -s inherit_errexit
set -o errtrace
trap 'echo "error: line $LINENO of ${BASH_SOURCE[0]}: status $? from: $BASH_COMMAND"' ERR

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
target=$(realpath --canonicalize-missing "${CARGO_TARGET_DIR:-target}")
mkdir -p "$target"

# A toolchain that is missing must be a failed step, not a download of another compiler.
export RUSTUP_AUTO_INSTALL=0
# A log is read as plain text.
export CARGO_TERM_COLOR=never CARGO_TERM_PROGRESS_WHEN=never NO_COLOR=1 TERM=dumb DEBIAN_FRONTEND=noninteractive

fail() {
    echo "error: $*"
    exit 1
}

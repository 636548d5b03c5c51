#!/usr/bin/env bash
# Base images for a machine that reaches no image registry: local ones from Debian's packages, under the tags that
# Dockerfile and compose.yaml name, so that both run unchanged.
#
#   deploy/images.sh              all of them
#   deploy/images.sh redis:7      only these
#
# An image that is there, or can be pulled, is left alone; run it as often as you like. `docker history` tells which were
# made here; `docker rmi` them once the real ones can be pulled.
#
# Needs Docker and Debian or Ubuntu; mmdebstrap comes by apt; rust:1-slim-bookworm takes this machine's toolchain.
set -euo pipefail

readonly DEBIAN=debian:bookworm-slim RUST=rust:1-slim-bookworm REDIS=redis:7
# A registry that is there begins to answer at once; one that a firewall swallows would hold us up for minutes.
readonly PULL_SECONDS=300

say() { printf 'images: %s\n' "$*" >&2; }

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# Builds $1 by the Dockerfile on stdin, with the files of directory $2 beside it.
build() {
    cat > "$2/Dockerfile"
    docker build --quiet --tag "$1" "$2" > "$work/built" 2>&1 || { cat "$work/built" >&2; return 1; }
}

make_debian() {
    if ! command -v mmdebstrap > /dev/null; then
        say "mmdebstrap is missing: installing it with apt"
        as_root apt-get update -qq
        as_root apt-get install -y -qq --no-install-recommends mmdebstrap > "$work/apt"
    fi
    # This machine's authorities as well: where a proxy of its own answers for all of TLS, a build trusts no other.
    # shellcheck disable=SC2016  # $1 is the hook's
    mmdebstrap --quiet --variant=minbase --include=ca-certificates \
        --customize-hook='cp /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/ca-certificates.crt"' \
        --customize-hook='rm -rf "$1"/var/cache/apt/*.bin "$1"/usr/share/doc/* "$1"/usr/share/man/* "$1"/usr/share/locale/*' \
        bookworm "$work/debian.tar"
    docker import --change 'CMD ["bash"]' --message "made by deploy/images.sh" "$work/debian.tar" "$DEBIAN" > "$work/built"
}

make_rust() {
    ensure "$DEBIAN"
    mkdir "$work/rust"
    tar -C "$(rustc --print sysroot)" --exclude=lib/rustlib/src -cf "$work/rust/toolchain.tar" bin lib
    build "$RUST" "$work/rust" <<END
FROM $DEBIAN
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
ENV CARGO_HOME=/usr/local/cargo
ADD toolchain.tar /usr/local/
END
}

# As the official one is used: flags alone are redis-server's, it answers from outside, user 999 owns /data.
make_redis() {
    ensure "$DEBIAN"
    mkdir "$work/redis"
    cat > "$work/redis/entrypoint" <<'END'
#!/bin/sh
case "${1-}" in
    redis-server) shift ;;
    '' | -*) ;;
    *) exec "$@" ;;
esac
# One word alone is a file, or a question such as --version.
[ $# = 1 ] || case "${1-}" in '' | -*) set -- --protected-mode no "$@" ;; esac
exec redis-server "$@"
END
    chmod 755 "$work/redis/entrypoint"
    build "$REDIS" "$work/redis" <<END
FROM $DEBIAN
RUN groupadd -r -g 999 redis && useradd -r -u 999 -g 999 redis \
 && apt-get update -qq && apt-get install -y -qq --no-install-recommends redis-server && rm -rf /var/lib/apt/lists/* \
 && mkdir /data && chown 999:999 /data
COPY entrypoint /usr/local/bin/docker-entrypoint.sh
USER 999:999
WORKDIR /data
VOLUME /data
EXPOSE 6379
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["redis-server"]
END
}

# Calls $2 to make image $1 where it neither is nor can be pulled.
provide() {
    if docker image inspect "$1" > /dev/null 2>&1; then
        say "$1 is there"
    elif timeout "$PULL_SECONDS" docker pull --quiet "$1" > "$work/pulled" 2>&1; then
        say "$1 pulled"
    else
        say "$1 cannot be pulled ($(tail -n 1 "$work/pulled")): making one from packages"
        "$2"
        say "$1 made, $(docker image inspect --format '{{.Size}}' "$1" | numfmt --to=si)B"
    fi
}

ensure() {
    case "$1" in
        "$DEBIAN") provide "$1" make_debian ;;
        "$RUST") provide "$1" make_rust ;;
        "$REDIS") provide "$1" make_redis ;;
        *) say "no recipe for $1: $DEBIAN, $RUST and $REDIS are known"; exit 2 ;;
    esac
}

docker info > /dev/null || { say "no Docker engine answers"; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Two at a time would make the same image twice.
exec 9> "${TMPDIR:-/tmp}/adjourn-images.lock"
flock 9
[ $# -gt 0 ] || set -- "$DEBIAN" "$RUST" "$REDIS"
for image in "$@"; do ensure "$image"; done

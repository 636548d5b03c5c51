# adjourn in a small image: one binary that runs as nobody, over a root file system that nothing writes to.
#
#   docker build -t adjourn .
#   docker run --rm adjourn demo
#   docker run -d -p 127.0.0.1:8080:8080 -v adjourn-data:/var/lib/adjourn adjourn serve --insecure
#
# Other bases by --build-arg; nothing is run in the second stage, so that one without a shell does as well
# (RUNTIME_IMAGE=gcr.io/distroless/cc-debian12). deploy/images.sh makes both where no image registry can be reached.
ARG BUILD_IMAGE=rust:1-slim-bookworm
ARG RUNTIME_IMAGE=debian:bookworm-slim

FROM ${BUILD_IMAGE} AS build
WORKDIR /build
# The dependencies alone: built again only when they change. The manifest's tests and benches stay behind.
COPY Cargo.toml Cargo.lock ./
RUN sed -i '/^\[\[\(test\|bench\)\]\]/,/^$/d' Cargo.toml \
 && mkdir src && echo 'fn main() {}' > src/main.rs && touch src/lib.rs \
 && cargo build --release --locked
COPY src src
# Newer than what was built of the empty ones, whatever the files' own times say.
RUN touch src/main.rs src/lib.rs && cargo build --release --locked && mkdir data

FROM ${RUNTIME_IMAGE}
# The version and the revision, and whose registry it is in, are for who publishes it: docker build --label ...
LABEL org.opencontainers.image.title="adjourn" \
      org.opencontainers.image.description="Closes customer conversations that have gone quiet: exactly on time, exactly once, never over a reply" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY LICENSE /usr/share/doc/adjourn/
COPY --from=build /build/target/release/adjourn /usr/local/bin/
# Where the embedded store goes unless told otherwise: mount a volume here. With Redis nothing is written.
COPY --from=build --chown=65532:65532 /build/data /var/lib/adjourn
WORKDIR /var/lib/adjourn
USER 65532:65532
# Loopback would be the container's own. Without keys the service refuses these addresses and says what to do.
ENV ADJOURN__LISTEN=0.0.0.0:8080 ADJOURN__ADMIN_LISTEN=0.0.0.0:9090
EXPOSE 8080 9090
# Alive, not ready: a restart does not help a node whose store is away. It knows the environment, not the arguments of `serve`: a
# port that is moved is moved by ADJOURN__ADMIN_LISTEN, or by a file that ADJOURN_CONFIG names.
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=3 CMD ["adjourn", "healthcheck"]
ENTRYPOINT ["adjourn"]
CMD ["serve"]

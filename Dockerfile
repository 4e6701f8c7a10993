# Images of Outcrop: one program, the roots of trust, and nothing else. No shell, no root, no file to write.
#
#   docker build --tag outcrop:local .                            the gateway
#   docker build --tag outcrop-chaos:local --target chaos .       the simulator and the chaos harness, with a gateway to try
#
# The programs are static: everything but the kernel's interface is compiled in from the crates of Cargo.lock, the C of ring and
# mimalloc included, against musl. Each platform builds for itself (linux/amd64, linux/arm64), so that its own compiler will do.

FROM rust:1.95.0-slim-bookworm@sha256:d7482085ff5b415f84dba5647ae71606650bdef00db7aeb69f4b3d170c3e4082 AS toolchain
ARG TARGETARCH
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates musl-tools \
    && rm -rf /var/lib/apt/lists/*
ENV CC_x86_64_unknown_linux_musl=musl-gcc \
    CC_aarch64_unknown_linux_musl=musl-gcc
RUN case "${TARGETARCH:-$(dpkg --print-architecture)}" in \
        amd64) echo x86_64-unknown-linux-musl ;; \
        arm64) echo aarch64-unknown-linux-musl ;; \
        *) echo "no target for ${TARGETARCH}" >&2; exit 1 ;; \
    esac > /target-triple \
    && rustup target add "$(cat /target-triple)"
WORKDIR /source
COPY . .

# ---- The gateway -------------------------------------------------------------------------------------------------------------
FROM toolchain AS build-gateway
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/source/target,sharing=locked \
    cargo build --release --locked --target "$(cat /target-triple)" --package outcrop \
    && install -D "target/$(cat /target-triple)/release/outcrop" /programs/outcrop

# ---- The simulator and the harness -------------------------------------------------------------------------------------------
FROM toolchain AS build-chaos
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/source/target,sharing=locked \
    cargo build --release --locked --target "$(cat /target-triple)" --package outcrop-sim --package outcrop-chaos \
    && install -D --target-directory /programs \
        "target/$(cat /target-triple)/release/outcrop-sim" "target/$(cat /target-triple)/release/outcrop-chaos" \
    && mkdir /reports

# `docker run outcrop-chaos:local run --smoke` works with the defaults of the command line: the files lie where a checkout has
# them. Reports go to /lab/target/chaos, the only place it writes to. The scenarios `credentials-expire` and
# `day-of-mixed-weather` need /bin/cat and so a machine of their own.
FROM scratch AS chaos
COPY --from=build-chaos /programs/outcrop-sim /programs/outcrop-chaos /
COPY --from=build-gateway /programs/outcrop /lab/target/release/outcrop
COPY chaos/scenarios /lab/chaos/scenarios
COPY chaos/prices.toml /lab/chaos/prices.toml
COPY --from=build-chaos --chown=65532:65532 /reports /lab/target/chaos
WORKDIR /lab
USER 65532:65532
ENTRYPOINT ["/outcrop-chaos"]
CMD ["list"]

# The last stage is what is built when no target is named.
FROM scratch AS gateway
COPY --from=toolchain /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build-gateway /programs/outcrop /outcrop
# A number, so that orchestrators can see that it is not root.
USER 65532:65532
# Clients, operators. The second listens on the container's own loopback unless `admin.bind` says otherwise.
EXPOSE 8080 9090
# Reads the same settings as `serve`, to know the port. Docker only shows the result; orchestrators that kill by it want `--live`.
HEALTHCHECK --interval=5s --timeout=5s --start-period=20s --retries=3 CMD ["/outcrop", "health"]
# The gateway drains for `server.shutdown_grace` (25 s) after SIGTERM: give it longer than that.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/outcrop"]
CMD ["serve"]

# syntax=docker/dockerfile:1
#
#   docker build -t freshgate .
#   docker run -p 8080:8080 -v ./freshgate.toml:/etc/freshgate/freshgate.toml:ro freshgate
#
# The mounted file must listen on 0.0.0.0 to be reached from outside the container:
#   [server]
#   listen = ["0.0.0.0:8080"]
#   [admin]
#   listen = "127.0.0.1:9090"          # the health check below asks here
#   probe_listen = "0.0.0.0:9091"      # for an orchestrator, if there is one

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin freshgate \
    && cp target/release/freshgate /usr/local/bin/freshgate

FROM debian:bookworm-slim
# Certificate authorities, for origins and key sets behind https.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin freshgate \
    && install -d -o freshgate -g freshgate /etc/freshgate /var/lib/freshgate
COPY --from=build /usr/local/bin/freshgate /usr/local/bin/freshgate
COPY LICENSE /usr/share/doc/freshgate/LICENSE
# By number, so that an orchestrator can see that it isn't root.
USER 10001:10001
EXPOSE 8080 9090 9091
# The port on which /livez answers inside the container: that of [admin] listen or probe_listen.
ENV FRESHGATE_HEALTH_PORT=9090
# bash speaks TCP by itself, so the image needs no HTTP client.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/$FRESHGATE_HEALTH_PORT && printf 'GET /livez HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && read -r _ status _ <&3 && [ \"$status\" = 200 ]"]
ENTRYPOINT ["freshgate"]
CMD ["run", "--config", "/etc/freshgate/freshgate.toml"]

# rpcd and rpc-console in a small image that does not run as root.
#
#   docker build -t rpcd .
#   docker run --rm -p 127.0.0.1:8089:8089 rpcd             a server, no registry, for this machine
#   docker run --rm -it rpcd rpc-console --demo             the console
#
# Needs no BuildKit. `dist` is the profile of releases: slower to build, smaller and faster to run.
# For a quick try: --build-arg PROFILE=release.

FROM rust:1.95-slim-bookworm AS build
ARG PROFILE=dist
WORKDIR /src
COPY . .
RUN cargo build --locked --profile "$PROFILE" --package rpcd --package rpc-console \
 && mkdir /out \
 && cp "target/$PROFILE/rpcd" "target/$PROFILE/rpc-console" /out/ \
 && strip /out/*

FROM debian:bookworm-slim
RUN useradd --system --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin --uid 10001 rpcd
COPY --from=build /out/ /usr/local/bin/
# The settings, each at its default; mount your own over it. Commands name it with --config: a mounted
# file may have any owner, and without --config it is read only if its owner is trusted.
COPY config.ini /etc/rpcd/config.ini
# What a registry keeps: a volume, so that its registrations outlive the container.
RUN install -d -o 10001 -m 0700 /var/lib/rpcd
ENV RPCD_REGISTRY_SERVER_DATA_DIR=/var/lib/rpcd
VOLUME /var/lib/rpcd
WORKDIR /etc/rpcd
USER 10001
EXPOSE 8089 9999
# The daemon that the health check asks; set it for a container with another port.
ENV HEALTH_ADDRESS=127.0.0.1:8089
HEALTHCHECK --interval=5s --timeout=3s --start-period=5s --retries=3 CMD rpcd health "$HEALTH_ADDRESS"
# A server finishes calls in flight for up to 8 s: docker's default of 10 s between SIGTERM and
# SIGKILL suffices.
STOPSIGNAL SIGTERM
CMD ["rpcd", "serve", "--config", "/etc/rpcd/config.ini", "-p", "8089", "--no-registry"]

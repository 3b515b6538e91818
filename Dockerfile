# Two images: Pushcart with ffmpeg beside it (the last target, so the one that is built unless another is asked for), and Pushcart
# by itself (--target lean), which passes on what publishers send and makes no other renditions of it. `make image` builds both,
# and this is enough to run one:
#
#   docker run -p 1935:1935 -p 8080:8080 pushcart
#
# The log then has the server and the stream key for OBS. The other doors have ports of their own: see EXPOSE. Settings are environment variables, or a file: see
# configs/pushcart.yaml, and configs/compose.yaml for a node that stays.
#
# The bases can be replaced, by mirrors of them for instance: --build-arg NODE_IMAGE=... The names are in full because
# podman and buildah ask no registry by default for a name that is not.
ARG NODE_IMAGE=docker.io/library/node:20-bookworm-slim
ARG GO_IMAGE=docker.io/library/golang:1.26-bookworm
ARG BASE_IMAGE=docker.io/library/debian:bookworm-slim

# The viewer's pages. What is copied first changes least, so that a changed source does not fetch the packages again.
FROM ${NODE_IMAGE} AS web
WORKDIR /src/overlay/web
COPY overlay/web/package.json overlay/web/package-lock.json overlay/web/.npmrc ./
RUN npm ci --no-audit --no-fund
COPY overlay/web/ ./
RUN npm run build

# The program, with the pages in it.
FROM ${GO_IMAGE} AS program
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
COPY --from=web /src/overlay/web/dist/ overlay/web/dist/
# Empty, the program says "dev" and "unknown".
ARG VERSION=
ARG COMMIT=
# No build id and nothing of the repository's state: the same sources give the same bytes, here and with `make build`.
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -buildid= -X main.version=${VERSION} -X main.commit=${COMMIT}" \
        -o /out/pushcart ./cmd/pushcart \
    && go build -o /out/sbom ./internal/sbom \
    && /out/sbom -program /out/pushcart -npm overlay/web/package-lock.json > /out/sbom.cdx.json \
    && cp /etc/ssl/certs/ca-certificates.crt /out/ \
    && mkdir -m 0700 /out/data

# Pushcart by itself, on nothing: there is no shell in it and nothing else to be kept up to date.
FROM scratch AS lean
COPY --from=program /out/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=program /out/sbom.cdx.json /usr/share/doc/pushcart/sbom.cdx.json
COPY --from=program --chown=10001:10001 --chmod=0700 /out/data /var/lib/pushcart
COPY --from=program /out/pushcart /usr/local/bin/pushcart
# The settings are those of the other image; they are told of there.
ENV PUSHCART_DATA_DIRECTORY=/var/lib/pushcart PUSHCART_PUBLISH_GENERATE_KEY=true PUSHCART_LADDER_FFMPEG=
VOLUME /var/lib/pushcart
USER 10001:10001
EXPOSE 1935 8080 8554 8000-8001/udp 8890/udp 8189/udp 8189/tcp 8444 6222 7422
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["/usr/local/bin/pushcart", "health"]
ENTRYPOINT ["/usr/local/bin/pushcart"]
CMD ["serve"]
ARG VERSION=
ARG COMMIT=
LABEL org.opencontainers.image.title="Pushcart" \
    org.opencontainers.image.description="Edge node for live commerce, without ffmpeg" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${COMMIT}"

# ffmpeg.
FROM ${BASE_IMAGE} AS ffmpeg
# ffmpeg with what it depends on and nothing recommended. Its window for playback draws with OpenGL, whose drivers are 165 MB
# that a node never opens: dpkg leaves their files out, as the base does with manuals. An image made from this one that
# wants them, for VA-API on AMD say, gets them by apt-get install --reinstall libllvm15 libz3-4.
# Lists, logs and caches would differ with every build and serve nobody.
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        -o DPkg::Options::='--path-exclude=/usr/lib/*/libLLVM-*' \
        -o DPkg::Options::='--path-exclude=/usr/lib/*/libz3.so*' \
        -o DPkg::Options::='--path-exclude=/usr/lib/*/dri/*_dri.so' \
        ffmpeg \
    && rm -rf /var/lib/apt/lists/* /var/log/* /var/cache/apt/* /var/cache/debconf/*-old /var/cache/ldconfig/aux-cache

# What the image is made of: the program, its pages, and the packages beside it.
FROM program AS contents
COPY --from=ffmpeg /var/lib/dpkg/status /out/dpkg-status
RUN /out/sbom -program /out/pushcart -npm overlay/web/package-lock.json -dpkg /out/dpkg-status > /out/sbom.cdx.json

# What runs.
FROM ffmpeg
COPY --from=program /out/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=contents /out/sbom.cdx.json /usr/share/doc/pushcart/sbom.cdx.json
# What the node keeps: the journals of cards, the key that signs them and the operator's token. A volume that docker makes
# takes the owner from here; a folder of the host has to be given to user 10001.
RUN mkdir -m 0700 /var/lib/pushcart && chown 10001:10001 /var/lib/pushcart
COPY --from=program /out/pushcart /usr/local/bin/pushcart
ENV PUSHCART_DATA_DIRECTORY=/var/lib/pushcart
VOLUME /var/lib/pushcart

# Publishers reach a container from outside, never over loopback: without configured keys nobody could publish. So the
# node makes a key when it starts and prints it. Configured keys come before it.
ENV PUSHCART_PUBLISH_GENERATE_KEY=true

# By number, so that Kubernetes sees that it is not root. The account needs no name and no home: the node writes to the
# volume alone, and runs on a read-only root.
USER 10001:10001
# RTMP, viewers and WHIP, RTSP, RTP and RTCP, SRT, WebRTC.
# The last three are of clusters: the relay, and the directory of core nodes.
EXPOSE 1935 8080 8554 8000-8001/udp 8890/udp 8189/udp 8189/tcp 8444 6222 7422
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["pushcart", "health"]
ENTRYPOINT ["pushcart"]
CMD ["serve"]

# Last, because they change with every version.
ARG VERSION=
ARG COMMIT=
LABEL org.opencontainers.image.title="Pushcart" \
    org.opencontainers.image.description="Edge node for live commerce: RTMP, RTSP, WebRTC and SRT in, low-latency HLS out" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${COMMIT}"

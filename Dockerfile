# Build:  docker build --build-arg VERSION="$(git describe --tags --always --dirty)" -t onhand .
# Run:    docker run --rm onhand --help

FROM --platform=$BUILDPLATFORM golang:1.26.8-bookworm AS build
WORKDIR /src

# The modules first: they change less often than the code, and stay cached without it.
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download

COPY . .
ARG VERSION=""
ARG TARGETOS
ARG TARGETARCH
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false -ldflags "-s -w -X 'main.version=$VERSION'" -o /out/onhand ./cmd/onhand

# Nothing but the program and the roots that TLS to Postgres is checked against: no shell, no package manager.
FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/onhand /onhand

# Nobody's id: Kubernetes can tell from a number that it is not root.
USER 65532:65532

# Health checks come from outside the container.
ENV ONHAND_LISTEN=:8080 \
    ONHAND_LOG_FORMAT=json
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["/onhand", "healthcheck"]

ENTRYPOINT ["/onhand"]
CMD ["run"]
